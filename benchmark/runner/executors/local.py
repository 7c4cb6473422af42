"""Jobs on this machine: in this process, or shared out among worker processes by the locks of the jobs."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import torch

from benchmark.config import Config
from benchmark.data.pictures import cores
from benchmark.results.record import UPPER_BOUND
from benchmark.results.store import Key
from benchmark.runner.context import resolve_device
from benchmark.runner.executors.executor import Outcome
from benchmark.runner.executors.forecast import Forecast
from benchmark.runner.executors.order import WorkOrder
from benchmark.runner.scheduler import run_jobs, warn_of_unread_plates
from benchmark.training.session import Interrupted
from benchmark.util.errors import UserError
from benchmark.util.live_line import LiveLine
from benchmark.util.stop import Stop
from benchmark.util.terminal import say

_BYTES = 2 * 1024**3
"""Memory that a worker on the CPU may need: libraries, plates, OCR engines, a network in training."""
_POLL_SECONDS = 0.5


class Local:
    """One worker per CUDA device, or on the CPU as many single-thread workers as there are cores (and jobs)."""

    def __init__(self, workers: int | None) -> None:
        self.workers = workers

    def check(self, config: Config) -> None:
        on_cpu = resolve_device(config.train.device).type == "cpu"
        if self.workers is None:
            self.workers = _usual_workers()
        if on_cpu and self.workers is not None and self.workers > cores():
            say(f"{self.workers} workers on {cores()} CPU cores would slow each other down: {cores()} it is")
            self.workers = cores()

    def describe(self, order: WorkOrder) -> str:
        count, jobs = self._count(order), order.missing()
        places = Counter((resolve_device(device), threads) for device, threads in _places(order, count))
        workers = [
            f"{number} worker{'s' * (number > 1)} on {device} with {threads or 'all'} thread{'s' * (threads != 1)} each"
            for (device, threads), number in places.items()
        ]
        return "\n".join([f"{', '.join(workers)}:", *(f"  {job.label}" for job in jobs)])

    def run(self, order: WorkOrder) -> Outcome:
        count = self._count(order)
        if count == 1:
            return Outcome(run_jobs(order.config, order.entries, order.run, named=order.named))
        return Outcome(_Crew(order, count).work())

    def _count(self, order: WorkOrder) -> int:
        """How many workers have something to do."""
        return min(self.workers or default_workers(order), max(1, len(order.missing())))


def _usual_workers() -> int | None:
    """How many the user wants where a command does not say. Raises UserError where that is no number of workers."""
    usual = os.environ.get("PLATE_SR_WORKERS", "")
    if usual and (not usual.isdecimal() or int(usual) < 1):
        raise UserError(f"PLATE_SR_WORKERS is {usual!r}: a number of workers is needed, from 1 up")
    return int(usual) if usual else None


def default_workers(order: WorkOrder) -> int:
    """How many workers finish the order soonest. Several of one thread beat one of several: small networks leave most
    cores idle. One job alone gets all cores."""
    device = order.config.train.device
    if resolve_device(device).type == "cuda":
        return torch.cuda.device_count() if device == "auto" else 1
    todo = sum(job.entry is not None and not job.entry.method.deterministic for job in order.missing())
    usual = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()  # a number for each level of nesting
    threads = order.config.train.threads or (int(usual) if usual.isdecimal() else 1)
    return max(1, min(cores() // max(1, threads), todo, _free_memory() // _BYTES))


def _free_memory() -> int:
    """Bytes that can be used without swapping; very many where the system does not say."""
    with suppress(OSError, StopIteration, ValueError), open("/proc/meminfo") as lines:
        return int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]) * 1024
    return 1 << 60


def _places(order: WorkOrder, count: int) -> list[tuple[str, int]]:
    """Device and CPU threads of each worker; together they use no more threads than there are cores."""
    train = order.config.train
    device = resolve_device(train.device)
    threads = train.threads or max(1, cores() // count)
    if device.type == "cuda" and train.device == "auto":
        return [(f"cuda:{number % torch.cuda.device_count()}", threads) for number in range(count)]
    return [(train.device, threads)] * count


@dataclass
class _Worker:
    """A worker process, and what it has said so far."""

    number: int
    place: tuple[str, int]
    process: BaseProcess
    pipe: Connection
    job: Key | None = None
    failed: list[str] | None = None
    error: BaseException | None = None


class _Crew:
    """The workers of one command: started, listened to, replaced where the system has killed one."""

    def __init__(self, order: WorkOrder, count: int) -> None:
        self.order, self.places = order, _places(order, count)
        self.line = LiveLine()
        self.forecast = Forecast(order, count)
        self.kills = 0
        self.workers: list[_Worker] = []
        self.failed: dict[str, None] = {}
        self.served = False

    def work(self) -> list[str]:
        """Run all jobs. Returns the labels of those that failed."""
        self.order.place_marker()
        try:
            with Stop().installed() as stop:
                counts = Counter(resolve_device(place[0]) for place in self.places)
                devices = ", ".join(f"{number} on {device}" for device, number in counts.items())
                self.order.prepare(f"workers: {devices}, CPU threads each: {self.places[0][1]}")
                try:
                    with stop.between_iterations():
                        self._serve(stop)
                finally:
                    self._end()
        except KeyboardInterrupt:
            if not stop():
                raise
            say("stopped; the same command goes on from here")
            raise Interrupted(stop.signal) from None
        finally:
            self.order.remove_marker()
        lost = [] if self.served else [job.label for job in self.order.jobs if job.key not in self.forecast.ended]
        return [*self.failed, *lost]

    def _serve(self, stop: Stop) -> None:
        self.workers = [self._start(number, place) for number, place in enumerate(self.places)]
        stopping = False
        while self.workers:
            connection.wait(
                [*(w.process.sentinel for w in self.workers), *(w.pipe for w in self.workers)], _POLL_SECONDS
            )
            for worker in list(self.workers):
                alive = worker.process.is_alive()  # asked first: what it said before it ended is read below
                self._listen(worker)
                if not alive:
                    self._leave(worker, stop)
            if stop() and not stopping:
                stopping = True
                self.line.note("stopping: every worker writes a checkpoint first")
                self._signal()
            if self.line.due:
                self.line.draw(self.forecast.text())
        self.line.end()

    def _start(self, number: int, place: tuple[str, int]) -> _Worker:
        device, threads = place
        ours, theirs = get_context("spawn").Pipe()
        order = self.order.with_train(device=device, threads=threads)
        process = get_context("spawn").Process(target=_main, args=(order, theirs), name=f"worker {number}")
        with _environment(threads):
            process.start()
        theirs.close()
        return _Worker(number, place, process, ours)

    def _listen(self, worker: _Worker) -> None:
        """Take what a worker has said."""
        with suppress(EOFError, OSError):  # it has ended
            while worker.pipe.poll():
                kind, *what = worker.pipe.recv()
                if kind == "note" or (kind == "draw" and not self.line.live):
                    self.line.note(what[0])
                elif kind == "began":
                    worker.job = what[0]
                elif kind == "ended":
                    worker.job = None
                    if what[0] == (UPPER_BOUND, 0) and what[0] not in self.forecast.ended:
                        warn_of_unread_plates(self.order.run, self.line.note)
                    self.forecast.end(*what)
                elif kind == "failed":
                    worker.failed = what[0]
                elif kind == "error":
                    worker.error = what[0]

    def _leave(self, worker: _Worker, stop: Stop) -> None:
        """See why a worker has ended. One that was killed at a job is replaced: the job goes on from its checkpoint,
        and after some starts in vain it is stored as a failure."""
        self.workers.remove(worker)
        worker.process.join()
        worker.pipe.close()
        if worker.failed is not None:
            self.served = True
            self.failed.update(dict.fromkeys(worker.failed))
        elif worker.error is not None:
            raise worker.error
        elif not stop():
            code = worker.process.exitcode or 0
            why = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
            hint = " (is memory short? see --workers)" if code == -signal.SIGKILL else ""
            job = f"at {worker.job[0]} seed {worker.job[1]}" if worker.job else "between jobs"
            self.line.note(f"worker {worker.number} {why} {job}{hint}")
            self.kills += 1
            if worker.job is not None and self.kills <= 3 * len(self.order.jobs):
                self.workers.append(self._start(worker.number, worker.place))

    def _signal(self) -> None:
        for worker in self.workers:
            worker.process.terminate()

    def _end(self) -> None:
        """Leave no worker behind."""
        self._signal()
        for worker in self.workers:
            worker.process.join(timeout=10)
            worker.process.kill()
            worker.process.join()


@contextmanager
def _environment(threads: int) -> Iterator[None]:
    """The environment of a worker: its threads, which sleep while they wait. Libraries read it when they are loaded."""
    wanted = {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE")}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class _Line(LiveLine):
    """The line of a worker: what it would show goes to the command."""

    def __init__(self, pipe: Connection) -> None:
        super().__init__()
        self.pipe, self.live = pipe, False

    def draw(self, text: str) -> None:
        _tell(self.pipe, "draw", text)

    def note(self, text: str) -> None:
        _tell(self.pipe, "note", text)


def _tell(pipe: Connection, *what: Any) -> None:
    """Tell the command. Where it has been killed, this process is about to be stopped, and nobody listens."""
    with suppress(OSError):
        pipe.send(what)


def _main(order: WorkOrder, pipe: Connection) -> None:
    """A worker process."""
    os.setsid()  # Ctrl-C in the terminal reaches the command alone, which passes it on once
    threading.Thread(target=_stop_with_command, args=(pipe,), daemon=True).start()
    try:
        failed = order.carry_out(
            None, lambda: _Line(pipe), partial(_tell, pipe, "began"), partial(_tell, pipe, "ended")
        )
        _tell(pipe, "failed", failed)
    except Interrupted:
        sys.exit(128 + signal.SIGTERM)
    except Exception as error:
        _tell(pipe, "error", error)


def _stop_with_command(pipe: Connection) -> None:
    """Stop this process when the command has ended, however it ended."""
    with suppress(EOFError, OSError):
        pipe.recv()  # nothing is ever sent
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)
    os._exit(1)
