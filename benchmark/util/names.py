"""File names made from other names, cut to what the file system takes."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

_USUAL = 255
"""Bytes in a file name that most file systems take; eCryptfs takes 143."""


def fit_name(name: str, folder: Path, suffix: str = "") -> str:
    """``name`` and ``suffix``; if that is too long for the file system of ``folder``, ``name`` is cut and gets a hash
    of what it was."""
    longest = _longest(folder) - len(os.fsencode(suffix))
    encoded = os.fsencode(name)
    if len(encoded) > longest:
        end = "-" + hashlib.sha256(encoded).hexdigest()[:8]
        while len(os.fsencode(name + end)) > longest:
            name = name[:-1]
        name += end
    return name + suffix


def partial_path(path: Path) -> Path:
    """The temporary name, beside it, under which ``path`` is written."""
    return path.with_name(fit_name(path.name, path.parent, ".partial"))


def _longest(folder: Path) -> int:
    """Bytes that a name in ``folder``, which need not be there yet, can have."""
    existing = next((place for place in (folder, *folder.absolute().parents) if place.exists()), Path("/"))
    try:
        return os.pathconf(existing, "PC_NAME_MAX")
    except OSError:
        return _USUAL
