"""Quality against cost: parameters, multiply-adds and milliseconds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter

from benchmark.scoring.metrics import METRICS
from paper_figures.common import conventions, style, text
from paper_figures.common.drawing import Drawing, NothingToDraw
from paper_figures.common.results import Results, Row
from paper_figures.common.style import Look

NAME = "cost"
TITLE = "Quality against cost"
NEEDS = "table1"

METRIC_NAMES = ("psnr", "plate_correct")
_LEFT, _RIGHT, _TOP, _BOTTOM, _HEIGHT, _LINE = 0.50, 0.10, 0.08, 0.40, 1.75, 0.165  # inches
_LEGEND_COLUMNS = 4


@dataclass(frozen=True)
class Cost:
    """One way to count what a method costs; what is unknown, below 0 or no number is left out."""

    name: str
    label: str
    of: Callable[[Row], object]
    shown: Callable[[float], str]


def _count(value: float) -> str:
    """``1.3e9`` → ``1.3G``: ticks of an axis."""
    for factor, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "K")):
        if value >= factor:
            return f"{value / factor:.3g}{unit}"
    return f"{value:.3g}"


COSTS = (
    Cost("parameters", "parameters", lambda row: row.parameters, _count),
    Cost("macs", "multiply-adds a plate", lambda row: row.cost and row.cost.macs, _count),
    Cost("milliseconds", "milliseconds a plate", lambda row: row.cost and row.cost.milliseconds, lambda x: f"{x:g}"),
)


def draw(results: Results) -> Drawing:
    """Columns: what a method costs; rows: how good it is; the Pareto front as steps."""
    data = frame(results)
    metrics = [m for m in METRIC_NAMES if data.loc[data["metric"] == m, "score"].notna().any()]
    costs = [c for c in COSTS if (_placed(data, c, metrics) & (data["value"] > 0)).any()]
    if not costs:
        raise NothingToDraw("no method has parameters or a measured cost")
    rows = [row for row in results.competitors if row.name in set(data["method"])]
    with style.style():
        figure = _figure(results, rows, data, costs, metrics)
    return Drawing(
        data=data,
        caption=caption(results, data, costs),
        conditions=[conventions.data(results), conventions.budget(results)],
        figure=figure,
    )


def frame(results: Results) -> pd.DataFrame:
    """One line a (cost, metric, method): ``value`` (NaN if unknown), ``score`` in the unit of tables, ``front``."""
    lines = []
    for cost in COSTS:
        for metric in METRIC_NAMES:
            for row in results.competitors:
                lines.append({
                    "cost": cost.name, "metric": metric, "method": row.name,
                    "value": _number(cost.of(row)), "score": _score(row, metric),
                })  # fmt: skip
    data = pd.DataFrame(lines, columns=["cost", "metric", "method", "value", "score"])
    parts = [part.assign(front=pareto(part["value"].tolist(), part["score"].tolist()))
             for _, part in data.groupby(["cost", "metric"], sort=False)]  # fmt: skip
    return pd.concat(parts, ignore_index=True) if parts else data.assign(front=False)


def _score(row: Row, metric: str) -> float:
    summary, kind = row.scores.get(metric), METRICS[metric]
    if summary is None:
        return math.nan
    score = kind.factor * (summary.mean if kind.statistic == "mean" else summary.median)
    return score if math.isfinite(score) else math.nan


def _number(value: object) -> float:
    """A stored cost as a number of 0 or more; NaN for anything else."""
    usable = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
    return float(value) if usable else math.nan  # type: ignore[arg-type]


def pareto(costs: Sequence[float], scores: Sequence[float]) -> list[bool]:
    """For each method whether no other is at least as cheap and as good, and better in one of the two.

    A method without a number in either is not on the front, and keeps no other off it.
    """
    finite = [not (math.isnan(c) or math.isnan(s)) for c, s in zip(costs, scores, strict=True)]
    points = list(zip(costs, scores))
    return [
        finite[i]
        and not any(
            finite[j] and other[0] <= mine[0] and other[1] >= mine[1] and other != mine
            for j, other in enumerate(points)
        )
        for i, mine in enumerate(points)
    ]


# -- the picture ------------------------------------------------------------------------------------


def _placed(data: pd.DataFrame, cost: Cost, metrics: Sequence[str]) -> pd.Series:
    """Lines that can be drawn on this cost's axis."""
    return (data["cost"] == cost.name) & data["metric"].isin(metrics) & data["value"].notna() & data["score"].notna()


