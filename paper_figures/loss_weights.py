"""What becomes of PECL's two losses: their weights, the terms, and the distance of the embeddings."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from paper_figures.common import conventions, loss_terms, style, text
from paper_figures.common.drawing import Drawing, NothingToDraw
from paper_figures.common.grid import DIMENSIONS, find
from paper_figures.common.loss_terms import COLUMNS
from paper_figures.common.panels import blocks
from paper_figures.common.results import Results, Row
from paper_figures.common.style import Label, Look

NAME = "loss_weights"
TITLE = "Weights and terms of PECL's loss during training"
NEEDS = "readings"

_PANELS = {
    "w_pixel": ("Weight of the pixel loss", "w (pixel), 1 − w (contrastive)"),
    "distance": ("Distance of the embeddings", "D(SR, HR), batch mean"),
    "pixel": ("Pixel term", "mean squared error"),
    "contrastive": ("Contrastive term", "unweighted"),
    "contrastive_share": ("Contrastive term's share of the loss", ""),
    "val_psnr": ("{} plates", "mean PSNR (dB)"),
}
DECADES = 6
"""The terms' log axes show at most so many decades; what is lower, zero too, lies on the lower edge."""


def draw(results: Results) -> Drawing:
    """One block for the readings of PECL, and one for the ablation with the printed term where it was run."""
    history = results.history
    if any(column not in history for column in COLUMNS):
        raise NothingToDraw("no result has PECL's two losses in its history")
    history = history[history["w_pixel"].notna() & (history["iteration"] > 0)]
    history = history.assign(contrastive_share=loss_terms.shares(history))
    named = _blocks(results, set(history["method"]))
    if not named:
        raise NothingToDraw("no result has PECL's two losses in its history")
    curves = [curve for block in named.values() for curve in block]
    shown = history[history["method"].isin([curve.row.name for curve in curves])]
    with style.style():
        right = style.label_width([curve.label for curve in curves])
        figure, grids_of_axes = blocks(list(named) if len(named) > 1 else [""], 3, 2, right, 1.45)
        for block, panels in zip(named.values(), grids_of_axes, strict=True):
            for axes, column in zip([axes for line in panels for axes in line], _PANELS, strict=True):
                _panel(axes, block, shown, column)
                axes.set_title(_PANELS[column][0].format(results.selected_on.capitalize()))
            for axes in panels[-1]:
                axes.set_xlabel("iteration")
    return Drawing(
        data=frame(shown),
        caption=caption(results, [curve.row for curve in curves], shown),
        conditions=[conventions.budget(results), conventions.data(results)],
        figure=figure,
    )


@dataclass(frozen=True)
class Curve:
    """A training, the name at its curve, and how it is drawn."""

    row: Row
    label: str
    look: Look


def _blocks(results: Results, trained: set[str]) -> dict[str, list[Curve]]:
    """The curves by heading, of the trainings with both losses.

    The ablation's cells have fixed weights, so that only ``pecl`` itself is drawn of them. The cells of the ablation
    with the printed term have a block of their own.
    """
    grids = [grid for term in ("attract", "printed") if (grid := find(results, term)) is not None]
    cells = {row.name for grid in grids for row in grid.rows if row.only_ablation}
    rows = [row for row in results.rows if row.name in trained and row.name not in cells]
    known = {row.name for row in results.competitors}
    looks = style.row_looks([*results.competitors, *(row for row in rows if row.name not in known)])
    blocks = {"Readings of PECL": [Curve(row, style.label(row), looks[row.name]) for row in rows]}
    for grid in grids:
        if grid.term == "printed":
            curves = [_cell(row, *key) for key, row in sorted(grid.cells.items()) if row.name in trained]
            blocks[f"The ablation {grid.heading[0].lower()}{grid.heading[1:]}"] = curves
    return {heading: curves for heading, curves in blocks.items() if curves}


def _cell(row: Row, distance: str, dimension: int) -> Curve:
    """A cell of a grid has the colour of its dimension and the dashes of its distance."""
    look = style.looks([str(d) for d in DIMENSIONS])[str(dimension)]
    dash = (0, (1.5, 1)) if distance == "euclidean" else "-"
    return Curve(row, f"{distance.capitalize()} {dimension}{row.marks}", Look(look.colour, look.marker, dash))


