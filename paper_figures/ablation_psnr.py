"""Fig. 8: PSNR and PSNR_Y over the dimension of the embedding, for both distances."""

from __future__ import annotations

import pandas as pd

from paper_figures.common import conventions, style
from paper_figures.common.dimensions import DIFFERENCE, LEVEL, frame, intervals, panel
from paper_figures.common.drawing import Drawing
from paper_figures.common.grid import MSE, Grid, grids, remarks
from paper_figures.common.panels import blocks
from paper_figures.common.results import Results

NAME = "ablation_psnr"
TITLE = "PSNR over embedding dimension and distance (the paper's Fig. 8)"
NEEDS = "ablation"

SHOWN = ("psnr", "psnr_y")


def draw(results: Results) -> Drawing:
    """Above: mean scores. Below: mean of the differences to MSE alone, plate by plate. A block a grid."""
    found = grids(results)
    quantities = (LEVEL, DIFFERENCE) if any(grid.mse for grid in found) else (LEVEL,)
    metrics = [metric for metric in SHOWN if any(metric in row.scores for grid in found for row in grid.rows)]
    data = frame(results, found, metrics, quantities)
    with style.style():
        right = style.label_width([MSE + "†‡", "Manhattan"])
        figure, axes = blocks([grid.heading for grid in found], len(quantities), len(metrics), right, 1.25)
        for grid, block in zip(found, axes, strict=True):
            for quantity, row in zip(quantities, block, strict=True):
                for metric, one in zip(metrics, row, strict=True):
                    panel(one, grid, data, metric, quantity)
            for one in block[-1]:
                one.set_xlabel("dimension d of the embedding")
    return Drawing(
        data=data,
        caption=caption(results, found, data),
        conditions=[conventions.budget(results), conventions.data(results), conventions.selection(results)],
        figure=figure,
    )


def caption(results: Results, found: list[Grid], data: pd.DataFrame) -> list[str]:
    """What is drawn, what was resampled, and the conditions."""
    lower = (
        " Lower panels: the mean of its differences to MSE alone on the same plates, whose intervals are narrower, as "
        "the differences between plates drop out; an interval that spans zero is no difference."
    )
    return [
        "Mean score over the test plates, by dimension of the embedding, for PECL with the Euclidean and the Manhattan "
        "distance; dashed grey: the same network trained with the pixel loss alone."
        + (lower if DIFFERENCE in set(data["quantity"]) else "")
        + " Medians are in the CSV file.",
        intervals(data),
        *remarks(found),
        *conventions.marks(results),
    ]
