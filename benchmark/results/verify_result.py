"""Whether one stored result is what it says: schema, files, weights, identity, scores, history, clocks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

import methods
from benchmark.results.identity import (
    current_source,
    current_versions,
    recorded_identities,
    stored_options,
    stored_versions,
)
from benchmark.results.record import UPPER_BOUND
from benchmark.results.store import TABLES, WEIGHTS, Result
from benchmark.results.trained import BadWeights, make, read_weights
from benchmark.scoring import plate_scores
from benchmark.util.errors import first_line

CLOCKS = ("training", "validation", "checkpoint", "scoring")
UNTIMED_SHARE, UNTIMED_SECONDS = 0.1, 30.0
"""What a job may spend between its clocks: on making the method, moving it to a device, counting what it costs."""
TOLERANCE = 1e-12
"""Relative difference between two sums of the same numbers that says nothing."""
ANEW = "run the same command again: what does not fit is computed anew"
RESTORE = "copy the result again from where it was made, or remove its folder and run the same command"

Faults = Iterator[tuple[str, str]]
"""What does not fit in a result, and what to do about it."""


@dataclass(frozen=True)
class Problem:
    """What does not fit, where, and what to do about it."""

    place: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}: {self.remedy}"


@dataclass
class Checked:
    """One result: its source as a phrase, the files that were left out of this copy, and what does not fit."""

    method: str
    seed: int
    status: str
    schema: int
    source: str = ""
    absent: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        return self.status == "failed"

    @property
    def left_out(self) -> list[str]:
        """``absent`` in few words: folders instead of the pictures in them."""
        return list(dict.fromkeys(name.split("/")[0] for name in self.absent))


def verify_result(result: Result, complete: bool = False) -> Checked:
    """Check one result by itself."""
    record = result.record
    checked = Checked(result.method, result.seed, record.status, record.schema_)
    if not result.complete:
        return checked
    checked.source = _source(result)
    checked.absent = [name for name in record.files if not (result.folder / name).exists()]
    faults: list[tuple[str, str]] = []
    checks: list[Callable[[Result], Faults]] = [partial(_files, absent=checked.absent, complete=complete), *_CHECKS]
    for check in checks:
        try:
            faults += check(result)
        # Whatever else stands in a file of schema 1 or 2, which promise little.
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            faults.append((f"it cannot be checked ({type(error).__name__}: {first_line(error)})", ANEW))
    place = f"{result.method}/seed{result.seed}"
    checked.problems = [Problem(place, what, remedy) for what, remedy in faults]
    return checked


def _files(result: Result, absent: list[str], complete: bool) -> Faults:
    """What is there must be as it was stored; tables must be there."""
    wanted = [name for name in TABLES if _wanted(result, name)]
    if result.record.schema_ < 3:
        absent = [name for name in wanted if not (result.folder / name).is_file()]
    elif unlisted := [name for name in wanted if name not in result.record.files]:
        yield f"result.json gives no checksum of {' and '.join(unlisted)}", RESTORE
    for name in absent:
        if complete or name in TABLES:
            yield f"{name} is not there", RESTORE
    for name in result.changed():
        if name not in absent:
            yield f"{name} is not as it was stored (other size or checksum)", RESTORE


def _wanted(result: Result, name: str) -> bool:
    if name != "plates.csv" and result.record.test_data is not None:
        return False  # what training left behind stands beside the run's own scores
    if name == "plates_last.csv":
        return bool(result.record.selected_as)
    return name == "plates.csv" or bool(result.record.iterations)


def _weights(result: Result) -> Faults:
    """Weights must be those that the method takes."""
    if result.method == UPPER_BOUND:
        return
    try:
        method = make(methods.get(result.method), result.record.options)
        parameters = method.num_parameters()
        if parameters != result.record.parameters:
            stored = f"{result.record.parameters:,}"
            yield f"the method has {parameters:,} parameters and not {stored}", "look at the commit it was made with"
        for name in WEIGHTS:
            if (result.folder / name).exists():
                read_weights(method, result.folder / name)
    except methods.UnknownMethod:
        return  # a plug-in that was not named: its source is said to be unknown
    except BadWeights as error:
        yield f"the weights do not fit the method: {error}", RESTORE


def _source(result: Result) -> str:
    """Whether the result was made with the versions and the source at hand, as a phrase."""
    record = result.record
    now, then, commit = current_versions(result.method), stored_versions(record), record.provenance.commit
    made = f"commit {commit[:12]}" if commit else "no commit recorded"
    if now is None:
        return f"its method is not registered here ({made}); a plug-in is named with --plugin"
    if then is None:
        return f"made before versions were declared ({made})"
    if changed := [name for name, value in now if value != getattr(then, name)]:
        return f"made with another version of {' and '.join(changed)} ({made})"
    return "same source" if current_source(result.method) == record.source else "source differs, same version"


def _identity(result: Result) -> Faults:
    """The identities must follow from what ``result.json`` says."""
    record = result.record
    remedy = "it was edited, or copied together from several: " + RESTORE
    if record.schema_ < 3:
        return  # nothing that can be worked out
    training, scoring = recorded_identities(record)
    if scoring != record.scoring_identity:
        yield "scoring_identity does not follow from its data, judges and version", remedy
    if training != record.identity:
        yield "identity does not follow from its configuration, seed, data and version", remedy
    if record.is_bound or current_versions(result.method) is None:
        return
    options = stored_options(methods.get(result.method), record.config.as_dict())
    if any(options.get(name) != value for name, value in record.options.items()):
        yield "options are not those of its configuration", remedy


def _scores(result: Result) -> Faults:
    """The stored scores must be what ``plates.csv`` gives."""
    if not (result.folder / "plates.csv").exists():
        return  # what must be there has been asked for already
    frame, stored, test = result.plates(), result.record.scores, result.record.scored_data.test
    if not len(frame):
        yield "plates.csv cannot be read", RESTORE
        return
    if len(frame) != test:
        yield f"plates.csv has {len(frame)} of {test} plates", RESTORE
    sets = {"best": frame}
    if stored.best_unseen:
        sets["best_unseen"] = frame[frame["seen"] == 0]
    if len(last := result.plates_last()):
        sets["last"] = last
    for name, plates in sets.items():
        recomputed = plate_scores.summarise(plates)
        for metric, scores in getattr(stored, name).items():
            summary = scores.as_dict()
            if metric not in recomputed:
                yield f"scores.{name}.{metric} is of no column of plates.csv", RESTORE
                continue
            wrong = [key for key, value in summary.items() if not _same(value, recomputed[metric].get(key))]
            if wrong:
                expected = recomputed[metric].get(wrong[0])
                yield (
                    f"scores.{name}.{metric}.{wrong[0]} is {summary[wrong[0]]}, but plates.csv gives {expected}",
                    RESTORE,
                )


def _same(stored: Any, recomputed: Any) -> bool:
    if stored is None or recomputed is None:
        return stored is recomputed
    return math.isclose(stored, recomputed, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def _history(result: Result) -> Faults:
    """The history must end with the budget, and the best weights must be its best."""
    record = result.record
    if record.is_bound:
        return
    budget, best, wanted = record.iterations, record.best_iteration, record.config.train.iterations
    if record.parameters and budget != wanted:
        yield f"it made {budget} of {wanted} iterations", ANEW
    if not (result.folder / "history.csv").is_file():
        return  # what must be there has been asked for already
    history = result.history()
    if {"iteration", "val_psnr"} - set(history) or not len(history):
        yield "history.csv lacks the columns iteration and val_psnr", RESTORE
        return
    numbers = history[["iteration", "val_psnr"]].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    iterations, psnr = numbers.T
    if not (np.diff(iterations) > 0).all() or iterations[-1] != budget:
        yield f"history.csv does not rise to iteration {budget}", RESTORE
    elif np.isnan(psnr).all() or iterations[np.nanargmax(psnr)] != best:
        yield f"best_iteration is {best}, which is not where history.csv has its best val_psnr", RESTORE


def _clocks(result: Result) -> Faults:
    """Every part must have been timed, and the parts must lie within the whole."""
    clocks = result.record.clocks
    wanted = CLOCKS if result.method != UPPER_BOUND and result.record.test_data is None else ("scoring",)
    if absent := [name for name in wanted if name not in clocks]:
        yield f"clocks lack {', '.join(absent)}", ANEW
        return
    if negative := [name for name, seconds in clocks.items() if seconds < 0]:
        yield f"clocks.{negative[0]} is negative", RESTORE
    if "total" not in clocks:
        return  # schema 1 and 2
    parts, total = sum(clocks[name] for name in wanted), clocks["total"]
    if parts > total * (1 + 1e-9):
        yield f"the parts took {parts:.1f} s, which is more than the whole job's {total:.1f} s", RESTORE
    if total - parts > UNTIMED_SHARE * total + UNTIMED_SECONDS:
        yield f"{total - parts:.0f} of the job's {total:.0f} s are in none of its clocks", RESTORE


_CHECKS: tuple[Callable[[Result], Faults], ...] = (_weights, _identity, _scores, _history, _clocks)
