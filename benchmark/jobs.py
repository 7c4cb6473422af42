"""From a configuration to stored results: one job per (method, seed)."""

from __future__ import annotations

import gc
import shutil
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmark import evaluation, scoring, training
from benchmark.config import Config
from benchmark.cost import macs
from benchmark.data.pack import Plates
from benchmark.degradation import SCALE
from benchmark.errors import first_line
from benchmark.exhibits import save_exhibits
from benchmark.identity import current_source, training_identity
from benchmark.progress import Progress
from benchmark.provenance import provenance
from benchmark.session import Interrupted
from benchmark.setting import Setting, configure_torch, make_judges, prepare_plates, resolve_device
from benchmark.stop import Stop
from benchmark.store import SCHEMA, UPPER_BOUND, Result, Run, clear, write_result, write_text
from methods import Method, Registration


def run_jobs(config: Config, entries: list[Registration], run: Run, say: Callable[[str], None] = print) -> list[str]:
    """Train and score what is missing in ``run``. Returns the names of the jobs that failed.

    A failing method is stored as a failure and does not take the others along. Raises
    :class:`Interrupted` after Ctrl-C or SIGTERM; the same call then goes on where it stopped.
    """
    device = resolve_device(config.train.device)
    configure_torch(config)
    plates, name = prepare_plates(config, run.folder.parent, say)
    splits = plates.info["splits"]
    say(
        f"{name}: {splits.get('train', 0)} training, {splits.get('val', 0)} validation, {splits['test']} test plates"
        f" ({plates.info['grown']} under 64 px grown, {plates.info['skipped']} skipped); device {device}"
    )
    judge, second = make_judges(config)
    failed: list[str] = []
    with Stop().installed() as stop:
        setting = Setting(config, run, device, plates, name, judge, second, stop)
        score_upper_bound(setting)
        for seed in range(config.train.seeds):
            for entry in entries:
                if seed and entry.method.deterministic:
                    continue  # nothing in it depends on the seed
                if not run_job(setting, entry, seed):
                    failed.append(f"{entry.name} seed {seed}")
    return failed


def run_job(setting: Setting, entry: Registration, seed: int) -> bool:
    """Train and score one method with one seed, as far as its result is not there. False if it failed."""
    progress = Progress(entry.name if setting.config.train.seeds == 1 else f"{entry.name} seed {seed}")
    folder, known = setting.run.place(entry.name, seed), ""
    present = setting.run.result(entry.name, seed)
    start = time.monotonic()
    trained = False
    try:
        known = training_identity(
            entry,
            setting.config.options(entry.family),
            seed,
            setting.config,
            setting.plates.fingerprint,
            create(setting, entry).ingredients(),
        )
        trained = present is not None and present.complete and present.info["identity"] == known
        if present is not None and trained:
            if present.info.get("scoring_identity") == setting.scoring_identity:
                progress.note("is there already")
                return True
            progress.note("scoring the weights that are there: judge, metrics or test plates are others")
            info = rescore(setting, entry, present)
        else:
            if present is not None and present.complete:
                progress.note("made with another configuration, data or source: computing it anew")
            if (present is not None and present.complete) or not (folder / "checkpoint.pt").is_file():
                clear(folder)  # otherwise the session takes the checkpoint up, if it is of this identity
            (folder / "result.json").unlink(missing_ok=True)
            info = compute(setting, entry, seed, folder, known, progress)
    except (Interrupted, KeyboardInterrupt):
        progress.note("stopped; the same command goes on from here")
        raise Interrupted(setting.stop.signal) from None
    except Exception as error:  # one method must not take the others along
        progress.note(f"FAILED: {first_line(error)}")
        if not trained:  # otherwise the result stays as it is: its weights are worth more than an error
            store_failure(setting, entry, seed, folder, known, error)
        return False
    finally:
        gc.collect()
        if setting.device.type == "cuda":
            torch.cuda.empty_cache()
    progress.note(f"{outcome(info['scores']['best'])}, {time.monotonic() - start:.0f} s")
    return True


def create(setting: Setting, entry: Registration) -> Method:
    """A new method as configured."""
    return entry.create(setting.config.options(entry.family))


def outcome(scores: dict[str, Any]) -> str:
    """The scores of a method in half a line."""
    psnr, read = scores["psnr"]["median"], scores.get("plate_correct", {}).get("mean")
    parts = ["exact" if psnr is None else f"{psnr:.2f} dB"]
    return ", ".join(parts + ([] if read is None else [f"{read:.0%} of plates read"]))


def compute(
    setting: Setting, entry: Registration, seed: int, folder: Path, known: str, progress: Progress
) -> dict[str, Any]:
    """Train, choose the best weights on validation plates, score, store. Returns the content of ``result.json``."""
    with setting.stop.between_iterations():
        method, session = training.train(
            lambda: create(setting, entry),
            setting.config.train,
            setting.plates.split("train"),
            setting.validation_batches,
            seed,
            folder,
            known,
            report=progress.update,
            should_stop=setting.stop,
        )
    info = describe(setting, entry, seed, known, method) | {
        "iterations": session.iteration,
        "best_iteration": session.best_iteration,
    }
    return store_scores(setting, entry, method, folder, info, session.clocks)


def rescore(setting: Setting, entry: Registration, present: Result) -> dict[str, Any]:
    """Score the stored weights of a result again, with what scores now. Returns the new ``result.json``."""
    method = create(setting, entry).to(setting.device)
    info = present.info | {
        "schema": SCHEMA,
        "source": current_source(entry.name),
        "config": setting.config.model_dump(mode="json"),
        "judge": setting.judges[0],
        "second_judge": setting.judges[1],
        "scoring_provenance": provenance(setting.device),
    }
    return store_scores(setting, entry, method, present.folder, info, info["clocks"])


