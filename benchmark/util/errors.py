"""Errors that a user can do something about, and their messages."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmark.util.names import partial_path
from benchmark.util.terminal import cell

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
_NOT_ALLOWED = {errno.EROFS, errno.EACCES, errno.EPERM}
_LONGEST_LINE = 500


class UserError(Exception):
    """Bad input: a single line that says what is wrong and how to go on. Exit code 2 (but see :func:`exit_code`)."""


class CannotWrite(OSError):
    """Writing failed, for lack of room or permission: a single line that says where, and how to go on. Exit code 1."""

    def __init__(self, path: Path, number: int, need: int = 0, option: str = "--results FOLDER") -> None:
        super().__init__(number, os.strerror(number), str(path))
        self.need, self.free, self.option = need, free_bytes(path), option

    def __reduce__(self) -> tuple[Any, ...]:  # as it may come from another process
        return CannotWrite, (Path(self.filename), self.errno, self.need, self.option)

    def __str__(self) -> str:
        room = ""
        if self.errno in _NO_ROOM and self.free is not None:
            room = f" ({f'about {amount(self.need)} needed, ' if self.need else ''}{amount(self.free)} free)"
        way = "make room" if self.errno in _NO_ROOM else "make it writable"
        return (
            f"cannot write {self.filename}: {self.strerror}{room}: {way}, and the same command goes on;"
            f" or choose another place with {self.option}"
        )


@contextmanager
def writing(path: Path, need: int = 0) -> Iterator[None]:
    """Around writing ``path``: turns a full or failing disk and missing permission into :class:`CannotWrite`.

    ``need``: bytes, if known; otherwise the size of the present file is taken. The partial file is removed then.
    """
    try:
        yield
    except CannotWrite:
        raise
    except Exception as error:
        number = fault_of_place(error, path)
        if number is None:
            raise
        with suppress(OSError):
            need = need or (path.stat().st_size if path.is_file() else 0)
        failure = CannotWrite(path, number, need)  # asks for the free room as it was
        partial = partial_path(path)
        if partial.is_dir() and not partial.is_symlink():
            shutil.rmtree(partial, ignore_errors=True)
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise failure from error


def fault_of_place(error: BaseException, path: Path | None = None) -> int | None:
    """The error number, if ``error`` says that there is no room or no permission to write, or that a disk fails.

    Some libraries hide it: safetensors says it in words, PyTorch only that it is not where it wanted to be in the
    file; ``path`` then tells whether its disk is full.
    """
    if isinstance(error, RuntimeError) and isinstance(error.__context__, OSError):
        error = error.__context__
    text = str(error) if not isinstance(error, OSError) else ""
    number = error.errno if isinstance(error, OSError) else None
    if match := re.search(r"\(os error (\d+)\)", text):
        number = int(match[1])
    elif "inline_container" in text or "PytorchStreamWriter" in text:
        free = free_bytes(path) if path is not None else None
        number = errno.EIO if free is None or free > 1 << 20 else errno.ENOSPC
    return number if number in _NO_ROOM | _NOT_ALLOWED | {errno.EIO} else None


def exit_code(error: Exception) -> int:
    """Exit code after ``error``: 2 for bad input; 1 if writing failed, also if a :class:`UserError` reports that a disk
    is full or fails."""
    behind = error.__cause__ or error.__context__
    failing = isinstance(behind, OSError) and fault_of_place(behind) in _NO_ROOM | {errno.EIO}
    return 2 if isinstance(error, UserError) and not failing else 1


def out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` is what Python, NumPy or PyTorch raise when memory runs out, on CPU or CUDA."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    phrases = ("can't allocate memory", "not enough memory", "CUDA out of memory", "ALLOC_FAILED", "Failed to allocate")
    return isinstance(error, RuntimeError) and any(phrase in str(error) for phrase in phrases)


def free_bytes(path: Path) -> int | None:
    """Free bytes on the disk of ``path``, which need not exist; None if that cannot be found out."""
    place = next((p for p in (path, *path.absolute().parents) if p.exists()), None)
    try:
        return shutil.disk_usage(place).free if place is not None else None
    except OSError:
        return None


def amount(size: float) -> str:
    """A number of bytes with a readable unit."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit in ("bytes", "kB") or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError


def first_line(error: BaseException) -> str:
    """The first line of an exception's message, fit to print; its type if there is no message."""
    try:
        lines = str(error).strip().splitlines()
    except Exception:  # a __str__ that raises is the plug-in's, and no reason to lose the others
        lines = []
    text = lines[0] if lines else type(error).__name__
    text = cell(text)
    return text if len(text) <= _LONGEST_LINE else text[: _LONGEST_LINE - 1] + "…"


def few(names: list[str]) -> str:
    """Some names of a list that may be long."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
