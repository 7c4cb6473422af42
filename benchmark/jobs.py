"""From a configuration to stored results: one job per (method, seed)."""

from __future__ import annotations

import gc
import os
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from safetensors.torch import save_file

from benchmark import evaluation, ocr
from benchmark.config import Config
from benchmark.data import pack, synthetic
from benchmark.data.pack import Plates
from benchmark.data.patches import PatchSampler
from benchmark.data.splits import Counts
from benchmark.degradation import SCALE
from benchmark.errors import UserError, first_line
from benchmark.identity import ENGINE, identity, source_hash
from benchmark.progress import Progress
from benchmark.provenance import provenance
from benchmark.session import Interrupted, TrainingSession, write_atomically
from benchmark.stop import Stop
from benchmark.store import SCHEMA, UPPER_BOUND, Run, clear, write_result, write_text
from methods import Method, Registration


@dataclass
class Setting:
    """What all jobs of a run share: configuration, place, plates and judge."""

    config: Config
    run: Run
    device: torch.device
    plates: Plates
    data_name: str
    judge: ocr.Judge | None
    stop: Stop

    @cached_property
    def test(self) -> Plates:
        """The plates that are scored."""
        return self.plates.split("test")

    @cached_property
    def test_batches(self) -> evaluation.PlateBatches:
        """The same on the device, degraded once for all methods."""
        return evaluation.PlateBatches(self.test, self.device)

    @cached_property
    def validation_batches(self) -> evaluation.PlateBatches:
        """The plates that choose the weights: the test plates under the paper's protocol."""
        if self.config.data.protocol == "paper":
            return self.test_batches
        return evaluation.PlateBatches(self.plates.split("val"), self.device)


def prepare_plates(config: Config, results: Path, say: Callable[[str], None]) -> tuple[Plates, str]:
    """The pack of the configuration's plates and the data's name; synthetic plates are drawn first."""
    data = config.data
    cache = data.cache or results / "packs"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        folder, name = data.folder, data.folder.resolve().name if data.folder else "synthetic"
        if folder is None:
            total = data.train_plates + data.val_plates + data.test_plates
            folder = cache / f"synthetic-v{synthetic.GENERATOR_VERSION}-{total}-seed{data.seed}"
            say(f"synthetic plates: {total} in {folder}")
            synthetic.synthesize(folder, total, data.seed)
        counts = Counts(data.train_plates, data.val_plates, data.test_plates)
        plates = pack.prepare(folder, cache, counts=counts, protocol=data.protocol, seed=data.seed, say=say)
    except PermissionError as error:
        raise UserError(
            f"cannot write to {error.filename}: choose another place with --set data.cache=FOLDER"
        ) from None
    return plates, name


def resolve_device(name: str) -> torch.device:
    """The device of ``--device``. Raises UserError for one that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"no device {name!r}: use auto, cpu, cuda or cuda:N") from None
    if device.type == "cuda" and (not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count()):
        raise UserError(f"no CUDA device for --device {name}: use --device cpu, or auto to take what there is")
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"device {name!r} is not supported: use auto, cpu, cuda or cuda:N")
    return device


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
    judge = ocr.make_judge(config.scoring.ocr, model_dir=config.scoring.paddle_model)
    failed: list[str] = []
    with Stop().installed() as stop:
        setting = Setting(config, run, device, plates, name, judge, stop)
        score_upper_bound(setting)
        for seed in range(config.train.seeds):
            for entry in entries:
                if seed and entry.method.deterministic:
                    continue  # nothing in it depends on the seed
                if not run_job(setting, entry, seed):
                    failed.append(f"{entry.name} seed {seed}")
    return failed


def configure_torch(config: Config) -> None:
    """Set torch's process-wide switches: threads, precision, determinism."""
    if config.train.threads:
        torch.set_num_threads(config.train.threads)
    torch.backends.cuda.matmul.allow_tf32 = config.train.precision == "tf32"
    torch.backends.cudnn.allow_tf32 = config.train.precision == "tf32"
    if config.train.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)


def run_job(setting: Setting, entry: Registration, seed: int) -> bool:
    """Train and score one method with one seed, unless its result is there. False if it failed."""
    progress = Progress(entry.name if setting.config.train.seeds == 1 else f"{entry.name} seed {seed}")
    options = setting.config.options(entry.family)
    folder = setting.run.place(entry.name, seed)
    known = identity(
        entry,
        options,
        seed,
        setting.config,
        setting.plates.fingerprint,
        setting.judge.describe() if setting.judge else None,
    )
    present = setting.run.result(entry.name, seed)
    if present is not None and present.complete and present.info.get("identity") == known:
        progress.note("is there already")
        return True
    if present is not None and present.complete:
        progress.note("made with another configuration, data or source: computing it anew")
    if (present is not None and present.complete) or not (folder / "checkpoint.pt").is_file():
        clear(folder)  # otherwise the session takes the checkpoint up, if it is of this identity
    (folder / "result.json").unlink(missing_ok=True)
    start = time.monotonic()
    try:
        torch.manual_seed(seed)
        method = entry.create(options).to(setting.device)
        info = describe(setting, entry, seed, known, method)
        compute(setting, method, seed, folder, known, info, progress)
    except (Interrupted, KeyboardInterrupt):
        progress.note("stopped; the same command goes on from here")
        raise Interrupted(setting.stop.signal) from None
    except Exception as error:  # one method must not take the others along
        progress.note(f"FAILED: {first_line(error)}")
        store_failure(setting, entry, seed, folder, known, error)
        return False
    finally:
        gc.collect()
        if setting.device.type == "cuda":
            torch.cuda.empty_cache()
    progress.note(f"{outcome(info['scores']['best'])}, {time.monotonic() - start:.0f} s")
    return True


