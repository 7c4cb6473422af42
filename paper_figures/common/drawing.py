"""What a table or figure hands back: everything to be written, and nothing written yet."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd
from matplotlib.figure import Figure


@dataclass(frozen=True)
class Drawing:
    """One table or figure, in memory.

    ``data`` becomes the CSV behind it, ``figure`` a PDF and a PNG, ``texts`` one file for each suffix
    (``md``, ``tex``); ``caption`` is plain text, and ``body`` is the Markdown that shows it in the report
    (empty for a figure, whose picture is shown).
    """

    data: pd.DataFrame
    caption: str
    figure: Figure | None = None
    body: str = ""
    texts: dict[str, str] = field(default_factory=dict)


class NothingToDraw(Exception):
    """The results at hand hold nothing for this table or figure; the message says what is lacking."""
