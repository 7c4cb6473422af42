"""The paper's numbers against ours, method by method, with what is known of the reason where they differ."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from benchmark.scoring.metrics import METRICS
from paper_figures.common import conventions, paper, statistics, style, text
from paper_figures.common.drawing import Drawing, NothingToDraw
from paper_figures.common.paper import PaperValue
from paper_figures.common.paper_reasons import Reason, conditions, reasons
from paper_figures.common.results import Results, Row
from paper_figures.common.tables import Cell, Column, Table

NAME = "paper_comparison"
TITLE = "The paper's numbers against ours"
NEEDS = "table1"

PARAMETERS, BEST = "parameters", "best_iteration"
SHOWN = ("psnr", "psnr_y", "confidence", PARAMETERS, BEST)
"""Columns of the paper's Table 1, in order, and the iterations of its Fig. 6."""
_LABELS = {PARAMETERS: "Parameters", BEST: "Iterations to the best"}
BESIDE = 3
"""Panels in a row."""


@dataclass(frozen=True)
class Pair:
    """One cell: ours (NaN where there is none) with its interval, and the paper's (None where it states none).

    In the unit of tables. The interval of a score is the bootstrap's of its median; ``best_iteration`` has the range of
    its seeds; what has neither has NaN.
    """

    row: Row
    metric: str
    ours: float
    low: float
    high: float
    printed: PaperValue | None

    @property
    def deviation(self) -> float:
        """Ours minus the paper's."""
        return self.ours - self.printed.value if self.printed else math.nan


def draw(results: Results) -> Drawing:
    """A dot plot a metric that has any printed value, the table of all cells, and the table of reasons."""
    rows = [row for row in results.competitors if any((row.name, metric) in paper.values() for metric in SHOWN)]
    if not rows:
        raise NothingToDraw("no method of the paper's Table 1 has a result")
    pairs = [make_pair(results, row, metric) for row in rows for metric in SHOWN]
    metrics = [m for m in SHOWN if any(pair.printed for pair in pairs if pair.metric == m)]
    return Drawing(
        data=frame(pairs),
        caption=caption(results, pairs),
        conditions=[
            conventions.against_paper(),
            conventions.budget(results),
            conventions.data(results),
            conventions.selection(results),
        ],
        figure=figure(results, rows, pairs, metrics),
        tables=[_cells(rows, pairs), _deviations(pairs), _conditions(results)],
    )


def make_pair(results: Results, row: Row, metric: str) -> Pair:
    """Ours and the paper's value of one cell."""
    printed = paper.value(row.name, metric)
    low, high = math.nan, math.nan
    if metric == PARAMETERS:
        return Pair(row, metric, float(row.parameters or math.nan), low, high, printed)
    if metric == BEST:
        best = math.nan if row.best_iteration is None else row.best_iteration
        if len(row.best_iterations) > 1 and row.trained:
            low, high = min(row.best_iterations), max(row.best_iterations)
        return Pair(row, metric, best, low, high, printed)
    if metric not in row.scores:
        return Pair(row, metric, math.nan, low, high, printed)
    median = results.interval(row, metric, "median")
    factor = METRICS[metric].factor
    return Pair(row, metric, factor * median.value, factor * median.low, factor * median.high, printed)


# -- tables ----------------------------------------------------------------------------------------


def _label(metric: str) -> str:
    return _LABELS.get(metric) or METRICS[metric].label


def _shown(metric: str, value: float, sign: bool = False) -> str:
    if metric == PARAMETERS:
        return text.count(None if math.isnan(value) else value)
    if metric == BEST:
        return text.iterations(None if math.isnan(value) else value)
    return text.number(value, METRICS[metric].decimals, sign=sign)


def _deviation(pair: Pair) -> str:
    """Of a score the difference, of a count the factor."""
    if pair.metric not in (PARAMETERS, BEST):
        return _shown(pair.metric, pair.deviation, sign=True)
    if pair.printed is None or not pair.ours > 0.0:
        return text.DASH
    factor = pair.ours / pair.printed.value
    return "= (as rounded)" if _rounds_to(pair) else f"×{factor:.3g}"


