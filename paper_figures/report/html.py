"""The report as one HTML file: no network, opens from disk, everything in it.

Templates, style and script lie in ``html_parts/``. Text that comes from results is escaped by jinja2 and by
:mod:`paper_figures.report.markup`; besides, the page forbids itself (Content-Security-Policy) to load anything and
to run any script or style but its own, which it names by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from benchmark.data.synthetic.plate_face import FONT
from paper_figures import claims, table1
from paper_figures.common import conventions, text
from paper_figures.common.drawing import Drawing
from paper_figures.common.evidence import FAILS, HOLDS, OPEN
from paper_figures.common.results import Results
from paper_figures.common.tables import Cell, Table
from paper_figures.report import headline, image_browser, provenance
from paper_figures.report.image_browser import Album
from paper_figures.report.markup import command, embed, to_html, typeset
from paper_figures.report.missing import by_command

if TYPE_CHECKING:
    from paper_figures.report.builder import Artefact, Report

BROWSER = "Plates, one by one"
"""Title of the part that shows single plates."""

PARTS = Path(__file__).with_name("html_parts")
_MARKS = {
    HOLDS: {"kind": "holds", "sign": "✓"},
    FAILS: {"kind": "fails", "sign": "✗"},
    OPEN: {"kind": "open", "sign": "?"},
}

# Sentences that many captions end with: folded away on the page, where they would stand twenty times.
_SHARED: tuple[Callable[[Results], str], ...] = (
    conventions.pooling,
    conventions.data,
    conventions.leaks,
    conventions.budget,
    conventions.selection,
    conventions.judge,
)
_SHARED_CONSTANTS = (conventions.SCORING, conventions.DEGRADATION)


class Timed(NamedTuple):
    """A cell of the clocks: as it is shown, and the number it is sorted by (None: as shown)."""

    text: str
    key: float | None = None


def page(report: Report, drawings: dict[str, Drawing], figures: dict[str, bytes], pictures: bool = True) -> str:
    """The whole page. ``figures`` holds the PNG of every figure; without ``pictures`` no single plate is shown.

    Raises what jinja2 and Pillow raise where a template or a picture of ours is broken.
    """
    results = report.results
    known = {artefact.name: _short(artefact.title) for artefact in report.artefacts}
    sections = [_section(artefact, drawings[artefact.name], figures, results, known) for artefact in report.artefacts]
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


def _section(
    artefact: Artefact, drawing: Drawing, figures: dict[str, bytes], results: Results, known: dict[str, str]
) -> dict[str, Any]:
    """A table or figure: what ``drawing``, ``table1`` or ``claims`` ``.html.jinja`` shows."""
    section: dict[str, Any] = {
        "id": artefact.name,
        "title": artefact.title,
        "short": _short(artefact.title),
        "kind": "drawing",
        "files": [file.name for file in artefact.files],
    }
    if artefact.name == table1.NAME:
        return section | _table1(results)
    if artefact.name == claims.NAME:
        return section | _claims(drawing, results, known)
    pictures = {f"{name}.png": embed(figures[name]) for name in figures if name == artefact.name}
    if not drawing.body:
        caption, conditions = own_caption(drawing.caption, results)
        return section | {"picture": next(iter(pictures.values()), None), "caption": caption, "conditions": conditions}
    body, conditions = own_body(drawing.body, results)
    return section | {"picture": None, "body": to_html(body, artefact.title, pictures), "conditions": conditions}


def _short(title: str) -> str:
    """A title for the list of contents: ``Table 1``, or the title without what stands in brackets."""
    number = re.match(r"(Table|Figure) \d+(?=\.)", title)
    return number[0] if number else title.split(" (")[0]


def own_caption(caption: str, results: Results) -> tuple[str, list[str]]:
    """What a caption says of its figure, and the sentences of :mod:`conventions` that it shares with others."""
    found = sorted((sentence for sentence in _shared(results) if sentence in caption), key=caption.index)
    for sentence in found:
        caption = caption.replace(sentence, "")
    return text.one_line(caption), found


def own_body(body: str, results: Results) -> tuple[str, list[str]]:
    """The same of the Markdown of a table, where the caption is a list of sentences, or a paragraph."""
    shared = {text.markdown(sentence): sentence for sentence in _shared(results)}
    found = sorted((sentence for sentence in shared if sentence in body), key=body.index)
    for sentence in found:
        body = body.replace(sentence, "")
    return re.sub(r"(?m)^- *(\n|\Z)", "", body), [shared[sentence] for sentence in found]


def _shared(results: Results) -> list[str]:
    return [*(found for sentence in _SHARED if (found := sentence(results))), *_SHARED_CONSTANTS]


def _table1(results: Results) -> dict[str, Any]:
    first, *others = table1.sentences(results)
    marks = conventions.marks(results)
    kept = [sentence for sentence in others if sentence in marks or sentence.startswith("*")]
    return {
        "kind": "table1",
        "tables": table1.tables(results),
        "groups": _groups,
        "beside": ("paper", "Δ", "#p paper"),
        "notes": table1.footnotes(results),
        "caption": " ".join([first, *kept]),
        "conditions": [sentence for sentence in others if sentence not in kept],
    }


def _claims(drawing: Drawing, results: Results, known: dict[str, str]) -> dict[str, Any]:
    caption, conditions = own_caption(drawing.caption, results)
    return {
        "kind": "claims",
        "claims": drawing.data.to_dict("records"),
        "marks": _MARKS,
        "known": known,
        "caption": caption,
        "conditions": conditions,
    }


def _groups(table: Table) -> list[list[tuple[Cell, ...]]]:
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
        "PSNR is over the whole picture; below it is what the judge read, with wrong characters marked and a dot for "
        "each that it left out."
    )
    if album.more:
        lead += f" {text.plural(album.more, 'more plate')} with pictures, too many for this page, are in the results."
    about = {"id": "plates", "title": BROWSER, "short": BROWSER, "kind": "browser"}
    return [about | {"lead": lead, "album": album, "first": album.first_choice()}]


def _missing(report: Report) -> list[dict[str, Any]]:
    """What is not on the page, and what went wrong; nothing where the report is whole."""
    found: list[dict[str, Any]] = []
    if report.missing:
        found.append(_plain("missing", "Missing") | {"kind": "missing", "commands": by_command(report.missing)})
    if report.left_out:
        found.append(_plain("left-out", "Left out, as asked (--no-pictures)") | {"lines": report.left_out})
    if report.problems:
        found.append(_plain("problems", "Found on the way") | {"lines": report.problems})
    return found


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


# -- templates, style, policy ----------------------------------------------------------------------


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(PARTS), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"typeset": typeset, "command": command}
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
