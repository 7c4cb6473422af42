"""A job that is broken off again and again without getting on becomes a failure."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.results.store import Run
from benchmark.runner.executors import attempts

KEY = ("espcn", 1)


def test_only_starts_in_a_row_without_a_new_checkpoint_count(tmp_path: Path) -> None:
    run = Run(tmp_path)
    checkpoint = run.place(*KEY) / "checkpoint.pt"
    checkpoint.parent.mkdir(parents=True)
    for time in range(3):  # however often: it gets on
        checkpoint.write_bytes(bytes(100) + bytes([time]))
        attempts.begin(run, KEY, "a")
    for _ in range(attempts.LIMIT - 1):
        attempts.begin(run, KEY, "a")
    with pytest.raises(attempts.BrokenOff, match="started 3 times"):
        attempts.begin(run, KEY, "a")
    attempts.begin(run, KEY, "another command")
    attempts.end(run, KEY)
    attempts.end(run, KEY)


def test_a_damaged_count_counts_anew(tmp_path: Path) -> None:
    run = Run(tmp_path)
    attempts.begin(run, KEY, "a")
    next((tmp_path / ".locks").glob("attempts-*")).write_text("[1")
    for _ in range(attempts.LIMIT):
        attempts.begin(run, KEY, "a")
