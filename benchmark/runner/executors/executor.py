"""What an engine that runs jobs offers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from benchmark.config import Config
from benchmark.runner.executors.order import WorkOrder


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
