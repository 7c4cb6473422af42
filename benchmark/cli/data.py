"""The commands about plates: ``python -m benchmark data ...``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from benchmark.cli.options import (
    Again,
    AsJson,
    Assignments,
    Device,
    DrawnPlates,
    FollowLinks,
    Preset,
    PretrainingIterations,
    Protocol,
    Results,
    TrainingPrecision,
    make_config,
    path_option,
)
from benchmark.util.errors import CannotWrite, UserError, amount
from benchmark.util.terminal import cell, say

if TYPE_CHECKING:
    from benchmark.config import Config
    from benchmark.ocr.pretraining.trainer import Kind

_LISTED = 20

data_app = typer.Typer(no_args_is_help=True, help="Look at, prepare and draw plates; list packs; train readers.")


@data_app.command("prepare")
def data_prepare(
    folder: Annotated[Path, typer.Argument(help="A CCPD folder, or one with a plates.csv.")],
    preset: Preset = "standard",
    protocol: Protocol = None,
    follow_links: FollowLinks = False,
    results: Results = Path("results"),
    assignments: Assignments = None,
) -> None:
    """Decode the plates of a preset into one file. Runs then start at once."""
    from benchmark.runner.context import prepare_plates

    config = make_config(
        preset,
        {"data.folder": folder, "data.protocol": protocol, "data.follow_links": follow_links or None},
        assignments,
    )
    plates, _ = prepare_plates(config, results, say)
    say(f"{plates.folder}: {json.dumps(plates.info)}")


@data_app.command("verify")
def data_verify(
    folder: Annotated[
        Path,
        typer.Argument(help="A CCPD folder, one with a plates.csv, or a pack; with --names, also a list of names."),
    ],
    names: Annotated[bool, typer.Option("--names", help="Go by names alone: open no picture.")] = False,
    preset: Preset = "standard",
    protocol: Protocol = None,
    follow_links: FollowLinks = False,
    assignments: Assignments = None,
    as_json: AsJson = False,
) -> None:
    """Count plates, unusable files, and leaks between splits."""
    from benchmark.data.splits import Counts
    from benchmark.data.verify import PROTOCOLS, describe, verify, verify_names

    if (folder / "pack.json").is_file() and not names:
        _verify_pack(folder, as_json)
        return
    config = make_config(preset, {"data.protocol": protocol, "data.follow_links": follow_links or None}, assignments)
    data = config.data
    counts = Counts(data.train_plates, data.val_plates, data.test_plates)
    chosen = any(a.partition("=")[0].strip() == "data.protocol" for a in assignments or [])
    protocols = PROTOCOLS if protocol is None and not chosen else (data.protocol,)
    facts = (verify_names if names else verify)(folder, counts, data.seed, protocols, data.follow_links)
    if facts.get("alphabets"):
        try:
            facts["not_read"] = _not_read(config, folder)
        except UserError as error:  # the plates are as they are without an OCR engine, too
            facts["not_read_unknown"] = str(error)
    say(json.dumps(facts, indent=1, ensure_ascii=False) if as_json else describe(facts))


def _not_read(config: Config, folder: Path) -> dict[str, int]:
    """How many plates of a list each OCR engine cannot write the text of, by the engine's name."""
    from benchmark.data.pictures import scan
    from benchmark.ocr.reading import can_write
    from benchmark.runner.context import make_ocr_engines

    texts = [source.annotation.text for source in scan(folder, config.data.follow_links)[0]]
    engines = [engine for engine in make_ocr_engines(config) if engine is not None]
    counts = {
        engine.describe()["name"]: sum(bool(text) and not can_write(engine, text) for text in texts)
        for engine in engines
    }
    return {name: count for name, count in counts.items() if count}


def _verify_pack(folder: Path, as_json: bool) -> None:
    from benchmark.data.verify import verify_pack

    problems = verify_pack(folder)
    if as_json:
        say(json.dumps({"pack": str(folder), "problems": problems}, indent=1, ensure_ascii=False))
    else:
        say("\n".join(problems) or f"{folder}: all plates are those of its fingerprint")
    if problems:
        raise typer.Exit(1)


