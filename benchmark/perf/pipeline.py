"""What is around training: does the number of plates matter, packing against decoding, and scoring by its parts."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image

import methods
from benchmark import evaluation, scoring
from benchmark.config import Config
from benchmark.data import pack, synthetic
from benchmark.data.patches import PatchSampler
from benchmark.data.splits import Counts
from benchmark.errors import UserError
from benchmark.metrics import METRICS
from benchmark.ocr import rectify
from benchmark.perf.plates import noise_plates
from benchmark.perf.steps import Probe, steps_for
from benchmark.perf.suite import train_probed
from benchmark.session import TrainingSession
from benchmark.setting import configure_torch, make_judges, resolve_device
from benchmark.terminal import say
from methods import Batch, Method

_FRAME = (720, 1160)
_PLATE_BYTES = 80_000  # of one plate of noise, with something to spare


def memory(name: str, config: Config, most: int, repeats: int) -> list[dict[str, Any]]:
    """What ``most`` plates, a tenth and a hundredth of them take on the device, and a step of a method on each.

    Raises UserError where the temporary folder has no room for so many.
    """
    configure_torch(config)
    device = resolve_device(config.train.device)
    counts = sorted({max(1, most // 100), max(1, most // 10), most})
    with tempfile.TemporaryDirectory() as scratch:
        free = shutil.disk_usage(scratch).free
        if free < sum(counts) * _PLATE_BYTES:
            need = sum(counts) * _PLATE_BYTES / 1e9
            raise UserError(
                f"{most} plates need {need:.1f} GB but {scratch} has {free / 1e9:.1f} GB free: take fewer "
                "(--plates N), or another place (TMPDIR=FOLDER)"
            )
        samplers: list[PatchSampler] = []
        rows: list[dict[str, Any]] = []
        for count in counts:
            plates = noise_plates(Path(scratch) / str(count), count)
            before = torch.cuda.memory_allocated(device) if device.type == "cuda" else 0
            samplers.append(PatchSampler(plates, config.train.batch_size, 0, device, say=partial(say, error=True)))
            taken = torch.cuda.memory_allocated(device) - before if device.type == "cuda" else plates.pixels.nbytes
            rows.append({"method": name, "device": device.type, "plates": count, "gigabytes": taken / 1e9})
        entry, first = methods.get(name), plates
        cold = train_probed(entry, config, first, Path(scratch), lambda session: Probe(session, 2, 1), 4)
        if not cold.pairs:
            raise UserError(f"{name} does not train: name another method")
        steps = steps_for(cold.pairs[-1].floor)
        rotation = train_probed(
            entry,
            config,
            first,
            Path(scratch),
            lambda session: Rotation(session, samplers, repeats + 1, steps),
            (repeats + 1) * steps * len(samplers),
        )
    for row, seconds in zip(rows, zip(*rotation.rounds[1:])):
        row["step_ms"] = 1e3 * median(seconds)
    return [{**row, "ratio": row["step_ms"] / rows[0]["step_ms"]} for row in rows]


class Rotation(Probe):
    """A session that draws a block of batches from every sampler in turn."""

    def __init__(self, session: TrainingSession, samplers: list[PatchSampler], rounds: int, steps: int) -> None:
        super().__init__(session, rounds, steps)
        self.rounds: list[list[float]] = []
        self._samplers = samplers

    def batches(self, method: Method) -> Iterator[tuple[int, Batch]]:
        real = self._session.batches(method)
        for _ in range(self._count):
            times = []
            for sampler in self._samplers:
                self._session.sampler = sampler
                start = self._now()
                for _ in range(self._steps):
                    yield next(real)
                times.append((self._now() - start) / self._steps)
            self.rounds.append(times)
        real.close()  # type: ignore[attr-defined]


def prepare(folder: Path | None, count: int, repeats: int, workers: tuple[int, ...] = (1, 2)) -> list[dict[str, Any]]:
    """Pictures a second of ``data prepare``, by number of workers, and of a bare loop that only decodes them.

    On the pictures below ``folder``, ``count`` synthetic photographs without it. The bare loop, by one thread:
    open a file, convert it to RGB, make it an array. ``prepare`` is the whole command, from listing the folder to
    opening the pack made. ``ratio`` is to the loop, per worker, by the clock; ``cpu_ratio`` is the loop's processor
    time over that of ``prepare``, which other programs on the machine disturb less, and which does not tell
    whether workers wait for each other. ``load_ratio`` and ``load_cpu_ratio`` are to a stricter loop, which leaves
    the pixels where Pillow decoded them. All are medians over ``repeats`` rounds in which these alternate.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = folder or _frames(Path(scratch) / "synthetic", count)
        paths = [folder / source.path for source in pack.scan(folder)[0]]
        counts = Counts(len(paths), 1, 1)

        def bare(use: Callable[[Image.Image], object]) -> int:
            for path in paths:
                with Image.open(path) as image:
                    use(image)
            return len(paths)

        def packed(threads: int) -> int:
            cache = Path(tempfile.mkdtemp(dir=scratch))
            plates = pack.prepare(folder, cache, counts=counts, workers=threads, say=lambda _: None)
            return plates.info["plates"] + plates.info["skipped"] + plates.info["leaks"]["dropped"]

        loops: dict[int | str, Callable[[], int]] = {
            "array": lambda: bare(lambda image: np.asarray(image.convert("RGB"))),
            "load": lambda: bare(lambda image: image.load()),
            **{threads: lambda threads=threads: packed(threads) for threads in workers},  # type: ignore[misc]
        }
        loops["load"]()  # the files are in the system's cache from here on
        found: dict[int | str, list[tuple[float, float]]] = {name: [] for name in loops}
        for _ in range(repeats):
            for name, loop in loops.items():
                wall, cpu = time.perf_counter(), time.process_time()
                done = loop()
                wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
                found[name].append((wall / done, cpu / done))
                for cache in Path(scratch).glob("tmp*"):
                    shutil.rmtree(cache)

    def ratio(loop: str, threads: int, clock: int) -> float:
        return median(base[clock] / own[clock] for base, own in zip(found[loop], found[threads]))

    return [
        {
            "workers": threads,
            "plates_per_s": 1 / median(wall for wall, _ in found[threads]),
            "decoded_per_s": 1 / median(wall for wall, _ in found["array"]),
            "ratio": ratio("array", threads, 0) / threads,
            "cpu_ratio": ratio("array", threads, 1),
            "load_ratio": ratio("load", threads, 0) / threads,
            "load_cpu_ratio": ratio("load", threads, 1),
        }
        for threads in workers
    ]


