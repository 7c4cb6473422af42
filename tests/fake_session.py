"""A training session in a few lines: methods need nothing of ``benchmark`` to train."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from methods import Batch, Losses, Method, Recipe


def make_batch(iteration: int, lr_size: tuple[int, int], count: int = 2) -> Batch:
    """Smooth random pictures, a function of the iteration alone."""
    generator = torch.Generator().manual_seed(iteration)
    height, width = lr_size
    coarse = torch.rand(count, 3, height + 1, width + 1, generator=generator)
    hr = F.interpolate(coarse, size=(8 * height, 8 * width), mode="bilinear")
    lr = F.interpolate(hr, size=lr_size, mode="bicubic", antialias=True).clamp(0, 1)
    return Batch(lr=lr, hr=hr)


class FakeSession:
    """Random batches, one recipe, no validation. ``resume`` is a state dict to go on from."""

    def __init__(
        self,
        iterations: int = 1,
        *,
        first: int = 1,
        stop: int | None = None,
        lr_size: tuple[int, int] = (8, 8),
        native: bool = False,
        resume: dict[str, Any] | None = None,
    ) -> None:
        self.iterations, self.first, self.stop = iterations, first, stop or iterations
        self.lr_size, self.native, self.resume = lr_size, native, resume
        self.device = torch.device("cpu")
        self.history: list[dict[str, float]] = []
        self.optimizers: list[tuple[torch.optim.Optimizer, Recipe]] = []

    def recipe(self, native: Recipe) -> Recipe:
        return native if self.native else Recipe()

    def optimizer(self, groups: list[dict[str, Any]], recipe: Recipe) -> torch.optim.Optimizer:
        rated = [{**g, "lr": recipe.learning_rate * g.get("lr_scale", 1.0)} for g in groups]
        optimizer = torch.optim.Adam(rated, betas=recipe.betas)
        self.optimizers.append((optimizer, recipe))
        return optimizer

    def batches(self, method: Method) -> Iterator[tuple[int, Batch]]:
        if self.resume is not None:
            method.load_state_dict(self.resume)
        for iteration in range(self.first, self.stop + 1):
            torch.manual_seed(iteration)  # dropout and its like draw from it
            yield iteration, make_batch(iteration, self.lr_size)

    def check(self, losses: Losses) -> None:
        values: dict[str, Tensor] = dict(losses)
        assert all(v.ndim == 0 and torch.isfinite(v) for v in values.values()), losses
        self.history.append({name: v.item() for name, v in values.items()})
