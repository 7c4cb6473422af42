"""HR plates read from a pack: one memory-mapped file and a table.

A pack is a folder::

    plates.u8        the pixels of all plates, one after another, H×W×3 uint8 each (in a pack of pairs each followed by
                     those of its LR picture, H/8×W/8×3)
    plates.parquet   one row a plate, see SCHEMA
    skipped.csv      files that could not be used, with the reason
    dropped.csv      plates left out of their split because another split has a near-duplicate
    pack.json        version, fingerprint, counts, leaks (since checks of annotations: their misfits)

It may come from a stranger, or from a disk that loses bits: nothing in it is believed before it has
been checked, and nothing in it is ever executed (Parquet and JSON hold values only).
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmark.data.ccpd import MINIMUM_SIDE, MULTIPLE
from benchmark.data.splits import Split
from benchmark.util.errors import first_line

PACK_VERSION = 2
SCHEMA = pa.schema(
    [
        ("name", pa.string()),  # path below the data folder
        ("text", pa.string()),  # plate number
        ("split", pa.string()),
        ("height", pa.int64()),
        ("width", pa.int64()),
        ("offset", pa.int64()),  # of its first byte in plates.u8
        ("vertices", pa.list_(pa.float32(), 8)),  # x, y of four corners, relative to the plate
        ("grown", pa.bool_()),  # its box was under 64 px
        ("seen", pa.bool_()),  # its number, or a near-duplicate of it, is in the training split
        ("sha256", pa.string()),  # of its pixels
    ]
)
_INFO: dict[str, type] = {
    "fingerprint": str, "bytes": int, "plates": int, "splits": dict, "grown": int, "skipped": int, "leaks": dict,
}  # fmt: skip
_LEAKS: dict[str, type] = {
    "test_plates_seen": int, "test_plates": int, "near_duplicates": int, "dropped": int, "method": str,
}  # fmt: skip
_LARGEST_SIDE = 1 << 16
_ROW_BYTES = 4096  # of a table row, decompressed: names are at most this long
_SAMPLED = 16


class BadPack(Exception):
    """What is wrong with a pack."""


@dataclass(frozen=True)
class Plate:
    """One HR plate: ``hr`` H×W×3 uint8, ``vertices`` 4×2 float32 (x, y) relative to it, ``seen`` as in the table.

    ``lr``: the LR picture H/8×W/8×3 that was taken with it; None where it is made of it.
    """

    index: int
    name: str
    text: str
    hr: np.ndarray
    vertices: np.ndarray
    seen: bool = False
    lr: np.ndarray | None = None


class Plates:
    """A sequence of HR plates over one pack file.

    ``info`` is the content of ``pack.json``. Its ``leaks`` says how far the splits know each other:
    ``test_plates`` pictures in the test split, ``test_plates_seen`` of them with a plate number that is in
    the training split, ``near_duplicates`` pairs of pictures found across splits (by ``method``), ``dropped``
    pictures then left out because of them. ``table`` has a boolean column ``seen``: the plate number is in the
    training split, or a near-duplicate of the picture is.
    """

    def __init__(
        self, folder: Path, table: pd.DataFrame, info: dict[str, Any], pixels: np.ndarray | None = None
    ) -> None:
        self.folder = folder
        self.table = table.reset_index(drop=True)
        self.info = info
        # Copy on write: torch wants writable memory, the file must stay as it is.
        self._pixels = np.memmap(folder / "plates.u8", dtype=np.uint8, mode="c") if pixels is None else pixels

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: int) -> Plate:
        row = self.table.iloc[index]
        height, width, offset = int(row["height"]), int(row["width"]), int(row["offset"])
        lr = None
        if self.paired:
            lr = self._picture(offset + height * width * 3, height // MULTIPLE, width // MULTIPLE)
        return Plate(
            index=index,
            name=row["name"],
            text=row["text"],
            hr=self._picture(offset, height, width),
            lr=lr,
            vertices=np.asarray(row["vertices"], dtype=np.float32).reshape(4, 2),
            seen=bool(row["seen"]),
        )

    def __iter__(self) -> Iterator[Plate]:
        return (self[i] for i in range(len(self)))

    def _picture(self, offset: int, height: int, width: int) -> np.ndarray:
        return np.asarray(self._pixels[offset : offset + height * width * 3]).reshape(height, width, 3)

    @property
    def paired(self) -> bool:
        """Whether LR pictures were taken with the HR ones, and are not made of them."""
        return self.info.get("paired") is True

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
        return Plates(self.folder, self.table[self.table["split"] == name], self.info, self._pixels)

    def damaged(self) -> list[str]:
        """Names of the plates whose pixels are no longer those that were packed (reads all of them)."""
        digests = self.table["sha256"]
        return [plate.name for plate in self if pixel_digest(plate.hr, plate.lr) != digests[plate.index]]


def pixel_digest(hr: np.ndarray, lr: np.ndarray | None = None) -> str:
    """SHA-256 of a plate's pixels, as they lie in a pack."""
    digest = hashlib.sha256(np.ascontiguousarray(hr).data)
    if lr is not None:
        digest.update(np.ascontiguousarray(lr).data)
    return digest.hexdigest()