def _frames(folder: Path, count: int) -> Path:
    """``count`` synthetic plates in photographs of CCPD's size (the rest of each is the picture enlarged)."""
    for path in synthetic.synthesize(folder, count, 0).glob("*/*.jpg"):
        with Image.open(path) as image:
            frame = image.resize(_FRAME)
            frame.paste(image, (0, 0))
        frame.save(path, "JPEG", quality=90)
    return folder


def score(config: Config, count: int, repeats: int) -> list[dict[str, Any]]:
    """Time of scoring a plate, whole (row ``all``) and by parts: wall clock, processor time, and plates a second.

    On ``count`` plates of the configuration's folder, or synthetic ones, upscaled by ``bicubic`` (which is apart).
    """
    configure_torch(config)
    judge, second = make_judges(config)
    with tempfile.TemporaryDirectory() as scratch:
        folder = config.data.folder or synthetic.synthesize(Path(scratch) / "synthetic", count + 2, 0)
        packed = pack.prepare(folder, Path(scratch), counts=Counts(1, 1, count), say=lambda _: None)
        plates = packed.split("test")
        batches = evaluation.PlateBatches(plates, resolve_device(config.train.device))
        upscale = methods.get("bicubic").create().to(batches.device).upscale
        images = evaluation.upscale_plates(upscale, batches)
        originals = list(plates)
        rectified = [rectify(image, plate.vertices) for image, plate in zip(images, originals)]
        parts: dict[str, Callable[[], object]] = {
            "all": lambda: scoring.score_plates(images, plates, judge, second),
            "upscale": lambda: evaluation.upscale_plates(upscale, batches),
            "rectify": lambda: [rectify(image, plate.vertices) for image, plate in zip(images, originals)],
        }
        for name, metric in METRICS.items():
            if metric.function is not None:
                parts[name] = lambda f=metric.function: [f(a, b.hr) for a, b in zip(images, originals)]  # type: ignore[misc]
        for name, reader in (("first judge", judge), ("second judge", second)):
            if reader is not None:
                parts[name] = lambda reader=reader: reader.read(rectified)  # type: ignore[misc]
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in parts}
        for _ in range(repeats + 1):
            for name, part in parts.items():
                wall, cpu = time.perf_counter(), time.process_time()
                part()
                times[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    rows = []
    for name, found in times.items():
        wall, cpu = (median(values) / len(images) for values in zip(*found[1:]))
        rows.append({"part": name, "ms": 1e3 * wall, "cpu_ms": 1e3 * cpu, "plates_per_s": 1.0 / wall})
    return rows
