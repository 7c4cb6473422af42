"""The paired differences to PECL as a forest plot: a point and its interval for each method and score."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes

from benchmark.scoring.metrics import METRICS
from paper_figures import comparisons
from paper_figures.common import conventions, statistics, style
from paper_figures.common.drawing import Drawing, NothingToDraw
from paper_figures.common.paired import BETTER, WORSE, Comparison, compare
from paper_figures.common.results import Results, Row

NAME = "forest"
TITLE = "Differences to PECL with their intervals"
NEEDS = "table1"


def draw(results: Results) -> Drawing:
    """One panel a score. The reference is PECL, or the best method if PECL is missing."""
    reference = next(iter(comparisons.references(results)), None)
    rows = comparisons.contenders(results)
    compared = [
        comparison
        for metric in comparisons.METRICS_SHOWN
        for comparison in (compare(results, rows, reference, metric) if reference else [])
    ]
    plotted = [comparison for comparison in compared if comparison.interval.bounded]
    if reference is None or not plotted:
        raise NothingToDraw("fewer than two methods share two plates or more")
    names = {comparison.row.name for comparison in plotted}
    figure = _figure(results, [row for row in rows if row.name in names], plotted)
    return Drawing(
        data=comparisons.frame(compared),
        caption=caption(results, reference, plotted),
        conditions=[conventions.data(results)],
        figure=figure,
    )


def _figure(results: Results, rows: list[Row], compared: list[Comparison]) -> Any:
    metrics = [metric for metric in comparisons.METRICS_SHOWN if any(c.metric == metric for c in compared)]
    names = [style.label(row) for row in rows]
    left = style.label_width(names) - style.STRIP / 72 + 0.08
    panel = (style.PAGE - left - 0.1) / max(2, len(metrics))
    titles = [METRICS[metric].label.replace(", ", ",\n") for metric in metrics]  # a panel is narrower than the longest
    top = 0.27 + 0.13 * any("\n" in title for title in titles)
    width, height = left + panel * len(metrics) + 0.1, 0.48 + top + 0.155 * len(rows)
    looks = style.row_looks(results.competitors)
    with style.style():
        figure, panels = style.new_figure(width, height, len(metrics))
        for i, (axes, metric) in enumerate(zip(panels, metrics, strict=True)):
            size = (panel - 0.14) / width, 1 - (0.45 + top) / height
            axes.set_position(((left + i * panel) / width, 0.45 / height, *size))
            mine = {c.row.name: c for c in compared if c.metric == metric}
            _panel(axes, [mine.get(row.name) for row in rows], metric, looks)
            axes.set_title(titles[i])
            axes.set_yticks(range(len(rows)), names if i == 0 else [""] * len(rows))
    return figure


def _panel(axes: Axes, compared: list[Comparison | None], metric: str, looks: dict[str, style.Look]) -> None:
    kind = METRICS[metric]
    axes.axvline(0.0, color=style.GREY, lw=0.9, zorder=1)
    plain = style.Look(style.GREY, "o", "-")
    for y, comparison in enumerate(compared):
        if comparison is None:
            continue
        look, values = looks.get(comparison.row.name, plain), comparison.interval
        low, value, high = (kind.factor * v for v in (values.low, values.value, values.high))
        differs = comparison.verdict in (BETTER, WORSE)
        axes.plot((low, high), (y, y), color=look.colour, lw=1.3, solid_capstyle="butt")
        axes.plot(value, y, marker=look.marker, color=look.colour, mew=0.9, mfc=look.colour if differs else "white")
    unit = "points" if kind.unit == "%" else kind.unit
    reference = style.label(next(c for c in compared if c is not None).reference)
    axes.set(xlabel=f"method minus {reference} ({unit})", ylim=(len(compared) - 0.4, -0.6))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)


def caption(results: Results, reference: Row, compared: list[Comparison]) -> list[str]:
    """What is drawn and what was resampled; the tests are in the table."""
    most = max((c.interval for c in compared), key=lambda interval: (interval.seeds, interval.clusters))
    return [
        f"Mean of the paired differences to {reference.title} on the same plates and seeds, with 95 % intervals. "
        "Filled: better or worse (the interval leaves out 0, and the test agrees after Holm's correction); hollow: a "
        "tie.",
        statistics.resampled(most),
        *conventions.marks(results),
    ]
