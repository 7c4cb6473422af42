"""Tables and a report's summary for a terminal."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from paper_figures import table1
from paper_figures.common import text
from paper_figures.common.tables import Cell, Table
from paper_figures.report.content import Report
from paper_figures.report.missing import by_command

LONGEST = 24
"""Values longer than this are cut, or they would push the names of the rows out of the terminal."""

WIDE = 116
"""Terminals of this many columns get the wide table."""


def table(shown: Table) -> RichTable:
    """For ``rich``; names are shown as they are, whatever brackets they hold."""
    rich = RichTable(title=Text(text.one_line(shown.title)), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    rich.padding = (0, 1, 0, 0)
    for i, column in enumerate(shown.columns):
        rich.add_column(Text(text.one_line(column.header)), justify="left" if i == 0 else "right", no_wrap=i > 0)
    for i, row in enumerate(shown.rows):
        cells = [_cell(cell, LONGEST if column else len(cell.text)) for column, cell in enumerate(row)]
        rich.add_row(*cells, end_section=i + 1 in shown.rules)
    return rich


def _cell(cell: Cell, longest: int) -> Text:
    line = text.one_line(cell.text)
    line = line if len(line) <= longest else line[: longest - 1] + "…"
    shown = Text(line, style={0: "", 1: "bold", 2: "underline"}[cell.rank])
    return shown.append(f" {text.one_line(cell.marks)}", style="dim") if cell.marks else shown


def show(report: Report, console: Console | None = None) -> None:
    """Print Table 1 in short, what was written, and what is missing with the command that supplies it."""
    console = console or Console()
    results = report.results
    console.print(table(table1.short(results, wide=console.width >= WIDE)))
    for line in table1.legend(results):
        console.print(Text(text.one_line(line), style="dim"))
    for problem in report.problems:
        console.print(Text(f"note: {text.one_line(problem)}", style="yellow"), soft_wrap=True)
    for command, gaps in by_command(report.missing).items():
        listed = "\n".join(f"missing: {text.one_line(what)}" for what in gaps)
        console.print(Text(f"{listed}\n    {text.one_line(command)}", style="yellow"), soft_wrap=True)
    if report.left_out:
        console.print(Text(text.one_line(f"left out, as asked: {'; '.join(report.left_out)}")), soft_wrap=True)
    files = sum(len(artefact.files) for artefact in report.artefacts)
    console.print(Text(f"written: {text.plural(files, 'file')} in {text.one_line(report.folder)}"), soft_wrap=True)
    if report.html is not None:
        console.print(Text(text.one_line(f"open: {report.html}")), soft_wrap=True)
    if report.page is not None:
        console.print(Text(text.one_line(f"read: {report.page}")), soft_wrap=True)
