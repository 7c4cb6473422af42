"""The report: finds the tables and figures of this folder, draws them, writes ``<run>/report/``.

A file of this folder with ``NAME``, ``TITLE``, ``NEEDS`` (the group of methods it shows) and
``draw(results)`` is a table or figure; nothing else has to be told about it.
"""

from __future__ import annotations

import difflib
import importlib
import os
import pkgutil
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from rich.console import Console
from rich.text import Text

import methods
import paper_figures
from benchmark.errors import UserError
from benchmark.store import Run
from paper_figures import style, table1, tables, text
from paper_figures.drawing import Drawing, NothingToDraw
from paper_figures.results import Results, load

FOLDER = "report"
"""Where a run's report is written, below the run."""

PAGE = "report.md"
"""The page that shows everything."""

WIDE = 116
"""Terminals of this many columns get the wide table."""

# First things first; a file that is not named here follows in alphabetical order.
_ORDER = ("table1", "convergence", "loss_weights", "plate_height")


class Artefact(NamedTuple):
    """A table or figure that was written."""

    name: str
    title: str
    files: list[Path]


class Missing(NamedTuple):
    """Something that is not in the report, and the command that supplies it."""

    what: str
    command: str


@dataclass(frozen=True)
class Report:
    """What :func:`build` wrote. ``stale`` holds titles of methods whose source has changed since."""

    folder: Path
    results: Results = field(repr=False)
    artefacts: list[Artefact]
    missing: list[Missing]
    stale: list[str]
    problems: list[str]
    page: Path | None = None
    """The page that shows everything; None where only a part was asked for."""


@cache
def _modules() -> dict[str, ModuleType]:
    found: dict[str, ModuleType] = {}
    for info in pkgutil.iter_modules(paper_figures.__path__):
        module = importlib.import_module(f"paper_figures.{info.name}")
        if hasattr(module, "draw"):
            found[module.NAME] = module
    place = {name: i for i, name in enumerate(_ORDER)}
    return dict(sorted(found.items(), key=lambda item: (place.get(item[0], len(place)), item[0])))


def names() -> list[str]:
    """Names of all tables and figures, in the order of the report."""
    return list(_modules())


def titles() -> dict[str, str]:
    """Name → title of every table and figure."""
    return {name: module.TITLE for name, module in _modules().items()}


def build(run: Run, only: list[str] | None = None, allow_mixed: bool = False) -> Report:
    """Draw everything (or ``only`` these) from the stored results of ``run`` and write the files.

    Raises UserError for an unknown name, for a run without results, for results that do not belong
    in one table (unless ``allow_mixed``, which marks them), and where nothing can be written.
    """
    modules = _chosen(only)
    results = load(run, allow_mixed)
    folder = run.folder / FOLDER
    artefacts: list[Artefact] = []
    drawings: dict[str, Drawing] = {}
    missing: list[Missing] = _missing_methods(results, {module.NEEDS for module in modules.values()})
    for name, module in modules.items():
        try:
            drawings[name] = module.draw(results)
        except NothingToDraw as reason:
            missing.append(Missing(f"{module.TITLE}: {reason}", run_command(results, methods.names(module.NEEDS))))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, drawing in drawings.items():
            artefacts.append(Artefact(name, modules[name].TITLE, _write(folder, name, drawing)))
        stale = [row.title for row in results.rows if row.stale]
        broken = [f"methods in {name}.py are unavailable: {reason}" for name, reason in methods.unavailable().items()]
        report = Report(folder, results, artefacts, missing, stale, [*results.problems, *broken])
        if only is None:
            report = replace(report, page=_write_file(folder / PAGE, _page(report, drawings).encode()))
    except OSError as error:
        raise UserError(f"cannot write the report to {folder}: {error.strerror}") from None
    return report


