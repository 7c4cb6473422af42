"""XLPSR challenge (ICIP 2026), development set: sequences of ten frames of French plates, far away, without originals.

``development/seq_001/000000.png`` to ``000009.png`` and ``detections.json``, a list of ``frame`` and
``license_plate_coordinates`` [x1, y1, x2, y2]; ``ground_truth.csv`` with columns ``folder`` and ``license_plate``.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from benchmark.data.public.reader import Found, below, read_json, read_text, relative, text_of
from benchmark.data.source import Box, ListedPlate

NAME = "xlpsr"
TITLE = "XLPSR challenge, development set (seq_NNN)"

_DETECTIONS = "detections.json"


def fits(folder: Path) -> bool:
    return next(folder.glob(f"**/seq_*/{_DETECTIONS}"), None) is not None


def read(folder: Path) -> Found:
    """Every frame's box as an LR picture; without a text where none is given (validation sequences)."""
    found = Found()
    texts = _texts(folder, found)
    sequences = [path for path in below(folder, "**/seq_*") if path.is_dir()]
    gone = sorted(texts.keys() - {path.name for path in sequences})
    found.odd += [(name, "ground_truth.csv names it, and it is not there") for name in gone]
    without = [path for path in sequences if not (path / _DETECTIONS).is_file()]
    found.odd += [(relative(path, folder), f"it has no {_DETECTIONS}") for path in without]
    for file in below(folder, f"**/seq_*/{_DETECTIONS}"):
        sequence, name = file.parent, relative(file.parent, folder)
        try:
            detections = read_json(file)
        except ValueError as error:
            found.odd.append((relative(file, folder), str(error)))
            continue
        if not isinstance(detections, list) or not detections:
            found.odd.append((relative(file, folder), "it lists no frame"))
            continue
        for entry in detections:
            try:
                picture, box = _frame(sequence, entry), _box(entry)
            except ValueError as error:
                found.odd.append((relative(file, folder), str(error)))
            else:
                found.add(relative(picture, folder), ListedPlate(texts.get(sequence.name, ""), box, None, "test", name))
        if sequence.name not in texts:
            found.odd.append((name, "ground_truth.csv gives no text of it"))
    return found


def _frame(sequence: Path, entry: Any) -> Path:
    """The picture that an entry is of: by its name, with or without suffix, or by its number."""
    frame = entry.get("frame") if isinstance(entry, dict) else None
    name = f"{frame:06d}" if isinstance(frame, int) else str(frame or "")
    for picture in (sequence / name, sequence / f"{name}.png"):
        if name and picture.parent == sequence and picture.is_file():
            return picture
    raise ValueError(f"there is no frame {frame!r}")


def _box(entry: dict[str, Any]) -> Box:
    try:
        left, top, right, bottom = (round(float(value)) for value in entry["license_plate_coordinates"])
    except (KeyError, TypeError, ValueError, OverflowError):
        raise ValueError(f"frame {entry.get('frame')!r} has no box") from None
    if right <= left or bottom <= top:
        raise ValueError(f"frame {entry.get('frame')!r} has an empty box")
    return left, top, right, bottom


def _texts(folder: Path, found: Found) -> dict[str, str]:
    texts: dict[str, str] = {}
    for file in below(folder, "ground_truth.csv", "*/ground_truth.csv"):
        try:
            rows = list(csv.DictReader(read_text(file).splitlines()))
        except (ValueError, csv.Error) as error:
            found.odd.append((relative(file, folder), str(error)))
            continue
        for row in rows:
            try:
                texts[str(row.get("folder")).rstrip("/").rsplit("/", 1)[-1]] = text_of(row.get("license_plate"))
            except ValueError as error:
                found.odd.append((relative(file, folder), f"{row.get('folder')}: {error}"))
    return texts
