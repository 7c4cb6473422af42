"""LRLPR-26 (competition on low-resolution plate recognition, 2026): tracks of LR and HR crops.

``…/train/Scenario-A|B/Brazilian|Mercosur/track_NNNNN/``: ``lr-001`` to ``lr-005`` and, in training tracks, ``hr-001``
to ``hr-005`` (.png or .jpg). ``annotations.json`` has ``plate_text``, ``plate_layout`` and ``corners`` by file (none in
scenario B).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmark.data.public.reader import Corners, Found, below, corners_of, read_json, relative, same_name, text_of
from benchmark.data.source import ListedPlate

NAME = "lrlpr-26"
TITLE = "LRLPR-26 (tracks track_NNNNN)"

_ANNOTATIONS = "annotations.json"
_SUFFIXES = (".png", ".jpg", ".jpeg")
_ORDER = ("top-left", "top-right", "bottom-right", "bottom-left")


def fits(folder: Path) -> bool:
    return next(folder.glob(f"**/track_*/{_ANNOTATIONS}"), None) is not None


def read(folder: Path) -> Found:
    """Every HR crop with the LR crop of its number, or LR crops alone. A track is a sequence.

    No split is taken over: training tracks have originals, test tracks have none.
    """
    found = Found()
    for track in sorted({path.parent for path in folder.glob("**/track_*/[lh]r-*.*")}):
        try:
            facts = read_json(track / _ANNOTATIONS)
            text = text_of(facts.get("plate_text") if isinstance(facts, dict) else None)
        except ValueError as error:
            found.odd.append((relative(track, folder), f"{_ANNOTATIONS}: {error}"))
            continue
        for lone in below(track, *(f"hr-*{suffix}" for suffix in _SUFFIXES)):
            if same_name(lone.with_name(lone.name.replace("hr-", "lr-", 1)), *_SUFFIXES) is None:
                found.odd.append((relative(lone, folder), "it has no LR crop"))
        for lr in below(track, *(f"lr-*{suffix}" for suffix in _SUFFIXES)):
            hr = same_name(lr.with_name(lr.name.replace("lr-", "hr-", 1)), *_SUFFIXES)
            try:
                own = _corners(facts, lr.name)
                plate = ListedPlate(text, None, own, None, relative(track, folder))
                if hr is not None:
                    plate = ListedPlate(
                        text, None, _corners(facts, hr.name), None, plate.sequence, relative(lr, folder), own
                    )
                found.add(relative(hr or lr, folder), plate)
            except ValueError as error:
                found.odd.append((relative(lr, folder), str(error)))
    return found


def _corners(facts: dict[str, Any], name: str) -> Corners | None:
    corners = facts.get("corners")
    named = corners.get(name) if isinstance(corners, dict) else None
    return corners_of([named.get(place) for place in _ORDER]) if isinstance(named, dict) and named else None
