"""A line that tells how something is going: redrawn in place on a terminal, elsewhere printed now and then."""

from __future__ import annotations

import shutil
import sys
import time
from contextlib import suppress
from typing import TextIO

from benchmark.util.terminal import plain

_REDRAW_SECONDS = 0.5


class LiveLine:
    """One line on ``stream`` (standard output by default)."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream: TextIO | None = stream or sys.stdout  # None where the process was started without one
        self.live = self.stream is not None and self.stream.isatty()
        self._drawn = 0.0

    @property
    def due(self) -> bool:
        """Whether it is time to redraw; never where lines are printed."""
        return self.live and time.monotonic() - self._drawn >= _REDRAW_SECONDS

    def draw(self, text: str) -> None:
        """Show ``text`` in place of what was drawn last."""
        self._drawn = time.monotonic()
        width = shutil.get_terminal_size().columns - 1  # a line that wraps could not be redrawn
        self._write("\r\x1b[K" + text[:width] if self.live else text + "\n")

    def note(self, text: str) -> None:
        """A line that stays, in place of the live one."""
        self._write(("\r\x1b[K" if self.live else "") + plain(text) + "\n")

    def end(self) -> None:
        """Let what was drawn last stay."""
        if self.live:
            self._write("\n")

    def _write(self, text: str) -> None:
        # A terminal that has been closed, or a log on a disk that is full: no reason to lose a training.
        with suppress(OSError, ValueError):
            if self.stream is not None:
                self.stream.write(text)
                self.stream.flush()
