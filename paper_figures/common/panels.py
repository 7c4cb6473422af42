"""Panels in rows and columns, in blocks with a heading, with room right of each for its labels."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from paper_figures.common import style

LEFT, BOTTOM, TOP = 0.56, 0.42, 0.26
"""Inches beside every panel for its axis, below it, and above it for its title."""
HEADING = 0.24
"""Inches above a block for its heading."""


def blocks(
    headings: Sequence[str], rows: int, columns: int, right: float, height: float, width: float = style.PAGE
) -> tuple[Figure, list[list[list[Axes]]]]:
    """A figure of one block a heading, each of ``rows`` × ``columns`` panels: axes by block, row and column.

    ``height`` is a panel's own, ``right`` the room for labels, both in inches. An empty heading takes no room.
    """
    block = rows * (height + TOP + BOTTOM)
    total = sum(block + (HEADING if heading else 0.0) for heading in headings)
    figure = Figure(figsize=(width, total))
    panel = width / columns
    drawn: list[list[list[Axes]]] = []
    upper = total
    for heading in headings:
        if heading:
            figure.text(0.06 / width, (upper - 0.06) / total, heading, va="top", weight="bold", size=style.FONT + 0.5)
            upper -= HEADING
        drawn.append([])
        for _ in range(rows):
            y = upper - TOP - height
            boxes = [((i * panel + LEFT) / width, y / total) for i in range(columns)]
            size = ((panel - LEFT - right) / width, height / total)
            drawn[-1].append([figure.add_axes((*box, *size)) for box in boxes])
            upper = y - BOTTOM
    return figure, drawn
