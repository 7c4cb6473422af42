"""Files: read without following links, as others may have made them; written completely or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from benchmark.util.errors import UserError, writing
from benchmark.util.names import partial_path

_CANNOT_SYNC = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, errno.EACCES, errno.EPERM, 524}
"""What network file systems say where they cannot force a file, or more often a folder, to disk (524: ENOTSUPP)."""


def open_plain(path: Path) -> BinaryIO:
    """Open a regular file for reading.

    Raises OSError also for a symbolic link (it may lead out of the folder it was handed over in), and for
    a pipe or device (reading one may never end).
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "is a symbolic link, which is not followed", str(path)) from None
        raise
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(errno.EINVAL, "is not an ordinary file", str(path))
    return os.fdopen(number, "rb")


def read_plain(path: Path, limit: int) -> bytes:
    """The content of a regular file. Raises OSError as :func:`open_plain` does, and for more than ``limit`` bytes."""
    with open_plain(path) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"is longer than {limit:,} bytes", str(path))
    return content


def checksum(path: Path) -> dict[str, str | int]:
    """Size in bytes and SHA-256 of a regular file. Raises OSError as :func:`open_plain` does."""
    digest, size = hashlib.sha256(), 0
    with open_plain(path) as file:
        while block := file.read(1 << 20):
            digest.update(block)
            size += len(block)
    return {"size": size, "sha256": digest.hexdigest()}


def write_text(path: Path, text: str) -> None:
    """Write a file of UTF-8 as :func:`write_bytes` does."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes, durable: bool = True) -> None:
    """Write a file completely or not at all. What is at ``path`` is replaced; a link there is not followed.

    ``durable``: also after a power cut. What is cheap to make again need not be.
    """
    with writing(path, need=len(content)):
        new_file(path, lambda file: file.write(content), durable).replace(path)
        if durable:
            sync_folder(path.parent)


def new_file(path: Path, fill: Callable[[BinaryIO], object], durable: bool = True) -> Path:
    """Have ``fill`` write the content of ``path`` under a temporary name beside it. Returns that."""
    partial = partial_path(path)
    partial.unlink(missing_ok=True)  # of a run that was killed; or a link
    with open(partial, "xb") as file:
        fill(file)
        file.flush()
        if durable:
            sync(file.fileno())
    return partial


def sync_folder(folder: Path) -> None:
    """Force a folder's entries to disk: a renamed file is safe only then."""
    number = os.open(folder, os.O_RDONLY)
    try:
        sync(number)
    finally:
        os.close(number)


def sync(number: int) -> None:
    """Force an open file or folder to disk, where its file system can do that. Raises OSError if the disk fails."""
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise


def refuse_links(*folders: Path) -> None:
    """Raise UserError if one of these folders is a symbolic link: nothing is written or removed through one."""
    for folder in folders:
        if folder.is_symlink():
            raise UserError(f"{folder} is a symbolic link, which is not followed: put a folder in its place")


def without_home(text: str) -> str:
    """``text`` with ``~`` wherever a path begins with the user's home directory, which holds a name."""
    home = os.path.expanduser("~")
    for place in sorted({home, os.path.realpath(home)} - {"/", "~"}, key=len, reverse=True):
        text = re.sub(rf"(?<![\w.-]){re.escape(place)}(?![\w.-])", "~", text)
    return text
