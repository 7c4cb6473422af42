"""Which version of this project is at work."""

from __future__ import annotations

from importlib import metadata

PACKAGE = "plate-sr-benchmark"


def version() -> str:
    """The version that pip has installed; says so where it has none, as in a checkout that is merely on the path."""
    try:
        return metadata.version(PACKAGE)
    except metadata.PackageNotFoundError:
        return "(not installed)"
