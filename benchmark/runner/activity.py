"""Which processes work in a run, and on which jobs: they write it into their locks, where ``status`` reads it.

The lock of a process that has ended, however it ended, is released and no longer read.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from benchmark.results.store import Key, Run
from benchmark.training.progress import TrainingState
from benchmark.util.errors import UserError
from benchmark.util.locks import OtherConfiguration, join_run, members

_SECONDS = 2.0
"""Least time between two notes of the current iteration."""
_MOST_NAMED, _LONGEST_VALUE = 6, 60
_HOLDER = re.compile(r"pid (\d+) on (\S+) since ")


@dataclass(frozen=True)
class JobStatus:
    """A job that a process is computing, or has in its queue (``since`` is "" then).

    ``iteration`` of ``iterations`` is where its training was a few seconds ago; None before it has begun.
    """

    holder: str
    since: str = ""
    iteration: int | None = None
    iterations: int | None = None

    @property
    def text(self) -> str:
        """All of it in a line."""
        match = _HOLDER.match(self.holder)
        process = f"process {match[1]} on {match[2]}" if match else self.holder
        if not self.since:
            return f"in the queue of {process}"
        position = f", iteration {self.iteration:,} of {self.iterations:,}" if self.iterations else ""
        return f"{process} since {self.since}{position}"

    def as_dict(self) -> dict[str, Any]:
        """The same for programs; ``pid`` and ``host`` are None if the lock file does not name them."""
        match = _HOLDER.match(self.holder)
        pid, host = (int(match[1]), match[2]) if match else (None, None)
        facts = {"pid": pid, "host": host, "since": self.since or None}
        return {**facts, "iteration": self.iteration, "iterations": self.iterations}


class Activity:
    """Publishes what this process is doing: the jobs in its queue, and the iteration of the one it computes."""

    def __init__(self, publish: Callable[[dict[str, Any]], None], queue: list[Key]) -> None:
        self._publish, self._queue = publish, list(queue)
        self._now: dict[str, Any] | None = None
        self._due = 0.0
        self._write()

    @contextmanager
    def job(self, key: Key) -> Iterator[None]:
        """Around doing a job."""
        self._queue = [other for other in self._queue if other != key]
        self._now = {"job": key, "since": f"{datetime.now():%Y-%m-%d %H:%M:%S}"}
        self._write()
        try:
            yield
        finally:
            self._now = None
            self._write()

    def update(self, session: TrainingState) -> None:
        """Called after every iteration; cheap unless a note is due."""
        now = time.monotonic()
        if self._now is None or now < self._due:
            return
        self._due = now + _SECONDS
        self._now |= {"iteration": session.iteration, "iterations": session.iterations}
        self._write()

    def _write(self) -> None:
        self._publish({"now": self._now, "queue": self._queue})


@contextmanager
def working(run: Run, settings: dict[str, Any], free: str) -> Iterator[tuple[int, Callable[[dict[str, Any]], None]]]:
    """Be one of the processes that work in a run with the same ``settings``.

    Yields when this began, by the clock of the file system (nanoseconds), and what an :class:`Activity` publishes
    with. Raises UserError while a process with other settings is at work; ``free`` says which options may differ.
    """
    try:
        with join_run(run.processes, settings) as (file, publish):
            yield file.stat().st_mtime_ns, publish
    except OtherConfiguration as other:
        raise UserError(
            f"{run.folder} is being written with another configuration or source ({other.holder}):"
            f" {differences(other.member.settings, settings)}"
            f"give both commands the same, or name another run with --run (only {free} may differ)"
        ) from None


def differences(theirs: dict[str, Any], ours: dict[str, Any]) -> str:
    """What differs between the nested settings of a run and of this process, for the middle of a line; "" if those of
    the run are unknown."""
    if not theirs:
        return ""
    run, own = dict(_leaves(theirs)), dict(_leaves(ours))
    names = [name for name in {**own, **run} if own.get(name) != run.get(name)]
    parts = [f"{name} is {_shown(run, name)} there, {_shown(own, name)} here" for name in names[:_MOST_NAMED]]
    more = [f"and {len(names) - _MOST_NAMED} more"] if len(names) > _MOST_NAMED else []
    return "; ".join(parts + more) + ": "


def _leaves(tree: dict[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield above + key, json.dumps(value, default=str, ensure_ascii=False).strip('"')


def _shown(leaves: dict[str, str], name: str) -> str:
    value = leaves.get(name, "not set")
    return value if len(value) <= _LONGEST_VALUE else value[: _LONGEST_VALUE - 1] + "…"


def jobs_at_work(run: Run) -> dict[Key, JobStatus]:
    """The jobs that living processes are doing in the folder of a run, or have yet to do."""
    computed: dict[Key, JobStatus] = {}
    queued: dict[Key, JobStatus] = {}
    for member in members(run.processes):
        queue, tasks = member.state.get("queue"), member.state.get("tasks")
        for job in queue if isinstance(queue, list) else []:
            if (key := _key(job)) is not None:
                queued.setdefault(key, JobStatus(member.holder))
        # Tasks are what other machines compute for this process, and say so themselves.
        for now in (member.state.get("now"), *(tasks if isinstance(tasks, list) else [])):
            if not isinstance(now, dict) or (key := _key(now.get("job"))) is None:
                continue
            iteration, iterations = now.get("iteration"), now.get("iterations")
            begun = type(iteration) is type(iterations) is int
            position = (iteration, iterations) if begun else (None, None)
            computed[key] = JobStatus(
                str(now.get("holder", member.holder))[:200], str(now.get("since"))[:19], *position
            )
    return {**queued, **computed}


def _key(job: object) -> Key | None:
    match job:
        case [str(method), int(seed)] if seed >= 0:
            return method, seed
    return None
