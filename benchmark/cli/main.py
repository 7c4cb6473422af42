"""The command line: parse, call, print. Heavy imports are inside the commands, so that ``--help`` answers at once.

Exit codes: 0 all well, 1 a method was lost, 2 bad input, 130 / 143 stopped by Ctrl-C / SIGTERM.
"""

from __future__ import annotations

import json
import signal
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from benchmark.cli.bundle import bundle, leaderboard
from benchmark.cli.config import config
from benchmark.cli.data import data_app
from benchmark.cli.methods import list_methods, validate
from benchmark.cli.options import (
    AsJson,
    Assignments,
    Device,
    Folder,
    FollowLinks,
    Names,
    NewRunName,
    Plugins,
    Preset,
    Protocol,
    Results,
    RunName,
    as_assignments,
    default_run_name,
    make_config,
    need_plugins,
    select_methods,
)
from benchmark.cli.perf import perf
from benchmark.cli.report import report
from benchmark.cli.score import score
from benchmark.cli.upscale import upscale
from benchmark.cli.verify import verify
from benchmark.cli.weights import weights_app
from benchmark.util.errors import CannotWrite, UserError, exit_code, fault_of_place, few
from benchmark.util.terminal import cell, say
from benchmark.util.version import PACKAGE
from benchmark.util.version import version as installed_version

if TYPE_CHECKING:
    from methods import Registration

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="A reproducible benchmark of x8 license-plate super-resolution.",
    epilog="To begin: `python -m benchmark run --methods all`, then `python -m benchmark report`.",
)


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        app()
    except (UserError, CannotWrite) as error:
        say(f"error: {error}", error=True)
        sys.exit(exit_code(error))
    except OSError as error:
        if fault_of_place(error) is None:
            raise
        say(f"error: {': '.join(filter(None, (error.filename, error.strerror)))}", error=True)
        sys.exit(1)
    except KeyboardInterrupt:
        say("stopped", error=True)
        sys.exit(128 + signal.SIGINT)


