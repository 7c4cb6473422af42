"""Where Ray's tasks find the files of a run: in a folder that all machines share, or apart from the command's."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmark.results.store import LOCKS, Key
from benchmark.runner.activity import JobStatus, jobs_at_work, working
from benchmark.runner.executors.board import Board
from benchmark.runner.executors.order import WorkOrder
from benchmark.runner.executors.remote import Parcel, Remote, Unfit, pack, receive
from benchmark.runner.executors.storage import Storage
from benchmark.runner.scheduler import shared_settings
from benchmark.training.session import Interrupted
from benchmark.util.errors import CannotWrite, UserError
from benchmark.util.live_line import LiveLine
from benchmark.util.locks import LockHeld, held_by, hold
from benchmark.util.terminal import say

_WHERE = "one Ray task per method and seed"
_PUBLISH_SECONDS = 2.0

Said = tuple[list[str], list[str]]
"""What a task has to say, and the label of its job if that failed."""


class Shared:
    """All machines see the folder of results: tasks work in it, and its locks say what they do."""

    lost_to: tuple[type[Exception], ...] = ()
    """Errors of a task that cost its job alone."""

    def __init__(self, ray: Any, order: WorkOrder) -> None:
        self.ray, self.order = ray, order

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Around all that follows."""
        self.order.place_marker()
        try:
            yield
        finally:
            self.order.remove_marker()

    def prepare(self) -> None:
        """Have a first task prepare the plates."""
        try:
            lines = self.ray.get(self.ray.remote(_prepare).options(num_cpus=1).remote(self.order))
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause from None
        for line in lines:
            say(line)

    def start(self, key: Key, resources: dict[str, Any]) -> Any:
        """Submit a task. Returns Ray's reference."""
        return self._function.options(**resources).remote(self.order, key)

    @cached_property
    def _function(self) -> Any:
        """Made once: to Ray, two of one function are two kinds of task, and thousands of kinds take it seconds each."""
        return self.ray.remote(_task)

    def receive(self, key: Key, said: Said) -> Said:
        """Take what a task has returned."""
        return said

    def at_work(self) -> dict[Key, JobStatus]:
        """What is being computed now."""
        return jobs_at_work(self.order.run)

    def publish(self, waiting: list[Key]) -> None:
        """Let ``status`` know: it reads the locks itself."""


class Apart:
    """The command alone writes its folder: a task's files travel through Ray's object store, its checkpoints to
    ``storage``."""

    lost_to = (CannotWrite, Unfit)

    def __init__(self, ray: Any, order: WorkOrder, storage: Storage) -> None:
        self.ray, self.order, self.storage = ray, order, storage
        self._published = 0.0

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Around all that follows. Raises UserError where another such command or another configuration is at work."""
        run, marker = self.order.run, self.order.marker.name
        with ExitStack() as held:
            try:
                held.enter_context(hold(_lock(self.order)))
            except LockHeld as other:
                raise _second(self.order, other.holder) from None
            _, self._tell = held.enter_context(working(run, *shared_settings(self.order.config)))
            self.storage.place_marker(marker)
            try:
                yield
            finally:
                with suppress(Exception):  # storage that has gone: no reason to hide what happened
                    self.storage.remove_marker(marker)

    def prepare(self) -> None:
        """Prepare the plates of the command. Each machine prepares its own, and compares their fingerprint."""
        fingerprint = self.order.prepare(_WHERE)
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = NodeAffinitySchedulingStrategy(self.ray.get_runtime_context().get_node_id(), soft=True)
        self._board = self.ray.remote(Board).options(num_cpus=0, scheduling_strategy=here, max_restarts=-1).remote()
        settings = json.dumps(shared_settings(self.order.config)[0], sort_keys=True, default=str)
        self._remote = Remote(self.storage.uri, settings, fingerprint, self._board)

    def start(self, key: Key, resources: dict[str, Any]) -> Any:
        """Submit a task, and what there is of its job already. Returns Ray's reference."""
        parcel = pack(self.order.run.place(*key))
        task = self._function.options(**resources, retry_exceptions=list(self.lost_to))
        return task.remote(self._remote, self.order, key, parcel)

    @cached_property
    def _function(self) -> Any:
        """Made once, as above."""
        return self.ray.remote(_remote_task)

    def receive(self, key: Key, returned: tuple[Said, Parcel | None]) -> Said:
        """Store what a task has returned."""
        said, parcel = returned
        if parcel is not None:
            receive(self.order.run, key, parcel)
            if not said[1]:
                self._remote.job(self.storage, self.order, key).forget()
        return said

    def at_work(self) -> dict[Key, JobStatus]:
        """What is being computed now, as the tasks have told."""
        with suppress(self.ray.exceptions.RayError):
            told = self.ray.get(self._board.read.remote(), timeout=1)
            return {key: JobStatus(**fields) for key, fields in told.items()}
        return {}

    def publish(self, waiting: list[Key]) -> None:
        """Let ``status`` know what the tasks do."""
        if time.monotonic() - self._published < _PUBLISH_SECONDS:
            return
        self._published, told = time.monotonic(), self.at_work()
        tasks = [{"job": key, **vars(told[key])} for key in waiting if key in told and told[key].since]
        self._tell({"tasks": tasks, "queue": [key for key in waiting if key not in told]})


def refuse_second(order: WorkOrder) -> None:
    """Raise UserError where another command is at work, before a cluster is started for this one."""
    if (holder := held_by(_lock(order))) is not None:
        raise _second(order, holder.partition("\n")[0])


def _second(order: WorkOrder, holder: str) -> UserError:
    return UserError(
        f"{order.folder} is being computed by another command ({holder}), and with ray.storage one alone can:"
        " wait for it, or name another run with --run"
    )


def _lock(order: WorkOrder) -> Path:
    return order.folder / LOCKS / "ray"


class _Notes(LiveLine):
    """A line that keeps what is to stay, for the command."""

    def __init__(self) -> None:
        super().__init__()
        self.live, self.notes = False, list[str]()

    def draw(self, text: str) -> None:
        """Progress is shown by the command."""

    def note(self, text: str) -> None:
        self.notes.append(text)


def _prepare(order: WorkOrder) -> list[str]:
    """The first task: it prepares the plates. Returns what there is to say of them."""
    lines: list[str] = []
    order.take()
    order.prepare(_WHERE, lines.append)
    return lines


def _task(order: WorkOrder, key: Key) -> Said:
    """A task: computes one job."""
    line = _Notes()
    try:
        failed = order.carry_out(frozenset([key]), lambda: line)
    except Interrupted:  # cancelled: an exception that ends the process would look like a dead machine to Ray
        failed = []
    return line.notes, failed


def _remote_task(remote: Remote, order: WorkOrder, key: Key, parcel: Parcel) -> tuple[Said, Parcel | None]:
    """The same apart from the command. Returns the job's files, too, unless it was cancelled."""
    line = _Notes()
    try:
        failed, files = remote.carry_out(order, key, parcel, line)
    except Interrupted:
        return (line.notes, []), None
    return (line.notes, failed), files
