"""Real LR pictures without originals: what is read of them after each method has upscaled them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from benchmark.scoring.metrics import SECOND
from paper_figures.common import columns, conventions, test_sets, text
from paper_figures.common.confidence import Engine, engines
from paper_figures.common.drawing import Drawing
from paper_figures.common.results import Results, Row
from paper_figures.common.tables import Cell, Column, Table, ranks
from paper_figures.common.xlpsr_scores import how_chosen, score

NAME = "read_table"
TITLE = "Real low resolution, scored by reading alone"
NEEDS = "table1"

_SHOWN = ("plate_correct", "character_accuracy")
_DECIMALS = 2


def draw(results: Results) -> Drawing:
    """One table a set of LR pictures; a set of which nothing was read has a sentence."""
    sets = test_sets.test_sets(results, "read")
    titles = test_sets.titles(sets)
    lines = [frame(title, scores) for title, scores in zip(titles, sets, strict=True)]
    return Drawing(
        data=pd.concat(lines, ignore_index=True).convert_dtypes(),
        caption=caption(results, sets, titles),
        conditions=[test_sets.ocr(results, sets)],
        tables=[table(title, scores) for title, scores in zip(titles, sets, strict=True) if engines(scores)],
    )


def table(title: str, scores: Results) -> Table:
    """Plates and characters read, and XLPSR points, by each engine."""
    rows = scores.rows
    shown = [columns.method_column(rows)]
    for engine in engines(scores):
        for metric in _SHOWN:
            name = metric + engine.suffix
            if any(name in row.scores for row in rows):
                column = columns.score_column(rows, name)
                shown.append(Column(f"{engine.name}: {column.header}", column.cells))
        shown += _points(scores, rows, engine)
    return Table(title, shown, columns.rules(rows))


def _points(scores: Results, rows: Sequence[Row], engine: Engine) -> list[Column]:
    values = [score(scores, row, engine).value for row in rows]
    if all(math.isnan(value) for value in values):
        return []
    places = ranks([None if math.isnan(value) else value for value in values], _DECIMALS)
    cells = [Cell(text.number(value, _DECIMALS), place) for value, place in zip(values, places, strict=True)]
    return [Column(f"{engine.name}: XLPSR score", cells)]


def frame(title: str, scores: Results) -> pd.DataFrame:
    """One line a (set, method, engine); accuracies as fractions."""
    lines = []
    for row in scores.rows:
        for engine in engines(scores):
            summaries = [row.scores.get(metric + engine.suffix) for metric in _SHOWN]
            lines.append({
                "plates": title, "method": row.name, "title": row.title, "engine": engine.name,
                **{metric: None if s is None else s.mean for metric, s in zip(_SHOWN, summaries, strict=True)},
                "read": 0 if summaries[0] is None else summaries[0].n, "xlpsr": score(scores, row, engine).value,
            })  # fmt: skip
    return pd.DataFrame(lines)


def caption(results: Results, sets: Sequence[Results], titles: Sequence[str]) -> list[str]:
    """Why there is no PSNR here, and what the scores are."""
    return [
        "LR pictures as a camera took them. There are no originals, so there is no PSNR: a method is scored by what "
        "the OCR engines read of its output. Exact match of the whole text, 1 − normalised edit distance of its "
        "characters, and the points of the XLPSR challenge (+2 a right character, −1 a wrong one, 0 left open) at the "
        f"threshold {how_chosen(results)}.",
        *(f"{text.one_line(title)}: {conventions.not_read(scores)}."
          for scores, title in zip(sets, titles, strict=True) if not engines(scores)),
        *(line for scores, title in zip(sets, titles, strict=True) for line in
          test_sets.remarks(results, scores, text.one_line(title))),
        *test_sets.left_out(sets, [metric + suffix for metric in _SHOWN for suffix in ("", SECOND)]),
    ]  # fmt: skip