def fingerprint(table: pd.DataFrame) -> str:
    """SHA-256 over a pack's table, in which each plate's pixels are by their own SHA-256."""
    digest = hashlib.sha256(f"pack {PACK_VERSION}, {len(table)} plates\n".encode())
    for field in SCHEMA:
        column = table[field.name]
        if pa.types.is_string(field.type):
            digest.update(json.dumps(column.tolist()).encode())
        elif pa.types.is_fixed_size_list(field.type):
            digest.update(_vertices(column).astype("<f4").tobytes())
        else:
            digest.update(column.to_numpy(np.int64).astype("<i8").tobytes())
    return digest.hexdigest()


def open_pack(folder: Path) -> Plates:
    """The pack in ``folder``. Raises BadPack, with the reason, if there is none that can be used.

    Checked are all of ``pack.json`` and the table, that every plate lies inside the pixel file, the fingerprint
    over the table, and the pixels of a few plates (of all: :meth:`Plates.damaged`).
    """
    try:
        for name in ("pack.json", "plates.u8", "plates.parquet"):  # who reads a pipe waits, perhaps for ever
            _require(
                stat.S_ISREG((folder / name).lstat().st_mode), f"{name} is a symbolic link, or not an ordinary file"
            )
        info = json.loads((folder / "pack.json").read_text(encoding="utf-8"))
        _check_info(info)
        size = (folder / "plates.u8").stat().st_size
        _require(size == info["bytes"], f"plates.u8 has {size} bytes instead of {info['bytes']}")
        table = _read_table(folder / "plates.parquet", info)
        _check_table(table, info)
        _require(fingerprint(table) == info["fingerprint"], "the table is not the one of the fingerprint")
        plates = Plates(folder, table, info)
    except FileNotFoundError as error:
        raise BadPack(f"{os.path.basename(error.filename)} is missing") from None
    except (OSError, ValueError, RecursionError, pa.ArrowException) as error:
        raise BadPack(first_line(error)) from None
    sample = np.unique(np.linspace(0, len(plates) - 1, _SAMPLED).astype(int))
    _require(not Plates(folder, table.iloc[sample], info).damaged(), "the pixels are not those of the fingerprint")
    return plates


def _check_info(info: Any) -> None:
    _require(isinstance(info, dict), "pack.json does not hold a table")
    _require(info.get("version") == PACK_VERSION, f"it is of version {info.get('version')!r}, not {PACK_VERSION}")
    for content, wanted in ((info, _INFO), (info.get("leaks"), _LEAKS), (info.get("splits"), {})):
        for key, kind in wanted.items():
            good = isinstance(content, dict) and type(content.get(key)) is kind
            _require(good and (kind is not int or content[key] >= 0), f"pack.json has no valid {key!r}")
    counts = info["splits"].items()
    valid = all(name in get_args(Split) and type(count) is int for name, count in counts)
    _require(valid, "pack.json names splits that do not exist")
    least = MINIMUM_SIDE * MINIMUM_SIDE * 3
    _require(0 < info["plates"] <= info["bytes"] // least, "pack.json counts more plates than there are pixels")


def _read_table(path: Path, info: dict[str, Any]) -> pd.DataFrame:
    with open(path, "rb") as content, pq.ParquetFile(content) as file:  # pyarrow takes no path that is not UTF-8
        facts = file.metadata
        _require(facts.num_rows == info["plates"], f"the table has {facts.num_rows} rows instead of {info['plates']}")
        size = sum(facts.row_group(i).total_byte_size for i in range(facts.num_row_groups))
        _require(size <= _ROW_BYTES * (info["plates"] + 16), "the table is larger than its rows can be")
        _require(file.schema_arrow.remove_metadata().equals(SCHEMA), "the table has other columns")
        table = file.read(use_threads=False)
    whole = all(c.null_count == 0 for c in table.columns)
    whole = whole and all(chunk.values.null_count == 0 for chunk in table["vertices"].chunks)
    _require(whole and table.num_rows == info["plates"], "the table has gaps")
    return table.to_pandas(ignore_metadata=True)


def _check_table(table: pd.DataFrame, info: dict[str, Any]) -> None:
    for side in ("height", "width"):
        values = table[side].to_numpy()
        fits = (values >= MINIMUM_SIDE) & (values <= _LARGEST_SIDE) & (values % MULTIPLE == 0)
        _require(bool(fits.all()), f"a plate has an impossible {side}")
    offset, sizes = table["offset"].to_numpy(), plate_bytes(table, info.get("paired") is True).to_numpy()
    inside = (offset >= 0) & (offset <= info["bytes"] - sizes)
    _require(bool(inside.all()), "a plate lies outside the pixel file")
    _require(bool(np.isfinite(_vertices(table["vertices"])).all()), "a plate has vertices that are not numbers")
    counts = {str(k): int(v) for k, v in table["split"].value_counts().items()}
    _require(counts == info["splits"], "the splits are not those of pack.json")
    _require(bool(table["name"].is_unique), "a picture is in it twice")
    strays = [name for name in table["name"] if name.startswith("/") or ".." in name.split("/")]
    _require(not strays, f"a picture lies outside the data folder: {strays[:1]}")


def plate_bytes(table: pd.DataFrame, paired: bool) -> pd.Series[int]:
    """The bytes that each plate takes in the pixel file."""
    hr = table["height"] * table["width"] * 3
    return hr + hr // MULTIPLE**2 if paired else hr


def _vertices(column: pd.Series[Any]) -> np.ndarray:
    return np.stack([np.asarray(v, dtype=np.float32) for v in column]) if len(column) else np.zeros((0, 8), np.float32)


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise BadPack(otherwise)
