"""Test plates side by side, upscaled by several methods: shared by the qualitative figures."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from paper_figures.common import conventions, pictures, samples, style, text
from paper_figures.common.drawing import Drawing, NothingToDraw
from paper_figures.common.pictures import Block, Reading, Tile
from paper_figures.common.results import HR, Results, Row
from paper_figures.common.samples import Sample, Score

QUANTILES = (0.1, 0.5, 0.9)
"""Quantiles of test plate size whose nearest plates are shown."""
COLUMNS = 5


@dataclass(frozen=True)
class Column:
    """A method and its title in the figure."""

    row: Row
    title: str


@dataclass(frozen=True)
class Choice:
    """The plates that are shown: index → share of the test plates that are smaller; ``kept`` have pictures."""

    shares: dict[int, float]
    kept: int


def draw(
    results: Results, columns: Sequence[Column], start: str, hr_first: bool = False, luma: bool = False
) -> Drawing:
    """A block a plate: LR, the outputs, HR; or, with ``hr_first``, HR, LR, the outputs.

    ``start`` is the first sentence of the caption; with ``luma`` PSNR_Y stands beside PSNR. Raises
    NothingToDraw where no picture can be shown.
    """
    choice = choose(results, [column.row for column in columns])
    blocks: list[Block] = []
    lines: list[dict[str, Any]] = []
    lost: list[str] = []
    for index in choice.shares:
        loaded = load(results, columns, index)
        whole = next((sample for sample in loaded if isinstance(sample, Sample)), None)
        lost += [reason for reason in loaded if isinstance(reason, str)]
        if whole is None:
            continue
        bound = samples.score(results, HR, index)
        scores = [samples.score(results, c.row.name, index, samples.first_seed(results, c.row)) for c in columns]
        size = f"{whole.hr.shape[1]}×{whole.hr.shape[0]} px"
        low = Tile(whole.lr, "LR", value=f"{whole.lr.shape[1]}×{whole.lr.shape[0]} px", blocks=True)
        high = Tile(whole.hr, "HR", value=size, readings=_readings(results, bound))
        outputs = [
            Tile(
                sample.sr if isinstance(sample, Sample) else None,
                column.title,
                column.row.marks,
                _decibels(score, luma),
                _readings(results, score),
            )
            for column, sample, score in zip(columns, loaded, scores)
        ]
        tiles = [high, low, *outputs] if hr_first else [low, *outputs, high]
        truth = next((score.truth for score in (bound, *scores) if score is not None), "")
        blocks.append(Block(tiles, f"Test plate {index}", truth))
        facts = {
            "index": index,
            "height": whole.hr.shape[0],
            "width": whole.hr.shape[1],
            "smaller": choice.shares[index],
        }
        lines += [
            facts | _line(column, results, score, sample) for column, score, sample in zip(columns, scores, loaded)
        ]
        if bound is not None:
            lines.append(facts | {"method": HR, "title": "HR", "seed": 0} | vars(bound))
    if not blocks:
        raise NothingToDraw(lost[0])
    with style.style():
        figure = pictures.draw(blocks, min(COLUMNS, len(columns) + 2))
    return Drawing(
        data=pd.DataFrame(lines),
        caption=caption(results, columns, choice, start, lost, luma),
        conditions=[conventions.selection(results), conventions.budget(results), conventions.data(results)],
        figure=figure,
    )


def choose(results: Results, rows: Sequence[Row]) -> Choice:
    """The plates nearest to :data:`QUANTILES` of size (pixels of the HR plate), of those that most ``rows`` show.

    What the methods made of them has no part in it. Of plates equally near the first is taken. Raises NothingToDraw.
    """
    if {"height", "width"} - set(results.plates):
        raise NothingToDraw("plates.csv lacks the sizes of the plates")
    size = results.plates.drop_duplicates("index").set_index("index")[["height", "width"]]
    pixels = size.apply(pd.to_numeric, errors="coerce").prod(axis=1, skipna=False).dropna()
    shares = (pixels.rank() - 0.5) / max(len(pixels), 1)  # halfway between the smaller and the not larger ones
    kept = Counter(i for row in rows for i in samples.of_method(results, row.name, samples.first_seed(results, row)))
    most = max(kept.values(), default=0)
    candidates = [index for index in sorted(kept) if kept[index] == most and index in shares.index]
    if not candidates:
        raise NothingToDraw("the results hold no pictures of test plates (scoring.samples is 0, or they were removed)")
    chosen: list[int] = []
    for quantile in QUANTILES[: len(candidates)]:
        free = [index for index in candidates if index not in chosen]
        chosen.append(min(free, key=lambda index: abs(shares[index] - quantile)))
    chosen.sort(key=lambda index: float(shares[index]))
    return Choice({index: float((pixels < pixels[index]).mean()) for index in chosen}, len(candidates))


def load(results: Results, columns: Sequence[Column], index: int) -> list[Sample | str]:
    """The pictures of one plate, one for each column, or the reason why it is missing."""
    loaded: list[Sample | str] = []
    for row in (column.row for column in columns):
        try:
            loaded.append(samples.load(results, row.name, index, samples.first_seed(results, row)))
        except NothingToDraw as reason:
            loaded.append(str(reason))
    plates = Counter(sample.hr.tobytes() for sample in loaded if isinstance(sample, Sample))
    usual = plates.most_common(1)[0][0] if plates else b""
    return [
        f"{column.row.name} shows another plate {index} than the others"
        if isinstance(sample, Sample) and sample.hr.tobytes() != usual
        else sample
        for column, sample in zip(columns, loaded)
    ]


def _readings(results: Results, score: Score | None) -> tuple[Reading, ...]:
    """One line per OCR engine of the run."""
    truth = score.truth if score is not None else ""
    first, second = (score.read, score.read_second) if score is not None else (None, None)
    lines = [Reading(first, truth)] if results.has_readings else []
    return (*lines, Reading(second, truth)) if results.has_second_readings else tuple(lines)


def _decibels(score: Score | None, luma: bool) -> str:
    if score is None or math.isnan(score.psnr):
        return text.DASH
    return text.number(score.psnr) + (f" / {text.number(score.psnr_y)}" if luma else " dB")


def _line(column: Column, results: Results, score: Score | None, sample: Sample | str) -> dict[str, Any]:
    line: dict[str, Any] = {"method": column.row.name, "title": column.title}
    line["seed"] = samples.first_seed(results, column.row)
    line |= vars(score) if score is not None else {}
    return line | {"not_shown": sample if isinstance(sample, str) else ""}


def caption(
    results: Results, columns: Sequence[Column], choice: Choice, start: str, lost: Sequence[str], luma: bool
) -> list[str]:
    """What is shown, by which rule the plates were chosen, and how to read the lines below them."""
    shares = _listed([f"{share:.0%}".rstrip("%") for share in choice.shares.values()])
    wanted = _listed([f"{quantile:.0%}".rstrip("%") for quantile in QUANTILES])
    seeds = sorted({samples.first_seed(results, column.row) for column in columns if column.row.trained})
    return [
        start,
        f"Of the {text.plural(choice.kept, 'test plate')} with pictures in the results, those nearest to the "
        f"{wanted} % quantiles of size are shown, whatever became of them ({shares} % of all test plates have fewer "
        "pixels).",
        "Above each output are its PSNR (RGB) and its PSNR_Y, in dB."
        if luma
        else "Above each output is its PSNR (RGB).",
        *_ocr_engines(results),
        *([f"Outputs are those of seed {', '.join(map(str, seeds))}."] if len(results.seeds) > 1 and seeds else []),
        pictures.NOTICE,
        *conventions.marks(results),
        *pictures.not_shown(lost),
    ]


def _ocr_engines(results: Results) -> list[str]:
    first, second = results.reference.judge, results.reference.second_judge
    names = [
        (engine.name if engine else "") or "unnamed"
        for engine, read in ((first, results.has_readings), (second, results.has_second_readings))
        if read
    ]
    if not names:
        return [f"{text.begun(conventions.not_read(results))}."]
    if len(names) == 1:
        who = f"the OCR engine ({names[0]})"
    else:
        who = f"the OCR engines (first line {names[0]}, second {names[1]})"
    return [
        f"Below it is what {who} read: characters that are wrong or missing are underlined and red, ✓ says that "
        "all are right."
    ]


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]
