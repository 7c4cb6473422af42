"""What Slurm says of the jobs that were submitted for a run. Nothing heavy is imported: ``status`` asks it."""

from __future__ import annotations

import getpass
import json
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.results.store import Key, Run
from benchmark.util.files import read_plain

_LONGEST = 10_000_000


@dataclass(frozen=True)
class SlurmJob:
    """A job of a run as Slurm knows it; ``state`` is "" where it does not any more."""

    number: str
    state: str
    log: Path

    @property
    def waits(self) -> bool:
        return self.state in ("PENDING", "REQUEUED", "REQUEUE_HOLD", "SUSPENDED", "CONFIGURING", "PREEMPTED")

    @property
    def runs(self) -> bool:
        return self.state in ("RUNNING", "COMPLETING", "STAGE_OUT")


def slurm_jobs(run: Run) -> dict[Key, SlurmJob]:
    """The jobs that were submitted for a run last, with their states now."""
    numbers = _submitted(run)
    if not numbers:
        return {}
    states = dict(_ask("squeue", "-h", "-r", "-u", getpass.getuser(), "-o", "%i|%T"))
    gone = [number for number in numbers.values() if number not in states]
    if gone:
        base = ",".join(sorted({number.partition("_")[0] for number in gone}))
        ended = dict(_ask("sacct", "-n", "-X", "-P", "-j", base, "-o", "JobID,State"))
        states |= {number: ended.get(number, "").partition(" ")[0] for number in gone}
    folder = slurm_folder(run)
    return {key: SlurmJob(number, states[number], folder / f"{number}_0_log.err") for key, number in numbers.items()}


def cancel(run: Run) -> list[str]:
    """End the jobs of a run that wait or run; they write checkpoints. Returns their numbers."""
    numbers = [job.number for job in slurm_jobs(run).values() if job.waits or job.runs]
    first = _record(run).get("prepare")
    if numbers:
        subprocess.run(["scancel", *numbers, *([str(first)] if first else [])], check=False, capture_output=True)
    return numbers


def slurm_folder(run: Run) -> Path:
    return run.folder / "slurm"


def _record(run: Run) -> dict[str, Any]:
    try:
        record = json.loads(read_plain(slurm_folder(run) / "jobs.json", _LONGEST))
    except (OSError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _submitted(run: Run) -> dict[Key, str]:
    """Slurm's number of each job that was submitted last."""
    jobs = _record(run).get("jobs")
    numbers: dict[Key, str] = {}
    for name, number in jobs.items() if isinstance(jobs, dict) else []:
        method, _, seed = name.rpartition("/seed")
        if seed.isdecimal() and isinstance(number, str):
            numbers[method, int(seed)] = number
    return numbers


def _ask(*command: str) -> Iterable[tuple[str, str]]:
    """Pairs that a command of Slurm prints; none where it cannot (sacct needs accounting)."""
    with suppress(OSError, subprocess.TimeoutExpired):
        output = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout
        return [(number, state) for number, bar, state in (line.partition("|") for line in output.splitlines()) if bar]
    return []