def outcome(scores: dict[str, Any]) -> str:
    """The scores of a method in half a line."""
    psnr, read = scores["psnr"]["median"], scores.get("plate_correct", {}).get("mean")
    parts = ["exact" if psnr is None else f"{psnr:.2f} dB"]
    return ", ".join(parts + ([] if read is None else [f"{read:.0%} of plates read"]))


def compute(
    setting: Setting,
    method: Method,
    seed: int,
    folder: Path,
    known: str,
    info: dict[str, Any],
    progress: Progress,
) -> None:
    """Train, choose the best weights on validation plates, score, store."""
    config, device = setting.config, setting.device
    sampler = PatchSampler(setting.plates.split("train"), config.train.batch_size, seed, device)
    session = TrainingSession(
        config.train,
        sampler,
        lambda method: evaluation.validate(method.upscale, setting.validation_batches),
        folder,
        known,
        report=progress.update,
        should_stop=setting.stop,
    )
    with setting.stop.between_iterations():
        method.train(session)
    if not session.history:
        session.record(method)  # a method without training has a validation score all the same
    session.checkpoint(method)  # a finished training is not repeated because scoring was killed
    pd.DataFrame(session.history).to_csv(folder / "history.csv", index=False)

    start = time.perf_counter()
    scores = {}
    if session.best_iteration != session.iteration:
        scores["last"] = score(setting, method, None)
        method.load_weights({k: v.to(device) for k, v in session.best_weights.items()})
    scores["best"] = score(setting, method, folder)
    scores.setdefault("last", scores["best"])
    weights = {k: v.detach().cpu().contiguous() for k, v in method.weights().items()}
    write_atomically(folder / "weights.safetensors", lambda path: save_file(weights, path))

    info["iterations"] = session.iteration
    info["best_iteration"] = session.best_iteration
    info["scores"] = scores
    info["clocks"] = {**session.clocks, "scoring": time.perf_counter() - start}
    write_result(folder, info)
    for leftover in ("checkpoint.pt", "error.txt"):
        (folder / leftover).unlink(missing_ok=True)


def score(setting: Setting, method: Method, folder: Path | None) -> dict[str, Any]:
    """Summary of the method's scores on the test plates; with a folder, rows and samples go there."""
    images = evaluation.upscale_plates(method.upscale, setting.test_batches)
    frame = evaluation.score_plates(images, setting.test, setting.judge)
    if folder is not None:
        frame.to_csv(folder / "plates.csv", index=False)
        save_samples(folder / "samples", images, setting.test, setting.config.scoring.samples)
    return evaluation.summarise(frame)


def score_upper_bound(setting: Setting) -> None:
    """Score the HR plates themselves, as the row that no method can pass."""
    folder = setting.run.place(UPPER_BOUND, 0)
    judge = setting.judge.describe() if setting.judge else None
    facts = [source_hash(*ENGINE), setting.plates.fingerprint, judge]
    present = setting.run.result(UPPER_BOUND, 0)
    if present is not None and present.info.get("identity") == repr(facts):
        return
    clear(folder)
    start = time.perf_counter()
    frame = evaluation.score_plates([plate.hr for plate in setting.test], setting.test, setting.judge)
    frame.to_csv(folder / "plates.csv", index=False)
    info = common_facts(setting) | {
        "method": UPPER_BOUND,
        "title": "HR (upper bound)",
        "groups": ["bound"],
        "seed": 0,
        "identity": repr(facts),
        "source": source_hash(*ENGINE),
        "scores": {"best": evaluation.summarise(frame)},
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
        "source": source_hash(entry.method.__module__, *ENGINE),
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
        "judge": setting.judge.describe() if setting.judge else None,
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
    """The first ``count`` test plates as pictures: LR enlarged without smoothing, SR, HR."""
    folder.mkdir(exist_ok=True)
    for plate, sr in zip(plates, images[:count]):
        blocks = evaluation.low_resolution(plate.hr).repeat(SCALE, axis=0).repeat(SCALE, axis=1)
        Image.fromarray(np.concatenate([blocks, sr, plate.hr], axis=1)).save(folder / f"{plate.index:04}.png")