def _chosen(only: Iterable[str] | None) -> dict[str, ModuleType]:
    modules = _modules()
    if only is None:
        return modules
    only = [name.strip() for name in only]
    for name in only:
        if name not in modules:
            near = difflib.get_close_matches(name, modules, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise UserError(f"no table or figure {name!r}{hint} (known: {', '.join(modules)})")
    return {name: modules[name] for name in modules if name in only}


# -- files -----------------------------------------------------------------------------------------


def _write(folder: Path, name: str, drawing: Drawing) -> list[Path]:
    contents = {suffix: content.encode() for suffix, content in drawing.texts.items()}
    contents["csv"] = drawing.data.to_csv(index=False, float_format="%.6g", lineterminator="\n").encode()
    if drawing.figure is not None:
        contents |= {suffix: style.encode(drawing.figure, suffix) for suffix in ("pdf", "png")}
    return [_write_file(folder / f"{name}.{suffix}", content) for suffix, content in contents.items()]


def _write_file(path: Path, content: bytes) -> Path:
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    os.replace(partial, path)
    return path


def _page(report: Report, drawings: dict[str, Drawing]) -> str:
    """The page: every table and figure with its caption, then what is missing."""
    blocks = [f"# {text.markdown(report.results.folder.resolve().name)}: ×8 license-plate super-resolution"]
    for artefact in report.artefacts:
        drawing = drawings[artefact.name]
        blocks.append(f"## {text.markdown(artefact.title)}")
        picture = f"![{text.markdown(artefact.title)}]({artefact.name}.png)\n\n{text.markdown(drawing.caption)}"
        blocks.append(drawing.body or picture)
        blocks.append("Files: " + ", ".join(f"[{f.name}]({f.name})" for f in artefact.files))
    if report.missing:
        blocks.append("## Missing")
        blocks.append("\n".join(f"- {text.markdown(m.what)}: `{m.command.replace('`', '')}`" for m in report.missing))
    if report.problems:
        blocks.append("## Found on the way")
        blocks.append("\n".join(f"- {text.markdown(problem)}" for problem in report.problems))
    blocks.append("## Provenance\n\n" + _provenance(report.results))
    return "\n\n".join(block.strip("\n") for block in blocks) + "\n"


def _provenance(results: Results) -> str:
    lines = []
    for key, value in _origins(results).items():
        lines.append(f"- {key}: {text.markdown(value)}")
    return "\n".join(lines)


def _origins(results: Results) -> dict[str, str]:
    """Commits, hardware and dates the results come from, each value once."""

    def all_of(*path: str) -> list[str]:
        found: dict[str, None] = {}
        for info in results.infos:
            value: Any = info.get("provenance")
            for part in path:
                value = value.get(part) if isinstance(value, dict) else None
            if value is not None:
                found[str(value)] = None
        return list(found)

    dates = sorted(all_of("date"))
    commits = [f"{c[:12]}" for c in all_of("commit")]
    dirty = " (with uncommitted changes)" if "True" in all_of("dirty") else ""
    return {
        "commit": (", ".join(commits) or "not in a checkout") + dirty,
        "command": "; ".join(all_of("command")) or "unknown",
        "device": ", ".join(all_of("hardware", "device")) or "unknown",
        "torch": ", ".join(all_of("versions", "torch")) or "unknown",
        "dates": " to ".join(dict.fromkeys((dates[0], dates[-1]))) if dates else "unknown",
    }


# -- what is missing -------------------------------------------------------------------------------


def _missing_methods(results: Results, groups: set[str]) -> list[Missing]:
    """Methods of ``groups`` without a result, failures, and seeds that only some methods have."""
    failed = {failure.name for failure in results.failures}
    there = {row.name for row in results.rows}
    expected = [name for name in methods.names() if set(methods.get(name).groups) & groups]
    missing = [
        Missing(f"{failure.title}, seed {failure.seed}, failed: {failure.error}", run_command(results, [failure.name]))
        for failure in results.failures
    ]
    absent = [name for name in expected if name not in there | failed]
    if absent:
        listed = ", ".join(methods.get(name).title for name in absent)
        missing.append(Missing(f"no result of {listed}", run_command(results, absent)))
    for row in results.rows:
        lacking = [str(seed) for seed in results.seeds if seed not in row.seeds]
        if row.trained and lacking and row.name not in failed:
            missing.append(Missing(f"{row.title} lacks seed {', '.join(lacking)}", run_command(results, [row.name])))
    return missing


def run_command(results: Results, wanted: Iterable[str]) -> str:
    """The command behind the results at hand, with ``--methods`` replaced by ``wanted``."""
    provenance = results.reference.get("provenance")
    recorded = provenance.get("command") if isinstance(provenance, dict) else None
    start = ["python", "-m", "benchmark", "run"]
    try:
        words = shlex.split(str(recorded))
    except ValueError:  # an unbalanced quote: not a command this program recorded
        words = start
    words = _set_option(words if words[:4] == start else start, "--methods", ",".join(wanted))
    if max(results.seeds) > 0:
        words = _set_option(words, "--seeds", str(max(results.seeds) + 1))
    return shlex.join(words)


def _set_option(words: list[str], option: str, value: str) -> list[str]:
    """The command with ``option value`` right behind ``run`` and nowhere else."""
    kept, skip = [], False
    for word in words:
        if skip or word == option:
            skip = not skip
        elif not word.startswith(option + "="):
            kept.append(word)
    return [*kept[:4], option, value, *kept[4:]]


# -- the terminal ----------------------------------------------------------------------------------


def show(report: Report, console: Console | None = None) -> None:
    """Print Table 1 in short, what was written, and what is missing with the command that supplies it."""
    console = console or Console()
    results = report.results
    console.print(tables.to_terminal(table1.short(results, wide=console.width >= WIDE)))
    for line in table1.legend(results):
        console.print(Text(line, style="dim"))
    for problem in report.problems:
        console.print(Text(f"note: {text.one_line(problem)}", style="yellow"), soft_wrap=True)
    for what, command in report.missing:
        console.print(Text(f"missing: {text.one_line(what)}\n    {command}", style="yellow"), soft_wrap=True)
    files = sum(len(artefact.files) for artefact in report.artefacts)
    console.print(Text(f"written: {text.plural(files, 'file')} in {report.folder}"), soft_wrap=True)
    if report.page is not None:
        console.print(Text(f"read: {report.page}"), soft_wrap=True)
