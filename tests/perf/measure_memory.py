"""Does a training step depend on the number of plates? What they take on the device, and a step on few and many.

    python tests/perf/measure_memory.py --plates 100000 --methods espcn

A hundred thousand plates take 9 GB of temporary files. Run by name; not part of the suite.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import pandas as pd
import torch

import methods
from benchmark.config import Config, load
from benchmark.data.patches import PatchSampler
from benchmark.perf.plates import noise_plates
from benchmark.perf.steps import Probe, steps_for
from benchmark.perf.suite import train_probed
from benchmark.runner.context import configure_torch, resolve_device
from benchmark.training.session import TrainingSession
from benchmark.util.errors import UserError
from benchmark.util.terminal import say
from methods import Batch, Method

_PLATE_BYTES = 80_000  # of one plate of noise, with something to spare


def measure(names: list[str], config: Config, most: int, repeats: int) -> list[dict[str, Any]]:
    """What ``most`` plates, a tenth and a hundredth of them take on the device, and a step of each method on each.

    Raises UserError for a method that does not train, and where the temporary folder has no room for so many plates.
    """
    if untrained := next((name for name in names if methods.get(name).method.deterministic), None):
        raise UserError(f"{untrained} does not train: name other methods with --methods")
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
        sizes: list[dict[str, Any]] = []
        samplers: list[PatchSampler] = []
        for count in counts:
            plates = noise_plates(Path(scratch) / str(count), count)
            before = torch.cuda.memory_allocated(device) if device.type == "cuda" else 0
            samplers.append(PatchSampler(plates, config.train.batch_size, 0, device, say=partial(say, error=True)))
            taken = torch.cuda.memory_allocated(device) - before if device.type == "cuda" else plates.pixels.nbytes
            sizes.append({"device": device.type, "plates": count, "gigabytes": taken / 1e9})
        steps = {name: _steps(name, config, samplers, Path(scratch), repeats) for name in names}
    return [
        {"method": name, **size, "step_ms": 1e3 * seconds, "ratio": seconds / steps[name][0]}
        for name in names
        for size, seconds in zip(sizes, steps[name])
    ]


def _steps(name: str, config: Config, samplers: list[PatchSampler], folder: Path, repeats: int) -> list[float]:
    """Seconds of a step of a method on batches of every sampler: medians over ``repeats`` rounds."""
    entry, few = methods.get(name), noise_plates(Path(tempfile.mkdtemp(dir=folder)) / "few", 1)
    cold = train_probed(entry, config, few, folder, lambda session: Probe(session, 2, 1), 4)
    steps, rounds = steps_for(cold.pairs[-1].floor), repeats + 1  # the first one warms up
    rotation = train_probed(
        entry,
        config,
        few,
        folder,
        lambda session: Rotation(session, samplers, rounds, steps),
        rounds * steps * len(samplers),
    )
    return [median(seconds) for seconds in zip(*rotation.rounds[1:])]


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", default="espcn", help="its step is so cheap that its batch shows")
    parser.add_argument("--plates", type=int, default=100_000, help="the most plates")
    parser.add_argument("--repeats", type=int, default=6)
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.FIELD=VALUE")
    asked = parser.parse_args()
    config = load("standard", asked.set)
    rows = measure(asked.methods.split(","), config, asked.plates, asked.repeats)
    print(pd.DataFrame(rows).to_string(index=False, float_format="%.3f"))


if __name__ == "__main__":
    main()
