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

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from benchmark.data.synthetic.plate_face import FONT
from paper_figures import claims
from paper_figures.common import text
from paper_figures.common.drawing import Drawing
from paper_figures.common.tables import Cell, Column, Table
from paper_figures.report import headline, image_browser
from paper_figures.report.content import Report
from paper_figures.report.image_browser import Album
from paper_figures.report.sections import parts

LONG = 30
"""A column with a longer cell than this is set as text: to the left, in several lines."""

PARTS = Path(__file__).with_name("html_parts")


def page(report: Report, drawings: dict[str, Drawing], figures: dict[str, bytes], pictures: bool = True) -> str:
    """The whole page. ``figures`` holds the PNG of every figure; without ``pictures`` no single plate is shown.

    Raises what jinja2 and Pillow raise where a template or a picture of ours is broken.
    """
    results = report.results
    album = image_browser.album(results) if pictures else Album([], 0, 0)
    return environment().get_template("page.html.jinja").render(
        name=text.one_line(results.folder.resolve().name),
        summary=headline.sentence(results, drawings.get(claims.NAME)),
        facts=headline.facts(results, len(report.missing), len(report.problems)),
        parts=parts(report, drawings, figures, album),
        **inline("tables", "plates", "page"),
    )  # fmt: skip


# -- tables ----------------------------------------------------------------------------------------


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
def environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(PARTS), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters |= {"typeset": typeset, "command": command, "columns": columns_of, "groups": groups_of}
    return made


def inline(*scripts: str, letters: bool = True) -> dict[str, str]:
    """Style and scripts of a page, and the policy that allows these and nothing else; ``letters``: plates are shown."""
    css = Markup(_style() if letters else (PARTS / "page.css").read_text(encoding="utf-8"))
    script = Markup("\n".join((PARTS / f"{name}.js").read_text(encoding="utf-8") for name in scripts))
    policy = (
        f"default-src 'none'; img-src data:; font-src data:; style-src {_hash(css)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return {"css": css, "script": script, "policy": policy}


def _style() -> str:
    """The style sheet, with the plates' letters: not every machine has a font with Chinese signs."""
    font = resources.files("benchmark.data.fonts").joinpath(FONT).read_bytes()
    source = f"data:font/otf;base64,{base64.b64encode(font).decode('ascii')}"
    face = f'@font-face {{ font-family: "Plate letters"; src: url({source}) format("opentype"); }}\n'
    return face + (PARTS / "page.css").read_text(encoding="utf-8")


def _hash(content: str) -> str:
    """The name of an inline style or script in a Content-Security-Policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode('ascii')}'"
