"""From a run to a folder of weights that others can use: see :mod:`benchmark.results.shipped`."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

import methods
from benchmark.data.plates import BadPack, Plates, open_pack
from benchmark.results import packs
from benchmark.results.identity import stored_versions
from benchmark.results.provenance import without_folders
from benchmark.results.shipped import INDEX, Index, Rate, ShippedWeights, WeightsFile
from benchmark.results.store import Result, Run
from benchmark.results.trained import BadWeights, make, read_weights
from benchmark.scoring.metrics import psnr
from benchmark.scoring.upscaling import PlateBatches, upscale_plates
from benchmark.util.errors import UserError, amount, first_line, writing
from benchmark.util.files import checksum, refuse_links, write_bytes, write_text
from methods import Method

MOVED_DB = 0.01
"""How far the median PSNR may move for weights to be stored in half precision, dB."""
WEIGHTS = "weights.safetensors"

Mistakes = Callable[[Result], dict[str, Rate]]
"""How often the OCR engines misread a result's test plates and are sure of it, by engine."""


def export(
    run: Run,
    folder: Path,
    names: Collection[str] | None,
    limit: int,
    device: torch.device,
    mistakes: Mistakes,
    say: Callable[[str], None],
) -> tuple[Index, list[Result]]:
    """Write the weights of the trained methods ``names`` of a run (None: all), seed 0, and their index into
    ``folder``.

    A file is in half precision where the median PSNR of the run's test plates stays within :data:`MOVED_DB`; without
    those plates it is in fp32. Of a method whose file would be larger than ``limit`` bytes only the index speaks.
    Returns the index and the results it is about. Raises UserError where nothing can be exported.
    """
    refuse_links(folder)
    trained = [
        result
        for result in run.results()
        if result.complete and not result.seed and result.record.parameters
        if names is None or result.method in names
    ]
    order = methods.names()  # of tables
    trained.sort(key=lambda result: order.index(result.method) if result.method in order else len(order))
    if trained and _test_plates(trained[0]) is None:
        where = "neither beside it nor in its data.cache"
        say(f"the pack of the run's plates is {where}: no weights can be tested in half precision")
    results, entries = [], []
    for result in trained:
        try:
            method = _method(result)
        except (BadWeights, methods.UnknownMethod) as error:
            say(f"{result.method:<28}left out: {first_line(error)}")
            continue
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        file = _file(result, method, folder, limit, device)
        entries.append(_entry(result, file, mistakes(result)))
        results.append(result)
        say(f"{result.method:<28}{_summary(file, limit)}")
    if not entries:
        wanted = f" of {', '.join(sorted(names))}" if names else ""
        raise UserError(f"{run.folder} holds no weights{wanted} of seed 0 that can be exported")
    commit = next((result.record.provenance.commit for result in results), None)
    index = Index.model_validate({"schema": 1, "run": run.folder.resolve().name, "commit": commit, "methods": entries})
    _remove_others(folder, index)
    text = json.dumps(index.as_dict(), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(folder / INDEX, text + "\n")
    return index, results


def _method(result: Result) -> Method:
    """The method with the weights that were scored. Raises BadWeights."""
    entry, versions = methods.get(result.method), stored_versions(result.record)
    if versions is None or versions.method != entry.version or versions.plugin is not None:
        raise BadWeights("made with another version of the method, or of a plug-in")
    if not (result.folder / WEIGHTS).exists():
        raise BadWeights(f"{WEIGHTS} is not there")
    if result.changed(WEIGHTS):
        raise BadWeights(f"{WEIGHTS} is not as it was stored")
    method = make(entry, result.record.options)
    method.load_weights(read_weights(method, result.folder / WEIGHTS))
    return method


def _file(result: Result, method: Method, folder: Path, limit: int, device: torch.device) -> WeightsFile | None:
    """The smallest file that scores as the weights do, written; None where it would be larger than ``limit``."""
    weights = {name: value.clone().contiguous() for name, value in method.weights().items()}
    for precision in ("fp16", "fp32"):
        stored = {name: _halved(value) for name, value in weights.items()} if precision == "fp16" else weights
        content = save(stored)
        if len(content) > limit:
            continue
        moved = _moved(result, method, stored, device) if precision == "fp16" else 0.0
        if moved is not None and moved <= MOVED_DB:
            path = folder / f"{result.method}.safetensors"
            write_bytes(path, content)
            facts = {"name": path.name, "precision": precision, "moved_db": round(moved, 6), **checksum(path)}
            return WeightsFile.model_validate(facts)
    return None


def _halved(value: Tensor) -> Tensor:
    return value.half() if value.dtype is torch.float32 else value


def _moved(result: Result, method: Method, stored: dict[str, Tensor], device: torch.device) -> float | None:
    """How far the median PSNR of the test plates moves with the ``stored`` weights; None where they overflow, or the
    plates are not at hand."""
    plates = _test_plates(result)
    if plates is None or not all(torch.isfinite(value).all() for value in stored.values()):
        return None
    method.load_weights({name: value.to(own.dtype) for (name, value), own in
                         zip(stored.items(), method.weights().values())})  # fmt: skip
    batches = PlateBatches(plates, device, result.record.config.scoring.inference == "patches")
    images = upscale_plates(method.to(device).upscale, batches)
    now = [psnr(image, plates[index].hr) for index, image in enumerate(images)]
    return float(abs(np.median(now) - result.plates()["psnr"].median()))


def _test_plates(result: Result) -> Plates | None:
    """The plates that the result was scored on, where their pack is found."""
    place = packs.find(Run(result.folder.parent.parent), result.record, result.record.data.fingerprint)
    try:
        return None if place is None else open_pack(place).split("test")
    except BadPack as error:
        raise UserError(f"the pack {place} is damaged ({first_line(error)}): remove it") from None


def _entry(result: Result, file: WeightsFile | None, mistakes: dict[str, Rate]) -> ShippedWeights:
    record, versions = result.record, stored_versions(result.record)
    assert versions is not None, "checked before"
    return ShippedWeights(
        method=record.method,
        title=record.title,
        seed=record.seed,
        version=versions.method or 1,
        options=record.options,
        parameters=record.parameters or 0,
        citation=record.citation,
        identity=record.identity,
        trained_sha256=str(checksum(result.folder / WEIGHTS)["sha256"]),
        data=record.data,
        train=record.config.train,
        iterations=record.iterations,
        best_iteration=record.best_iteration,
        selected_as=record.selected_as,
        scores=record.scores.best,
        confidently_wrong=mistakes,
        command=without_folders(record.provenance.command, words=True),
        file=file,
    )


def _summary(file: WeightsFile | None, limit: int) -> str:
    if file is None:
        return f"not shipped: more than {amount(limit)}"
    moved = f", median PSNR moved by {file.moved_db:.4f} dB" if file.precision == "fp16" else ""
    return f"{file.precision}, {amount(file.size)}{moved}"


def _remove_others(folder: Path, index: Index) -> None:
    """Remove weights of an earlier export that the index does not name."""
    named = {entry.file.name for entry in index.methods if entry.file}
    for path in folder.glob("*.safetensors"):
        if path.name not in named:
            path.unlink()
