"""The report as one HTML file: no network, opens from disk, everything in it.

Templates, style and script lie in ``html_parts/``. Text that comes from results is escaped by jinja2; besides, the page
forbids itself (Content-Security-Policy) to load anything and to run any script or style but its own, which it names by
their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from benchmark.data.synthetic.plate_face import FONT
from paper_figures import claims, table1
from paper_figures.common import text
from paper_figures.common.drawing import Drawing
from paper_figures.common.evidence import EARLY, FAILS, HOLDS, OPEN
from paper_figures.common.results import Results
from paper_figures.common.tables import Cell, Column, Table
from paper_figures.report import headline, image_browser, provenance
from paper_figures.report.content import BROWSER, Artefact, Report
from paper_figures.report.image_browser import Album
from paper_figures.report.images import embed
from paper_figures.report.missing import by_command

LONG = 30
"""A column with a longer cell than this is set as text: to the left, in several lines."""

PARTS = Path(__file__).with_name("html_parts")
_MARKS = {
    HOLDS: {"kind": "holds", "sign": "✓"},
    FAILS: {"kind": "fails", "sign": "✗"},
    EARLY: {"kind": "open", "sign": "?"},
    OPEN: {"kind": "open", "sign": "?"},
}


class Timed(NamedTuple):
    """A cell of the clocks: as it is shown, and the number it is sorted by (None: as shown)."""

    text: str
    key: float | None = None


def page(report: Report, drawings: dict[str, Drawing], figures: dict[str, bytes], pictures: bool = True) -> str:
    """The whole page. ``figures`` holds the PNG of every figure; without ``pictures`` no single plate is shown.

    Raises what jinja2 and Pillow raise where a template or a picture of ours is broken.
    """
    results = report.results
    titles = {artefact.name: _short(artefact.title) for artefact in report.artefacts}
    sections = [_section(artefact, drawings[artefact.name], figures, titles) for artefact in report.artefacts]
    album = image_browser.album(results) if pictures else Album([], 0, 0)
    sections[_after_tables(sections) :] = [*_browser(album), *sections[_after_tables(sections) :]]
    sections += [*_missing(report), _provenance(results)]
    css, script = Markup(_style()), Markup((PARTS / "page.js").read_text(encoding="utf-8"))
    return _environment().get_template("page.html.jinja").render(
        name=text.one_line(results.folder.resolve().name),
        summary=headline.sentence(results, drawings.get(claims.NAME)),
        facts=headline.facts(results, len(report.missing), len(report.problems)),
        sections=sections,
        css=css,
        script=script,
        policy=(
            f"default-src 'none'; img-src data:; font-src data:; style-src {_hash(css)}; script-src {_hash(script)}; "
            "base-uri 'none'; form-action 'none'"
        ),
    )  # fmt: skip


# -- sections --------------------------------------------------------------------------------------


def _section(artefact: Artefact, drawing: Drawing, figures: dict[str, bytes], titles: dict[str, str]) -> dict[str, Any]:
    """A table or figure: what ``drawing.html.jinja`` or ``claims.html.jinja`` shows."""
    section: dict[str, Any] = {
        "id": artefact.name,
        "title": artefact.title,
        "short": _short(artefact.title),
        "kind": "drawing",
        "drawing": drawing,
        "picture": embed(figures[artefact.name]) if artefact.name in figures else None,
        "files": [file.name for file in artefact.files],
    }
    if artefact.name == claims.NAME:
        return section | {
            "kind": "claims", "claims": drawing.data.to_dict("records"), "marks": _MARKS, "known": titles,
            "early": EARLY,
        }  # fmt: skip
    return section


def _short(title: str) -> str:
    """A title for the list of contents: ``Table 1``, or the title without what stands in brackets."""
    number = re.match(r"(Table|Figure) \d+(?=\.)", title)
    return number[0] if number else title.split(" (")[0]


def columns_of(table: Table) -> list[tuple[Column, str]]:
    """The columns, each with its class: ``words`` if it holds sentences or commands, else ``number``."""
    columns = []
    for i, column in enumerate(table.columns):
        words = column.prose or column.code or any(len(cell.text) > LONG for cell in column.cells)
        kind = "" if i == 0 else "words" if words else "number"
        columns.append((column, f"{kind} beside" if column.grey else kind))
    return columns


def groups_of(table: Table) -> list[list[tuple[Cell, ...]]]:
    """The rows between two rules."""
    ends = [*table.rules, len(table.rows)]
    return [table.rows[start:end] for start, end in zip([0, *ends], ends) if start < end]


def _after_tables(sections: list[dict[str, Any]]) -> int:
    """The place of the image browser: behind the claims and Table 1."""
    return 1 + max((i for i, section in enumerate(sections) if section["id"] in (claims.NAME, table1.NAME)), default=-1)


def _browser(album: Album) -> list[dict[str, Any]]:
    if not album.choices:
        return []
    lead = (
        "Test plates: the LR plate that every method was given, the HR plate it should reach, and what it made of it. "
        "PSNR is over the whole picture; below it is what the OCR engine read, with wrong characters marked and a dot "
        "for each that it left out."
    )
    if album.more:
        lead += f" {text.plural(album.more, 'more plate')} with pictures, too many for this page, are in the results."
    about = {"id": "plates", "title": BROWSER, "short": BROWSER, "kind": "browser"}
    return [about | {"lead": lead, "album": album, "first": album.first_choice()}]


def _missing(report: Report) -> list[dict[str, Any]]:
    """What is not on the page, and what went wrong; nothing where the report is whole."""
    sections: list[dict[str, Any]] = []
    if report.missing:
        sections.append(_plain("missing", "Missing") | {"kind": "missing", "commands": by_command(report.missing)})
    if report.left_out:
        sections.append(_plain("left-out", "Left out, as asked (--no-pictures)") | {"lines": report.left_out})
    if report.problems:
        sections.append(_plain("problems", "Found on the way") | {"lines": report.problems})
    return sections


def _plain(name: str, title: str) -> dict[str, Any]:
    return {"id": name, "title": title, "short": title.split(",")[0], "kind": "list"}


def _provenance(results: Results) -> dict[str, Any]:
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


def typeset(words: str) -> Markup:
    """Plain text as HTML, PSNR_Y with its index set low."""
    return escape(words).replace("PSNR_Y", Markup("PSNR<sub>Y</sub>"))


def command(line: str) -> Markup:
    """A command that breaks between its words and behind commas, and not at the hyphens inside a name."""
    spaced = Markup("<span>{}</span> <wbr>"), Markup("<span>{}</span><wbr>")
    words = re.split(r"(?<=[ ,])", line)
    return Markup("").join(spaced[not word.endswith(" ")].format(word.rstrip(" ")) for word in words)


# -- templates, style, policy ----------------------------------------------------------------------


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(PARTS), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"typeset": typeset, "command": command, "columns": columns_of, "groups": groups_of}
    return environment


def _style() -> str:
    """The style sheet, with the plates' letters: not every machine has a font with Chinese signs."""
    font = resources.files("benchmark.data.fonts").joinpath(FONT).read_bytes()
    source = f"data:font/otf;base64,{base64.b64encode(font).decode('ascii')}"
    face = f'@font-face {{ font-family: "Plate letters"; src: url({source}) format("opentype"); }}\n'
    return face + (PARTS / "page.css").read_text(encoding="utf-8")


def _hash(content: str) -> str:
    """The name of an inline style or script in a Content-Security-Policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode('ascii')}'"
