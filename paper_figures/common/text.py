"""Numbers as readers want them, and text from results made harmless for Markdown and LaTeX."""

from __future__ import annotations

import math
import re

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


def one_line(text: str) -> str:
    """``text`` without line breaks or control characters."""
    return re.sub(r"[\s\x00-\x1f\x7f]+", " ", str(text)).strip()


def markdown(text: str) -> str:
    """Text that Markdown shows as it is, also inside a table cell."""
    text = one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*\[\]|~$])", r"\\\1", text)
    text = re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)  # inside a word Markdown leaves _ alone
    return re.sub(r"(?i)\b(https?|ftp)://", r"\1&#58;//", text)  # no links that nobody wrote


_LATEX = {
    "\\": r"\textbackslash{}",
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
    return "".join(_LATEX.get(c, c) for c in one_line(text))
