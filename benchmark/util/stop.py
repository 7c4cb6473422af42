"""Ctrl-C and SIGTERM: a training stops with a checkpoint, everything else stops at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass
class Stop:
    """Turns a first Ctrl-C or SIGTERM during training into a stop between two iterations."""

    signal: int | None = None
    gentle: bool = False

    def __call__(self) -> bool:
        return self.signal is not None

    def handle(self, number: int, _frame: Any) -> None:
        first = self.signal is None
        self.signal = number
        if not (self.gentle and first):
            raise KeyboardInterrupt

    @contextmanager
    def between_iterations(self) -> Iterator[None]:
        """Code inside checks often whether to stop, so a first signal need not interrupt it.

        Where it ends without having looked (a method with a loop of its own), KeyboardInterrupt comes then.
        """
        self.gentle = True
        try:
            yield
        finally:
            self.gentle = False
        if self():
            raise KeyboardInterrupt

    @contextmanager
    def installed(self) -> Iterator[Stop]:
        """Catch SIGINT and SIGTERM (possible in the main thread only)."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = {s: signal.signal(s, self.handle) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
