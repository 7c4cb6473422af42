"""Locks between processes that work in one folder.

They are the system's (``flock``): whoever holds one loses it when its process ends, however it ends. The files they
are taken on stay where they are and say who held them last. Of two hosts on a network file system each sees the
other's locks where that file system passes them on (NFS does).
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from benchmark.errors import UserError, writing
from benchmark.files import refuse_links

_KNOWS_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}


class Held(UserError):
    """Another process holds the lock. ``holder``: its process, host and since when."""

    def __init__(self, message: str, holder: str) -> None:
        super().__init__(message)
        self.holder = holder


@contextmanager
def hold(file: Path, wait: Callable[[str], object] | None = None) -> Iterator[None]:
    """Hold the lock ``file`` for this process; the file and its folder are made where they are missing.
    A symbolic link in the place of either is refused: it would be written through.

    Where another process has it: raises :class:`Held`, or, given ``wait``, tells it who has it and waits (Ctrl-C ends
    the waiting). Raises UserError on a file system without locks, OSError where the file cannot be made.
    """
    refuse_links(file.parent, file)
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    try:
        _acquire(handle, file, wait)
        me = f"pid {os.getpid()} on {socket.gethostname()} since {datetime.now():%Y-%m-%d %H:%M:%S}\n".encode()
        with suppress(OSError):  # a full disk: the lock needs no room, and its holder's name is a courtesy
            os.ftruncate(handle, os.pwrite(handle, me, 0))
        yield
    finally:
        os.close(handle)  # lets go of it


def _acquire(handle: int, file: Path, wait: Callable[[str], object] | None) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(handle, 1000, 0).decode(errors="replace").strip() or "another process"
        if wait is None:
            raise Held(f"{file.parent} is being written by another process ({holder})", holder) from None
        wait(holder)
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _KNOWS_NO_LOCKS:
            raise
        raise UserError(
            f"the file system of {file.parent} has no locks ({error.strerror}): choose another place with --results"
        ) from None


@contextmanager
def agreeing(folder: Path, work: str) -> Iterator[Path]:
    """Be one of the processes that do ``work`` (any text) at the same time; ``folder`` is for this alone.

    Yields a file of this process's own. Raises :class:`Held` while another process does other work there.
    """
    key = hashlib.sha256(work.encode()).hexdigest()[:16]
    mine = folder / f"{key}-{socket.gethostname()}-{os.getpid()}"
    with ExitStack() as held:
        with hold(folder / "entrance", wait=lambda holder: None):  # let go of within milliseconds
            for other in folder.glob("*-*-*"):
                with ExitStack() as check:
                    try:
                        check.enter_context(hold(other))
                    except Held:
                        if not other.name.startswith(key):
                            raise
                    else:
                        other.unlink(missing_ok=True)  # its process has ended, and nobody else is at the entrance
            held.enter_context(hold(mine))
        try:
            yield mine
        finally:
            mine.unlink(missing_ok=True)
