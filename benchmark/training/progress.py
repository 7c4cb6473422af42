"""One line per method: iterations per second, loss, validation PSNR, time left.

On a terminal the line is redrawn in place; elsewhere a line is printed at every validation.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TextIO

from benchmark.util.live_line import LiveLine

if TYPE_CHECKING:
    from torch import Tensor

_COLUMN = 27


class TrainingState(Protocol):
    """What :class:`benchmark.training.session.TrainingSession` shows of a training."""

    iterations: int
    """The budget."""
    iteration: int
    losses: dict[str, Tensor]
    history: list[dict[str, float]]
    best_psnr: float
    best_iteration: int


class Progress:
    """The progress line of one training. ``update`` is for the session to call; it calls ``also``, too."""

    def __init__(
        self,
        name: str,
        stream: TextIO | None = None,
        also: Callable[[TrainingState], object] | None = None,
        line: LiveLine | None = None,
    ) -> None:
        self.name = name
        self.also = also
        self.line = line or LiveLine(stream)
        self._validations = -1
        self._start: tuple[float, int] | None = None

    def update(self, session: TrainingState) -> None:
        """Called after every iteration and every validation; cheap unless a line is due."""
        if self.also is not None:
            self.also(session)
        if self._start is None:
            self._start = (time.monotonic(), session.iteration)
        validated = len(session.history) != self._validations
        if validated or self.line.due:
            self._validations = len(session.history)
            self.line.draw(self._text(session))

    def note(self, text: str) -> None:
        """A line of its own, in place of the live line."""
        self.line.note(f"{self.name:<{_COLUMN}}{text}")

    def _text(self, session: TrainingState) -> str:
        assert self._start is not None
        seconds, made = time.monotonic() - self._start[0], session.iteration - self._start[1]
        parts = [f"{session.iteration:>7,}/{session.iterations:,}"]
        if made and seconds > 0:
            rate = made / seconds
            parts.append(f"{rate:6.1f} it/s")
            parts.append(f"ETA {clock((session.iterations - session.iteration) / rate)}")
        if "total" in session.losses:
            parts.append(f"loss {session.losses['total'].item():.5f}")
        if session.history:
            parts.append(f"val {_decibel(session.history[-1]['val_psnr'])}")
            parts.append(f"best {_decibel(session.best_psnr)} @ {session.best_iteration:,}")
        return f"{self.name:<{_COLUMN}}" + "  ".join(parts)


def _decibel(psnr: float) -> str:
    return "EXACT (a plate without content?)" if psnr == math.inf else f"{psnr:.2f} dB"


def clock(seconds: float) -> str:
    """Hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
