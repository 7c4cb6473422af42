"""Checkpoint files: what is damaged, foreign or hostile is a line and no more."""

from __future__ import annotations

import hashlib
import io
import os
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.training import checkpoint
from benchmark.training.checkpoint import CURRENT, FINISHED, PREVIOUS
from benchmark.util.errors import UserError

STATE = {"method": {"w": torch.arange(12.0).view(3, 4)}, "iteration": 3, "history": [{"iteration": 0, "val_psnr": 1.5}]}


def write(folder: Path, iteration: int, identity: str = "mine") -> None:
    checkpoint.save(folder, {**STATE, "iteration": iteration, "identity": identity})


def found(folder: Path) -> tuple[list[int], list[str]]:
    """Iterations of the checkpoints that can be taken up, and what was said about the others."""
    lines: list[str] = []
    return [state["iteration"] for _, state in checkpoint.states(folder, "mine", lines.append)], lines


def sealed(content: bytes) -> bytes:
    """With a checksum that is right."""
    return content + checkpoint._MARK + hashlib.sha256(content).digest()


def test_a_checkpoint_comes_back_as_it_was_and_the_one_before_stays(tmp_path: Path) -> None:
    for iteration in (1, 2, 3):
        write(tmp_path, iteration)
    assert {path.name for path in tmp_path.iterdir()} == {CURRENT, PREVIOUS}
    assert found(tmp_path) == ([3, 2], [])
    (_, state), *_ = checkpoint.states(tmp_path, "mine")
    assert torch.equal(state["method"]["w"], STATE["method"]["w"])  # type: ignore[index]
    assert state["history"] == STATE["history"]
    checkpoint.remove(tmp_path)
    assert not checkpoint.present(tmp_path) and not list(tmp_path.iterdir())


def test_of_another_training(tmp_path: Path) -> None:
    write(tmp_path, 1)
    write(tmp_path, 2, identity="other")
    assert found(tmp_path) == ([1], [])
    assert (tmp_path / CURRENT).is_file() and checkpoint.present(tmp_path)


def test_a_flipped_or_missing_byte_is_noticed_and_the_previous_one_taken(tmp_path: Path) -> None:
    write(tmp_path, 1)
    write(tmp_path, 2)
    good = (tmp_path / CURRENT).read_bytes()
    chance = random.Random(0)
    damaged = [good[: chance.randrange(len(good))] for _ in range(40)]
    for _ in range(160):
        place = chance.randrange(len(good))
        damaged.append(good[:place] + bytes([good[place] ^ (1 << chance.randrange(8))]) + good[place + 1 :])
    damaged += [b"", good + b"\0", good[1:], bytes(len(good)), good[: -checkpoint._TAIL]]
    for content in damaged:
        (tmp_path / CURRENT).write_bytes(content)
        iterations, lines = found(tmp_path)
        assert iterations == [1] and len(lines) == 1 and f"{CURRENT} is not used" in lines[0]
        assert not (tmp_path / CURRENT).exists()  # or it would become the previous one
    assert found(tmp_path) == ([1], [])


class Hostile:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def contents(tmp_path: Path) -> dict[str, bytes]:
    """Files with a right checksum that no training wrote."""

    def saved(value: object, **options: Any) -> bytes:
        file = io.BytesIO()
        torch.save(value, file, **options)
        return file.getvalue()

    good = saved({**STATE, "identity": "mine"})
    compressed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(good)) as source, zipfile.ZipFile(compressed, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    return {
        "code": saved({"identity": "mine", "method": Hostile(tmp_path / "executed")}),
        "old code": saved(Hostile(tmp_path / "executed"), _use_new_zipfile_serialization=False),
        "compressed": compressed.getvalue(),
        "list": saved([1, 2]),
        "no identity": saved({"iteration": 3}),
        "numeric identity": saved({"identity": 3}),
        "empty": b"",
        "zip": b"PK\x05\x06" + bytes(18),
        "text": b"hello",
    }


def test_foreign_and_hostile_files(tmp_path: Path) -> None:
    for name, content in contents(tmp_path).items():
        (tmp_path / CURRENT).write_bytes(sealed(content))
        iterations, lines = found(tmp_path)
        assert iterations == [] and len(lines) == 1, name
    assert not (tmp_path / "executed").exists()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    write(tmp_path / "elsewhere", 5)
    (tmp_path / CURRENT).symlink_to(tmp_path / "elsewhere" / CURRENT)
    assert found(tmp_path)[0] == []
    assert (tmp_path / "elsewhere" / CURRENT).is_file()


def test_what_cannot_be_written_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, 1)

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(torch, "save", fails)
        write(tmp_path, 2)
    assert found(tmp_path) == ([1], []) and {path.name for path in tmp_path.iterdir()} == {CURRENT}

    def lies(state: object, file: Any) -> None:
        file.write(b"what was meant")
        file.file.seek(0)
        file.file.write(b"s")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="Input/output error"):
        patch.setattr(torch, "save", lies)
        write(tmp_path, 2)
    assert found(tmp_path) == ([1], []) and {path.name for path in tmp_path.iterdir()} == {CURRENT}


@pytest.mark.parametrize("moment", ["partial", "renamed"])
def test_killed_while_it_was_written(tmp_path: Path, moment: str) -> None:
    write(tmp_path, 1)
    write(tmp_path, 2)
    if moment == "partial":
        (tmp_path / f"{CURRENT}.partial").write_bytes(b"half")
        assert found(tmp_path) == ([2, 1], [])
    else:  # between the two renames
        (tmp_path / CURRENT).replace(tmp_path / PREVIOUS)
        assert found(tmp_path) == ([2], [])
    write(tmp_path, 3)
    assert found(tmp_path) == ([3, 2], [])


def test_a_finished_training_and_its_files(tmp_path: Path) -> None:
    lines: list[str] = []
    write(tmp_path, 8)
    for name in ("weights", "history"):
        (tmp_path / name).write_text(name)
    for change in ({"weights": "other"}, {"weights": None}, None):
        (tmp_path / "weights").write_text("weights")
        checkpoint.finish(tmp_path, {"identity": "mine", "iteration": 9}, ["weights", "history"])
        assert checkpoint.finished(tmp_path, "other", lines.append) is None and not lines
        state = checkpoint.finished(tmp_path, "mine", lines.append)
        assert state is not None and state["iteration"] == 9 and set(state["files"]) == {"weights", "history"}
        for name, content in (change or {}).items():
            (tmp_path / name).write_text(content) if content else (tmp_path / name).unlink()
        if change:
            assert checkpoint.finished(tmp_path, "mine", lines.append) is None
            assert FINISHED in lines.pop() and not (tmp_path / FINISHED).exists()
    assert found(tmp_path)[0] == [8]  # still there, had a file been damaged


def test_a_finished_training_names_files_of_its_own_folder_only(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "secret").write_text("s")
    digest = hashlib.sha256(b"s").hexdigest()
    for files in ({"../secret": digest}, {str(tmp_path / "secret"): digest}, ["secret"], None):
        state = {"identity": "mine", "files": files}
        checkpoint._write(tmp_path / "inside" / FINISHED, state, lambda p: p.replace(tmp_path / "inside" / FINISHED))
        assert checkpoint.finished(tmp_path / "inside", "mine", lambda _: None) is None


@pytest.mark.parametrize("name", [CURRENT, PREVIOUS, FINISHED])
def test_a_folder_in_the_place_of_a_checkpoint_is_refused_by_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(UserError, match=f"{name} is a folder, where a training writes a file: move it away"):
        checkpoint.finished(tmp_path, "mine") or list(checkpoint.states(tmp_path, "mine"))
