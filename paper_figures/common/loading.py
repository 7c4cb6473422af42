"""From a folder of stored results to :class:`Results`: one row a method, tables of plates and validations.

A result that cannot be used is listed with its reason, never dropped silently.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

import methods
from benchmark.results.identity import is_stale
from benchmark.results.record import Record
from benchmark.results.store import Result, Run
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
    records = [entry.record for entry in entries]
    differs = differences(records)
    if any(differs) and not allow_mixed:
        raise UserError(refusal(records, differs))
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
        records=[e.record for e in sorted((e for g in groups.values() for e in g), key=lambda e: bool(e.differs))],
        failures=failures,
        problems=problems,
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
        return cls(name, seed, record, *tables, bool(is_stale(record)), last)

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
        if not is_numeric_dtype(column):
            column = pd.to_numeric(column.replace({"True": 1, "False": 0}), errors="coerce")
        plates[metric] = column.astype(float)
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
    scored = [metric for metric in METRICS if metric == "psnr" or plates[metric].notna().any()]
    return Row(
        name=entries[0].name,
        title=_title(entries),
        groups=tuple(record.groups),
        parameters=record.parameters,
        paper_parameters=record.paper_parameters,
        seeds=tuple(entry.seed for entry in entries),
        iterations=record.iterations,
        best_iterations=tuple(entry.record.best_iteration for entry in entries),
        scores={metric: summarise(plates[metric]) for metric in scored},
        notes=_notes(entries),
        family=record.family or entries[0].name,
        options=record.options,
        cost=record.cost if record.cost.model_fields_set else None,
        stale=any(entry.stale for entry in entries),
        differs=tuple(dict.fromkeys(d for entry in entries for d in entry.differs)),
        of=entries[0].of,
    )
