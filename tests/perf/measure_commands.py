"""Whole commands, each started as a user starts it: ``--help``, and ``report`` of a stored run.

    python tests/perf/measure_commands.py --results results --run NAME

Run by name; not part of the suite.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import pandas as pd

from benchmark.results.find_runs import find_run
from benchmark.results.store import Run
from benchmark.util.errors import UserError, first_line

TARGETS = {"--help": "0.5 s", "report": "60 s for 20 methods"}
"""What every command should take at most, by the clock."""
_FLOORS = {"--help": ["-c", "pass"], "report": ["-m", "benchmark", "report", "--list"]}
"""What Python is given instead: the bare interpreter, and next to all that the report imports, without drawing."""
_SHOWN = ("command", "seconds", "cpu_seconds", "floor_seconds", "floor_cpu_seconds", "target", "floor")
_UNREAD = shutil.ignore_patterns("*.safetensors", "*.pt", ".*", "replaced-*")

Times = tuple[float, float]
"""Seconds by the clock, and of processor time."""


def measure(run: Run | None, repeats: int, say: Callable[[str], object] = lambda line: None) -> list[dict[str, Any]]:
    """A row for ``--help`` and, with a ``run``, one for ``report``: seconds by the clock and of processor time, and
    those of its floor. Medians over ``repeats`` rounds in which these alternate, each in a process of its own.

    The row of the report has what :func:`report_steps` returns, too. The report is drawn from a copy of the run:
    the one that lies in its own folder stays. ``say`` is told what is being done.

    Raises UserError where the run cannot be copied, or a command fails.
    """
    with tempfile.TemporaryDirectory() as scratch:
        commands = {"--help": ["-m", "benchmark", "--help"]}
        if run is not None:
            copy = _copy(run.folder.resolve(), Path(scratch))
            commands["report"] = ["-m", "benchmark", "report", "--results", str(copy)]
        for name in commands:
            process_times(_FLOORS[name])  # what is imported is in the system's cache from here on
        found: dict[str, list[tuple[Times, Times]]] = {name: [] for name in commands}
        for number in range(repeats):
            for name, words in commands.items():
                say(f"round {number + 1} of {repeats}: {name}")
                found[name].append((process_times(_FLOORS[name]), process_times(words)))
        rows = [_row(name, found[name]) for name in commands]
        if run is not None:
            say("report, step by step")
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                rows[-1] |= {"run": copy.name, **pool.submit(report_steps, copy).result()}
    return rows


def process_times(words: list[str]) -> Times:
    """Seconds by the clock and of processor time that Python takes for a command line, from start to end.

    Raises UserError for one that fails, with the last line of what it says.
    """
    before, start = _children(), time.perf_counter()
    done = subprocess.run([sys.executable, *words], stdin=subprocess.DEVNULL, capture_output=True)
    wall, cpu = time.perf_counter() - start, _children() - before
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {done.returncode}"]
        raise UserError(f"`python {' '.join(words[:3])}` fails, so its time says nothing: {said[-1]}")
    return wall, cpu


def report_steps(folder: Path) -> dict[str, Any]:
    """Draw the report of the run in ``folder``: what it is about (numbers of ``methods``, ``results`` and ``plates``),
    and ``steps``, seconds of processor time by what it was doing. To be called in a process of its own."""
    from paper_figures.report import builder

    begun: list[tuple[str, float]] = []
    built = builder.build(Run(folder), begin=lambda step: begun.append((step, time.process_time())))
    ends = [*(start for _, start in begun[1:]), time.process_time()]
    results = built.results
    return {
        "methods": len(results.rows),
        "results": len(results.records),
        "plates": int(results.plates["index"].nunique()),
        "steps": {step: end - start for (step, start), end in zip(begun, ends)},
    }


def _row(name: str, found: list[tuple[Times, Times]]) -> dict[str, Any]:
    floor, own = zip(*found)
    (floor_wall, floor_cpu), (wall, cpu) = ([median(values) for values in zip(*times)] for times in (floor, own))
    return {
        "command": name,
        "seconds": wall,
        "cpu_seconds": cpu,
        "floor": " ".join(["python", *_FLOORS[name]]),
        "floor_seconds": floor_wall,
        "floor_cpu_seconds": floor_cpu,
        "target": TARGETS[name],
    }


def _copy(folder: Path, scratch: Path) -> Path:
    """A copy of a run in ``scratch``, under its name and without what no report reads."""

    def unread(place: str, names: list[str]) -> set[str]:
        return _UNREAD(place, names) | ({"report"} if Path(place) == folder else set())

    try:
        return shutil.copytree(folder, scratch / folder.name, symlinks=True, ignore=unread)
    except OSError as error:
        raise UserError(
            f"cannot copy {folder} to {scratch} ({first_line(error)}): name another run (--run NAME), or another place "
            "(TMPDIR=FOLDER)"
        ) from None


def _children() -> float:
    """Seconds of processor time of the processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, help="folder of runs; without it the report is not measured")
    parser.add_argument("--run", help="name of a run; default: the one changed last")
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    run = find_run(asked.results, asked.run) if asked.results else None
    rows = measure(run, asked.repeats, lambda line: print(line, file=sys.stderr))
    table = pd.DataFrame(rows)
    print(table[table.columns.intersection([*_SHOWN])].to_string(index=False, float_format="%.2f"))
    for row in rows:
        if "steps" in row:
            print(f"{row['methods']} methods, {row['results']} results, {row['plates']} plates; most CPU seconds:")
            print(pd.Series(row["steps"]).nlargest(10).to_string(float_format="%.2f"))


if __name__ == "__main__":
    main()
