"""Results on disk: ``results/<run>/<method>/seed<k>/``, one folder per method and seed.

A result counts as there once its ``result.json`` is; that file is written last, under a temporary
name, and renamed. It lists the checksums of the others, so that files of two scorings (after a kill,
or after careless copying) are never taken for one result.

Results may come from strangers. What is read here fits the published schema (:mod:`benchmark.results.record`),
has printable strings, and was reached without following a symbolic link.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.results.record import Record
from benchmark.results.record_parts import StoredFile
from benchmark.results.text_format import Unreadable, read_record, read_table, to_text
from benchmark.util.errors import UserError
from benchmark.util.files import checksum, refuse_links, write_text

TEST_DATA = "test-data"
"""Folder in a run with one folder a set of other plates that its weights were scored on, each laid out as a run."""
RESERVED = {"packs", "report", TEST_DATA}
"""Folders in a results folder that are no runs, or in a run that are no methods."""
TABLES = ("history.csv", "plates.csv", "plates_last.csv")
WEIGHTS = ("weights.safetensors", "last.safetensors")
PICTURES = ("samples", "samples_last", "exhibits")
"""What a result may consist of beside ``result.json``: tables, weights, folders of pictures."""
LOCKS = ".locks"
"""Folder of a run's locks: one per job, and one per process that is working in the run."""
_SEED = re.compile(r"seed(0|[1-9][0-9]{0,8})")

Key = tuple[str, int]
"""Method and seed."""


@dataclass(frozen=True)
class Result:
    """One stored result."""

    folder: Path
    record: Record
    """The content of ``result.json``."""

    @property
    def method(self) -> str:
        return self.record.method

    @property
    def seed(self) -> int:
        return self.record.seed

    @property
    def complete(self) -> bool:
        """False for a stored failure."""
        return self.record.complete

    def changed(self, *names: str) -> list[str]:
        """Which of the files that ``result.json`` lists (of these ``names``, or of all) are not there as listed.

        A file that is not listed is not asked about: an untrained method has no history, and before schema 3
        nothing was listed.
        """
        listed = self.record.files
        return [name for name in names or listed if name in listed and not self._is_there(name, listed[name])]

    def _is_there(self, name: str, listed: StoredFile) -> bool:
        path = self.folder / name
        try:
            return path.lstat().st_size == listed.size and checksum(path)["sha256"] == listed.sha256
        except OSError:
            return False

    def history(self) -> pd.DataFrame:
        """One row per validation; empty for a method that does not train."""
        return read_table(self.folder / "history.csv")

    def plates(self) -> pd.DataFrame:
        """One row per test plate; empty for a failure. ``read`` is "" where an OCR engine read nothing."""
        return self._plates("plates.csv")

    def plates_last(self) -> pd.DataFrame:
        """The same of the last weights, where these are the method as published; else empty."""
        return self._plates("plates_last.csv") if self.record.selected_as else pd.DataFrame()

    def _plates(self, name: str) -> pd.DataFrame:
        # A plate read as 0012 or NA is text, and stays as it was written.
        frame = read_table(
            self.folder / name,
            dtype=dict.fromkeys(("name", "text", "read", "read_second", "characters", "characters_second"), str),
            keep_default_na=False,
            na_values=[""],
        )
        for suffix in ("", "_second"):
            read, confidence = "read" + suffix, "confidence" + suffix
            if read in frame and confidence in frame:
                frame[read] = frame[read].mask(frame[confidence].notna() & frame[read].isna(), "")
        return frame


