"""Reading a bundle (:mod:`benchmark.results.bundle`), which may come from a stranger.

What does not fit is refused with one line, and nothing is written outside a temporary folder.
"""

from __future__ import annotations

import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

from pydantic import ValidationError

from benchmark.results.bundle import (
    FORMAT,
    KEPT,
    LONGEST_MEMBER,
    MANIFEST,
    OLDEST,
    SUFFIX,
    Manifest,
    checksum,
    protocol_of,
)
from benchmark.results.store import TABLES, Result, Run
from benchmark.results.text_format import read_json, read_table
from benchmark.util.errors import UserError, first_line
from benchmark.util.files import open_plain
from benchmark.util.terminal import cell

LONGEST_BUNDLE, LONGEST_CONTENT = 128_000_000, 256_000_000
"""Bytes of the largest file, and of all members that are read."""
MOST_MEMBERS = 10_000

_METHOD = r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}"
_MEMBER = re.compile(rf"{_METHOD}/seed(0|[1-9][0-9]{{0,8}})/(result\.json|history\.csv|plates\.csv|plates_last\.csv)")
_BROKEN = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError,
    OverflowError, MemoryError,
)  # fmt: skip
"""What zipfile raises for files that are cut off, damaged, encrypted or packed otherwise."""


@contextmanager
def opened(path: Path) -> Iterator[tuple[Run, Manifest]]:
    """The run in a bundle, in a temporary folder that is gone afterwards, and the manifest.

    Raises UserError, in one line, for whatever is no bundle or does not fit what its manifest says.
    """
    with TemporaryDirectory(prefix="bundle-") as folder:
        name = path.name.removesuffix(SUFFIX).removesuffix(".zip")
        run = Run(Path(folder) / "bundle" / (name if name.strip(".") else "bundle"))
        members = _read(path)
        manifest = _manifest(path, members)
        for name, content in members.items():
            place = run.folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        _check_results(path, run, manifest)
        yield run, manifest


def _refuse(path: Path, why: object) -> NoReturn:
    raise UserError(f"{cell(path)} cannot be used as a bundle: {cell(why)}") from None


def _read(path: Path) -> dict[str, bytes]:
    """All members by name. Nothing is taken on trust: not names, not sizes, not that it is a ZIP file."""
    try:
        with open_plain(path) as raw:
            if raw.seek(0, io.SEEK_END) > LONGEST_BUNDLE:
                _refuse(path, f"it is larger than {LONGEST_BUNDLE:,} bytes")
            with zipfile.ZipFile(raw) as file:
                entries = file.infolist()
                if fault := _fault(entries):
                    _refuse(path, fault)
                members = {}
                for entry in entries:
                    with file.open(entry) as member:
                        members[entry.filename] = member.read(entry.file_size + 1)
                return members
    except FileNotFoundError:
        _refuse(path, "there is no such file")
    except _BROKEN as error:
        if isinstance(error, OSError) and error.strerror:
            _refuse(path, f"it {error.strerror[0].lower()}{error.strerror[1:]}")
        _refuse(path, f"it is not a ZIP file, or is damaged ({first_line(error)[:80]})")


def _fault(entries: list[zipfile.ZipInfo]) -> str:
    """What is wrong with the list of members; "" if nothing."""
    if len(entries) > MOST_MEMBERS:
        return f"it has {len(entries):,} members, more than {MOST_MEMBERS:,}"
    names = [entry.filename for entry in entries]
    if len(set(names)) < len(names):
        return "it has two members of one name"
    for entry in entries:
        name = entry.filename[:80]
        if entry.filename != MANIFEST and not _MEMBER.fullmatch(entry.filename):
            return f"the member {name!r} is none that a bundle has"
        if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
            return f"the member {name!r} is not an ordinary file"
        if entry.flag_bits & 1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            return f"the member {name!r} is encrypted or packed otherwise"
        if entry.file_size > LONGEST_MEMBER:
            return f"the member {name!r} is longer than {LONGEST_MEMBER:,} bytes"
    if sum(entry.file_size for entry in entries) > LONGEST_CONTENT:
        return f"its content is longer than {LONGEST_CONTENT:,} bytes"
    return ""


def _manifest(path: Path, members: dict[str, bytes]) -> Manifest:
    """The manifest, which is taken from ``members``. Refuses members that are not as it says."""
    content = members.pop(MANIFEST, None)
    if content is None:
        _refuse(path, f"it has no {MANIFEST}")
    try:
        info = read_json(content.decode("utf-8"))
        if isinstance(info, dict) and type(info.get("bundle")) is int and info["bundle"] > FORMAT:
            _refuse(path, f"a newer version of this benchmark wrote it (form {info['bundle']}): update this one")
        manifest = Manifest.model_validate(info)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        _refuse(path, f"{MANIFEST}: {'.'.join(map(str, first['loc'])) or 'its content'}: {first['msg'].lower()}")
    except (ValueError, RecursionError) as error:
        _refuse(path, f"{MANIFEST}: {first_line(error)[:80]}")
    if manifest.bundle != FORMAT:
        _refuse(path, f"its form is {manifest.bundle}, not {FORMAT}")
    if absent := sorted(manifest.members.keys() ^ members.keys()):
        _refuse(path, f"{absent[0][:80]!r} is only in the file or only in its {MANIFEST}")
    for name, content in members.items():
        if checksum(content) != manifest.members[name].as_dict():
            _refuse(path, f"{name} is not as its {MANIFEST} says (other size or checksum)")
    return manifest


def _check_results(path: Path, run: Run, manifest: Manifest) -> None:
    """Refuse results that cannot be read, that are of another protocol, or that show which plates they are of."""
    results, unreadable = run.read()
    for place, why in unreadable.items():
        _refuse(path, f"{place.relative_to(run.folder)}: {why}")
    if not results or len(manifest.members) != sum(1 + len(_tables(result)) for result in results):
        _refuse(path, "it holds no result, or tables without one")
    for result in results:
        name, record = f"{result.method}/seed{result.seed}", result.record
        if not record.complete or record.schema_ < OLDEST:
            _refuse(path, f"{name} is a failure, or of a version that recorded too little")
        if changed := result.changed(*_tables(result)):
            _refuse(path, f"{name}/{changed[0]} is not as result.json says")
        try:
            protocol = protocol_of(record)
        except ValidationError as error:
            _refuse(path, f"{name}: {first_line(error)[:80]}")
        if protocol != manifest.protocol or protocol.identity != manifest.protocol_identity:
            _refuse(path, f"{name} is of another protocol than its {MANIFEST} says")
        for table in _tables(result):
            columns = set(read_table(result.folder / table))
            if table != "history.csv" and (odd := sorted(map(str, columns - set(KEPT)))):
                _refuse(path, f"{name}/{table} has the column {odd[0][:40]!r}, which a bundle leaves out")


def _tables(result: Result) -> list[str]:
    return [name for name in TABLES if (result.folder / name).is_file()]
