"""Result folders with flipped or missing bytes and other values, and what must come of everything that reads them."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from fake_results import METHODS, make_run

import methods
from benchmark.config import load
from benchmark.results.find_runs import find_run
from benchmark.results.store import Run
from benchmark.results.trained import load_method
from benchmark.results.verify import verify_run
from benchmark.runner.scheduler import run_jobs
from benchmark.runner.status import status_rows
from benchmark.util.errors import UserError
from benchmark.util.terminal import plain
from hostile import images
from hostile.checkpoints import Bomb
from hostile.mutations import VALUES, mutate, mutate_json
from hostile.packs import replace
from hostile.words import obeyed
from paper_figures import table1
from paper_figures.common import loading, tables
from paper_figures.report import builder

FAKES = ("hr", "bicubic", "srcnn", "pecl")
TRAINED = ("bicubic", "srcnn")
MODULES = ("claims", "table1", "readings", "cost")
"""Tables that every report of these checks has; all of them would take seconds each."""


@dataclass(frozen=True)
class Workshop:
    """Two runs to make bad ones from: one computed, and one of known numbers that lists no checksums."""

    computed: Path
    known: Path

    @classmethod
    def make(cls, folder: Path) -> Workshop:
        images.write(folder / "data", [])
        settings = [f"data.folder={folder / 'data'}", "train.iterations=2", "train.validations=1", "scoring.ocr=none"]
        counts = [f"data.{split}_plates={n}" for split, n in (("train", 20), ("val", 2), ("test", 2))]
        run = Run(folder / "results" / "run")
        run.folder.mkdir(parents=True)
        config = load("quick", [*settings, *counts, "train.threads=1", "scoring.samples=1"])
        assert not run_jobs(config, [methods.get(name) for name in TRAINED], run, say=lambda _: None)
        known = make_run(folder / "known" / "run", tuple(fake for fake in METHODS if fake.name in FAKES)).folder
        for file in known.glob("*/*/result.json"):
            info = json.loads(file.read_text(encoding="utf-8"))
            info["files"] = {}
            file.write_text(json.dumps(info), encoding="utf-8")
        return cls(run.folder, known)


def spoil(file: Path, source: random.Random, canary: Path) -> None:
    """Do something to a file of a result."""
    content = file.read_bytes()
    kind = source.choice(("bytes", "other", "other", "other", "place"))
    if kind == "other" and file.suffix == ".json":
        file.write_text(_json(mutate_json(json.loads(content), source), source), encoding="utf-8")
    elif kind == "other" and file.suffix == ".csv":
        file.write_bytes(_other_cells(content.decode(), source).encode("utf-8", "surrogatepass"))
    elif kind == "other" and file.suffix == ".safetensors":
        file.write_bytes(_other_tensors(content, source, canary))
    elif kind == "place":
        replace(file, source)
    else:
        file.write_bytes(mutate(content, source))


def _json(tree: Any, source: random.Random) -> str:
    text = json.dumps(tree)
    if source.random() < 0.05:
        return "[" * 100_000 + text
    if source.random() < 0.05:
        return text.replace("0", "9" * 5000, 1)
    return text


def _other_cells(text: str, source: random.Random) -> str:
    lines = [line.split(",") for line in text.splitlines()]
    for _ in range(source.choice((1, 3, 20))):
        line = source.choice(lines[source.choice((0, 1)) :])
        line[source.randrange(len(line))] = str(source.choice(VALUES))[:2000]
    if source.random() < 0.2:
        lines.append(source.choice(lines))
    if source.random() < 0.2:
        del lines[source.randrange(len(lines))]
    return "\n".join(",".join(line) for line in lines)


def _other_tensors(content: bytes, source: random.Random, canary: Path) -> bytes:
    """A safetensors file with another header, or a pickle under its name."""
    if source.random() < 0.2:
        file = canary.with_name("bomb.pt")
        torch.save(Bomb(canary), file, _use_new_zipfile_serialization=source.random() < 0.5)
        return file.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = mutate_json(json.loads(content[8 : 8 + length]), source)
    encoded = json.dumps(header).encode()
    return struct.pack("<Q", source.choice((len(encoded), len(encoded), 2**63, 0))) + encoded + content[8 + length :]


def check(shop: Workshop, folder: Path, source: random.Random, draw: bool = False) -> str:
    """Spoil a file of one result and let everything read the run: ``accepted`` or ``refused``, the others kept."""
    original = source.choice((shop.computed, shop.known))
    run = Run(folder / "results" / "run")
    shutil.copytree(original, run.folder, symlinks=True)
    canary = folder / "executed"
    victim = source.choice(sorted(path for path in run.folder.glob("*/*/*") if path.suffix in _SUFFIXES))
    spoil(victim, source, canary)
    if victim.is_file() and source.random() < 0.2:  # as one who can make bad results can make good checksums
        _list_again(victim.parent)
    before = _digests(run.folder)
    refused = _read_everything(run, victim, draw, whole=original == shop.computed)
    assert not canary.exists(), "a result was executed"
    after = _digests(run.folder)
    assert {path: digest for path, digest in after.items() if path in before} == before, "reading changed a result"
    return "refused" if refused else "accepted"


_SUFFIXES = {".json", ".csv", ".safetensors"}


def _list_again(folder: Path) -> None:
    try:
        info = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        for name in info["files"]:
            content = (folder / name).read_bytes()
            info["files"][name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        (folder / "result.json").write_text(json.dumps(info), encoding="utf-8")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass  # there is nothing to list in it


def _digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.glob("*/*/*") if path.is_file() and not path.is_symlink())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _read_everything(run: Run, victim: Path, draw: bool, whole: bool) -> bool:
    """Status, verify, report, and the trained method. Returns whether anything was refused or complained of.

    ``verify`` complains of every run that is not ``whole`` (computed, with all its files)."""
    assert find_run(run.folder.parent).folder == run.folder
    status = {row["method"]: row for row in status_rows(run)}
    assert not obeyed(plain(json.dumps(list(status.values()), ensure_ascii=False)))
    for row in status.values():
        assert row["status"] in ("complete", "failed", "unfinished", "unreadable")
    others = {method for method in status if method != victim.parent.parent.name}
    assert all(status[method]["status"] == "complete" for method in others), "another result was lost"
    complaints = bool(run.unreadable())
    faults = [*map(str, verify_run(run, table1=_table1).faults)]
    assert all("\n" not in fault for fault in faults)
    try:
        found = loading.load(run, allow_mixed=True)
    except UserError as error:
        assert "\n" not in str(error) and not others
        return True
    shown = {row.name for row in found.rows}
    assert others <= shown, f"the report lost {others - shown}"
    if draw:
        built = builder.build(run, MODULES, allow_mixed=True)
        assert not built.broken, built.broken
        for file in built.folder.iterdir():
            assert not obeyed(file.read_bytes().decode("utf-8", "replace")) or file.suffix in (".pdf", ".png")
        shutil.rmtree(built.folder)
    try:
        load_method(victim.parent, torch.device("cpu"))
    except UserError as error:
        assert "\n" not in str(error)
        complaints = True
    return complaints or bool(found.problems) or bool(found.failures) or (whole and bool(faults))


def _table1(run: Run) -> str:
    return tables.to_csv(table1.frame(loading.load(run, allow_mixed=True)))


def odd_folders(run: Run) -> None:
    """Folders and files in a run that are no results: none may keep anybody from the others."""
    place = run.folder / "bicubic"
    for name in ("seed", "seed-1", "seed01", "seedx", "seed²", "seed9" + "9" * 30, "seed0 (copy)", "seed0\n"):
        shutil.copytree(place / "seed0", place / name)
    (run.folder / "linked").symlink_to(place)
    (place / "seed7").symlink_to(place / "seed0")
    (run.folder / "file").write_text("x")
    (run.folder / "nothing" / "seed0").mkdir(parents=True)
    (run.folder / os.fsdecode(b"\xff\x1b[31m") / "seed0").mkdir(parents=True)
    os.mkfifo(run.folder / "nothing" / "seed0" / "result.json")
