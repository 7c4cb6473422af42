"""Fig. 9: reading scores over the dimension of the embedding, for both distances."""

from __future__ import annotations

import pandas as pd

from benchmark.scoring.metrics import SECOND
from paper_figures.common import conventions, style
from paper_figures.common.dimensions import LEVEL, frame, intervals, panel
from paper_figures.common.drawing import Drawing, NothingToDraw
from paper_figures.common.grid import MSE, Grid, grids, remarks
from paper_figures.common.panels import blocks
from paper_figures.common.results import Results

NAME = "ablation_reading"
TITLE = "Reading over embedding dimension and distance (the paper's Fig. 9)"
NEEDS = "ablation"

SHOWN = ("confidence", "plate_correct")


def draw(results: Results) -> Drawing:
    """Left: mean OCR confidence. Right: plates read completely. One row per OCR engine, one block per grid."""
    ablations = grids(results)
    scored = {metric for grid in ablations for row in grid.rows for metric in row.scores}
    suffixes = [suffix for suffix in ("", SECOND) if scored & {metric + suffix for metric in SHOWN}]
    if not suffixes:
        raise NothingToDraw("no plate of the ablation was read by an OCR engine")
    data = frame(results, ablations, [metric + suffix for suffix in suffixes for metric in SHOWN], (LEVEL,))
    with style.style():
        right = style.label_width([MSE + "†‡", "Manhattan"])
        figure, axes = blocks([grid.heading for grid in ablations], len(suffixes), len(SHOWN), right, 1.25)
        for grid, block in zip(ablations, axes, strict=True):
            for suffix, row in zip(suffixes, block, strict=True):
                for metric, ax in zip(SHOWN, row, strict=True):
                    panel(ax, grid, data, metric + suffix, LEVEL)
            for ax in block[-1]:
                ax.set_xlabel("dimension d of the embedding")
    return Drawing(
        data=data,
        caption=caption(results, ablations, data),
        conditions=[
            conventions.ocr(results),
            conventions.budget(results),
            conventions.data(results),
            conventions.selection(results),
        ],
        figure=figure,
    )


def caption(results: Results, ablations: list[Grid], data: pd.DataFrame) -> list[str]:
    """What is drawn, what was resampled, who read, and the conditions."""
    return [
        "Mean over the test plates of the OCR confidence (the paper's OCR ρ), and the share of plates read completely, "
        "by dimension of the embedding, for PECL with the Euclidean and the Manhattan distance; dashed grey: the same "
        "network trained with the pixel loss alone. Confidence is not accuracy. Of its Fig. 9 the "
        "paper's text gives no numbers. Medians are in the CSV file.",
        intervals(data),
        *remarks(ablations),
        *conventions.marks(results),
    ]
