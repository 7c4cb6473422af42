"""From the folder of a public data set to a list of its plates."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import cast

from benchmark.data import manifest
from benchmark.data.folders import Reasons
from benchmark.data.public import ccpd_green, lrlpr26, pku, rlpr, rodosol, ufpr_sr, xlpsr
from benchmark.data.public.reader import Reader
from benchmark.data.source import ListedPlate, Source
from benchmark.util.errors import UserError, writing
from benchmark.util.files import write_text

_MODULES = (pku, ufpr_sr, rodosol, lrlpr26, rlpr, xlpsr, ccpd_green)
READERS: dict[str, Reader] = {module.NAME: cast(Reader, module) for module in _MODULES}


def choose(folder: Path, name: str | None) -> Reader:
    """The reader called ``name``, or the one that the folder looks like. Raises UserError where that is not clear."""
    if not folder.is_dir():
        raise UserError(f"no folder {folder}")
    if name is not None:
        if name not in READERS:
            raise UserError(f"no format {name!r} (known: {', '.join(READERS)})")
        return READERS[name]
    fitting = [reader for reader in READERS.values() if reader.fits(folder)]
    if len(fitting) != 1:
        looks = f"like {' and '.join(reader.NAME for reader in fitting)}" if fitting else "like no data set known here"
        raise UserError(f"{folder} looks {looks}: name one with --format ({', '.join(READERS)})")
    return fitting[0]


def convert(folder: Path, reader: Reader, out: Path, copy: bool = False) -> tuple[list[Source], Reasons]:
    """Write ``out/plates.csv``, with the pictures' paths from there or with copies of them.

    Returns the plates, and what of the data set cannot be used. Raises UserError where there is no plate, and where
    ``out`` has another list already.
    """
    try:
        found = reader.read(folder)
    except ValueError as error:
        raise UserError(f"{folder} cannot be read as {reader.NAME}: {error}") from None
    if not found.plates:
        listed = "".join(f"\n  {path}: {reason}" for path, reason in found.odd[:20])
        raise UserError(f"no plate in {folder}, read as {reader.NAME}{':' if listed else ''}{listed}")
    plates = [_moved(source, folder, out, copy) for source in found.plates]
    text, place = manifest.to_csv(plates), out / manifest.NAME
    if place.exists() and place.read_bytes() != text.encode():
        raise UserError(f"{place} is there already: move it away, or choose another --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make {out}: {error.strerror}: choose another --out") from None
    if copy:
        for before, after in zip(found.plates, plates):
            for old, new in zip(_files(before), _files(after)):
                (out / new).parent.mkdir(parents=True, exist_ok=True)
                with writing(out / new):
                    shutil.copyfile(folder / old, out / new)
    write_text(place, text)
    return plates, found.odd


def _files(source: Source) -> list[str]:
    return [path for path in (source.path, source.listed.lr if source.listed else "") if path]


def _moved(source: Source, folder: Path, out: Path, copy: bool) -> Source:
    """A plate with its paths as they are from ``out``."""

    def path(below: str) -> str:
        return below if copy or not below else os.path.relpath(folder / below, out).replace(os.sep, "/")

    plate = cast(ListedPlate, source.annotation)
    return replace(source, path=path(source.path), annotation=replace(plate, lr=path(plate.lr)))
