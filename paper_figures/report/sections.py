"""What the page consists of: its sections, each a dictionary for the template of its ``kind``, and their order."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from paper_figures import claims, table1
from paper_figures.common import observed, text
from paper_figures.common.drawing import Drawing
from paper_figures.common.evidence import EARLY, FAILS, HOLDS, OPEN
from paper_figures.common.results import HR, Results
from paper_figures.report import provenance
from paper_figures.report.content import BROWSER, Artefact, Report
from paper_figures.report.image_browser import LR, Album
from paper_figures.report.images import embed
from paper_figures.report.missing import by_command
from paper_figures.report.themes import ABOUT, OTHERS, PICTURES, THEMES, theme

_MARKS = {
    HOLDS: {"kind": "holds", "sign": "✓"},
    FAILS: {"kind": "fails", "sign": "✗"},
    EARLY: {"kind": "open", "sign": "?"},
    OPEN: {"kind": "open", "sign": "?"},
}

Section = dict[str, Any]


class Part(NamedTuple):
    """Sections under a title of their own; those in front have none."""

    title: str
    sections: list[Section]

    @property
    def id(self) -> str:
        return "part-" + re.sub("[^a-z]+", "-", self.title.lower())


class Timed(NamedTuple):
    """A cell of the clocks: as it is shown, and the number it is sorted by (None: as shown)."""

    text: str
    key: float | None = None


def parts(report: Report, drawings: dict[str, Drawing], figures: dict[str, bytes], album: Album) -> list[Part]:
    """Everything on the page below its head. ``figures`` holds the PNG of every figure."""
    titles = {artefact.name: _short(artefact.title) for artefact in report.artefacts}
    themes: dict[str, list[Section]] = {title: [] for title in ("", *THEMES, OTHERS, ABOUT)}
    for artefact in report.artefacts:
        section = drawn(artefact, drawings[artefact.name], figures, titles)
        themes[theme(artefact.name)].append(section | {"command": f"{report.command} --only {artefact.name}"})
    if album.choices:
        themes[""].insert(table1.NAME in titles, _glance(album, report.results))
        themes[PICTURES].insert(0, _browser(album))
    themes[ABOUT] += [*_missing(report), _provenance(report.results)]
    return [Part(title, sections) for title, sections in themes.items() if sections]


# -- tables and figures ----------------------------------------------------------------------------


def drawn(artefact: Artefact, drawing: Drawing, figures: dict[str, bytes], titles: dict[str, str]) -> Section:
    """A table or figure: what ``drawing.html.jinja`` or ``claims.html.jinja`` shows."""
    section: Section = {
        "id": artefact.name,
        "title": artefact.title,
        "short": _short(artefact.title),
        "level": 3 if theme(artefact.name) else 2,
        "kind": "drawing",
        "drawing": drawing,
        "picture": embed(figures[artefact.name]) if artefact.name in figures else None,
        "files": [file.name for file in artefact.files],
    }
    if artefact.name == claims.NAME:
        return section | {
            "kind": "claims", "claims": drawing.data.to_dict("records"), "marks": _MARKS, "known": titles,
            "early": EARLY, "legend": observed.LEGEND,
        }  # fmt: skip
    return section


def _short(title: str) -> str:
    """A title for the list of contents: ``Table 1``, or the title without what stands in brackets."""
    number = re.match(r"(Table|Figure) \d+(?=\.)", title)
    return number[0] if number else title.split(" (")[0]


def _plain(name: str, title: str) -> Section:
    return {"id": name, "title": title, "short": title.split(",")[0], "level": 3, "kind": "list"}


# -- plates ----------------------------------------------------------------------------------------


def _glance(album: Album, results: Results) -> Section:
    """One plate in a row: LR, the methods of Table 1, HR."""
    plate = album.typical()
    named = {picture.key: picture for picture in plate.pictures}
    keys = [LR, *(row.name for row in table1.rows_of(results)), HR]
    about = _plain("glance", "One plate by every method") | {"level": 2, "kind": "glance"}
    return about | {"plate": plate, "pictures": [named[key] for key in keys if key in named]}


def _browser(album: Album) -> Section:
    lead = (
        "Test plates: the LR plate that every method was given, the HR plate it should reach, and what it made of it. "
        "PSNR is over the whole picture; below it is what the OCR engine read, with wrong characters marked and a dot "
        "for each that it left out."
    )
    if album.more:
        lead += f" {text.plural(album.more, 'more plate')} with pictures, too many for this page, are in the results."
    about = _plain("plates", BROWSER) | {"short": BROWSER, "kind": "browser"}
    return about | {"lead": lead, "album": album, "first": album.first_choice()}


# -- about the report ------------------------------------------------------------------------------


def _missing(report: Report) -> list[Section]:
    """What is not on the page, and what went wrong; nothing where the report is whole."""
    sections: list[Section] = []
    if report.missing:
        sections.append(_plain("missing", "Missing") | {"kind": "missing", "commands": by_command(report.missing)})
    if report.left_out:
        sections.append(_plain("left-out", "Left out, as asked (--no-pictures)") | {"lines": report.left_out})
    if report.problems:
        sections.append(_plain("problems", "Found on the way") | {"lines": report.problems})
    return sections


def _provenance(results: Results) -> Section:
    headers = ["Method", "seed", "iterations", *provenance.CLOCKS, "begun (UTC)", "source"]
    rows = []
    for line in provenance.clocks(results):
        iterations = line["iterations"]
        rows.append(
            [
                Timed(line["title"]),
                Timed(str(line["seed"])),
                Timed(text.DASH if not iterations else f"{int(iterations):,}"),
                *(_clock(line[clock]) for clock in provenance.CLOCKS),
                Timed(line["date"].replace("T", " ").removesuffix("+00:00")[:19]),
                Timed(line["source"]),
            ]
        )
    about = {"kind": "provenance", "facts": provenance.facts(results), "headers": headers, "clocks": rows}
    return _plain("provenance", "Provenance") | about


def _clock(seconds: float | None) -> Timed:
    return Timed(provenance.duration(seconds), None if seconds is None else round(seconds, 3))
