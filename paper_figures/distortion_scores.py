"""Noise, blur and compression of all test plates: every method beside HR, and PECL against MSE plate by plate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from paper_figures.common import conventions, style, text
from paper_figures.common.drawing import Drawing, NothingToDraw
from paper_figures.common.pairing import difference
from paper_figures.common.results import HR, Results, Row
from paper_figures.common.statistics import Interval, resampled
from paper_figures.common.style import Look
from paper_figures.distortion_maps import ESTIMATORS, METHODS, Estimator, compared, log_ticks

NAME = "distortion_scores"
TITLE = "Noise, blur and compression of all test plates"
NEEDS = "ablation"

_LINE = 0.19  # inches a method


@dataclass(frozen=True)
class Difference:
    """The median over plates of PECL − MSE, each plate with itself; below 0, PECL has less of it."""

    estimator: Estimator
    column: str
    row: Row
    interval: Interval

    @property
    def verdict(self) -> str:
        if not self.interval.bounded:
            return "not decidable"
        return "less" if self.interval.below() else "more" if self.interval.above() else "no difference shown"


def draw(results: Results) -> Drawing:
    """One panel per estimator, one line per method: its median with interval and the spread of its plates."""
    rows = compared(results)
    shown = [*rows.values(), *(row for row in results.competitors if row not in rows.values())]
    names = {row.name: column for column, row in rows.items()}
    columns = [e for e in ESTIMATORS if e.name in results.plates]
    estimators = [e for e in columns if all(_values(results, row, e).size for row in rows.values())]
    if not estimators:
        raise NothingToDraw("the results of MSE and PECL have no columns noise, blur and compression; run them again")
    hr = results.row(HR)
    data = frame(results, [*([hr] if hr else []), *shown], estimators)
    differences = paired(results, rows, estimators)
    with style.style():
        height = 0.92 + _LINE * len(shown)
        figure, panels = style.new_figure(style.PAGE, height, len(estimators))
        titles = [names[row.name] + row.marks if row.name in names else style.label(row) for row in shown]
        left = style.label_width(titles) - 0.1
        width = (style.PAGE - left - 0.08) / len(panels)
        looks = style.row_looks(results.competitors)
        for i, (axes, estimator) in enumerate(zip(panels, estimators, strict=True)):
            size = ((width - 0.2) / style.PAGE, _LINE * len(shown) / height)
            axes.set_position(((left + i * width) / style.PAGE, 0.36 / height, *size))
            _panel(axes, estimator, data, shown, looks)
            _title(axes, estimator, differences)
            axes.set_yticks(range(len(shown)), titles if i == 0 else [""] * len(shown))
    return Drawing(
        data=pd.concat([data, _lines(differences)], ignore_index=True),
        caption=caption(results, rows, differences, hr is not None),
        conditions=[conventions.data(results), conventions.budget(results)],
        figure=figure,
    )


def _values(results: Results, row: Row, estimator: Estimator) -> np.ndarray:
    mine = results.plates_of(row)[estimator.name]
    numbers = pd.to_numeric(mine, errors="coerce").to_numpy(float)
    return numbers[np.isfinite(numbers)]


def frame(results: Results, rows: Sequence[Row], estimators: Sequence[Estimator]) -> pd.DataFrame:
    """One line a (estimator, method): the median with its interval, and quantiles of the plates, seeds pooled."""
    lines = []
    for estimator in estimators:
        for row in rows:
            values = _values(results, row, estimator)
            median = results.interval(row, estimator.name, "median")
            spread = np.percentile(values, (5, 25, 75, 95)) if len(values) else [math.nan] * 4
            lines.append({
                "estimator": estimator.name, "method": row.name, "minus": "", "median": median.value,
                "low": median.low, "high": median.high, **dict(zip(("p5", "p25", "p75", "p95"), spread)),
                "plates": median.plates, "plate_texts": median.clusters, "seeds": median.seeds,
                "left_out": median.left_out,
            })  # fmt: skip
    return pd.DataFrame(lines)


def paired(results: Results, rows: dict[str, Row], estimators: Sequence[Estimator]) -> list[Difference]:
    """PECL − MSE on the same plates and seeds, for both distances."""
    plates = {column: results.plates_of(row) for column, row in rows.items()}
    return [
        Difference(e, column, row, difference(plates[column], plates["MSE"], e.name, "median"))
        for e in estimators
        for column, row in rows.items()
        if column != "MSE"
    ]


def _lines(differences: list[Difference]) -> pd.DataFrame:
    return pd.DataFrame([
        {
            "estimator": d.estimator.name, "method": d.row.name, "minus": "MSE", "median": d.interval.value,
            "low": d.interval.low, "high": d.interval.high, "plates": d.interval.plates,
            "plate_texts": d.interval.clusters, "seeds": d.interval.seeds, "left_out": d.interval.left_out,
        }
        for d in differences
    ])  # fmt: skip


# -- the picture ------------------------------------------------------------------------------------


def _panel(axes: Axes, estimator: Estimator, data: pd.DataFrame, rows: list[Row], looks: dict[str, Look]) -> None:
    mine = data[data["estimator"] == estimator.name].set_index("method")
    if HR in mine.index and math.isfinite(mine.loc[HR, "median"]):
        level = mine.loc[HR]
        axes.axvspan(level["p25"], level["p75"], color="#dcdcdc", lw=0, zorder=0.5)
        axes.axvline(level["median"], color=style.GREY, lw=0.9, zorder=0.6)
        axes.annotate(
            "HR", (level["median"], 1), xycoords=("data", "axes fraction"), xytext=(2, -1.5),
            textcoords="offset points", va="top", fontsize=style.FONT - 1, color=style.GREY,
        )  # fmt: skip
    for y, row in enumerate(rows):
        line = mine.loc[row.name]
        look = looks.get(row.name, Look("#000000", "o", "-"))
        axes.plot([line["p5"], line["p95"]], [y, y], color=look.colour, lw=0.7, alpha=0.8, zorder=2)
        axes.plot(
            [line["p25"], line["p75"]], [y, y], color=look.colour, lw=4, alpha=0.35, solid_capstyle="butt", zorder=2
        )
        if math.isfinite(line["low"]):
            axes.plot([line["low"], line["high"]], [y, y], color=look.colour, lw=2, zorder=3, solid_capstyle="butt")
        axes.plot(line["median"], y, color=look.colour, marker="o", ms=3.8, mec="white", zorder=4)
    axes.set_ylim(len(rows) - 0.5, -0.9)
    axes.set_xlabel(f"{estimator.name} ({estimator.unit}), more is worse")
    axes.tick_params(axis="y", length=0)
    if estimator.log:
        axes.set_xscale("log")
        low, high = axes.get_xlim()
        ticks = [tick for tick in log_ticks(high) if tick >= low]
        axes.xaxis.set_major_locator(FixedLocator(ticks) if len(ticks) > 2 else MaxNLocator(4))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5))


def _title(axes: Axes, estimator: Estimator, differences: list[Difference]) -> None:
    """The estimator, and below it what PECL's loss does to it."""
    difference = next(d for d in differences if d.estimator is estimator)
    axes.set_title(
        f"{estimator.name.capitalize()}\n{difference.column.split(' ')[0]} − MSE, plate by plate:\n"
        f"{_short(difference)}",
        fontsize=style.FONT, linespacing=1.25,
    )  # fmt: skip


