"""The contract of a method, and the training loop that all networks share.

A method turns a low-resolution plate into one eight times as large. It knows nothing of
datasets, scores or result folders: it is handed a *session* (see :class:`Session`) and consumes
the batches that come out of it. The smallest method is a network and nothing else::

    @register
    class MyNet(NetworkMethod):
        name = "mynet"
        title = "MyNet"
        citation = "Doe et al., CVPR 2027"

        def build(self) -> nn.Module: ...

Images are float tensors, N×3×h×w, RGB, in [0, 1], everywhere in this package.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SCALE = 8
"""Every method of this benchmark enlarges by eight, in both directions."""

Losses = dict[str, Tensor]
"""Scalar tensors by name. ``total`` is minimised, the others are written to the history."""


@dataclass(frozen=True)
class Batch:
    """One training batch: ``lr`` N×3×h×w and ``hr`` N×3×8h×8w, RGB float32 in [0, 1]."""

    lr: Tensor
    hr: Tensor


@dataclass(frozen=True)
class Recipe:
    """How a network is optimised: Adam, its rate over time, and what is done to loss and gradient.

    ``milestones`` are fractions of the budget (not iterations), so that one recipe serves every
    budget; at each one the rate is multiplied by ``gamma`` when ``schedule`` is ``steps``.
    """

    learning_rate: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    schedule: Literal["cosine", "steps", "constant"] = "cosine"
    milestones: tuple[float, ...] = ()
    gamma: float = 0.5
    loss_scale: float = 1.0
    gradient_clip: float | None = None
    ema: float | None = None
    layer_rates: tuple[tuple[str, float], ...] = ()
    """Layers that learn at another rate: ``(prefix of the parameter's name, factor)``."""

    def factor(self, progress: float) -> float:
        """Multiplier of the learning rate after ``progress`` (0 to 1) of the budget."""
        if self.schedule == "cosine":
            return 0.5 * (1.0 + math.cos(math.pi * progress))
        if self.schedule == "steps":
            return self.gamma ** sum(progress >= m for m in self.milestones)
        return 1.0


class Session(Protocol):
    """What a method trains in. :class:`benchmark.session.TrainingSession` is the real one."""

    iterations: int
    """The budget: optimiser iterations, the same for every method."""
    device: torch.device

    def recipe(self, native: Recipe) -> Recipe:
        """The recipe to train with: one common to all methods, or ``native`` if the user asked for it."""

    def optimizer(self, groups: list[dict[str, Any]], recipe: Recipe) -> torch.optim.Optimizer:
        """Adam over parameter groups; the session sets its rate before every iteration.

        A group may carry ``lr_scale``, a constant factor on its learning rate.
        """

    def batches(self, method: Method) -> Iterator[tuple[int, Batch]]:
        """Yield ``(iteration, batch)``, iteration counting from 1, until the budget is spent.

        Between two batches the session validates, checkpoints and reports. After a kill it
        restores ``method`` and goes on with the iteration that comes next.
        """

    def check(self, losses: Losses) -> None:
        """Take the losses of this iteration; raise if ``total`` is not finite.

        Call it before the optimiser steps: the weights are then still the last good ones.
        """


class Method(ABC):
    """Base of all methods. Subclasses need ``name``, ``title``, ``citation`` and ``upscale``."""

    name: ClassVar[str]
    title: ClassVar[str]
    citation: ClassVar[str]
    groups: ClassVar[tuple[str, ...]] = ()
    """Named sets the method belongs to: ``table1``, ``ablation``, … ; ``all`` is implied."""
    family: ClassVar[str | None] = None
    """Configuration section whose options this class takes; the name when None."""
    paper_parameters: ClassVar[int | None] = None
    """Parameter count printed in the PECL paper's Table 1."""
    deterministic: ClassVar[bool] = False
    """True when the result does not depend on a seed (nothing is learnt)."""

    @dataclass(frozen=True)
    class Options:
        """Typed options of the method, set with ``--set <family>.<option>=<value>``."""

    def __init__(self, options: Any = None) -> None:
        self.options = self.Options() if options is None else options
        self.device = torch.device("cpu")

    def to(self, device: torch.device) -> Method:
        """Move everything the method computes with to ``device`` and return the method."""
        self.device = torch.device(device)
        return self

    def parameters(self) -> int:
        """Number of trainable parameters of the upscaling network."""
        return 0

    def notes(self) -> list[str]:
        """Sentences for the report's footnotes: every choice that departs from the publication."""
        return []

    def ingredients(self) -> dict[str, str]:
        """Hashes of files from elsewhere that training depends on, by what they are used for.

        They are part of a result's identity: with another file the method is trained anew.
        """
        return {}

    def train(self, session: Session) -> None:
        """Learn from ``session.batches()``. The default learns nothing."""

    @abstractmethod
    def upscale(self, lr: Tensor) -> Tensor:
        """N×3×h×w → N×3×8h×8w, both RGB in [0, 1], for every h, w ≥ 1.

        Raises ValueError for a tensor of another shape.
        """

    def weights(self) -> dict[str, Tensor]:
        """The tensors ``upscale`` depends on, by name."""
        return {}

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """Take over what :meth:`weights` returned; names and shapes must match exactly."""

    def state_dict(self) -> dict[str, Any]:
        """Everything the method needs to go on training after a kill."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what :meth:`state_dict` returned."""


class NetworkMethod(Method):
    """A method that is one network trained with one optimiser.

    Subclasses give ``build``; they may override ``loss`` (default: mean squared error),
    ``native_recipe``, ``multiple_of`` and, for several networks, ``prepare`` and ``step``.
    """

    native_recipe: ClassVar[Recipe] = Recipe()
    multiple_of: ClassVar[int] = 1
    """The network takes LR sides that are multiples of this; others are padded by reflection."""
    tile: ClassVar[int | None] = None
    """Longest LR side the network is good for; larger inputs are upscaled in overlapping tiles."""

    def __init__(self, options: Any = None) -> None:
        super().__init__(options)
        self.network = self.build()
        self.recipe = self.native_recipe
        self.optimizer: torch.optim.Optimizer | None = None
        self.average: torch.optim.swa_utils.AveragedModel | None = None

    @abstractmethod
    def build(self) -> nn.Module:
        """The untrained network, N×3×h×w → N×3×8h×8w, initialised as published."""

    def loss(self, sr: Tensor, batch: Batch) -> Losses:
        """What is minimised, given the network's output for ``batch.lr``."""
        return {"total": F.mse_loss(sr, batch.hr)}

    def to(self, device: torch.device) -> Method:
        self.network.to(device)
        return super().to(device)

    def parameters(self) -> int:
        return sum(p.numel() for p in self.network.parameters() if p.requires_grad)

    # -- training ------------------------------------------------------------------------------

    def train(self, session: Session) -> None:
        self.prepare(session)
        self.network.train()
        for _, batch in session.batches(self):
            self.step(batch, session)
        self.network.eval()

    def prepare(self, session: Session) -> None:
        """Make the optimiser, and what else training needs but upscaling does not."""
        self.recipe = session.recipe(self.native_recipe)
        self.optimizer = session.optimizer(self.parameter_groups(), self.recipe)
        if self.recipe.ema is not None:
            self.average = torch.optim.swa_utils.AveragedModel(
                self.network,
                multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(self.recipe.ema),
                use_buffers=False,
            )

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Adam's parameter groups; a group may carry ``lr_scale``."""
        scaled: dict[float, list[nn.Parameter]] = {1.0: []}
        for name, parameter in self.network.named_parameters():
            rate = next((r for prefix, r in self.recipe.layer_rates if name.startswith(prefix)), 1.0)
            scaled.setdefault(rate, []).append(parameter)
        return [{"params": group, "lr_scale": rate} for rate, group in scaled.items()]

    def step(self, batch: Batch, session: Session) -> None:
        """One optimiser iteration."""
        losses = self.loss(self.enlarge(self.network, batch.lr), batch)
        session.check(losses)
        self.descend(losses["total"])

    def descend(self, total: Tensor) -> None:
        """Backward pass, gradient clipping, optimiser step, moving average."""
        assert self.optimizer is not None, "prepare() comes before the first step"
        self.optimizer.zero_grad(set_to_none=True)
        (total * self.recipe.loss_scale).backward()
        if self.recipe.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.gradient_clip)
        self.optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.network)

    # -- inference and state -------------------------------------------------------------------

    def inference_network(self) -> nn.Module:
        """The network that upscales: the moving average where the recipe keeps one."""
        return self.network if self.average is None else self.average.module

    def enlarge(self, network: nn.Module, lr: Tensor) -> Tensor:
        """``network(lr)`` for any size of ``lr``: padded on the way in, cropped on the way out."""
        padded = pad_to_multiple(lr, self.multiple_of)
        sr: Tensor = network(padded)
        return sr if padded is lr else sr[..., : SCALE * lr.shape[-2], : SCALE * lr.shape[-1]]

    @torch.inference_mode()
    def upscale(self, lr: Tensor) -> Tensor:
        check_lr(lr)
        network = self.inference_network()
        was_training = network.training
        network.eval()
        try:
            if self.tile is not None and max(lr.shape[-2:]) > self.tile:
                sr = blend_tiles(lambda tiles: self.enlarge(network, tiles), lr, self.tile)
            else:
                sr = self.enlarge(network, lr)
            return sr.clamp(0.0, 1.0)
        finally:
            network.train(was_training)

    def weights(self) -> dict[str, Tensor]:
        return dict(self.inference_network().state_dict())

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        self.inference_network().load_state_dict(weights, strict=True)

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = {"network": self.network.state_dict()}
        if self.optimizer is not None:
            state["optimizer"] = self.optimizer.state_dict()
        if self.average is not None:
            state["average"] = self.average.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        if self.optimizer is not None:
            self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])


