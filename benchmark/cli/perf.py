"""The command that measures: ``python -m benchmark perf``."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from benchmark.cli.options import (
    AsJson,
    Assignments,
    Device,
    Folder,
    Names,
    Plugins,
    Preset,
    Results,
    RunName,
    make_config,
    select_methods,
)
from benchmark.util.errors import UserError
from benchmark.util.terminal import cell, say

if TYPE_CHECKING:
    from benchmark.config import Config
    from methods import Registration

_SUBJECTS = ("steps", "memory", "prepare", "scoring", "commands")
_METHODS = {"memory": "espcn"}  # its step is so cheap that its batch shows; the others default to table1
_PLATES = {"steps": 256, "memory": 100_000, "prepare": 256, "scoring": 200}
# Weights that would have to be downloaded do not change how long a step takes.
_RANDOM = {"pecl": "pecl.embedder_init=random", "esrgan": "esrgan.perceptual=random"}
_REPEATS = {"commands": 3}  # a report takes long, and hardly longer one time than another
_USUAL_REPEATS = 6  # and one to warm up: a budget of seven parts has ESRGAN's published phases in it as five and two
_BATCH = {"cpu": 16, "cuda": 128}


def perf(
    names: Names = "",
    what: Annotated[str, typer.Option(help="What to measure: see above.")] = "steps",
    preset: Preset = "standard",
    data: Folder = None,
    device: Device = "auto",
    batch_size: Annotated[
        Optional[int], typer.Option(help="Patches per step. Default: 16 on CPUs, 128 on GPUs.")
    ] = None,
    plates: Annotated[Optional[int], typer.Option(min=1, help="Plates to measure on; for memory, the most.")] = None,
    repeats: Annotated[
        Optional[int], typer.Option(min=1, help="Repetitions that medians are over. Default: 6; for commands, 3.")
    ] = None,
    plugin: Plugins = None,
    assignments: Assignments = None,
    results: Results = Path("results"),
    run_name: RunName = None,
    as_json: AsJson = False,
    out: Annotated[Optional[Path], typer.Option(help="A file for the same JSON.")] = None,
    save: Annotated[
        bool, typer.Option("--save", help="Add training steps to the CSV files and the page under --throughput.")
    ] = False,
    throughput: Annotated[Path, typer.Option(help="Folder of throughput files.")] = Path("results/throughput"),
) -> None:
    """Measure speed here: steps, memory, packing, scoring, commands.

    \b
    --what steps     training steps, against their floor
    --what memory    plates on the device; does a step depend on their number?
    --what prepare   packing, against decoding alone
    --what scoring   plates a second, by parts
    --what commands  --help (at most 0.5 s) and report of a stored run (at most
                     60 s for 20 methods), against what merely starts
    """
    _refuse_misfits(what, names, run_name, out, save)
    repeats = repeats or _REPEATS.get(what, _USUAL_REPEATS)
    if what == "commands":
        _show(what, _measure_commands(results, run_name, repeats), as_json, out)
        return
    entries, lost = select_methods(names or _METHODS.get(what, "table1"), plugin)
    from benchmark.runner.context import configure_torch, resolve_device

    options = {"data.folder": data, "train.device": device, "train.batch_size": batch_size}
    config = make_config(preset, options, [*_without_downloads(), *(assignments or [])])
    configure_torch(config)  # refuses a device that is not there, or cannot do what is asked of it
    kind = resolve_device(config.train.device).type
    if batch_size is None and not any(a.startswith("train.batch_size=") for a in assignments or []):
        config = config.model_copy(update={"train": config.train.model_copy(update={"batch_size": _BATCH[kind]})})
    rows = _measure(what, entries, config, plugin or [], plates or _PLATES[what], repeats)
    _show(what, rows, as_json, out)
    if save:
        from benchmark.perf.tables import save as save_rows

        say(save_rows(rows, throughput), error=True)
    for name in lost:
        say(f"unavailable: {name}", error=True)
    if lost or any("error" in row for row in rows):
        sys.exit(1)


def _refuse_misfits(what: str, names: str, run_name: str | None, out: Path | None, save: bool) -> None:
    """Raise UserError for options that do not go together, before anything is measured."""
    if what not in _SUBJECTS:
        raise UserError(f"nothing called {what!r} to measure (known: {', '.join(_SUBJECTS)})")
    if save and what != "steps":
        raise UserError("--save is for training steps: leave --what out")
    if names and what not in ("steps", "memory"):
        raise UserError("--methods is for --what steps and memory: leave it out")
    if run_name is not None and what != "commands":
        raise UserError("--run is for --what commands: leave it out")
    if out is not None and (out.is_dir() or not out.parent.is_dir()):
        raise UserError(f"cannot write {out}: name a file in a folder that is there with --out")


def _without_downloads() -> list[str]:
    import methods

    families = {methods.get(name).family for name in methods.names()}
    return [assignment for family, assignment in _RANDOM.items() if family in families]


def _measure(
    what: str, entries: list[Registration], config: Config, plugins: list[Path], plates: int, repeats: int
) -> list[dict[str, Any]]:
    if what == "steps":
        from benchmark.perf.suite import Request, measure_methods

        requests = [Request(entry.name, config, tuple(plugins), repeats, plates) for entry in entries]
        rows = []
        for row in measure_methods(requests):
            outcome = row.get("error") or (f"{row['step_ms']:.2f} ms a step" if "step_ms" in row else "does not train")
            say(f"{row['method']:<28}{cell(outcome)}", error=True)
            rows.append(row)
        return rows
    if what == "memory":
        from benchmark.perf import memory

        return memory.measure([entry.name for entry in entries], config, plates, repeats)
    if what == "prepare":
        from benchmark.perf import prepare

        return prepare.measure(config.data.folder, plates, repeats)
    from benchmark.perf import scoring

    return scoring.measure(config, plates, repeats)


def _measure_commands(results: Path, run_name: str | None, repeats: int) -> list[dict[str, Any]]:
    from benchmark.perf.commands import measure
    from benchmark.results.store import find_run

    try:
        run = find_run(results, run_name)
    except UserError as error:
        if run_name is not None:
            raise
        say(f"report is not measured: {error}", error=True)
        run = None
    return measure(run, repeats, partial(say, error=True))


def _show(what: str, rows: list[dict[str, Any]], as_json: bool, out: Path | None) -> None:
    from benchmark.perf.tables import commands_table, plain_table, steps_table
    from benchmark.util.files import write_text

    text = json.dumps(rows, indent=1, ensure_ascii=False)
    if out is not None:
        write_text(out, text + "\n")
    table = {"steps": steps_table, "commands": commands_table}.get(what, plain_table)
    say(text if as_json else table(rows))
