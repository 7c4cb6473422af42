"""Columns that several tables share: names, scores with their ranks, the paper's values, parameters, iterations."""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchmark.scoring.metrics import METRICS
from paper_figures.common import paper, text
from paper_figures.common.results import Row
from paper_figures.common.tables import Cell, Column, ranks


def shown(row: Row, metric: str) -> float | None:
    """The number a table shows for a metric, in its unit; None where the method has none."""
    summary, kind = row.scores.get(metric), METRICS[metric]
    if summary is None:
        return None
    return kind.factor * (summary.mean if kind.statistic == "mean" else summary.median)


def written(row: Row, metric: str, deviation: bool = False) -> str:
    """The same as text, with ``± standard deviation`` if asked for; a dash where there is no number."""
    summary, kind = row.scores.get(metric), METRICS[metric]
    cell = text.number(shown(row, metric), kind.decimals)
    if deviation and summary is not None and not math.isnan(summary.sd):
        cell += f" ± {text.number(kind.factor * summary.sd, kind.decimals)}"
    return cell


def mark(row: Row, metric: str) -> str:
    """``*`` where plates without a number are left out."""
    summary = row.scores.get(metric)
    return "*" if summary is not None and summary.lacking else ""


def heading(metric: str) -> str:
    """Name and unit of a metric; a table of the second OCR engine says so in its title."""
    kind = METRICS[metric]
    label = kind.label.removesuffix(", second engine")
    return label + (f" ({kind.unit})" if kind.unit else "")


def method_column(rows: Sequence[Row], notes: Sequence[Sequence[str]] | None = None) -> Column:
    """Titles with † (stale), ‡ (made under other conditions) and the numbers of their footnotes, of which ``notes`` has
    those of each row."""
    notes = [()] * len(rows) if notes is None else notes
    numbers = {note: str(i) for i, note in enumerate(footnotes(notes), 1)}
    marks = [[*(numbers[note] for note in mine), *row.marks] for row, mine in zip(rows, notes, strict=True)]
    return Column("Method", [Cell(row.title, marks=",".join(m)) for row, m in zip(rows, marks, strict=True)])


def score_column(rows: Sequence[Row], metric: str, deviation: bool = False) -> Column:
    """One column ranked by the numbers as shown; the HR bound stands outside the ranking."""
    cells = [
        Cell(written(row, metric, deviation), place, mark(row, metric))
        for row, place in zip(rows, shown_ranks(rows, metric), strict=True)
    ]
    return Column(heading(metric), cells)


def shown_ranks(rows: Sequence[Row], metric: str) -> list[int]:
    """1 for the best, 2 for the second best, else 0, of the numbers as shown."""
    competing = [None if row.is_bound else shown(row, metric) for row in rows]
    return ranks(competing, METRICS[metric].decimals, METRICS[metric].higher_is_better)


def paper_columns(rows: Sequence[Row], metric: str) -> list[Column]:
    """The paper's value and ours minus it."""
    printed = [paper.value(row.name, metric) for row in rows]
    decimals = METRICS[metric].decimals
    return [
        Column("paper", [Cell(p.text if p else text.DASH) for p in printed], grey=True),
        Column("Δ", [Cell(text.number(deviation(row, metric), decimals, sign=True)) for row in rows], grey=True),
    ]


def deviation(row: Row, metric: str) -> float | None:
    """Ours minus the paper's value; None where either is missing."""
    printed, ours = paper.value(row.name, metric), shown(row, metric)
    return None if printed is None or ours is None else ours - printed.value


def parameter_column(rows: Sequence[Row]) -> Column:
    return Column("#p", [Cell(text.count(row.parameters or None)) for row in rows])


def paper_parameters(row: Row) -> tuple[float | None, str]:
    """As the paper prints it, else (a second reading of a method in the table) what the method itself says."""
    printed = paper.value(row.name, "parameters")
    if printed:
        return printed.value, printed.text
    count = row.paper_parameters
    return count, text.DASH if count is None else f"{count / 1e6:g}M" if count >= 1e6 else f"{count / 1e3:g}K"


def convergence_column(rows: Sequence[Row]) -> Column:
    return Column("best at iteration", [Cell(text.iterations(row.best_iteration)) for row in rows])


def footnotes(notes: Sequence[Sequence[str]]) -> list[str]:
    """The notes of all rows, each sentence once, in the order of the rows."""
    return list(dict.fromkeys(note for mine in notes for note in mine))


def rules(rows: Sequence[Row]) -> tuple[int, ...]:
    """A rule above the HR bound."""
    return tuple(i for i, row in enumerate(rows) if row.is_bound and i)
