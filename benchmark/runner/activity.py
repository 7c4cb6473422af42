"""Which processes work in a run, and on what: they say so in their locks, and ``status`` asks.

A process that has ended, however it ended, holds its lock no longer, and is not heard.
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
"""Least time between two notes of how far a training is."""
_MOST_NAMED, _LONGEST_VALUE = 6, 60
_HOLDER = re.compile(r"pid (\d+) on (\S+) since ")


@dataclass(frozen=True)
class JobStatus:
    """What a process is doing, or has in its queue (``since`` is "" then).

    ``iteration`` of ``iterations`` is where its training was a few seconds ago; None where none has begun.
    """

    holder: str
    since: str = ""
    iteration: int | None = None
    iterations: int | None = None

    @property
    def text(self) -> str:
        """All of it in a line."""
        found = _HOLDER.match(self.holder)
        who = f"process {found[1]} on {found[2]}" if found else self.holder
        if not self.since:
            return f"in the queue of {who}"
        far = f", iteration {self.iteration:,} of {self.iterations:,}" if self.iterations else ""
        return f"{who} since {self.since}{far}"

    def as_dict(self) -> dict[str, Any]:
        """The same for programs; ``pid`` and ``host`` are None where the process does not say."""
        found = _HOLDER.match(self.holder)
        pid, host = (int(found[1]), found[2]) if found else (None, None)
        facts = {"pid": pid, "host": host, "since": self.since or None}
        return {**facts, "iteration": self.iteration, "iterations": self.iterations}


class Activity:
    """Tells those who ask what this process does: the jobs before it, and how far it is with one."""

    def __init__(self, tell: Callable[[dict[str, Any]], None], queue: list[Key]) -> None:
        self._tell, self._queue = tell, list(queue)
        self._now: dict[str, Any] | None = None
        self._due = 0.0
        self._say()

    @contextmanager
    def job(self, key: Key) -> Iterator[None]:
        """Around doing a job."""
        self._queue = [other for other in self._queue if other != key]
        self._now = {"job": key, "since": f"{datetime.now():%Y-%m-%d %H:%M:%S}"}
        self._say()
        try:
            yield
        finally:
            self._now = None
            self._say()

    def update(self, session: TrainingState) -> None:
        """Called after every iteration; cheap unless a note is due."""
        now = time.monotonic()
        if self._now is None or now < self._due:
            return
        self._due = now + _SECONDS
        self._now |= {"iteration": session.iteration, "iterations": session.iterations}
        self._say()

    def _say(self) -> None:
        self._tell({"now": self._now, "queue": self._queue})


@contextmanager
def working(run: Run, work: dict[str, Any], free: str) -> Iterator[tuple[int, Callable[[dict[str, Any]], None]]]:
    """Be one of the processes that do ``work`` in the folder of a run.

    Yields when this began, by the clock of the file system (nanoseconds), and what an :class:`Activity` tells with.
    Raises UserError while a process with other ``work`` is there; ``free`` says what may differ all the same.
    """
    try:
        with join_run(run.processes, work) as (file, tell):
            yield file.stat().st_mtime_ns, tell
    except OtherConfiguration as other:
        raise UserError(
            f"{run.folder} is being written with another configuration or source ({other.holder}):"
            f" {differences(other.member.work, work)}give both commands the same, or name another run with --run (only"
            f" {free} may differ)"
        ) from None


def differences(there: dict[str, Any], here: dict[str, Any]) -> str:
    """What differs between two nested dictionaries, for the middle of a line; "" where ``there`` is not known."""
    if not there:
        return ""
    ours, theirs = dict(_leaves(here)), dict(_leaves(there))
    names = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
    parts = [f"{name} is {_shown(theirs, name)} there, {_shown(ours, name)} here" for name in names[:_MOST_NAMED]]
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
    doing: dict[Key, JobStatus] = {}
    queued: dict[Key, JobStatus] = {}
    for member in members(run.processes):
        queue, now = member.state.get("queue"), member.state.get("now")
        for job in queue if isinstance(queue, list) else []:
            if (key := _key(job)) is not None:
                queued.setdefault(key, JobStatus(member.holder))
        if isinstance(now, dict) and (key := _key(now.get("job"))) is not None:
            iteration, iterations = now.get("iteration"), now.get("iterations")
            known = type(iteration) is type(iterations) is int
            far = (iteration, iterations) if known else (None, None)
            doing[key] = JobStatus(member.holder, str(now.get("since"))[:19], *far)
    return {**queued, **doing}


def _key(job: object) -> Key | None:
    match job:
        case [str(method), int(seed)] if seed >= 0:
            return method, seed
    return None