def _rounds_to(pair: Pair) -> bool:
    """Whether ours, rounded as the paper's number is printed, is the paper's number."""
    assert pair.printed is not None
    unit = {"K": 1e3, "k": 1e3, "M": 1e6}.get(pair.printed.text[-1], 1.0)
    return not pair.printed.approximate and round(pair.ours / unit) == round(pair.printed.value / unit)


def _cells(rows: list[Row], pairs: list[Pair]) -> Table:
    columns = [Column("Method", [Cell(row.title, marks=row.marks) for row in rows])]
    for metric in SHOWN:
        mine = [pair for pair in pairs if pair.metric == metric]
        unit = METRICS[metric].unit if metric in METRICS else ""
        columns += [
            Column(_label(metric) + (f" ({unit})" if unit else ""), [Cell(_with_deviation(pair)) for pair in mine]),
            Column("paper", [Cell(_paper(pair)) for pair in mine]),
        ]
    return Table("Ours beside the paper's; scores are medians ± standard deviations over test plates", columns)


def _with_deviation(pair: Pair) -> str:
    """Our value; a score with its standard deviation over plates."""
    shown, summary = _shown(pair.metric, pair.ours), pair.row.scores.get(pair.metric)
    if summary is None or not math.isfinite(summary.sd):
        return shown
    return f"{shown} ± {_shown(pair.metric, METRICS[pair.metric].factor * summary.sd)}"


def _paper(pair: Pair) -> str:
    """The paper's cell as printed."""
    return paper.score(pair.row.name, pair.metric) or text.DASH


def _reasons(pair: Pair) -> list[Reason]:
    """What is known of the cell, its standard deviation included."""
    keys = (pair.row.name, pair.metric), (pair.row.name, f"{pair.metric}_sd")
    return [reasons()[key] for key in keys if key in reasons()]


def _deviations(pairs: list[Pair]) -> Table:
    """The cells that the paper states, with their reasons."""
    printed = [pair for pair in pairs if pair.printed is not None]
    of_pairs = [_reasons(pair) for pair in printed]
    return Table(
        "Deviations and their known reasons",
        [
            Column("Method", [Cell(pair.row.title, marks=pair.row.marks) for pair in printed]),
            Column("cell", [Cell(_label(pair.metric)) for pair in printed]),
            Column("paper", [Cell(_paper(pair)) for pair in printed]),
            Column("ours", [Cell(_shown(pair.metric, pair.ours)) for pair in printed]),
            Column("deviation", [Cell(_deviation(pair)) for pair in printed]),
            Column(
                "known reason, besides the conditions",
                [_joined([reason.text for reason in each]) for each in of_pairs],
                True,
            ),
            Column("source", [_joined(dict.fromkeys(reason.source for reason in each)) for each in of_pairs], True),
        ],
    )


def _joined(parts: Iterable[str]) -> Cell:
    return Cell(" ".join(parts) or text.DASH)


def _conditions(results: Results) -> Table:
    stated = conditions(results)
    return Table(
        "Conditions, which bear on every row",
        [
            Column("Condition", [Cell(condition.name) for condition in stated]),
            Column("paper", [Cell(condition.paper) for condition in stated], True),
            Column("this run", [Cell(condition.ours) for condition in stated], True),
            Column("known effect", [Cell(condition.effect or text.DASH) for condition in stated], True),
        ],
    )


def frame(pairs: list[Pair]) -> pd.DataFrame:
    """One line a (method, metric); an empty ``paper`` is a number that the paper does not state."""
    lines: list[dict[str, Any]] = []
    for pair in pairs:
        of_pair = _reasons(pair)
        deviation = paper.value(pair.row.name, f"{pair.metric}_sd")
        lines.append({
            "method": pair.row.name, "title": pair.row.title, "metric": pair.metric, "ours": pair.ours, "low": pair.low,
            "high": pair.high, "paper": pair.printed.value if pair.printed else None,
            "paper_approximate": pair.printed.approximate if pair.printed else None, "deviation": pair.deviation,
            "paper_sd": deviation.value if deviation else None,
            "reason": " ".join(reason.text for reason in of_pair) or None,
            "source": " ".join(dict.fromkeys(reason.source for reason in of_pair)) or None,
            "stale": pair.row.stale, "differs": "; ".join(pair.row.differs),
        })  # fmt: skip
    return pd.DataFrame(lines)


