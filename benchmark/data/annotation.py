"""Whether an annotation can be that of its picture: one in a CCPD name, or in a list of plates.

Photographs are resized, cut or exchanged while their names stay. What such a name says is not believed: the plate
that it points at is background, and every score of it would be nonsense. On all names of five official sub-sets
(91,979) and on 6,945 real pictures cut from photographs, with names that follow the cut, nothing is refused here.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.data.ccpd import PlateName
from benchmark.data.source import Corner, ListedPlate

CONTRADICTION = "annotation does not fit: "
"""Every reason that :func:`name_fault` and :func:`picture_fault` give begins so."""
INSIDE = 0.5
"""Least share of the box, and of the corners' bounding rectangle, that lies in the picture. On real ones it is 1."""
FLATTEST = 0.05
"""Least area of the triangle at a corner, as a share of the quadrilateral's. On real plates it is above 0.4."""
_FRAME = (720, 1160)
"""Width and height of CCPD's photographs, in pixels."""
_BOX_BY_AREA = {"2018": (0.9, 1.15), "2019": (0.8, 3.4), "green": (0.14, 1.4)}
"""The box's share of the photograph over the area that the name states, by release: a little more than the range on
real names (2018: 1.00–1.05; 2019: 0.89–3.2; green: 0.16–1.22)."""


def is_contradiction(reason: str) -> bool:
    """Whether a reason for leaving a picture out is that its annotation does not fit."""
    return reason.startswith(CONTRADICTION)


def name_fault(plate: PlateName | ListedPlate) -> str | None:
    """What makes an annotation impossible whatever the picture is; None for a possible one.

    The corners, if there are any, must be those of a convex quadrilateral, clockwise, with their mean in the box.
    """
    corners = plate.vertices
    if corners is None:
        return None
    if len(set(corners)) < 4:
        return f"{CONTRADICTION}corners coincide"
    triangles = [_area(corners[i - 1], corners[i], corners[(i + 1) % 4]) for i in range(4)]
    if min(triangles) <= FLATTEST * abs(sum(triangles)) / 2:  # each half of the quadrilateral is in them twice
        return f"{CONTRADICTION}corners on a line, crossed, or not clockwise"
    x, y = sum(x for x, _ in corners) / 4, sum(y for _, y in corners) / 4
    left, top, right, bottom = plate.bbox or (x, y, x, y)
    if not (left <= x <= right and top <= y <= bottom):
        return f"{CONTRADICTION}corners beside the box"
    return None


def picture_fault(plate: PlateName | ListedPlate, width: int, height: int) -> str | None:
    """What makes an annotation impossible in a picture of ``width``×``height`` pixels; None for a possible one."""
    picture = f"the picture of {width}×{height} px"
    for what, box in (("box", plate.bbox), ("corners", _around(plate))):
        share = 1.0 if box is None else _share_inside(box, width, height)
        if share < INSIDE:
            return f"{CONTRADICTION}{1 - share:.0%} of the {what} outside {picture}"
    if isinstance(plate, PlateName) and _is_resized(plate, width, height):
        return f"{CONTRADICTION}{picture} is a resized photograph, and the name is that of the original"
    return None


def _is_resized(name: PlateName, width: int, height: int) -> bool:
    """Whether this is a photograph of another size than CCPD's, in its shape, with a box that is too large or small.

    Cut pictures have other shapes, and a box that covers more of them than the name's area says. Names that were
    scaled with their photographs state areas that still fit.
    """
    if (width, height) == _FRAME or width != round(height * _FRAME[0] / _FRAME[1]):
        return False
    left, top, right, bottom = name.bbox
    area = float(f"0.{name.area}")
    least, most = _BOX_BY_AREA[name.style]
    share = (right - left) * (bottom - top) / (width * height)
    return area > 0.0 and not least <= share / area <= most


def _around(plate: PlateName | ListedPlate) -> tuple[float, float, float, float] | None:
    """The rectangle around the corners, if they are known."""
    if plate.vertices is None:
        return None
    x, y = zip(*plate.vertices)
    return min(x), min(y), max(x), max(y)


def _share_inside(box: Sequence[float], width: int, height: int) -> float:
    """Share of a rectangle's area (left, top, right, bottom) that lies in the picture."""
    left, top, right, bottom = box
    inside_x = max(0, min(right, width) - max(left, 0))
    inside_y = max(0, min(bottom, height) - max(top, 0))
    return inside_x * inside_y / ((right - left) * (bottom - top))


def _area(a: Corner, b: Corner, c: Corner) -> float:
    """Signed area of a triangle; positive where its corners are clockwise, as y points down."""
    return ((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])) / 2
