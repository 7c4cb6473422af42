"""Locks between processes that work in one folder.

They are the system's (``flock``): a lock is released when its process ends, however it ends. Lock files stay, and say
who held them last. On a network file system the locks of other hosts are seen if it passes them on (NFS does).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmark.util.errors import UserError, writing
from benchmark.util.files import refuse_links
from benchmark.util.names import fit_name

_LONGEST = 1_000_000
"""Bytes of a lock file that are read: far more than this program writes."""


class LockHeld(UserError):
    """Another process holds the lock. ``holder``: its process, host and since when."""

    def __init__(self, message: str, holder: str) -> None:
        super().__init__(message)
        self.holder = holder


@contextmanager
def hold(file: Path, wait: Callable[[str], object] | None = None) -> Iterator[Callable[[str], None]]:
    """Hold the lock ``file`` for this process. The file and its folder are created if missing.

    Yields a function that writes a text into the file, below the line that names the holder. If another process
    holds the lock: raises :class:`LockHeld`, or, given ``wait``, calls it with the holder and waits (Ctrl-C ends the
    waiting). Raises UserError for a symbolic link (it would be written through) and on a file system without locks,
    OSError if the file cannot be created.
    """
    file = _fitted(file)
    refuse_links(file.parent, file)
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    me = f"pid {os.getpid()} on {socket.gethostname()} since {datetime.now():%Y-%m-%d %H:%M:%S}\n"

    def write(text: str) -> None:
        with suppress(OSError):  # a full disk: the lock needs no room, and its text is a courtesy
            os.ftruncate(handle, os.pwrite(handle, (me + text).encode(errors="replace"), 0))

    try:
        _acquire(handle, file, wait)
        write("")
        yield write
    finally:
        os.close(handle)  # releases it


def _fitted(file: Path) -> Path:
    """``file`` under a name that its file system takes."""
    return file.with_name(fit_name(file.stem, file.parent, file.suffix))


def _acquire(handle: int, file: Path, wait: Callable[[str], object] | None) -> None:
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _text(handle).partition("\n")[0].strip() or "another process"
            if wait is None:
                raise LockHeld(f"{file.parent} is being written by another process ({holder})", holder) from None
            wait(holder)
            fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError as error:  # network file systems refuse locks in many ways
        raise UserError(
            f"the file system of {file.parent} has no locks ({error.strerror}): choose another place with --results"
        ) from None


def _text(handle: int) -> str:
    return os.pread(handle, _LONGEST, 0).decode(errors="replace")


def held_by(file: Path) -> str | None:
    """The text of a lock file if a process holds the lock; None if nobody does, or if that cannot be found out.

    Nothing is written, and several processes may ask at the same time.
    """
    try:
        handle = os.open(_fitted(file), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _text(handle)
    except OSError:  # a file system without locks, where nobody holds one
        return None
    finally:
        os.close(handle)
    return None


def use(file: Path) -> Callable[[], None]:
    """Mark the existing ``file`` as used by this process, as several may; :func:`in_use` asks.

    Returns the function that ends this. Does nothing on a file system without locks, or if the file has gone.
    """
    with ExitStack() as opened:
        try:
            handle = opened.enter_context(open(file, "rb"))
            fcntl.flock(handle, fcntl.LOCK_SH)
        except OSError:
            return lambda: None
        return opened.pop_all().close


def in_use(file: Path) -> bool:
    """Whether a process has marked ``file`` by :func:`use`; True also if that cannot be found out."""
    try:
        with open(file, "rb+") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


@dataclass(frozen=True)
class Member:
    """A process at work in a run, by its own account: ``holder`` (process, host, since when), the ``settings`` that it
    shares with the others, and its own ``state``. Both are empty if its lock file cannot be read."""

    holder: str
    settings: dict[str, Any]
    state: dict[str, Any]


class OtherConfiguration(LockHeld):
    """Another process, ``member``, is at work with other settings."""

    def __init__(self, message: str, member: Member) -> None:
        super().__init__(message, member.holder)
        self.member = member


@contextmanager
def join_run(folder: Path, settings: dict[str, Any]) -> Iterator[tuple[Path, Callable[[dict[str, Any]], None]]]:
    """Be one of the processes that work with the same ``settings`` at the same time; ``folder`` is for this alone.

    Yields a lock file of this process's own, and a function that publishes its state for :func:`members`. Raises
    :class:`OtherConfiguration` while a process with other settings is at work.
    """
    key = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:16]
    mine = folder / f"{key}-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    with ExitStack() as locks:
        with hold(folder / "entrance", wait=lambda holder: None):  # released within milliseconds
            for file in folder.glob("*-*-*"):
                content = held_by(file)
                if content is None:
                    file.unlink(missing_ok=True)  # its process has ended, and nobody else is at the entrance
                elif not file.name.startswith(key):
                    member = _member(content)
                    raise OtherConfiguration(f"{member.holder} works in {folder} with other settings", member)
            # It may have to wait for those who look whether somebody holds it.
            write = locks.enter_context(hold(mine, wait=lambda holder: None))

        def publish(state: dict[str, Any]) -> None:
            write(json.dumps({"settings": settings, "state": state}, default=str))

        publish({})
        try:
            yield mine, publish
        finally:
            mine.unlink(missing_ok=True)


def members(folder: Path) -> list[Member]:
    """The processes at work in the ``folder`` of :func:`join_run` now."""
    contents = (held_by(file) for file in sorted(folder.glob("*-*-*")))
    return [_member(content) for content in contents if content is not None]


def _member(content: str) -> Member:
    """The process that wrote a lock file. The folder may be a stranger's: the file may hold anything."""
    holder, _, text = content.partition("\n")
    try:
        fields = json.loads(text)
        parts = [fields["settings"], fields["state"]]
    except (ValueError, TypeError, LookupError, RecursionError):
        parts = [{}, {}]
    return Member(holder.strip() or "another process", *(part if isinstance(part, dict) else {} for part in parts))
