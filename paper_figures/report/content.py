"""What a report consists of: what was written, what is missing, and what went wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from paper_figures.common.results import Results
from paper_figures.report.missing import Missing

FOLDER = "report"
"""Where a run's report is written, below the run."""

PAGE = "report.md"
"""The page that shows everything, for a viewer of Markdown beside its pictures."""

HTML = "report.html"
"""The same, and the plates, for a browser: one file."""

BROWSER = "Plates, one by one"
"""Title of the part of that page that shows single plates."""


class Artefact(NamedTuple):
    """A table or figure that was written."""

    name: str
    title: str
    files: list[Path]


@dataclass(frozen=True)
class Report:
    """What was written."""

    folder: Path
    results: Results = field(repr=False)
    artefacts: list[Artefact]
    missing: list[Missing]
    problems: list[str]
    command: str = "python -m benchmark report"
    """What makes this report again, from the folder it was made in."""
    broken: dict[str, Exception] = field(default_factory=dict)
    """What failed by a fault of this program's, by name; ``problems`` has a line on each."""
    left_out: list[str] = field(default_factory=list)
    """Titles of what was left out because it shows plates."""
    page: Path | None = None
    """The pages that show everything, Markdown and HTML; None for a report of selected parts."""
    html: Path | None = None
