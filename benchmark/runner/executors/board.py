"""How far jobs are that other machines compute. A process of its own imports this, so it imports nothing heavy."""

from __future__ import annotations

from typing import Any


class Board:
    """An actor of Ray: tasks write to it, the command reads it."""

    def __init__(self) -> None:
        self.jobs: dict[tuple[str, int], dict[str, Any]] = {}

    def tell(self, key: tuple[str, int], status: dict[str, Any]) -> None:
        """Note how far a job is: the fields of a JobStatus."""
        self.jobs[key] = status

    def read(self) -> dict[tuple[str, int], dict[str, Any]]:
        """All that was told last."""
        return self.jobs
