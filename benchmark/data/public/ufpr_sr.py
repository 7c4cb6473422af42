"""UFPR-SR-Plates (Nascimento et al.): tracks of five LR and five HR crops of a plate, taken by one camera.

``…/plate-NNNNNN/lr-001.png`` and ``hr-001.png``, each with a JSON: ``shapes[0].points`` in a sample of it, corners and
``plate`` in the release. In the sample the text is in the name of a ``plate-MMMMMM_TEXT.txt``. The HR crops are about
twice as large as the LR ones, and of other moments: no pairs for ×8, but LR pictures to be read (``--task read``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmark.data.public.reader import Corners, Found, below, corners_of, read_json, read_text, relative, text_of
from benchmark.data.source import ListedPlate
from benchmark.data.splits import Split

NAME = "ufpr-sr"
TITLE = "UFPR-SR-Plates (tracks plate-NNNNNN)"

_SPLITS: dict[str, Split] = {"training": "train", "validation": "val", "testing": "test"}


def fits(folder: Path) -> bool:
    return next(folder.glob("**/plate-*/lr-001.png"), None) is not None


def read(folder: Path) -> Found:
    """Every HR crop with the LR crop of its number. A track is a sequence."""
    found = Found()
    splits = _splits(folder, found)
    for track in sorted({path.parent for path in folder.glob("**/plate-*/lr-*.png")}):
        name = relative(track, folder)
        lone = [hr for hr in below(track, "hr-*.png") if not hr.with_name(hr.name.replace("hr-", "lr-", 1)).is_file()]
        found.odd += [(relative(hr, folder), "it has no LR crop") for hr in lone]
        for lr in below(track, "lr-*.png"):
            hr = lr.with_name(lr.name.replace("lr-", "hr-", 1))
            try:
                facts = [_facts(picture) for picture in (hr, lr)]
                text = text_of(facts[1].get("plate") or facts[0].get("plate") or _text_beside(track))
                plate = ListedPlate(
                    text,
                    None,
                    _corners(facts[0]),
                    _split(splits, name),
                    name,
                    relative(lr, folder),
                    _corners(facts[1]),
                )
            except ValueError as error:
                found.odd.append((relative(lr, folder), str(error)))
                continue
            if hr.is_file():
                found.add(relative(hr, folder), plate)
            else:
                alone = ListedPlate(text, None, plate.lr_vertices, plate.split, name)
                found.add(relative(lr, folder), alone)
    return found


def _facts(picture: Path) -> dict[str, Any]:
    """The JSON of a picture; empty where it has none."""
    file = picture.with_suffix(".json")
    facts = read_json(file) if file.is_file() else {}
    if not isinstance(facts, dict):
        raise ValueError(f"{file.name} does not hold an object")
    return facts


def _corners(facts: dict[str, Any]) -> Corners | None:
    """Corners, by either way they are written."""
    shapes = facts.get("shapes")
    points = shapes[0].get("points") if isinstance(shapes, list) and shapes and isinstance(shapes[0], dict) else None
    points = points or facts.get("corners")
    if isinstance(points, dict):
        points = list(points.values())
    return corners_of(points) if points else None


def _text_beside(track: Path) -> str | None:
    """The text in the name of a file ``plate-MMMMMM_TEXT.txt``."""
    names = [path.stem.partition("_")[2] for path in below(track, "plate-*_*.txt")]
    return names[0] if names else None


def _splits(folder: Path, found: Found) -> dict[str, set[Split]]:
    """Splits by the path of a track and by every end of it, from lists of ``TEXT;folder;training``."""
    splits: dict[str, set[Split]] = {}
    for file in below(folder, "*.txt", "*/*.txt"):
        try:
            lines = [line.split(";") for line in read_text(file).splitlines()]
        except ValueError as error:
            found.odd.append((relative(file, folder), str(error)))
            continue
        for line in lines:
            if len(line) == 3 and line[2].strip() in _SPLITS:
                for end in _ends(line[1].strip().strip("/")):
                    splits.setdefault(end, set()).add(_SPLITS[line[2].strip()])
    return splits


def _split(splits: dict[str, set[Split]], track: str) -> Split | None:
    """The split of the longest end of the track's path that a list has; None where lists say two of it."""
    named = next((splits[end] for end in _ends(track) if end in splits), set())
    return next(iter(named)) if len(named) == 1 else None


def _ends(path: str) -> list[str]:
    """``a/b/c`` → ``a/b/c``, ``b/c``, ``c``."""
    parts = path.split("/")
    return ["/".join(parts[i:]) for i in range(len(parts))]
