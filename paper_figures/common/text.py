"""Numbers as readers want them, and text from results made harmless: for Markdown, LaTeX, HTML and spreadsheets.

``markdown`` and ``latex`` escape the text they are given. What is written or printed in the end goes through
``harmless`` or ``one_line`` besides, so that no control character and no mark of direction gets through, and through
``spreadsheet`` where it is a CSV file of the report. (The CSV files of a result hold its text as it is: programs read
them.)
"""

from __future__ import annotations

import math
import re
from typing import Any

DASH = "—"
MINUS = "−"


def number(value: float | None, digits: int = 2, sign: bool = False) -> str:
    """``-1.234`` → ``−1.23``; None and NaN → a dash; infinity → ``∞``."""
    if value is None or math.isnan(value):
        return DASH
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    text = f"{value:{'+' if sign else ''}.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("+-")
    return text.replace("-", MINUS)


def count(value: float | None, thousand: str = "K") -> str:
    """Three digits and a unit: 57281 → ``57.3K``, 1971919 → ``1.97M``, 640 → ``640``."""
    if value is None or math.isnan(value):
        return DASH
    for factor, unit in ((1e6, "M"), (1e3, thousand)):
        if value >= factor * 0.9995:
            scaled = value / factor
            text = f"{scaled:.{max(0, 2 - int(math.log10(max(scaled, 1))))}f}"
            return (text.rstrip("0").rstrip(".") if "." in text and unit == thousand else text) + unit
    return f"{value:.0f}"


def iterations(value: float | None) -> str:
    """As the paper writes them, in thousands throughout: 155000 → ``155k``, 1e6 → ``1000k``, 640 → ``640``."""
    if value is None or math.isnan(value):
        return DASH
    return f"{value:g}" if value < 1000 else f"{value / 1000:.4g}k"


def plural(n: int, noun: str) -> str:
    """``1 seed``, ``3 seeds``, ``1,000 plates``."""
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


# Beside control characters: marks that turn the direction of writing, line separators, halves of surrogate pairs.
_UNSEEN = "\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ud800-\\udfff"


def begun(words: str) -> str:
    """``words`` as a sentence begins: with a capital."""
    return words[:1].upper() + words[1:]


def one_line(text: object) -> str:
    """``text`` without line breaks or characters that are obeyed instead of shown."""
    return re.sub(rf"[\s\x00-\x1f{_UNSEEN}]+", " ", str(text)).strip()


def harmless(document: str) -> str:
    """A whole file without characters that are obeyed instead of shown; its lines stay."""
    return re.sub(rf"[\x00-\x08\x0b-\x1f{_UNSEEN}]", "", document)


def spreadsheet(cell: Any) -> Any:
    """Text that a spreadsheet would run as a formula gets an apostrophe before it; the rest stays as it is."""
    return f"'{cell}" if isinstance(cell, str) and re.match(r"\s*[=+@-]", cell) and not _is_number(cell) else cell


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def markdown(text: str) -> str:
    """Text that Markdown shows as it is, also at the start of a line."""
    text = re.sub(r"\A([-+#=]+)(?=\s|\Z)", r"\\\1", inline_markdown(text))  # neither a heading nor an entry of a list
    return re.sub(r"\A(\d+)([.)])(?=\s|\Z)", r"\1\\\2", text)


def inline_markdown(text: str) -> str:
    """Text that Markdown shows as it is inside a line or a table cell."""
    text = one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*\[\]|~$])", r"\\\1", text)
    text = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", text)  # inside a word Markdown leaves _ alone
    text = re.sub(r"(?i)\bwww\.", "www&#46;", text)
    return re.sub(r"(?i)\b(https?|ftp)://", r"\1&#58;//", text)  # no links that nobody wrote


_LATEX = {
    "\\": r"\textbackslash{}",
    "[": "{[}",
    "]": "{]}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "—": "---",
    "–": "--",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "∞": r"$\infty$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "≈": r"$\approx$",
    "†": r"\dag{}",
    "‡": r"\ddag{}",
    "Δ": r"$\Delta$",
    "ρ": r"$\rho$",
    "σ": r"$\sigma$",
    "…": r"\ldots{}",
    "·": r"$\cdot$",
    "→": r"$\to$",
    "√": r"$\surd$",
    "²": r"$^2$",
    "“": "``",
    "”": "''",
}


def latex(text: str) -> str:
    """Text that LaTeX sets as it is (specials escaped, our few symbols as commands)."""
    text = one_line(text)
    escaped = "-{}-".join("".join(_LATEX.get(c, c) for c in part) for part in text.split("--"))  # an option, no dash
    return re.sub(r"\A\*(?=.)", "{*}", escaped)  # behind the \\\\ of a row it would be a part of that command
