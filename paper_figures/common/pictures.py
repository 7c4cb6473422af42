"""Figures made of pictures: tiles in rows, with a title above each and what was read below it.

What was read is drawn from the fonts of the package (``benchmark/data/fonts``), as outlines, so that it looks the
same everywhere. What was read wrongly is underlined as well as red; a character that is missing is an underlined gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.textpath import text_to_path
from matplotlib.transforms import Affine2D

from benchmark.data.synthetic.plate_face import FONT
from paper_figures.common import style, text

NOTICE = "This figure contains pictures of the data set."
"""Said in the caption of every figure whose module says ``PICTURES = True``."""

WRONG = "#b03a00"
RIGHT = "#202020"
UNKNOWN = "□"
"""Stands for a character that the fonts do not have."""
LONGEST = 12
"""Longer readings are cut, at this many characters; CSV files have them whole."""

LINE = 0.135
"""Height of a line of print, inches."""
GAP = 0.09
"""Between tiles, inches."""
TALLEST = 0.6
"""Height of a picture by its tile's width, at most: a square plate need not be so large."""

_SIZE = style.FONT - 0.5
_HEADING = 1.35 * LINE


@dataclass(frozen=True)
class Reading:
    """What stands below a picture: ``read`` compared with ``truth``, or as it is where that is None.

    ``read`` is "" where an OCR engine read nothing, None where none looked.
    """

    read: str | None
    truth: str | None = None


@dataclass(frozen=True)
class Tile:
    """One picture (uint8 H×W×3; None is shown as a marked gap), its title, a value right of that, and readings."""

    pixels: np.ndarray | None
    title: str = ""
    marks: str = ""
    """Signs that follow the title, and stay where that is cut."""
    value: str = ""
    readings: tuple[Reading, ...] = ()
    blocks: bool = False
    """Whether its pixels are shown as the squares they are."""


@dataclass(frozen=True)
class Block:
    """Tiles that belong together, under a heading with a plate's number if there is one."""

    tiles: Sequence[Tile]
    heading: str = ""
    plate: str = ""


def draw(blocks: Sequence[Block], columns: int, tallest: float = TALLEST) -> Figure:
    """The blocks one below the other, in ``columns`` tiles of equal width, at the width of a page.

    Pictures fill the width of their tile, or the height ``tallest`` × that width where that is less.
    Call it within :func:`style.style`.
    """
    width = (style.PAGE - GAP * (columns - 1)) / columns
    rows = [
        (block if i == 0 and (block.heading or block.plate) else None, block.tiles[i : i + columns])
        for block in blocks
        for i in range(0, len(block.tiles), columns)
    ]
    heights = [
        _HEADING * (start is not None) + max(_height(tile, width, tallest) for tile in tiles) + 1.4 * GAP
        for start, tiles in rows
    ]
    page = _Page(sum(heights))
    y = 0.0
    for (start, tiles), height in zip(rows, heights):
        top = y
        if start is not None:
            end = page.words(0, top + LINE, start.heading, weight="bold")
            page.reading(end + 0.06, top + LINE, Reading(start.plate))
            top += _HEADING
        for column, tile in enumerate(tiles):
            _draw_tile(page, tile, column * (width + GAP), top, width, tallest)
        y += height
    return page.figure


def align(read: str, truth: str) -> list[tuple[str, bool]]:
    """Each character of ``read`` and whether it is right, by the alignment with fewest edits.

    A character of ``truth`` that is missing is an empty string, and wrong.
    """
    rows, columns = len(read) + 1, len(truth) + 1
    cost = np.add.outer(np.arange(rows), np.arange(columns))
    for i in range(1, rows):
        for j in range(1, columns):
            swap = cost[i - 1, j - 1] + (read[i - 1] != truth[j - 1])
            cost[i, j] = min(swap, cost[i - 1, j] + 1, cost[i, j - 1] + 1)
    aligned: list[tuple[str, bool]] = []
    i, j = len(read), len(truth)
    while i or j:
        if i and j and cost[i, j] == cost[i - 1, j - 1] + (read[i - 1] != truth[j - 1]):
            i, j = i - 1, j - 1
            aligned.append((read[i], read[i] == truth[j]))
        elif i and cost[i, j] == cost[i - 1, j] + 1:
            i -= 1
            aligned.append((read[i], False))
        else:
            j -= 1
            aligned.append(("", False))
    return aligned[::-1]


def not_shown(reasons: Sequence[str]) -> list[str]:
    """A sentence for the caption about pictures marked as missing; empty if none is."""
    reasons = list(dict.fromkeys(reasons))
    more = f"; and {len(reasons) - 3} more" if len(reasons) > 3 else ""
    return [f"Not shown: {'; '.join(reasons[:3])}{more}."] if reasons else []


def _picture_size(pixels: np.ndarray | None, width: float, tallest: float) -> tuple[float, float]:
    """Width and height of a picture in a tile of this width, inches."""
    down, across = (1, 2) if pixels is None else pixels.shape[:2]
    scale = min(width / across, width * tallest / down)
    return across * scale, down * scale


def _height(tile: Tile, width: float, tallest: float) -> float:
    lines = bool(tile.title or tile.value) + len(tile.readings)
    return lines * LINE + _picture_size(tile.pixels, width, tallest)[1]


