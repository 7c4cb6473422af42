"""Writing a bundle (:mod:`benchmark.results.bundle`)."""

from __future__ import annotations

import csv
import io
import json
import stat
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.results.bundle import FORMAT, KEPT, LONGEST_MEMBER, MANIFEST, OLDEST, Manifest, checksum, protocol_of
from benchmark.results.bundle_reading import opened
from benchmark.results.provenance import without_folders
from benchmark.results.record_parts import StoredFile
from benchmark.results.store import TABLES, WEIGHTS, Result, Run
from benchmark.results.text_format import to_text
from benchmark.results.verify_result import verify_result
from benchmark.util.errors import UserError
from benchmark.util.files import read_plain, write_bytes
from benchmark.util.terminal import cell


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
        members={name: StoredFile(**checksum(content)) for name, content in sorted(members.items())},
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
    files: dict[str, Any] = {name: checksum(content) for name, content in tables.items()}
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


def _zipped(members: dict[str, bytes]) -> bytes:
    """A ZIP file that depends on nothing but names and contents."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, (stat.S_IFREG | 0o644) << 16
            file.writestr(entry, content, zipfile.ZIP_DEFLATED, 9)
    return buffer.getvalue()
