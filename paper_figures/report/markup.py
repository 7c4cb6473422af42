"""The Markdown of tables and captions as HTML, for the report's page.

Only what the tables of this folder write is let through as HTML (raised and underlined text); anything else
is shown as the characters it is made of.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup, escape
from PIL import Image

LONG = 30
"""A column with a longer cell than this is set as text: to the left, in several lines."""

_ALLOWED = {"<sup>", "</sup>", "<sub>", "</sub>", "<u>", "</u>", "<br>"}


class Embedded(NamedTuple):
    """A picture inside the page: a data URI and its size in CSS pixels."""

    source: str
    width: int
    height: int


def embed(png: bytes) -> Embedded:
    """A figure at half its size: sharp on screens that have two pixels for each of CSS."""
    with Image.open(io.BytesIO(png)) as image:
        width, height = image.size
        opaque = image.mode != "RGBA" or image.getextrema()[3] == (255, 255)
        return Embedded(data_uri(image.convert("RGB") if opaque else image), width // 2, height // 2)


def data_uri(image: Image.Image) -> str:
    """A picture inside an address, pixel by pixel as it is: as WebP it takes two thirds of a PNG."""
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=True, method=1, quality=50)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def to_html(markdown: str, label: str, pictures: Mapping[str, Embedded] = MappingProxyType({})) -> Markup:
    """Markdown as HTML, its ``pictures`` (by file name) inside it.

    Tables become sortable ``table.data`` in a box of their own that scrolls, named ``label``.
    """
    parser, environment = _parser(), {"label": label, "pictures": pictures}
    tokens = parser.parse(markdown, environment)
    _mark_columns(tokens)
    return Markup(parser.renderer.render(tokens, parser.options, environment))


def command(line: str) -> Markup:
    """A command that breaks between its words and behind commas, and not at the hyphens inside a name."""
    spaced = Markup("<span>{}</span> <wbr>"), Markup("<span>{}</span><wbr>")
    words = re.split(r"(?<=[ ,])", line)
    return Markup("").join(spaced[not word.endswith(" ")].format(word.rstrip(" ")) for word in words)


def _mark_columns(tokens: Sequence[Token]) -> None:
    """Give every cell of a table the class ``number`` or, where the column has sentences in it, ``words``."""
    columns: dict[int, list[int]] = {}
    column = 0
    for i, token in enumerate(tokens):
        if token.type == "table_open":
            columns = {}
        elif token.type == "tr_open":
            column = 0
        elif token.type in ("th_open", "td_open"):
            columns.setdefault(column, []).append(i)
            column += 1
        elif token.type == "table_close":
            for cells in columns.values():
                words = any(len(tokens[cell + 1].content) > LONG for cell in cells if tokens[cell].tag == "td")
                for cell in cells:
                    right = "right" in str(tokens[cell].attrGet("style") or "")
                    tokens[cell].attrs = {"class": "words" if words else "number"} if right else {}


def typeset(words: str) -> Markup:
    """Plain text as HTML, PSNR_Y with its index set low."""
    return escape(words).replace("PSNR_Y", Markup("PSNR<sub>Y</sub>"))


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    for name, rule in _RULES.items():
        parser.add_render_rule(name, rule)
    return parser


# markdown-it calls a rule with the renderer, all tokens, the number of this one, options and our environment.


def _html(_: RendererHTML, tokens: Sequence[Token], i: int, __: Any, ___: Any) -> str:
    content = tokens[i].content
    return content if content in _ALLOWED else str(escape(content))


def _table_open(_: RendererHTML, __: Sequence[Token], ___: int, ____: Any, env: Any) -> str:
    label = escape(f"{env['label']}, table")
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{label}"><table class="data">\n'


def _table_close(*_: Any) -> str:
    return "</table></div>\n"


def _cell_open(_: RendererHTML, tokens: Sequence[Token], i: int, __: Any, ___: Any) -> str:
    token = tokens[i]
    if token.tag == "td" and tokens[i - 1].type == "tr_open":
        return '<th scope="row">'
    scope = ' scope="col"' if token.tag == "th" else ""
    kind = token.attrGet("class")
    return f'<{token.tag}{scope} class="{kind}">' if kind else f"<{token.tag}{scope}>"


def _cell_close(_: RendererHTML, tokens: Sequence[Token], i: int, __: Any, ___: Any) -> str:
    return "</th>" if tokens[i - 3].type == "tr_open" else f"</{tokens[i].tag}>"  # a cell is open, content, close


def _text(_: RendererHTML, tokens: Sequence[Token], i: int, __: Any, ___: Any) -> str:
    return str(typeset(tokens[i].content))


def _image(_: RendererHTML, tokens: Sequence[Token], i: int, __: Any, env: Any) -> str:
    picture, words = env["pictures"].get(str(tokens[i].attrGet("src"))), escape(tokens[i].content)
    if picture is None:  # the page fetches nothing
        return str(words)
    size = f'width="{picture.width}" height="{picture.height}"'
    return (
        f'<span class="plot"><img src="{picture.source}" {size} alt="{words}" loading="lazy" decoding="async"></span>'
    )


def _code(_: RendererHTML, tokens: Sequence[Token], i: int, __: Any, ___: Any) -> str:
    return f"<code>{command(tokens[i].content)}</code>"


_RULES = {
    "html_inline": _html,
    "html_block": _html,
    "table_open": _table_open,
    "table_close": _table_close,
    "th_open": _cell_open,
    "td_open": _cell_open,
    "td_close": _cell_close,
    "text": _text,
    "code_inline": _code,
    "image": _image,
}
