"""The report: finds the tables and figures of this folder, draws them, writes ``<run>/report/``.

A file of this folder with ``NAME``, ``TITLE``, ``NEEDS`` (the group of methods it shows) and
``draw(results)`` is a table or figure; nothing else has to be told about it. Those that show plates say
``PICTURES = True`` and can be left out.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import traceback
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType

import methods
import paper_figures
from benchmark.results.store import Run
from benchmark.util.errors import UserError, first_line
from benchmark.util.files import refuse_links, write_bytes
from paper_figures.common import style, tables, text
from paper_figures.common.commands import report_command, run_command, test_command
from paper_figures.common.drawing import Drawing, NotAskedFor, NothingToDraw
from paper_figures.common.loading import load
from paper_figures.report import html, latex, markdown
from paper_figures.report.content import BROWSER, FOLDER, HTML, PAGE, Artefact, Report
from paper_figures.report.missing import Missing, missing_methods
from paper_figures.report.themes import ORDER

_TRACE = "error.txt"
_SUFFIXES = ("csv", "md", "tex", "pdf", "png", "html", _TRACE)


@cache
def _modules() -> dict[str, ModuleType]:
    modules: dict[str, ModuleType] = {}
    for info in pkgutil.iter_modules(paper_figures.__path__):
        module = importlib.import_module(f"paper_figures.{info.name}")
        if hasattr(module, "NAME") and hasattr(module, "draw"):
            modules[module.NAME] = module
    place = {name: i for i, name in enumerate(ORDER)}
    return dict(sorted(modules.items(), key=lambda item: (place.get(item[0], len(place)), item[0])))


def names() -> list[str]:
    """Names of all tables and figures, in the order of the report."""
    return list(_modules())


def titles() -> dict[str, str]:
    """Name → title of every table and figure, in the order of the report."""
    return {name: module.TITLE for name, module in _modules().items()}


def build(
    run: Run,
    only: list[str] | None = None,
    allow_mixed: bool = False,
    pictures: bool = True,
    out: Path | None = None,
    begin: Callable[[str], object] = lambda step: None,
) -> Report:
    """Draw everything (or ``only`` these) from the stored results of ``run`` and write the files.

    Without ``pictures`` nothing that shows plates is drawn. What fails by a fault of this program's is
    in ``broken``, with its traceback in ``NAME.error.txt``; the rest is written all the same: to ``out``, or to
    ``report`` in the run. ``begin`` is told of each step, in a few words, when it begins.

    Raises UserError for an unknown name, for a run without results, for results that do not belong
    in one table (unless ``allow_mixed``, which marks them), and where nothing can be written.
    """
    begin("finding the tables and figures")
    modules = _chosen(only)
    begin("reading the results")
    results = load(run, allow_mixed)
    left_out = [] if pictures else [name for name, module in modules.items() if getattr(module, "PICTURES", False)]
    drawings: dict[str, Drawing] = {}
    contents: dict[str, dict[str, bytes]] = {}
    broken: dict[str, Exception] = {}
    missing = missing_methods(results, {module.NEEDS for module in modules.values()})
    drawn = [name for name in modules if name not in left_out]
    for number, name in enumerate(drawn, 1):
        module = modules[name]
        begin(f"drawing {number} of {len(drawn)}: {module.TITLE}")
        try:
            with style.style():
                drawing = module.draw(results)
            contents[name] = _encode(drawing, name, module.TITLE)
            drawings[name] = drawing
        except NotAskedFor as reason:
            if only:
                missing.append(Missing(f"{module.TITLE}: {reason}", test_command(run)))
        except NothingToDraw as reason:
            again = run_command(results, methods.names(module.NEEDS), settings=reason.settings)
            missing.append(Missing(f"{module.TITLE}: {reason}", again))
        except Exception as error:  # a fault in one figure must not cost the reader the others
            broken[name] = error
    problems = [*results.problems, *(f"methods in {name}.py are unavailable: {reason}"
                                     for name, reason in methods.unavailable().items())]  # fmt: skip
    problems += [_fault(modules[name].TITLE, name, error) for name, error in broken.items()]
    report = Report(
        folder=out or run.folder / FOLDER,
        results=results,
        artefacts=[],
        missing=missing,
        problems=problems,
        command=report_command(run.folder, out, allow_mixed),
        broken=broken,
        left_out=[modules[name].TITLE for name in left_out] + [BROWSER] * (not pictures and only is None),
    )
    begin("writing the files")
    if out is None:  # nor what a stranger has put in the place of the folder; a link of the user's own is meant
        refuse_links(report.folder)
    try:
        report.folder.mkdir(parents=True, exist_ok=True)
        for name in modules:
            files = _write(report.folder, name, contents.get(name, {}), broken.get(name))
            if name in drawings:
                report.artefacts.append(Artefact(name, modules[name].TITLE, files))
        if only:
            return report
        begin("writing the pages")
        return _with_pages(report, drawings, contents, pictures)
    except OSError as error:
        raise UserError(
            f"cannot write the report to {report.folder}: {error.strerror} (choose a folder with --out)"
        ) from None


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


def _fault(title: str, name: str, error: Exception) -> str:
    """One line that says what failed."""
    reason = text.one_line(first_line(error))
    kind = "" if reason == type(error).__name__ else f"{type(error).__name__}: "
    return f"{title} could not be made: {kind}{reason} (traceback in {name}.{_TRACE})"


# -- files -----------------------------------------------------------------------------------------


def _encode(drawing: Drawing, name: str, title: str) -> dict[str, bytes]:
    """The files of a table or figure, by suffix."""
    contents: dict[str, bytes] = {}
    if drawing.figure is None or drawing.tables:
        contents["md"] = text.harmless(markdown.document(drawing, name, title)).encode()
        contents["tex"] = text.harmless(latex.document(drawing, name, title)).encode()
    contents["csv"] = tables.to_csv(drawing.data).encode()
    if drawing.figure is not None:
        contents |= {suffix: style.encode(drawing.figure, suffix) for suffix in ("pdf", "png")}
    return contents


def _write(folder: Path, name: str, contents: dict[str, bytes], error: Exception | None = None) -> list[Path]:
    """Write the files of ``name``; files of an earlier report that this one does not write are removed."""
    if error is not None:
        contents = {**contents, _TRACE: text.harmless("".join(traceback.format_exception(error))).encode()}
    for suffix in _SUFFIXES:
        if suffix not in contents:
            (folder / f"{name}.{suffix}").unlink(missing_ok=True)
    return [_write_file(folder / f"{name}.{suffix}", content) for suffix, content in contents.items()]


def _write_file(path: Path, content: bytes) -> Path:
    write_bytes(path, content, durable=False)
    return path


def _with_pages(
    report: Report, drawings: dict[str, Drawing], contents: dict[str, dict[str, bytes]], pictures: bool
) -> Report:
    """The report with both its pages written."""
    figures = {name: files["png"] for name, files in contents.items() if "png" in files}
    pages: dict[str, bytes] = {}
    error = None
    try:
        pages["html"] = text.harmless(html.page(report, drawings, figures, pictures)).encode()
    except Exception as fault:  # as for a figure: the files and the other page are worth having without it
        error = report.broken[HTML] = fault
        report.problems.append(_fault("The HTML page", Path(HTML).stem, fault))
    pages["md"] = text.harmless(markdown.page(report, drawings)).encode()
    _write(report.folder, Path(PAGE).stem, pages, error)
    return replace(report, page=report.folder / PAGE, html=None if error else report.folder / HTML)
