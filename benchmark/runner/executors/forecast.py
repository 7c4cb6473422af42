"""How far all jobs of an order are, and how long they will take."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import mean

from benchmark.results.store import Key
from benchmark.runner.activity import JobStatus, jobs_at_work
from benchmark.runner.executors.order import WorkOrder
from benchmark.training.progress import clock


class Forecast:
    """Told which jobs have ended; asks ``at_work`` what is being computed (by default, the locks of the run)."""

    def __init__(
        self, order: WorkOrder, workers: int, at_work: Callable[[], dict[Key, JobStatus]] | None = None
    ) -> None:
        self.run, self.workers = order.run, workers
        self.at_work = at_work or (lambda: jobs_at_work(self.run))
        self.keys = [job.key for job in order.jobs]
        self.ended: dict[Key, bool] = {}
        self._first: dict[Key, tuple[float, int]] = {}
        self._seconds: dict[str, float] = {}

    def end(self, key: Key, complete: bool) -> None:
        """A job has ended."""
        if key in self.ended:
            return  # another worker has seen that it is there
        self.ended[key] = complete
        result = self.run.result(*key)
        if result is not None and result.complete:
            self._seconds[key[0]] = result.record.clocks.get("total", 0.0)

    def text(self) -> str:
        """A line: jobs that have ended, the time that is left, and what is being computed."""
        now = {key: job for key, job in self.at_work().items() if job.since and key not in self.ended}
        left = {key: self._left(key, job) for key, job in now.items()}
        seconds = self._remaining({key: value for key, value in left.items() if value is not None})
        shown = [f"{name}{f'/{seed}' if seed else ''} {_share(now[name, seed])}" for name, seed in now]
        eta = f"ETA about {clock(seconds)}" if seconds is not None else "ETA unknown"
        return f"{len(self.ended)} of {len(self.keys)} jobs  {eta}  {'  '.join(shown)}"

    def _left(self, key: Key, job: JobStatus) -> float | None:
        """Seconds that a job in training still takes at its pace so far."""
        if job.iteration is None or job.iterations is None:
            return None
        begun, iteration = self._first.setdefault(key, (time.monotonic(), job.iteration))
        made = job.iteration - iteration
        return (job.iterations - job.iteration) * (time.monotonic() - begun) / made if made else None

    def _remaining(self, left: dict[Key, float]) -> float | None:
        """Seconds until all have ended. A job that has not begun takes as long as the same method with another seed,
        or else as long as jobs take on average."""
        durations = [*self._seconds.values(), *left.values()]
        if not durations:
            return None
        waiting = [
            self._seconds.get(key[0], mean(durations)) for key in self.keys if key not in self.ended and key not in left
        ]
        return max([*left.values(), (sum(left.values()) + sum(waiting)) / self.workers])


def _share(job: JobStatus) -> str:
    return f"{job.iteration / job.iterations:.0%}" if job.iteration is not None and job.iterations else "…"
