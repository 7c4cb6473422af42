"""Does a training step depend on the number of plates? What they take on the device, and a step on few and many."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch

import methods
from benchmark.config import Config
from benchmark.data.patches import PatchSampler
from benchmark.errors import UserError
from benchmark.perf.plates import noise_plates
from benchmark.perf.steps import Probe, steps_for
from benchmark.perf.suite import train_probed
from benchmark.session import TrainingSession
from benchmark.setting import configure_torch, resolve_device
from benchmark.terminal import say
from methods import Batch, Method

_PLATE_BYTES = 80_000  # of one plate of noise, with something to spare


def measure(name: str, config: Config, most: int, repeats: int) -> list[dict[str, Any]]:
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
