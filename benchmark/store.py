"""Results on disk: ``results/<run>/<method>/seed<k>/``, one folder per method and seed.

A result counts as there once its ``result.json`` is; that file is written last, under a temporary
name, and renamed.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.errors import UserError

SCHEMA = 2
UPPER_BOUND = "hr"
"""Name under which the HR plates themselves are scored: what a perfect method would reach."""
RESERVED = {"packs", "report"}
"""Folders in a results folder that are no runs, or in a run that are no methods."""


@dataclass(frozen=True)
class Result:
    """One stored result. ``info`` is the content of ``result.json``."""

    folder: Path
    info: dict[str, Any]

    @property
    def method(self) -> str:
        return self.info["method"]

    @property
    def seed(self) -> int:
        return self.info["seed"]

    @property
    def complete(self) -> bool:
        """False for a stored failure."""
        return self.info["status"] == "complete"

    @property
    def stale(self) -> bool | None:
        """Whether the source the result was computed with has changed since; None where that is unknown."""
        from benchmark.identity import current_source  # only the report asks: torch need not be imported

        now = current_source(self.method)
        return None if now is None or "source" not in self.info else now != self.info["source"]

    def history(self) -> pd.DataFrame:
        """One row per validation; empty for a method that does not train."""
        return _read_csv(self.folder / "history.csv")

    def plates(self) -> pd.DataFrame:
        """One row per test plate; empty for a failure. ``read`` is "" where a judge read nothing."""
        # A plate read as 0012 or NA is text, and stays as it was written.
        frame = _read_csv(
            self.folder / "plates.csv",
            dtype=dict.fromkeys(("name", "text", "read"), str),
            keep_default_na=False,
            na_values=[""],
        )
        if "read" in frame and "confidence" in frame:
            judged = frame["confidence"].notna()
            frame.loc[judged, "read"] = frame.loc[judged, "read"].fillna("")
        return frame


class Run:
    """A folder of results that are meant to be compared."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def place(self, method: str, seed: int) -> Path:
        """Folder of one method and seed."""
        return self.folder / method / f"seed{seed}"

    def result(self, method: str, seed: int) -> Result | None:
        """The stored result, or None if there is none that can be read."""
        return read_result(self.place(method, seed))

    def results(self) -> list[Result]:
        """All results that can be read, by method and seed."""
        found = [read_result(path.parent) for path in sorted(self.folder.glob("*/seed*/result.json"))]
        return [result for result in found if result is not None]

    def status(self) -> list[dict[str, Any]]:
        """One row per (method, seed): ``status`` is complete, failed or unfinished."""
        rows = []
        for folder in sorted(self.folder.glob("*/seed*/")):
            result = read_result(folder)
            row = {"method": folder.parent.name, "seed": int(folder.name.removeprefix("seed") or 0)}
            if result is None:
                text = "checkpoint.pt: the same command goes on" if (folder / "checkpoint.pt").is_file() else ""
                rows.append({**row, "status": "unfinished", "detail": text})
            elif result.complete:
                psnr = result.info["scores"]["best"]["psnr"]["median"]
                detail = "" if psnr is None else f"{psnr:.2f} dB"
                rows.append({**row, "status": "complete", "detail": detail})
            else:
                rows.append({**row, "status": "failed", "detail": result.info["error"]["message"]})
        return rows

    def unreadable(self) -> list[Path]:
        """``result.json`` files that are there but cannot be read."""
        files = sorted(self.folder.glob("*/seed*/result.json"))
        return [path for path in files if read_result(path.parent) is None]


def write_result(folder: Path, info: dict[str, Any]) -> None:
    """Store ``info`` as the result in ``folder``; from then on the result counts as there."""
    write_text(folder / "result.json", json.dumps(info, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file completely or not at all."""
    partial = path.with_name(path.name + ".partial")
    with open(partial, "w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def clear(folder: Path) -> None:
    """Make ``folder`` an empty one."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)


def check_writable(folder: Path) -> None:
    """Make ``folder`` and try to write in it. Raises UserError where that fails."""
    probe = folder / f".write-test-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f"cannot write results to {folder}: {error.strerror} (choose a place with --results)") from None


@contextmanager
def exclusive(run: Path) -> Iterator[None]:
    """Hold a run's folder for this process; the system lets go of it when the process ends, however.

    Raises UserError, naming the holder, if another process is writing there.
    """
    with open(run / ".lock", "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise UserError(f"{run} is being written by another process ({file.read().strip()})") from None
        file.truncate(0)
        file.write(f"pid {os.getpid()} since {datetime.now():%Y-%m-%d %H:%M:%S}")
        file.flush()
        yield


def find_run(results: Path, name: str | None = None) -> Run:
    """The run called ``name`` in a results folder; without a name, the one changed last.

    ``results`` may be the folder of a run itself. Raises UserError if there is no run.
    """
    if not results.is_dir():
        raise UserError(f"no results folder {results}: `python -m benchmark run --methods all` makes one")
    if name is not None:
        if not (results / name).is_dir():
            known = ", ".join(sorted(p.name for p in _runs(results))) or "none"
            raise UserError(f"no run {name!r} in {results} (there are: {known})")
        return Run(results / name)
    if next(results.glob("*/seed*/"), None) is not None:
        return Run(results)
    runs = _runs(results)
    if not runs:
        raise UserError(f"no run in {results}: `python -m benchmark run --methods all` makes one")
    return Run(max(runs, key=_last_change))


def _runs(results: Path) -> list[Path]:
    return [p for p in results.iterdir() if p.name not in RESERVED and next(p.glob("*/seed*/"), None)]


def _last_change(run: Path) -> float:
    return max((f.stat().st_mtime for f in run.glob("*/seed*/result.json")), default=run.stat().st_mtime)


def read_result(folder: Path) -> Result | None:
    """The result stored in a folder, or None if there is none that can be read."""
    try:
        info = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    wanted = {"schema": int, "status": str, "method": str, "seed": int}
    if not isinstance(info, dict) or any(not isinstance(info.get(k), t) for k, t in wanted.items()):
        return None
    return Result(folder, info) if info["schema"] <= SCHEMA else None


def _read_csv(path: Path, **options: Any) -> pd.DataFrame:
    try:
        return pd.read_csv(path, **options)
    except (OSError, ValueError):  # ValueError covers an empty or broken table
        return pd.DataFrame()