@data_app.command("convert")
def data_convert(
    folder: Annotated[Path, typer.Argument(help="The folder of a public data set.", parser=path_option)],
    out: Annotated[Path, typer.Option(help="Folder for the list: plates.csv.", parser=path_option, metavar="FOLDER")],
    name: Annotated[
        Optional[str],
        typer.Option("--format", help="pku, ufpr-sr, rodosol, lrlpr-26, rlpr, xlpsr or ccpd-green. Default: told."),
    ] = None,
    copy: Annotated[bool, typer.Option("--copy", help="Copy the pictures there, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write the list of plates of a public data set. Its pictures stay where they are."""
    from benchmark.data.public.convert import choose, convert

    reader = choose(folder, name)
    plates, odd = convert(folder, reader, out, copy)
    if as_json:
        rows = [{"file": path, "reason": reason} for path, reason in odd]
        say(json.dumps({"format": reader.NAME, "plates": len(plates), "left_out": rows}, indent=1, ensure_ascii=False))
        return
    say(f"{reader.TITLE}: {len(plates):,} plates in {cell(out / 'plates.csv')}; {len(odd):,} left out")
    for path, reason in odd[:_LISTED]:
        say(f"  {cell(path)}: {cell(reason)}")
    if len(odd) > _LISTED:
        say(f"  … and {len(odd) - _LISTED:,} more (--json lists all)")
    if any(source.path.startswith("../") for source in plates):
        say(f"the pictures lie outside {cell(out)}: name it with --follow-links")


@data_app.command("packs")
def data_packs(
    folder: Annotated[
        Optional[Path],
        typer.Argument(parser=path_option, metavar="[FOLDER]", help="Folder of packs. Default: that of --results."),
    ] = None,
    results: Results = Path("results"),
    remove_unused: Annotated[
        bool, typer.Option("--remove-unused", help="Remove those that no result and no process needs.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List packs and who needs them; remove unused ones.

    A pack is made anew when its data or its split changes, and the old one stays. Results refer to packs by their
    content; only those of the runs in --results are asked.
    """
    from benchmark.results.packs import remove, stored

    rows = []
    for item in stored(folder or results / "packs", results):
        removed = remove_unused and item.unused and remove(item)
        rows.append((item, removed))
    if as_json:
        facts = [{**item.as_dict(), "removed": removed} for item, removed in rows]
        say(json.dumps(facts, indent=1, ensure_ascii=False))
        return
    for item, removed in rows:
        use = cell(item.use) + ", removed" * removed
        say(f"{cell(item.folder.name):<44}{amount(item.size):>10}  {item.kind}, {use}")
    whole = sum(item.size for item, _ in rows)
    if remove_unused:
        freed = sum(item.size for item, removed in rows if removed)
        say(f"{amount(freed)} freed, {amount(whole - freed)} left")
    else:
        unused = sum(item.size for item, _ in rows if item.unused)
        say(f"{amount(whole)} in all, {amount(unused)} of it unused" + ": --remove-unused removes it" * bool(unused))


@data_app.command("synthesize")
def data_synthesize(
    out: Annotated[Path, typer.Argument(help="Folder to write to.")],
    plates: Annotated[int, typer.Option(min=1, help="How many plates.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same bytes.")] = 0,
) -> None:
    """Draw a CCPD-named folder of synthetic plates."""
    from benchmark.data.synthetic.generator import synthesize
    from benchmark.results.store import check_writable

    check_writable(out)
    try:
        say(synthesize(out, plates, seed))
    except CannotWrite as error:
        error.option = "the argument OUT"
        raise


@data_app.command("embedder")
def data_embedder(
    device: Device = "auto",
    iterations: PretrainingIterations = None,
    plates: DrawnPlates = None,
    precision: TrainingPrecision = "fp32",
    force: Again = False,
) -> None:
    """Train the ResNet-18 of embedder_init=plates. It learns to read synthetic plates: minutes on a GPU."""
    from benchmark.ocr.pretraining.trainer import EMBEDDER, embedder_path

    _train_reader(EMBEDDER, embedder_path(), device, iterations, plates, precision, force)


@data_app.command("patch-reader")
def data_patch_reader(
    device: Device = "auto",
    iterations: PretrainingIterations = None,
    plates: DrawnPlates = None,
    precision: TrainingPrecision = "fp32",
    force: Again = False,
) -> None:
    """Train the reader of the loss reader_posteriors. It learns from patches of synthetic plates: minutes on a GPU."""
    from benchmark.ocr.pretraining.trainer import PATCH_READER, patch_reader_path

    _train_reader(PATCH_READER, patch_reader_path(), device, iterations, plates, precision, force)


@data_app.command("reader")
def data_reader(
    out: Annotated[Path, typer.Argument(help="File to write: NAME.safetensors.")],
    device: Device = "auto",
    iterations: PretrainingIterations = None,
    plates: DrawnPlates = None,
    precision: TrainingPrecision = "fp32",
    force: Again = False,
) -> None:
    """Train the OCR engine crnn anew. The package contains its weights."""
    from benchmark.ocr.pretraining.trainer import READER

    _train_reader(READER, out, device, iterations, plates, precision, force)


def _train_reader(
    kind: Kind, out: Path, device: str, iterations: int | None, plates: int | None, precision: str, force: bool
) -> None:
    """Train a network that reads plates, with what the options change of its recipe."""
    from dataclasses import replace

    from benchmark.ocr.pretraining.trainer import train
    from benchmark.runner.context import resolve_device

    asked: dict[str, Any] = {"iterations": iterations, "plates": plates, "precision": precision}
    changed = {name: value for name, value in asked.items() if value is not None}
    say(train(kind, out, resolve_device(device), recipe=replace(kind.recipe, **changed), force=force))
