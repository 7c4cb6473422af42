"""Training steps of methods, measured one after another, each in a process of its own."""

from __future__ import annotations

import gc
import io
import math
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import torch

import methods
from benchmark.config import Config, load, presets
from benchmark.data.patches import PatchSampler
from benchmark.data.plates import Plates
from benchmark.perf.counts import ITERATIONS, Counter, count_step, machine
from benchmark.perf.plates import noise_plates
from benchmark.perf.steps import Probe, steps_for, summarise
from benchmark.results.provenance import provenance
from benchmark.runner.context import configure_torch, resolve_device
from benchmark.scoring import upscaling
from benchmark.training.progress import Progress
from benchmark.training.session import CHECKPOINT_SHARE, TrainingSession, synchronize
from benchmark.util.errors import first_line
from benchmark.util.terminal import say
from methods import Method, Registration

_VALIDATED = {"cpu": 12, "cuda": 200}
"""Plates that validation is timed on; the time for more is in proportion."""
_PLAIN = {"precision": "fp32", "memory_format": "auto", "compile": "none"}
"""How training computes unless something else is asked for, and how steps are counted."""


@dataclass(frozen=True)
class Request:
    """One method to measure. ``repeats``: pairs of blocks that count; ``plates``: to draw patches from."""

    method: str
    config: Config
    plugins: tuple[Path, ...] = ()
    repeats: int = 6
    plates: int = 256


def measure_methods(requests: Iterable[Request]) -> Iterator[dict[str, Any]]:
    """A row a method. One that fails has ``error`` and no times; one that does not train has neither.

    Every method has a process of its own: its peak memory is its own, and so is its death.
    """
    context = multiprocessing.get_context("spawn")
    facts: dict[str, Any] | None = None
    for request in requests:
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            try:
                if facts is None:
                    facts = pool.submit(_machine, request).result()
                row = pool.submit(_measure, request).result()
            except BrokenProcessPool:
                row = {"error": "its process died, likely for want of memory: try a smaller --batch-size"}
        yield {"method": request.method, "batch_size": request.config.train.batch_size, **(facts or {}), **row}


def _machine(request: Request) -> dict[str, Any]:
    configure_torch(request.config)
    device = resolve_device(request.config.train.device)
    facts = provenance(device)
    hardware = facts["hardware"]
    return {
        "device": device.type,
        "device_name": hardware["device"] if device.type == "cuda" else f"{hardware['cpu']}, {hardware['cores']} cores",
        "torch": facts["versions"]["torch"],
        "threads": torch.get_num_threads(),
        **{name: getattr(request.config.train, name) for name in _PLAIN},
        "commit": facts["commit"],
        "dirty": facts["dirty"],
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        **machine(device, request.config.train.acceleration),
    }


def _measure(request: Request) -> dict[str, Any]:
    for path in request.plugins:
        methods.load_plugin(path)
    configure_torch(request.config)
    entry = methods.get(request.method)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            plates = noise_plates(Path(scratch) / "plates", request.plates)
            return measure(entry, request, plates, Path(scratch))
    except Exception as error:  # whatever a method raises, the others are measured
        return {"error": first_line(error)}


def measure(
    entry: Registration,
    request: Request,
    plates: Plates,
    folder: Path,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Any]:
    """All figures of one method; none for one that does not train. ``folder`` takes its checkpoints.

    Raises whatever the method raises.
    """
    config, device = request.config, resolve_device(request.config.train.device)
    before = _resident()
    cold = train_probed(entry, config, plates, folder, lambda session: Probe(session, 2, 1, clock), 4).pairs
    if not cold:
        return {}
    gc.collect()
    steps, count = steps_for(cold[-1].floor), request.repeats + 1
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    probe = train_probed(
        entry, config, plates, folder, lambda session: Probe(session, count, steps, clock), 2 * count * steps
    )
    memory = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else _peak_resident() - before
    row = summarise(probe.pairs)
    row |= {"pairs": count, "steps": steps, "memory_mb": memory / 2**20, "memory_is": MEMORY[device.type]}
    row |= _between_steps(probe.session, probe.method, plates, config, row["step_ms"], clock)
    row["hours"] = {name: load(name).train.iterations * row["step_ms"] / 3.6e6 for name in presets()}
    row["preset_batch"] = {name: load(name).train.batch_size for name in presets()}
    return row | count_step(lambda size: _counted(entry, config, plates, folder, size), config.train.batch_size)


MEMORY = {
    "cuda": "most memory that torch had allocated on the device",
    "cpu": "most resident memory of the process, less what it had before the method was made",
}


class _Terminal(io.StringIO):
    """What progress is written to: nothing to look at, but redrawn like a terminal."""

    def isatty(self) -> bool:
        return True


def train_probed(
    entry: Registration,
    config: Config,
    plates: Plates,
    folder: Path,
    make: Callable[[TrainingSession], Any],
    iterations: int,
) -> Any:
    """Train a new method in the session that ``make`` puts around a real one; returns the former.

    The budget is ``iterations``, so that a method that divides it into phases goes through all of them.
    """
    torch.manual_seed(0)
    train = config.train.model_copy(
        update={"iterations": iterations, "validations": 1, "checkpoint_seconds": math.inf, "checkpoint_iterations": 0}
    )
    device = resolve_device(train.device)
    method = entry.create(config.options_for(entry)).accelerate(train.acceleration).to(device)
    session = TrainingSession(
        train,
        PatchSampler(plates, train.batch_size, 0, device, say=partial(say, error=True)),
        lambda method: 0.0,
        Path(tempfile.mkdtemp(dir=folder)),  # no training takes up the checkpoint of another
        "perf",
        report=Progress(entry.name, _Terminal()).update,
    )
    outer = make(session)
    method.train(outer)
    outer.session, outer.method = session, method
    return outer


def _counted(entry: Registration, config: Config, plates: Plates, folder: Path, batch_size: int) -> Counter:
    train = config.train.model_copy(update={"device": "cpu", "batch_size": batch_size, **_PLAIN})
    counter: Counter = train_probed(
        entry, config.model_copy(update={"train": train}), plates, folder, Counter, ITERATIONS
    )
    return counter


def _between_steps(
    session: TrainingSession,
    method: Method,
    plates: Plates,
    config: Config,
    step_ms: float,
    clock: Callable[[], float],
) -> dict[str, float]:
    """What validation and checkpoints cost, also as shares of the time that training takes in the preset's budget."""
    device = session.device
    count = min(_VALIDATED[device.type], config.data.val_plates, len(plates))
    batches = upscaling.PlateBatches([plates[index] for index in range(count)], device)

    def seconds(call: Callable[[], object]) -> float:
        synchronize(device)
        start = clock()
        call()
        synchronize(device)
        return clock() - start

    validation = min(seconds(lambda: upscaling.validate(method.upscale, batches)) for _ in range(2)) / count
    checkpoint = min(seconds(lambda: session.checkpoint(method)) for _ in range(2))
    training = config.train.iterations * step_ms / 1e3
    validations = (config.train.validations + 1) * config.data.val_plates
    return {
        "validation_ms_per_plate": 1e3 * validation,
        "validation_share": validation * validations / training,
        "checkpoint_ms": 1e3 * checkpoint,
        "checkpoint_share": min(checkpoint / config.train.checkpoint_seconds, CHECKPOINT_SHARE),
    }


def _resident() -> int:
    """Bytes of this process in memory now (its peak where that is not to be had)."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return _peak_resident()


def _peak_resident() -> int:
    """Most bytes that this process ever had in memory."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
