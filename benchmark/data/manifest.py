"""Lists of plates: a ``plates.csv`` beside pictures of any country, one line a plate.

Columns, in any order: ``file`` (path of the picture below the folder) and ``text``, and if known ``corners`` (x,y of
top left, top right, bottom right, bottom left), ``box`` (left,top,right,bottom; with neither the picture is the plate),
``split`` (train, val or test), ``sequence`` (pictures of one car at one moment), ``lr`` (the LR picture of a pair) and
``lr_corners``. Numbers are pixels, separated by commas or spaces. A line that cannot be used costs no other.
"""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

from benchmark.data.annotation import name_fault
from benchmark.data.folders import NOTE, Reasons
from benchmark.data.source import Box, Corner, ListedPlate, Source
from benchmark.data.splits import Split
from benchmark.data.texts import normalise
from benchmark.util.errors import UserError
from benchmark.util.files import read_plain

NAME = "plates.csv"
REQUIRED = ("file", "text")
COLUMNS = (*REQUIRED, "corners", "box", "split", "sequence", "lr", "lr_corners")
STRAY = f"{NOTE}it has no columns file and text and lists no plates: pictures go by their CCPD names"
_LARGEST = 1 << 30  # bytes
_SHOWN = 40
_LONGEST_TEXT = 64
_SPLITS: dict[str, Split | None] = {
    "": None, "train": "train", "training": "train", "val": "val", "validation": "val", "valid": "val",
    "test": "test", "testing": "test",
}  # fmt: skip

FileFault = Callable[[str], "str | None"]
"""Why the file at a path below the folder cannot be used; None where it can."""
Rows = list[tuple[int, int, list[str]]]
"""Rows of a list: the lines that they begin and end on, and their cells."""


def read_rows(folder: Path) -> tuple[Rows, list[str]] | None:
    """The rows of the folder's list and its columns; None where it has none that lists plates.

    Raises UserError where there is one that cannot be read.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        content = read_plain(path, _LARGEST).decode("utf-8-sig")
        lines = csv.reader(io.StringIO(content, newline=""))
        header = [name.strip().lower() for name in next(lines, [])]
        if not set(REQUIRED) <= set(header):
            return None
        rows: Rows = []
        last = lines.line_num
        for line in lines:
            first, last = last + 1, lines.line_num
            if any(cells := [cell.strip() for cell in line]):
                rows.append((first, last, cells))
        return rows, header
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8: save it as that") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
    except (csv.Error, ValueError) as error:
        raise UserError(f"{path} is not a table of comma-separated values: {error}") from None


def first_line_of(folder: Path) -> str:
    """The head of the folder's list as a message shows it."""
    with open(folder / NAME, encoding="utf-8-sig", errors="replace") as file:
        return _shown(file.readline(1000).strip())


def read_manifest(folder: Path, file_fault: FileFault) -> tuple[list[Source], Reasons] | None:
    """The plates of the folder's list, and (``plates.csv:LINE``, reason) of lines that cannot be used; None where there
    is no list. Raises UserError where there is one that cannot be read."""
    table = read_rows(folder)
    if table is None:
        return None
    rows, header = table
    sources: list[Source] = []
    odd: Reasons = []
    lines: dict[tuple[str, Box | None], int] = {}
    numbers: dict[str, int] = {}
    labels: set[str] = set()
    faults: dict[str, str | None] = {}
    for line, last, cells in rows:
        try:
            row = _by_column(header, cells, last)
            plate, path = parse_row(row), _path(row["file"])
            for file in filter(None, (path, plate.lr)):
                if file not in faults:
                    faults[file] = file_fault(file)
                if faults[file] is not None:
                    raise ValueError(f"{_shown(file)}: {faults[file]}")
            if (first := lines.setdefault((path, plate.bbox), line)) != line:
                raise ValueError(f"the same plate as in line {first}: {_shown(path)}")
        except ValueError as error:
            odd.append((f"{NAME}:{line}", str(error)))
        else:
            label = Source(path, plate).label  # of pictures inside and outside the folder it may be the same
            number = numbers.get(label, 0) + 1
            while Source(path, plate, number).label in labels:  # a picture may be called like a plate of another
                number += 1
            numbers[label] = number
            sources.append(Source(path, plate, number, f"{NAME}:{line}"))
            labels.add(sources[-1].label)
    given = [source for source in sources if source.listed and source.listed.split]
    if given and len(given) < len(sources):
        without = [source for source in sources if source.listed and not source.listed.split]
        odd += [source.told("it has no split, and others have one") for source in without]
        sources = given
    return sources, [*_notes(rows, header, sources, odd), *odd]


