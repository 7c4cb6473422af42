"""A table as data, and its three renderings: Markdown, booktabs LaTeX and the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from rich import box
from rich.table import Table as RichTable
from rich.text import Text

from paper_figures.common import text

LONGEST = 24
"""Values longer than this are cut in a terminal, or they would push the names of the rows out of it."""


@dataclass(frozen=True)
class Cell:
    """Plain text; ``rank`` 1 is set bold, 2 underlined; ``marks`` are raised behind the text."""

    text: str = text.DASH
    rank: int = 0
    marks: str = ""


@dataclass(frozen=True)
class Column:
    header: str
    cells: list[Cell]
    prose: bool = False
    """Sentences: flush left, and broken into lines in LaTeX."""


@dataclass(frozen=True)
class Table:
    """Columns of equal length; a rule is drawn above the rows in ``rules``."""

    title: str
    columns: list[Column]
    rules: tuple[int, ...] = ()

    @property
    def rows(self) -> list[tuple[Cell, ...]]:
        return list(zip(*(column.cells for column in self.columns), strict=True))


def ranks(values: Sequence[float | None], digits: int, higher_is_better: bool = True) -> list[int]:
    """1 for the best, 2 for the second best, else 0, of the numbers as they are shown.

    Numbers that look equal share a rank. Nothing is marked where fewer than two numbers, or
    only equal ones, are compared.
    """
    sign = 1 if higher_is_better else -1
    shown = [None if v is None or not math.isfinite(v) else sign * round(v, digits) for v in values]
    levels = sorted({v for v in shown if v is not None}, reverse=True)
    if len(levels) < 2:
        return [0] * len(shown)
    return [levels.index(v) + 1 if v in levels[:2] else 0 for v in shown]


def to_csv(data: pd.DataFrame) -> str:
    """The numbers behind a table or figure, with nothing in them that a spreadsheet would run."""
    words = {name: data[name].map(text.spreadsheet) for name in data.columns if data[name].dtype.kind not in "biuf"}
    shown = data.assign(**words).rename(columns=text.spreadsheet)
    return text.harmless(shown.to_csv(index=False, float_format="%.6g", lineterminator="\n"))


def to_markdown(table: Table) -> str:
    """A pipe table; bold and underline as HTML, which every Markdown viewer shows."""
    lines = ["| " + " | ".join(text.inline_markdown(c.header) for c in table.columns) + " |"]
    lines.append(
        "|" + "|".join(":---" if i == 0 or column.prose else "---:" for i, column in enumerate(table.columns)) + "|"
    )
    for row in table.rows:
        lines.append("| " + " | ".join(_markdown_cell(cell) for cell in row) + " |")
    return "\n".join(lines) + "\n"


def _markdown_cell(cell: Cell) -> str:
    shown = text.inline_markdown(cell.text)
    shown = {0: shown, 1: f"**{shown}**", 2: f"<u>{shown}</u>"}[cell.rank]
    return shown + (f"<sup>{text.inline_markdown(cell.marks)}</sup>" if cell.marks else "")


def to_latex(table: Table) -> str:
    """A booktabs ``tabular`` (needs ``\\usepackage{booktabs}``)."""
    width = 0.5 / max(1, sum(column.prose for column in table.columns))
    kinds = "".join(rf"p{{{width:.2f}\linewidth}}" if column.prose else "r" for column in table.columns[1:])
    lines = [rf"\begin{{tabular}}{{@{{}}l{kinds}@{{}}}}", r"\toprule"]
    lines.append(" & ".join(text.latex(c.header) for c in table.columns) + r" \\")
    lines.append(r"\midrule")
    for i, row in enumerate(table.rows):
        if i in table.rules:
            lines.append(r"\midrule")
        lines.append(" & ".join(_latex_cell(cell) for cell in row) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _latex_cell(cell: Cell) -> str:
    shown = text.latex(cell.text)
    shown = {0: shown, 1: rf"\textbf{{{shown}}}", 2: rf"\underline{{{shown}}}"}[cell.rank]
    return shown + (rf"\textsuperscript{{{text.latex(cell.marks)}}}" if cell.marks else "")


def to_terminal(table: Table) -> RichTable:
    """For ``rich``; names are shown as they are, whatever brackets they hold."""
    shown = RichTable(title=Text(text.one_line(table.title)), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    shown.padding = (0, 1, 0, 0)
    for i, column in enumerate(table.columns):
        shown.add_column(Text(text.one_line(column.header)), justify="left" if i == 0 else "right", no_wrap=i > 0)
    for i, row in enumerate(table.rows):
        cells = [_terminal_cell(cell, LONGEST if column else len(cell.text)) for column, cell in enumerate(row)]
        shown.add_row(*cells, end_section=i + 1 in table.rules)
    return shown


def _terminal_cell(cell: Cell, longest: int) -> Text:
    line = text.one_line(cell.text)
    line = line if len(line) <= longest else line[: longest - 1] + "…"
    shown = Text(line, style={0: "", 1: "bold", 2: "underline"}[cell.rank])
    return shown.append(f" {text.one_line(cell.marks)}", style="dim") if cell.marks else shown
