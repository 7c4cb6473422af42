"""Tables as booktabs LaTeX."""

from __future__ import annotations

import re
import string

from paper_figures.common import text
from paper_figures.common.drawing import Drawing
from paper_figures.common.tables import Cell, Column, Table

_NEEDS = r"% needs \usepackage{array,booktabs,xcolor}, and \usepackage[T1]{fontenc} with pdflatex"
_CHARACTERS = 146
"""Of \\scriptsize, about so many stand in a line across both columns of a page, two for each gap included."""


def document(drawing: Drawing, name: str, title: str) -> str:
    """A float for each table, so that each fits on a page; notes and sentences stand below the last.

    A narrow table stands in one column, as a paper prints it: its caption above, the conditions in a line below.
    """
    title = re.sub(r"^(Table|Figure) \d+\. ", "", title)  # LaTeX counts for itself
    floats = []
    if [part.narrow for part in drawing.tables] == [True]:
        return f"{_NEEDS}\n{_narrow(drawing, name, title)}\n"
    for letter, part in zip(string.ascii_lowercase, drawing.tables, strict=False):
        size = r"\scriptsize" if _natural_width(part) <= _CHARACTERS else r"\tiny"
        lines = [r"\begin{table*}", rf"\centering{size}\setlength{{\tabcolsep}}{{3pt}}"]
        lines.append(rf"\caption{{{' '.join(text.latex(words) + '.' for words in (title, part.title) if words)}}}")
        lines += [rf"\label{{tab:{name}-{letter}}}", table(part)]
        lines += _below(drawing) if part is drawing.tables[-1] else []
        floats.append("\n".join([*lines, r"\end{table*}"]))
    words = [] if floats else [text.latex(drawing.words)]
    return "\n".join([_NEEDS, *floats, *words]) + "\n"


def _narrow(drawing: Drawing, name: str, title: str) -> str:
    sentences = " ".join(_set(words) for words in (f"{title}.", *filter(None, drawing.caption)))
    below = " ".join(_set(words) for words in drawing.conditions if words)
    return "\n".join([
        r"\begin{table}",
        r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{sentences}}}",
        rf"\label{{tab:{name}}}",
        table(drawing.tables[0]),
        *([rf"\par\smallskip{{\scriptsize {below}}}"] if below else []),
        r"\end{table}",
    ])  # fmt: skip


def _below(drawing: Drawing) -> list[str]:
    notes = [rf"\textsuperscript{{{i}}} {text.latex(note)}\par" for i, note in enumerate(drawing.footnotes, 1)]
    sentences = text.latex(drawing.words)
    return [r"\par\smallskip\begin{minipage}{\linewidth}", *notes, sentences, r"\end{minipage}"]


def table(shown: Table) -> str:
    """A booktabs ``tabular``; sentences and commands are broken into lines."""
    lines = [rf"\begin{{tabular}}{{@{{}}{''.join(_kinds(shown))}@{{}}}}", r"\toprule"]
    lines += [" & ".join(_set(column.header) for column in shown.columns) + r" \\", r"\midrule"]
    for i, row in enumerate(shown.rows):
        lines += [r"\midrule"] * (i in shown.rules)
        lines.append(" & ".join(map(_cell, row, shown.columns)) + r" \\")
        if any(cell.beneath for cell in row):
            lines.append(" & ".join(_grey(text.latex(cell.beneath)) for cell in row) + r" \\[2pt]")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])


def _set(words: str) -> str:
    """Plain text as LaTeX, PSNR_Y with its index set low."""
    return text.latex(words).replace(r"PSNR\_Y", r"PSNR\textsubscript{Y}")


def _is_broken(column: Column) -> bool:
    return column.prose or column.code


def _natural_width(shown: Table) -> float:
    """Characters that the columns take that are not broken into lines, with the gaps between them."""
    natural = [column for column in shown.columns if not _is_broken(column)]
    # a superscript is set at about half the size
    widths = ([len(cell.text) + 0.5 * len(cell.marks) for cell in column.cells] for column in natural)
    return sum(2 + max(len(column.header), *cells) for column, cells in zip(natural, widths, strict=True))


def _kinds(shown: Table) -> list[str]:
    """How each column is set: columns of sentences share what the others leave of the line, by their length."""
    left = max(0.3, 0.97 - _natural_width(shown) / _CHARACTERS - 0.013 * len(shown.columns))
    weights = [sum(len(cell.text) for cell in column.cells) ** 0.5 * _is_broken(column) for column in shown.columns]
    total = sum(weights) or 1.0
    shares = [max(w / total, 0.1) * _is_broken(column) for w, column in zip(weights, shown.columns, strict=True)]
    return [
        rf">{{\raggedright\arraybackslash}}p{{{left * share / sum(shares):.3f}\linewidth}}"
        if _is_broken(column)
        else "l" if i == 0 else "r"
        for i, (column, share) in enumerate(zip(shown.columns, shares, strict=True))
    ]  # fmt: skip


def _cell(cell: Cell, column: Column) -> str:
    words = text.latex(cell.text)
    if column.code:
        words = words.replace("--", "-{}-").replace(",", r",\allowbreak{}")
        return rf"\texttt{{{words}}}" if words else ""
    words = _RANKED[cell.rank].replace("WORDS", words)
    words += rf"\textsuperscript{{{text.latex(cell.marks)}}}" if cell.marks else ""
    return _grey(words) if column.grey else words


# As the paper marks them, red and blue; a second best is underlined, too, for who sees no colour.
_RANKED = {0: "WORDS", 1: r"\textcolor{red}{\textbf{WORDS}}", 2: r"\textcolor{blue}{\textbf{\underline{WORDS}}}"}


def _grey(words: str) -> str:
    return rf"\textcolor{{gray}}{{{words}}}" if words else ""
