"""Scores over the embedding's dimension: the panels of Fig. 8 and 9, and the numbers behind them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from benchmark.scoring.metrics import METRICS
from paper_figures.common import paper, statistics, style
from paper_figures.common.grid import DIMENSIONS, DISTANCES, MSE, Grid, keys
from paper_figures.common.results import Results, Row
from paper_figures.common.statistics import Interval
from paper_figures.common.style import Label

LEVEL, DIFFERENCE = "score", "difference to MSE"
DODGE = 0.05
"""The two distances' points stand this far beside the dimension's place, so that their bars do not overlap."""

# -- numbers ---------------------------------------------------------------------------------------


def frame(
    results: Results, ablations: Sequence[Grid], metrics: Sequence[str], quantities: Sequence[str]
) -> pd.DataFrame:
    """One line a (grid, metric, quantity, row): mean over plates, or of the paired difference to MSE alone.

    ``mean`` with its 95 % interval ``low`` … ``high``, and for scores the ``median``, in the unit of tables;
    ``plates``, ``texts`` and ``seeds`` that stand behind the interval, ``left_out`` values that were not numbers.
    A row that a grid lacks has a line without numbers.
    """
    lines: list[dict[str, Any]] = []
    for grid in ablations:
        rows = [("none", math.nan, grid.mse), *((*key, grid.cells.get(key)) for key in keys())]
        for metric in metrics:
            for quantity in quantities:
                for distance, dimension, row in rows if quantity == LEVEL else rows[1:]:
                    lines.append({
                        "term": grid.term, "metric": metric, "quantity": quantity, "distance": distance,
                        "dimension": dimension, "method": row.name if row else "",
                        **_numbers(results, row, grid.mse, metric, quantity),
                    })  # fmt: skip
    return pd.DataFrame(lines).astype({"dimension": "Int64"})


def _numbers(results: Results, row: Row | None, mse: Row | None, metric: str, quantity: str) -> dict[str, Any]:
    if row is None or (quantity == DIFFERENCE and mse is None):
        return dict.fromkeys(("mean", "low", "high", "median"), math.nan)
    factor = METRICS[metric].factor
    if quantity == DIFFERENCE:
        assert mse is not None
        (interval, _), median = results.difference(row, mse, metric), math.nan
    else:
        interval = results.interval(row, metric)
        median = row.scores[metric].median if metric in row.scores else math.nan
    return {
        "mean": factor * interval.value, "low": factor * interval.low, "high": factor * interval.high,
        "median": factor * median, "plates": interval.plates, "texts": interval.clusters, "seeds": interval.seeds,
        "left_out": interval.left_out,
    }  # fmt: skip


# -- panels ----------------------------------------------------------------------------------------


def panel(axes: Axes, grid: Grid, data: pd.DataFrame, metric: str, quantity: str) -> None:
    """One metric and quantity of :func:`frame` over the dimension; MSE alone is a line, its interval a band."""
    kind = METRICS[metric]
    data = data[(data["term"] == grid.term) & (data["metric"] == metric) & (data["quantity"] == quantity)]
    suffix = " minus MSE's, plate by plate" if quantity == DIFFERENCE else ""
    axes.set(title=kind.label + suffix, ylabel=f"mean ({kind.unit})" if kind.unit else "mean")
    looks = style.looks(DISTANCES)
    named: list[Label] = []
    mse = data[data["distance"] == "none"]
    right = len(DIMENSIONS) - 0.75
    if len(mse) and np.isfinite(mse["mean"].iloc[0]):
        level = mse.iloc[0]
        axes.axhline(level["mean"], color=style.GREY, lw=0.9, ls=(0, (4, 2)), zorder=1)
        axes.axhspan(*_ends(level), color=style.GREY, alpha=0.13, lw=0, zorder=0.5)
        named.append(Label(right, level["mean"], MSE + (grid.mse.marks if grid.mse else ""), style.GREY))
    elif not len(mse):
        axes.axhline(0.0, color=style.GREY, lw=0.9, ls=(0, (4, 2)), zorder=1)
        named.append(Label(right, 0.0, MSE, style.GREY))
    for distance, shift in zip(DISTANCES, (-DODGE, DODGE), strict=True):
        mine, look = data[data["distance"] == distance], looks[distance]
        x, mean = np.arange(len(DIMENSIONS)) + shift, mine["mean"].to_numpy(float)
        low, high = mine["low"].to_numpy(float), mine["high"].to_numpy(float)
        axes.fill_between(x, low, high, color=look.colour, alpha=0.13, lw=0)
        axes.vlines(x, low, high, color=look.colour, lw=0.9)
        axes.plot(x, mean, color=look.colour, ls=look.dash, marker=look.marker, mec="white", zorder=3)
        finite = np.flatnonzero(np.isfinite(mean))
        if len(finite):
            named.append(Label(float(x[finite[-1]]), float(mean[finite[-1]]), distance.capitalize(), look.colour))
    axes.xaxis.set_major_locator(FixedLocator(range(len(DIMENSIONS))))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: str(DIMENSIONS[round(x)])))
    axes.set_xlim(-0.25, right)
    axes.margins(y=0.12)
    low, high = axes.get_ylim()
    lacking = max(0.0, 20 * 0.1**kind.decimals - (high - low)) / 2  # equal scores must look equal, not noisy
    axes.set_ylim(low - lacking, high + lacking)
    if quantity == LEVEL:
        named += _paper_marks(axes, metric)
    style.label_right(axes, named)


def _paper_marks(axes: Axes, metric: str) -> list[Label]:
    """Draw what the paper's text gives of this metric; what would more than double the axis is only named, with an
    arrow at the edge."""
    low, high = axes.get_ylim()
    printed = {(distance, d): cell for (name, distance, d), cell in paper.ablation().items() if name == metric}
    reach = high - low
    near = [cell.value for cell in printed.values() if low - reach <= cell.value <= high + reach]
    low, high = min([low, *(y - 0.05 * reach for y in near)]), max([high, *(y + 0.05 * reach for y in near)])
    axes.set_ylim(low, high)
    labels = []
    for (distance, d), cell in printed.items():
        shift = DODGE if distance == DISTANCES[1] else -DODGE
        x, name = DIMENSIONS.index(d) + shift, f"paper ({distance[:3].capitalize()}) {cell.text}"
        if low <= cell.value <= high:
            style.paper_mark(axes, x, cell.value)
            labels.append(Label(x, cell.value, name, style.PAPER))
        else:
            edge, arrow = (high, "↑") if cell.value > high else (low, "↓")
            labels.append(Label(x, edge, f"{name} {arrow}", style.PAPER))
    return labels


def label_room() -> float:
    """Inches right of a panel for the longest of its labels."""
    return style.label_width([MSE + "†‡", "Manhattan", "paper (Man) ≈00.0 ↑"])


def _ends(line: pd.Series) -> tuple[float, float]:
    """Both ends of the interval; the mean twice if there is none."""
    return (line["low"], line["high"]) if np.isfinite(line["low"]) else (line["mean"], line["mean"])


# -- captions --------------------------------------------------------------------------------------


def intervals(data: pd.DataFrame) -> str:
    """What was resampled, and which points have no interval."""
    rows = data[data["low"].notna()]
    if rows.empty:
        return "No intervals: there are fewer than two different plate texts to resample."
    first = rows.iloc[0]
    interval = Interval(math.nan, 0.0, 0.0, int(first["plates"]), int(first["texts"]), int(rows["seeds"].max()))
    sentence = f"Bars and bands: {statistics.resampled(interval)}"
    fewer = rows.loc[rows["seeds"] < interval.seeds, "method"].unique()
    if len(fewer):
        sentence += f" One seed only, so nothing on other seeds: {', '.join(fewer)}."
    return sentence
