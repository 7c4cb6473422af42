"""RLPR: 200 sequences of 31 blurred crops of a plate, with one text each; for evaluation.

``Dataset/sample_001/Plate_crop/01.png`` to ``31.png`` (16 is the reference) and ``Label/Labels.txt``, whose line n is
the text of sample n, with blanks in it. Its pseudo-originals are sharper frames, about four times as large: no pairs
for ×8, but LR pictures to be read (``--task read``).
"""

from __future__ import annotations

import re
from pathlib import Path

from benchmark.data.public.reader import Found, below, read_text, relative, text_of
from benchmark.data.source import ListedPlate

NAME = "rlpr"
TITLE = "RLPR (sample_NNN/Plate_crop)"

_SAMPLE = re.compile(r"sample_(\d+)")


def fits(folder: Path) -> bool:
    return next(folder.glob("**/sample_*/Plate_crop"), None) is not None


def read(folder: Path) -> Found:
    """Every crop as an LR picture; a sample is a sequence."""
    found = Found()
    labels = below(folder, "**/Label/Labels.txt")
    lines = read_text(labels[0]).splitlines() if labels else []
    for crops in below(folder, "**/sample_*/Plate_crop"):
        name = relative(crops.parent, folder)
        match = _SAMPLE.fullmatch(crops.parent.name)
        number = int(match[1]) if match else 0
        try:
            text = text_of(lines[number - 1] if 0 < number <= len(lines) else None)
        except ValueError:
            found.odd.append((name, f"Label/Labels.txt has no text in line {number}"))
            continue
        for picture in below(crops, "*.png"):
            found.add(relative(picture, folder), ListedPlate(text, None, None, "test", name))
    return found
