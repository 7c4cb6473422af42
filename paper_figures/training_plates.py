"""Figure 4 of the paper: training plates under varied conditions."""

from __future__ import annotations

from typing import Any

import pandas as pd

from paper_figures.common import conventions, pictures, samples, style, text
from paper_figures.common.drawing import Drawing, NothingToDraw
from paper_figures.common.pictures import Block, Reading, Tile
from paper_figures.common.results import Results

NAME = "training_plates"
TITLE = "Training plates under varied conditions (the paper's Fig. 4)"
NEEDS = "table1"
PICTURES = True

_NUMBERS = ("brightness", "blur", "tilt", "skew", "area", "box_height", "box_width", "height", "width")
_COLUMNS = 4

# Condition: what was measured, the columns it was measured in, digits, sign, unit.
_BRIGHTNESS = ("brightness ", ("brightness",), False, "")
_SHARPNESS = ("sharpness ", ("blur",), False, "")
_BOX = ("", ("box_width", "box_height"), False, " px")
_VALUES: dict[str, tuple[str, tuple[str, ...], bool, str]] = {
    "darkest": _BRIGHTNESS,
    "brightest": _BRIGHTNESS,
    "blurriest": _SHARPNESS,
    "sharpest": _SHARPNESS,
    "tilted counter-clockwise": ("", ("tilt",), True, "°"),
    "tilted clockwise": ("", ("tilt",), True, "°"),
    "most skewed": ("", ("skew",), True, "°"),
    "smallest": _BOX,
    "largest": _BOX,
}


def draw(results: Results) -> Drawing:
    """One picture a condition, with the value it was chosen by and the plate's number."""
    data = samples.training_examples(results, "exhibits.csv", ("file", "name", "text", "condition", *_NUMBERS))
    for column in _NUMBERS:
        data[column] = pd.to_numeric(data[column], errors="coerce")
    tiles, lost = [], []
    for row in data.to_dict("records"):
        try:
            pixels = samples.training_example(results, row["file"])
        except NothingToDraw as reason:
            pixels = None
            lost.append(str(reason))
        tiles.append(Tile(pixels, row["condition"], value=value(row), readings=(Reading(row["text"]),)))
    if len(lost) == len(tiles):
        raise NothingToDraw(lost[0])
    with style.style():
        figure = pictures.draw([Block(tiles)], _COLUMNS, tallest=0.5)
    return Drawing(
        data=data,
        caption=caption(lost),
        conditions=[conventions.data(results)],
        figure=figure,
    )


def value(row: dict[Any, Any]) -> str:
    """What the plate's condition was measured by, with its unit; empty for a condition without a number."""
    before, columns, sign, unit = _VALUES.get(row["condition"], ("", (), False, ""))
    return before + "×".join(text.number(row[column], 0, sign) for column in columns) + unit


def caption(lost: list[str]) -> list[str]:
    """How the plates were chosen, and what the values mean."""
    return [
        "HR plates of the training set, chosen by their annotation alone: the typical plate (nearest the median in "
        "brightness, sharpness, tilt, skew and size taken together), the extremes of each, a plate with eight "
        "characters and one of the rarest province, where the training set has them. Below each is its number. "
        "Brightness and sharpness are the data set's own values (its “blurriness” field, in which a low value is "
        "blurry). Tilt is the angle of the long edges (positive: clockwise), skew that of the short edges against a "
        "right angle; size is that of the annotated box, before it is grown to at least 64×64 px.",
        pictures.NOTICE,
        *pictures.not_shown(lost),
    ]
