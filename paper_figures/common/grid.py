"""The cells of the ablation, found among a run's results by the options they were trained with."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from paper_figures.common import text
from paper_figures.common.drawing import NothingToDraw
from paper_figures.common.results import Results, Row

FAMILY = "pecl"
DISTANCES = ("euclidean", "manhattan")
DIMENSIONS = (64, 128, 256, 512)
MSE = "MSE alone"

_PINNED: dict[str, dict[str, Any]] = {
    "attract": {"network": "paper", "term": "attract", "weights": "fixed", "embedder": "frozen"},
    "printed": {"network": "paper", "term": "printed", "weights": "learned", "embedder": "frozen"},
}
# What a grid's cells may differ in, and what its term does not use.
_FREE: dict[str, set[str]] = {
    "attract": {"distance", "dimension", "margin"},
    "printed": {"distance", "dimension", "w_contrastive"},
}
_TITLES = {"attract": "As described", "printed": "As printed"}
_MEANINGS = {"attract": "embeddings drawn together, fixed weights", "printed": "Eq. 17, learned weights"}


@dataclass(frozen=True)
class Grid:
    """One term's cells by (distance, dimension), and the training with the pixel loss alone.

    ``others`` holds the rows that lie in the grid by distance and dimension, but were trained with other options
    than most cells (another weight, embedder, …), or a second time.
    """

    term: str
    mse: Row | None
    cells: dict[tuple[str, int], Row]
    others: list[Row] = field(default_factory=list)

    @property
    def heading(self) -> str:
        """Heading of the grid in a figure: title and what its term means."""
        return f"{self.title}: {_MEANINGS[self.term]}"

    @property
    def title(self) -> str:
        """Short title of the grid."""
        return _TITLES[self.term]

    @property
    def rows(self) -> list[Row]:
        """The rows that have results: MSE first, then Euclidean and Manhattan by dimension."""
        return [row for _, row in self.places if row is not None]

    @property
    def places(self) -> list[tuple[str, Row | None]]:
        """All nine names, each with its row or None."""
        cells = [(label(*key), self.cells.get(key)) for key in keys()]
        return [(MSE, self.mse), *cells]


def keys() -> list[tuple[str, int]]:
    """(distance, dimension) of all eight cells, in the order of tables."""
    return [(distance, dimension) for distance in DISTANCES for dimension in DIMENSIONS]


def label(distance: str, dimension: int) -> str:
    return f"{distance.capitalize()}, d = {dimension}"


def grids(results: Results) -> list[Grid]:
    """The ablation, and after it the same with the printed term, as far as they are there.

    A single training with the printed term is a reading of PECL, not an ablation, and is left out. Raises
    NothingToDraw where there is nothing to compare: fewer than two of nine rows.
    """
    ablations = [grid for term in _PINNED if (grid := find(results, term)) is not None]
    if not ablations:
        raise NothingToDraw("fewer than two of the ablation's nine trainings have a result")
    return ablations


def find(results: Results, term: str) -> Grid | None:
    """The grid of that term, ``attract`` or ``printed``; None where fewer than two of its rows are there."""
    rows = [row for row in results.rows if row.family == FAMILY and row.groups != ("sweep",)]
    rows.sort(key=lambda row: not row.only_ablation)  # of two equal trainings the one made for the grid
    mse = [row for row in rows if row.options.get("term") == "none" and row.options.get("network") == "paper"]
    mine = [row for row in rows if _PINNED[term].items() <= row.options.items() and _key(row) in keys()]
    usual = Counter(_rest(row, term) for row in mine).most_common(1)
    cells: dict[tuple[str, int], Row] = {}
    others = mse[1:]
    for row in mine:
        if _rest(row, term) == usual[0][0] and _key(row) not in cells:
            cells[_key(row)] = row
        else:
            others.append(row)
    enough = len(cells) > 1 or (term == "attract" and bool(cells) and bool(mse))
    return Grid(term, mse[0] if mse else None, cells, others) if enough else None


def _key(row: Row) -> tuple[str, int]:
    return row.options.get("distance", ""), row.options.get("dimension", 0)


def _rest(row: Row, term: str) -> str:
    """The options that all cells of a grid must share, as one text."""
    fixed = {name: value for name, value in row.options.items() if name not in _FREE[term]}
    return repr(sorted(fixed.items()))


def confound(grid: Grid) -> str:
    """Why an effect of the dimension is not one of the dimension alone."""
    if grid.term == "attract":
        return (
            "Unit vectors' Manhattan distance D grows as the root of d, so D² grows as d: one fixed weight for all "
            "cells makes the contrastive term count for more at larger d, and an effect of the dimension is also one "
            "of the weight. Their Euclidean distance does not grow with d."
        )
    margin = next(iter(grid.cells.values())).options.get("margin", math.nan)
    return (
        f"The printed hinge max(m − D, 0)² has the same margin m = {margin:g} at every d, while unit vectors' "
        "Manhattan distance D grows as the root of d: the larger d, the sooner the hinge falls silent (D ≥ m) and "
        "leaves the pixel loss alone, so an effect of the dimension cannot be told from one of the margin. Their "
        "Euclidean distance is at most 2 at any d."
    )


def remarks(ablations: list[Grid], distances: tuple[str, ...] = DISTANCES) -> list[str]:
    """Sentences for captions: the confound, what is missing of these distances, and what was left out."""
    sentences = [confound(grid) for grid in ablations]
    for grid in ablations:
        where = f" ({grid.heading[0].lower()}{grid.heading[1:]})" if len(ablations) > 1 else ""
        missing = [label(*key) for key in keys() if key[0] in distances and key not in grid.cells]
        if grid.mse is None:
            missing.insert(0, MSE)
        if missing:
            sentences.append(f"No result, so a gap{where}: {'; '.join(missing)}.")
        if grid.others:
            names = ", ".join(text.one_line(row.title) for row in grid.others)
            sentences.append(
                f"Left out{where}, as trained with other options than most cells, or as a second training of a cell: "
                f"{names}."
            )
    return sentences
