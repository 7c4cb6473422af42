"""From a folder of stored results to :class:`Results`: one row a method, tables of plates and validations.

A result that cannot be used is listed with its reason, never dropped silently.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

import methods
from benchmark.results.identity import is_stale
from benchmark.results.record import Record
from benchmark.results.store import Key, Result, Run
from benchmark.scoring.metrics import METRICS
from benchmark.util.errors import UserError
from paper_figures.common.comparability import differences, refusal
from paper_figures.common.results import HR, Failure, Results, Row, summarise


def load(run: Run, allow_mixed: bool = False) -> Results:
    """Read all results of ``run``.

    Raises UserError when there is nothing to show, or when results were made with different data,
    protocol or budget (with ``allow_mixed`` those rows are marked instead).
    """
    folder = run.folder
    groups: list[_Group] = []
    records: list[Record] = []
    failures: list[Failure] = []
    readable, unreadable = run.read()
    problems = [f"{path.relative_to(folder)} cannot be read: {reason}" for path, reason in unreadable.items()]
    for _, stored in groupby(readable, key=lambda result: result.method):
        entries: list[_Entry] = []
        for result in stored:
            try:
                if result.complete:
                    entries.append(_Entry.read(result))
                else:
                    failures.append(_failure(result))
            except (KeyError, TypeError, ValueError) as error:
                problems.append(f"{result.method} seed {result.seed} cannot be used: {_reason(error)}")
        records += [entry.record for entry in entries]
        if entries:
            groups.append(_Group.of(entries))
    if not records:
        raise UserError(_nothing(folder, failures, problems))
    differs = differences(records)
    if any(differs) and not allow_mixed:
        raise UserError(refusal(records, differs))
    by_result = {(record.method, record.seed): d for record, d in zip(records, differs, strict=True)}
    groups.sort(key=lambda group: (_position(group.name), group.name))
    in_order = [record for group in groups for record in group.records]
    return Results(
        folder=folder,
        rows=[group.differing(row, by_result) for group in groups for row in group.rows],
        plates=pd.concat([group.plates for group in groups], ignore_index=True),
        history=_stack([group.history for group in groups]),
        records=sorted(in_order, key=lambda record: bool(by_result[record.method, record.seed])),
        failures=failures,
        problems=[*problems, *(problem for group in groups for problem in group.problems)],
    )


# -- one stored result -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Entry:
    name: str
    seed: int
    record: Record
    plates: pd.DataFrame
    history: pd.DataFrame
    stale: bool
    last: pd.DataFrame
    """Plates of the last weights, where these are the method as published; else empty."""
    of: str = ""
    is_end: bool = False
    """Whether ``plates`` are those of the last weights, and the selected ones have a row of their own."""

    @classmethod
    def read(cls, result: Result) -> _Entry:
        """Raises ValueError (or what pandas raises) for a result that is not whole."""
        record, name, seed = result.record, result.method, result.seed
        for key in ("title", "data", "config"):  # schema 1 and 2 do not promise them
            if key not in record.model_fields_set:
                raise ValueError(f"result.json has no usable {key!r}")
        plates, last, history = result.plates(), result.plates_last(), result.history()
        _check(plates, record.scored_data.test, "plates.csv")
        if len(last):
            _check(last, record.data.test, "plates_last.csv")
        if len(history):
            if {"iteration", "val_psnr"} - set(history):
                raise ValueError("history.csv lacks the columns iteration and val_psnr")
            history = history.apply(pd.to_numeric, errors="coerce").assign(method=name, seed=seed)
        return cls(name, seed, record, plates, history, bool(is_stale(record)), last)

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


def _check(plates: pd.DataFrame, count: int, file: str) -> None:
    """Raises ValueError where scores of plates are missing."""
    if plates.empty or {"index", "psnr"} - set(plates):
        raise ValueError(f"{file} is missing or lacks the scores")
    if count != len(plates):
        raise ValueError(f"{file} has {len(plates)} of {count} plates")


def _scored(entries: list[_Entry]) -> pd.DataFrame:
    """The plates of all seeds of a row, their scores as numbers."""
    seeds = np.repeat([entry.seed for entry in entries], [len(entry.plates) for entry in entries])
    plates = pd.concat([entry.plates for entry in entries], ignore_index=True)
    stored = [metric for metric in METRICS if metric in plates]
    for metric in stored:
        if not is_numeric_dtype(plates[metric]):
            plates[metric] = pd.to_numeric(plates[metric].replace({"True": 1, "False": 0}), errors="coerce")
    lacking = [metric for metric in METRICS if metric not in plates]
    plates = plates.astype(dict.fromkeys(stored, float)).reindex(columns=[*plates, *lacking])
    return plates.assign(method=entries[0].name, seed=seeds)


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


@dataclass(frozen=True)
class _Group:
    """All seeds of a method: its rows, and its tables in one piece each, as thousands of small ones take much room."""

    name: str
    records: list[Record]
    rows: list[Row]
    plates: pd.DataFrame
    history: pd.DataFrame
    problems: list[str]

    @classmethod
    def of(cls, entries: list[_Entry]) -> _Group:
        entries = sorted(entries, key=lambda entry: entry.seed)
        parts = _split(entries)
        tables = [_scored(part) for part in parts]
        return cls(
            entries[0].name,
            [entry.record for entry in entries],
            [_row(part, table) for part, table in zip(parts, tables, strict=True)],
            pd.concat(tables, ignore_index=True),
            _stack([entry.history for entry in entries]),
            [problem for entry in entries for problem in entry.problems],
        )

    def differing(self, row: Row, differs: dict[Key, tuple[str, ...]]) -> Row:
        """The row with what sets its seeds apart from other results."""
        mine = (differs[self.name, seed] for seed in row.seeds)
        return replace(row, differs=tuple(dict.fromkeys(difference for each in mine for difference in each)))


def _position(name: str) -> int:
    """The paper's order, then other registered methods, then the rest; the HR bound last."""
    registered = methods.names()
    if name == HR:
        return len(registered) + 1
    return registered.index(name) if name in registered else len(registered)


def _split(entries: list[_Entry]) -> list[list[_Entry]]:
    """The seeds of a method; twice where its last weights are the method as published and all of them are scored: first
    the selected ones, under a name of their own. Of a seed that was best at its end the two are the same."""
    if all(entry.last.empty for entry in entries) or any(entry.last.empty and not entry.at_end for entry in entries):
        return [entries]
    own = f"{entries[0].name}-selected"
    selected = [replace(e, name=own, of=e.name) for e in entries]
    return [selected, [replace(e, plates=e.plates if e.last.empty else e.last, is_end=True) for e in entries]]


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


def _row(entries: list[_Entry], plates: pd.DataFrame) -> Row:
    record = entries[0].record
    scored = [metric for metric in METRICS if metric == "psnr" or plates[metric].notna().any()]
    return Row(
        name=entries[0].name,
        title=_title(entries),
        groups=tuple(record.groups),
        parameters=record.parameters,
        paper_parameters=record.paper_parameters,
        seeds=tuple(entry.seed for entry in entries),
        iterations=record.iterations,
        best_iterations=tuple(entry.record.best_iteration for entry in entries if not entry.is_end),
        scores={metric: summarise(plates[metric]) for metric in scored},
        notes=_notes(entries),
        family=record.family or entries[0].name,
        options=record.options,
        cost=record.cost if record.cost.model_fields_set else None,
        stale=any(entry.stale for entry in entries),
        of=entries[0].of,
    )
