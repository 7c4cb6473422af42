"""Fig. 6: best PSNR against iterations to reach it, and the validation curves."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import methods
from paper_figures.common import conventions, paper, style
from paper_figures.common.drawing import Drawing, NothingToDraw
from paper_figures.common.panels import BOTTOM, LEFT, TOP
from paper_figures.common.paper import PaperValue
from paper_figures.common.results import Results, Row
from paper_figures.common.style import Label, Look

NAME = "convergence"
TITLE = "Convergence (the paper's Fig. 6)"
NEEDS = "table1"

BASELINE = "bicubic"
BELOW = 3.0
"""The curves' axis starts at most this far (dB) below the least of the methods' best: they begin far lower."""


def draw(results: Results) -> Drawing:
    """Above: validation PSNR along training. Below: median test PSNR where a method was best, ours and the paper's."""
    rows = [row for row in results.competitors if row.trained and math.isfinite(row.scores["psnr"].median)]
    rows = [row for row in rows if not results.is_end(row.name)]  # the point is where a training was best
    if not rows:
        raise NothingToDraw("no trained method has a result")
    looks = style.row_looks(results.competitors)
    names = [*(style.label(row) for row in rows), *(label.name for label in _paper_labels())]
    with style.style():
        right = style.label_width(names)
        line = max(1.9, 0.128 * (len(rows) + 1))
        figure = Figure(figsize=(style.PAGE, 2 * (line + BOTTOM + TOP)))
        height = figure.get_size_inches()[1]

        def panel(x: float, y: float, width: float) -> Axes:
            return figure.add_axes((x / style.PAGE, y / height, width / style.PAGE, line / height))

        half = style.PAGE / 2
        _curves(panel(LEFT, height - TOP - line, style.PAGE - LEFT - right), rows, results, looks)
        _scatter(panel(LEFT, BOTTOM, half - LEFT - right), rows, results, looks)
        _paper(panel(half + LEFT, BOTTOM, half - LEFT - right), results)
    return Drawing(
        data=frame(results, rows),
        caption=caption(results, rows),
        conditions=[conventions.budget(results), conventions.data(results), conventions.selection(results)],
        figure=figure,
    )


def _curves(axes: Axes, rows: list[Row], results: Results, looks: dict[str, Look]) -> None:
    part = results.selected_on
    axes.set(title="Training", xlabel="iteration", ylabel=f"mean PSNR on {part} plates (dB)")
    history = _trained(results)
    labels: list[Label] = []
    tops: list[tuple[float, float]] = []
    for row in rows:
        mine = history[history["method"] == (row.of or row.name)]
        curve = mean_curve(mine)
        if not curve.notna().any():
            continue
        look = looks[row.name]
        if len(row.seeds) > 1:
            for _, of_seed in mine.groupby("seed"):
                axes.plot(of_seed["iteration"], of_seed["val_psnr"], color=look.colour, lw=0.5, alpha=0.5)
        axes.plot(curve.index, curve, color=look.colour, ls=look.dash)
        best = curve[curve == curve.max()].head(1)
        axes.plot(best.index, best, marker=look.marker, color=look.colour, mec="white", ls="", clip_on=False, zorder=3)
        last = curve.dropna()
        at_end = next((other for other in results.rows if other.name == row.of), row)  # where the curve and label end
        labels.append(Label(float(last.index[-1]), float(last.iloc[-1]), style.label(at_end), look.colour))
        tops.append((float(curve.min()), float(curve.max())))
    if not labels:
        axes.text(0.5, 0.5, "no validations stored", transform=axes.transAxes, ha="center", color=style.GREY)
        return
    low = max(min(low for low, _ in tops), min(high for _, high in tops) - BELOW)
    high = max(high for _, high in tops)
    axes.set_ylim(low - 0.05 * (high - low) - 0.1, high + 0.08 * (high - low) + 0.1)
    style.iteration_axis(axes, max(1.0, float(history["iteration"].min())), float(history["iteration"].max()) * 1.03)
    labels += _baseline(axes, methods.get(BASELINE).title, _validated(results, BASELINE))
    style.label_right(axes, labels)


def _validated(results: Results, name: str) -> float:
    """Validation PSNR of a method that is not trained; NaN if none is stored."""
    mine = results.history.loc[results.history["method"] == name, "val_psnr"]
    return float(mine.iloc[-1]) if len(mine) else math.nan


def _baseline(axes: Axes, title: str, level: float) -> list[Label]:
    """A dashed line at the level of what is not trained, if it lies within the axis, and its label."""
    if not axes.get_ylim()[0] < level < axes.get_ylim()[1]:
        return []
    axes.axhline(level, color=style.GREY, lw=0.9, ls=(0, (4, 2)), zorder=1)
    return [Label(axes.get_xlim()[1], level, style.shorten(title), style.GREY)]


def _trained(results: Results) -> pd.DataFrame:
    """The history without iteration 0, which a log axis cannot show."""
    return results.history[results.history["iteration"] > 0]


def mean_curve(history: pd.DataFrame) -> pd.Series:
    """Validation PSNR by iteration, averaged over seeds; NaN where a seed has no number."""
    table = history.pivot_table(index="iteration", columns="seed", values="val_psnr", dropna=False)
    return table.mean(axis=1, skipna=False)