def _short(difference: Difference) -> str:
    """``−0.02 [−0.03, −0.01]``."""
    digits = difference.estimator.decimals
    ends = [text.number(end, digits, sign=True) for end in (difference.interval.low, difference.interval.high)]
    between = f" [{ends[0]}, {ends[1]}]" if difference.interval.bounded else ""
    return text.number(difference.interval.value, digits, sign=True) + between


def caption(results: Results, rows: dict[str, Row], differences: list[Difference], has_hr: bool) -> list[str]:
    """What is drawn, the differences in words, and the conditions."""
    first = differences[0]
    told = "; ".join(
        f"{d.estimator.name}, {d.column.split('(')[1].rstrip(')')}: {_short(d)} ({d.verdict})" for d in differences
    )
    hr = "The grey line and band are HR's median and middle half. " if has_hr else ""
    return [
        "Noise, blur and compression of the test plates, seeds pooled. Point: median with its 95 % interval (dark "
        f"bar); pale bar: the middle half of the plates; thin line: 5 % to 95 % of them. {hr}Above each panel: the "
        f"median of the difference {first.column} − MSE, each plate with itself, with its 95 % interval; below 0 PECL "
        f"has less. All of them: {told}. HR is no target for noise and compression: it has those of its photograph.",
        resampled(first.interval),
        METHODS,
        *conventions.marks(results),
    ]
