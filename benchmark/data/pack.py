"""Making packs: HR plates as one memory-mapped file (what a pack holds: :mod:`benchmark.data.plates`).

The folder's name is derived from what goes in (file names, sizes and times, split), so the same
request finds the pack made earlier. The fingerprint is derived from what came out and goes into
every result.
"""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmark.data.annotation import is_contradiction
from benchmark.data.choosing import against_given, is_small, pairs_or_none, split_sources, test_sources
from benchmark.data.duplicates import BITS, coarse_hashes, thumbnail
from benchmark.data.folders import LINK, left_out, remarks
from benchmark.data.journal import Decoded, read_journal, write_entry
from benchmark.data.leaks import find_leaks
from benchmark.data.pictures import MAX_PIXELS, cut_pair, in_chunks, load_crop, scan
from benchmark.data.plates import PACK_VERSION, SCHEMA, BadPack, Plate, Plates, fingerprint, open_pack
from benchmark.data.source import Box, Corner, Source
from benchmark.data.splits import Counts, Protocol, Split
from benchmark.util.errors import UserError, amount
from benchmark.util.files import sync, write_text
from benchmark.util.locks import hold
from benchmark.util.names import fit_name

__all__ = ["Plate", "Plates", "Source", "load_crop", "prepare", "scan"]

_CHECKS = 1
"""Goes up when pictures are refused that were not before: packs made until then are not looked for."""
_ORDER: tuple[Split, ...] = ("train", "val", "test")  # training plates go to the device as one slice
_USUAL: Box = (0, 0, 256, 128)
"""About as large as a picture that is a plate is at most: for the room a pack needs, before any is opened."""
Job = tuple[Source, Split]


def prepare(
    folder: Path,
    cache: Path,
    *,
    counts: Counts,
    protocol: Protocol = "disjoint",
    seed: int = 0,
    workers: int | None = None,
    follow_links: bool = False,
    say: Callable[[str], None] = print,
) -> Plates:
    """The pack of ``folder`` under ``cache``: opened if it is there, made or completed if not.

    Plates go by their CCPD names, or by the folder's ``plates.csv``. Files that cannot be read are skipped and listed
    in ``skipped.csv``. Under ``disjoint``, training and validation plates that are near-duplicates of a plate they must
    not know are left out and listed in ``dropped.csv``. A pack of another version, or a damaged one, is made anew.
    Where another process is making the same pack, this one waits for it. ``say`` is told which folders are left out,
    and what a list holds.

    Raises UserError for a folder without plates or one that goes away meanwhile, where a split would be empty, and
    when the disk has no room for the pack; OSError where ``cache`` cannot be written.
    """
    sources, odd = scan(folder, follow_links)
    for remark in remarks(odd):
        say(remark)
    sources = pairs_or_none(sources, odd)
    chosen = split_sources(sources, protocol, counts, seed)
    odd += against_given(sources, chosen)
    return _opened(folder, cache, sources, odd, chosen, protocol, workers, say)


def prepare_test(
    folder: Path,
    cache: Path,
    *,
    limit: int | None = None,
    workers: int | None = None,
    follow_links: bool = False,
    say: Callable[[str], None] = print,
) -> Plates:
    """The pack of ``folder`` in which every plate is a test plate, opened or made as by :func:`prepare`.

    Where a list gives splits, only its test plates are taken; of more than ``limit`` those that chance, by their names,
    puts first.
    """
    sources, odd = scan(folder, follow_links)
    for remark in remarks(odd):
        say(remark)
    tested = test_sources(pairs_or_none(sources, odd), limit)
    return _opened(folder, cache, tested, odd, dict.fromkeys(range(len(tested)), "test"), "paper", workers, say)


def _opened(
    folder: Path,
    cache: Path,
    sources: list[Source],
    odd: list[tuple[str, str]],
    chosen: dict[int, Split],
    protocol: Protocol,
    workers: int | None,
    say: Callable[[str], None],
) -> Plates:
    """The pack of plates whose splits are ``chosen``, opened if it is there, made or completed if not."""
    picked = sorted(chosen, key=lambda i: (_ORDER.index(chosen[i]), sources[i].label))
    jobs = [(sources[i], chosen[i]) for i in picked]
    target = cache / fit_name(_slug(folder), cache, f"-{_key(folder, jobs, protocol)}")
    try:
        return open_pack(target)
    except BadPack:
        pass  # there is none, or not yet; looked at again once nobody else is at it
    waiting = f"waiting for {{}}, which is making {target}"
    with hold(cache / f".{target.name}.lock", wait=lambda holder: say(waiting.format(holder))):
        if (target / "pack.json").is_file():
            try:
                return open_pack(target)
            except BadPack as error:
                say(f"pack {target} cannot be used ({error}); making it anew")
                _remove(target)
        _make(folder, target, jobs, odd, protocol, workers, say)
        return open_pack(target)


