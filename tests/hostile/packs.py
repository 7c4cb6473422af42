"""Packs with flipped or missing bytes, other values, or other files in their place, and what comes of opening one."""

from __future__ import annotations

import json
import os
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.data import pack
from benchmark.data.plates import BadPack, Plates, open_pack
from benchmark.data.verify import verify_pack
from benchmark.util.errors import UserError
from hostile import images
from hostile.mutations import mutate, mutate_json

FILES = ("plates.u8", "plates.parquet", "pack.json", "pack.json", "journal.jsonl")


@dataclass(frozen=True)
class Workshop:
    """A data folder, its pack whole and its pack unfinished, to make bad ones from."""

    data: Path
    whole: Path
    unfinished: Path
    plates: Plates

    @classmethod
    def make(cls, folder: Path) -> Workshop:
        data = folder / "data"
        images.write(data, [])
        plates = _prepare(data, folder / "whole", [])
        before = pack._finish
        try:
            pack._finish = _break_off
            _prepare(data, folder / "unfinished", [])
        except UserError:
            pass
        finally:
            pack._finish = before
        (unfinished,) = (folder / "unfinished").glob("data-*")
        assert (unfinished / "journal.jsonl").is_file() and not (unfinished / "pack.json").exists()
        return cls(data, plates.folder, unfinished, plates)


def _break_off(*_: object) -> None:
    raise UserError("killed")


def _prepare(data: Path, cache: Path, said: list[str]) -> Plates:
    return pack.prepare(data, cache, counts=images.COUNTS, workers=1, say=said.append)


def spoil(file: Path, source: random.Random) -> None:
    """Do something to a file of a pack."""
    content = file.read_bytes()
    kind = source.choice(("bytes", "bytes", "bytes", "json", "json", "place"))
    if kind == "json" and file.suffix == ".json":
        file.write_text(json.dumps(mutate_json(json.loads(content), source)), encoding="utf-8")
    elif kind == "json" and file.suffix == ".jsonl":
        lines = [json.dumps(mutate_json(json.loads(line), source)) for line in content.splitlines()]
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    elif kind == "place":
        replace(file, source)
    else:
        file.write_bytes(mutate(content, source))


def replace(file: Path, source: random.Random) -> None:
    """Put something that is no ordinary file, or nothing, in the place of one."""
    file.unlink()
    match source.randrange(5):
        case 0:
            os.mkfifo(file)
        case 1:
            file.mkdir()
        case 2:
            file.symlink_to("/dev/zero")
        case 3:
            file.symlink_to(file)


def check(shop: Workshop, cache: Path, source: random.Random) -> str:
    """Spoil a copy of a pack and ask for the plates: ``accepted``, ``made anew``, or ``refused`` in one line."""
    name = source.choice(FILES)
    original = shop.unfinished if name == "journal.jsonl" or source.random() < 0.15 else shop.whole
    target = cache / original.name
    shutil.copytree(original, target)
    if not (target / name).exists():
        name = "plates.u8"
    spoil(target / name, source)
    seen = verify_pack(target)
    assert all("\n" not in line for line in seen)
    said: list[str] = []
    try:
        plates = _prepare(shop.data, cache, said)
    except UserError as error:
        assert "\n" not in str(error)
        return "refused"
    assert plates.fingerprint == shop.plates.fingerprint or not said  # an edited one may lie, but is never made anew
    same = len(plates) == len(shop.plates) and all(np.array_equal(a.hr, b.hr) for a, b in zip(plates, shop.plates))
    whole = same and plates.table.equals(shop.plates.table)
    assert whole or seen, f"{name}: other plates, and data verify has no word on it"
    try:
        open_pack(target)
    except BadPack as error:
        raise AssertionError("what was made anew cannot be opened") from error
    return "made anew" if said and whole else "accepted"
