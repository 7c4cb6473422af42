"""The commands about plates: ``python -m benchmark data ...``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from benchmark.cli_options import AsJson, Assignments, Preset, Protocol, Results, make_config
from benchmark.terminal import say

if TYPE_CHECKING:
    from benchmark.readers.training import Kind

data_app = typer.Typer(no_args_is_help=True, help="Look at, prepare and make plates, and the networks that read them.")


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

    config = make_config(preset, {"data.folder": folder, "data.protocol": protocol}, assignments)
    plates, _ = prepare_plates(config, results, say)
    say(f"{plates.folder}: {json.dumps(plates.info)}")


@data_app.command("verify")
def data_verify(
    folder: Annotated[Path, typer.Argument(help="A CCPD folder, or a pack; with --names, also a list of names.")],
    names: Annotated[bool, typer.Option("--names", help="Go by names alone: open no picture.")] = False,
    preset: Preset = "standard",
    protocol: Protocol = None,
    assignments: Assignments = None,
    as_json: AsJson = False,
) -> None:
    """Count pictures, plates, files that cannot be used, and what the splits of a preset know of each other."""
    from benchmark.data.splits import Counts
    from benchmark.data.verify import PROTOCOLS, describe, verify, verify_names

    if (folder / "pack.json").is_file() and not names:
        _verify_pack(folder, as_json)
        return
    data = make_config(preset, {"data.protocol": protocol}, assignments).data
    counts = Counts(data.train_plates, data.val_plates, data.test_plates)
    chosen = any(a.partition("=")[0].strip() == "data.protocol" for a in assignments or [])
    protocols = PROTOCOLS if protocol is None and not chosen else (data.protocol,)
    facts = (verify_names if names else verify)(folder, counts, data.seed, protocols)
    say(json.dumps(facts, indent=1, ensure_ascii=False) if as_json else describe(facts))


def _verify_pack(folder: Path, as_json: bool) -> None:
    from benchmark.data.verify import verify_pack

    problems = verify_pack(folder)
    if as_json:
        say(json.dumps({"pack": str(folder), "problems": problems}, indent=1, ensure_ascii=False))
    else:
        say("\n".join(problems) or f"{folder}: all plates are those of its fingerprint")
    if problems:
        raise typer.Exit(1)


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
    say(synthesize(out, plates, seed))


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
    say(train(kind, out, resolve_device(device), recipe=replace(kind.recipe, **changed), force=force))