def _show_version(asked: bool) -> None:
    if asked:
        say(f"{PACKAGE} {installed_version()}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """What stands before a command."""


def _too_short_for(preset: str, names: str, entries: list[Registration]) -> list[str]:
    """A line on the methods that the preset leaves out of ``all``, where any are left out."""
    from benchmark.config import all_without

    chosen = {entry.name for entry in entries}
    left_out = [name for name in all_without(preset) if "all" in names.split(",") and name not in chosen]
    words = f"{preset} is too short for {few(left_out)}: `all` leaves them out, and their names train them all the same"
    return [words] if left_out else []


def _remove_empty(*folders: Path) -> None:
    """Remove folders that hold nothing, each before the one that it lies in."""
    with suppress(OSError):  # the first that holds something ends it
        for folder in folders:
            if folder.exists():
                folder.rmdir()


@app.command()
def run(
    names: Names = "all",
    preset: Preset = "quick",
    data: Folder = None,
    protocol: Protocol = None,
    follow_links: FollowLinks = False,
    seeds: Annotated[Optional[int], typer.Option(help="Trainings per method, with seeds 0, 1, ….")] = None,
    iterations: Annotated[Optional[int], typer.Option(help="Optimiser iterations of every method.")] = None,
    batch_size: Annotated[Optional[int], typer.Option(help="Patches per iteration.")] = None,
    warm_start: Annotated[
        Optional[str],
        typer.Option(
            metavar="reference", help="Start from the weights that the project ships, on top of their budget."
        ),
    ] = None,
    device: Device = "auto",
    ocr: Annotated[Optional[str], typer.Option(help="OCR engine: rapid, hyperlpr, paddle, crnn or none.")] = None,
    results: Results = Path("results"),
    run_name: NewRunName = None,
    plugin: Plugins = None,
    executor: Annotated[str, typer.Option(help="What runs the jobs: local (this machine), slurm or ray.")] = "local",
    workers: Annotated[
        Optional[int],
        typer.Option(
            min=1,
            help="Processes that share the jobs of this machine. Default: PLATE_SR_WORKERS, or one a CUDA device, or on"
            " CPU one a core.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be started, and start nothing.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="With slurm: stay until all jobs have ended.")] = False,
    assignments: Assignments = None,
) -> None:
    """Train and score methods. Stored results are kept, and what was stopped goes on.

    Several processes may share the work of one run; their commands may differ in --methods, --seeds and --device.
    """
    from benchmark.config import all_without
    from benchmark.results.find_runs import run_folder
    from benchmark.results.store import LOCKS, check_writable
    from benchmark.training.session import Interrupted

    options = {
        "data.folder": data,
        "data.protocol": protocol,
        "data.follow_links": follow_links or None,
        "train.seeds": seeds,
        "train.iterations": iterations,
        "train.batch_size": batch_size,
        "train.warm_start": warm_start,
        "train.device": device,
        "scoring.ocr": ocr,
    }
    entries, lost = select_methods(names, plugin, without=all_without(preset))
    config = make_config(preset, options, assignments, entries)
    folder = run_folder(results, run_name or default_run_name(config, results))
    short = _too_short_for(preset, names, entries)
    from benchmark.runner import requirements
    from benchmark.runner.executors import engines
    from benchmark.runner.executors.order import WorkOrder

    engine = engines.make(executor, workers, wait)
    engine.check(config)
    order = WorkOrder.make(config, entries, plugin or [], folder, named=run_name is not None)
    if dry_run:
        say("\n".join([engine.describe(order), *short]))
        return
    requirements.check(order, here=executor == "local")
    new = [place for place in (folder, *folder.parents) if not place.exists()]
    check_writable(folder)
    try:
        outcome = engine.run(order)
    except UserError:
        if new:
            _remove_empty(folder / LOCKS, *new)
        raise
    except Interrupted as stopped:
        sys.exit(128 + (stopped.args[0] or signal.SIGINT))
    from benchmark.runner.outlook import outlook

    for line in [*short, *outlook(order.run, config, entries)]:
        say(line)
    say(f"results: {folder}")
    for name in lost:
        say(f"unavailable: {name}", error=True)
    if outcome.failed:
        say(f"failed: {', '.join(outcome.failed)} (see error.txt in its folder)", error=True)
    if lost or outcome.failed:
        sys.exit(1)


app.command()(report)


@app.command()
def status(results: Results = Path("results"), run_name: RunName = None, as_json: AsJson = False) -> None:
    """Say what a run holds, and what is being worked on.

    Results are complete, failed, unfinished (stopped on the way) or unreadable; while processes are at work in the run,
    what they compute is running and what they have yet to do is pending.
    """
    from benchmark.results.find_runs import find_run
    from benchmark.runner.status import status_rows

    run = find_run(results, run_name)
    rows = status_rows(run)
    if as_json:
        say(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    say(run.folder)
    for row in rows:
        say(f"{row['method']:<28}seed {row['seed']:<3}{row['status']:<12}{cell(row['detail'])}".rstrip())
    say(", ".join(f"{count} {status}" for status, count in Counter(row["status"] for row in rows).items()))


@app.command()
def cancel(results: Results = Path("results"), run_name: RunName = None) -> None:
    """End the Slurm jobs of a run. Those that train write a checkpoint, and the command `run` goes on from there."""
    from benchmark.results.find_runs import find_run
    from benchmark.runner.executors import slurm_queue

    ended = slurm_queue.cancel(find_run(results, run_name))
    say(f"cancelled: {', '.join(ended)}" if ended else "no job of this run waits or runs")


app.command()(score)


app.command()(verify)


app.command()(bundle)


app.command()(leaderboard)


app.command("methods")(list_methods)


app.command("config")(config)


app.command()(validate)


@app.command()
def search(
    method: Annotated[str, typer.Argument(help="Name of the method.")],
    trials: Annotated[list[str], typer.Option("--try", metavar="FAMILY.OPTION=VALUE,VALUE", help="Values to try.")],
    preset: Preset = "quick",
    data: Folder = None,
    seeds: Annotated[Optional[int], typer.Option(help="Trainings per combination.")] = None,
    iterations: Annotated[Optional[int], typer.Option(help="Optimiser iterations of every training.")] = None,
    device: Device = "auto",
    results: Results = Path("results"),
    run_name: NewRunName = None,
    plugin: Plugins = None,
    assignments: Assignments = None,
) -> None:
    """Choose options of a method on validation plates. Test plates are not touched."""
    from benchmark.results.find_runs import run_folder
    from benchmark.results.store import check_writable
    from benchmark.runner.search import search as run_search
    from benchmark.runner.search import summary
    from benchmark.training.session import Interrupted
    from benchmark.util.locks import hold

    need_plugins(plugin)
    entries, _ = select_methods(method, None)
    if len(entries) != 1:
        raise UserError(f"search takes one method, and {method!r} is {len(entries)}: name one of them")
    options = {"data.folder": data, "train.seeds": seeds, "train.iterations": iterations, "train.device": device}
    config = make_config(preset, options, assignments, entries)
    folder = run_folder(results, run_name or default_run_name(config, results, f"search-{method}-"))
    check_writable(folder)
    try:
        with hold(folder / ".lock"):
            record = run_search(entries[0], preset, as_assignments(options, assignments), trials, folder)
    except Interrupted as stopped:
        sys.exit(128 + (stopped.args[0] or signal.SIGINT))
    say(summary(record).to_string(index=False, float_format="%.3f"))
    say(f"record: {folder / 'search.csv'}")


app.command()(upscale)


app.command()(perf)


@app.command()
def doctor() -> None:
    """Say what this machine has of what the benchmark can use."""
    from benchmark.cli.doctor import examine

    for name, finding in examine():
        say(f"{name:<20}{finding}")


app.add_typer(data_app, name="data")
app.add_typer(weights_app, name="weights")
