"""Who is missing, and why: methods of the literature that are not here. The table does not depend on results."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

import methods
from paper_figures.common.drawing import Drawing
from paper_figures.common.results import Results
from paper_figures.common.tables import Cell, Column, Table

NAME = "missing_methods"
TITLE = "Who is missing, and why"
NEEDS = "table1"

FILE = Path(methods.__file__).with_name("missing.csv")
"""Columns ``method,year,kind,why,facts``: a publication, its year, whether it is a network or a loss, why it is not
here in a few words, and what was found in its text or code."""
_HEADERS = {"method": "Publication", "year": "Year", "why": "Why it is not here", "facts": "What was found"}


def draw(results: Results) -> Drawing:
    """The table of :data:`FILE`, whatever the results."""
    data = missing()
    columns = [
        Column(title, [Cell(cell) for cell in data[name]], prose=name != "year") for name, title in _HEADERS.items()
    ]
    caption = [
        "Publications on plates or text that a reader may look for in Table 1. What is said of code was found by "
        "running it or in its source."
    ]
    return Drawing(data=data, caption=caption, tables=[Table("", columns)])


def missing() -> pd.DataFrame:
    """One line a publication, all cells text."""
    return pd.read_csv(FILE, dtype=str, keep_default_na=False)
