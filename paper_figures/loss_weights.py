"""What becomes of PECL's two losses: the pixel loss's weight, and the distance of the embeddings."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from paper_figures import conventions, style
from paper_figures.drawing import Drawing, NothingToDraw
from paper_figures.results import Results, Row
from paper_figures.style import Label, Look

NAME = "loss_weights"
TITLE = "Weights and terms of PECL's loss during training"
NEEDS = "readings"

COLUMNS = ("w_pixel", "w_contrastive", "pixel", "contrastive", "distance", "dead_gradient")
"""What methods with PECL's loss write to their history."""


def draw(results: Results) -> Drawing:
    """Left: weight of the pixel loss along training. Right: embedding distance of SR and HR patches."""
    history = results.history
    if any(column not in history for column in COLUMNS):
        raise NothingToDraw("no result has PECL's two losses in its history")
    history = history[history["w_pixel"].notna() & (history["iteration"] > 0)]
    rows = [row for row in results.rows if row.name in set(history["method"])]
    if not rows:
        raise NothingToDraw("no result has PECL's two losses in its history")
    looks = style.row_looks(results.competitors)
    with style.style():
        figure, (left, right) = style.new_figure(style.PAGE, max(2.6, 0.9 + 0.128 * len(rows)), 2)
        width = style.label_width([_name(row) for row in rows])
        style.place(figure, (left, right), 0.53, width, 0.42, 0.24)
        left.set(title="Weight of the pixel loss", ylabel="w (pixel), 1 − w (contrastive)")
        left.set_ylim(-0.04, 1.04)
        right.set(title="Distance of the embeddings", ylabel="D(SR, HR), mean over the batch")
        for axes, column in ((left, "w_pixel"), (right, "distance")):
            _panel(axes, rows, history, column, looks)
    return Drawing(data=frame(history), caption=caption(results, rows, history), figure=figure)


def _panel(axes: Axes, rows: list[Row], history: pd.DataFrame, column: str, looks: dict[str, Look]) -> None:
    axes.set_xlabel("iteration")
    style.iteration_axis(axes, float(history["iteration"].min()), float(history["iteration"].max()) * 1.03)
    labels = []
    for row in rows:
        look, mine = looks[row.name], history[history["method"] == row.name]
        for _, one in mine.groupby("seed"):
            axes.plot(one["iteration"], one[column], color=look.colour, ls=look.dash)
            dead = one[one["dead_gradient"] == 1].head(1)
            axes.plot(dead["iteration"], dead[column], marker="X", color=look.colour, mec="white", ls="", zorder=3)
        last = mine[mine["iteration"] == mine["iteration"].max()]
        labels.append(Label(float(last["iteration"].iloc[0]), float(last[column].mean()), _name(row), look.colour))
    if column == "distance":
        axes.set_ylim(bottom=0)
    style.label_right(axes, labels)


def _name(row: Row) -> str:
    return style.shorten(row.title) + row.marks


def frame(history: pd.DataFrame) -> pd.DataFrame:
    """The numbers behind the figure, and both terms: one line a (method, seed, validation)."""
    return history[["method", "seed", "iteration", *COLUMNS]].reset_index(drop=True)


def caption(results: Results, rows: list[Row], history: pd.DataFrame) -> str:
    """What is drawn, and who got stuck."""
    dead = history[history["dead_gradient"] == 1].groupby("method")["iteration"].min()
    found = [
        "Left: weight of the pixel loss; the contrastive term has the rest. Right: distance of the embeddings of "
        "super-resolved and true patches, in the distance each method uses. Values are those of the training batch "
        "just before a validation; the axis is logarithmic.",
        *(
            f"{row.title} received no gradient at all at iteration {int(dead[row.name]):,} (cross)."
            for row in rows
            if row.name in dead
        ),
    ]
    return " ".join([*found, *conventions.marks(results), conventions.budget(results), conventions.data(results)])