# -- the dot plots ---------------------------------------------------------------------------------


def figure(results: Results, rows: list[Row], pairs: list[Pair], metrics: list[str]) -> Figure:
    """One panel a metric: ours filled with its interval, the paper's hollow, joined where both are there."""
    names = [style.label(row) for row in rows]
    left, lines = style.label_width(names) - style.STRIP / 72 + 0.08, math.ceil(len(metrics) / BESIDE)
    panel, tall = (style.PAGE - left - 0.1) / BESIDE, 0.2 * len(rows) + 0.75
    legend = 0.22
    looks = style.row_looks(results.competitors)
    with style.style():
        made = Figure(figsize=(style.PAGE, lines * tall + legend))
        width, height = made.get_size_inches()
        for i, metric in enumerate(metrics):
            x, y = left + i % BESIDE * panel, height - legend - (i // BESIDE + 1) * tall + 0.42
            axes = made.add_axes((x / width, y / height, (panel - 0.18) / width, (tall - 0.7) / height))
            _panel(axes, [pair for pair in pairs if pair.metric == metric], metric, looks)
            axes.set_yticks(range(len(rows)), names if i % BESIDE == 0 else [""] * len(rows))
        text_size = style.FONT - 0.5
        made.text(
            left / width, 1 - 0.06 / height, "● ours (colour and shape of the method), with interval    ◇ the paper's",
            va="top", size=text_size, color=style.GREY,
        )  # fmt: skip
    return made


def _panel(axes: Axes, pairs: list[Pair], metric: str, looks: dict[str, style.Look]) -> None:
    counts = metric in (PARAMETERS, BEST)
    for y, pair in enumerate(pairs):
        look = looks[pair.row.name]
        if pair.printed is not None:
            if math.isfinite(pair.ours):
                axes.plot((pair.printed.value, pair.ours), (y, y), color=style.GREY, lw=0.6, zorder=1)
            style.paper_mark(axes, pair.printed.value, y)
        if math.isfinite(pair.low):
            axes.plot((pair.low, pair.high), (y, y), color=look.colour, lw=1.6, solid_capstyle="butt", zorder=2)
        if not counts or pair.ours > 0:
            axes.plot(pair.ours, y, marker=look.marker, color=look.colour, mec="white", ls="", zorder=3)
    unit = METRICS[metric].unit if metric in METRICS else ""
    axes.set(title=_label(metric), xlabel=unit, ylim=(len(pairs) - 0.4, -0.6))
    axes.tick_params(axis="y", length=0)
    if counts:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(numticks=6))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: _tick(metric, x)))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.margins(x=0.08)


def _tick(metric: str, value: float) -> str:
    return text.iterations(value) if metric == BEST else text.count(value).replace(".00", "").replace(".0", "")


# -- caption ---------------------------------------------------------------------------------------


def caption(results: Results, pairs: list[Pair]) -> list[str]:
    """What is compared, and what was resampled."""
    sentences = [
        "Ours (filled) against the paper's (hollow); scores are medians over the test plates. Deviation: ours minus "
        "the paper's for scores, ours as a multiple of the paper's for counts. The paper's scores have no interval.",
    ]
    scores = [pair for pair in pairs if pair.metric in METRICS and math.isfinite(pair.low)]
    if scores:
        intervals = [results.interval(pair.row, pair.metric, "median") for pair in scores]
        widest = max(intervals, key=lambda interval: (interval.seeds, interval.clusters))
        sentences.append(f"Medians have {statistics.resampled(widest)}")
    if len(results.seeds) > 1:
        sentences.append("Lines of iterations span the seeds.")
    return [*sentences, *conventions.marks(results)]
