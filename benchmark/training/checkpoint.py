"""Checkpoints: a killed training resumes from one that is complete and undamaged.

``checkpoint.pt`` is the latest state of an unfinished training and ``checkpoint.previous.pt`` the one before, to fall
back to. ``finished.pt`` says that a training has ended and which files it left, so that scoring can be killed, too.
Each is what ``torch.save`` writes, followed by its SHA-256, as PyTorch's reader ignores the checksums in its own
format. Reading executes nothing that is in them.
"""

from __future__ import annotations

import errno
import hashlib
import os
import pickle
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import torch

from benchmark.util.errors import UserError, first_line, writing
from benchmark.util.files import checksum, new_file, open_plain, sync_folder
from benchmark.util.terminal import say as say_plainly

CURRENT, PREVIOUS, FINISHED = "checkpoint.pt", "checkpoint.previous.pt", "finished.pt"
_MARK = b"LPSRCKP1"
_TAIL = len(_MARK) + hashlib.sha256().digest_size

State = dict[str, Any]
"""Numbers, text, tensors, and lists, tuples and dictionaries of them. ``identity`` is that of the training."""


class Damaged(Exception):
    """A checkpoint that cannot be restored: a single line that says why."""


def save(folder: Path, state: State) -> None:
    """Write ``state`` as the checkpoint of a training; the previous one is kept beside it.

    At least one complete checkpoint exists at any moment. Raises OSError if it cannot be written, or does not read
    back as it was written; the previous one then stays.
    """

    def replace(partial: Path) -> None:
        if (folder / CURRENT).is_file():
            (folder / CURRENT).replace(folder / PREVIOUS)
        partial.replace(folder / CURRENT)

    _write(folder / CURRENT, state, replace)


def finish(folder: Path, state: State, files: list[str]) -> None:
    """Record that a training has ended and left ``files`` in ``folder``.

    Its checkpoints stay until :func:`remove`, in case one of the files is damaged.
    """
    state = {**state, "files": {name: checksum(folder / name)["sha256"] for name in files}}
    _write(folder / FINISHED, state, lambda partial: partial.replace(folder / FINISHED))


def states(folder: Path, identity: str, say: Callable[[str], None] = say_plainly) -> Iterator[tuple[Path, State]]:
    """The checkpoints of the training with this identity that can be restored, latest first.

    Files that are damaged, or no checkpoints, are removed, and ``say`` gets a line about each.
    """
    for name in (CURRENT, PREVIOUS):
        state = _of_identity(folder / name, identity, say)
        if state is not None:
            yield folder / name, state


def finished(folder: Path, identity: str, say: Callable[[str], None] = say_plainly) -> State | None:
    """What :func:`finish` recorded, if it is of this identity and all its files are unchanged."""
    state = _of_identity(folder / FINISHED, identity, say)
    if state is None:
        return None
    try:
        for name, digest in state["files"].items():
            if Path(name).name != name or checksum(folder / name)["sha256"] != digest:
                raise Damaged(f"{name} has changed since the training")
    except (Damaged, OSError, AttributeError, KeyError, TypeError) as error:
        reject(folder / FINISHED, error, say)
        return None
    return state


def present(folder: Path) -> bool:
    """Whether there is a checkpoint to resume from, of whatever identity."""
    return any((folder / name).is_file() for name in (CURRENT, PREVIOUS, FINISHED))


def digest(file: Path) -> str:
    """The SHA-256 that a checkpoint carries, unverified; "" for a file that cannot be read."""
    try:
        with open_plain(file) as opened:
            opened.seek(-min(_TAIL, os.fstat(opened.fileno()).st_size), os.SEEK_END)
            return opened.read()[len(_MARK) :].hex()
    except OSError:
        return ""


def remove(folder: Path) -> None:
    """Remove the checkpoints."""
    for name in (CURRENT, PREVIOUS, FINISHED):
        (folder / name).unlink(missing_ok=True)


def _write(path: Path, state: State, replace: Callable[[Path], object]) -> None:
    def fill(file: BinaryIO) -> None:
        hashing = _Hashing(file)
        torch.save(state, hashing)  # type: ignore[arg-type]  # it needs no more than these two
        file.write(_MARK + hashing.digest.digest())

    with writing(path):
        partial = new_file(path, fill)
        _read_back(partial)
        replace(partial)
        sync_folder(path.parent)


def _read_back(partial: Path) -> None:
    try:
        with open_plain(partial) as file:
            _verify(file)
    except Damaged as error:
        partial.unlink()
        raise OSError(errno.EIO, f"the disk does not give back what was written ({error})", str(partial)) from None


class _Hashing:
    """A file to write to, and the SHA-256 of what has been written."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.digest = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()


def _verify(file: BinaryIO) -> None:
    """Raise Damaged unless the tail of a file is the checksum of what is before it."""
    length = os.fstat(file.fileno()).st_size - _TAIL
    digest, left = hashlib.sha256(), length
    while left > 0 and (block := file.read(min(left, 1 << 20))):
        digest.update(block)
        left -= len(block)
    tail = file.read(_TAIL)
    if length <= 0 or tail[: len(_MARK)] != _MARK:
        raise Damaged("it is cut short, or not a checkpoint of this program")
    if tail[len(_MARK) :] != digest.digest():
        raise Damaged("its checksum is wrong")
    file.seek(0)


def _read(path: Path) -> State:
    """Raises Damaged, OSError, or almost anything else for a foreign file; never runs what is in it."""
    with open_plain(path) as file:
        _verify(file)
        with zipfile.ZipFile(file) as archive:  # what torch.save writes is not compressed; a bomb would be
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                raise Damaged("it was not written by this program")
        file.seek(0)
        try:
            state = torch.load(file, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError:  # PyTorch's own words advise to load it all the same
            raise Damaged("it holds what a training does not write, and might be a program") from None
    if not isinstance(state, dict) or not isinstance(state.get("identity"), str):
        raise Damaged("it has another type")
    return state


def _of_identity(path: Path, identity: str, say: Callable[[str], None]) -> State | None:
    if path.is_dir():
        raise UserError(f"{path} is a folder, where a training writes a file: move it away")
    if not path.is_file():
        return None
    try:
        state = _read(path)
    except Exception as error:  # a foreign file makes the reader raise almost anything
        reject(path, error, say)
        return None
    return state if state["identity"] == identity else None


def reject(path: Path, error: Exception, say: Callable[[str], None] = say_plainly) -> None:
    """Say why a checkpoint is not used, and remove it, so that it is not rotated into the fallback slot."""
    say(f"{path} is not used: {first_line(error)}")
    path.unlink(missing_ok=True)
