"""Table 1: every method beside the paper's values; image quality, reading, means and convergence."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd

from benchmark.scoring.metrics import METRICS
from paper_figures.common import conventions, paper, statistics, text
from paper_figures.common.drawing import Drawing
from paper_figures.common.results import SECOND_READING, Results, Row
from paper_figures.common.statistics import Interval
from paper_figures.common.tables import Cell, Column, Table, ranks

NAME = "table1"
TITLE = "Table 1. Super-resolution of license plates, ×8"
NEEDS = "table1"


BESIDE_PAPER = ("psnr", "psnr_y", "confidence")
"""Metrics that the paper's Table 1 has too."""
_SHORT = {
    "psnr": "PSNR",
    "confidence": "OCR ρ",
    "plate_correct": "plates %",
    "character_accuracy": "characters %",
    "best_iteration": "best at",
}  # headings for the terminal


def shown(row: Row, metric: str) -> float | None:
    """The number a table shows for a metric, in its unit; None where the method has none."""
    summary, kind = row.scores.get(metric), METRICS[metric]
    if summary is None:
        return None
    return kind.factor * (summary.mean if kind.statistic == "mean" else summary.median)


def draw(results: Results) -> Drawing:
    """The whole table, in its parts."""
    return Drawing(
        data=frame(results),
        caption=caption(results),
        conditions=conditions(results),
        tables=tables(results),
        footnotes=footnotes(results),
    )


def tables(results: Results) -> list[Table]:
    """The parts of Table 1, each narrow enough to read; the reading part only where something was read."""
    rows = results.main_rows
    parts = [
        ("Image quality: median ± standard deviation over test plates", [
            *_parameters(rows), *_beside_paper(rows, "psnr"), *_beside_paper(rows, "psnr_y"),
            score_column(rows, "psnr_y_studio"), score_column(rows, "ssim"),
        ]),
        ("Reading: confidence (median ± standard deviation) and accuracy (mean)", [
            *_beside_paper(rows, "confidence"),
            *(score_column(rows, m) for m in ("plate_correct", "character_accuracy", "tail_correct")),
        ]),
        ("Reading by the second OCR engine", [score_column(rows, metric) for metric in SECOND_READING]),
        ("Mean PSNR with its 95 % interval, and iterations to the best weights", _mean_and_convergence(results)),
    ]  # fmt: skip
    left_out = {1: not results.has_readings, 2: not results.has_second_readings}
    names = method_column(results)
    return [
        Table(title, [names, *columns], rules(rows)) for i, (title, columns) in enumerate(parts) if not left_out.get(i)
    ]


def short(results: Results, wide: bool) -> Table:
    """One table for the terminal: 80 columns, or about 110 with the second-rank metrics too."""
    rows = results.main_rows
    metrics = ["psnr_y", "ssim"] if wide else []
    if results.has_readings:
        metrics += ["confidence", "plate_correct"] + ["character_accuracy"] * wide
    columns = [method_column(results, numbered=False), parameter_column(rows)]
    columns.append(replace(score_column(rows, "psnr", deviation=wide), header=_SHORT["psnr"]))
    columns += paper_columns(rows, "psnr")
    columns += [replace(score_column(rows, m), header=_SHORT.get(m, METRICS[m].label)) for m in metrics]
    columns.append(replace(convergence_column(rows), header=_SHORT["best_iteration"]))
    return Table(f"{TITLE}: {results.folder.resolve().name}", columns, rules(rows))


def legend(results: Results) -> list[str]:
    """The least that makes :func:`short` readable."""
    plates = text.plural(int(results.reference["data"]["test"]), "test plate")
    lines = [
        f"PSNR in dB: median over {plates}, {text.plural(len(results.seeds), 'seed')}; accuracies: mean. "
        "Bold is best, underlined second. Footnotes and conventions: table1.md"
    ]
    return [*lines, *([found] if (found := conventions.leaks(results)) else []), *conventions.marks(results)]


def rules(rows: list[Row]) -> tuple[int, ...]:
    """A rule above the HR bound."""
    return tuple(i for i, row in enumerate(rows) if row.is_bound and i)


# -- columns ---------------------------------------------------------------------------------------


def method_column(results: Results, numbered: bool = True) -> Column:
    """Titles with † (stale), ‡ (made under other conditions) and the numbers of their footnotes."""
    numbers = {note: i for i, note in enumerate(footnotes(results), 1)}
    cells = []
    for row in results.main_rows:
        marks = [str(numbers[note]) for note in row.notes if numbered]
        marks += row.marks
        cells.append(Cell(row.title, marks=",".join(marks)))
    return Column("Method", cells)


def score_column(rows: list[Row], metric: str, deviation: bool = False) -> Column:
    """One ranked column; the HR bound stands outside the ranking."""
    kind = METRICS[metric]
    cells = []
    for row, rank in zip(rows, _ranks(rows, metric), strict=True):
        summary = row.scores.get(metric)
        cell = text.number(shown(row, metric), kind.decimals)
        if deviation and summary is not None and not math.isnan(summary.sd):
            cell += f" ± {text.number(kind.factor * summary.sd, kind.decimals)}"
        cells.append(Cell(cell, rank, "*" if summary is not None and summary.lacking else ""))
    label = kind.label.removesuffix(", second engine")  # the table's title says so
    return Column(label + (f" ({kind.unit})" if kind.unit else ""), cells)


