"""Text that something on its way to a reader might obey, and strings that are awkward for other reasons."""

from __future__ import annotations

WORDS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    'x" onload="alert(1)',
    "</style></title><!-- ",
    "{{ 7*7 }}{% raw %}",
    r"\input{/etc/passwd}\write18{id}",
    "[x] first in a row of LaTeX",
    "*starred",
    "$x$ & 50 % a_b ^2 ~ # {y}",
    "| a | pipe |",
    "# heading",
    "- entry",
    "1. entry",
    "[click](http://evil.example) www.evil.example https://evil.example ![x](http://evil.example/x.png)",
    "`code` *star* __under__ ~~gone~~",
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\",
    "\x9b2J\x9d0;x\x9c",
    "over\rwritten\x08\x08\x0c\x0b",
    "two\nlines\n\nand more",
    "next\u2028line\u2029paragraph\x85feed",
    "\u202egpj.exe\u202c \u2066x\u2069 \u200f\u061c",
    "[bold]x[/bold] [/] [link=http://evil.example]y[/link] [red on",
    "=cmd|' /C calc'!A0",
    "+1+cmd|x",
    "@SUM(1)",
    "-2+3",
    "\t=1+1",
    "half a character \ud800 and \udcff",
    "nul \x00 in it",
    "../../etc/passwd",
    "a" * 5000,
    "车牌 🚗 e\u0301",
    "",
    " ",
)
"""Everything here may come as a name, a title, a note, a reading or the message of an error."""

OBEYED = "\x00\x07\x08\x0b\x0c\r\x1b\x7f\x85\x9b\x9d\u200f\u061c\u2028\u2029\u202e\u202c\u2066\u2069\ud800\udcff"
"""Characters of which none may reach a terminal or a file of a report."""


def obeyed(text: str) -> list[str]:
    """Those of them that are in ``text``."""
    return [character for character in OBEYED if character in text]
