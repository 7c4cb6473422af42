"""Commands that supply what the results lack."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from benchmark import config
from benchmark.results.provenance import set_option
from benchmark.results.store import Run
from benchmark.util.files import without_home
from paper_figures.common.results import Results, Row

SEEDS = 3
"""Seeds to suggest first."""


def run_command(results: Results, wanted: Iterable[str], options: dict[str, str] | None = None) -> str:
    """The recorded command of these results with ``--methods`` replaced by ``wanted`` and ``options`` set."""
    start = ["python", "-m", "benchmark", "run"]
    try:
        words = shlex.split(results.reference.provenance.command)
    except ValueError:  # an unbalanced quote: not a command this program recorded
        words = start
    of = {row.name: row.of for row in results.rows if row.of}
    named = dict.fromkeys(of.get(name, name) for name in wanted)
    words = set_option(words if words[:4] == start else start, "--methods", ",".join(named))
    if max(results.seeds) > 0:
        words = set_option(words, "--seeds", str(max(results.seeds) + 1))
    for option, value in (options or {}).items():
        words = set_option(words, option, value)
    return shlex.join(words)


def report_command(run: Path, out: Path | None, allow_mixed: bool) -> str:
    """The command that draws the report of the run in this folder, from the working folder."""
    place = _short(run)
    words = ["--run", run.name] if place == f"results/{run.name}" else ["--results", place]
    words += ["--out", _short(out)] if out else []
    return shlex.join(["python", "-m", "benchmark", "report", *words, *["--allow-mixed"] * allow_mixed])


def _short(path: Path) -> str:
    """Relative where it lies below the working folder, else whole, the home directory as ``~``."""
    whole, here = path.absolute(), Path.cwd()
    return whole.relative_to(here).as_posix() if whole.is_relative_to(here) else without_home(whole.as_posix())


def test_command(run: Run) -> str:
    """The command that scores a run's weights on other plates."""
    where = ["--results", str(run.results_folder), "--run", run.folder.name]
    return shlex.join(["python", "-m", "benchmark", "score", "--test-data", "FOLDER", *where])


def suggest_command(results: Results, rows: Iterable[Row]) -> str:
    """A command that may decide: more seeds first, then the next larger budget, then more seeds again."""
    names = [row.name for row in rows]
    seeds = len(results.seeds)
    larger = larger_budget(results)
    if seeds < SEEDS:
        return run_command(results, names, {"--seeds": str(SEEDS)})
    return run_command(results, names, larger or {"--seeds": str(seeds + 2)})


def larger_budget(results: Results) -> dict[str, str]:
    """Options of the smallest preset with a larger budget than this run's; empty if there is none."""
    sizes = {name: train.iterations * train.batch_size for name, train in _budgets().items()}
    larger = [name for name in sorted(sizes, key=lambda name: sizes[name]) if sizes[name] > patches(results) > 0]
    if not larger:
        return {}
    return preset(results, larger[0])


def preset(results: Results, name: str) -> dict[str, str]:
    """Options that give a run like this one the budget of a preset, even if its iterations were set by hand."""
    own = _budgets().get(results.config.preset)
    by_hand = own is not None and own.iterations != results.config.train.iterations
    return {"--preset": name} | ({"--iterations": str(_budgets()[name].iterations)} if by_hand else {})


@cache
def _budgets() -> dict[str, config.Train]:
    """The budget of every preset."""
    return {name: config.load(name).train for name in config.presets()}


def patches(results: Results) -> int:
    """Patches that a training saw (iterations × batch size); 0 if nothing was trained or the size is not recorded."""
    iterations = max((row.iterations for row in results.rows if row.trained), default=0)
    return iterations * results.config.train.batch_size
