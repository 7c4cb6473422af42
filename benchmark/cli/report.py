"""``python -m benchmark report``: tables, figures and the page of a run, or one run against another."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from benchmark.cli.options import Results, RunName, path_option
from benchmark.util.errors import UserError
from benchmark.util.terminal import say


def report(
    results: Results = Path("results"),
    run_name: RunName = None,
    only: Annotated[Optional[str], typer.Option(help="Names of tables and figures, separated by commas.")] = None,
    list_names: Annotated[bool, typer.Option("--list", help="List what can be drawn.")] = False,
    allow_mixed: Annotated[bool, typer.Option(help="Show results of different budgets or data together.")] = False,
    pictures: Annotated[bool, typer.Option("--pictures/--no-pictures", help="Show plates of the data set.")] = True,
    compare: Annotated[
        Optional[tuple[str, str]],
        typer.Option(metavar="RUN_A RUN_B", help="Instead, set one run against another (names, folders, bundles)."),
    ] = None,
    out: Annotated[
        Optional[Path],
        typer.Option(parser=path_option, metavar="<path>", help="Folder to write to, instead of report in the run."),
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Draw Table 1, the figures and the page of a run."""
    if open_page and (list_names or compare or only):
        raise UserError("--open shows the page of a whole report: leave out --only, --compare and --list")
    if list_names:
        from paper_figures.report.builder import titles

        say("\n".join(f"{name:<22}{title}" for name, title in titles().items()))
    elif compare:
        if run_name or only:
            raise UserError("--compare names its two runs itself and takes neither --run nor --only")
        from paper_figures.report import compare as two_runs

        with two_runs.opened_run(results, compare[0]) as first, two_runs.opened_run(results, compare[1]) as second:
            comparison = two_runs.compare(first, second, allow_mixed)
            beside = Path(compare[0]).parent if Path(compare[0]).is_file() else None  # nothing is written to a bundle
            two_runs.show(comparison, two_runs.write(comparison, out or beside))
    else:
        _draw(results, run_name, only.split(",") if only else None, allow_mixed, pictures, out, open_page)


def _draw(
    results: Path,
    run_name: str | None,
    only: list[str] | None,
    allow_mixed: bool,
    pictures: bool,
    out: Path | None,
    open_page: bool,
) -> None:
    from rich.console import Console
    from rich.text import Text

    # On a terminal a line says what is being done; elsewhere nobody waits for it.
    with Console(stderr=True).status("loading what draws", spinner="line") as line:
        from benchmark.results.find_runs import find_run
        from paper_figures.report import builder as pages
        from paper_figures.report import terminal

        run = find_run(results, run_name)
        built = pages.build(run, only, allow_mixed, pictures, out, begin=lambda step: line.update(Text(step)))
    terminal.show(built)
    if open_page and built.html is not None:
        _open(built.html)
    if built.broken:
        sys.exit(1)


def _open(page: Path) -> None:
    import webbrowser

    try:
        opened = webbrowser.get().open(page.resolve().as_uri())
    except webbrowser.Error:
        opened = False
    if not opened:
        say(f"there is no browser here: the page lies at {page.resolve()}")
