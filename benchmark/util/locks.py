"""Locks between processes that work in one folder.

They are the system's (``flock``): whoever holds one loses it when its process ends, however it ends. The files they
are taken on stay where they are and say who held them last. Of two hosts on a network file system each sees the
other's locks where that file system passes them on (NFS does).
"""

from __future__ import annotations

import errno
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

_KNOWS_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}
_LONGEST = 1_000_000
"""Bytes of a lock file that are looked at: far more than any of this program's has."""


class LockHeld(UserError):
    """Another process holds the lock. ``holder``: its process, host and since when."""

    def __init__(self, message: str, holder: str) -> None:
        super().__init__(message)
        self.holder = holder


@contextmanager
def hold(file: Path, wait: Callable[[str], object] | None = None) -> Iterator[Callable[[str], None]]:
    """Hold the lock ``file`` for this process; the file and its folder are made where they are missing.
    A symbolic link in the place of either is refused: it would be written through. Yields a function that has the
    file say something more, below the line that names the holder.

    Where another process has it: raises :class:`LockHeld`, or, given ``wait``, tells it who has it and waits (Ctrl-C
    ends the waiting). Raises UserError on a file system without locks, OSError where the file cannot be made.
    """
    refuse_links(file.parent, file)
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    me = f"pid {os.getpid()} on {socket.gethostname()} since {datetime.now():%Y-%m-%d %H:%M:%S}\n"

    def say(more: str) -> None:
        with suppress(OSError):  # a full disk: the lock needs no room, and what it says is a courtesy
            os.ftruncate(handle, os.pwrite(handle, (me + more).encode(errors="replace"), 0))

    try:
        _acquire(handle, file, wait)
        say("")
        yield say
    finally:
        os.close(handle)  # lets go of it


def _acquire(handle: int, file: Path, wait: Callable[[str], object] | None) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = _text(handle).partition("\n")[0].strip() or "another process"
        if wait is None:
            raise LockHeld(f"{file.parent} is being written by another process ({holder})", holder) from None
        wait(holder)
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _KNOWS_NO_LOCKS:
            raise
        raise UserError(
            f"the file system of {file.parent} has no locks ({error.strerror}): choose another place with --results"
        ) from None


def _text(handle: int) -> str:
    return os.pread(handle, _LONGEST, 0).decode(errors="replace")


def held_by(file: Path) -> str | None:
    """What the file of a lock says, if a process holds it; None where nobody does, or it cannot be told.

    Nothing is written, and of several that ask none stands in another's way.
    """
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
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
    """Say by a lock on ``file``, which is there, that this process uses it, as others may: see :func:`in_use`.

    Returns what ends that. On a file system without locks, or where the file has gone, nothing is said.
    """
    with ExitStack() as opened:
        try:
            handle = opened.enter_context(open(file, "rb"))
            fcntl.flock(handle, fcntl.LOCK_SH)
        except OSError:
            return lambda: None
        return opened.pop_all().close


def in_use(file: Path) -> bool:
    """Whether a process has said so by :func:`use`, or it cannot be told."""
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
    """A process at work in a folder, as it says: ``holder`` (process, host, since when), the ``work`` that it has in
    common with the others there, and its own ``state``. Both are empty where it does not say."""

    holder: str
    work: dict[str, Any]
    state: dict[str, Any]


class OtherConfiguration(LockHeld):
    """Another process does other work: ``member``."""

    def __init__(self, message: str, member: Member) -> None:
        super().__init__(message, member.holder)
        self.member = member


@contextmanager
def join_run(folder: Path, work: dict[str, Any]) -> Iterator[tuple[Path, Callable[[dict[str, Any]], None]]]:
    """Be one of the processes that do the same ``work`` at the same time; ``folder`` is for this alone.

    Yields a file of this process's own, and a function that tells :func:`members` its state. Raises
    :class:`OtherConfiguration` while a process with other work is there.
    """
    key = hashlib.sha256(json.dumps(work, sort_keys=True, default=str).encode()).hexdigest()[:16]
    mine = folder / f"{key}-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    with ExitStack() as held:
        with hold(folder / "entrance", wait=lambda holder: None):  # let go of within milliseconds
            for other in folder.glob("*-*-*"):
                said = held_by(other)
                if said is None:
                    other.unlink(missing_ok=True)  # its process has ended, and nobody else is at the entrance
                elif not other.name.startswith(key):
                    member = _member(said)
                    raise OtherConfiguration(f"other work is being done in {folder} ({member.holder})", member)
            # It may have to wait for those who look whether somebody holds it.
            say = held.enter_context(hold(mine, wait=lambda holder: None))

        def tell(state: dict[str, Any]) -> None:
            say(json.dumps({"work": work, "state": state}, default=str))

        tell({})
        try:
            yield mine, tell
        finally:
            mine.unlink(missing_ok=True)


def members(folder: Path) -> list[Member]:
    """The processes at work in the ``folder`` of :func:`join_run` now."""
    said = (held_by(file) for file in sorted(folder.glob("*-*-*")))
    return [_member(text) for text in said if text is not None]


def _member(said: str) -> Member:
    """What a process says of itself. The folder may be a stranger's: anything may stand there."""
    holder, _, more = said.partition("\n")
    try:
        told = json.loads(more)
        work, state = told["work"], told["state"]
    except (ValueError, TypeError, LookupError, RecursionError):
        work, state = {}, {}
    known = [part if isinstance(part, dict) else {} for part in (work, state)]
    return Member(holder.strip() or "another process", *known)
