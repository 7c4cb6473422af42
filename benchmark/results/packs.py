"""What has piled up beside runs: packs, and the synthetic plates they were made of; which of it no result refers to.

Nothing is removed but what this program makes in such a folder, and nothing through a symbolic link. All of it can be
made again from the same data.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.data.folders import MANIFEST
from benchmark.results.find_runs import runs
from benchmark.results.record import Record
from benchmark.results.store import Run
from benchmark.util.errors import UserError
from benchmark.util.files import read_plain, refuse_links
from benchmark.util.locks import LockHeld, held_by, hold, in_use

_IN_A_PACK = {"pack.json", "plates.u8", "plates.parquet", "skipped.csv", "dropped.csv", "journal.jsonl"}
_IN_DRAWN = {MANIFEST, f"{MANIFEST}.part", "ccpd_base", "ccpd_green"}
_MOST = 1_000_000
"""Bytes of a ``pack.json`` that are looked at: more than any has."""


@dataclass(frozen=True)
class Stored:
    """A pack, or a folder of synthetic plates.

    ``results`` refer to it: how many, by the name of their run. ``busy``: a process uses or makes it now.
    """

    folder: Path
    kind: str
    size: int
    results: dict[str, int]
    busy: bool

    @property
    def unused(self) -> bool:
        return not self.results and not self.busy

    @property
    def use(self) -> str:
        """Who needs it, in words."""
        parts = [f"{count} result{'s' * (count > 1)} of {name}" for name, count in self.results.items()]
        return ", ".join([*(parts or ["no result"]), *(["in use now"] if self.busy else [])])

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.folder.name, "kind": self.kind, "bytes": self.size, "results": self.results,
                "in_use": self.busy}  # fmt: skip


def stored(folder: Path, results: Path) -> list[Stored]:
    """Packs and synthetic plates in ``folder``, by name; the results are those of the runs in ``results``.

    Anything else there is left out. Raises UserError where there is no such folder, or a link in its place.
    """
    refuse_links(folder)
    if not folder.is_dir():
        raise UserError(f"no folder of packs {folder}: name it, or the --results of its runs")
    users = _users(results)
    kinds = {path: kind for path in sorted(folder.iterdir()) if (kind := _kind(path))}
    packs = {
        path: Stored(path, kind, _size(path), users.get(claimed_fingerprint(path), {}), _busy(path))
        for path, kind in kinds.items()
        if kind != "synthetic plates"
    }
    drawn = {path: _drawn(path, list(packs.values())) for path in kinds if path not in packs}
    return [{**packs, **drawn}[path] for path in kinds]


def places(run: Run, record: Record) -> list[Path]:
    """Where packs of a run may lie: beside it, and where the configuration of a result has them."""
    cache = record.config.data.cache
    return [run.results_folder / "packs", *([Path(os.path.expanduser(cache))] if cache else [])]


def find(run: Run, record: Record, fingerprint: str) -> Path | None:
    """The pack of that fingerprint in :func:`places`; None if there is none."""
    made = [pack for place in places(run, record) for pack in _packs(place)]
    return next((pack for pack in made if claimed_fingerprint(pack) == fingerprint), None)


def _packs(place: Path) -> list[Path]:
    try:
        return sorted(file.parent for file in place.glob("*/pack.json"))
    except (OSError, ValueError):  # a stranger's result may name anything
        return []


def remove(item: Stored) -> bool:
    """Remove what is unused. False, and nothing happens, where a process has begun to use it."""
    refuse_links(item.folder.parent, item.folder)
    try:
        with hold(_lock(item.folder)):
            if in_use(item.folder / "pack.json"):
                return False
            shutil.rmtree(item.folder)
    except LockHeld:
        return False
    return True


def _users(results: Path) -> dict[str, dict[str, int]]:
    """How many results of which run refer to a fingerprint."""
    users: dict[str, Counter[str]] = {}
    for run in runs(results):
        for result in [result for part in (run, *run.test_sets()) for result in part.results()]:
            users.setdefault(result.record.scored_data.fingerprint, Counter())[run.folder.name] += 1
    return {fingerprint: dict(counts) for fingerprint, counts in users.items()}


def _kind(path: Path) -> str:
    """What a folder is, by all that is in it; "" for what this program did not make."""
    if path.is_symlink() or not path.is_dir():
        return ""
    names = {name.removesuffix(".partial") for name in os.listdir(path)}
    if MANIFEST in names and names <= _IN_DRAWN:
        return "synthetic plates"
    if "plates.u8" in names and names <= _IN_A_PACK:
        return "pack" if "pack.json" in names else "unfinished pack"
    return ""


def _drawn(path: Path, packs: list[Stored]) -> Stored:
    """Synthetic plates: needed by whoever needs the packs made of them, which would be others if drawn again."""
    made = [pack for pack in packs if re.fullmatch(rf"{re.escape(path.name)}-[0-9a-f]{{12}}", pack.folder.name)]
    results: Counter[str] = Counter()
    for pack in made:
        results |= Counter(pack.results)
    busy = _busy(path) or any(pack.busy for pack in made)
    return Stored(path, "synthetic plates", _size(path), dict(results), busy)


def claimed_fingerprint(pack: Path) -> str:
    """The fingerprint that a pack says it has; "" where it says none."""
    try:
        return str(json.loads(read_plain(pack / "pack.json", _MOST))["fingerprint"])
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return ""


def _lock(path: Path) -> Path:
    """The lock that whoever makes this holds."""
    return path.with_name(f".{path.name}.lock")


def _busy(path: Path) -> bool:
    return held_by(_lock(path)) is not None or in_use(path / "pack.json")


def _size(folder: Path) -> int:
    return sum((Path(at) / name).lstat().st_size for at, _, names in os.walk(folder) for name in names)
