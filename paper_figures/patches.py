"""Figure 5 of the paper: pairs of HR and LR training patches."""

from __future__ import annotations

import numpy as np

from paper_figures.common import conventions, pictures, samples, style
from paper_figures.common.drawing import Drawing, NothingToDraw
from paper_figures.common.pictures import Block, Tile
from paper_figures.common.results import Results

NAME = "patches"
TITLE = "Training patches (the paper's Fig. 5)"
NEEDS = "table1"
PICTURES = True


def draw(results: Results) -> Drawing:
    """HR patches, and below each its LR patch."""
    data = samples.training_examples(results, "patches.csv", ("hr", "lr", "iteration", "position"))
    lost: list[str] = []
    high, low = ([_picture(results, file, lost) for file in data[column]] for column in ("hr", "lr"))
    if all(pixels is None for pixels in high):
        raise NothingToDraw(lost[0])
    blocks = [
        Block([Tile(pixels, blocks=True) for pixels in high], f"HR{_size(high)}"),
        Block([Tile(pixels, blocks=True) for pixels in low], f"LR{_size(low)}, pixels enlarged"),
    ]
    with style.style():
        figure = pictures.draw(blocks, columns=len(data), tallest=1.0)
    return Drawing(
        data=data,
        caption=caption(results, lost),
        conditions=[conventions.data(results)],
        figure=figure,
    )


def _picture(results: Results, file: str, lost: list[str]) -> np.ndarray | None:
    try:
        return samples.training_example(results, file)
    except NothingToDraw as reason:
        lost.append(str(reason))
        return None


def _size(images: list[np.ndarray | None]) -> str:
    sizes = {f", {pixels.shape[1]}×{pixels.shape[0]} px" for pixels in images if pixels is not None}
    return sizes.pop() if len(sizes) == 1 else ""


def caption(results: Results, lost: list[str]) -> list[str]:
    """Where the patches come from."""
    return [
        "The first training patches of seed 0, which every method sees in the same order (the CSV has the iteration, "
        "and the place in its batch): random windows of HR plates, not flipped or turned, and their LR patches.",
        conventions.degradation(results).replace("plates", "patches"),
        pictures.NOTICE,
        *pictures.not_shown(lost),
    ]