def _figure(results: Results, rows: list[Row], data: pd.DataFrame, costs: list[Cost], metrics: list[str]) -> Figure:
    legend = _LINE * math.ceil(len(rows) / _LEGEND_COLUMNS) + 0.1
    panel = (style.PAGE - _LEFT - _RIGHT) / len(COSTS)
    width = style.PAGE if len(costs) > 1 else _LEFT + 1.6 * panel + _RIGHT
    panel = (width - _LEFT - _RIGHT) / len(costs)
    height = len(metrics) * (_HEIGHT + _TOP) + _BOTTOM + legend
    figure = Figure(figsize=(width, height))
    looks = style.row_looks(results.competitors)
    for i, metric in enumerate(metrics):
        y = height - (i + 1) * (_HEIGHT + _TOP)
        for j, cost in enumerate(costs):
            box = ((_LEFT + j * panel) / width, y / height, (panel - 0.14) / width, _HEIGHT / height)
            axes = figure.add_axes(box)
            _panel(axes, rows, data[(data["cost"] == cost.name) & (data["metric"] == metric)], looks)
            _axis(axes, cost, data[_placed(data, cost, metrics)]["value"], lowest=metric == metrics[-1])
            kind = METRICS[metric]
            axes.set_ylabel(f"{kind.label} ({kind.unit})" if j == 0 else "")
            axes.tick_params(labelleft=j == 0)
            _same_scores(axes, data[data["metric"] == metric]["score"])
    handles = [
        Line2D([], [], color=looks[row.name].colour, marker=looks[row.name].marker, ls="",
               label=style.label(row))
        for row in rows
    ]  # fmt: skip
    figure.legend(
        handles=handles, loc="lower center", ncols=_LEGEND_COLUMNS if len(costs) > 1 else 2, frameon=False,
        borderaxespad=0.2, handletextpad=0.2, columnspacing=1.2,
    )  # fmt: skip
    return figure


def _panel(axes: Axes, rows: list[Row], data: pd.DataFrame, looks: dict[str, Look]) -> None:
    by_name = data.set_index("method")
    front = data[data["front"]].sort_values("value")
    if len(front):
        axes.step(front["value"], front["score"], where="post", color=style.GREY, lw=0.9, zorder=1.5)
    for row in rows:
        line = by_name.loc[row.name]
        if not math.isnan(line["score"]):
            look = looks[row.name]
            axes.plot(line["value"], line["score"], color=look.colour, marker=look.marker, mec="white", ms=6, zorder=3)


def _axis(axes: Axes, cost: Cost, values: pd.Series, lowest: bool) -> None:
    low, high = float(values[values > 0].min()) / 1.8, float(values.max()) * 1.8
    decades = math.log10(high / low)
    subs = [1.0] if decades > 1.6 else [1.0, 3.0]
    if (values == 0).any():  # its place, half a decade left of the others
        axes.set_xscale("symlog", linthresh=low, linscale=0.5)
        axes.set_xlim(-low / 2, high)
        axes.xaxis.set_major_locator(FixedLocator([0.0, *_ticks(low, high, subs)]))
        axes.xaxis.set_minor_locator(FixedLocator(_ticks(low, high, range(2, 10))))
        axes.axvline(low, color=style.GREY, lw=0.6, ls=(0, (1, 1.5)), zorder=1)
    else:
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        axes.xaxis.set_major_locator(LogLocator(subs=subs))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: cost.shown(x)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(labelbottom=lowest)
    axes.set_xlabel(cost.label if lowest else "")


def _ticks(low: float, high: float, subs: Iterable[float]) -> list[float]:
    return [tick for tick in LogLocator(subs=list(subs)).tick_values(low, high) if low <= tick <= high]


def _same_scores(axes: Axes, scores: pd.Series) -> None:
    """Set one score range for all panels of a row."""
    low, high = float(scores.min()), float(scores.max())
    room = 0.08 * (high - low) or 1.0
    axes.set_ylim(low - room, high + room)


def caption(results: Results, data: pd.DataFrame, costs: list[Cost]) -> list[str]:
    """What was counted and measured, and which methods are left out."""
    sentences = [
        "Median PSNR and share of plates read completely against what a method costs (log axes). Steps: the Pareto "
        "front, methods that no other beats in quality at the same or a lower cost."
    ]
    measured = [row.cost for row in results.competitors if row.cost]
    if any(cost.name == "macs" for cost in costs):
        sentences.append("Multiply-adds: of upscaling one LR plate of 28×8 px (224×64 px HR).")
    if any(cost.name == "milliseconds" for cost in costs):
        devices = sorted({text.one_line(cost.device or "unknown") for cost in measured})
        sentences.append(f"Milliseconds: upscaling, on average over the test plates, on {', '.join(devices)}.")
        if len(devices) > 1:
            sentences.append("Measured on different devices, times are not comparable.")
    free = sorted({row.title for row in results.competitors if row.parameters == 0})
    if free:
        sentences.append(f"Left of the dotted line, where the log axis ends: what costs 0 ({', '.join(free)}).")
    unmeasured = [row.title for row in results.competitors if not row.cost]
    if unmeasured:
        sentences.append(f"Without measured multiply-adds and milliseconds: {', '.join(unmeasured)}.")
    return [*sentences, *conventions.marks(results)]
