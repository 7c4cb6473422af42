"""What a method trains in: the budget, the batches, and all that happens between two of them."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from benchmark.config import Train
from benchmark.data.patches import PatchSampler
from benchmark.errors import first_line
from methods import Batch, Losses, Method, Recipe


class NonFiniteLoss(RuntimeError):
    """The loss of a method became infinite or not a number; its last good weights are kept."""


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

    ``validate(method)`` returns the validation PSNR in dB. Everything is restored from the checkpoint in ``folder``
    if it carries the same ``identity``; ``should_stop()`` is asked between two iterations.
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
        self._optimizers: list[tuple[torch.optim.Optimizer, Recipe]] = []
        self._points = set(validation_points(config.iterations, config.validations))
        self._last_checkpoint = time.monotonic()

    # -- what a method sees --------------------------------------------------------------------

    def recipe(self, native: Recipe) -> Recipe:
        if self.config.recipe == "native":
            return native
        return Recipe(learning_rate=self.config.learning_rate)

    def optimizer(self, groups: list[dict[str, Any]], recipe: Recipe) -> torch.optim.Optimizer:
        adam = torch.optim.Adam(groups, lr=recipe.learning_rate, betas=recipe.betas)
        self._optimizers.append((adam, recipe))
        return adam

    def check(self, losses: Losses) -> None:
        self.losses = {name: value.detach() for name, value in losses.items()}
        if not torch.isfinite(self.losses["total"]):
            raise NonFiniteLoss(f"the loss became {self.losses['total'].item()} at iteration {self.iteration + 1}")

    def batches(self, method: Method) -> Iterator[tuple[int, Batch]]:
        self._restore(method)
        if not self.history:
            self.record(method)  # iteration 0: what the untrained network does
        while self.iteration < self.iterations:
            with self._clock("training"):
                while self.iteration < self.iterations:
                    self._set_learning_rate()
                    yield self.iteration + 1, self.sampler.batch(self.iteration + 1)
                    self.iteration += 1
                    if self.iteration in self._points or self._checkpoint_is_due() or self.should_stop():
                        break
                    self.report(self)
            if self.iteration in self._points:
                self.record(method)
            if self._checkpoint_is_due() or self.should_stop():
                self.checkpoint(method)
            if self.should_stop():
                raise Interrupted

    # -- between two iterations ----------------------------------------------------------------

    def _set_learning_rate(self) -> None:
        for adam, recipe in self._optimizers:
            factor = recipe.factor(self.iteration / self.iterations)
            if self.config.recipe == "common" and self.iteration < self.config.warmup:
                factor *= (self.iteration + 1) / (self.config.warmup + 1)
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
        """Adam's current rate (0 before the first iteration of a method without an optimiser)."""
        return self._optimizers[0][0].param_groups[0]["lr"] if self._optimizers else 0.0

    def _checkpoint_is_due(self) -> bool:
        return time.monotonic() - self._last_checkpoint >= self.config.checkpoint_seconds

    # -- kill and resume -----------------------------------------------------------------------

    def checkpoint(self, method: Method) -> None:
        """Write everything needed to go on; the file is complete or not there at all."""
        with self._clock("checkpoint"):
            state = {
                "identity": self.identity,
                "method": method.state_dict(),
                "iteration": self.iteration,
                "history": self.history,
                "best": (self.best_psnr, self.best_iteration, self.best_weights),
                "clocks": self.clocks,
                "random": random_state(self.device),
            }
            write_atomically(self.folder / "checkpoint.pt", lambda path: torch.save(state, path))
        self._last_checkpoint = time.monotonic()

    def _restore(self, method: Method) -> None:
        path = self.folder / "checkpoint.pt"
        if not path.is_file():
            return
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
        except Exception as error:  # a cut or foreign file makes the reader raise almost anything
            print(f"{path} cannot be read ({first_line(error)}); training starts anew")
            return
        if state["identity"] != self.identity:
            return
        method.load_state_dict(state["method"])
        self.iteration = state["iteration"]
        self.history = state["history"]
        self.best_psnr, self.best_iteration, best = state["best"]
        self.best_weights = {name: value.cpu() for name, value in best.items()}
        self.clocks = state["clocks"]
        restore_random_state(state["random"], self.device)

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


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, force it to disk, and rename it."""
    partial = path.with_name(path.name + ".partial")
    write(partial)
    with open(partial, "rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)
