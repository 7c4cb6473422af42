"""A job on a machine that shares no folder with the command: its files travel, and its checkpoints go to storage."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmark.results.store import LOCKS, Key, Run, drop_replaced, read_result, set_aside
from benchmark.runner.activity import jobs_at_work
from benchmark.runner.context import prepare_plates
from benchmark.runner.executors import attempts
from benchmark.runner.executors.order import WorkOrder
from benchmark.runner.executors.storage import JobStorage, Storage, mirrored
from benchmark.training import checkpoint
from benchmark.util.errors import CannotWrite, UserError, writing
from benchmark.util.live_line import LiveLine
from benchmark.util.locks import hold
from benchmark.util.names import fit_name

Parcel = dict[str, bytes]
"""The files of a job's folder by their path in it."""


class Unfit(UserError):
    """This machine has no room for the plates, or not the data set: another one may."""


@dataclass(frozen=True)
class Remote:
    """What a machine without the command's folders needs to know to compute a job."""

    storage: str
    """URI of the checkpoints."""
    settings: str
    """That the processes of the run share, by the command: on this machine a path may lead elsewhere."""
    fingerprint: str
    """Of the command's plates."""
    board: Any
    """Ray's handle of the :class:`~benchmark.runner.executors.board.Board`."""

    def job(self, storage: Storage, order: WorkOrder, key: Key) -> JobStorage:
        """Where the checkpoints of a job are stored.

        The default name of a run is the same for everybody. So a hash of what makes a training the same stands behind
        it, and two runs that share their storage remove nothing of each other.
        """
        same = json.dumps([self.settings, self.fingerprint, str(order.versions.get(key[0]))])
        return storage.job(f"{order.folder.name[:80]}-{hashlib.sha256(same.encode()).hexdigest()[:12]}", key)

    def carry_out(self, order: WorkOrder, key: Key, parcel: Parcel, line: LiveLine) -> tuple[list[str], Parcel]:
        """Compute a job of which the command has ``parcel``. Returns its label if it failed, and its files.

        Raises CannotWrite or Unfit where another machine may do better, and UserError where it gives other numbers.
        """
        try:
            return self._carry_out(order, key, parcel, line)
        except CannotWrite as error:
            option = f"TMPDIR on {socket.gethostname()}"
            raise CannotWrite(Path(error.filename), error.errno or 0, error.need, option) from error

    def _carry_out(self, order: WorkOrder, key: Key, parcel: Parcel, line: LiveLine) -> tuple[list[str], Parcel]:
        host, storage = socket.gethostname(), Storage(self.storage)
        if not storage.has_marker(order.marker.name):
            raise UserError(
                f"{host} does not see what the command wrote to {storage.uri}: choose a place that all machines reach"
                " with --set ray.storage=URI"
            )
        job, scratch = self.job(storage, order, key), _scratch()
        name = fit_name(f"{order.command}-{key[0]}-seed{key[1]}", scratch)  # of this task alone, which removes it
        order = replace(order, folder=scratch / name)
        try:
            return self._compute(order, key, parcel, job, line)
        finally:
            shutil.rmtree(order.folder, ignore_errors=True)

    def _compute(
        self, order: WorkOrder, key: Key, parcel: Parcel, job: JobStorage, line: LiveLine
    ) -> tuple[list[str], Parcel]:
        """Compute the job in the order's folder, with a copy of each checkpoint in its storage."""
        host = socket.gethostname()
        order.place_marker()
        try:
            plates, _ = prepare_plates(order.config, order.folder.parent, lambda text: None)
        except UserError as error:
            raise Unfit(f"{host}: {error}") from error
        if plates.fingerprint != self.fingerprint:
            raise UserError(
                f"{host} has other plates than the command ({plates.fingerprint[:12]}, not {self.fingerprint[:12]}):"
                f" {order.config.data.folder} must hold the same files on all machines"
            )
        place, starts = order.run.place(*key), attempts.file(order.run, key)
        if not checkpoint.present(place):
            unpack(parcel, place)
        job.fetch(place, starts)
        with mirrored(job, place, starts, line.note, lambda: self._report(order.run, key)):
            failed = order.carry_out(frozenset([key]), lambda: line)
        return failed, pack(place)

    def _report(self, run: Run, key: Key) -> None:
        if (status := jobs_at_work(run).get(key)) is not None:
            self.board.tell.remote(key, vars(status))


def pack(place: Path) -> Parcel:
    """The files of a job's folder, but for the checkpoints of an unfinished training."""
    paths = [path for path in sorted(place.rglob("*")) if path.is_file() and not path.is_symlink()]
    left_out = (checkpoint.CURRENT, checkpoint.PREVIOUS)
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in paths if path.name not in left_out}


def unpack(parcel: Parcel, place: Path) -> None:
    """Write a job's files into its folder, in place of what is there."""
    with writing(place, need=sum(map(len, parcel.values()))):
        if place.exists():
            shutil.rmtree(place)
        for name, content in parcel.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(content)


def receive(run: Run, key: Key, parcel: Parcel) -> None:
    """Make a job's files those of the run. A complete result is kept aside until there is another one."""
    place = run.place(*key)
    arriving = place.with_name(f"arriving-{place.name}")
    with hold(run.folder / LOCKS / f"job-{key[0]}-seed{key[1]}", wait=lambda holder: None):
        unpack(parcel, arriving)
        present, arrived = read_result(place), read_result(arriving)
        if present is not None and present.complete:
            set_aside(place)
        elif place.exists():
            shutil.rmtree(place)
        arriving.rename(place)
        if arrived is not None and arrived.complete:
            drop_replaced(place)


def _scratch() -> Path:
    """A folder of this user on this machine. Plates that are prepared there are found again by the next command."""
    folder = Path(tempfile.gettempdir()) / f"plate-sr-{os.getuid()}"
    with writing(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise UserError(f"{folder} belongs to another user: set TMPDIR on {socket.gethostname()}")
    return folder