def check_lr(lr: Tensor) -> None:
    """Raise ValueError unless ``lr`` is N×3×h×w, floating point, with h, w ≥ 1."""
    if lr.ndim != 4 or lr.shape[1] != 3 or min(lr.shape[-2:]) < 1 or not lr.is_floating_point():
        raise ValueError(f"expected a float tensor N×3×h×w with h, w ≥ 1, got {lr.dtype} {tuple(lr.shape)}")


def blend_tiles(enlarge: Callable[[Tensor], Tensor], lr: Tensor, size: int) -> Tensor:
    """Enlarge ``lr`` in tiles of at most ``size``×``size`` that overlap by half, and blend them.

    A tile counts most in its middle and next to nothing at its edge (a raised cosine), where the
    network sees least around it. All tiles go through ``enlarge`` as one batch.
    """
    count, channels, height, width = lr.shape
    rows, columns = _starts(height, size), _starts(width, size)
    places = [(top, left) for top in rows for left in columns]
    tall, wide = min(size, height), min(size, width)
    tiles = torch.cat([lr[..., top : top + tall, left : left + wide] for top, left in places])
    enlarged = enlarge(tiles).view(len(places), count, channels, SCALE * tall, SCALE * wide)
    weight = torch.outer(*(torch.hann_window(SCALE * n + 2, periodic=False)[1:-1] for n in (tall, wide))).to(lr)
    total = lr.new_zeros(count, channels, SCALE * height, SCALE * width)
    weights = lr.new_zeros(SCALE * height, SCALE * width)
    for (top, left), tile in zip(places, enlarged):
        area = (..., slice(SCALE * top, SCALE * (top + tall)), slice(SCALE * left, SCALE * (left + wide)))
        total[area] += weight * tile
        weights[area] += weight
    return total / weights


def _starts(length: int, size: int) -> list[int]:
    """Where tiles begin: every half tile, the last one flush with the end."""
    last = max(length - size, 0)
    return [*range(0, last, max(size // 2, 1)), last]


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Extend ``x`` at the bottom and right to sides divisible by ``multiple``, by reflection.

    Equals reflection padding wherever that is defined and goes on folding back and forth where
    it is not, so that a single row or column can be padded too.
    """
    for dim in (-2, -1):
        size = x.shape[dim]
        padded = -(-size // multiple) * multiple
        if padded != size:
            period = max(2 * (size - 1), 1)
            index = torch.arange(padded, device=x.device) % period
            index = torch.minimum(index, period - index) if size > 1 else index * 0
            x = x.index_select(dim, index)
    return x
