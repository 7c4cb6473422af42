"""Walking a data folder: which files below it are the user's own.

Left out, and said, are hidden and system folders (snapshots and bins hold old copies), folders that this program
wrote (synthetic plates, packs, results, reports), and symbolic links to folders unless they are to be followed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from benchmark.util.files import read_plain
from benchmark.util.terminal import cell

MANIFEST = "synthetic.json"
"""The file of a folder of synthetic plates that says what is in it."""
LINK = "a symbolic link to a folder: not followed"
TWICE = "a symbolic link to a folder that is read already"
HIDDEN = "a hidden folder, or one of the system's"
OURS = "a folder that this program wrote"
NOTE = "note: "
"""A reason that begins so is of no file or folder that is left out: it is something to say of a list of plates."""

_SYSTEM = {"$RECYCLE.BIN", "System Volume Information", "lost+found", "__MACOSX", "@eaDir", "@Recycle", "#recycle",
           "#snapshot", "~snapshot"}  # fmt: skip
_NAMED = 3
_LARGEST_RESULT = 10_000_000  # bytes

Reasons = list[tuple[str, str]]


def left_out(reason: str) -> str | None:
    """What to say of a whole folder that is left out for ``reason``, or of a list; None where that is about a file."""
    if reason.startswith(NOTE):
        return reason.removeprefix(NOTE)
    if reason == LINK:
        return f"the whole folder is left out: {reason} (--follow-links takes it in; or name the folder it leads to)"
    return f"the whole folder is left out: {reason}" if reason in (TWICE, HIDDEN, OURS) else None


def remarks(odd: Reasons) -> list[str]:
    """What to say of the folders that are left out, in a line for each link and one for all others of a kind; and each
    note."""
    lines = [f"{cell(path)}: {left_out(reason)}" for path, reason in odd if reason == LINK or reason.startswith(NOTE)]
    for kind in (TWICE, HIDDEN, OURS):
        folders = [cell(path) for path, reason in odd if reason == kind]
        if folders:
            more = f" and {len(folders) - _NAMED} more" if len(folders) > _NAMED else ""
            lines.append(f"left out as {kind}: {', '.join(folders[:_NAMED])}{more}")
    return lines


def walk(base: str, follow_links: bool, odd: Reasons) -> Iterator[tuple[str, list[str]]]:
    """Every folder of the user's own below ``base``, itself first, and the names of its files, both in order.

    A folder is given by its path below ``base``: "", or ending in "/". What is left out or cannot be read is added to
    ``odd`` as (path, reason).

    With ``follow_links`` no folder is entered twice, so that links in a circle end. ``base`` itself may be a folder of
    this program's: who names it means it.
    """

    def unreadable(error: OSError) -> None:
        odd.append((os.path.relpath(error.filename, base), f"cannot be read: {error.strerror}"))

    entered = {os.path.realpath(base)}
    for place, folders, files in os.walk(base, onerror=unreadable, followlinks=follow_links):
        below = os.path.relpath(place, base).replace(os.sep, "/")
        prefix = "" if below == "." else below + "/"
        folders.sort()
        for name in list(folders):
            path = f"{place}/{name}"
            reason = _reason(path, name, follow_links)
            if reason is None and follow_links:
                real = os.path.realpath(path)
                reason = TWICE if real in entered else None
                entered.add(real)
            if reason is not None:
                odd.append((prefix + name, reason))
                folders.remove(name)
        yield prefix, sorted(files)


def _reason(path: str, name: str, follow_links: bool) -> str | None:
    """Why a folder is left out; None where it is not."""
    if name.startswith(".") or name in _SYSTEM:
        return HIDDEN
    if os.path.islink(path) and not follow_links:
        return LINK
    return OURS if is_ours(Path(path)) else None


def is_ours(folder: Path) -> bool:
    """Whether this program wrote a folder: synthetic plates, a pack (finished or not), a result, or a report."""
    try:
        names = set(os.listdir(folder))
    except OSError:
        return False
    if names & {MANIFEST, f"{MANIFEST}.part", "plates.u8"} or {"report.md", "report.html"} <= names:
        return True
    return "result.json" in names and _is_result(folder / "result.json")


def _is_result(file: Path) -> bool:
    """Whether a file is a result of this program's, and not another program's of the same name."""
    try:
        stored = json.loads(read_plain(file, _LARGEST_RESULT))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(stored, dict) and {"schema", "method", "provenance"} <= set(stored)
