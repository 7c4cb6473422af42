"""What a table or figure hands back: what is shown, and nothing of how. ``report/`` renders it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd
from matplotlib.figure import Figure

from paper_figures.common.tables import Table


@dataclass(frozen=True)
class Drawing:
    """One table or figure, in memory.

    ``data`` becomes the CSV behind it, ``figure`` a PDF and a PNG, ``tables`` Markdown and LaTeX. ``caption`` says what
    is shown, ``conditions`` how the numbers came about (which many captions share): plain sentences, of which empty
    ones are left out. ``footnotes`` are counted from 1: the marks of cells refer to them. ``folded`` are small tables
    that a page shows when asked, by the number of the line of ``data`` (from 1) that they belong to.
    """

    data: pd.DataFrame
    caption: Sequence[str]
    conditions: Sequence[str] = ()
    figure: Figure | None = None
    tables: Sequence[Table] = ()
    footnotes: Sequence[str] = ()
    folded: Mapping[int, Sequence[Table]] = field(default_factory=dict)

    @property
    def sentences(self) -> list[str]:
        """Caption and conditions."""
        return [sentence for sentence in (*self.caption, *self.conditions) if sentence]

    @property
    def words(self) -> str:
        """The same as one paragraph."""
        return " ".join(self.sentences)


class NothingToDraw(Exception):
    """The results at hand hold nothing for this table or figure; the message says what is lacking.

    ``settings`` are the options (values by ``section.field``) with which a run has it.
    """

    def __init__(self, reason: str, settings: dict[str, str] | None = None) -> None:
        super().__init__(reason)
        self.settings = settings or {}


class NotAskedFor(NothingToDraw):
    """It is of something that a run need not have: a whole report is not said to lack it."""
