"""What is not in a report, and the command that supplies it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import methods
from paper_figures.common.commands import run_command
from paper_figures.common.results import Results, Row


class Missing(NamedTuple):
    """Something that is not in the report, and the command that supplies it."""

    what: str
    command: str


def missing_methods(results: Results, groups: set[str]) -> list[Missing]:
    """Methods of ``groups`` without a result, failures, and seeds that only some methods have."""
    failed = {failure.name for failure in results.failures}
    stored = {row.name for row in results.rows}
    expected = [name for name in methods.names() if set(methods.get(name).groups) & groups]
    missing = [
        Missing(f"{failure.title}, seed {failure.seed}, failed: {failure.error}", run_command(results, [failure.name]))
        for failure in results.failures
    ]
    absent = [name for name in expected if name not in stored | failed]
    if absent:
        listed = ", ".join(methods.get(name).title for name in absent)
        missing.append(Missing(f"no result of {listed}", run_command(results, absent)))
    lacking: dict[str, list[Row]] = {}
    for row in results.rows:
        seeds = ", ".join(str(seed) for seed in results.seeds if seed not in row.seeds)
        if row.trained and seeds and row.name not in failed and not row.of:
            lacking.setdefault(seeds, []).append(row)
    for seeds, rows in lacking.items():
        titles = ", ".join(row.title for row in rows)
        missing.append(Missing(f"no seed {seeds} of {titles}", run_command(results, [row.name for row in rows])))
    return missing


def by_command(missing: Iterable[Missing]) -> dict[str, list[str]]:
    """What each command would supply."""
    lacking: dict[str, list[str]] = {}
    for what, command in missing:
        lacking.setdefault(command, []).append(what)
    return lacking