def _notes(rows: Rows, header: list[str], sources: list[Source], odd: Reasons) -> Reasons:
    """What to say of the list as a whole, in a line each."""
    pictures = len({source.path for source in sources})
    words = f"{len(sources):,} plates in {pictures:,} pictures"
    if odd:
        words += f"; {len(odd):,} of {len(rows):,} lines cannot be used ({odd[0][0]}: {odd[0][1]}"
        words += ")" if len(odd) == 1 else " the first; `data verify` lists them)"
    unknown = sorted({name for name in header if name and name not in COLUMNS})
    notes = [f"{NOTE}{words}"]
    if unknown:
        notes.append(f"{NOTE}columns that say nothing here: {', '.join(map(_shown, unknown))}")
    if untold := sum(not source.annotation.text for source in sources):
        notes.append(f"{NOTE}{untold:,} plates without text: no reading of them is scored")
    return [(NAME, note) for note in notes]


def _by_column(header: list[str], cells: list[str], last: int) -> dict[str, str]:
    """The cells of a row, empty where they lack. Raises ValueError where it is no row of this list."""
    if any("\n" in cell or "\r" in cell for cell in cells):
        raise ValueError(f"a cell goes on to line {last}: is its quotation mark closed?")
    if beyond := ",".join(filter(None, cells[len(header) :])):
        raise ValueError(f"more cells than columns ({_shown(beyond)}): a comma in a cell needs quotes")
    return dict.fromkeys(header, "") | dict(zip(header, cells))


def parse_row(row: dict[str, str]) -> ListedPlate:
    """What a line says. Raises ValueError that says what does not fit."""
    raw, split = row["text"], row.get("split", "").lower()
    text = normalise(raw)
    if raw and not text:
        raise ValueError(f"the text {_shown(raw)} has neither letter nor digit")
    if len(text) > _LONGEST_TEXT:
        raise ValueError(f"the text {_shown(raw)} is longer than {_LONGEST_TEXT} characters")
    if split not in _SPLITS:
        raise ValueError(f"the split {_shown(split)} is not train, val or test")
    lr = _path(row["lr"]) if row.get("lr") else ""
    vertices, box = _corners(row.get("corners", ""), "corners"), _box(row.get("box", ""))
    if lr and box is not None:
        raise ValueError("a pair of LR and HR pictures takes no box: both are the plate")
    if box is None and vertices is not None and not lr:
        xs, ys = zip(*vertices)
        box = (math.floor(min(xs)), math.floor(min(ys)), math.ceil(max(xs)), math.ceil(max(ys)))
    lr_vertices = _corners(row.get("lr_corners", ""), "lr_corners")
    plate = ListedPlate(text, box, vertices, _SPLITS[split], row.get("sequence", ""), lr, lr_vertices)
    fault = name_fault(plate) or (name_fault(replace(plate, vertices=lr_vertices, bbox=None)) if lr_vertices else None)
    if fault is not None:
        raise ValueError(fault)
    return plate


def _path(text: str) -> str:
    path = os.path.normpath(text.replace("\\", "/")) if text else ""
    if not path:
        raise ValueError("it names no file")
    if os.path.isabs(path) or re.match(r"[A-Za-z]:", path):
        raise ValueError(f"{_shown(text)} is not a path below the folder")
    return path


def _numbers(text: str, count: int, what: str) -> list[float]:
    parts = [part for part in re.split(r"[\s,;()\[\]]+", text) if part]
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(abs(number) < 1e6 for number in numbers):
        raise ValueError(f"{what} takes {count} numbers, not {_shown(text)}")
    return numbers


def _box(text: str) -> Box | None:
    if not text:
        return None
    left, top, right, bottom = _numbers(text, 4, "box")
    box = (math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom))
    if box[2] <= box[0] or box[3] <= box[1]:
        raise ValueError(f"the box {_shown(text)} is empty (left,top,right,bottom)")
    return box


def _corners(text: str, what: str) -> tuple[Corner, Corner, Corner, Corner] | None:
    """From the top left, as they are written, to the bottom right first, as everything here has them."""
    if not text:
        return None
    x0, y0, x1, y1, x2, y2, x3, y3 = _numbers(text, 8, what)
    return (x2, y2), (x3, y3), (x0, y0), (x1, y1)


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")


# -- writing ---------------------------------------------------------------------------------------


def to_csv(sources: list[Source]) -> str:
    """A list of plates as ``plates.csv`` holds it; only columns that say something."""
    rows = [_row(source.path, cast(ListedPlate, source.annotation)) for source in sources]
    columns = [name for name in COLUMNS if name in REQUIRED or any(row[name] for row in rows)]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _row(path: str, plate: ListedPlate) -> dict[str, str]:
    return {
        "file": path,
        "text": plate.text,
        "corners": _written(plate.vertices),
        "box": "" if plate.bbox is None else " ".join(map(str, plate.bbox)),
        "split": plate.split or "",
        "sequence": plate.sequence,
        "lr": plate.lr,
        "lr_corners": _written(plate.lr_vertices),
    }


def _written(vertices: tuple[Corner, ...] | None) -> str:
    if vertices is None:
        return ""
    return " ".join(f"{x:g},{y:g}" for x, y in (*vertices[2:], *vertices[:2]))
