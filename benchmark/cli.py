"""The command line: parse, call, print. Imports of weight live inside the commands, so that
``--help`` answers at once.

Exit codes: 0 all well, 1 a method was lost, 2 bad input, 130 / 143 stopped by Ctrl-C / SIGTERM.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from benchmark.errors import UserError, first_line

if TYPE_CHECKING:
    from benchmark.config import Config
    from benchmark.readers.training import Kind
    from methods import Registration

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="A reproducible benchmark of x8 license-plate super-resolution.",
)
data_app = typer.Typer(no_args_is_help=True, help="Look at, prepare and make plates.")
app.add_typer(data_app, name="data")

Results = Annotated[Path, typer.Option("--results", help="Folder of runs.")]
RunName = Annotated[Optional[str], typer.Option("--run", help="Name of the run in the results folder.")]
Preset = Annotated[str, typer.Option("--preset", help="quick, standard or paper.")]
Folder = Annotated[Optional[Path], typer.Option("--data", help="A CCPD folder. Default: synthetic plates.")]
Protocol = Annotated[Optional[str], typer.Option("--protocol", help="disjoint or paper.")]
Assignments = Annotated[
    Optional[list[str]], typer.Option("--set", metavar="SECTION.FIELD=VALUE", help="Any field of the configuration.")
]
Plugins = Annotated[Optional[list[Path]], typer.Option("--plugin", help="A Python file that registers methods.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Names = Annotated[str, typer.Option("--methods", help="Names or groups, separated by commas.")]


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        app()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)


@app.command()
def run(
    names: Names = "all",
    preset: Preset = "quick",
    data: Folder = None,
    protocol: Protocol = None,
    seeds: Annotated[Optional[int], typer.Option(help="Trainings per method.")] = None,
    iterations: Annotated[Optional[int], typer.Option(help="Optimiser iterations of every method.")] = None,
    batch_size: Annotated[Optional[int], typer.Option(help="Patches per iteration.")] = None,
    device: Annotated[Optional[str], typer.Option(help="auto, cpu, cuda or cuda:N.")] = None,
    ocr: Annotated[Optional[str], typer.Option(help="Judge of readability: rapid, paddle or none.")] = None,
    results: Results = Path("results"),
    run_name: RunName = None,
    plugin: Plugins = None,
    executor: Annotated[str, typer.Option(help="Where jobs run: local (this process, one by one).")] = "local",
    assignments: Assignments = None,
) -> None:
    """Train and score methods; what is there already is kept, what was stopped goes on."""
    from benchmark.session import Interrupted
    from benchmark.store import Run, check_writable, exclusive

    if executor != "local":
        raise UserError(f"no executor {executor!r} (known: local)")
    options = {
        "data.folder": data,
        "data.protocol": protocol,
        "train.seeds": seeds,
        "train.iterations": iterations,
        "train.batch_size": batch_size,
        "train.device": device,
        "scoring.ocr": ocr,
    }
    entries, lost = _select(names, plugin)
    config = _config(preset, options, assignments)
    folder = results / (run_name or _run_name(config))
    check_writable(folder)
    from benchmark.jobs import run_jobs

    try:
        with exclusive(folder):
            failed = run_jobs(config, entries, Run(folder))
    except Interrupted as stopped:
        sys.exit(128 + (stopped.args[0] or signal.SIGINT))
    print(f"results: {folder}")
    for name in lost:
        print(f"unavailable: {name}", file=sys.stderr)
    if failed:
        print(f"failed: {', '.join(failed)} (see error.txt in its folder)", file=sys.stderr)
    if lost or failed:
        sys.exit(1)


@app.command()
def report(
    results: Results = Path("results"),
    run_name: RunName = None,
    only: Annotated[Optional[str], typer.Option(help="Names of tables and figures, separated by commas.")] = None,
    list_names: Annotated[bool, typer.Option("--list", help="List what can be drawn.")] = False,
    allow_mixed: Annotated[bool, typer.Option(help="Show results of different budgets or data together.")] = False,
) -> None:
    """Draw Table 1 and the figures of a run into its folder."""
    from benchmark.store import find_run
    from paper_figures import report as pages

    if list_names:
        print("\n".join(pages.names()))
        return
    pages.show(pages.build(find_run(results, run_name), only.split(",") if only else None, allow_mixed=allow_mixed))


@app.command("methods")
def list_methods(plugin: Plugins = None, as_json: AsJson = False) -> None:
    """List the methods that can be run."""
    import methods

    for path in plugin or []:
        _load_plugin(path)
    rows: list[dict[str, Any]] = []
    for name in methods.names():
        entry = methods.get(name)
        rows.append(
            {
                "name": name,
                "title": entry.title,
                "groups": list(entry.groups),
                "parameters": entry.parameters(),
                "paper_parameters": entry.method.paper_parameters,
                "citation": entry.method.citation,
                "available": True,
            }
        )
    for name, reason in methods.unavailable().items():
        absent = dict.fromkeys(["parameters", "paper_parameters", "citation"])
        rows.append({"name": name, "title": name, "groups": [], **absent, "available": False, "reason": reason})
    if as_json:
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    print(f"{'name':<16}{'parameters':>12}{'paper':>9}  groups")
    for row in rows:
        ours, paper = ("" if row[k] is None else f"{row[k]:,}" for k in ("parameters", "paper_parameters"))
        text = ", ".join(row["groups"]) if row["available"] else f"unavailable: {row['reason']}"
        print(f"{row['name']:<16}{ours:>12}{paper:>12}  {text}")


@app.command()
def validate(names: Names, plugin: Plugins = None, assignments: Assignments = None) -> None:
    """Check that methods keep the contract: sizes, range, training, weights, resume."""
    from methods.contract import CHECKS

    entries, lost = _select(names, plugin)
    config = _config("quick", {}, assignments)
    broken = 0
    for entry in entries:
        for check, run_check in CHECKS.items():
            try:
                run_check(lambda entry=entry: entry.create(config.options(entry.family)))  # type: ignore[misc]
            except Exception as error:  # whatever a method raises, the other checks say more
                broken += 1
                print(f"{entry.name:<18}{check:<10}BROKEN: {first_line(error)}")
            else:
                print(f"{entry.name:<18}{check:<10}kept")
    for name in lost:
        print(f"unavailable: {name}", file=sys.stderr)
    if broken or lost:
        sys.exit(1)


@app.command()
def search(
    method: Annotated[str, typer.Argument(help="Name of the method.")],
    trials: Annotated[list[str], typer.Option("--try", metavar="FAMILY.OPTION=VALUE,VALUE", help="Values to try.")],
    preset: Preset = "quick",
    data: Folder = None,
    seeds: Annotated[Optional[int], typer.Option(help="Trainings per combination.")] = None,
    iterations: Annotated[Optional[int], typer.Option(help="Optimiser iterations of every training.")] = None,
    device: Annotated[Optional[str], typer.Option(help="auto, cpu, cuda or cuda:N.")] = None,
    results: Results = Path("results"),
    run_name: RunName = None,
    plugin: Plugins = None,
    assignments: Assignments = None,
) -> None:
    """Choose options of a method on validation plates; test plates are not touched."""
    from benchmark.search import search as run_search
    from benchmark.search import summary
    from benchmark.session import Interrupted
    from benchmark.store import check_writable, exclusive

    (entry,), _ = _select(method, plugin)
    options = {"data.folder": data, "train.seeds": seeds, "train.iterations": iterations, "train.device": device}
    given = [f"{field}={value}" for field, value in options.items() if value is not None]
    config = _config(preset, options, assignments)
    folder = results / (run_name or f"search-{method}-{_run_name(config)}")
    check_writable(folder)
    try:
        with exclusive(folder):
            record = run_search(entry, preset, [*given, *(assignments or [])], trials, folder)
    except Interrupted as stopped:
        sys.exit(128 + (stopped.args[0] or signal.SIGINT))
    print(summary(record).to_string(index=False, float_format="%.3f"))
    print(f"record: {folder / 'search.csv'}")


@app.command()
def upscale(
    result: Annotated[Path, typer.Argument(help="Folder of a finished result: results/RUN/METHOD/seedK.")],
    images: Annotated[list[Path], typer.Argument(help="Low-resolution pictures.")],
    out: Annotated[Path, typer.Option(help="Folder for the upscaled pictures.")] = Path("upscaled"),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    plugin: Plugins = None,
) -> None:
    """Upscale pictures eight times with a trained method."""
    for path in plugin or []:
        _load_plugin(path)
    from benchmark.setting import resolve_device
    from benchmark.trained import load_method, upscale_file

    method = load_method(result, resolve_device(device))
    for path in images:
        print(upscale_file(method, path, out))


@app.command()
def status(results: Results = Path("results"), run_name: RunName = None, as_json: AsJson = False) -> None:
    """Say what a run holds: complete, failed and unfinished results."""
    from benchmark.store import find_run

    found = find_run(results, run_name)
    rows = found.status()
    if as_json:
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    print(found.folder)
    for row in rows:
        print(f"{row['method']:<18}seed {row['seed']:<3}{row['status']:<12}{row['detail']}")


@app.command()
def doctor() -> None:
    """Say what this machine has of what the benchmark can use."""
    from benchmark.doctor import examine

    for name, finding in examine():
        print(f"{name:<18}{finding}")


@data_app.command("prepare")
def data_prepare(
    folder: Annotated[Path, typer.Argument(help="A CCPD folder.")],
    preset: Preset = "standard",
    protocol: Protocol = None,
    results: Results = Path("results"),
    assignments: Assignments = None,
) -> None:
    """Decode the plates a preset needs into one file, so that runs start at once."""
    from benchmark.setting import prepare_plates

    config = _config(preset, {"data.folder": folder, "data.protocol": protocol}, assignments)
    plates, _ = prepare_plates(config, results, print)
    print(f"{plates.folder}: {json.dumps(plates.info)}")


@data_app.command("verify")
def data_verify(folder: Annotated[Path, typer.Argument(help="A CCPD folder.")], as_json: AsJson = False) -> None:
    """Count pictures, plates, repetitions and files that cannot be used."""
    from benchmark.data.verify import describe, verify

    facts = verify(folder)
    print(json.dumps(facts, indent=1, ensure_ascii=False) if as_json else describe(facts))


@data_app.command("synthesize")
def data_synthesize(
    out: Annotated[Path, typer.Argument(help="Folder to write to.")],
    plates: Annotated[int, typer.Option(min=1, help="How many plates.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same bytes.")] = 0,
) -> None:
    """Draw a CCPD-named folder of synthetic plates."""
    from benchmark.data.synthetic import synthesize
    from benchmark.store import check_writable

    check_writable(out)
    print(synthesize(out, plates, seed))


@data_app.command("embedder")
def data_embedder(
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    iterations: Annotated[Optional[int], typer.Option(min=1, help="Optimiser iterations.")] = None,
    plates: Annotated[Optional[int], typer.Option(min=1, help="Synthetic plates to draw.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Train anew what is there already.")] = False,
) -> None:
    """Train a ResNet-18 to read synthetic plates: the initialisation `plates` of embedders (minutes on a GPU)."""
    from benchmark.readers.training import EMBEDDER, embedder_path

    _train_reader(EMBEDDER, embedder_path(), device, iterations, plates, force)


@data_app.command("reader")
def data_reader(
    out: Annotated[Path, typer.Argument(help="File to write: NAME.safetensors.")],
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    iterations: Annotated[Optional[int], typer.Option(min=1, help="Optimiser iterations.")] = None,
    plates: Annotated[Optional[int], typer.Option(min=1, help="Synthetic plates to draw.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Train anew what is there already.")] = False,
) -> None:
    """Train the network of the judge `crnn` anew (the package brings its weights along)."""
    from benchmark.readers.training import READER

    _train_reader(READER, out, device, iterations, plates, force)


def _train_reader(kind: Kind, out: Path, device: str, iterations: int | None, plates: int | None, force: bool) -> None:
    """Train a network that reads plates, with what the options change of its recipe."""
    from dataclasses import replace

    from benchmark.readers.training import train
    from benchmark.setting import resolve_device

    changed = {k: v for k, v in (("iterations", iterations), ("plates", plates)) if v is not None}
    print(train(kind, out, resolve_device(device), recipe=replace(kind.recipe, **changed), force=force))


def _select(names: str, plugins: list[Path] | None) -> tuple[list[Registration], list[str]]:
    """Registrations of a comma-separated list of names and groups, and what is unavailable of it."""
    import methods

    for path in plugins or []:
        _load_plugin(path)
    entries: dict[str, Registration] = {}
    lost: dict[str, str] = {}
    for token in filter(None, (t.strip() for t in names.split(","))):
        if token in methods.groups():
            entries.update({name: methods.get(name) for name in methods.names(token)})
            lost.update(methods.unavailable() if token == "all" else {})
        elif token in methods.unavailable():
            lost[token] = methods.unavailable()[token]
        else:
            try:
                entries[token] = methods.get(token)
            except methods.UnknownMethod as error:
                raise UserError(str(error)) from None
    if not entries:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in lost.items())
        raise UserError(f"no method to run{': ' + reasons if reasons else ''}")
    return list(entries.values()), [f"{name}: {reason}" for name, reason in lost.items()]


def _load_plugin(path: Path) -> None:
    import methods

    if not path.is_file():
        raise UserError(f"no plug-in file {path}")
    methods.load_plugin(path)


def _config(preset: str, options: dict[str, Any], assignments: list[str] | None) -> Config:
    from benchmark.config import load

    given = [f"{field}={value}" for field, value in options.items() if value is not None]
    return load(preset, [*given, *(assignments or [])])


def _run_name(config: Config) -> str:
    """Default name of a run: preset, data and, if it is not the default one, protocol."""
    data = config.data.folder.resolve().name if config.data.folder else "synthetic"
    return f"{config.preset}-{data}" + ("" if config.data.protocol == "disjoint" else f"-{config.data.protocol}")
