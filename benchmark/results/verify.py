"""Whether a run is what it says: each of its results (:mod:`benchmark.results.verify_result`), plates, report.

Everything is worked out from the results folder; nothing is trained and nothing is changed. That source or versions
have changed since is no fault: it is said, and everything else is checked all the same. Nor is it one that weights and
pictures were left out of a copy (tables are needed), unless a complete one is asked for.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import pandas as pd

from benchmark.data.plates import BadPack, open_pack
from benchmark.results import packs
from benchmark.results.store import Key, Result, Run
from benchmark.results.verify_result import ANEW, RESTORE, Checked, Problem, verify_result
from benchmark.util.errors import first_line
from benchmark.util.files import read_plain
from benchmark.util.terminal import plain

LIBRARIES = ("torch", "torchvision", "timm")
"""What supplies networks and arithmetic. The identity leaves their versions out."""


@dataclass
class Verified:
    """A run: its results, what does not fit between them, and what could not be checked."""

    run: str
    results: list[Checked]
    problems: list[Problem]
    notes: list[str]

    @property
    def faults(self) -> list[Problem]:
        return [problem for result in self.results for problem in result.problems] + self.problems

    def as_dict(self) -> dict[str, Any]:
        return {"ok": not self.faults, **asdict(self)}


def verify_run(
    run: Run, complete: bool = False, table1: Callable[[Run], str] | None = None, running: Collection[Key] = ()
) -> Verified:
    """Check all results of a run. ``complete``: weights and pictures must be there, too; ``table1`` gives the CSV of
    the report's table, to be compared with the one that is there; ``running``: what processes are computing now."""
    readable = run.results()
    problems = [Problem(str(path.relative_to(run.folder)), why, RESTORE) for path, why in run.unreadable().items()]
    stored = {key: status for key, (status, _) in run.stored().items()}
    begun = {key: "unfinished" for key, status in stored.items() if status == "unfinished"}
    begun |= {key: "running" for key in running if stored.get(key) != "complete"}
    notes = [f"{plain(method)} seed {seed} is {begun[method, seed]}" for method, seed in sorted(begun)]
    results = [verify_result(result, complete) for result in readable]
    scored = [result for result in readable if result.complete]
    problems += _one_data_set(scored)
    if scored:
        _pack(run, scored, problems, notes)
        notes += _libraries(scored)
    if table1 is not None and (run.folder / "report" / "table1.csv").is_file():
        problems += _report(run, table1)
    return Verified(str(run.folder), results, problems, notes)


def _one_data_set(results: list[Result]) -> Iterator[Problem]:
    """All results of a run must be of the same plates."""
    prints = [result.record.scored_data.fingerprint for result in results]
    usual = Counter(prints).most_common(1)
    for result, fingerprint in zip(results, prints):
        if fingerprint != usual[0][0]:
            place = f"{result.method}/seed{result.seed}"
            yield Problem(place, f"its plates ({fingerprint[:12]}) are not those of most others", ANEW)


def _pack(run: Run, results: list[Result], problems: list[Problem], notes: list[str]) -> None:
    """The plates, where they are at hand, must be those of the fingerprint."""
    fingerprint = Counter(result.record.scored_data.fingerprint for result in results).most_common(1)[0][0]
    record = results[0].record
    stored = packs.find(run, record, fingerprint)
    if stored is None:
        where = " or ".join(map(str, packs.places(run, record)))
        notes.append(f"plates: not checked, there is no pack with fingerprint {fingerprint[:12]} in {where}")
        return
    try:
        damaged = open_pack(stored).damaged()
        what = f"{len(damaged)} plates are not those that were packed, {damaged[0]} the first" if damaged else ""
    except BadPack as error:
        what = f"the pack of its plates is damaged ({error})"
    if what:
        place = f"{stored.parent.name}/{stored.name}"
        problems.append(Problem(place, what, "remove the folder: the next run makes it anew"))
    else:
        notes.append(f"plates: all pixels of {stored.parent.name}/{stored.name} are those of the fingerprint")


def _libraries(results: list[Result]) -> Iterator[str]:
    """Libraries that supply numbers and are of another version here: no fault, but they may move a number."""
    for name in LIBRARIES:
        here = version(name)
        versions = (result.record.provenance.versions.get(name) for result in results)
        for other, count in Counter(other for other in versions if other not in (None, here)).items():
            yield f"{count} of {len(results)} results were made with {name} {other}, here is {here}"


def _report(run: Run, table1: Callable[[Run], str]) -> Iterator[Problem]:
    """Table 1 of the report must be what the results give; what it says of today's source may differ."""
    place, remedy = "report/table1.csv", "draw it again: python -m benchmark report"
    try:
        texts = read_plain(run.folder / place, 8_000_000).decode(), table1(run)
        tables = [pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False) for text in texts]
        stored, recomputed = (t.drop(columns="stale").sort_values("method", ignore_index=True) for t in tables)
    except Exception as error:  # whatever is in a stranger's table
        yield Problem(place, f"cannot be compared with the results ({first_line(error)})", remedy)
        return
    if not stored.equals(recomputed):
        yield Problem(place, "is not what the results give", remedy)
