"""``python -m benchmark bundle`` and ``leaderboard``: results handed on, and several of them in one table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from benchmark.cli.options import Plugins, Results, need_plugins, path_option
from benchmark.util.terminal import say


def bundle(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Name of a run, or its folder.")],
    results: Results = Path("results"),
    by: Annotated[str, typer.Option(help="Who made the run, as they want to be named.")] = "",
    out: Annotated[
        Optional[Path],
        typer.Option(parser=path_option, metavar="<path>", help="File to write. Default: RUN.bundle.zip, here."),
    ] = None,
    plugin: Plugins = None,
) -> None:
    """Put a run into one small file that can be handed on.

    That is: scores, rows, histories and provenance. It is checked first, and holds no pictures, no weights, no texts
    of plates and no names of files.
    """
    need_plugins(plugin)
    from benchmark.results.bundle import SUFFIX
    from benchmark.results.bundle_writing import write_bundle
    from benchmark.results.find_runs import run_at

    chosen = run_at(results, run)
    file = out or Path(f"{chosen.folder.resolve().name}{SUFFIX}")
    for line in write_bundle(chosen, file, by):
        say(f"left out: {line}", error=True)
    say(f"written: {file} ({file.stat().st_size:,} bytes)")


def leaderboard(
    files: Annotated[list[Path], typer.Argument(metavar="BUNDLE...", help="Files that `bundle` wrote.")],
    out: Annotated[
        Path, typer.Option(parser=path_option, metavar="<path>", help="Folder for leaderboard.html and .csv.")
    ] = Path(),
) -> None:
    """Rank the methods of several bundles on one page.

    Every protocol has a table of its own.
    """
    from paper_figures.report import leaderboard as boards

    for path in boards.write(files, out):
        say(f"written: {path}")
