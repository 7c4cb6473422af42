"""The line that tells how something is going, on a terminal and elsewhere."""

from __future__ import annotations

import io
import sys

import pytest

from benchmark.util.live_line import LiveLine


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_the_line_is_redrawn_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    line = LiveLine(terminal := Terminal())
    assert line.due
    line.draw("one")
    assert not line.due  # not again at once
    line.draw("x" * 30)
    line.note("what stays\x1b[2J")
    line.draw("two")
    line.end()
    assert terminal.getvalue() == f"\r\x1b[Kone\r\x1b[K{'x' * 19}\r\x1b[Kwhat stays\\u001b[2J\n\r\x1b[Ktwo\n"


def test_elsewhere_lines_are_printed_whole() -> None:
    line = LiveLine(log := io.StringIO())
    assert not line.due
    line.draw("x" * 300)
    line.note("what stays")
    line.end()
    assert log.getvalue() == "x" * 300 + "\nwhat stays\n"


class Gone(Terminal):
    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")


def test_a_terminal_that_is_gone_or_closed_or_was_never_there_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [LiveLine(Gone()), LiveLine(closed := Terminal())]
    closed.close()
    monkeypatch.setattr(sys, "stdout", None)
    for line in (*lines, LiveLine()):
        line.draw("one")
        line.note("two")
        line.end()
