"""PKU vehicle data set (Yuan et al., IEEE TIP 2017): scenes, and masks that are white on plates.

``images/G1/G1 (1).jpg`` and ``gt/G1/G1 (1).jpg``; images have one more folder for G3, masks for G4, so they are matched
by group and file name. Masks are JPEGs (grey levels waver). Neither texts nor corners nor splits; Chinese plates.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from benchmark.data.public.reader import Found, below, relative
from benchmark.data.source import Box, ListedPlate

NAME = "pku"
TITLE = "PKU vehicle data set (groups G1 to G5)"

_WHITE = 128
_SMALLEST = 8
"""Sides in pixels below which a white spot of a mask is no plate (real ones: at least 22 high)."""


def fits(folder: Path) -> bool:
    return bool(_groups(folder / "gt") and _groups(folder / "images"))


def read(folder: Path) -> Found:
    """Every white rectangle of a mask is a plate. An empty mask is said: there is a scene without a plate."""
    found = Found()
    masks = {_key(folder / "gt", path): path for path in below(folder / "gt", "G*/**/*.jpg")}
    pictures = below(folder / "images", "G*/**/*.jpg")
    lone = sorted(masks.keys() - {_key(folder / "images", picture) for picture in pictures})
    found.odd += [(relative(masks[key], folder), "it is the mask of no picture") for key in lone]
    for picture in pictures:
        path, mask = relative(picture, folder), masks.get(_key(folder / "images", picture))
        if mask is None:
            found.odd.append((path, "it has no mask"))
            continue
        try:
            boxes = plates_in(mask, picture)
        except ValueError as error:
            found.odd.append((relative(mask, folder), str(error)))
            continue
        if not boxes:
            found.odd.append((path, "no plate: its mask is empty"))
        for number, box in enumerate(boxes, 1):
            found.add(path, ListedPlate("", box), number)
    return found


def plates_in(mask: Path, picture: Path) -> list[Box]:
    """The boxes of the white rectangles of a mask, from left to right. Raises ValueError where it is no picture, or one
    of another size than the scene."""
    pixels = cv2.imdecode(np.fromfile(mask, np.uint8), cv2.IMREAD_GRAYSCALE) if mask.stat().st_size else None
    if pixels is None:
        raise ValueError("the mask is not a picture")
    if (size := _size(picture)) not in (None, pixels.shape[::-1]):
        raise ValueError(f"the mask is of {pixels.shape[1]}×{pixels.shape[0]} px, its scene of {size[0]}×{size[1]} px")
    _, _, facts, _ = cv2.connectedComponentsWithStats((pixels >= _WHITE).astype(np.uint8))
    boxes = [(int(x), int(y), int(x + width), int(y + height)) for x, y, width, height, _ in facts[1:]]
    return sorted(box for box in boxes if min(box[2] - box[0], box[3] - box[1]) >= _SMALLEST)


def _size(picture: Path) -> tuple[int, int] | None:
    """Width and height; None for what is no picture, which is said where it is read."""
    try:
        with Image.open(picture) as opened:
            return opened.size
    except OSError:
        return None


def _groups(folder: Path) -> list[Path]:
    return below(folder, "G[1-5]")


def _key(base: Path, path: Path) -> tuple[str, str]:
    """Group and file name, whatever folders are between them."""
    return path.relative_to(base).parts[0], path.name
