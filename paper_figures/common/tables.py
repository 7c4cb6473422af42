"""A table as data, and the numbers behind one as CSV."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from paper_figures.common import text


@dataclass(frozen=True)
class Cell:
    """Plain text; ``rank`` 1 is the best, 2 the second best; ``marks`` are raised behind the text, and ``beneath`` is a
    second line that stands back behind it."""

    text: str = text.DASH
    rank: int = 0
    marks: str = ""
    beneath: str = ""


@dataclass(frozen=True)
class Column:
    """Numbers, or ``prose`` (sentences), or ``code`` (commands); ``grey`` ones stand back behind the others."""

    header: str
    cells: list[Cell]
    prose: bool = False
    code: bool = False
    grey: bool = False


@dataclass(frozen=True)
class Table:
    """Columns of equal length, the names of the rows first; a rule is drawn above the rows in ``rules``.

    ``narrow``: it fits one column of a two-column page.
    """

    title: str
    columns: list[Column]
    rules: tuple[int, ...] = ()
    narrow: bool = False

    @property
    def rows(self) -> list[tuple[Cell, ...]]:
        return list(zip(*(column.cells for column in self.columns), strict=True))


def ranks(values: Sequence[float | None], digits: int, higher_is_better: bool = True) -> list[int]:
    """1 for the best, 2 for the second best, else 0, of the numbers as they are shown.

    Numbers that look equal share a rank. Nothing is marked where fewer than two numbers, or
    only equal ones, are compared.
    """
    sign = 1 if higher_is_better else -1
    shown = [None if v is None or not math.isfinite(v) else sign * round(v, digits) for v in values]
    levels = sorted({v for v in shown if v is not None}, reverse=True)
    if len(levels) < 2:
        return [0] * len(shown)
    return [levels.index(v) + 1 if v in levels[:2] else 0 for v in shown]


def to_csv(data: pd.DataFrame) -> str:
    """The numbers behind a table or figure, with nothing in them that a spreadsheet would run."""
    words = {name: data[name].map(text.spreadsheet) for name in data.columns if data[name].dtype.kind not in "biuf"}
    shown = data.assign(**words).rename(columns=text.spreadsheet)
    return text.harmless(shown.to_csv(index=False, float_format="%.6g", lineterminator="\n"))