def store_scores(
    setting: Setting,
    entry: Registration,
    method: Method,
    folder: Path,
    info: dict[str, Any],
    clocks: dict[str, float],
) -> dict[str, Any]:
    """Score the last and the best weights in ``folder`` and store the result. Returns what was stored."""
    start = time.perf_counter()
    scores = {}
    if (folder / training.LAST).is_file():
        training.load_weights(method, folder / training.LAST)
        scores["last"], _ = score(setting, method, None)
    training.load_weights(method, folder / training.BEST)
    scores["best"], milliseconds = score(setting, method, folder)
    scores.setdefault("last", scores["best"])
    info = info | {
        "scoring_identity": setting.scoring_identity,
        "scores": scores,
        "cost": {"macs": macs(create(setting, entry)), "milliseconds": milliseconds, "device": setting.device.type},
        "clocks": {**clocks, "scoring": time.perf_counter() - start},
    }
    write_result(folder, info)
    for leftover in ("checkpoint.pt", "error.txt"):
        (folder / leftover).unlink(missing_ok=True)
    return info


def score(setting: Setting, method: Method, folder: Path | None) -> tuple[dict[str, Any], float]:
    """Summary of the method's scores on the test plates, and milliseconds of upscaling a plate.

    With a folder, rows and samples go there.
    """
    batches = setting.test_batches  # made on first use, which is not the method's cost
    start = time.perf_counter()
    images = evaluation.upscale_plates(method.upscale, batches)
    milliseconds = 1000.0 * (time.perf_counter() - start) / len(images)
    frame = scoring.score_plates(images, setting.test, setting.judge, setting.second)
    if folder is not None:
        save_samples(folder / "samples", images, setting.test, setting.config.scoring.samples)
        write_text(folder / "plates.csv", frame.to_csv(index=False))
    return scoring.summarise(frame), milliseconds


def score_upper_bound(setting: Setting) -> None:
    """Score the HR plates themselves, as the row that no method can pass, and show what is trained on."""
    folder = setting.run.place(UPPER_BOUND, 0)
    present = setting.run.result(UPPER_BOUND, 0)
    if present is not None and present.info.get("scoring_identity") == setting.scoring_identity:
        return
    clear(folder)
    start = time.perf_counter()
    frame = scoring.score_plates([plate.hr for plate in setting.test], setting.test, setting.judge, setting.second)
    write_text(folder / "plates.csv", frame.to_csv(index=False))
    save_exhibits(folder / "exhibits", setting.plates.split("train"), setting.config.train.batch_size)
    info = common_facts(setting) | {
        "method": UPPER_BOUND,
        "title": "HR (upper bound)",
        "groups": ["bound"],
        "seed": 0,
        "scoring_identity": setting.scoring_identity,
        "source": current_source(UPPER_BOUND),
        "scores": {"best": scoring.summarise(frame)},
        "clocks": {"scoring": time.perf_counter() - start},
    }
    write_result(folder, info)


def describe(setting: Setting, entry: Registration, seed: int, known: str, method: Method) -> dict[str, Any]:
    """The part of ``result.json`` that is known before training."""
    return common_facts(setting) | {
        "method": entry.name,
        "title": entry.title,
        "groups": list(entry.groups),
        "family": entry.family,
        "citation": entry.method.citation,
        "seed": seed,
        "options": asdict(method.options),
        "parameters": method.parameters(),
        "paper_parameters": entry.method.paper_parameters,
        "identity": known,
        "ingredients": method.ingredients(),
        "source": current_source(entry.name),
        "notes": method.notes(),
    }


def common_facts(setting: Setting) -> dict[str, Any]:
    """What every ``result.json`` of a run says alike."""
    info, splits = setting.plates.info, setting.plates.info["splits"]
    return {
        "schema": SCHEMA,
        "status": "complete",
        "config": setting.config.model_dump(mode="json"),
        "data": {
            "name": setting.data_name,
            "fingerprint": setting.plates.fingerprint,
            "train": splits.get("train", 0),
            "val": splits.get("val", 0),
            "test": splits["test"],
            "protocol": setting.config.data.protocol,
            "grown": info["grown"],
            "skipped": info["skipped"],
        },
        "judge": setting.judges[0],
        "second_judge": setting.judges[1],
        "provenance": provenance(setting.device),
        "notes": [],
    }


def store_failure(
    setting: Setting,
    entry: Registration,
    seed: int,
    folder: Path,
    known: str,
    error: Exception,
) -> None:
    """Store a failure as a failure: it is listed in the report and tried again by the next run."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "error.txt", "".join(traceback.format_exception(error)))
    info = common_facts(setting) | {
        "status": "failed",
        "method": entry.name,
        "title": entry.title,
        "groups": list(entry.groups),
        "seed": seed,
        "identity": known,
        "error": {"type": type(error).__name__, "message": first_line(error)},
    }
    write_result(folder, info)


def save_samples(folder: Path, images: list[np.ndarray], plates: Plates, count: int) -> None:
    """``count`` test plates as pictures: LR enlarged without smoothing, SR, HR.

    They are spread evenly over the test plates, whose order is that of their names: small plates come first.
    """
    if folder.exists():
        shutil.rmtree(folder)  # scored again: the plates shown may be others now
    folder.mkdir()
    count = min(count, len(plates))
    for index in (int((i + 0.5) * len(plates) / count) for i in range(count)):
        plate, sr = plates[index], images[index]
        blocks = evaluation.low_resolution(plate.hr).repeat(SCALE, axis=0).repeat(SCALE, axis=1)
        Image.fromarray(np.concatenate([blocks, sr, plate.hr], axis=1)).save(folder / f"{plate.index:04}.png")