def _panel(axes: Axes, curves: list[Curve], history: pd.DataFrame, column: str) -> None:
    axes.set_ylabel(_PANELS[column][1])
    history = history[history["method"].isin([curve.row.name for curve in curves])]
    style.iteration_axis(axes, float(history["iteration"].min()), float(history["iteration"].max()) * 1.03)
    floor = _scale(axes, history[column], column)
    labels = []
    for curve in curves:
        look, mine = curve.look, history[history["method"] == curve.row.name]
        mine = mine.assign(**{column: mine[column].clip(lower=floor)})
        for _, of_seed in mine.groupby("seed"):
            few = "." if len(of_seed) <= 12 else ""
            axes.plot(of_seed["iteration"], of_seed[column], color=look.colour, ls=look.dash, marker=few)
            dead = of_seed[of_seed["dead_gradient"] == 1].head(1)
            axes.plot(
                dead["iteration"], dead[column], marker="X", ms=7, color=look.colour, mec="black", mew=0.6, ls="",
                zorder=4, clip_on=False,
            )  # fmt: skip
        last = mine.loc[mine["iteration"] == mine["iteration"].max()]
        end = float(last[column].mean())
        if math.isfinite(end):
            labels.append(Label(float(last["iteration"].iloc[0]), end, curve.label, look.colour))
    style.label_right(axes, labels)


def _scale(axes: Axes, values: pd.Series, column: str) -> float:
    """Set the panel's vertical axis; returns what its lower values are raised to."""
    top = float(values.max())
    if column == "w_pixel":
        axes.set_ylim(-0.04, 1.04)
    elif column == "val_psnr":
        low = float(values.min())
        margin = 0.05 * (top - low) or 1.0
        axes.set_ylim(low - margin, top + margin)
    elif column == "distance" or not top > 0.0 or math.isinf(top):
        axes.set_ylim(0.0, 1.1 * top if 0.0 < top < math.inf else 1.0)
    else:
        low = max(float(values[values > 0].min()), top * 10.0**-DECADES)
        if (values < low).any():
            low /= 2.0  # what lies on the edge lies below everything that does not
        axes.set_yscale("log")
        axes.set_ylim(low / 1.15, top * 1.4)
        axes.yaxis.set_major_locator(LogLocator(numticks=5))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        return low
    return -math.inf


def frame(history: pd.DataFrame) -> pd.DataFrame:
    """The numbers behind the figure: one line a (method, seed, validation)."""
    return history[["method", "seed", "iteration", *COLUMNS, "contrastive_share", "val_psnr"]].reset_index(drop=True)


def caption(results: Results, rows: list[Row], history: pd.DataFrame) -> list[str]:
    """What is drawn, whose weight ran out, and who got stuck."""
    sentences = [
        "Weight of the pixel loss (the contrastive term has the rest), distance of the embeddings of super-resolved "
        "and true patches, in the distance each method uses, the two terms before they are weighted, and the "
        "contrastive term's weighted part of the total; log axes, on which zero lies on the lower edge. Values are "
        "those of the training batch just before a validation; the last panel is that validation.",
        *_fates(rows, history),
    ]
    if any(len(row.seeds) > 1 for row in rows):
        sentences.append("Every seed has its own curve; iterations are those of the first seed that got there.")
    return [*sentences, *conventions.marks(results)]


def _fates(rows: list[Row], history: pd.DataFrame) -> list[str]:
    """Which learned weights ran out and whose gradient died, each with the first validation that shows it."""
    learned = history.groupby("method")["w_pixel"].transform("nunique") > 1
    events = {
        "The pixel loss has no weight left": learned & (history["w_pixel"] == 0.0),
        "The contrastive term has no weight left": learned & (history["w_contrastive"] == 0.0),
        "No gradient at all (cross)": history["dead_gradient"] == 1,
    }
    sentences = []
    for what, when in events.items():
        first = history[when].groupby("method")["iteration"].min()
        who = [f"{text.one_line(row.title)} {int(first[row.name]):,}" for row in rows if row.name in first]
        if who:
            sentences.append(f"{what}, first seen at iteration: {'; '.join(who)}.")
    return sentences