def _scatter(axes: Axes, rows: list[Row], results: Results, looks: dict[str, Look]) -> None:
    axes.set(
        xlabel="iterations to the best", ylabel="median PSNR on test plates (dB)", title="Ours: test, best weights"
    )
    points = [(row, max(1.0, row.best_iteration or 0.0), row.scores["psnr"].median) for row in rows]
    ys = [y for *_, y in points]
    baseline = results.row(BASELINE)
    level = baseline.scores["psnr"].median if baseline else math.nan
    everything = [*ys, level] if math.isfinite(level) else ys
    span = max(max(everything) - min(everything), 0.5)
    axes.set_ylim(min(everything) - 0.1 * span, max(everything) + 0.1 * span)
    budget = max(row.iterations for row in rows)
    style.iteration_axis(axes, min(x for _, x, _ in points) / 1.6, budget * 1.15)
    labels = _baseline(axes, methods.get(BASELINE).title, level)
    for row, x, y in points:
        look = looks[row.name]
        if min(row.best_iterations) < max(row.best_iterations):
            ends = max(1, min(row.best_iterations)), max(1, *row.best_iterations)
            axes.plot(ends, (y, y), color=look.colour, lw=0.8, marker="|", mew=0.8)
        axes.plot(x, y, marker=look.marker, color=look.colour, mec="white", ls="", clip_on=False, zorder=3)
        labels.append(Label(x, y, style.label(row), look.colour))
    style.label_right(axes, labels)


def printed() -> list[tuple[str, PaperValue, PaperValue]]:
    """Method, iterations to the best and PSNR in dB, of those whose iterations the paper's text gives."""
    rows = [(name, paper.value(name, "best_iteration"), paper.value(name, "psnr")) for name in methods.names("table1")]
    return [(name, best, psnr) for name, best, psnr in rows if best is not None and psnr is not None]


def _paper(axes: Axes, results: Results) -> None:
    """The paper's own points, beside ours on a separate axis, because its budget differs."""
    axes.set(title="The paper's", xlabel="iterations to the best", ylabel="median PSNR on test plates (dB)")
    points = printed()
    style.iteration_axis(axes, 0.7 * min(best.value for _, best, _ in points), 1.15 * paper.ITERATIONS)
    bicubic = paper.value(BASELINE, "psnr")
    values = [psnr.value for *_, psnr in points] + ([bicubic.value] if bicubic else [])
    span = max(values) - min(values)
    axes.set_ylim(min(values) - 0.1 * span, max(values) + 0.1 * span)
    labels = _baseline(axes, methods.get(BASELINE).title, bicubic.value) if bicubic else []
    for _, best, psnr in points:
        style.paper_mark(axes, best.value, psnr.value)
    style.label_right(axes, [*labels, *_paper_labels()])


def _paper_labels() -> list[Label]:
    return [
        Label(best.value, psnr.value, f"{methods.get(name).title} {best.text}", style.PAPER)
        for name, best, psnr in printed()
    ]


def frame(results: Results, rows: list[Row]) -> pd.DataFrame:
    """All panels' numbers in one long table: ``panel`` is ``validation``, ``test`` or ``paper``."""
    columns = ["method", "seed", "iteration", "val_psnr"]
    curves = results.history[results.history["method"].isin([row.of or row.name for row in rows])][columns]
    curves = curves.rename(columns={"val_psnr": "psnr"}).assign(panel="validation")
    baseline = results.row(BASELINE)
    points = pd.DataFrame(
        [
            {"panel": "test", "method": row.name, "seed": "pooled" if len(row.seeds) > 1 else row.seeds[0],
             "iteration": row.best_iteration, "psnr": row.scores["psnr"].median}
            for row in [*rows, *([baseline] if baseline else [])]
        ]
    )  # fmt: skip
    theirs = pd.DataFrame(
        [{"panel": "paper", "method": name, "iteration": best.value, "psnr": psnr.value}
         for name, best, psnr in printed()]
    )  # fmt: skip
    return pd.concat([points, curves, theirs], ignore_index=True)[["panel", "method", "seed", "iteration", "psnr"]]


def caption(results: Results, rows: list[Row]) -> list[str]:
    """Caption sentences: what is drawn, and the conditions of the run."""
    sentences = [
        "Above: mean PSNR of the plates that choose the weights, during training, and the best of it (marker). The "
        "axis is logarithmic and leaves out iteration 0, the untrained networks; it may cut off how curves begin.",
        "Below, left: median PSNR on the test plates against the iteration of the best weights. A method at the right "
        "edge was still improving when the budget ended. Dashed: bicubic interpolation. Right: the paper's points, as "
        "far as its text gives the iterations: for SRCNN and for PECL it gives none (PECL behaves like the group at "
        "≈900k, SRCNN is the exception). PSNR is from its Table 1.",
    ]
    if len(results.seeds) > 1:
        sentences.append(
            "Thin lines are single seeds, thick lines their mean; below the plates of all seeds are pooled, and "
            "bars span the seeds' iterations."
        )
    never = [row.title for row in rows if row.best_iteration == 0]
    if never:
        sentences.append(f"Never better than untrained, so drawn at iteration 1: {', '.join(never)}.")
    if not np.isfinite(_trained(results)["val_psnr"]).all():
        sentences.append("Gaps are validations whose PSNR is not a number.")
    return [*sentences, *conventions.marks(results)]