def _ranks(rows: list[Row], metric: str) -> list[int]:
    competing = [None if row.is_bound else shown(row, metric) for row in rows]
    return ranks(competing, METRICS[metric].decimals, METRICS[metric].higher_is_better)


def paper_columns(rows: list[Row], metric: str) -> list[Column]:
    """The paper's value and ours minus it."""
    printed = [paper.value(row.name, metric) for row in rows]
    decimals = METRICS[metric].decimals
    return [
        Column("paper", [Cell(p.text if p else text.DASH) for p in printed], grey=True),
        Column("Δ", [Cell(text.number(_delta(row, metric), decimals, sign=True)) for row in rows], grey=True),
    ]


def _delta(row: Row, metric: str) -> float | None:
    printed, ours = paper.value(row.name, metric), shown(row, metric)
    return None if printed is None or ours is None else ours - printed.value


def _beside_paper(rows: list[Row], metric: str) -> list[Column]:
    return [score_column(rows, metric, deviation=True), *paper_columns(rows, metric)]


def parameter_column(rows: list[Row]) -> Column:
    return Column("#p", [Cell(text.count(row.parameters or None)) for row in rows])


def _parameters(rows: list[Row]) -> list[Column]:
    return [
        parameter_column(rows),
        Column("#p paper", [Cell(_paper_parameters(row)[1]) for row in rows], grey=True),
    ]


def _paper_parameters(row: Row) -> tuple[float | None, str]:
    """As the paper prints it, else (a second reading of a method in the table) what the method itself says."""
    printed = paper.value(row.name, "parameters")
    if printed:
        return printed.value, printed.text
    count = row.paper_parameters
    return count, text.DASH if count is None else f"{count / 1e6:g}M" if count >= 1e6 else f"{count / 1e3:g}K"


def convergence_column(rows: list[Row]) -> Column:
    return Column("best at iteration", [Cell(text.iterations(row.best_iteration)) for row in rows])


def _mean_and_convergence(results: Results) -> list[Column]:
    rows, found = results.main_rows, mean_psnr(results)
    intervals = [f"{text.number(f.low)} – {text.number(f.high)}" if f.bounded else text.DASH for f in found]
    printed = [paper.value(row.name, "best_iteration") for row in rows]
    return [
        Column("mean PSNR (dB)", [Cell(text.number(row.scores["psnr"].mean)) for row in rows]),
        Column("95 % interval", [Cell(one) for one in intervals]),
        convergence_column(rows),
        Column("paper", [Cell(p.text if p else text.DASH) for p in printed], grey=True),
        Column("seeds", [Cell(str(len(row.seeds)) if row.trained else text.DASH) for row in rows]),
    ]


def mean_psnr(results: Results) -> list[Interval]:
    """The mean PSNR of every row, with its interval."""
    return [results.interval(row, "psnr") for row in results.main_rows]


# -- caption, footnotes, CSV -----------------------------------------------------------------------


def footnotes(results: Results) -> list[str]:
    """Everything methods say of themselves, each sentence once, in the order of the rows."""
    return list(dict.fromkeys(note for row in results.main_rows for note in row.notes))


def caption(results: Results) -> list[str]:
    """How to read the marks."""
    return [
        "Bold is best and underlined second among the competitors (the HR plates are a bound); numbers equal as shown "
        "share the mark.",
        *conventions.marks(results),
        *conventions.left_out(results.main_rows),
    ]


def conditions(results: Results) -> list[str]:
    """How the numbers came about, one convention after the other."""
    return [
        conventions.against_paper(),
        conventions.pooling(results),
        statistics.resampled(max(mean_psnr(results), key=lambda found: (found.seeds, found.clusters))),
        *conventions.conditions(results),
    ]


def frame(results: Results) -> pd.DataFrame:
    """All numbers behind the table, unrounded, one line a method; accuracies as fractions."""
    rows = results.main_rows
    columns: dict[str, list[object]] = {
        "method": [row.name for row in rows],
        "title": [row.title for row in rows],
        "seeds": [" ".join(map(str, row.seeds)) for row in rows],
        "parameters": [row.parameters for row in rows],
        "parameters_paper": [_paper_parameters(row)[0] for row in rows],
    }
    for metric in METRICS:
        summaries = [row.scores.get(metric) for row in rows]
        if not any(summaries):
            continue
        for key in ("median", "sd", "mean", "n", "lacking"):
            columns[f"{metric}_{key}"] = [None if s is None else getattr(s, key) for s in summaries]
        columns[f"{metric}_rank"] = [rank or None for rank in _ranks(rows, metric)]
        if metric in BESIDE_PAPER:
            printed = [paper.value(row.name, metric) for row in rows]
            columns[f"{metric}_paper"] = [p.value if p else None for p in printed]
            columns[f"{metric}_delta"] = [_delta(row, metric) for row in rows]
    intervals = mean_psnr(results)
    columns["psnr_mean_low"] = [one.low for one in intervals]
    columns["psnr_mean_high"] = [one.high for one in intervals]
    printed = [paper.value(row.name, "best_iteration") for row in rows]
    columns["best_iteration"] = [row.best_iteration for row in rows]
    columns["best_iteration_by_seed"] = [" ".join(map(str, row.best_iterations)) if row.trained else "" for row in rows]
    columns["best_iteration_paper"] = [p.value if p else None for p in printed]
    columns["stale"] = [row.stale for row in rows]
    columns["differs"] = ["; ".join(row.differs) for row in rows]
    return pd.DataFrame(columns).convert_dtypes()
