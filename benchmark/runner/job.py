"""What a job computes: training, scores, and the record of both."""

from __future__ import annotations

import shutil
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image

from benchmark.data.degradation import SCALE
from benchmark.data.plates import Plates
from benchmark.data.training_examples import save_training_examples
from benchmark.ocr.reading import can_write, rectify
from benchmark.results.identity import current_source, current_versions, scoring_source
from benchmark.results.provenance import provenance
from benchmark.results.record import SCHEMA, UPPER_BOUND
from benchmark.results.store import Result, clear, write_result
from benchmark.runner import warm_start
from benchmark.runner.context import RunContext, ScoringContext
from benchmark.runner.facts import common_facts, describe, upper_bound_facts
from benchmark.scoring import plate_scores, upscaling, xlpsr
from benchmark.scoring.cost import macs
from benchmark.training import checkpoint, trainer
from benchmark.training.progress import Progress
from benchmark.util.errors import out_of_memory, writing
from benchmark.util.files import write_text
from methods import Method, Registration


class OutOfMemory(RuntimeError):
    """Memory ran out; the message says what to try."""


@dataclass(frozen=True)
class Scored:
    """The scores of one set of weights: upscaled plates, a row per plate, milliseconds of upscaling per plate."""

    images: list[np.ndarray]
    frame: pd.DataFrame
    milliseconds: float


def create(context: RunContext, entry: Registration) -> Method:
    """A new method as configured, with the weights that its training starts from."""
    return warm_start.create(context.config, entry)


def train_and_score(
    context: RunContext, entry: Registration, seed: int, identity: str, progress: Progress
) -> dict[str, Any]:
    """Train, choose the best weights on validation plates, score, store. Returns the content of ``result.json``."""
    begun = time.perf_counter()
    folder = context.run.place(entry.name, seed)
    with context.stop.between_iterations(), _memory_for_training(context):
        method, session = trainer.train(
            lambda: create(context, entry),
            context.config.train,
            context.plates.split("train"),
            context.validation_batches,
            seed,
            folder,
            identity,
            report=progress.update,
            should_stop=context.stop,
        )
    info = describe(context, entry, seed, identity, method) | {
        "iterations": session.iteration,
        "best_iteration": session.best_iteration,
    }
    return store_scores(context, entry, method, folder, info, session.clocks, session.resumed, begun)


def rescore(context: RunContext, entry: Registration, identity: str, stored: Result) -> dict[str, Any]:
    """Score the stored weights of a result again. Returns the new ``result.json``.

    Raises RuntimeError if the weights have changed since they were stored.
    """
    if damaged := stored.changed(trainer.BEST, trainer.LAST):
        raise RuntimeError(f"{damaged[0]} is not as it was stored: move {stored.folder} away to train anew")
    begun = time.perf_counter()
    method = create(context, entry).accelerate(context.config.train.acceleration).to(context.device)
    clocks = stored.record.clocks
    trained = {name: seconds for name, seconds in clocks.items() if name not in ("scoring", "total")}
    earlier = clocks.get("total", sum(clocks.values())) - clocks.get("scoring", 0.0)
    info = stored.record.as_dict() | {
        "schema": SCHEMA,
        "identity": identity,
        "options": asdict(method.options),
        "versions": current_versions(entry.name),
        "source": stored.record.trained_source | {"scoring": scoring_source()},
        "config": context.config.model_dump(mode="json"),
        "judge": context.ocr_facts[0],
        "second_judge": context.ocr_facts[1],
        "scoring_provenance": provenance(context.device),
    }
    return store_scores(context, entry, method, stored.folder, info, trained, earlier, begun)


