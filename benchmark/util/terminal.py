"""Text made safe to print (a terminal obeys some characters instead of showing them), and output that never raises."""

from __future__ import annotations

import codecs
import io
import os
import re
import sys
from contextlib import suppress
from typing import Any

# Control characters (ESC begins most of what a terminal obeys) but for tab and line feed, marks that turn the
# direction of writing, line separators, and halves of surrogate pairs, which no encoding can write.
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(text: object) -> str:
    """``text`` with what a terminal would obey as ``\\u001b`` and the like; JSON stays JSON of the same values."""
    return _OBEYED.sub(lambda match: f"\\u{ord(match[0]):04x}", str(text))


def cell(text: object) -> str:
    """``text`` on one line, for a column of a table or a message that must not look like two."""
    return plain(" ".join(str(text).split()))


def say(text: object = "", error: bool = False) -> None:
    """Print ``text``, whatever is in it; with ``error`` to standard error."""
    print(plain(text), file=sys.stderr if error else sys.stdout)


def tolerate_lost_output() -> None:
    """Have standard output and error never raise: what an encoding cannot write is shown as :func:`plain` shows it,
    and what a full disk or a closed pipe does not take is lost. See :func:`lost_output`."""
    codecs.register_error("plain", _escaped)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started this process
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (as long as the process)
            continue
        with suppress(OSError):
            stream.flush()
        raw = _Tolerant(stream.fileno())
        tolerant = io.TextIOWrapper(
            raw if stream.write_through else io.BufferedWriter(raw),  # type: ignore[type-var]
            encoding=stream.encoding,
            errors="plain",
            line_buffering=stream.line_buffering,
            write_through=stream.write_through,
        )
        setattr(sys, name, tolerant)


def lost_output() -> OSError | None:
    """Why part of standard output was lost since :func:`tolerate_lost_output`; None if all was written, or if its
    reader had gone (``| head``)."""
    sys.stdout.flush()
    buffer = getattr(sys.stdout, "buffer", None)
    return getattr(getattr(buffer, "raw", buffer), "error", None)


class _Tolerant(io.RawIOBase):
    """A file that takes everything; ``error``: why it has not written all of it."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return os.write(self.descriptor, data)
        except BrokenPipeError:
            pass
        except OSError as error:
            self.error = error
        return len(data)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.descriptor

    def isatty(self) -> bool:
        return os.isatty(self.descriptor)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """What stands in place of characters that an encoding has not: JSON stays JSON of the same values."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4)), error.end
