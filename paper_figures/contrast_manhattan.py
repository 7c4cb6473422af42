"""Fig. 11: PSNR contrast between PECL with the Manhattan distance and MSE alone."""

from __future__ import annotations

from paper_figures.common.contrast import draw_contrast
from paper_figures.common.drawing import Drawing
from paper_figures.common.results import Results

NAME = "contrast_manhattan"
TITLE = "PSNR contrast, Manhattan distance (the paper's Fig. 11)"
NEEDS = "ablation"


def draw(results: Results) -> Drawing:
    """One curve a dimension; see :mod:`paper_figures.common.contrast`."""
    return draw_contrast(results, "manhattan")
