"""Plates of another alphabet than Chinese, drawn with Pillow, in a folder with a ``plates.csv``."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from benchmark.data.synthetic.plate_face import glyph_mask

LETTERS, DIGITS = "ABCDEFGHJKLMNPRSTUVWXYZ", "0123456789"
PLATE = (192, 64)
"""Width and height of a drawn plate in pixels."""


def latin_text(i: int) -> str:
    """A French number (AA-123-AA), its own for every ``i``."""
    random = np.random.default_rng([41, i])
    letters, digits = random.choice(list(LETTERS), 4), random.choice(list(DIGITS), 3)
    return "".join([*letters[:2], "-", *digits, "-", *letters[2:]])


def draw_plate(text: str, i: int = 0, size: tuple[int, int] = PLATE) -> Image.Image:
    """Dark characters on a light plate, each of the package's own shapes, with a little noise."""
    width, height = size
    random = np.random.default_rng([43, i])
    plate = Image.new("RGB", size, tuple(random.integers(200, 250, 3).tolist()))
    characters = [c for c in text if c.isalnum()]
    step = (width - 12) // max(1, len(characters))
    for place, character in enumerate(characters):
        mask = _glyph(character, max(4, step - 4), height - 16)
        plate.paste(tuple(random.integers(10, 60, 3).tolist()), (6 + place * step, 8), mask)
    pixels = np.asarray(plate).astype(float) + random.normal(0, 3, (height, width, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _glyph(character: str, width: int, height: int) -> Image.Image:
    """The mask of a character; of one that the package has no shape for, a box with a bar."""
    if character in LETTERS + DIGITS:
        return glyph_mask(character, width, height)
    mask = Image.new("L", (width, height))
    ImageDraw.Draw(mask).rectangle((1, 1, width - 2, height - 2), outline=255, width=3)
    ImageDraw.Draw(mask).line((1, ord(character) % height, width - 2, height // 2), fill=255, width=3)
    return mask


def write_list(folder: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """Write ``plates.csv``; returns the folder."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "plates.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    return folder


def make_pairs(folder: Path, count: int = 24, scale: int = 8, **columns: Callable[[int], Any]) -> Path:
    """A folder of ``count`` pairs whose LR pictures are not made of the HR ones: other light, other noise."""
    rows = []
    for i in range(count):
        track = folder / f"track {i:03}"
        track.mkdir(parents=True, exist_ok=True)
        draw_plate(latin_text(i), i).save(track / "hr.png")
        small = draw_plate(latin_text(i), 1000 + i).resize((PLATE[0] // scale, PLATE[1] // scale))
        small.point([value // 2 for value in range(256)] * 3).save(track / "lr.png")
        row = {"file": f"{track.name}/hr.png", "text": latin_text(i), "lr": f"{track.name}/lr.png"}
        rows.append(row | {name: value(i) for name, value in columns.items()})
    return write_list(folder, rows)


def make_plates(
    folder: Path, count: int = 24, text: Callable[[int], str] = latin_text, **columns: Callable[[int], Any]
) -> Path:
    """A folder of ``count`` plates in pictures with a margin, and their list; more columns as functions of a number."""
    rows = []
    for i in range(count):
        file = folder / "pictures" / f"car {i:03}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        picture = Image.new("RGB", (PLATE[0] + 32, PLATE[1] + 32), (90, 90 + i, 80))
        picture.paste(draw_plate(text(i), i), (16, 16))
        picture.save(file)
        box = "16 16 208 80"
        corners = "16,16 208,16 208,80 16,80"
        row = {"file": f"pictures/{file.name}", "text": text(i), "box": box, "corners": corners}
        rows.append(row | {name: value(i) for name, value in columns.items()})
    return write_list(folder, rows)
