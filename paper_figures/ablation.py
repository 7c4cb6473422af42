"""The ablation as a table: MSE alone, and PECL with both distances at four dimensions."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from benchmark.scoring.metrics import METRICS, SECOND
from paper_figures.common import conventions, statistics, text
from paper_figures.common.columns import shown as score
from paper_figures.common.drawing import Drawing
from paper_figures.common.grid import Grid, grids, remarks
from paper_figures.common.paired import TIE, UNKNOWN, Comparison, compare, probability, shown
from paper_figures.common.results import Results, Row
from paper_figures.common.tables import Cell, Column, Table, ranks

NAME = "ablation"
TITLE = "Ablation: distance and dimension of the embedding"
NEEDS = "ablation"

QUALITY = ("psnr", "psnr_y", "ssim")
READING = ("confidence", "plate_correct")
COMPARED = ("psnr", "plate_correct", "plate_correct" + SECOND)
"""Scores whose paired difference to MSE alone is shown."""

_RULES = (1, 5)  # above the Euclidean rows, and above the Manhattan ones
_BETTER, _WORSE = "+", text.MINUS


def draw(results: Results) -> Drawing:
    """A block of tables for each grid."""
    ablations = grids(results)
    compared = {grid.term: _compare(results, grid) for grid in ablations}
    return Drawing(
        data=pd.concat([frame(grid, compared[grid.term]) for grid in ablations], ignore_index=True).convert_dtypes(),
        caption=caption(results, ablations, [c for block in compared.values() for c in block]),
        conditions=conventions.conditions(results),
        tables=[part for grid in ablations for part in _parts(grid, compared[grid.term], len(ablations) > 1)],
    )


def _compare(results: Results, grid: Grid) -> list[Comparison]:
    """Every cell against MSE alone; the tests of one score and grid are corrected together."""
    if grid.mse is None:
        return []
    cells = list(grid.cells.values())
    return [comparison for metric in COMPARED for comparison in compare(results, cells, grid.mse, metric)]


# -- tables ----------------------------------------------------------------------------------------


def _parts(grid: Grid, compared: list[Comparison], several: bool) -> list[Table]:
    where = f"{grid.heading}. " if several else ""
    best = Column("best at iteration", [Cell(text.iterations(r.best_iteration if r else None)) for _, r in grid.places])
    seeds = Column("seeds", [Cell(str(len(row.seeds)) if row else text.DASH) for _, row in grid.places])
    parts = [
        Table(
            f"{where}Image quality: median ± standard deviation over test plates, mean paired difference to MSE alone",
            [_names(grid), *(_scores(grid, m) for m in QUALITY), *_differences(grid, compared, "psnr"), best, seeds],
            _RULES,
        )
    ]
    for suffix, whose in (("", ""), (SECOND, " by the second OCR engine")):
        metrics = [m + suffix for m in READING if any(row and m + suffix in row.scores for _, row in grid.places)]
        if metrics:
            columns = [_scores(grid, metric, whose) for metric in metrics]
            columns += _differences(grid, compared, "plate_correct" + suffix)
            title = f"{where}Reading{whose}: confidence (median), accuracy (mean), mean paired difference to MSE alone"
            parts.append(Table(title, [_names(grid), *columns], _RULES))
    return parts


def _names(grid: Grid) -> Column:
    """The cell that is a method of its own, as ``pecl`` is, is named with its title."""
    return Column("Loss", [
        Cell(f"{place} ({row.title})" if row and not row.only_ablation else place, marks=row.marks if row else "")
        for place, row in grid.places
    ])  # fmt: skip


def _scores(grid: Grid, metric: str, drop: str = "") -> Column:
    kind = METRICS[metric]
    values = [score(row, metric) if row else None for _, row in grid.places]
    cells = []
    for value, rank, (_, row) in zip(values, ranks(values, kind.decimals), grid.places, strict=True):
        summary = row.scores.get(metric) if row else None
        written = text.number(value, kind.decimals)
        if summary is not None and kind.statistic == "median" and not math.isnan(summary.sd):
            written += f" ± {text.number(kind.factor * summary.sd, kind.decimals)}"
        cells.append(Cell(written, rank, "*" if summary is not None and summary.lacking else ""))
    label = kind.label.replace(", second engine", "") if drop else kind.label
    return Column(label + (f" ({kind.unit})" if kind.unit else ""), cells)


def _differences(grid: Grid, compared: list[Comparison], metric: str) -> list[Column]:
    """Mean difference with its interval and a mark for its verdict, and the corrected p-value."""
    mine = {comparison.row.name: comparison for comparison in compared if comparison.metric == metric}
    comparisons = [mine.get(row.name) if row else None for _, row in grid.places]
    kind = METRICS[metric]
    unit = "points" if kind.unit == "%" else kind.unit
    label = kind.label.replace(", second engine", "")
    return [
        Column(f"{label} − MSE's ({unit})", [
            Cell(shown(comparison.interval, metric), marks=_mark(comparison)) if comparison else Cell()
            for comparison in comparisons
        ]),
        Column("p", [Cell(probability(comparison.corrected)) if comparison else Cell() for comparison in comparisons]),
    ]  # fmt: skip


def _mark(comparison: Comparison) -> str:
    if comparison.verdict == UNKNOWN:
        return ""
    if comparison.verdict == TIE:
        return "="
    return _BETTER if comparison.interval.above() else _WORSE


# -- caption and CSV -------------------------------------------------------------------------------


def caption(results: Results, ablations: list[Grid], compared: list[Comparison]) -> list[str]:
    """What is compared with what, what was resampled and tested, the confound, and the conditions."""
    pooled = ", those of all seeds pooled" if len(results.seeds) > 1 else ""
    sentences = [
        "PECL's network, trained with the pixel loss alone (MSE) and with the contrastive term in two distances at "
        "four dimensions d of the embedding. Bold is best and underlined second; numbers equal as shown share the "
        "mark.",
        *_statistics(compared),
        *remarks(ablations),
        "± is the standard deviation over plates" + pooled + ".",
        *conventions.marks(results),
    ]
    rows = {row.name: row for grid in ablations for row in grid.rows}.values()
    return [*sentences, *conventions.left_out(list(rows), _metrics())]


def _metrics() -> list[str]:
    return [*QUALITY, *(metric + suffix for suffix in ("", SECOND) for metric in READING)]


def _statistics(compared: list[Comparison]) -> list[str]:
    bounded = [comparison for comparison in compared if comparison.interval.bounded]
    if not bounded:
        return ["No difference to MSE alone has an interval: MSE alone, or a second plate text, is missing."]
    tests = dict.fromkeys(comparison.test.name for comparison in bounded)
    return [
        "Differences are to MSE alone on the same plates: the mean, its interval, and p after Holm's correction over "
        f"the cells of one table ({' and '.join(tests)} on plate texts; p speaks of plates, not of seeds). + and − "
        "mark a difference where interval and test agree at 5 %, = a tie.",
        statistics.resampled(max((c.interval for c in bounded), key=lambda each: (each.seeds, each.plates))),
    ]


def frame(grid: Grid, compared: list[Comparison]) -> pd.DataFrame:
    """All numbers of one grid, unrounded, in the unit of the stored scores; a row that is missing has a line."""
    mine = {(comparison.row.name, comparison.metric): comparison for comparison in compared}
    lines = []
    for place, row in grid.places:
        line: dict[str, Any] = {"term": grid.term, "loss": place, "method": row.name if row else None}
        if row is not None:
            line |= {key: row.options.get(key) for key in ("distance", "dimension") if row is not grid.mse}
            line |= {"seeds": " ".join(map(str, row.seeds)), "parameters": row.parameters}
            line |= {"best_iteration": row.best_iteration, "stale": row.stale, "differs": "; ".join(row.differs)}
            line |= _numbers(row, {m: mine[row.name, m] for m in COMPARED if (row.name, m) in mine})
        lines.append(line)
    return pd.DataFrame(lines)


def _numbers(row: Row, compared: dict[str, Comparison]) -> dict[str, Any]:
    numbers: dict[str, Any] = {}
    for metric in _metrics():
        if metric in row.scores:
            summary = row.scores[metric]
            numbers |= {f"{metric}_{k}": getattr(summary, k) for k in ("median", "sd", "mean", "n", "lacking")}
        if metric in compared:
            comparison = compared[metric]
            interval = comparison.interval
            values = {"": interval.value, "_low": interval.low, "_high": interval.high, "_p": comparison.test.p}
            numbers |= {f"{metric}_difference{name}": value for name, value in values.items()}
            numbers |= {f"{metric}_difference_p_holm": comparison.corrected, f"{metric}_verdict": comparison.verdict}
    return numbers
