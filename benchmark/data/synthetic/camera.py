"""The camera of the synthetic plates: perspective, and what phones and their JPEGs add to a picture.

Pictures stay 8-bit Pillow images: its arithmetic is the same on every machine, where OpenCV and
floating-point NumPy pick their code by processor.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter

Quad = tuple[tuple[float, float], ...]
_SHEET = (640, 896)
"""Rows and columns of the stored grain; no picture is larger."""
_GRAIN = 30
"""Standard deviation of the stored grain, in levels."""


@dataclass(frozen=True)
class View:
    """Where the plate lies in a picture of ``width``×``height``: its corners from the bottom right on, clockwise."""

    width: int
    height: int
    corners: Quad

    def to_plate(self) -> NDArray[np.float64]:
        """3×3 homography from the picture to the unit square of the plate (Heckbert 1989, in closed form)."""
        (x2, y2), (x3, y3), (x0, y0), (x1, y1) = self.corners
        dx1, dx2, sx = x1 - x2, x3 - x2, x0 - x1 + x2 - x3
        dy1, dy2, sy = y1 - y2, y3 - y2, y0 - y1 + y2 - y3
        scale = dx1 * dy2 - dx2 * dy1
        g, h = (sx * dy2 - dx2 * sy) / scale, (dx1 * sy - sx * dy1) / scale
        a, b, c = x1 - x0 + g * x1, x3 - x0 + h * x3, x0
        d, e, f = y1 - y0 + g * y1, y3 - y0 + h * y3, y0
        rows = [
            [e - f * h, c * h - b, b * f - c * e],
            [f * g - d, a - c * g, c * d - a * f],
            [d * h - e * g, b * g - a * h, a * e - b * d],
        ]
        return np.array(rows)

    def reach(self) -> tuple[float, float, float, float]:
        """What of the plate's plane the picture shows: left, top, right, bottom in sides of the plate."""
        matrix = self.to_plate()
        ends = [matrix @ (x, y, 1.0) for x in (0.0, self.width) for y in (0.0, self.height)]
        xs, ys = [float(u / w) for u, _, w in ends], [float(v / w) for _, v, w in ends]
        return min(xs), min(ys), max(xs), max(ys)


def project(drawing: Image.Image, plate: tuple[int, int, int, int], view: View) -> Image.Image:
    """The drawing as ``view`` sees it; ``plate`` is the plate's left, top, width and height in the drawing."""
    left, top, width, height = plate
    matrix = np.array([[width, 0, left], [0, height, top], [0, 0, 1]]) @ view.to_plate()
    coefficients = (matrix / matrix[2, 2]).flatten()[:8].tolist()
    size = (view.width, view.height)
    return drawing.transform(size, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BILINEAR)


