"""Adam as every method gets it, the guard against losses that are not finite, and the check of a restored state."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from methods import Recipe

Settings = list[dict[str, Any]]


def make(groups: list[dict[str, Any]], recipe: Recipe) -> torch.optim.Adam:
    """Fused Adam: on a CPU it saves a tenth of the iteration of a large network, on CUDA most of the launches, and
    the device itself can tell it to skip a step."""
    return torch.optim.Adam(groups, lr=recipe.learning_rate, betas=recipe.betas, fused=True)


def settings(adam: torch.optim.Optimizer) -> Settings:
    """The settings of the parameter groups that training does not change."""
    return [{k: v for k, v in group.items() if k not in ("params", "lr")} for group in adam.param_groups]


def check(adam: torch.optim.Optimizer, before: Settings) -> None:
    """Raise ValueError if a restored state does not fit; ``before`` are the settings from before it was loaded.

    PyTorch does not check, and a fused step writes beyond tensors that are too small.
    """
    if settings(adam) != before:
        raise ValueError("its optimiser has other settings")
    for group in adam.param_groups:
        for parameter in group["params"]:
            state = adam.state.get(parameter, {})
            wanted = dict.fromkeys(("exp_avg", "exp_avg_sq"), (parameter.shape, parameter.stride(), parameter.dtype))
            wanted["step"] = (torch.Size(), (), torch.float32)
            if state and {k: (v.shape, v.stride(), v.dtype) for k, v in state.items()} != wanted:
                raise ValueError("its optimiser is of another network")


class NonFiniteGuard:
    """Detects a loss that is not finite on a device, without waiting for the device.

    From that iteration on the attached optimisers change neither weights nor moments, by the mechanism with which
    mixed-precision training skips steps (``found_inf`` of PyTorch's fused optimisers).
    """

    def __init__(self, device: torch.device) -> None:
        self._zero, self._sum = torch.zeros((), device=device), torch.zeros((), device=device)
        self._non_finite = torch.zeros((), device=device)
        self._skipped = torch.zeros((), device=device)

    def attach(self, adam: torch.optim.Optimizer) -> None:
        """Have ``adam`` skip its steps once a loss was not finite."""
        adam.found_inf = self._non_finite  # type: ignore[attr-defined]

    def update(self, losses: list[Tensor]) -> None:
        """Take in the losses of an iteration, before the optimisers step."""
        total = losses[0] if len(losses) == 1 else torch.stack(losses).sum()
        self._sum.addcmul_(total, self._zero)  # 0, or not a number from the first such loss on
        torch.ne(self._sum, self._sum, out=self._non_finite)
        self._skipped.add_(self._non_finite)

    def skipped_steps(self) -> int:
        """How many iterations the attached optimisers have skipped; waits for the device."""
        return int(self._skipped.item())
