"""CCPD2020 (green plates): ``ccpd_green/{train,val,test}/*.jpg``, the annotation in the name.

A CCPD folder needs no list. This one takes over the data set's own split, which ``--data`` on the folder does not.
"""

from __future__ import annotations

from pathlib import Path

from benchmark.data.annotation import name_fault
from benchmark.data.ccpd import parse_name
from benchmark.data.public.reader import Found, below, relative
from benchmark.data.source import ListedPlate
from benchmark.data.splits import Split

NAME = "ccpd-green"
TITLE = "CCPD2020, green plates, with the data set's own split"

_SPLITS: tuple[Split, ...] = ("train", "val", "test")


def fits(folder: Path) -> bool:
    return _base(folder) is not None


def read(folder: Path) -> Found:
    found = Found()
    base = _base(folder) or folder
    for split in _SPLITS:
        for picture in below(base / split, "*.jpg"):
            path = relative(picture, folder)
            try:
                name = parse_name(picture.name)
                if (fault := name_fault(name)) is not None:
                    raise ValueError(fault)
            except ValueError as error:
                found.odd.append((path, str(error)))
            else:
                found.add(path, ListedPlate(name.text, name.bbox, name.vertices, split))
    return found


def _base(folder: Path) -> Path | None:
    """The folder of the three splits."""
    places = (folder / "ccpd_green", folder / "CCPD2020" / "ccpd_green", folder)
    green = [place for place in places if place.name == "ccpd_green"]
    return next((place for place in green if all((place / split).is_dir() for split in ("train", "test"))), None)
