"""Stored results as tidy tables: what every table and figure is a function of.

:func:`load` reads a run once. Methods become :class:`Row` objects (seeds pooled), in the paper's order;
``plates`` and ``history`` are long tables with one line a (method, seed, plate) and a (method, seed,
validation). A result that cannot be used is listed with its reason, never dropped silently.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

import methods
from benchmark.results.identity import is_stale
from benchmark.results.record import Record
from benchmark.results.store import Result, Run
from benchmark.scoring.metrics import METRICS
from benchmark.util.errors import UserError
from paper_figures.common import statistics
from paper_figures.common.comparability import differences, refusal, setting
from paper_figures.common.statistics import Interval, Statistic, Test

READING = tuple(name for name, metric in METRICS.items() if metric.engine == "first")
"""Metrics that come from the OCR engine; the others are computed from the picture."""
SECOND_READING = tuple(name for name, metric in METRICS.items() if metric.engine == "second")
"""The same from the second OCR engine."""
HR = "hr"
"""Name of the upper bound: the high-resolution plates themselves, scored like a method."""


@dataclass(frozen=True)
class Summary:
    """Scores of one method over plates × seeds, pooled; ``sd`` with n − 1.

    ``n`` counts the values, ``lacking`` those that were not a number and are left out.
    """

    median: float
    sd: float
    mean: float
    n: int
    lacking: int


@dataclass(frozen=True)
class Row:
    """One method of the run, its seeds pooled."""

    name: str
    title: str
    groups: tuple[str, ...]
    parameters: int | None
    paper_parameters: int | None
    seeds: tuple[int, ...]
    iterations: int
    best_iterations: tuple[int, ...]
    scores: dict[str, Summary]
    """By name of the metric: always ``psnr``, the others where the plates have them."""
    notes: tuple[str, ...]
    family: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    """The method's typed options, as stored."""
    cost: dict[str, Any] = field(default_factory=dict)
    """``macs`` and ``milliseconds`` of upscaling one plate; empty where they were not measured."""
    stale: bool = False
    differs: tuple[str, ...] = ()
    """What sets this row apart from the others (other data, budget, …); only with ``allow_mixed``."""
    of: str = ""
    """The method whose selected weights these are, where the row of its name has its last ones."""

    @property
    def is_bound(self) -> bool:
        return self.name == HR

    @property
    def trained(self) -> bool:
        return bool(self.parameters)

    @property
    def only_ablation(self) -> bool:
        """Whether the row belongs in the tables and figures of the ablation or of the sweep, and in no other."""
        return bool(self.groups) and all(group.startswith(("ablation", "sweep")) for group in self.groups)

    @property
    def marks(self) -> str:
        """† for a stale row, ‡ for one made under other conditions than the rest."""
        return "†" * self.stale + "‡" * bool(self.differs)

    @property
    def best_iteration(self) -> float | None:
        """Median over seeds; None for what is not trained."""
        return float(np.median(self.best_iterations)) if self.trained else None


@dataclass(frozen=True)
class Failure:
    """A (method, seed) that crashed: one line of what went wrong."""

    name: str
    title: str
    seed: int
    error: str


