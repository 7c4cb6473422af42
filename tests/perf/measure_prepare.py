"""Packing against decoding: ``data prepare`` beside a bare loop over the same pictures.

    python tests/perf/measure_prepare.py --data FOLDER

Run by name; not part of the suite.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import pandas as pd
from PIL import Image

from benchmark.data import pack
from benchmark.data.splits import Counts
from benchmark.data.synthetic import generator

_FRAME = (720, 1160)


def measure(folder: Path | None, count: int, repeats: int, workers: tuple[int, ...] = (1, 2)) -> list[dict[str, Any]]:
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
    for path in generator.synthesize(folder, count, 0).glob("*/*.jpg"):
        with Image.open(path) as image:
            frame = image.resize(_FRAME)
            frame.paste(image, (0, 0))
        frame.save(path, "JPEG", quality=90)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a CCPD folder; default: synthetic photographs")
    parser.add_argument("--plates", type=int, default=256, help="synthetic photographs to draw")
    parser.add_argument("--repeats", type=int, default=6)
    asked = parser.parse_args()
    rows = measure(asked.data, asked.plates, asked.repeats)
    print(pd.DataFrame(rows).to_string(index=False, float_format="%.3f"))


if __name__ == "__main__":
    main()
