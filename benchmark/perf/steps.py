"""A training step against its floor: the same step on a ready-made batch, without a session around it.

Both are made by one method with one optimiser in one training, in turn, a block of iterations of each at a
time: what else the machine does meanwhile slows both alike.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from statistics import median
from typing import Any

import torch

from benchmark.training.session import TrainingSession, synchronize
from methods import Batch, Losses, Method

BLOCK_SECONDS = 0.25
"""About how long a block of iterations lasts; longer where one iteration does."""
_MOST_STEPS = 500
_LEAST_CALLS = 8

Kind = tuple[str, ...]
"""Names of the losses of an iteration. Iterations with other losses do other work (a second phase)."""


@dataclass
class Pair:
    """A block of real iterations and one of bare ones: seconds an iteration of each, and of parts of the real one."""

    kinds: Counter[Kind] = field(default_factory=Counter)
    real: float = 0.0
    floor: float = 0.0
    data: float = 0.0
    report: float = 0.0


class Probe:
    """A session for :meth:`methods.Method.train` that times ``count`` pairs of blocks of ``steps`` iterations.

    What is not defined here is that of ``session``. In the blocks of the floor the batch is a random one, made
    once, and losses are not checked.
    """

    def __init__(
        self, session: TrainingSession, count: int, steps: int, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.pairs: list[Pair] = []
        self._session, self._count, self._steps, self._clock = session, count, steps, clock
        self._bare = False
        self._kinds: Counter[Kind] = Counter()
        self._batch: Batch | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def check(self, losses: Losses) -> None:
        self._kinds[tuple(losses)] += 1
        if not self._bare:
            self._session.check(losses)

    def batches(self, method: Method) -> Iterator[tuple[int, Batch]]:
        real = self._session.batches(method)
        for number in range(self._count):
            pair, self._kinds = Pair(), Counter()
            for self._bare in (False, True) if number % 2 == 0 else (True, False):
                start = self._now()
                for _ in range(self._steps):
                    yield self._bare_item() if self._bare else self._real_item(real)
                seconds = (self._now() - start) / self._steps
                if self._bare:
                    pair.floor = seconds
                else:
                    pair.real = seconds
            # Iterations in their order, as a device makes the batches of several at a time.
            sampler, ahead = self._session.sampler, count(self._session.iteration + 1)
            pair.data = self._timed(lambda: sampler.batch(next(ahead)))  # noqa: B023 (called at once)
            pair.report = self._timed(lambda: self._session.report(self._session))
            # A captured step is not seen checking its losses: it is of the kind of those before it.
            pair.kinds = self._kinds or Counter(self.pairs[-1].kinds if self.pairs else {(): 1})
            self.pairs.append(pair)
        real.close()  # type: ignore[attr-defined]

    def _real_item(self, real: Iterator[tuple[int, Batch]]) -> tuple[int, Batch]:
        iteration, batch = next(real)
        if self._batch is None:
            self._batch = replace(batch, lr=torch.rand_like(batch.lr), hr=torch.rand_like(batch.hr))
        return iteration, batch

    def _bare_item(self) -> tuple[int, Batch]:
        assert self._batch is not None, "the first block is a real one"
        return self._session.iteration + 1, self._batch

    def _now(self) -> float:
        synchronize(self._session.device)
        return self._clock()

    def _timed(self, call: Callable[[], object]) -> float:
        """Seconds of one call, from several."""
        calls = max(self._steps, _LEAST_CALLS)
        start = self._now()
        for _ in range(calls):
            call()
        return (self._now() - start) / calls


def steps_for(seconds: float) -> int:
    """Iterations of a block, given the duration of one."""
    return max(1, min(_MOST_STEPS, round(BLOCK_SECONDS / max(seconds, 1e-6))))


def summarise(pairs: list[Pair]) -> dict[str, Any]:
    """Milliseconds of a step and of its floor, their ratio, and the shares of parts, from timed pairs.

    The first pair of every kind of iteration warms up and counts only where it is the only one; pairs of mixed kinds
    count for the shares of the kinds in the budget alone. ``ratio`` is the median over the pairs: each compares
    neighbours in time, which the quotient of two medians does not. ``unmeasured``: share of the iterations
    whose kind no pair was of.
    """
    by_kind: dict[Kind, list[Pair]] = {}
    budget: Counter[Kind] = Counter()
    for pair in pairs:
        budget += pair.kinds
        if len(pair.kinds) == 1:
            by_kind.setdefault(next(iter(pair.kinds)), []).append(pair)
    weights = {kind: budget[kind] / budget.total() for kind in by_kind}
    measured = {kind: timed[1:] or timed for kind, timed in by_kind.items()}

    def mean(value: Callable[[Pair], float]) -> float:
        """Of the medians of the kinds, by their shares in the budget."""
        medians = {kind: median(value(pair) for pair in timed) for kind, timed in measured.items()}
        return sum(weights[kind] * medians[kind] for kind in medians) / sum(weights.values())

    step, floor = mean(lambda pair: pair.real), mean(lambda pair: pair.floor)
    ratios = {kind: median(pair.real / pair.floor for pair in timed) for kind, timed in measured.items()}
    floors = {kind: weights[kind] * median(pair.floor for pair in timed) for kind, timed in measured.items()}
    return {
        "step_ms": 1e3 * step,
        "floor_ms": 1e3 * floor,
        "ratio": sum(ratios[kind] * floors[kind] for kind in ratios) / sum(floors.values()),
        "iterations_per_s": 1.0 / step,
        "data_share": mean(lambda pair: pair.data) / step,
        "logging_share": mean(lambda pair: pair.report) / step,
        "unmeasured": 1.0 - sum(weights.values()),
        "kinds": [
            {"losses": list(kind), "share": weights[kind], "step_ms": 1e3 * median(pair.real for pair in timed)}
            for kind, timed in measured.items()
        ],
    }
