"""A run in one small file that can be handed on: records, scores by plate, histories, provenance.

A bundle is a ZIP file of ``manifest.json`` and, of every finished result, ``result.json`` and its tables. There are no
pictures, no weights, and nothing that says which plate it was. Names of files and what was read are left out of
``plates.csv``, and texts of plates are replaced by numbers: the first text is 1, and the same text has the same number.
That is what paired tests need. Of absolute paths only the last part is kept.

Bundles come from strangers. What does not fit is refused with one line, and nothing is written outside a temporary
folder.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, NoReturn

import pandas as pd
from pydantic import Field, ValidationError

from benchmark.data.degradation import KERNEL, SCALE
from benchmark.results.provenance import without_folders
from benchmark.results.record import Record
from benchmark.results.record_fields import Count, Part, Sha256, Text
from benchmark.results.record_parts import StoredFile
from benchmark.results.store import TABLES, WEIGHTS, Result, Run
from benchmark.results.text_format import read_json, read_table, to_text
from benchmark.results.verify import verify_result
from benchmark.scoring.metrics import METRICS
from benchmark.scoring.plate_scores import BY_PATCHES, PATCH_SCORES
from benchmark.util.errors import UserError, first_line
from benchmark.util.files import open_plain, read_plain, write_bytes
from benchmark.util.terminal import cell

FORMAT = 1
"""Version of bundles as they are written now."""
SUFFIX = ".bundle.zip"
MANIFEST = "manifest.json"
KEPT = ("index", "text", "seen", "height", "width", *METRICS, *(name + BY_PATCHES for name in PATCH_SCORES))
"""Columns of ``plates.csv`` that a bundle has, as far as the result has them."""
OLDEST = 3
"""Schema of ``result.json`` before which results say too little of how they were made."""
LONGEST_BUNDLE, LONGEST_MEMBER, LONGEST_CONTENT = 128_000_000, 64_000_000, 256_000_000
"""Bytes of the largest file, of the largest member and of all members that are read."""
MOST_MEMBERS = 10_000

_METHOD = r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}"
_MEMBER = re.compile(rf"{_METHOD}/seed(0|[1-9][0-9]{{0,8}})/(result\.json|history\.csv|plates\.csv|plates_last\.csv)")
_BROKEN = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError,
    OverflowError, MemoryError,
)  # fmt: skip
"""What zipfile raises for files that are cut off, damaged, encrypted or packed otherwise."""


class Engine(Part):
    """An OCR engine, as far as its readings depend on it."""

    name: Text
    sha256: Text


class Protocol(Part):
    """What must be the same for the scores of two results to be compared. The budget is not part of it."""

    data: Text
    """Fingerprint of the plates and of their splits."""
    split: Text
    """disjoint or paper."""
    test_plates: Count
    degradation: Text
    scoring_version: Annotated[int, Field(ge=1)]
    inference: Text
    """plate, patches or both."""
    engines: list[Engine | None]

    @property
    def identity(self) -> str:
        """Hash of all of it (64 hexadecimal digits)."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


class Manifest(Part):
    """What a bundle holds."""

    bundle: int
    run: Text
    by: Annotated[str, Field(max_length=200)] = ""
    """Who made the run, as they want to be named."""
    protocol: Protocol
    protocol_identity: Sha256
    members: dict[str, StoredFile]


def protocol_of(record: Record) -> Protocol:
    """The protocol that a result was scored under."""
    engines = [Engine(name=e.name, sha256=e.sha256) if e else None for e in (record.judge, record.second_judge)]
    plates = record.test_data or record.data
    degraded = record.test_data is None or record.test_data.task == "restore"
    return Protocol(
        data=plates.fingerprint,
        split=plates.protocol,
        test_plates=plates.test,
        degradation=f"x{SCALE}, {KERNEL}" if degraded else "none: LR pictures as they are",
        scoring_version=record.versions.scoring if record.versions else 1,  # schema 3 is version 1 of everything
        inference=record.config.scoring.inference or "plate",
        engines=engines,
    )


# -- writing ---------------------------------------------------------------------------------------


