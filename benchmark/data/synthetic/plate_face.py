"""The face of a Chinese license plate, drawn from the standard GA 36: what stands on it, and where.

Letters and digits are strokes of one width in cells of 45×90 mm, as the standard draws them; no
open font has this narrow, even hand, so their centre lines stand here as paths. The province signs
come from a subset of Noto Sans CJK (``fonts/``, SIL Open Font License), squeezed into the same cell.
All lengths are millimetres of the plate unless they are called pixels.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from io import BytesIO
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from benchmark.data.ccpd import PROVINCES

HEIGHT = 140
"""Of blue and green plates alike."""
FONT = "NotoSansCJKsc-Medium-plates.otf"
SIGNS = PROVINCES[:-1]
"""The Chinese signs a plate may begin (or end) with."""

CELL = (45, 90)
_TOP = 25
_STROKE = 10.4

# Centre lines in a cell of 45×90: M move, L line, C cubic curve (two controls and the end). What
# leaves the cell is cut off, which gives strokes their flat ends.
_BOWL = "M5 26 C5 -2 40 -2 40 26 L40 64 C40 92 5 92 5 64 L5 26"
_OPEN = "M40 28 L40 26 C40 -2 5 -2 5 26 L5 64 C5 92 40 92 40 64"
_SIX = "M29 -2 L9 42 C5 51 5 57 5 61 C5 93 40 93 40 61 C40 33 13 32 7 50"
_P = "M5 92 L5 5 L23 5 C45 5 45 49 23 49 L5 49"
_PATHS = {
    "A": "M5 92 L22.5 -4 L40 92 M10 62 L35 62",
    "B": "M25 43 C42 43 42 5 24 5 L5 5 L5 85 L25 85 C45 85 45 43 25 43 L5 43",
    "C": _OPEN + " L40 62",
    "D": "M5 5 L5 85 L18 85 C32 85 40 79 40 64 L40 26 C40 11 32 5 18 5 L5 5",
    "E": "M42 5 L5 5 L5 85 L42 85 M5 44 L37 44",
    "F": "M42 5 L5 5 L5 92 M5 46 L37 46",
    "G": _OPEN + " L40 48 L23 48",
    "H": "M5 -2 L5 92 M40 -2 L40 92 M5 44 L40 44",
    "J": "M37 -2 L37 64 C37 92 6 92 6 64 L6 59",
    "K": "M5 -2 L5 92 M41 -4 L7 54 M17 38 L41 94",
    "L": "M5 -2 L5 85 L43 85",
    "M": "M4.5 92 L4.5 -2 M40.5 92 L40.5 -2 M5 -2 L22.5 58 L40 -2",
    "N": "M5 92 L5 -2 M40 92 L40 -2 M5.5 -2 L39.5 92",
    "P": _P,
    "Q": _BOWL + " M25 64 L41 90",
    "R": _P + " M22 49 L41 94",
    "S": "M40 26 C40 -2 5 -2 5 23 C5 49 40 41 40 66 C40 93 5 93 5 64",
    "T": "M0 5 L45 5 M22.5 5 L22.5 92",
    "U": "M5 -2 L5 64 C5 92 40 92 40 64 L40 -2",
    "V": "M5 -3 L22.5 94 L40 -3",
    "W": "M4 -2 L12.5 90 L22.5 12 L32.5 90 L41 -2",
    "X": "M5 -3 L40 93 M40 -3 L5 93",
    "Y": "M5 -3 L22.5 44 L40 -3 M22.5 42 L22.5 92",
    "Z": "M4 5 L39 5 L6 85 L42 85",
    "0": _BOWL,
    "1": "M22.5 -2 L22.5 92",
    "2": "M5 28 C5 -3 40 -3 40 24 C40 42 24 56 7 85 L42 85",
    "3": "M5 24 C6 -2 39 -2 39 23 C39 37 32 42 18 42 M18 42 C32 42 40 49 40 63 C40 92 5 92 5 65",
    "4": "M32 92 L32 30 M30 -4 L7 67 L45 67",
    "5": "M40 5 L10 5 L7 43 C14 32 40 31 40 60 C40 93 5 92 5 67",
    "6": _SIX,
    "7": "M3 5 L40 5 L18 94",
    "8": "M22.5 43 C2 43 2 5 22.5 5 C43 5 43 43 22.5 43 C-1 43 -1 85 22.5 85 C46 85 46 43 22.5 43",
}
_NARROW = {"M": 8.6, "W": 8.2}


@dataclass(frozen=True)
class Face:
    """A drawn plate of ``width`` mm as 8-bit grey pictures of one size.

    ``outline`` is where the plate is (its corners are round), ``ink`` where it bears paint that is
    not its ground (characters, dot, and on blue plates the line along the edge), ``relief`` the
    light on the pressed edges of the characters (128 is flat).
    """

    width: int
    outline: Image.Image
    ink: Image.Image
    relief: Image.Image


def cells(text: str) -> list[tuple[float, float]]:
    """Left edge and width of the cell of each of 7 (blue) or 8 (green) characters."""
    if len(text) == 7:
        return [(x, 45.0) for x in (15.5, 72.5, 151.5, 208.5, 265.5, 322.5, 379.5)]
    return [(15.5, 45.0)] + [(x, 43.0) for x in (69.5, 161.5, 213.5, 265.5, 317.5, 369.5, 421.5)]


def width_of(text: str) -> int:
    """Millimetres from edge to edge: those of a blue plate for 7 characters, of a green one for 8."""
    return 440 if len(text) == 7 else 480


def draw_face(text: str, resolution: int) -> Face:
    """Draw the plate that reads ``text`` with ``resolution`` pixels a millimetre.

    7 characters give a blue plate, 8 a green one.
    """
    width = width_of(text)
    size = (width * resolution, HEIGHT * resolution)
    characters = Image.new("L", size)
    for character, (left, cell_width) in zip(text, cells(text)):
        glyph = glyph_mask(character, round(cell_width * resolution), CELL[1] * resolution)
        characters.paste(glyph, (round(left * resolution), _TOP * resolution))
    outline, edge = _edge(width, resolution)
    soft = characters.filter(ImageFilter.BoxBlur(resolution))
    shift = resolution, round(1.5 * resolution)
    lit, dark = ImageChops.offset(soft, *shift), ImageChops.offset(soft, -shift[0], -shift[1])
    ink = ImageChops.lighter(characters, edge) if width == 440 else characters
    return Face(width, outline, ink, ImageChops.subtract(lit, dark, 2.0, 128))


@lru_cache(maxsize=4)
def _edge(width: int, resolution: int) -> tuple[Image.Image, Image.Image]:
    """Where the plate is, and the dot and the line along the edge of a blue one; drawn large and reduced."""
    fine = 4 * resolution
    outline = Image.new("L", (width * fine, HEIGHT * fine))
    line = outline.copy()
    full = (0, 0, width * fine - 1, HEIGHT * fine - 1)
    ImageDraw.Draw(outline).rounded_rectangle(full, 10 * fine, fill=255)
    draw = ImageDraw.Draw(line)
    inset = round(3.2 * fine)
    inner = (inset, inset, full[2] - inset, full[3] - inset)
    draw.rounded_rectangle(inner, 8 * fine, outline=255, width=round(2.4 * fine))
    draw.ellipse([c * fine for c in (129.0, 64.5, 140.0, 75.5)], fill=255)
    return outline.reduce(4), line.reduce(4)


@lru_cache(maxsize=256)
def glyph_mask(character: str, width: int, height: int) -> Image.Image:
    """The character filling its cell, as a grey picture of ``width``×``height`` pixels.

    Raises KeyError for a character that no plate bears.
    """
    if character in SIGNS:
        return _sign(character, width, height)
    strokes = _flatten(_PATHS["6" if character == "9" else character])
    half, scale = _NARROW.get(character, _STROKE) / 2, height / CELL[1]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = (x + 0.5) * (CELL[0] / width), (y + 0.5) / scale
    distance = np.full(x.shape, 1e9, np.float32)
    for stroke in strokes:
        for start, end in pairwise(stroke):
            distance = np.minimum(distance, _distance(x, y, start, end))
    mask = np.clip((half - np.sqrt(distance)) * scale + 0.5, 0, 1) * 255
    if character == "9":
        mask = mask[::-1, ::-1]
    return Image.fromarray(np.rint(mask).astype(np.uint8))


def _sign(sign: str, width: int, height: int) -> Image.Image:
    """A province sign: drawn large, cut to its ink and squeezed into the cell."""
    font = plate_font(160)
    left, top, right, bottom = font.getbbox(sign)
    drawn = Image.new("L", (int(right - left), int(bottom - top)))
    ImageDraw.Draw(drawn).text((-left, -top), sign, fill=255, font=font)
    # Squeezing thins the upright strokes to half: thicken them first.
    drawn = ImageChops.lighter(drawn, ImageChops.offset(drawn, 4, 0))
    margin = height // 45
    cell = Image.new("L", (width, height))
    cell.paste(drawn.resize((width, height - 2 * margin), Image.Resampling.BOX), (0, margin))
    return cell


@lru_cache(maxsize=16)
def plate_font(size: int) -> ImageFont.FreeTypeFont:
    """The font of the package at ``size`` pixels: province signs, A to Z, digits, hyphen."""
    data = (files("benchmark.data") / "fonts" / FONT).read_bytes()
    return ImageFont.truetype(BytesIO(data), size, layout_engine=ImageFont.Layout.BASIC)


def _flatten(path: str) -> list[list[tuple[float, float]]]:
    """The path's strokes as polylines; a curve becomes 16 pieces."""
    strokes: list[list[tuple[float, float]]] = []
    for command, arguments in re.findall(r"([MLC])([^MLC]*)", path):
        v = [float(number) for number in arguments.split()]
        if command == "M":
            strokes.append([(v[0], v[1])])
        elif command == "L":
            strokes[-1].append((v[0], v[1]))
        else:
            x0, y0 = strokes[-1][-1]
            for step in range(1, 17):
                t = step / 16
                a, b, c, d = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
                strokes[-1].append((a * x0 + b * v[0] + c * v[2] + d * v[4], a * y0 + b * v[1] + c * v[3] + d * v[5]))
    return strokes


def _distance(
    x: NDArray[np.float32], y: NDArray[np.float32], start: tuple[float, float], end: tuple[float, float]
) -> NDArray[np.float32]:
    """Squared distance of every point to the line from ``start`` to ``end``."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = np.clip(((x - start[0]) * dx + (y - start[1]) * dy) / (dx * dx + dy * dy), 0, 1)
    away = (x - start[0] - along * dx) ** 2 + (y - start[1] - along * dy) ** 2
    return away.astype(np.float32)
