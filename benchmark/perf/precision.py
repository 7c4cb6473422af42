"""Whether training in bf16 would be faster on this machine: measured in two seconds, for a look before a run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch

import methods
from benchmark.training.session import synchronize
from methods import Batch, NetworkMethod
from methods.contract import PracticeSession, make_batch
from methods.engine.acceleration import Acceleration

METHOD, PATCHES = "pecl-mse", 8
"""What is trained: convolutions and attention of middling size."""
SECONDS = 2.0
_LEAST_PAIRS = 2
FASTER = 1.1
"""From what ratio on it is worth saying."""


@dataclass(frozen=True)
class Comparison:
    """Seconds of a training step in fp32 over those in bf16 (median over ``pairs`` of neighbouring steps)."""

    ratio: float
    pairs: int


def compare(device: torch.device, seconds: float = SECONDS, clock: Callable[[], float] | None = None) -> Comparison:
    """Time training steps in fp32 and bf16, in turn, for about ``seconds``.

    On a CPU it is the time of this process on one thread, as a worker has it, so that what else the machine computes
    does not decide. Raises ValueError where the device does not compute in bf16.
    """
    Acceleration("bf16").require(device)
    wall = clock or time.perf_counter
    clock = clock or (time.process_time if device.type == "cpu" else time.perf_counter)
    start, threads = wall(), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        batch = make_batch(1, (8, 8), PATCHES)
        batch = Batch(lr=batch.lr.to(device), hr=batch.hr.to(device))
        steps = [_step(Acceleration("fp32"), device, batch), _step(Acceleration("bf16"), device, batch)]
        ratios: list[float] = []
        for step in steps:
            step()  # the first one prepares what the others use
        while len(ratios) < _LEAST_PAIRS or wall() - start < seconds:
            times = [_timed(step, device, clock) for step in steps]
            ratios.append(times[0] / times[1])
    finally:
        torch.set_num_threads(threads)
    return Comparison(median(ratios), len(ratios))


def _timed(step: Callable[[], None], device: torch.device, clock: Callable[[], float]) -> float:
    synchronize(device)
    begun = clock()
    step()
    synchronize(device)
    return clock() - begun


def advice(device: torch.device) -> str:
    """The same in a line, with what to do about it."""
    try:
        comparison = compare(device)
    except ValueError as error:
        return str(error)
    measured = f"{METHOD}, {PATCHES} patches, {comparison.pairs} pairs of steps"
    if comparison.ratio >= FASTER:
        return (
            f"a training step is {comparison.ratio:.1f} times as fast as in fp32 ({measured}): "
            "--set train.precision=bf16, for all methods of a run"
        )
    longer = f"{1 / comparison.ratio:.1f} times" if comparison.ratio * FASTER < 1 else "about"
    return f"a training step takes {longer} as long as in fp32 ({measured}): stay with fp32"


def _step(acceleration: Acceleration, device: torch.device, batch: Batch) -> Callable[[], None]:
    """A training step of a new network."""
    torch.manual_seed(0)
    method = methods.get(METHOD).create().accelerate(acceleration).to(device)
    assert isinstance(method, NetworkMethod)
    session = PracticeSession()
    method.prepare(session)
    method.network.train()
    return lambda: method.step(batch, session)
