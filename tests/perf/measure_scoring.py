"""Scoring by its parts: every metric, every OCR engine, and the whole.

    python tests/perf/measure_scoring.py --data FOLDER --plates 200

Run by name; not part of the suite.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import pandas as pd

import methods
from benchmark.config import Config, load
from benchmark.data import pack
from benchmark.data.splits import Counts
from benchmark.data.synthetic import generator
from benchmark.ocr.reading import rectify
from benchmark.runner.context import configure_torch, make_ocr_engines, resolve_device
from benchmark.scoring import plate_scores, upscaling
from benchmark.scoring.metrics import METRICS


def measure(config: Config, count: int, repeats: int) -> list[dict[str, Any]]:
    """Time of scoring a plate, whole (row ``all``) and by parts: wall clock, processor time, and plates a second.

    On ``count`` plates of the configuration's folder, or synthetic ones, upscaled by ``bicubic`` (which is apart).
    """
    configure_torch(config)
    judge, second = make_ocr_engines(config)
    with tempfile.TemporaryDirectory() as scratch:
        folder = config.data.folder or generator.synthesize(Path(scratch) / "synthetic", count + 2, 0)
        packed = pack.prepare(folder, Path(scratch), counts=Counts(1, 1, count), say=lambda _: None)
        plates = packed.split("test")
        batches = upscaling.PlateBatches(plates, resolve_device(config.train.device))
        upscale = methods.get("bicubic").create().to(batches.device).upscale
        images = upscaling.upscale_plates(upscale, batches)
        originals = list(plates)
        rectified = [rectify(image, plate.vertices) for image, plate in zip(images, originals)]
        parts: dict[str, Callable[[], object]] = {
            "all": lambda: plate_scores.score_plates(images, plates, judge, second),
            "upscale": lambda: upscaling.upscale_plates(upscale, batches),
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a CCPD folder; default: synthetic plates")
    parser.add_argument("--plates", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=6)
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.FIELD=VALUE")
    asked = parser.parse_args()
    folder = [f"data.folder={asked.data}"] if asked.data else []
    rows = measure(load("standard", [*folder, *asked.set]), asked.plates, asked.repeats)
    print(pd.DataFrame(rows).to_string(index=False, float_format="%.3f"))


if __name__ == "__main__":
    main()
