"""Checkpoints of jobs at a URI that all machines reach (fsspec), for clusters whose machines share no folder."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from benchmark.results.store import Key
from benchmark.training import checkpoint
from benchmark.util.errors import UserError, first_line
from benchmark.util.names import partial_path

_SECONDS = 1.0
"""Between two looks for a new checkpoint."""
_STARTS = "attempts.json"


class Storage:
    """A folder behind a URI. Raises UserError for one that nothing installed here can open."""

    def __init__(self, uri: str) -> None:
        try:
            from fsspec.core import url_to_fs
            from fsspec.implementations.local import LocalFileSystem
            from fsspec.implementations.memory import MemoryFileSystem
        except ImportError:
            raise UserError("ray.storage needs fsspec: pip install 'plate-sr-benchmark[ray]'") from None
        if not uri.strip():
            raise UserError("ray.storage is empty: name a place that all machines reach, or leave it out")
        try:
            self.files, root = url_to_fs(uri)
        except Exception as error:  # an unknown protocol, a package that is missing, settings it does not take
            raise UserError(f"ray.storage {uri!r} cannot be opened: {first_line(error)}") from None
        if isinstance(self.files, MemoryFileSystem):
            raise UserError(f"ray.storage {uri!r} is seen by one process alone: name a place that all machines reach")
        self.local = isinstance(self.files, LocalFileSystem)
        if self.local:
            self.files.auto_mkdir = True  # a bucket is never made
        self.root = str(root).rstrip("/")
        self.uri = self.files.unstrip_protocol(self.root)
        """Absolute, so that another machine means the same place."""

    def check(self) -> None:
        """Write and remove a file, and the folders that this made. Raises UserError where that fails."""
        root, probe = Path(self.root), f"{self.root}/.write-test-{secrets.token_hex(4)}"
        new = [folder for folder in (root, *root.parents) if self.local and not folder.exists()]
        try:
            self.files.pipe_file(probe, b"")
            self.files.rm_file(probe)
        except Exception as error:  # each kind of storage has its own
            raise UserError(
                f"cannot write to {self.uri} ({first_line(error)}): choose another place with --set ray.storage=URI"
            ) from None
        finally:
            for folder in new:
                with suppress(OSError):  # never made
                    folder.rmdir()

    def place_marker(self, name: str) -> None:
        """Let other machines see that they mean the same place."""
        self.files.pipe_file(f"{self.root}/{name}", b"")

    def remove_marker(self, name: str) -> None:
        self.files.rm_file(f"{self.root}/{name}")

    def has_marker(self, name: str) -> bool:
        self.files.invalidate_cache()
        return bool(self.files.exists(f"{self.root}/{name}"))

    def job(self, run: str, key: Key) -> JobStorage:
        """The folder of a job in it."""
        return JobStorage(self.files, f"{self.root}/{run}/{key[0]}-seed{key[1]}")


class JobStorage:
    """The last two checkpoints of a job, and how often it was started.

    A checkpoint says itself whether it is complete, so nothing has to be renamed here: few kinds of storage can.
    """

    def __init__(self, files: Any, folder: str) -> None:
        self.files, self.folder = files, folder

    def fetch(self, place: Path, starts: Path) -> None:
        """Copy what is stored into the folder of the job, and over the count of its starts."""
        place.mkdir(parents=True, exist_ok=True)
        starts.parent.mkdir(parents=True, exist_ok=True)
        for name, file in zip(reversed(self._names()), (checkpoint.CURRENT, checkpoint.PREVIOUS)):
            self._get(name, place / file)
        if self.files.exists(f"{self.folder}/{_STARTS}"):
            self._get(_STARTS, starts)

    def keep(self, file: Path) -> None:
        """Store a checkpoint, and remove the one before the previous one."""
        names = self._names()
        number = int(names[-1].partition(".")[0]) + 1 if names else 0
        self.files.put_file(str(file), f"{self.folder}/{number:08}.pt")
        for name in names[:-1]:
            self.files.rm_file(f"{self.folder}/{name}")

    def keep_starts(self, file: Path) -> None:
        self.files.put_file(str(file), f"{self.folder}/{_STARTS}")

    def forget(self) -> None:
        """Remove all that is stored of the job."""
        self.files.invalidate_cache()
        with suppress(FileNotFoundError):
            self.files.rm(self.folder, recursive=True)

    def _names(self) -> list[str]:
        """Of the checkpoints, oldest first."""
        self.files.invalidate_cache()
        try:
            paths = self.files.ls(self.folder, detail=False)
        except FileNotFoundError:
            return []
        names = (PurePosixPath(path).name for path in paths)
        return sorted(name for name in names if name.removesuffix(".pt").isdecimal() and name.endswith(".pt"))

    def _get(self, name: str, path: Path) -> None:
        partial = partial_path(path)
        self.files.get_file(f"{self.folder}/{name}", str(partial))
        partial.replace(path)


@contextmanager
def mirrored(
    job: JobStorage, place: Path, starts: Path, say: Callable[[str], None], also: Callable[[], object]
) -> Iterator[None]:
    """While a job is computed in ``place``, copy each new checkpoint to its storage in a thread of its own.

    What is there at the end is copied, too. Storage that fails is told of once, and stops no training. ``also`` is
    called between two looks.
    """
    watched = {place / checkpoint.CURRENT: job.keep, starts: job.keep_starts}
    seen = {file: _stamp(file) for file in watched}
    ended, failed = threading.Event(), False

    def copy() -> None:
        nonlocal failed
        for file, keep in watched.items():
            if (stamp := _stamp(file)) == seen[file] or not stamp:
                continue
            try:
                keep(file)
                seen[file] = stamp
            except Exception as error:  # each kind of storage has its own
                if not failed and file.exists():  # the job may just have ended and removed it
                    failed = True
                    say(f"a checkpoint could not be copied to {job.folder}: {first_line(error)}")

    def watch() -> None:
        while not ended.wait(_SECONDS):
            copy()
            also()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        copy()


def _stamp(file: Path) -> int:
    """Changes with every version of a file; 0: none."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0