@dataclass(frozen=True)
class Results:
    """Everything a table or figure may use. ``infos``: every ``result.json``, those under usual conditions first."""

    folder: Path
    rows: list[Row]
    plates: pd.DataFrame
    history: pd.DataFrame
    infos: list[dict[str, Any]]
    failures: list[Failure] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    _cache: dict[tuple[str, ...], Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Pairs, intervals and tests that one table has worked out and another may want."""

    def row(self, name: str) -> Row | None:
        return next((row for row in self.rows if row.name == name), None)

    def is_end(self, name: str) -> bool:
        """Whether the row of that name has the last weights of a training whose selected ones have another."""
        return any(row.of == name for row in self.rows)

    def plates_of(self, row: Row) -> pd.DataFrame:
        """The plates of one method, without the column ``seed`` where it does not depend on one."""
        key = row.name, "plates"
        if key not in self._cache:
            mine = self.plates[self.plates["method"] == row.name]
            self._cache[key] = mine if row.trained else mine.drop(columns="seed")
        return self._cache[key]

    def pairs(self, row: Row, other: Row, metric: str) -> pd.DataFrame:
        """Scores of two methods on the plates and seeds that both have; see :func:`statistics.pairs`."""
        key = row.name, "beside", other.name, metric
        if key not in self._cache:
            self._cache[key] = statistics.pairs(self.plates_of(row), self.plates_of(other), metric)
        return self._cache[key]

    def interval(self, row: Row, metric: str, statistic: Statistic = "mean") -> Interval:
        """The statistic of a method's scores over plates × seeds, with its interval."""
        key = row.name, metric, statistic
        if key not in self._cache:
            self._cache[key] = statistics.interval(self.plates_of(row), metric, statistic)
        return self._cache[key]

    def difference(self, row: Row, other: Row, metric: str) -> tuple[Interval, Test]:
        """The mean of ``row`` minus ``other`` over the plates and seeds that both have, and the test of it (not
        corrected for others)."""
        key = row.name, "minus", other.name, metric
        if key not in self._cache:
            paired = self.pairs(row, other, metric)
            self._cache[key] = statistics.interval(paired, "difference"), statistics.wilcoxon(paired)
        return self._cache[key]

    @property
    def main_rows(self) -> list[Row]:
        """The rows of Table 1 and its figures: all but those made for the ablation alone."""
        return [row for row in self.rows if not row.only_ablation]

    @property
    def competitors(self) -> list[Row]:
        """The main rows that compete: all but the HR bound."""
        return [row for row in self.main_rows if not row.is_bound]

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds that occur among trained methods (among all, where nothing was trained)."""
        rows = [row for row in self.rows if row.trained] or self.rows
        return tuple(sorted({seed for row in rows for seed in row.seeds}))

    @property
    def has_readings(self) -> bool:
        return any(metric in row.scores for row in self.rows for metric in READING)

    @property
    def has_second_readings(self) -> bool:
        return any(metric in row.scores for row in self.rows for metric in SECOND_READING)

    def setting(self, path: str) -> Any:
        """A field of the run's configuration by its dotted name, from a trained method where there is one."""
        return setting(self.reference, path)

    @property
    def reference(self) -> dict[str, Any]:
        """The ``result.json`` that stands for the run: the first of a trained method, else the first."""
        return next((info for info in self.infos if info.get("parameters")), self.infos[0])


def load(run: Run, allow_mixed: bool = False) -> Results:
    """Read all results of ``run``.

    Raises UserError when there is nothing to show, or when results were made with different data,
    protocol or budget (with ``allow_mixed`` those rows are marked instead).
    """
    folder = run.folder
    entries: list[_Entry] = []
    failures: list[Failure] = []
    readable, unreadable = run.read()
    problems = [f"{path.relative_to(folder)} cannot be read: {reason}" for path, reason in unreadable.items()]
    for result in readable:
        try:
            if result.complete:
                entries.append(_Entry.read(result))
            else:
                failures.append(_failure(result))
        except (KeyError, TypeError, ValueError) as error:
            problems.append(f"{result.method} seed {result.seed} cannot be used: {_reason(error)}")
    if not entries:
        raise UserError(_nothing(folder, failures, problems))
    infos = [entry.info for entry in entries]
    differs = differences(infos)
    if any(differs) and not allow_mixed:
        raise UserError(refusal(infos, differs))
    entries = [replace(entry, differs=d) for entry, d in zip(entries, differs, strict=True)]
    groups: dict[str, list[_Entry]] = {}
    for entry in sorted(entries, key=lambda e: (_position(e.name), e.name, e.seed)):
        groups.setdefault(entry.name, []).append(entry)
        problems += entry.problems
    shown = [part for group in groups.values() for part in _split(group)]
    return Results(
        folder=folder,
        rows=[_row(group) for group in shown],
        plates=pd.concat([e.plates for group in shown for e in group], ignore_index=True),
        history=_stack([e.history for group in groups.values() for e in group]),
        infos=[e.info for e in sorted((e for g in groups.values() for e in g), key=lambda e: bool(e.differs))],
        failures=failures,
        problems=problems,
    )


# -- one stored result -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Entry:
    name: str
    seed: int
    record: Record
    info: dict[str, Any]
    plates: pd.DataFrame
    history: pd.DataFrame
    stale: bool
    last: pd.DataFrame
    """Plates of the last weights, where these are the method as published; else empty."""
    differs: tuple[str, ...] = ()
    of: str = ""

    @classmethod
    def read(cls, result: Result) -> _Entry:
        """Raises ValueError (or what pandas raises) for a result that is not whole."""
        record, name, seed = result.record, result.method, result.seed
        for key in ("title", "data", "config"):  # schema 1 and 2 do not promise them
            if key not in record.model_fields_set:
                raise ValueError(f"result.json has no usable {key!r}")
        keys: dict[str, Any] = {"method": name, "seed": seed}
        plates = _scored(result.plates(), record.scored_data.test, "plates.csv")
        last = result.plates_last()
        if len(last):
            last = _scored(last, record.data.test, "plates_last.csv").assign(**keys)
        history = result.history().apply(pd.to_numeric, errors="coerce")
        if len(history) and {"iteration", "val_psnr"} - set(history):
            raise ValueError("history.csv lacks the columns iteration and val_psnr")
        tables = plates.assign(**keys), history.assign(**keys)
        return cls(name, seed, record, result.info, *tables, bool(is_stale(record)), last)

    @property
    def at_end(self) -> bool:
        """Whether the selected weights are the last ones."""
        return self.record.best_iteration >= self.record.iterations

    @property
    def problems(self) -> list[str]:
        """What a reader should know although the result can be used."""
        if self.history.empty:
            return []
        bad = self.history.loc[~np.isfinite(self.history["val_psnr"]), "iteration"]
        if bad.empty:
            return []
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        return [f"{self.name} seed {self.seed}: validation PSNR is not a number at iteration {bad.iloc[0]:.0f}{more}"]


def _scored(plates: pd.DataFrame, count: int, file: str) -> pd.DataFrame:
    """The scores of plates as numbers. Raises ValueError where some are missing."""
    plates = plates.reset_index(drop=True)
    if plates.empty or {"index", "psnr"} - set(plates):
        raise ValueError(f"{file} is missing or lacks the scores")
    if count != len(plates):
        raise ValueError(f"{file} has {len(plates)} of {count} plates")
    for metric in METRICS:
        column = plates[metric] if metric in plates else pd.Series(np.nan, plates.index)
        plates[metric] = pd.to_numeric(column.replace({"True": 1, "False": 0}), errors="coerce").astype(float)
    return plates


def _failure(result: Result) -> Failure:
    record = result.record
    line = f"{record.error.type}: {record.reason}" if record.error else "Error: no message stored"
    return Failure(result.method, record.title or result.method, result.seed, line.splitlines()[0])


def _reason(error: Exception) -> str:
    text = f"result.json has no {error}" if isinstance(error, KeyError) else str(error)
    return text.splitlines()[0] if text else type(error).__name__


def _nothing(folder: Path, failures: list[Failure], problems: list[str]) -> str:
    if failures:
        return f"{folder} holds only failures; the first: {failures[0].name}: {failures[0].error}"
    if problems:
        return f"{folder} holds no usable result; the first: {problems[0]}"
    return f"{folder} holds no finished result yet; start with: python -m benchmark run --methods all"


def _stack(frames: list[pd.DataFrame]) -> pd.DataFrame:
    frames = [frame for frame in frames if len(frame)]
    if not frames:
        return pd.DataFrame(columns=["iteration", "val_psnr", "method", "seed"])
    return pd.concat(frames, ignore_index=True)


# -- one row a method ------------------------------------------------------------------------------


def _position(name: str) -> int:
    """The paper's order, then other registered methods, then the rest; the HR bound last."""
    known = methods.names()
    if name == HR:
        return len(known) + 1
    return known.index(name) if name in known else len(known)


def _split(entries: list[_Entry]) -> list[list[_Entry]]:
    """The seeds of a method; twice where its last weights are the method as published and all of them are scored: first
    the selected ones, under a name of their own. Of a seed that was best at its end the two are the same."""
    if all(entry.last.empty for entry in entries) or any(entry.last.empty and not entry.at_end for entry in entries):
        return [entries]
    own = f"{entries[0].name}-selected"
    selected = [replace(e, name=own, of=e.name, plates=e.plates.assign(method=own)) for e in entries]
    return [selected, [e if e.last.empty else replace(e, plates=e.last) for e in entries]]


def _title(entries: list[_Entry]) -> str:
    title = entries[0].record.title + (", warm start" if entries[0].record.warm_start else "")
    kinds = {entry.record.selected_as for entry in entries}
    return f"{title} ({kinds.pop() if len(kinds) == 1 else 'selected'})" if entries[0].of else title


def _notes(entries: list[_Entry]) -> tuple[str, ...]:
    """What results say of themselves, and whether the last weights, which are the method, are not shown."""
    notes = [note for entry in entries for note in entry.record.notes]
    record = entries[0].record
    if any(e.last.empty and not e.at_end and _ends_otherwise(e.record) for e in entries):
        notes.append(
            f"{record.title}: these are the weights selected by validation PSNR. Those at the end of training, which "
            "are the method as published, were not scored plate by plate: run it again."
        )
    return tuple(dict.fromkeys(notes))


def _ends_otherwise(record: Record) -> bool:
    """Whether the method's last weights, and not the selected ones, are the method as published."""
    try:
        method = methods.get(record.method).method
        return bool(method.selected_as(SimpleNamespace(**record.options), record.best_iteration, record.iterations))
    except (methods.UnknownMethod, AttributeError, TypeError):  # a plug-in's, or options of another version
        return False


def _row(entries: list[_Entry]) -> Row:
    record = entries[0].record
    plates = pd.concat([entry.plates for entry in entries])
    there = [metric for metric in METRICS if metric == "psnr" or plates[metric].notna().any()]
    return Row(
        name=entries[0].name,
        title=_title(entries),
        groups=tuple(record.groups),
        parameters=record.parameters,
        paper_parameters=record.paper_parameters,
        seeds=tuple(entry.seed for entry in entries),
        iterations=record.iterations,
        best_iterations=tuple(entry.record.best_iteration for entry in entries),
        scores={metric: summarise(plates[metric]) for metric in there},
        notes=_notes(entries),
        family=record.family or entries[0].name,
        options=record.options,
        cost=record.cost.as_dict(),
        stale=any(entry.stale for entry in entries),
        differs=tuple(dict.fromkeys(d for entry in entries for d in entry.differs)),
        of=entries[0].of,
    )


def summarise(column: pd.Series[Any]) -> Summary:
    """Summary of a score's values."""
    values = column.dropna().to_numpy(float)
    finite = bool(np.isfinite(values).all())
    return Summary(
        median=float(np.median(values)) if len(values) else math.nan,
        sd=float(values.std(ddof=1)) if finite and len(values) > 1 else math.nan,
        mean=float(values.mean()) if len(values) else math.nan,
        n=len(values),
        lacking=len(column) - len(values),
    )
