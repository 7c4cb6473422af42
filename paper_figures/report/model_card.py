"""The page beside shipped weights: what they learnt from, what they score, and what they are not for."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from benchmark.results.record import Record
from benchmark.results.shipped import INDEX, Index, Rate, ShippedWeights
from benchmark.results.store import Result
from benchmark.scoring.metrics import SECOND
from benchmark.util.errors import amount
from paper_figures.common import statistics, text
from paper_figures.common.confidence import CONFIDENT, confidently_wrong, wilson
from paper_figures.common.statistics import Statistic

_ENGINES = (("judge", ""), ("second_judge", SECOND))


def mistakes(result: Result) -> dict[str, Rate]:
    """The share of test plates that an OCR engine misreads at a confidence of 0.9 or more, by engine."""
    rates, plates = {}, result.plates()
    for name, suffix in _readers(result.record):
        value = confidently_wrong(_numbers(plates, "confidence" + suffix), _numbers(plates, "plate_correct" + suffix))
        low, high = wilson(value, plates["text"].nunique())
        rates[name] = Rate(value=value, low=low, high=high)
    return rates


def card(index: Index, results: Sequence[Result], bicubic: Result | None) -> str:
    """The page as Markdown. ``results`` are those of the index, in its order; ``bicubic`` is what weights compete with,
    where the run has it."""
    first = index.methods[0]
    engines = [name for name, _ in _readers(results[0].record)]
    shipped = [entry for entry in index.methods if entry.file]
    parts = [
        f"# Weights of the run {text.one_line(index.run)}",
        "Networks that enlarge low-resolution licence plates eight times, trained by this benchmark and stored as "
        f"safetensors. `{INDEX}` has all of this page, options, hashes and commands included.",
        _usage(shipped),
        "## What they score",
        _scores(index, results, bicubic, engines),
        f"On {first.data.test:,} test plates, seed 0, before half precision; medians and shares with 95 % intervals "
        "(bootstrap over plate numbers, and Wilson's for the last columns). They say nothing of other seeds. "
        f"*Confidently wrong*: the engine misreads the plate at a confidence of {CONFIDENT:g} or more.",
        "## What they are not for",
        _limits(index, engines),
        "## How they were trained",
        _training(index),
        "## Files",
        _files(index),
        "## Licence",
        "MIT, as the project. " + _data_licence(first),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _usage(shipped: list[ShippedWeights]) -> str:
    if not shipped:
        return ""
    return f"```sh\npython -m benchmark upscale --method {shipped[0].method} picture.png\n```"


def _readers(record: Record) -> list[tuple[str, str]]:
    """Name and suffix of the OCR engines of a result."""
    engines = [(getattr(record, field), suffix) for field, suffix in _ENGINES]
    return [(text.one_line(engine.name), suffix) for engine, suffix in engines if engine]


def _numbers(plates: pd.DataFrame, column: str) -> pd.Series:
    return pd.to_numeric(plates[column].replace({"True": 1, "False": 0}), errors="coerce").astype(float)


def _scores(index: Index, results: Sequence[Result], bicubic: Result | None, engines: list[str]) -> str:
    columns = ["method", "parameters", "PSNR (dB)", "SSIM", *(f"read by {name} (%)" for name in engines),
               *(f"{name} confidently wrong (%)" for name in engines)]  # fmt: skip
    rows = [] if bicubic is None else [["Bicubic, for comparison", "–", *_measured(bicubic)]]
    for entry, result in zip(index.methods, results, strict=True):
        title = f"{entry.title} ({entry.selected_as})" if entry.selected_as else entry.title
        rows.append([text.one_line(title), f"{entry.parameters:,}", *_measured(result)])
    return _table(columns, rows)


def _measured(result: Result) -> list[str]:
    plates, suffixes = result.plates(), [suffix for _, suffix in _readers(result.record)]
    columns = ["psnr", "ssim", *("plate_correct" + suffix for suffix in suffixes)]
    frame = plates.assign(**{column: _numbers(plates, column) for column in columns})
    read = [_interval(frame, "plate_correct" + suffix, "mean", 1, 100.0) for suffix in suffixes]
    wrong = [_bracketed(rate.value, rate.low, rate.high, 1, 100.0) for rate in mistakes(result).values()]
    return [_interval(frame, "psnr", "median", 2), _interval(frame, "ssim", "median", 3), *read, *wrong]


def _interval(frame: pd.DataFrame, metric: str, statistic: Statistic, digits: int, scale: float = 1.0) -> str:
    interval = statistics.interval(frame, metric, statistic)
    return _bracketed(interval.value, interval.low, interval.high, digits, scale)


def _bracketed(value: float, low: float, high: float, digits: int, scale: float = 1.0) -> str:
    shown = [text.number(scale * number, digits) for number in (value, low, high)]
    return f"{shown[0]} [{shown[1]}, {shown[2]}]"


def _limits(index: Index, engines: list[str]) -> str:
    data = text.one_line(index.methods[0].data.name)
    rates = [
        f"{entry.title} {_bracketed(rate.value, rate.low, rate.high, 1, 100.0)} %"
        for entry in index.methods
        for name, rate in entry.confidently_wrong.items()
        if name == engines[0]
    ]
    quote = (
        f" The number to quote is the rate of confident mistakes of {engines[0]}: {'; '.join(rates)}." if rates else ""
    )
    return (
        "**Not for evidence**, in court or against anybody. An eightfold enlargement is made up: each pixel stands for "
        "64, and a network fills in what plates usually look like. It draws characters that were never there, as "
        "sharply as those that were, and nothing in the picture tells which." + quote + "\n\n"
        f"Not for other plates or cameras than those of {data} without measuring there: other countries' layouts and "
        "alphabets were never seen. Not for pictures that became small in another way than antialiased bicubic "
        "reduction: what noise, compression and motion add was not part of the training."
    )


def _training(index: Index) -> str:
    first = index.methods[0]
    data, train = first.data, first.train
    chosen_on = "test" if data.protocol == "paper" else "validation"
    split = "no plate number is in two parts" if data.protocol == "disjoint" else f"protocol {data.protocol}"
    budget = (
        f"{first.iterations:,} iterations of {train.batch_size} patches of 64×64 px (8×8 before), "
        + (f"Adam {train.learning_rate:g} along a cosine" if train.recipe == "common" else "each method's own recipe")
        + (f" after a warm-up of {train.warmup}" if train.recipe == "common" and train.warmup else "")
        + f", {train.precision}. Of each training the weights best on {chosen_on} plates are kept."
    )
    odd = [entry.title for entry in index.methods if entry.patches != first.patches]
    others = f" Another budget: {', '.join(odd)} (see `{INDEX}`)." if odd else ""
    commit = f" Trained at commit {index.commit[:12]}." if index.commit else ""
    return (
        f"- Data: {text.one_line(data.name)}, {data.train:,} training, {data.val:,} validation and {data.test:,} test "
        f"plates ({split}); fingerprint {data.fingerprint[:12]}.\n"
        f"- Low-resolution plates: antialiased bicubic ×1/8, rounded to 8 bits.\n"
        f"- Budget: {budget}{others}{commit}"
    )


def _files(index: Index) -> str:
    rows = []
    for entry in index.methods:
        file = entry.file
        if file is None:
            rows.append([f"{entry.method}: not shipped, too large", "–", "–", f"`{entry.trained_sha256}` (as trained)"])
        else:
            moved = f"{file.precision}, moves median PSNR by {file.moved_db:.4f} dB"
            rows.append([file.name, amount(file.size), moved if file.precision == "fp16" else file.precision,
                         f"`{file.sha256}`"])  # fmt: skip
    table = _table(["file", "size", "precision", "SHA-256"], rows)
    absent = [entry for entry in index.methods if entry.file is None]
    commands = "\n".join(dict.fromkeys(text.one_line(entry.command) for entry in absent))
    return table + (f"\n\nWhat is not shipped is trained by\n\n```sh\n{commands}\n```" if absent else "")


def _data_licence(first: ShippedWeights) -> str:
    if first.data.name == "synthetic":
        return "The plates were drawn by the project."
    return (
        "The plates they learnt from are not in them and not in the repository. CCPD's own page puts that data set "
        "under the MIT licence; it shows real cars, so the law on personal data applies to what is upscaled."
    )


def _table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, [":---"] + ["---:"] * (len(columns) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
