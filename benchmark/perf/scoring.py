"""Scoring by its parts: every metric, every judge, and the whole."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import methods
from benchmark import evaluation, scoring
from benchmark.config import Config
from benchmark.data import pack, synthetic
from benchmark.data.splits import Counts
from benchmark.metrics import METRICS
from benchmark.ocr import rectify
from benchmark.setting import configure_torch, make_judges, resolve_device


def measure(config: Config, count: int, repeats: int) -> list[dict[str, Any]]:
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
