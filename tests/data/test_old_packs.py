"""Packs that no result refers to: found, told apart from those in use, removed when asked for, and nothing else."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from whole_results import whole

from benchmark.cli import main
from benchmark.config import build
from benchmark.data.synthetic import generator
from benchmark.results.packs import remove, stored
from benchmark.results.store import Run, write_result
from benchmark.runner.context import prepare_plates
from benchmark.util.errors import UserError
from benchmark.util.locks import hold

SPLIT = {"train_plates": 16, "val_plates": 4, "test_plates": 4}
MakeCcpd = Callable[..., Path]


def prepare(results: Path, data: Path | None, seed: int = 0) -> tuple[Path, str]:
    """A pack as a run makes it: its folder and fingerprint; nobody uses it any more."""
    config = build({"data": {**SPLIT, "folder": data, "seed": seed}}, "quick")
    plates, _ = prepare_plates(config, results, lambda text: None)
    return plates.folder, plates.fingerprint


def refer(results: Path, *fingerprints: str, run: str = "r") -> None:
    for seed, fingerprint in enumerate(fingerprints):
        folder = Run(results / run).place("srcnn", seed)
        folder.mkdir(parents=True)
        write_result(folder, whole(seed=seed, data={**whole()["data"], "fingerprint": fingerprint}))


@pytest.fixture
def packs(make_ccpd: MakeCcpd, tmp_path: Path) -> Iterator[tuple[Path, Path, Path]]:
    """A results folder with two packs, of which two results refer to the second."""
    data, results = make_ccpd(), tmp_path / "results"
    old, _ = prepare(results, data)
    new, fingerprint = prepare(results, data, seed=1)
    refer(results, fingerprint, fingerprint)
    yield results, old, new


def test_only_what_nobody_needs_is_removed(
    packs: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results, old, new = packs

    def call(*options: str) -> list[str]:
        monkeypatch.setattr(sys, "argv", ["benchmark", "data", "packs", "--results", str(results), *options])
        with pytest.raises(SystemExit) as stop:
            main.main()
        assert not stop.value.code
        return capsys.readouterr().out.splitlines()

    lines = {line.split()[0]: line for line in call()}
    assert lines[old.name].endswith("pack, no result") and lines[new.name].endswith("pack, 2 results of r")
    rows = {row["name"]: row for row in json.loads("\n".join(call("--json")))}
    assert old.is_dir() and rows[new.name]["results"] == {"r": 2}
    assert rows[new.name]["bytes"] == sum(file.stat().st_size for file in new.iterdir())
    lines = {line.split()[0]: line for line in call("--remove-unused")}
    assert lines[old.name].endswith("pack, no result, removed") and "removed" not in lines[new.name]
    assert not old.exists() and new.is_dir() and len(call()) == 2
    assert len(Run(results / "r").results()) == 2


def test_what_a_process_uses_or_makes_is_kept(packs: tuple[Path, Path, Path], make_ccpd: MakeCcpd) -> None:
    results, old, _ = packs
    config = build({"data": {**SPLIT, "folder": make_ccpd(name="more")}}, "quick")
    plates, _ = prepare_plates(config, results, lambda text: None)
    unused = {item.folder: item for item in stored(results / "packs", results) if not item.results}
    assert {folder: item.busy for folder, item in unused.items()} == {old: False, plates.folder: True}
    assert not remove(unused[plates.folder]) and plates.folder.is_dir()
    name = plates.folder
    del plates
    with hold(name.with_name(f".{name.name}.lock")):  # somebody makes it anew
        (item,) = (item for item in stored(results / "packs", results) if item.folder == name)
        assert item.busy and not remove(item)
    assert remove(item) and not name.exists()


def test_drawn_plates_are_needed_as_long_as_their_pack(
    make_ccpd: MakeCcpd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw(out: Path, count: int, seed: int) -> Path:
        make_ccpd(count, name=str(out.relative_to(tmp_path)))
        (out / generator.MANIFEST).write_text("{}")
        return out

    monkeypatch.setattr(generator, "synthesize", draw)
    kept, fingerprint = prepare(tmp_path, None)
    prepare(tmp_path, None, seed=1)
    refer(tmp_path, fingerprint)
    found = {item.folder.name: (item.kind, item.unused) for item in stored(tmp_path / "packs", tmp_path)}
    drawn = [f"synthetic-v{generator.GENERATOR_VERSION}-24-seed{seed}" for seed in (0, 1)]
    assert found[drawn[0]] == ("synthetic plates", False) and found[drawn[1]] == ("synthetic plates", True)
    assert found[kept.name] == ("pack", False) and len(found) == 4


def test_nothing_of_others_is_touched(packs: tuple[Path, Path, Path], tmp_path: Path) -> None:
    results, old, new = packs
    cache = results / "packs"
    (cache / "mine-0123456789ab").mkdir()
    (cache / "mine-0123456789ab" / "plates.u8").touch()
    (cache / "mine-0123456789ab" / "thesis.txt").touch()
    (cache / "notes").mkdir()
    (old / "thesis.txt").touch()
    elsewhere = tmp_path / "elsewhere"
    new.rename(elsewhere)
    new.symlink_to(elsewhere)
    (cache / "begun-0123456789ab").mkdir()
    for name in ("plates.u8", "journal.jsonl"):
        (cache / "begun-0123456789ab" / name).touch()
    (item,) = stored(cache, results)
    assert (item.folder.name, item.kind, item.unused) == ("begun-0123456789ab", "unfinished pack", True)
    (cache / "begun-0123456789ab" / "link").symlink_to(elsewhere)
    assert stored(cache, results) == []
    (tmp_path / "link").symlink_to(cache)
    with pytest.raises(UserError, match="symbolic link"):
        stored(tmp_path / "link", results)
    with pytest.raises(UserError, match="no folder of packs"):
        stored(tmp_path / "nowhere", results)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"fingerprint": 1}', "[" * 100_000])
def test_a_pack_that_cannot_be_read_is_nobodys(packs: tuple[Path, Path, Path], content: str) -> None:
    results, _, new = packs
    (new / "pack.json").write_text(content)
    (item,) = (item for item in stored(results / "packs", results) if item.folder == new)
    assert item.unused and item.kind == "pack"