def _make(
    folder: Path,
    target: Path,
    jobs: list[Job],
    odd: list[tuple[str, str]],
    protocol: Protocol,
    workers: int | None,
    say: Callable[[str], None],
) -> None:
    """Decode, crop and append; a journal beside the pixels says how far a killed run had come."""
    if target.is_symlink() or not target.is_dir():
        _remove(target)
    target.mkdir(exist_ok=True)
    for path in target.iterdir():
        if path.is_symlink() or not path.is_file():
            _remove(path)  # a link put there by somebody would be written through
    journal_path, pixel_path = target / "journal.jsonl", target / "plates.u8"
    done, size = read_journal(journal_path, pixel_path, len(jobs))
    _check_room(target, jobs[len(done) :])
    if done:
        say(f"going on with a pack begun earlier: {len(done)} of {len(jobs)} pictures are done")

    def work(sources: Sequence[Source]) -> list[tuple[Decoded | str, bytes]]:
        return _decode(folder, sources)

    with open(pixel_path, "ab") as pixels, open(journal_path, "a", encoding="utf-8") as journal:
        pixels.truncate(size)
        for chunk in in_chunks(work, [source for source, _ in jobs[len(done) :]], workers):
            for _, crop in chunk:
                pixels.write(crop)
            pixels.flush()
            done += [plate for plate, _ in chunk]
            write_entry(journal, done[-len(chunk) :])
        sync(pixels.fileno())
    table, hashes = _table(jobs, done)
    skipped = [source.told(plate) for (source, _), plate in zip(jobs, done) if isinstance(plate, str)]
    _write_csv(target / "skipped.csv", ["file", "reason"], [*odd, *skipped])
    wanted = {split for _, split in jobs}
    reasons = [reason for _, reason in [*odd, *skipped]]
    misfits = sum(map(is_contradiction, reasons))
    why = f"can be read ({misfits} of {len(jobs)} names have annotations that do not fit)" if misfits else "can be read"
    first = next((f"{path}: {reason}" for path, reason in skipped if jobs[0][0].listed), "")
    why += f" ({first})" if first and not misfits else ""
    _check_splits(table, wanted, f"{why}; the reasons are in {target / 'skipped.csv'}")
    files = sum(left_out(reason) is None or reason == LINK for reason in reasons)
    _finish(target, table, hashes, protocol, files, misfits, any(s.listed and s.listed.lr for s, _ in jobs))
    journal_path.unlink()
    misfits = sum(is_contradiction(reason) for _, reason in skipped)
    for count, what in (
        (len(skipped) - misfits, "unreadable files"),
        (misfits, "pictures that their names' annotations do not fit"),
    ):
        if count:
            say(f"{count} {what} skipped; they are listed in {target / 'skipped.csv'}")


def _decode(folder: Path, sources: Sequence[Source]) -> list[tuple[Decoded | str, bytes]]:
    """The plates of some pictures with their pixels, or the reasons why there are none."""
    crops: list[tuple[Box, bytes, bytes] | str] = []
    thumbnails: list[np.ndarray] = []
    for source in sources:
        try:
            image, box, lr = cut_pair(folder, source)
        except ValueError as error:
            crops.append(str(error))
        else:
            crops.append((box, image.tobytes(), b"" if lr is None else lr.tobytes()))
            thumbnails.append(thumbnail(image))
    hashes = iter(np.packbits(coarse_hashes(np.stack(thumbnails)), axis=1).tolist() if thumbnails else [])
    plates: list[tuple[Decoded | str, bytes]] = []
    for crop in crops:
        if isinstance(crop, str):
            plates.append((crop, b""))
        else:
            box, hr, lr_pixels = crop
            pixels = hr + lr_pixels
            digest, coarse = hashlib.sha256(pixels).hexdigest(), bytes(next(hashes)).hex()
            plates.append((Decoded(box, digest, coarse, bool(lr_pixels)), pixels))
    return plates


