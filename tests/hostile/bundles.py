"""Bundles as a stranger may make them: members, manifest and checksums changed at will."""

from __future__ import annotations

import hashlib
import json
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmark.results.bundle import MANIFEST

Members = dict[str, bytes]


def members_of(file: Path) -> Members:
    with zipfile.ZipFile(file) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def pack(file: Path, members: Members, links: tuple[str, ...] = ()) -> Path:
    """A ZIP file of these members; those in ``links`` are symbolic links."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = ((stat.S_IFLNK if name in links else stat.S_IFREG) | 0o644) << 16
            made.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return file


def listed(members: Members, **changes: Any) -> Members:
    """The members with a manifest that has their checksums; ``changes`` replace its fields."""
    manifest = json.loads(members[MANIFEST])
    manifest["members"] = {
        name: {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in members.items() if name != MANIFEST
    }  # fmt: skip
    return {**members, MANIFEST: json.dumps({**manifest, **changes}).encode()}


def record(members: Members, name: str, change: Callable[[dict[str, Any]], object]) -> Members:
    """The members with a changed ``result.json``, its tables listed as they are."""
    info = json.loads(members[f"{name}/result.json"])
    for table in list(info["files"]):
        if content := members.get(f"{name}/{table}"):
            info["files"][table] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    change(info)
    return listed({**members, f"{name}/result.json": json.dumps(info).encode()})
