"""Fig. 10: PSNR contrast between PECL with the Euclidean distance and MSE alone."""

from __future__ import annotations

from paper_figures.common.contrast import draw_contrast
from paper_figures.common.drawing import Drawing
from paper_figures.common.results import Results

NAME = "contrast_euclidean"
TITLE = "PSNR contrast, Euclidean distance (the paper's Fig. 10)"
NEEDS = "ablation"


def draw(results: Results) -> Drawing:
    """One curve a dimension; see :mod:`paper_figures.common.contrast`."""
    return draw_contrast(results, "euclidean")
