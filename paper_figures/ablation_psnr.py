"""Fig. 8: PSNR and PSNR_Y over the dimension of the embedding, for both distances."""

from __future__ import annotations

import math

import pandas as pd

from paper_figures.common import conventions, paper, style
from paper_figures.common.dimensions import DIFFERENCE, LEVEL, frame, intervals, label_room, panel
from paper_figures.common.drawing import Drawing
from paper_figures.common.grid import Grid, grids, remarks
from paper_figures.common.panels import blocks
from paper_figures.common.results import Results

NAME = "ablation_psnr"
TITLE = "PSNR over embedding dimension and distance (the paper's Fig. 8)"
NEEDS = "ablation"

SHOWN = ("psnr", "psnr_y")


def draw(results: Results) -> Drawing:
    """Above: mean scores. Below: mean of the differences to MSE alone, plate by plate. A block a grid."""
    ablations = grids(results)
    quantities = (LEVEL, DIFFERENCE) if any(grid.mse for grid in ablations) else (LEVEL,)
    metrics = [metric for metric in SHOWN if any(metric in row.scores for grid in ablations for row in grid.rows)]
    data = frame(results, ablations, metrics, quantities)
    data["paper"] = [_paper(*cell) for cell in data[["metric", "quantity", "distance", "dimension"]].to_numpy()]
    with style.style():
        right = label_room()
        figure, axes = blocks([grid.heading for grid in ablations], len(quantities), len(metrics), right, 1.25)
        for grid, block in zip(ablations, axes, strict=True):
            for quantity, row in zip(quantities, block, strict=True):
                for metric, ax in zip(metrics, row, strict=True):
                    panel(ax, grid, data, metric, quantity)
            for ax in block[-1]:
                ax.set_xlabel("dimension d of the embedding")
    return Drawing(
        data=data,
        caption=caption(results, ablations, data),
        conditions=[conventions.budget(results), conventions.data(results), conventions.selection(results)],
        figure=figure,
    )


def _paper(metric: str, quantity: str, distance: str, dimension: int) -> float:
    """The mean that the paper's text gives for this cell, dB; NaN if it gives none."""
    printed = paper.ablation().get((metric, distance, dimension)) if quantity == LEVEL else None
    return printed.value if printed else math.nan


def caption(results: Results, ablations: list[Grid], data: pd.DataFrame) -> list[str]:
    """What is drawn, what was resampled, and the conditions."""
    lower = (
        " Lower panels: the mean of its differences to MSE alone on the same plates, whose intervals are narrower, as "
        "the differences between plates drop out; an interval that spans zero shows no difference."
    )
    return [
        "Mean score over the test plates, by dimension of the embedding, for PECL with the Euclidean and the Manhattan "
        "distance; dashed grey: the same network trained with the pixel loss alone."
        + (lower if DIFFERENCE in set(data["quantity"]) else "")
        + " Hollow diamonds, or arrows where they lie outside of the axis: what the paper's text gives at d = 512 (of "
        "PSNR_Y it gives the maximum over d); of the pixel loss alone it gives no number. Medians are in the CSV file.",
        intervals(data),
        *remarks(ablations),
        *conventions.marks(results),
    ]
