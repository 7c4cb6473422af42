"""Figure 7 of the paper: test plates as every method upscales them, with PSNR and the text that the OCR engine read."""

from __future__ import annotations

from paper_figures.common import side_by_side
from paper_figures.common.drawing import Drawing, NothingToDraw
from paper_figures.common.results import Results
from paper_figures.common.side_by_side import Column

NAME = "qualitative"
TITLE = "Test plates as each method shows them (the paper's Fig. 7)"
NEEDS = "table1"
PICTURES = True


def draw(results: Results) -> Drawing:
    """The methods of Table 1 in its order, and methods of the reader's own, between LR and HR."""
    rows = [row for row in results.competitors if NEEDS in row.groups or not row.groups]
    if not rows:
        raise NothingToDraw("no method of Table 1 has a result")
    start = "Test plates: LR (its pixels enlarged), the output of each method, and HR."
    return side_by_side.draw(results, [Column(row, row.title) for row in rows], start)