def store_scores(
    context: RunContext,
    entry: Registration,
    method: Method,
    folder: Path,
    info: dict[str, Any],
    clocks: dict[str, float],
    earlier: float,
    begun: float,
) -> dict[str, Any]:
    """Score the last and the best weights in ``folder``, then store all of it. Returns what was stored.

    ``clocks`` get ``scoring`` and ``total``, the wall clock of the whole job: ``earlier`` seconds that other processes
    spent (a killed one up to its checkpoint), and those since ``begun``.
    """
    start = time.perf_counter()
    for earlier_scoring in ("selected_as", "abstention_last"):
        info.pop(earlier_scoring, None)
    last = None
    if (folder / trainer.LAST).is_file():
        trainer.load_weights(method, folder / trainer.LAST)
        last = score(context, method)
        if selected_as := method.selected_as(method.options, info["best_iteration"], info["iterations"]):
            info["selected_as"] = selected_as
            info["abstention_last"] = _thresholds(context, method)
    trainer.load_weights(method, folder / trainer.BEST)
    best = score(context, method)
    if context.config.scoring.inference == "both":
        best = replace(best, frame=plate_scores.beside(best.frame, _score_in_patches(context, method)))
    info = info | {
        "scoring_identity": context.scoring_identity,
        "scores": summaries(best.frame, best.frame if last is None else last.frame),
        "abstention": _thresholds(context, method),
        "cost": {"macs": macs(create(context, entry)), "milliseconds": best.milliseconds,
                 "device": context.device.type},
    }  # fmt: skip
    save_samples(folder / "samples", best.images, context.test, context.config.scoring.samples)
    write_text(folder / "plates.csv", best.frame.to_csv(index=False))
    (folder / "plates_last.csv").unlink(missing_ok=True)
    if last is not None and "selected_as" in info:
        save_samples(folder / "samples_last", last.images, context.test, context.config.scoring.samples)
        write_text(folder / "plates_last.csv", last.frame.to_csv(index=False))
    now = time.perf_counter()
    info["clocks"] = {**clocks, "scoring": now - start, "total": earlier + now - begun}
    write_result(folder, info)
    checkpoint.remove(folder)
    for leftover in (folder / "error.txt", *folder.glob("*.partial")):
        leftover.unlink(missing_ok=True)
    return info


def score(context: ScoringContext, method: Method) -> Scored:
    """Upscale the test plates and score them."""
    batches = context.test_batches  # before the clock starts: made on first use
    with memory_for_scoring(context.device):
        start = time.perf_counter()
        images = upscaling.upscale_plates(method.upscale, batches)
        milliseconds = 1000.0 * (time.perf_counter() - start) / len(images)
        frame = plate_scores.score_plates(
            images, context.test, context.ocr_engine, context.second_engine, context.lpips
        )
    return Scored(images, frame, milliseconds)


def score_originals(context: ScoringContext) -> Scored:
    """Score the test plates themselves."""
    hr = [plate.hr for plate in context.test]
    frame = plate_scores.score_plates(hr, context.test, context.ocr_engine, context.second_engine, context.lpips)
    return Scored(hr, frame, 0.0)


def _score_in_patches(context: RunContext, method: Method) -> pd.DataFrame:
    """The same upscaling patch by patch, read by the first OCR engine alone."""
    with memory_for_scoring(context.device):
        images = upscaling.upscale_plates(upscaling.in_patches(method.upscale), context.test_batches)
        return plate_scores.score_plates(images, context.test, context.ocr_engine)


def _thresholds(context: RunContext, method: Method) -> dict[str, Any]:
    """Abstention thresholds of the weights that a method has now: each set of weights is as sure as it is."""
    return _abstention(context, upscaling.upscale_plates(method.upscale, context.abstention_batches))


def _abstention(context: RunContext, images: list[np.ndarray]) -> dict[str, Any]:
    """The threshold of the XLPSR score for each OCR engine that gives confidences of characters, chosen on upscaled
    validation plates and never on test plates; 1/3 where there are none that it can read."""
    if context.ocr_engine is None and context.second_engine is None:
        return {}
    plates, thresholds = context.abstention_plates, {}
    rectified = [rectify(image, plate.vertices) for image, plate in zip(images, plates, strict=True)]
    for name, engine in (("judge", context.ocr_engine), ("second_judge", context.second_engine)):
        if engine is not None:
            legible = [i for i, plate in enumerate(plates) if can_write(engine, plate.text)]
            readings = engine.read([rectified[i] for i in legible]) if legible else []
            threshold = xlpsr.best_threshold(readings, [plates[i].text for i in legible])
            if threshold is not None or not legible:
                threshold = xlpsr.BREAK_EVEN if threshold is None else threshold
                thresholds[name] = {"threshold": threshold, "plates": len(legible)}
    return thresholds


