"""What an engine that runs jobs offers, and which engines there are."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Protocol

from benchmark.config import Config
from benchmark.runner.executors.order import WorkOrder
from benchmark.util.errors import UserError

NAMES = ("local", "slurm", "ray")


@dataclass(frozen=True)
class Outcome:
    """What became of an order."""

    failed: list[str] = field(default_factory=list)
    """Labels of the jobs that failed."""
    complete: bool = True
    """False if jobs are still to run somewhere else."""


class Executor(Protocol):
    """Runs the jobs of an order. What a job does, resumes and stores does not know which engine runs it."""

    def check(self, config: Config) -> None:
        """Raise UserError where the engine cannot be used, before anything is prepared."""

    def describe(self, order: WorkOrder) -> str:
        """What will be started, in lines."""

    def run(self, order: WorkOrder) -> Outcome:
        """Run the jobs. Raises :class:`~benchmark.training.session.Interrupted` when asked to stop."""


def make(name: str, workers: int | None, wait: bool) -> Executor:
    """The engine of this name. Raises UserError for one that there is not, or whose extra is not installed."""
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, n=1)
        raise UserError(
            f"no executor {name!r}{f'; did you mean {near[0]}?' if near else ''} (known: {', '.join(NAMES)})"
        )
    if name != "local" and workers is not None:
        way = "--set slurm.parallel=N" if name == "slurm" else "--set ray.cpus=N and ray.gpus=N"
        raise UserError(f"--workers is for --executor local: use {way}")
    if name != "slurm" and wait:
        raise UserError(f"--wait is for --executor slurm: {name} always waits")
    package = {"slurm": "submitit", "ray": "ray"}.get(name)
    if package and find_spec(package) is None:
        raise UserError(f"--executor {name} needs {package}: pip install 'plate-sr-benchmark[{name}]'")
    if name == "slurm":
        from benchmark.runner.executors.slurm import Slurm

        return Slurm(wait)
    if name == "ray":
        from benchmark.runner.executors.ray import Ray

        return Ray()
    from benchmark.runner.executors.local import Local

    return Local(workers)
