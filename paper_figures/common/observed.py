"""What a claim's test observed, number by number: a small table beside the sentence that sums it up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from paper_figures.common.paired import Comparison, shown
from paper_figures.common.tables import Cell, Column, Table

STATED, REVERSED, TIED = "✓", "✗", "≈"
LEGEND = f"{STATED} as stated, {REVERSED} the other way round, {TIED} not told apart; in brackets 95 % intervals."


class Observed(NamedTuple):
    """A number: of what (a row of the table), in which score (a column), and the side it takes, if any."""

    what: str
    score: str
    value: str
    side: str = ""


def of_comparison(comparison: Comparison, what: str, score: str, side: str = "") -> Observed:
    """A paired difference with its interval."""
    return Observed(what, score, shown(comparison.interval, comparison.metric), side)


def table(title: str, observed: Sequence[Observed]) -> Table:
    """A row for each ``what``, a column for each score."""
    rows = list(dict.fromkeys(each.what for each in observed))
    cells = {(each.what, each.score): Cell(f"{each.value} {each.side}".rstrip()) for each in observed}
    scores = dict.fromkeys(each.score for each in observed)
    columns = [Column(score, [cells.get((row, score), Cell("")) for row in rows]) for score in scores]
    return Table(title, [Column("Observed", [Cell(row) for row in rows]), *columns])
