"""Text from outside made safe to print: a terminal obeys some characters instead of showing them."""

from __future__ import annotations

import re
import sys

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
