"""What a training step consists of, and what the machine does at best: together they say what limits a method."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from statistics import mean
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from benchmark.perf.steps import Probe
from benchmark.training.session import TrainingSession, synchronize
from methods import Batch, Method
from methods.engine.acceleration import Acceleration

ITERATIONS = 14
"""Budget of the training whose steps are counted: every second one is, as first ones make the optimiser's state."""


class Traffic(TorchDispatchMode):
    """Counts operators, and the bytes of the tensors that each reads and writes. Views cost nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.operators = self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if not func.is_view:
            tensors = [leaf for leaf in tree_leaves((args, kwargs, out)) if isinstance(leaf, Tensor)]
            self.operators += 1
            self.bytes += sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        return out


class Counter(Probe):
    """A session in which every second iteration is counted instead of timed."""

    def __init__(self, session: TrainingSession) -> None:
        super().__init__(session, count=0, steps=1)
        self.counted: list[tuple[int, int, int]] = []

    def batches(self, method: Method) -> Iterator[tuple[int, Batch]]:
        real = self._session.batches(method)
        for _ in range(ITERATIONS // 2):
            yield self._real_item(real)
            item = self._real_item(real)
            with FlopCounterMode(display=False) as flops, Traffic() as traffic:
                yield item
            self.counted.append((flops.get_total_flops(), traffic.operators, traffic.bytes))
        real.close()  # type: ignore[attr-defined]


def count_step(train: Callable[[int], Counter], batch_size: int) -> dict[str, float]:
    """Operations, operators and bytes of a training step at a batch size, from those at 1 and 2: they grow linearly.

    ``train(n)`` returns the counter of a training with batches of n on the CPU, in plain eager mode.
    """
    at_1, at_2 = ([mean(values) for values in zip(*train(size).counted)] for size in (1, 2))
    flops, operators, traffic = (a + (batch_size - 1) * (b - a) for a, b in zip(at_1, at_2))
    return {"gflop": flops / 1e9, "operators": round(operators), "gigabytes": traffic / 1e9}


def machine(device: torch.device, acceleration: Acceleration) -> dict[str, float]:
    """What the device does at best: GFLOP/s of a large product or convolution in the precision of ``acceleration``,
    GB/s of a copy, and microseconds of an operator on next to no data."""
    large = device.type == "cuda"
    side, images, megabytes = (8192, 256, 1024) if large else (1024, 16, 128)
    a, b = torch.randn(2, side, side, device=device)
    picture, kernel = torch.randn(images, 64, 64, 64, device=device), torch.randn(64, 64, 3, 3, device=device)
    source = torch.zeros(megabytes << 18, device=device)
    target, number = torch.empty_like(source), torch.zeros(1, device=device)
    with acceleration.autocast(device):
        product = 2 * side**3 / _seconds(lambda: a @ b, device)
        convolution = 2 * picture.numel() * 64 * 9 / _seconds(lambda: F.conv2d(picture, kernel, padding=1), device)
    return {
        "peak_gflops": max(product, convolution) / 1e9,
        "bandwidth_gbs": 2 * 4 * source.numel() / _seconds(lambda: target.copy_(source), device) / 1e9,
        "operator_us": 1e6 * _seconds(lambda: number.add_(1.0), device, calls=2000),
    }


def _seconds(call: Callable[[], object], device: torch.device, calls: int = 3) -> float:
    """Seconds of one call at best: of six times ``calls``."""
    times = []
    with torch.inference_mode():
        for _ in range(6):
            synchronize(device)
            start = time.perf_counter()
            for _ in range(calls):
                call()
            synchronize(device)
            times.append((time.perf_counter() - start) / calls)
    return min(times)
