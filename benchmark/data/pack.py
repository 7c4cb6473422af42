"""HR plates as one memory-mapped file.

A pack is a folder::

    plates.u8        the pixels of all plates, one after another, H×W×3 uint8 each
    plates.parquet   one row a plate: name, text, split, height, width, offset, vertices, grown
    skipped.csv      files that could not be used, with the reason
    pack.json        version, fingerprint of pixels and table, counts

The folder's name is derived from what went in (file names, sizes and times, split), so the same
request finds the pack made earlier. The fingerprint is derived from what came out and goes into
every result.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from benchmark.data.ccpd import PlateName, crop_box, parse_name
from benchmark.data.splits import Counts, Protocol, Split, assign
from benchmark.errors import UserError, first_line

PACK_VERSION = 1
PICTURES = (".jpg", ".jpeg", ".png")
_CHUNK = 256  # plates decoded between two journal entries: what a kill can cost


@dataclass(frozen=True)
class Source:
    """One picture of a CCPD folder: its path below the folder, and what its name says."""

    path: str
    name: PlateName


@dataclass(frozen=True)
class Plate:
    """One HR plate: ``hr`` H×W×3 uint8, ``vertices`` 4×2 float32 (x, y) relative to it."""

    index: int
    name: str
    text: str
    hr: np.ndarray
    vertices: np.ndarray


class Plates:
    """A sequence of HR plates over one pack file."""

    def __init__(self, folder: Path, table: pd.DataFrame, info: dict[str, Any]) -> None:
        self.folder = folder
        self.table = table.reset_index(drop=True)
        self.info = info
        # Copy on write: torch wants writable memory, the file must stay as it is.
        self._pixels = np.memmap(folder / "plates.u8", dtype=np.uint8, mode="c")

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: int) -> Plate:
        row = self.table.iloc[index]
        size = int(row["height"]) * int(row["width"]) * 3
        pixels = self._pixels[int(row["offset"]) : int(row["offset"]) + size]
        return Plate(
            index=index,
            name=row["name"],
            text=row["text"],
            hr=np.asarray(pixels).reshape(int(row["height"]), int(row["width"]), 3),
            vertices=np.asarray(row["vertices"], dtype=np.float32).reshape(4, 2),
        )

    def __iter__(self) -> Iterator[Plate]:
        return (self[i] for i in range(len(self)))

    @property
    def fingerprint(self) -> str:
        """SHA-256 over pixels and table of the whole pack."""
        return self.info["fingerprint"]

    @property
    def pixels(self) -> np.ndarray:
        """All pixels of the pack, flat; ``table["offset"]`` points into it."""
        return self._pixels

    def split(self, name: Split) -> Plates:
        """The plates of one split, as a pack of its own over the same file."""
        return Plates(self.folder, self.table[self.table["split"] == name], self.info)


def scan(folder: Path) -> tuple[list[Source], list[tuple[str, str]]]:
    """All pictures below ``folder`` with a CCPD name, and (path, reason) of those without one.

    Raises UserError if the folder is missing, empty, or holds no picture with a CCPD name.
    Symbolic links to folders are not followed.
    """
    if not folder.is_dir():
        raise UserError(f"no folder {folder}")
    sources, odd = [], []
    for root, folders, files in os.walk(folder):
        folders.sort()
        for file in sorted(files):
            if not file.lower().endswith(PICTURES):
                continue
            path = (Path(root) / file).relative_to(folder).as_posix()
            try:
                sources.append(Source(path, parse_name(file)))
            except ValueError as error:
                odd.append((path, str(error)))
    if not sources:
        found = f"{len(odd)} pictures, none with a CCPD name" if odd else "no picture in it"
        raise UserError(f"{folder} is no CCPD folder: {found}")
    return sources, odd


def load_crop(folder: Path, source: Source) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """Decode one picture and cut its HR plate. Returns H×W×3 uint8 and the box cut.

    Raises OSError or ValueError if the picture cannot be read or is too small.
    """
    with Image.open(folder / source.path) as image:
        box = crop_box(source.name.bbox, *image.size)
        pixels = np.asarray(image.convert("RGB").crop(box))
    return pixels, box


def prepare(
    folder: Path,
    cache: Path,
    *,
    counts: Counts,
    protocol: Protocol = "disjoint",
    seed: int = 0,
    workers: int | None = None,
    say: Callable[[str], None] = print,
) -> Plates:
    """The pack of ``folder`` under ``cache``: opened if it is there, made or completed if not.

    Files that cannot be read are skipped and listed in ``skipped.csv``. A pack of another version,
    or one cut short, is made anew. Raises UserError for a folder that is no CCPD folder, and
    when the disk has no room for the pack.
    """
    sources, odd = scan(folder)
    chosen = assign([s.path for s in sources], [s.name.text for s in sources], protocol, counts, seed)
    # Training plates first: they are what goes to the device, as one slice.
    order: list[Split] = ["train", "val", "test"]
    picked = sorted(chosen, key=lambda i: (order.index(chosen[i]), sources[i].path))
    jobs = [(sources[i], chosen[i]) for i in picked]
    target = cache / f"{_slug(folder)}-{_key(folder, jobs, protocol)}"
    plates = _open(target, say)
    if plates is None:
        _make(folder, target, jobs, odd, workers, say)
        plates = _open(target, say)
        assert plates is not None
    return plates


def _open(target: Path, say: Callable[[str], None]) -> Plates | None:
    if not (target / "pack.json").is_file():
        return None
    try:
        info = json.loads((target / "pack.json").read_text(encoding="utf-8"))
        complete = info["version"] == PACK_VERSION and (target / "plates.u8").stat().st_size == info["bytes"]
        table = pd.read_parquet(target / "plates.parquet") if complete else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        say(f"pack {target} cannot be read ({error}); making it anew")
        table = None
    else:
        if table is None:
            say(f"pack {target} is of another version or cut short; making it anew")
    if table is None:
        shutil.rmtree(target)
        return None
    return Plates(target, table, info)


def _make(
    folder: Path,
    target: Path,
    jobs: list[tuple[Source, Split]],
    odd: list[tuple[str, str]],
    workers: int | None,
    say: Callable[[str], None],
) -> None:
    """Decode, crop and append; a journal beside the pixels says how far a killed run had come."""
    target.mkdir(parents=True, exist_ok=True)
    _check_room(target, jobs)
    journal_path, pixel_path = target / "journal.jsonl", target / "plates.u8"
    rows, skipped, done, size = _read_journal(journal_path)
    if done:
        say(f"going on with a pack begun earlier: {done} of {len(jobs)} plates are there")
    digest = hashlib.sha256()
    with open(pixel_path, "ab") as pixels, open(journal_path, "a", encoding="utf-8") as journal:
        pixels.truncate(size)
        with open(pixel_path, "rb") as existing:
            while block := existing.read(1 << 24):
                digest.update(block)
        with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
            for start in range(done, len(jobs), _CHUNK):
                chunk = jobs[start : start + _CHUNK]
                entry: dict[str, Any] = {"rows": [], "skipped": []}
                for (source, split), result in zip(chunk, pool.map(lambda j: _try_crop(folder, j[0]), chunk)):
                    if isinstance(result, str):
                        entry["skipped"].append((source.path, result))
                        continue
                    crop, box = result
                    entry["rows"].append(_row(source, split, box, size))
                    pixels.write(crop.data)
                    digest.update(crop.data)
                    size += crop.size
                pixels.flush()
                journal.write(json.dumps({**entry, "done": start + len(chunk), "bytes": size}) + "\n")
                journal.flush()
                rows += entry["rows"]
                skipped += entry["skipped"]
    _finish(target, rows, [*odd, *skipped], digest, size)
    journal_path.unlink()
    if skipped:
        say(f"{len(skipped)} unreadable files skipped; they are listed in {target / 'skipped.csv'}")


def _finish(target: Path, rows: list[dict[str, Any]], skipped: list[tuple[str, str]], digest: Any, size: int) -> None:
    if not rows:
        raise UserError(f"none of the pictures can be read; the reasons are in {target / 'skipped.csv'}")
    digest.update(json.dumps(rows, ensure_ascii=False, sort_keys=True).encode())
    table = pd.DataFrame(rows)
    table.to_parquet(target / "plates.parquet", index=False)
    with open(target / "skipped.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "reason"])
        writer.writerows(skipped)
    info = {
        "version": PACK_VERSION,
        "fingerprint": digest.hexdigest(),
        "bytes": size,
        "plates": len(rows),
        "splits": {str(k): int(v) for k, v in table["split"].value_counts().items()},
        "grown": int(table["grown"].sum()),
        "skipped": len(skipped),
    }
    partial = target / "pack.json.partial"
    partial.write_text(json.dumps(info, indent=1), encoding="utf-8")
    partial.replace(target / "pack.json")  # last: its presence says that the pack is whole


def _row(source: Source, split: Split, box: tuple[int, int, int, int], offset: int) -> dict[str, Any]:
    left, top, right, bottom = box
    x0, y0, x1, y1 = source.name.bbox
    return {
        "name": source.path,
        "text": source.name.text,
        "split": split,
        "height": bottom - top,
        "width": right - left,
        "offset": offset,
        "vertices": [float(v) for x, y in source.name.vertices for v in (x - left, y - top)],
        "grown": x1 - x0 < 64 or y1 - y0 < 64,
    }


def _try_crop(folder: Path, source: Source) -> tuple[np.ndarray, tuple[int, int, int, int]] | str:
    try:
        return load_crop(folder, source)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return first_line(error)


def _read_journal(path: Path) -> tuple[list[dict[str, Any]], list[tuple[str, str]], int, int]:
    rows: list[dict[str, Any]] = []
    skipped: list[tuple[str, str]] = []
    done = size = 0
    good = 0
    if path.is_file():
        for line in path.read_bytes().splitlines(keepends=True):
            try:
                entry = json.loads(line)
            except ValueError:
                break  # the line that was being written when the run was killed
            good += len(line)
            rows += entry["rows"]
            skipped += [(file, reason) for file, reason in entry["skipped"]]
            done, size = entry["done"], entry["bytes"]
        with open(path, "r+b") as file:
            file.truncate(good)
    return rows, skipped, done, size


def _check_room(target: Path, jobs: list[tuple[Source, Split]]) -> None:
    need = 0
    for source, _ in jobs:
        x0, y0, x1, y1 = source.name.bbox
        need += max(64, x1 - x0 + 7) * max(64, y1 - y0 + 7) * 3
    free = shutil.disk_usage(target).free
    if need > free:
        raise UserError(
            f"the pack needs {need / 1e9:.1f} GB but {target} has {free / 1e9:.1f} GB free: "
            "take fewer plates (--set data.train_plates=N) or another place (--set data.cache=FOLDER)"
        )


def _key(folder: Path, jobs: list[tuple[Source, Split]], protocol: str) -> str:
    digest = hashlib.sha256(f"{PACK_VERSION}/{protocol}".encode())
    for source, split in jobs:
        try:
            stat = (folder / source.path).stat()
            seen = f"{stat.st_size}/{stat.st_mtime_ns}"
        except OSError:
            seen = "gone"
        digest.update(f"{source.path}/{split}/{seen}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:12]


def _slug(folder: Path) -> str:
    name = folder.resolve().name
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name) or "data"