class Run:
    """A folder of results that are meant to be compared."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def processes(self) -> Path:
        """Folder of the locks of the processes that are working in the run."""
        return self.folder / LOCKS / "processes"

    @property
    def results_folder(self) -> Path:
        """The folder of runs that this one, or the run that it was scored for, lies in."""
        above = self.folder.absolute().parent
        return above.parent.parent if above.name == TEST_DATA else above

    def test_sets(self) -> list[Run]:
        """What the run's weights scored on other plates, by the name of their set."""
        folders = sorted((self.folder / TEST_DATA).glob("*"))
        return [Run(folder) for folder in folders if not linked(folder) and next(folder.glob("*/seed*/"), None)]

    def place(self, method: str, seed: int) -> Path:
        """Folder of one method and seed."""
        return self.folder / method / f"seed{seed}"

    def result(self, method: str, seed: int) -> Result | None:
        """The stored result, or None if there is none that can be read."""
        try:
            return self._read(self.place(method, seed))
        except Unreadable:
            return None

    def read(self) -> tuple[list[Result], dict[Path, str]]:
        """All results that can be read, by method and seed; and ``result.json`` files that are there but cannot be
        used, and links in the place of folders, with the reason."""
        readable: list[Result] = []
        unreadable: dict[Path, str] = {}
        for path in sorted(self.folder.glob("*/seed*/result.json")):
            try:
                readable.append(self._read(path.parent))
            except Unreadable as reason:
                unreadable[path] = str(reason)
        return readable, unreadable

    def results(self) -> list[Result]:
        """All results that can be read, by method and seed."""
        return self.read()[0]

    def unreadable(self) -> dict[Path, str]:
        """``result.json`` files that are there but cannot be used, and links in the place of folders: why."""
        return self.read()[1]

    def stored(self) -> dict[Key, tuple[str, str]]:
        """Status and detail by method and seed; ``status`` is complete, failed, unfinished or unreadable."""
        states: dict[Key, tuple[str, str]] = {}
        for folder in self._folders():
            status, detail = self._state(folder)
            if status in ("failed", "unfinished") and replaced(folder) is not None:
                detail += f"{'; ' if detail else ''}the result before it is in {replaced_place(folder).name}"
            states[folder.parent.name, int(folder.name.removeprefix("seed"))] = status, detail
        return states

    def _state(self, folder: Path) -> tuple[str, str]:
        """Status and detail of what is stored in a folder."""
        if not (folder / "result.json").exists():
            begun = next(folder.glob("*.pt"), None)
            return "unfinished", "the same command goes on where it stopped" if begun else ""
        try:
            result = self._read(folder)
        except Unreadable as reason:
            return "unreadable", str(reason)
        if not result.complete:
            return "failed", result.record.reason
        psnr = result.record.scores.best.get("psnr")
        return "complete", "" if psnr is None or psnr.median is None else f"{psnr.median:.2f} dB"

    def _folders(self) -> list[Path]:
        """Folders of a method and seed, links among them or above them left out."""
        seeds = [path for path in self.folder.glob("*/seed*") if _SEED.fullmatch(path.name)]
        return sorted(path for path in seeds if path.is_dir() and not linked(path))

    def _read(self, folder: Path) -> Result:
        """The result in a folder of this run. Raises Unreadable."""
        if linked(folder):
            raise Unreadable("its folder is a symbolic link, which is not followed")
        result = _read(folder)
        if self.place(result.method, result.seed) != folder:
            raise Unreadable(f"it says {result.method} seed {result.seed}, which is not the folder it is in")
        return result


def linked(folder: Path) -> bool:
    """Whether the folder of a method and seed is a link, or that of its method is."""
    return folder.is_symlink() or folder.parent.is_symlink()


def write_result(folder: Path, info: dict[str, Any]) -> None:
    """Store ``info`` as the result in ``folder``; from then on the result counts as there.

    ``files`` is added: size and SHA-256 of what belongs to the result, as it is in ``folder`` now. The user's
    home directory is written as ``~``. Raises ValueError where the result does not fit the schema: it could
    not be read again.
    """
    try:
        text = to_text({**info, "files": _files(folder)})
    except ValueError as error:
        raise ValueError(f"the result cannot be stored: {error}") from None
    write_text(folder / "result.json", text)


def _files(folder: Path) -> dict[str, dict[str, str | int]]:
    """Checksums of the files of a result, by path below its folder."""
    paths = [folder / name for name in (*WEIGHTS, *TABLES)]
    paths += sorted(path for name in PICTURES for path in (folder / name).glob("*.*"))
    return {path.relative_to(folder).as_posix(): checksum(path) for path in paths if path.is_file()}


def clear(folder: Path) -> None:
    """Make ``folder`` an empty one. Raises UserError where it or the one above is a link."""
    refuse_links(folder.parent, folder)
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)


def replaced_place(folder: Path) -> Path:
    """Where the complete result in ``folder`` is kept while it is being computed anew: no report looks there."""
    return folder.with_name(f"replaced-{folder.name}")


def replaced(folder: Path) -> Result | None:
    """The result that was set aside from ``folder``, if there is one that can be used."""
    aside = replaced_place(folder)
    result = None if linked(aside) else read_result(aside)
    return result if result is not None and result.complete else None


def set_aside(folder: Path) -> Path:
    """Move the result in ``folder`` to :func:`replaced_place`, and return that."""
    aside = replaced_place(folder)
    refuse_links(folder.parent, folder, aside)
    if aside.exists():
        shutil.rmtree(aside)
    return folder.rename(aside)


def take_back(folder: Path) -> None:
    """Make the result that was set aside that of ``folder`` again, in place of what has been begun there."""
    aside = replaced_place(folder)
    refuse_links(folder.parent, folder, aside)
    if folder.exists():
        shutil.rmtree(folder)
    aside.rename(folder)


def drop_replaced(folder: Path) -> None:
    """Remove what was set aside from ``folder``: the result there is complete."""
    aside = replaced_place(folder)
    if aside.is_dir() and not linked(aside):
        shutil.rmtree(aside)


def check_writable(folder: Path) -> None:
    """Make ``folder`` and try to write in it. Raises UserError where that fails."""
    probe = folder / f".write-test-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f"cannot write results to {folder}: {error.strerror} (choose a place with --results)") from None


def read_result(folder: Path) -> Result | None:
    """The result stored in a folder, wherever that is, or None if there is none that can be used."""
    try:
        return _read(folder)
    except Unreadable:
        return None


def _read(folder: Path) -> Result:
    return Result(folder, read_record(folder / "result.json"))