def photograph(seen: Image.Image, across: float, rng: np.random.Generator) -> Image.Image:
    """What a phone makes of the view (RGB): blur, light, grain, sharpening, its colours and a first JPEG.

    ``across`` is the plate's width in pixels: near plates are in better focus, and sharpened more.
    """
    near = min(1.0, max(0.0, (across - 150) / 250))
    columns, rows = seen.size
    defocus = rng.uniform(0.7, 1.25) - 0.35 * near + rng.gamma(1.2, 0.24)
    shake = abs(rng.normal(0, 0.5))
    if across < 150:  # plates further off than this would no longer be read
        defocus, shake = (blur * (0.3 + 0.7 * across / 150) for blur in (defocus, shake))
    soft = seen.filter(ImageFilter.BoxBlur((defocus + shake, defocus + 0.3 * shake * rng.uniform(0, 1))))
    # Light that overflows the sensor makes what is bright thicker.
    seen = Image.blend(soft, ImageChops.lighter(soft, seen), max(0.0, rng.uniform(-0.5, 1.0)))
    coarser = seen.reduce(2 if rng.random() < 0.7 - 0.4 * near else 3)
    halo = coarser.resize(seen.size, Image.Resampling.BILINEAR)
    picture = Image.blend(halo, seen, 1 + rng.uniform(0.3, 1.8) * (1 + 0.5 * near))

    light = grey_field(220 * (1 + rng.uniform(0, 0.12) * rng.normal(0, 1, (3, 3))), columns, rows)
    picture = ImageChops.multiply(picture, Image.merge("RGB", (light,) * 3))
    if rng.random() < 0.45:  # haze and glare
        haze = grey_field(np.clip(rng.normal(0.5, 0.7, (3, 4)), 0, 2) * rng.uniform(4, 45), columns, rows)
        picture = ImageChops.add(picture, Image.merge("RGB", (haze,) * 3))
    picture = ImageChops.add(picture, grain(columns, rows, rng.gamma(2.0, 1.1), rng), 1, -128)
    grey = picture.convert("L")
    picture = Image.blend(Image.merge("RGB", (grey,) * 3), picture, rng.uniform(0.9, 1.5))
    first = BytesIO()
    tables = [_steps(5, rng.uniform(0.25, 1.3)), _steps(16, rng.uniform(0.4, 2.5))]
    picture.point(_exposure(rng)).save(first, "JPEG", qtables=tables)
    return Image.open(first).convert("RGB")


def _exposure(rng: np.random.Generator) -> list[int]:
    """Exposure, colour cast, black point and contrast as a table of 3×256 levels; rolls off towards white."""
    gain = 1.16 * 2.0 ** rng.normal(-0.02, 0.4) * (1 + rng.normal(0, [0.04, 0.02, 0.045]))
    black = rng.normal(5, 8) + rng.normal([2, -2, 0], [3, 4, 5])  # shadows are often greenish or blue
    levels = np.arange(256)[None] * gain[:, None] - black[:, None]
    levels = np.maximum(levels * rng.uniform(1.0, 1.3), 0)
    rolled = 255 - 65 * np.exp(-(np.maximum(levels, 190) - 190) / 65)
    return [int(level) for level in np.rint(np.where(levels < 190, levels, rolled)).flatten()]


def _steps(slope: int, strength: float) -> list[int]:
    """A JPEG quantisation table that gets coarser with frequency, for colour (16) faster than for brightness (5)."""
    return [min(255, max(1, round(strength * (18 + slope * (i // 8 + i % 8))))) for i in range(64)]


def grain(columns: int, rows: int, strength: float, rng: np.random.Generator) -> Image.Image:
    """Sensor noise of ``strength`` levels about 128: a random piece of one stored sheet."""
    sheet = _grain_sheet()
    x, y = int(rng.integers(sheet.width - columns + 1)), int(rng.integers(sheet.height - rows + 1))
    return sheet.crop((x, y, x + columns, y + rows)).point(around_128(strength / _GRAIN) * 3)


def around_128(factor: float) -> list[int]:
    """A table that stretches 256 levels about 128 by ``factor``."""
    levels: list[int] = np.rint(np.clip(128 + (np.arange(256) - 128) * factor, 0, 255)).astype(int).tolist()
    return levels


@lru_cache(maxsize=1)
def _grain_sheet() -> Image.Image:
    """Grain of brightness, and softer grain of colour as demosaicing leaves it."""
    rng = np.random.default_rng(0)
    brightness = rng.standard_normal((*_SHEET, 1))
    colour = rng.standard_normal((_SHEET[0] // 2, _SHEET[1] // 2, 3)).repeat(2, 0).repeat(2, 1)
    levels = 128 + _GRAIN * (brightness + 0.7 * colour)
    return Image.fromarray(np.rint(np.clip(levels, 0, 255)).astype(np.uint8))


def grey_field(values: NDArray[np.float64], columns: int, rows: int) -> Image.Image:
    """A coarse grid of greys (clipped to 0–255) as a smooth picture."""
    coarse = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
    return coarse.resize((columns, rows), Image.Resampling.BICUBIC)
