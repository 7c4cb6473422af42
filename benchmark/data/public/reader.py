"""What a reader of a public data set is, and what several of them need."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from benchmark.data.source import Box, Corner, ListedPlate, Source
from benchmark.data.texts import normalise
from benchmark.util.files import read_plain

_LARGEST = 1 << 26  # bytes of a file of annotations
Corners = tuple[Corner, Corner, Corner, Corner]


@dataclass
class Found:
    """The plates of a data set, and (path, reason) of what of it cannot be used. Paths are below its folder."""

    plates: list[Source] = field(default_factory=list)
    odd: list[tuple[str, str]] = field(default_factory=list)

    def add(self, path: str, plate: ListedPlate, number: int = 1) -> None:
        self.plates.append(Source(path, plate, number))


class Reader(Protocol):
    """One public data set: how its folder is known, and what is in it. A module with these names."""

    NAME: str
    """As ``--format`` takes it."""
    TITLE: str

    def fits(self, folder: Path) -> bool:
        """Whether a folder looks like this data set."""

    def read(self, folder: Path) -> Found:
        """All its plates. What cannot be read is listed, and costs nothing else."""


def below(folder: Path, *patterns: str) -> list[Path]:
    """Files and folders below a folder that fit one of some patterns, by name."""
    return sorted(path for pattern in patterns for path in folder.glob(pattern))


def relative(path: Path, folder: Path) -> str:
    return os.path.relpath(path, folder).replace(os.sep, "/")


def read_text(path: Path) -> str:
    """A file of annotations. Raises ValueError, with the reason, for one that cannot be read."""
    try:
        return read_plain(path, _LARGEST).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror or error}") from None


def read_json(path: Path) -> Any:
    """The same of JSON."""
    try:
        return json.loads(read_text(path))
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def text_of(value: object) -> str:
    """A plate's text. Raises ValueError where there is none."""
    text = normalise(value) if isinstance(value, str) else ""
    if not text:
        raise ValueError("it gives no text")
    return text


def corners_of(points: Any) -> Corners:
    """Four corners in whatever order, the bottom right first and then clockwise, as everything here has them.

    They are sorted around their centre: data sets promise an order that single files do not keep. The top left is the
    one nearest the origin in a frame as wide as high. Raises ValueError for anything but four points.
    """
    try:
        corners = [(float(x), float(y)) for x, y in points]
    except (TypeError, ValueError):
        raise ValueError("it gives no corners") from None
    if len(corners) != 4 or not all(math.isfinite(value) for corner in corners for value in corner):
        raise ValueError("it gives no four corners")
    x, y = sum(c[0] for c in corners) / 4, sum(c[1] for c in corners) / 4
    around = sorted(corners, key=lambda c: math.atan2(c[1] - y, c[0] - x))  # clockwise, as y points down
    width = max(c[0] for c in corners) - min(c[0] for c in corners) or 1.0
    height = max(c[1] for c in corners) - min(c[1] for c in corners) or 1.0
    first = max(range(4), key=lambda i: around[i][0] / width + around[i][1] / height)
    a, b, c, d = (around[(first + i) % 4] for i in range(4))
    return a, b, c, d


def box_around(corners: Sequence[Corner]) -> Box:
    xs, ys = zip(*corners)
    return math.floor(min(xs)), math.floor(min(ys)), math.ceil(max(xs)), math.ceil(max(ys))


def same_name(picture: Path, *suffixes: str) -> Path | None:
    """The file of a picture's name with one of some suffixes, if there is one."""
    return next((file for suffix in suffixes if (file := picture.with_suffix(suffix)).is_file()), None)