def write_bundle(run: Run, path: Path, by: str = "") -> list[str]:
    """Write the bundle of a run. Returns what was left out, in a line each.

    The same results give the same bytes. Raises UserError for a run without finished results, for results that do not
    fit what they say of themselves, and for those of several protocols.
    """
    results, left_out = _usable(run)
    protocols = {protocol_of(result.record).identity for result in results}
    if len(protocols) > 1:
        raise UserError(f"{run.folder} holds results of {len(protocols)} protocols (other plates, engines or scoring):"
                        " a bundle takes one")  # fmt: skip
    members: dict[str, bytes] = {}
    for result in results:
        members |= _members(result)
    protocol = protocol_of(results[0].record)
    manifest = Manifest(
        bundle=FORMAT,
        run=cell(run.folder.resolve().name),
        by=cell(by),
        protocol=protocol,
        protocol_identity=protocol.identity,
        members={name: StoredFile(**_checksum(content)) for name, content in sorted(members.items())},
    )
    text = json.dumps(manifest.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n"
    write_bytes(path, _zipped({MANIFEST: text.encode(), **dict(sorted(members.items()))}), durable=False)
    with opened(path):
        return left_out


def _usable(run: Run) -> tuple[list[Result], list[str]]:
    readable, unreadable = run.read()
    left_out = [f"{path.relative_to(run.folder)}: {why}" for path, why in unreadable.items()]
    left_out += [f"{r.method} seed {r.seed}: failed" for r in readable if not r.complete]
    results = [result for result in readable if result.complete]
    if not results:
        raise UserError(f"{run.folder} holds no finished result")
    if old := [result for result in results if result.record.schema_ < OLDEST]:
        first = f"{old[0].method} seed {old[0].seed}"
        raise UserError(f"{first} was made by a version that recorded too little: run it again")
    if faults := [problem for result in results for problem in verify_result(result).problems]:
        more = f" and {len(faults) - 1} more (python -m benchmark verify lists them)" if len(faults) > 1 else ""
        raise UserError(f"nothing was bundled: {faults[0]}{more}")
    return results, left_out


def _members(result: Result) -> dict[str, bytes]:
    """The files of a result in a bundle, by name."""
    place = f"{result.method}/seed{result.seed}"
    tables = {name: read_plain(result.folder / name, LONGEST_MEMBER) for name in TABLES if name in result.record.files}
    tables = {name: content if name == "history.csv" else _without_plates(content) for name, content in tables.items()}
    files: dict[str, Any] = {name: _checksum(content) for name, content in tables.items()}
    files |= {name: each for name, each in result.record.files.items() if name in WEIGHTS}
    record = to_text(_without_folders({**result.record.as_dict(), "files": files})).encode()
    return {f"{place}/result.json": record, **{f"{place}/{name}": content for name, content in tables.items()}}


def _without_folders(value: Any, name: str = "") -> Any:
    """A part of ``result.json`` with absolute paths, those in commands too, reduced to their last part."""
    if isinstance(value, dict):
        return {key: _without_folders(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_folders(each) for each in value]
    return without_folders(value, words=name == "command") if isinstance(value, str) else value


def _without_plates(content: bytes) -> bytes:
    """``plates.csv`` without what says which plate it was; numbers stay exactly as they were written."""
    reader = csv.DictReader(io.StringIO(content.decode("utf-8")), restval="")
    numbers: dict[str, str] = {}
    buffer = io.StringIO()
    kept = [name for name in reader.fieldnames or () if name in KEPT]
    writer = csv.DictWriter(buffer, kept, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for line in reader:
        writer.writerow({**line, "text": _number(line.get("text", ""), numbers)})
    return buffer.getvalue().encode()


def _number(text: str, numbers: dict[str, str]) -> str:
    return numbers.setdefault(text, str(len(numbers) + 1)) if text else ""


def number_texts(plates: pd.DataFrame) -> pd.DataFrame:
    """The plates of one method as a bundle has them: numbers for texts, no names."""
    if "text" not in plates:
        return plates.drop(columns="name", errors="ignore")
    numbers: dict[str, str] = {}
    texts = [_number(text, numbers) if isinstance(text, str) else None for text in plates["text"]]
    return plates.assign(text=pd.Series(texts, plates.index, dtype=object)).drop(columns="name", errors="ignore")


def _checksum(content: bytes) -> dict[str, Any]:
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _zipped(members: dict[str, bytes]) -> bytes:
    """A ZIP file that depends on nothing but names and contents."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, (stat.S_IFREG | 0o644) << 16
            file.writestr(entry, content, zipfile.ZIP_DEFLATED, 9)
    return buffer.getvalue()


# -- reading ---------------------------------------------------------------------------------------


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
        if _checksum(content) != manifest.members[name].as_dict():
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
