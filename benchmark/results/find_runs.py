"""Finding a run in a results folder, by name or by path."""

from __future__ import annotations

from pathlib import Path

from benchmark.results.store import RESERVED, Run
from benchmark.util.errors import UserError
from benchmark.util.locks import members


def find_run(results: Path, name: str | None = None) -> Run:
    """The run called ``name`` in a results folder; without a name, the one changed last.

    ``results`` may be the folder of a run itself. Raises UserError if there is no run.
    """
    return max(find_runs(results, name), key=lambda run: _last_change(run.folder))


def find_runs(results: Path, name: str | None = None) -> list[Run]:
    """All runs in a results folder, or the one called ``name``, by name; ``results`` may be the folder of a run itself.

    Raises UserError if there is no run.
    """
    if not results.is_dir():
        raise UserError(f"no results folder {results}: `python -m benchmark run --methods all` makes one")
    if name is not None:
        if not run_folder(results, name).is_dir():
            names = ", ".join(run.folder.name for run in runs(results)) or "none"
            raise UserError(f"no run {name!r} in {results} (there are: {names})")
        return [Run(results / name)]
    if next(results.glob("*/seed*/"), None) is not None:
        return [Run(results)]
    every_run = runs(results)
    if not every_run:
        raise UserError(f"no run in {results}: `python -m benchmark run --methods all` makes one")
    return every_run


def run_at(results: Path, word: str) -> Run:
    """The run with this name in the folder ``results``, or at this path. Raises UserError if there is neither."""
    if Path(word).name == word and (results / word).is_dir():
        return find_run(results, word)
    if Path(word).is_dir():
        return Run(Path(word))
    if results.is_dir():
        return find_run(results, word)  # says what there is
    raise UserError(f"no run {word!r}: neither a folder nor a name in {results}, which does not exist")


def runs(results: Path) -> list[Run]:
    """All runs in a results folder, by name, also those that have only been begun."""
    entries = sorted(results.iterdir()) if results.is_dir() else []
    folders = [p for p in entries if p.name not in RESERVED and p.is_dir()]
    return [Run(p) for p in folders if next(p.glob("*/seed*/"), None) or members(Run(p).processes)]


def _last_change(run: Path) -> float:
    return max((f.stat().st_mtime for f in run.glob("*/seed*/result.json")), default=run.stat().st_mtime)


def run_folder(results: Path, name: str) -> Path:
    """Folder of the run called ``name``. Raises UserError for a name that is a path or a reserved one."""
    if name in {"", ".", "..", *RESERVED} or "/" in name or not name.isprintable():
        raise UserError(f"--run takes the name of a folder in {results}: {name!r} cannot be one")
    return results / name
