"""The commands about trained weights: ``python -m benchmark weights ...``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from benchmark.cli.options import Device, Results, RunName, select_methods
from benchmark.util.terminal import say

weights_app = typer.Typer(no_args_is_help=True, help="Hand trained weights on.")


@weights_app.command("export")
def export(
    results: Results = Path("results"),
    run_name: RunName = None,
    methods: Annotated[
        Optional[str], typer.Option(help="Names or groups, separated by commas. Default: all that the run has.")
    ] = None,
    out: Annotated[Optional[Path], typer.Option(help="Folder to write to, instead of weights in the run.")] = None,
    limit: Annotated[float, typer.Option(min=0.0, help="Megabytes of the largest file that is written.")] = 8.0,
    device: Device = "auto",
) -> None:
    """Write the weights of the methods of a run, seed 0, with hashes, scores and a model card.

    They are stored in half precision where the median PSNR of the test plates moves by at most 0.01 dB.
    """
    from benchmark.results.export import export as export_run
    from benchmark.results.find_runs import find_run
    from benchmark.runner.context import resolve_device
    from benchmark.util.files import write_text
    from paper_figures.report.model_card import card, mistakes

    run = find_run(results, run_name)
    folder = out or run.folder / "weights"
    names = None if methods is None else {entry.name for entry in select_methods(methods, None)[0]}
    index, exported = export_run(run, folder, names, round(limit * 1e6), resolve_device(device), mistakes, say)
    bicubic = run.result("bicubic", 0)
    write_text(folder / "README.md", card(index, exported, bicubic if bicubic and bicubic.complete else None))
    say(f"weights: {folder}")