def _draw_tile(page: _Page, tile: Tile, x: float, y: float, width: float, tallest: float) -> None:
    if tile.title or tile.value:
        page.words(x + width, y + 0.78 * LINE, tile.value, right=True)
        room = width - _length(tile.value) - _length(tile.marks) - 0.04
        page.words(x, y + 0.78 * LINE, _fit(tile.title, room) + tile.marks)
        y += LINE
    across, down = _picture_size(tile.pixels, width, tallest)
    page.picture(tile.pixels, x, y, across, down, tile.blocks)
    for i, reading in enumerate(tile.readings, start=1):
        page.reading(x, y + down + (i - 0.1) * LINE, reading)


class _Page:
    """A figure at the width of a page, measured in inches from its top left."""

    def __init__(self, height: float) -> None:
        self.height = height
        self.figure = Figure(figsize=(style.PAGE, height))

    def picture(self, pixels: np.ndarray | None, x: float, y: float, width: float, height: float, blocks: bool) -> None:
        place = (x / style.PAGE, 1 - (y + height) / self.height, width / style.PAGE, height / self.height)
        if pixels is None:
            frame = Rectangle(place[:2], *place[2:], transform=self.figure.transFigure, fc="#f2f2f2", ec=style.GREY)
            frame.set_linewidth(0.5)
            self.figure.add_artist(frame)
            self.words(x + 0.06, y + height / 2 + LINE / 3, "no picture")
            return
        axes = self.figure.add_axes(place)
        axes.set_axis_off()
        axes.imshow(pixels, aspect="auto", interpolation="nearest" if blocks else None)

    def words(self, x: float, y: float, words: str, right: bool = False, weight: str = "normal") -> float:
        """Write one line with its foot at ``y``; returns where it ends."""
        if not words:
            return x
        self.figure.text(
            x / style.PAGE, 1 - y / self.height, printable(words),
            fontsize=_SIZE, weight=weight, ha="right" if right else "left", va="baseline",
        )  # fmt: skip
        return x + _length(words, weight)

    def reading(self, x: float, y: float, reading: Reading) -> None:
        """Write a plate's number, or a reading of it with its mistakes marked."""
        if reading.truth is not None and not reading.read:
            self.words(x, y, "not read" if reading.read is None else "nothing read")
            return
        read = text.one_line(reading.read or "")[:1000]
        cells = [(character, True) for character in read] if reading.truth is None else align(read, reading.truth)
        if len(cells) > LONGEST:
            cells = [*cells[:LONGEST], ("…", True)]
        elif reading.truth is not None and all(right for _, right in cells):
            cells.append(("✓", True))
        outlines: dict[bool, list[Path]] = {True: [], False: []}
        advance = 0.0
        for character, right in cells:
            outline, width = _glyph(character)
            move = Affine2D().translate(advance, 0)
            outlines[right].append(outline.transformed(move))
            if not right:
                line = Path(
                    [(0.3, -1.7), (width - 0.3, -1.7), (width - 0.3, -1.0), (0.3, -1.0), (0.3, -1.7)], closed=True
                )
                outlines[right].append(line.transformed(move))
            advance += width
        place = Affine2D().scale(1 / 72).translate(x, self.height - y) + self.figure.dpi_scale_trans
        for right, paths in outlines.items():
            if paths:
                colour = RIGHT if right else WRONG
                self.figure.add_artist(PathPatch(Path.make_compound_path(*paths), transform=place, fc=colour, lw=0))


# -- letters ---------------------------------------------------------------------------------------


def printable(words: str) -> str:
    """``words`` in one line, with □ for every character that the typefaces of figures do not have."""
    return "".join(c if style.drawable(c) else UNKNOWN for c in text.one_line(words))


@cache
def _latin() -> tuple[FontProperties, frozenset[int]]:
    return _with_characters(findfont(FontProperties(family="DejaVu Sans")))


@cache
def _chinese() -> tuple[FontProperties, frozenset[int]]:
    return _with_characters(str(files("benchmark.data") / "fonts" / FONT))


@cache
def _titles() -> tuple[FontProperties, frozenset[int]]:
    return _with_characters(style.TITLES_FILE)


def _with_characters(file: str) -> tuple[FontProperties, frozenset[int]]:
    return FontProperties(fname=file, size=_SIZE), frozenset(get_font(file).get_charmap())


@cache
def _glyph(character: str) -> tuple[Path, float]:
    """Outline of a character, and how far on the next one stands; points. Of nothing: a gap."""
    if not character:
        return Path(np.empty((0, 2))), 0.7 * _SIZE
    fonts = [font for font, characters in (_chinese(), _latin(), _titles()) if ord(character) in characters]
    if not fonts:
        return _glyph(UNKNOWN)
    width = 1.06 if character >= "\u2e80" else 0.7
    points, codes = text_to_path.get_text_path(fonts[0], character)
    if not len(points):
        return _glyph("")
    scale = _SIZE / text_to_path.FONT_SCALE
    return Path(np.array(points) * scale, codes), width * _SIZE


def _length(words: str, weight: str = "normal") -> float:
    """Inches that a line of words takes."""
    font = FontProperties(family=style.FAMILIES, size=_SIZE, weight=weight)
    return float(text_to_path.get_text_width_height_descent(printable(words), font, ismath=False)[0]) / 72


def _fit(words: str, room: float) -> str:
    """``words``, cut where they are longer than ``room`` inches."""
    words = printable(words)[:80]
    if _length(words) <= room:
        return words
    while words and _length(words + "…") > room:
        words = words[:-1].rstrip()
    return words + "…"