def summaries(best: pd.DataFrame, last: pd.DataFrame) -> dict[str, Any]:
    """``scores`` of a result. Where test plates were seen in training, those that were not are summed up apart."""
    scores: dict[str, Any] = {"best": plate_scores.summarise(best), "last": plate_scores.summarise(last)}
    if best["seen"].any():
        for name, frame in (("best", best), ("last", last)):
            scores[f"{name}_unseen"] = plate_scores.summarise(frame[frame["seen"] == 0])
    return scores


@contextmanager
def _memory_for_training(context: RunContext) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if not out_of_memory(error):
            raise
        size = context.config.train.batch_size
        frames = traceback.walk_tb(error.__traceback__)
        if any(frame.f_code.co_filename == upscaling.__file__ for frame, _ in frames):
            text = "out of memory while validating: free some, or take another --device"
        elif size > 1:
            text = f"out of memory in training: try --batch-size {size // 2} instead of {size}, for all methods alike"
        else:
            text = "out of memory in training with one patch per iteration: free some, or take another --device"
        raise OutOfMemory(text) from error


@contextmanager
def memory_for_scoring(device: torch.device) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if not out_of_memory(error):
            raise
        way = "free some" if device.type == "cpu" else "add --device cpu, or free some"
        raise OutOfMemory(
            f"out of memory in scoring; the weights are kept: {way}, and the same command scores them"
        ) from error


def score_upper_bound(context: RunContext) -> dict[str, Any]:
    """Score the HR plates themselves, the upper bound of every method, and store training examples.

    Returns the content of ``result.json``.
    """
    folder = context.run.place(UPPER_BOUND, 0)
    start = time.perf_counter()
    with memory_for_scoring(context.device):
        frame = score_originals(context).frame
    clear(folder)  # only now: what was there is kept where scoring fails
    write_text(folder / "plates.csv", frame.to_csv(index=False))
    with writing(folder / "exhibits"):
        save_training_examples(folder / "exhibits", context.plates.split("train"), context.config.train.batch_size)
    scores = summaries(frame, frame)
    seconds = time.perf_counter() - start
    info = common_facts(context) | {
        **upper_bound_facts(),
        "scoring_identity": context.scoring_identity,
        "versions": current_versions(UPPER_BOUND),
        "source": current_source(UPPER_BOUND),
        "scores": {name: scores[name] for name in scores if name.startswith("best")},
        "abstention": _abstention(context, [plate.hr for plate in context.abstention_plates]),
        "clocks": {"scoring": seconds, "total": seconds},
    }
    write_result(folder, info)
    return info


def save_samples(folder: Path, images: list[np.ndarray], plates: Plates, count: int) -> None:
    """``count`` test plates as pictures in ``folder``: LR enlarged without smoothing, SR, HR.

    They are spread evenly over the test plates, whose order is that of their names: small plates come first.
    """
    partial = folder.with_name(f"{folder.name}.partial")
    with writing(folder):
        clear(partial)
        count = min(count, len(plates))
        for index in (int((i + 0.5) * len(plates) / count) for i in range(count)):
            plate, sr = plates[index], images[index]
            blocks = upscaling.lr_of(plate).repeat(SCALE, axis=0).repeat(SCALE, axis=1)
            Image.fromarray(np.concatenate([blocks, sr, plate.hr], axis=1)).save(partial / f"{plate.index:04}.png")
        if folder.exists():
            shutil.rmtree(folder)  # scored again: the plates shown may be others now
        partial.rename(folder)
