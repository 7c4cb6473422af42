"""The command that measures training steps: ``python -m benchmark perf``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from benchmark.cli.options import (
    AsJson,
    Assignments,
    Device,
    Names,
    Plugins,
    Preset,
    make_config,
    select_methods,
)
from benchmark.util.errors import UserError
from benchmark.util.terminal import cell, say

if TYPE_CHECKING:
    from methods import Registration

# Weights that would have to be downloaded do not change how long a step takes.
_RANDOM = (
    "pecl.embedder_init=random", "esrgan.perceptual=random", "srgan.perceptual=random", "real-esrgan.perceptual=random",
    "lpsrgan-style.perceptual=random", "lpsrgan-style.reader_features=0",
)  # fmt: skip
_BATCH = {"cpu": 16, "cuda": 128}


def perf(
    names: Names = "table1",
    preset: Preset = "standard",
    device: Device = "auto",
    batch_size: Annotated[
        Optional[int], typer.Option(help="Patches per step. Default: 16 on CPUs, 128 on GPUs.")
    ] = None,
    plates: Annotated[int, typer.Option(min=1, help="Plates to draw patches from.")] = 256,
    # And one to warm up: a budget of seven parts has ESRGAN's published phases in it as five and two.
    repeats: Annotated[int, typer.Option(min=1, help="Repetitions that medians are over.")] = 6,
    plugin: Plugins = None,
    assignments: Assignments = None,
    as_json: AsJson = False,
    out: Annotated[Optional[Path], typer.Option(help="A file for the same JSON.")] = None,
    save: Annotated[
        bool, typer.Option("--save", help="Add the rows to the CSV files and the page under --throughput.")
    ] = False,
    throughput: Annotated[Path, typer.Option(help="Folder of throughput files.")] = Path("results/throughput"),
) -> None:
    """Measure a training step of each method against its floor.

    The floor is the same step on a ready-made batch with nothing around it.
    """
    if out is not None and (out.is_dir() or not out.parent.is_dir()):
        raise UserError(f"cannot write {out}: name a file in a folder that is there with --out")
    entries, lost = select_methods(names, plugin)
    from benchmark.perf.suite import Request, measure_methods
    from benchmark.perf.tables import save as save_rows
    from benchmark.perf.tables import steps_table
    from benchmark.runner.context import configure_torch, resolve_device
    from benchmark.util.files import write_text

    options = {"train.device": device, "train.batch_size": batch_size}
    config = make_config(preset, options, [*_without_downloads(entries), *(assignments or [])], entries)
    configure_torch(config)  # refuses a device that is not there, or cannot do what is asked of it
    kind = resolve_device(config.train.device).type
    if batch_size is None and not any(a.startswith("train.batch_size=") for a in assignments or []):
        config = config.model_copy(update={"train": config.train.model_copy(update={"batch_size": _BATCH[kind]})})
    rows: list[dict[str, Any]] = []
    requests = [Request(entry.name, config, tuple(plugin or []), repeats, plates) for entry in entries]
    for row in measure_methods(requests):
        outcome = row.get("error") or (f"{row['step_ms']:.2f} ms a step" if "step_ms" in row else "does not train")
        say(f"{row['method']:<28}{cell(outcome)}", error=True)
        rows.append(row)
    text = json.dumps(rows, indent=1, ensure_ascii=False)
    if out is not None:
        write_text(out, text + "\n")
    say(text if as_json else steps_table(rows))
    if save:
        say(save_rows(rows, throughput), error=True)
    for name in lost:
        say(f"unavailable: {name}", error=True)
    if lost or any("error" in row for row in rows):
        sys.exit(1)


def _without_downloads(entries: list[Registration]) -> list[str]:
    """Settings for random embedders and critics, unless one of the methods fixes that option itself."""
    import methods

    families = {methods.get(name).family for name in methods.names()}
    fixed = {f"{entry.family}.{option}" for entry in entries for option in entry.fixed}
    return [
        assignment
        for assignment in _RANDOM
        if assignment.partition(".")[0] in families and assignment.partition("=")[0] not in fixed
    ]
