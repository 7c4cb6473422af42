"""CCPD file names: the annotation of a plate is the name of its picture.

Xu et al., *Towards End-to-End License Plate Detection and Recognition: A Large Dataset and
Baseline*, ECCV 2018, and the dataset's README (2018, 2019 and CCPD-Green releases)::

    025-95_113-154&383_386&473-386&473_177&454_154&383_363&402-0_0_22_27_27_33_16-37-15.jpg
    area-tilt-bounding box-four vertices-plate number-brightness-blurriness.jpg
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

PROVINCES: tuple[str, ...] = tuple("皖沪津渝冀晋蒙辽吉黑苏浙京闽赣鲁豫鄂湘粤桂琼川贵云藏陕甘青宁新警学O")
"""First character of a plate by its code. The last is the dataset's "no character"."""
LETTERS: tuple[str, ...] = tuple("ABCDEFGHJKLMNPQRSTUVWXYZO")
"""Second character by its code: the issuing authority (I and O are not used on plates)."""
ALPHANUMERICS: tuple[str, ...] = tuple("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789O")
"""Third to last character by its code."""

MINIMUM_SIDE = 64
"""Shortest side of an HR plate: the training patch of the paper."""
MULTIPLE = 8
"""HR sides are multiples of the scale, so that LR sides are whole."""

_INT = r"(-?\d{1,6})"  # more digits than a picture has pixels are no annotation
_XY = f"{_INT}&{_INT}"
_NAME = re.compile(
    rf"(\d+)-{_INT}_{_INT}-{_XY}_{_XY}-{_XY}_{_XY}_{_XY}_{_XY}"
    r"-(\d{1,6}(?:_\d{1,6})*)-(\d{1,9})-(\d{1,9})(?:\.[A-Za-z]+)?",
    re.ASCII,
)

Point = tuple[int, int]


@dataclass(frozen=True)
class PlateName:
    """What a CCPD file name says of its plate. Coordinates are pixels of the picture.

    ``vertices`` start at the bottom right and go on clockwise (bottom left, top left, top right);
    they may lie outside ``bbox``, and outside the picture. ``tilt`` is (horizontal, vertical) in
    degrees, around 0 in names of the 2018 release and around 90 since. ``area`` is the plate's
    share of the picture, as the digits that follow "0.".
    """

    area: str
    tilt: tuple[int, int]
    bbox: tuple[int, int, int, int]
    vertices: tuple[Point, Point, Point, Point]
    text: str
    brightness: int
    blur: int

    @property
    def style(self) -> Literal["2018", "2019", "green"]:
        """The release whose conventions the name follows."""
        if len(self.text) == 8:
            return "green"
        return "2018" if sum(self.tilt) < 110 else "2019"


def parse_name(name: str) -> PlateName:
    """Read a CCPD file name (without folder). Raises ValueError that says what does not fit."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"not a CCPD name (area-tilt-box-vertices-plate-brightness-blur): {name!r}")
    area, *coordinates, plate, brightness, blur = match.groups()
    codes = [int(code) for code in plate.split("_")]
    if len(codes) not in (7, 8):
        raise ValueError(f"{len(codes)} plate characters where CCPD has 7 or 8: {name!r}")
    try:
        text = "".join([PROVINCES[codes[0]], LETTERS[codes[1]], *[ALPHANUMERICS[code] for code in codes[2:]]])
    except IndexError:
        raise ValueError(f"plate character code out of range: {name!r}") from None
    tilt_x, tilt_y, left, top, right, bottom, *xy = map(int, coordinates)
    if right <= left or bottom <= top:
        raise ValueError(f"empty bounding box: {name!r}")
    return PlateName(
        area=area,
        tilt=(tilt_x, tilt_y),
        bbox=(left, top, right, bottom),
        vertices=((xy[0], xy[1]), (xy[2], xy[3]), (xy[4], xy[5]), (xy[6], xy[7])),
        text=text,
        brightness=int(brightness),
        blur=int(blur),
    )


def format_name(plate: PlateName) -> str:
    """The file name that says what ``plate`` holds: the inverse of :func:`parse_name`."""
    tables = [PROVINCES, LETTERS] + [ALPHANUMERICS] * (len(plate.text) - 2)
    left, top, right, bottom = plate.bbox
    return (
        f"{plate.area}-{plate.tilt[0]}_{plate.tilt[1]}-{left}&{top}_{right}&{bottom}-"
        + "_".join(f"{x}&{y}" for x, y in plate.vertices)
        + "-"
        + "_".join(str(table.index(c)) for c, table in zip(plate.text, tables))
        + f"-{plate.brightness}-{plate.blur}.jpg"
    )


def crop_box(bbox: tuple[int, int, int, int], image_width: int, image_height: int) -> tuple[int, int, int, int]:
    """The HR plate rule: ``bbox`` grown to ≥ 64×64 and to multiples of 8, inside the picture.

    Returns (left, top, right, bottom). The box grows evenly on both sides and is shifted where it
    would leave the picture; where the picture is too small for the next multiple of 8 it takes the
    largest multiple that fits. Raises ValueError for a picture under 64 pixels.
    """
    left, right = _grow(bbox[0], bbox[2], image_width)
    top, bottom = _grow(bbox[1], bbox[3], image_height)
    return left, top, right, bottom


def _grow(low: int, high: int, limit: int) -> tuple[int, int]:
    if limit < MINIMUM_SIDE:
        raise ValueError(
            f"picture of {limit} px where at least {MINIMUM_SIDE} are needed (LR pictures are for --task read)"
        )
    low, high = max(0, min(low, limit)), max(0, min(high, limit))
    wanted = max(MINIMUM_SIDE, -(-(high - low) // MULTIPLE) * MULTIPLE)
    size = min(wanted, limit // MULTIPLE * MULTIPLE)
    start = min(max(0, low - (size - (high - low)) // 2), limit - size)
    return start, start + size
