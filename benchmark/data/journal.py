"""How far the making of a pack has come: one line for every chunk of pictures.

A line holds, for each picture, the box and digests of the plate whose pixels were appended, or the reason why
there is none. A run that was killed goes on behind the last line that is whole and whose pixels are there;
what else may be in the file, after a power failure or from a stranger, is cut off.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from benchmark.data.ccpd import MINIMUM_SIDE, MULTIPLE
from benchmark.data.duplicates import BITS
from benchmark.data.pictures import MAX_PIXELS
from benchmark.data.source import Box

_LONGEST_LINE = 1 << 20
_LONGEST_REASON = 1000


@dataclass(frozen=True)
class Decoded:
    """A plate of a pack in the making: the box cut, SHA-256 of its pixels and coarse hash, both hexadecimal; and
    whether those of an LR picture follow its pixels."""

    box: Box
    sha256: str
    hash: str
    paired: bool = False

    @property
    def bytes(self) -> int:
        """Size of its pixels in bytes."""
        left, top, right, bottom = self.box
        hr = (right - left) * (bottom - top) * 3
        return hr + hr // MULTIPLE**2 if self.paired else hr


def write_entry(journal: TextIO, plates: Sequence[Decoded | str]) -> None:
    """Append a chunk: plates, or reasons."""
    entry = [plate if isinstance(plate, str) else _entry(plate) for plate in plates]
    journal.write(json.dumps(entry) + "\n")
    journal.flush()


def _entry(plate: Decoded) -> list[Any]:
    return [*plate.box, plate.sha256, plate.hash, *([True] if plate.paired else [])]


def read_journal(path: Path, pixel_path: Path, pictures: int) -> tuple[list[Decoded | str], int]:
    """What is done already of ``pictures``, and the bytes of it, as far as journal and pixels agree."""
    done: list[Decoded | str] = []
    good = size = 0
    if path.is_file() and pixel_path.is_file():
        with open(path, "rb") as file, open(pixel_path, "rb") as pixels:
            while line := file.readline(_LONGEST_LINE):
                try:
                    entry = _parse_entry(json.loads(line), pictures - len(done))
                except (ValueError, TypeError, RecursionError):
                    break  # the line that was being written when the run was killed, or a damaged one
                if not line.endswith(b"\n") or not all(_is_in(pixels, plate) for plate in entry):
                    break
                done += entry
                good += len(line)
                size += sum(plate.bytes for plate in entry if isinstance(plate, Decoded))
    if path.is_file():
        os.truncate(path, good)
    return done, size


def _parse_entry(entry: Any, most: int) -> list[Decoded | str]:
    """The plates of a line. Raises ValueError or TypeError for anything else."""
    if not isinstance(entry, list) or len(entry) > most:
        raise ValueError("an entry is a list of the pictures to come")
    return [_parse_plate(item) for item in entry]


def _parse_plate(item: Any) -> Decoded | str:
    if isinstance(item, str):
        if not item.isprintable() or len(item) > _LONGEST_REASON:
            raise ValueError("a reason is a short text")
        return item
    left, top, right, bottom, sha256, coarse, *paired = item
    if paired not in ([], [True]):
        raise ValueError("a pair is marked by true")
    if any(type(edge) is not int or edge < 0 for edge in (left, top, right, bottom)):
        raise ValueError("a box is four whole numbers")
    for side in (right - left, bottom - top):
        if side < MINIMUM_SIDE or side % MULTIPLE:
            raise ValueError("no plate has this size")
    if (right - left) * (bottom - top) > MAX_PIXELS or len(bytes.fromhex(coarse)) != BITS // 8:
        raise ValueError("no plate is this large, or has such a hash")
    return Decoded((left, top, right, bottom), str(sha256), coarse, bool(paired))


def _is_in(pixels: BinaryIO, plate: Decoded | str) -> bool:
    """Whether the next pixels of the file are the plate's."""
    return isinstance(plate, str) or hashlib.sha256(pixels.read(plate.bytes)).hexdigest() == plate.sha256
