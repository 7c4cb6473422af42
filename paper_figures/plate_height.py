"""Quality and reading by the height of the plate: what a median over all plates hides."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from benchmark.scoring.metrics import METRICS
from paper_figures.common import conventions, style, text
from paper_figures.common.drawing import Drawing, NothingToDraw
from paper_figures.common.results import Results, Row
from paper_figures.common.style import Label, Look

NAME = "plate_height"
TITLE = "Quality and reading by plate height"
NEEDS = "table1"

GROUPS = 5
"""Most groups of plates by height. Plates of equal height stay together."""


def draw(results: Results) -> Drawing:
    """Left: median PSNR of the plates of about one height. Right: share of them read completely."""
    rows = [row for row in results.competitors if math.isfinite(row.scores["psnr"].median)]
    if not rows or results.plates["height"].nunique() < 2:
        raise NothingToDraw("the test plates do not differ in height")
    metrics = ["psnr", "plate_correct"] if results.has_readings else ["psnr"]
    data = frame(results, rows, metrics)
    looks = style.row_looks(results.competitors)
    with style.style():
        figure, panels = style.new_figure(style.PAGE, max(3.0, 0.9 + 0.128 * len(rows)), len(metrics))
        width = style.label_width([style.label(row) for row in rows])
        style.place(figure, panels, 0.53, width, 0.42, 0.24)
        for axes, metric in zip(panels, metrics, strict=True):
            _panel(axes, rows, data[data["metric"] == metric], metric, looks)
    return Drawing(
        data=data,
        caption=caption(results, data),
        conditions=[conventions.data(results), conventions.ocr(results)],
        figure=figure,
    )


def groups(heights: pd.Series) -> pd.Series:
    """The group of each plate, counted from 0: a group is full when it has its share of the plates.

    (Quantiles would not do: two thirds of small plates are all 64 px high.)
    """
    group = size = 0
    group_of: dict[Any, int] = {}
    for height, count in heights.value_counts().sort_index().items():
        if size >= len(heights) / GROUPS:
            group, size = group + 1, 0
        group_of[height] = group
        size += count
    return heights.map(group_of)


def frame(results: Results, rows: list[Row], metrics: list[str]) -> pd.DataFrame:
    """One line a (metric, method, group): mean height, number of plates, score in the unit of tables."""
    group_of = groups(results.plates["height"])
    lines = []
    for metric in metrics:
        kind = METRICS[metric]
        for row in rows:
            plates = results.plates_of(row)
            for group, mine in plates.groupby(group_of.loc[plates.index]):
                values = mine[metric].replace([np.inf, -np.inf], np.nan).dropna()
                score = kind.factor * getattr(values, kind.statistic)() if len(values) else math.nan
                line = {"metric": metric, "method": row.name, "group": group, "height": mine["height"].mean()}
                lines.append({**line, "plates": len(values), "score": score})
    return pd.DataFrame(lines)


def _panel(axes: Axes, rows: list[Row], data: pd.DataFrame, metric: str, looks: dict[str, Look]) -> None:
    kind = METRICS[metric]
    axes.set(xlabel="plate height (px), mean of the group", ylabel=f"{kind.statistic} ({kind.unit})", title=kind.label)
    labels = []
    for row in rows:
        mine, look = data[data["method"] == row.name], looks[row.name]
        axes.plot(mine["height"], mine["score"], color=look.colour, ls=look.dash, marker=look.marker, mec="white")
        scored = mine[mine["score"].notna()]
        if len(scored):
            end = scored.iloc[-1]
            labels.append(Label(float(end["height"]), float(end["score"]), style.label(row), look.colour))
    axes.margins(x=0.03)
    axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())  # labels are placed by the final limits
    style.label_right(axes, labels)


def caption(results: Results, data: pd.DataFrame) -> list[str]:
    """What is drawn, and how many plates stand behind a point."""
    first = data[(data["metric"] == "psnr") & (data["method"] == data["method"].iloc[0])]
    sizes = ", ".join(f"{int(n)}" for n in first["plates"])
    return [
        f"Test plates in {text.plural(len(first), 'group')} by the height of the HR plate ({sizes} plates, seeds "
        "pooled; plates grown to 64 px are in the first). A median over all plates depends on how many of them are "
        "large; this does not.",
        *conventions.marks(results),
    ]