def _table(jobs: list[Job], done: list[Decoded | str]) -> tuple[pd.DataFrame, np.ndarray]:
    """The table of all plates that were read, and their coarse hashes."""
    rows: list[dict[str, Any]] = []
    hashes: list[np.ndarray] = []
    offset = 0
    for (source, split), plate in zip(jobs, done):
        if isinstance(plate, str):
            continue
        left, top, right, bottom = plate.box
        corners = source.annotation.vertices or _corners(source.annotation.bbox or plate.box)
        rows.append(
            {
                "name": source.label,
                "text": source.annotation.text,
                "split": split,
                "height": bottom - top,
                "width": right - left,
                "offset": offset,
                "vertices": np.array([(x - left, y - top) for x, y in corners], np.float32).ravel(),
                "grown": is_small(source),
                "seen": False,
                "sha256": plate.sha256,
            }
        )
        hashes.append(np.frombuffer(bytes.fromhex(plate.hash), np.uint8))
        offset += plate.bytes
    packed = np.stack(hashes) if hashes else np.zeros((0, BITS // 8), np.uint8)
    return pd.DataFrame(rows, columns=SCHEMA.names), np.unpackbits(packed, axis=1).astype(bool)


def _corners(box: Box) -> tuple[Corner, Corner, Corner, Corner]:
    """The corners of a box, from the bottom right."""
    left, top, right, bottom = box
    return (right, bottom), (left, bottom), (left, top), (right, top)


def _finish(
    target: Path,
    table: pd.DataFrame,
    hashes: np.ndarray,
    protocol: Protocol,
    skipped: int,
    misfits: int,
    paired: bool,
) -> None:
    """Find the leaks and write everything but the pixels; ``pack.json`` last."""
    wanted = set(table["split"])
    size = int((target / "plates.u8").stat().st_size)
    pixels = np.memmap(target / "plates.u8", dtype=np.uint8, mode="r")
    table, dropped, leaks = find_leaks(table, hashes, pixels, protocol)
    _write_csv(target / "dropped.csv", ["file", "text", "split", "reason"], dropped)
    _check_splits(table, wanted, f"is left without near-duplicates; they are listed in {target / 'dropped.csv'}")
    with open(target / "plates.parquet", "wb") as file:
        pq.write_table(pa.Table.from_pandas(table, SCHEMA, preserve_index=False).replace_schema_metadata(), file)
        file.flush()
        sync(file.fileno())
    info = {
        "version": PACK_VERSION,
        "fingerprint": fingerprint(table),
        "bytes": size,
        "plates": len(table),
        "splits": {str(k): int(v) for k, v in table["split"].value_counts().items()},
        "grown": int(table["grown"].sum()),
        "skipped": skipped,
        "misfits": misfits,
        "leaks": leaks,
        **({"paired": True} if paired else {}),
    }
    write_text(target / "pack.json", json.dumps(info, indent=1))  # last: its presence says that the pack is whole


def _check_splits(table: pd.DataFrame, wanted: set[Split], otherwise: str) -> None:
    for split in _ORDER:
        if split in wanted and not (table["split"] == split).any():
            raise UserError(f"no plate of the split {split!r} {otherwise}")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _write_csv(path: Path, header: list[str], rows: Sequence[tuple[str, ...]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def _check_room(target: Path, jobs: list[Job]) -> None:
    need = 0
    for source, _ in jobs:
        x0, y0, x1, y1 = source.annotation.bbox or _USUAL
        need += min(max(64, x1 - x0 + 7) * max(64, y1 - y0 + 7), MAX_PIXELS) * 3  # a box may be out of its picture
    free = shutil.disk_usage(target).free
    if need > free:
        raise UserError(
            f"the pack needs {amount(need)} but {target} has {amount(free)} free: make room (`data packs` says what can"
            " go), take fewer plates (--set data.train_plates=N) or another place (--set data.cache=FOLDER)"
        ) from OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))


def _key(folder: Path, jobs: list[Job], protocol: str) -> str:
    digest = hashlib.sha256(f"{PACK_VERSION}/{_CHECKS}/{protocol}".encode())
    for source, split in jobs:
        seen = _stat(folder, source.path)
        if source.listed and source.listed.lr:
            seen += f"/{_stat(folder, source.listed.lr)}"
        said = f"/{source.number}/{source.listed}" if source.listed else ""  # a name says it itself
        digest.update(f"{source.path}/{split}/{seen}{said}\n".encode())
    return digest.hexdigest()[:12]


def _stat(folder: Path, path: str) -> str:
    try:
        stat = os.stat(f"{folder}/{path}")
    except OSError:
        return "gone"
    return f"{stat.st_size}/{stat.st_mtime_ns}"


def _slug(folder: Path) -> str:
    name = folder.resolve().name
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name) or "data"
