"""One line per method: iterations per second, loss, validation PSNR, time left.

On a terminal the line is redrawn in place; elsewhere a line is printed at every validation.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, TextIO

from benchmark.util.terminal import plain

if TYPE_CHECKING:
    from torch import Tensor

_REDRAW_SECONDS = 0.5
_COLUMN = 27


class TrainingState(Protocol):
    """Where a training stands, as :class:`benchmark.training.session.TrainingSession` says."""

    iterations: int
    """The budget."""
    iteration: int
    losses: dict[str, Tensor]
    history: list[dict[str, float]]
    best_psnr: float
    best_iteration: int


class Progress:
    """Tells the user how one training is going; hand ``update`` to the session. What it calls ``also`` is told, too."""

    def __init__(
        self, name: str, stream: TextIO | None = None, also: Callable[[TrainingState], object] | None = None
    ) -> None:
        self.name = name
        self.also = also
        self.stream: TextIO | None = stream or sys.stdout  # None where the process was started without one
        self.live = self.stream is not None and self.stream.isatty()
        self._drawn = 0.0
        self._validations = -1
        self._start: tuple[float, int] | None = None

    def update(self, session: TrainingState) -> None:
        """Called after every iteration and every validation; cheap unless a line is due."""
        if self.also is not None:
            self.also(session)
        now = time.monotonic()
        if self._start is None:
            self._start = (now, session.iteration)
        validated = len(session.history) != self._validations
        if not validated and not (self.live and now - self._drawn >= _REDRAW_SECONDS):
            return
        self._validations = len(session.history)
        self._drawn = now
        text = self._line(session, now)
        width = shutil.get_terminal_size().columns - 1  # a line that wraps could not be redrawn
        self._write("\r\x1b[K" + text[:width] if self.live else text + "\n")

    def note(self, text: str) -> None:
        """A line of its own, in place of the live line."""
        self._write(("\r\x1b[K" if self.live else "") + plain(f"{self.name:<{_COLUMN}}{text}") + "\n")

    def _write(self, text: str) -> None:
        # A terminal that has been closed, or a log on a disk that is full: no reason to lose a training.
        with suppress(OSError, ValueError):
            if self.stream is not None:
                self.stream.write(text)
                self.stream.flush()

    def _line(self, session: TrainingState, now: float) -> str:
        assert self._start is not None
        seconds, made = now - self._start[0], session.iteration - self._start[1]
        parts = [f"{session.iteration:>7,}/{session.iterations:,}"]
        if made and seconds > 0:
            rate = made / seconds
            parts.append(f"{rate:6.1f} it/s")
            parts.append(f"ETA {_clock((session.iterations - session.iteration) / rate)}")
        if "total" in session.losses:
            parts.append(f"loss {session.losses['total'].item():.5f}")
        if session.history:
            parts.append(f"val {session.history[-1]['val_psnr']:.2f} dB")
            parts.append(f"best {session.best_psnr:.2f} dB @ {session.best_iteration:,}")
        return f"{self.name:<{_COLUMN}}" + "  ".join(parts)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
