"""Tables and figures as Markdown, and the page of a report in it."""

from __future__ import annotations

from collections.abc import Mapping

from paper_figures.common import text
from paper_figures.common.drawing import Drawing
from paper_figures.common.tables import Cell, Column, Table
from paper_figures.report import provenance
from paper_figures.report.content import Report
from paper_figures.report.missing import by_command


def table(shown: Table) -> str:
    """A pipe table; underlined and raised text as HTML, which every Markdown viewer shows."""
    flush_left = [i == 0 or column.prose or column.code for i, column in enumerate(shown.columns)]
    lines = ["| " + " | ".join(text.inline_markdown(column.header) for column in shown.columns) + " |"]
    lines.append("|" + "|".join(":---" if left else "---:" for left in flush_left) + "|")
    lines += ["| " + " | ".join(map(_cell, row, shown.columns)) + " |" for row in shown.rows]
    return "\n".join(lines)


def _cell(cell: Cell, column: Column) -> str:
    if column.code:
        return _code(cell.text).replace("|", r"\|")
    words = text.inline_markdown(cell.text)
    words = {0: words, 1: f"**{words}**", 2: f"<u>{words}</u>"}[cell.rank]
    words += f"<sup>{text.inline_markdown(cell.marks)}</sup>" if cell.marks else ""
    return words + (f"<br><small>{text.inline_markdown(cell.beneath)}</small>" if cell.beneath else "")


def _code(words: str) -> str:
    words = text.one_line(words).replace("`", "")
    return f"`{words}`" if words else ""


def body(drawing: Drawing, name: str = "", title: str = "") -> str:
    """The picture, the tables with their titles, and the sentences: a paragraph for a figure, a list for tables."""
    blocks = [f"![{text.markdown(title)}]({name}.png)"] if drawing.figure is not None else []
    for part in drawing.tables:
        blocks += [f"**{text.markdown(part.title)}**"] * bool(part.title) + [table(part)]
    if drawing.footnotes:
        notes = (f"<sup>{i}</sup> {text.markdown(note)}" for i, note in enumerate(drawing.footnotes, 1))
        blocks.append("  \n".join(notes))
    if drawing.tables:
        blocks.append(_list(drawing.sentences))
    else:
        blocks.append(text.markdown(drawing.words))
    return "\n\n".join(blocks) + "\n"


def document(drawing: Drawing, name: str, title: str) -> str:
    """The separate file of a drawing with tables."""
    return f"# {text.markdown(title)}\n\n{body(drawing, name, title)}"


def _list(lines: list[str]) -> str:
    return "\n".join(f"- {text.markdown(line)}" for line in lines)


def page(report: Report, drawings: Mapping[str, Drawing]) -> str:
    """Every table and figure with its caption, then what is missing, and where the numbers come from."""
    blocks = [f"# {text.markdown(report.results.folder.resolve().name)}: ×8 license-plate super-resolution"]
    for artefact in report.artefacts:
        blocks.append(f"## {text.markdown(artefact.title)}")
        blocks.append(body(drawings[artefact.name], artefact.name, artefact.title))
        blocks.append("Files: " + ", ".join(f"[{f.name}]({f.name})" for f in artefact.files))
    if report.missing:
        blocks.append("## Missing")
        blocks += [f"{_list(gaps)}\n\n{_code(command)}" for command, gaps in by_command(report.missing).items()]
    if report.left_out:
        blocks += ["## Left out, as asked (`--no-pictures`)", _list(report.left_out)]
    if report.problems:
        blocks += ["## Found on the way", _list(report.problems)]
    facts = [f"- {name}: {text.markdown(fact)}" for name, fact in provenance.facts(report.results).items()]
    blocks += ["## Provenance", "\n".join(facts)]
    return "\n\n".join(block.strip("\n") for block in blocks) + "\n"
