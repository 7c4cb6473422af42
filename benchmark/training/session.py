"""What a method trains in: the budget, the batches, and all that happens between two of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from benchmark.config import Train
from benchmark.data.patches import PatchSampler
from benchmark.training import checkpoint, optimizer
from benchmark.training.checkpoint import State
from methods import Batch, Losses, Method, Recipe
from methods.base import Phase

CHECK_EVERY = 100
"""Iterations after which a device that computes on its own is asked whether its losses were finite."""
CHECKPOINT_SHARE = 0.01
"""Share of the time that checkpoints may take."""


class NonFiniteLoss(RuntimeError):
    """A loss of a method became infinite or not a number; its last good weights are kept."""


class CheckpointMismatch(Exception):
    """A checkpoint did not fit and has been removed. Method and session are partially restored: create both anew."""


class Interrupted(BaseException):
    """The user or the system asked to stop; a checkpoint has been written."""


def validation_points(iterations: int, count: int) -> list[int]:
    """About ``count`` iterations at which to validate, always with the last one.

    Half are evenly spaced on a log scale (the paper's plots have a log axis), half evenly in
    iterations (the best weights are mostly late).
    """
    half = max(1, count // 2)
    logarithmic = [round(iterations ** ((k + 1) / half)) for k in range(half)]
    even = [round(iterations * (k + 1) / (count - half + 1)) for k in range(count - half)]
    return sorted({max(1, point) for point in [*logarithmic, *even, iterations]})


class TrainingSession:
    """Implements :class:`methods.Session` for one method and one seed.

    ``validate(method)`` returns the validation PSNR in dB. Training resumes from the checkpoint in ``folder`` if it
    has the same ``identity``. ``should_stop()`` is called between two iterations.
    """

    def __init__(
        self,
        config: Train,
        sampler: PatchSampler,
        validate: Callable[[Method], float],
        folder: Path,
        identity: str,
        *,
        report: Callable[[TrainingSession], None] = lambda session: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.iterations = config.iterations
        self.device = sampler.device
        self.config = config
        self.sampler = sampler
        self.validate = validate
        self.folder = folder
        self.identity = identity
        self.report = report
        self.should_stop = should_stop

        self.iteration = 0
        self.losses: Losses = {}
        self.history: list[dict[str, float]] = []
        self.best_psnr = -math.inf
        self.best_iteration = 0
        self.best_weights: dict[str, torch.Tensor] = {}
        self.clocks = {"training": 0.0, "validation": 0.0, "checkpoint": 0.0}
        self.resumed = 0.0  # seconds of the clocks that earlier processes spent
        self._optimizers: list[tuple[torch.optim.Optimizer, Recipe, Phase]] = []
        self._points = set(validation_points(config.iterations, config.validations))
        self._saved = 0  # iteration of the latest checkpoint
        self._next_checkpoint = time.monotonic() + config.checkpoint_seconds
        self._guard = optimizer.NonFiniteGuard(self.device) if self.device.type != "cpu" else None

    # -- what a method sees --------------------------------------------------------------------

    def recipe(self, native: Recipe) -> Recipe:
        if self.config.recipe == "native":
            return native
        return Recipe(learning_rate=self.config.learning_rate)

    def optimizer(
        self, groups: list[dict[str, Any]], recipe: Recipe, phase: Phase = (0.0, 1.0)
    ) -> torch.optim.Optimizer:
        adam = optimizer.make(groups, recipe)
        if self._guard is not None:
            self._guard.attach(adam)
        self._optimizers.append((adam, recipe, phase))
        return adam

    def check(self, losses: Losses) -> None:
        self.losses = {name: value.detach() for name, value in losses.items()}
        if self._guard is not None:
            self._guard.update(list(self.losses.values()))
            return
        for name, value in self.losses.items():
            if not math.isfinite(number := value.item()):
                called = "the loss" if name == "total" else f"the loss {name!r}"
                raise NonFiniteLoss(f"{called} became {number} at iteration {self.iteration + 1}")

    def batches(self, method: Method) -> Iterator[tuple[int, Batch]]:
        self._resume(method)
        if not self.history:
            self.record(method)  # iteration 0: what the untrained network does
        while self.iteration < self.iterations:
            with self._clock("training"):
                while self.iteration < self.iterations:
                    self._set_learning_rate()
                    yield self.iteration + 1, self.sampler.batch(self.iteration + 1)
                    self.iteration += 1
                    if self._something_is_due():
                        break
                    self.report(self)
                self._raise_if_non_finite()
            if self.iteration in self._points:
                self.record(method)
            stopping = self.should_stop()  # read the flag once, so a stop always checkpoints first
            if stopping or self._checkpoint_is_due():
                self.checkpoint(method)
            if stopping:
                raise Interrupted

    # -- between two iterations ----------------------------------------------------------------

    def _something_is_due(self) -> bool:
        watched = self._guard is not None and self.iteration % CHECK_EVERY == 0
        return watched or self.iteration in self._points or self._checkpoint_is_due() or self.should_stop()

    def _raise_if_non_finite(self) -> None:
        skipped = self._guard.skipped_steps() if self._guard is not None else 0
        if skipped:
            raise NonFiniteLoss(f"a loss was not finite at iteration {self.iteration - skipped + 1}")

    def _set_learning_rate(self) -> None:
        for adam, recipe, (begin, end) in self._optimizers:
            length = (end - begin) * self.iterations
            made = self.iteration - begin * self.iterations  # iterations of the optimiser's phase so far
            factor = recipe.factor(min(max(made / length, 0.0), 1.0))
            warmup = (end - begin) * self.config.warmup
            if self.config.recipe == "common" and made < warmup:
                factor *= (max(made, 0.0) + 1) / (warmup + 1)
            for group in adam.param_groups:
                group["lr"] = recipe.learning_rate * group.get("lr_scale", 1.0) * factor

    def record(self, method: Method) -> None:
        """Validate, add a row to the history, and keep the weights if they are the best so far."""
        with self._clock("validation"):
            psnr = self.validate(method)
            row = {
                "iteration": self.iteration,
                "seconds": round(self.clocks["training"], 3),
                "learning_rate": self.learning_rate,
                "val_psnr": psnr,
                **{name: value.item() for name, value in self.losses.items()},
            }
            self.history.append(row)
            if psnr > self.best_psnr:
                self.best_psnr, self.best_iteration = psnr, self.iteration
                self.best_weights = {k: v.detach().cpu().clone() for k, v in method.weights().items()}
        self.report(self)

    @property
    def learning_rate(self) -> float:
        """Adam's rate in the latest iteration, of the phase it belongs to (0 for a method without an optimiser)."""
        latest = 0.0
        begun = -1.0
        for adam, _, (begin, _) in self._optimizers:
            if begun < begin and begin * self.iterations < max(self.iteration, 1):
                latest, begun = adam.param_groups[0]["lr"], begin
        return latest

    def _checkpoint_is_due(self) -> bool:
        every = self.config.checkpoint_iterations
        return time.monotonic() >= self._next_checkpoint or (every > 0 and self.iteration - self._saved >= every)

    # -- kill and resume -----------------------------------------------------------------------

    def checkpoint(self, method: Method) -> None:
        """Write everything needed to resume. Raises OSError if that fails; the previous checkpoint then stays."""
        before = self.clocks["checkpoint"]
        with self._clock("checkpoint"):
            state = {
                **self.outcome(),
                "method": method.state_dict(),
                "best_weights": self.best_weights,
                "random": random_state(self.device),
            }
            checkpoint.save(self.folder, state)
        self._saved = self.iteration
        cost = self.clocks["checkpoint"] - before
        self._next_checkpoint = time.monotonic() + max(self.config.checkpoint_seconds, cost / CHECKPOINT_SHARE)

    def outcome(self) -> State:
        """The numbers of the training so far."""
        return {
            "identity": self.identity,
            "iteration": self.iteration,
            "history": self.history,
            "best_psnr": self.best_psnr,
            "best_iteration": self.best_iteration,
            "clocks": dict(self.clocks),
        }

    def restore(self, state: State) -> None:
        """Take over the numbers that :meth:`outcome` returned. Raises ValueError if they are impossible."""
        iteration, best_iteration, best_psnr = state["iteration"], state["best_iteration"], state["best_psnr"]
        clocks, history = state["clocks"], state["history"]
        if not (type(iteration) is type(best_iteration) is int and 0 <= best_iteration <= iteration <= self.iterations):
            raise ValueError("its iterations do not belong to this training")
        if type(best_psnr) is not float or math.isnan(best_psnr):
            raise ValueError("its best PSNR is not a number")
        if clocks.keys() != self.clocks.keys() or not all(0.0 <= clock < math.inf for clock in clocks.values()):
            raise ValueError("its clocks are not times")
        if not history or any(not isinstance(v, (int, float)) for row in history for v in row.values()):
            raise ValueError("its history is not a list of validations")
        self.iteration, self.best_iteration, self.best_psnr = iteration, best_iteration, best_psnr
        self.history = history
        self.clocks = dict(clocks)
        self.resumed = sum(clocks.values())
        self._saved = iteration

    def _resume(self, method: Method) -> None:
        """Restore the latest checkpoint that can be read, if there is one."""
        for path, state in checkpoint.states(self.folder, self.identity):
            try:
                self._restore_all(method, state)
            except Exception as error:  # a forged one makes a method's own code raise almost anything
                checkpoint.reject(path, error)
                raise CheckpointMismatch from None
            return

    def _restore_all(self, method: Method, state: State) -> None:
        settings = [optimizer.settings(adam) for adam, _, _ in self._optimizers]
        method.load_state_dict(state["method"])
        for (adam, _, _), before in zip(self._optimizers, settings):
            optimizer.check(adam, before)
        best, weights = state["best_weights"], method.weights()
        if {k: (v.shape, v.dtype) for k, v in best.items()} != {k: (v.shape, v.dtype) for k, v in weights.items()}:
            raise ValueError("its best weights are of another network")
        restore_random_state(state["random"], self.device)
        self.restore(state)
        self.best_weights = best

    @contextmanager
    def _clock(self, name: str) -> Iterator[None]:
        synchronize(self.device)
        start = time.perf_counter()
        try:
            yield
        finally:
            synchronize(self.device)
            self.clocks[name] += time.perf_counter() - start


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given, so that clocks measure work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def random_state(device: torch.device) -> dict[str, torch.Tensor]:
    """State of the random generators that dropout and the like draw from."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore_random_state(state: dict[str, torch.Tensor], device: torch.device) -> None:
    """Set the generators to a state that :func:`random_state` returned."""
    torch.set_rng_state(state["cpu"].cpu())
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"].cpu(), device)
