"""``python -m benchmark score``: stored weights on other plates."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal, Optional

import typer

from benchmark.cli.options import Device, FollowLinks, Plugins, Results, RunName, need_plugins, path_option
from benchmark.util.terminal import say


def score(
    test_data: Annotated[
        Path,
        typer.Option(
            "--test-data", parser=path_option, metavar="FOLDER", help="A CCPD folder, or one with a plates.csv."
        ),
    ],
    results: Results = Path("results"),
    run_name: RunName = None,
    names: Annotated[
        Optional[str], typer.Option("--methods", help="Names of methods. Default: all of the run.")
    ] = None,
    task: Annotated[
        Literal["restore", "read"],
        typer.Option("--task", help="restore: degrade HR plates; read: LR pictures without originals, read alone."),
    ] = "restore",
    plates: Annotated[Optional[int], typer.Option(min=1, help="At most so many plates. Default: all.")] = None,
    ocr: Annotated[Optional[str], typer.Option(help="OCR engine. Default: that of the run.")] = None,
    device: Device = "auto",
    follow_links: FollowLinks = False,
    plugin: Plugins = None,
) -> None:
    """Score the stored weights of a run on other plates. Nothing is trained, and the run stays as it is.

    The scores lie in RUN/test-data and stand in tables of their own in the run's report.
    """
    need_plugins(plugin)
    from benchmark.results.find_runs import find_run
    from benchmark.results.store import check_writable
    from benchmark.runner.test_sets import score_run

    run = find_run(results, run_name)
    check_writable(run.folder)
    options = [f"train.device={device}", *([f"scoring.ocr={ocr}"] if ocr else [])]
    wanted = [name.strip() for name in names.split(",") if name.strip()] if names else None
    scores, failed = score_run(run, test_data, task, wanted, options, plates, follow_links, say)
    say(f"results: {scores.folder}")
    if failed:
        say(f"failed: {'; '.join(failed)}", error=True)
        sys.exit(1)
