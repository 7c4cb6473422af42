"""RodoSol-ALPR (Laroca et al., VISAPP 2022): Brazilian and Mercosur plates at toll booths, in whole pictures.

``images/{cars-br,cars-me,motorcycles-br,motorcycles-me}/img_NNNNNN.jpg``, each with a text file of four lines: type,
``plate: ABC1234``, layout, ``corners: x,y x,y x,y x,y``. ``split.txt``: ``./images/…jpg;training|validation|testing``.
"""

from __future__ import annotations

from pathlib import Path

from benchmark.data.public.reader import Found, below, box_around, corners_of, read_text, relative, text_of
from benchmark.data.source import ListedPlate
from benchmark.data.splits import Split

NAME = "rodosol"
TITLE = "RodoSol-ALPR (cars-br, cars-me, motorcycles-br, motorcycles-me)"

_FOLDERS = ("cars-br", "cars-me", "motorcycles-br", "motorcycles-me")
_SPLITS: dict[str, Split] = {"training": "train", "validation": "val", "testing": "test"}
_TWO_LINES = "a motorcycle's plate, which has two lines of text: no OCR engine here reads those"


def fits(folder: Path) -> bool:
    return any((folder / "images" / name).is_dir() for name in _FOLDERS)


def read(folder: Path) -> Found:
    """The plates of cars. Those of motorcycles are listed as left out."""
    found = Found()
    splits = _splits(folder, found)
    for picture in below(folder / "images", *(f"{name}/*.{suffix}" for name in _FOLDERS for suffix in ("jpg", "JPG"))):
        path = relative(picture, folder)
        try:
            facts = dict(_fields(read_text(picture.with_suffix(".txt"))))
            if facts.get("type") == "motorcycle" or picture.parent.name.startswith("motorcycles"):
                raise ValueError(_TWO_LINES)
            corners = corners_of([point.split(",") for point in facts.get("corners", "").split()])
            plate = ListedPlate(text_of(facts.get("plate")), box_around(corners), corners, splits.get(path))
        except ValueError as error:
            found.odd.append((path, str(error)))
        else:
            found.add(path, plate)
    return found


def _fields(text: str) -> list[tuple[str, str]]:
    """``name: value`` line by line; a first line without a name is the type."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    pairs = [line.partition(":") for line in lines]
    return [(name.strip().lower(), value.strip()) if colon else ("type", name.lower()) for name, colon, value in pairs]


def _splits(folder: Path, found: Found) -> dict[str, Split]:
    file = folder / "split.txt"
    try:
        lines = read_text(file).splitlines() if file.is_file() else []
    except ValueError as error:
        found.odd.append((file.name, str(error)))
        return {}
    splits = {}
    for number, line in enumerate(lines, 1):
        path, _, word = line.strip().partition(";")
        if word in _SPLITS:
            splits[path.removeprefix("./")] = _SPLITS[word]
        elif path:
            found.odd.append((f"{file.name}:{number}", f"{word!r} is not training, validation or testing"))
    return splits
