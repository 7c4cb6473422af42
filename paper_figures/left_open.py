"""What the paper leaves open, and what we chose: a table that does not depend on results."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from paper_figures.common import paper
from paper_figures.common.drawing import Drawing
from paper_figures.common.results import Results
from paper_figures.common.tables import Cell, Column, Table

NAME = "left_open"
TITLE = "What the paper leaves open, and what we chose"
NEEDS = "table1"

FILE = Path(paper.__file__).with_name("paper_left_open.csv")
"""Columns ``about,item,choice,option``: part of the table, what is not stated, what is done here by default, and what
changes it."""
_HEADERS = {"item": "The paper does not state", "choice": "Here", "option": "Changed by"}


def draw(results: Results) -> Drawing:
    """The table of :data:`FILE`, whatever the results."""
    data = items()
    caption = [
        f"Paper: {paper.CITATION}. Nothing in this table is a statement of the paper's. What a run was made with "
        "stands in its own conditions."
    ]
    return Drawing(
        data=data, caption=caption, tables=[_table(str(about), part) for about, part in data.groupby("about")]
    )


def _table(about: str, part: pd.DataFrame) -> Table:
    columns = [Column(title, [Cell(cell) for cell in part[name]], prose=True) for name, title in _HEADERS.items()]
    return Table(about, columns)


def items() -> pd.DataFrame:
    """What is left open, one line an item, all cells text."""
    return pd.read_csv(FILE, dtype=str, keep_default_na=False)
