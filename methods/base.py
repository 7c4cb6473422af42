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
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.engine.acceleration import Acceleration, Runner, load_optimizer
from methods.engine.average import MovingAverage
from methods.engine.tiles import Enlarge, blend_tiles, enlarge_in_pieces, pad_to_multiple
from methods.options import MethodOptions

SCALE = 8
"""Every method of this benchmark enlarges by eight, in both directions."""

PIECE = 160
"""Side in LR pixels of the square that is enlarged at a time; larger pictures go in pieces. Bounds memory: 64
channels at its eightfold size are 0.4 GB. The largest plates of CCPD are a tenth of it."""

Phase = tuple[float, float]
"""Begin and end of a part of the budget, as shares of it: 0 ≤ begin < end ≤ 1."""

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

    ``milestones`` are fractions of the optimiser's phase (not iterations), so that one recipe serves every
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
    """What a method trains in. :class:`benchmark.training.session.TrainingSession` is the real one."""

    iterations: int
    """The budget: optimiser iterations, the same for every method."""
    device: torch.device

    def recipe(self, native: Recipe) -> Recipe:
        """The recipe to train with: one common to all methods, or ``native`` if the user asked for it."""

    def optimizer(
        self, groups: list[dict[str, Any]], recipe: Recipe, phase: Phase = (0.0, 1.0)
    ) -> torch.optim.Optimizer:
        """Adam over parameter groups; the session sets its rate before every iteration.

        A group may carry ``lr_scale``, a constant factor on its learning rate. ``phase``: the part of the budget that
        the optimiser steps in; warm-up and schedule run over it.
        """

    def batches(self, method: Method) -> Iterator[tuple[int, Batch]]:
        """Yield ``(iteration, batch)``, iteration counting from 1, until the budget is spent.

        Between two batches the session validates, checkpoints and reports. After a kill it
        restores ``method`` and goes on with the iteration that comes next.
        """

    def check(self, losses: Losses) -> None:
        """Take the losses of this iteration; raise if one of them is not finite.

        Call it before the optimiser steps: the weights are then still the last good ones. A device that computes on
        its own is not waited for: its optimisers skip that step and those to come, and some iterations later the
        session raises.
        """


Self = TypeVar("Self", bound="Method")


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
    version: ClassVar[int] = 1
    """Rises when the method trains to other weights than before; part of every result's identity."""

    @dataclass(frozen=True)
    class Options(MethodOptions):
        """Typed options of the method, set with ``--set <family>.<option>=<value>``."""

    def __init__(self, options: Any = None) -> None:
        self.options = self.Options() if options is None else options
        self.device = torch.device("cpu")
        self.acceleration = Acceleration()
        self.facts: dict[str, Any] = {}
        """What a result should record of its training: how compiled networks compare with uncompiled ones."""

    def accelerate(self: Self, acceleration: Acceleration) -> Self:
        """Take over how training is to compute, before :meth:`to`, and return the method."""
        self.acceleration = acceleration
        return self

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
    ``native_recipe``, ``multiple_of`` and, for several networks, ``prepare``, ``step``, ``state_dict`` and
    ``load_state_dict``.
    """

    native_recipe: ClassVar[Recipe] = Recipe()
    multiple_of: ClassVar[int] = 1
    """The network takes LR sides that are multiples of this; others are padded by reflection."""
    tile: ClassVar[int | None] = None
    """Longest LR side the network is good for; larger inputs are upscaled in overlapping tiles."""
    context: ClassVar[int] = 32
    """LR pixels around a piece of a very large picture that are handed over with it: a multiple of 8, less than
    half of :data:`PIECE`. From the network's reach on (the default is that of 30 3×3 convolutions), pieces are
    what one pass would have made of them."""

    def __init__(self, options: Any = None) -> None:
        super().__init__(options)
        self.network = self.build()
        self.recipe = self.native_recipe
        self.optimizer: torch.optim.Optimizer | None = None
        self.average: MovingAverage | None = None
        self.phase: Phase = (0.0, 1.0)
        """The part of the budget in which ``optimizer`` steps."""
        self._runners: dict[nn.Module, Runner] = {}

    @abstractmethod
    def build(self) -> nn.Module:
        """The untrained network, N×3×h×w → N×3×8h×8w, initialised as published."""

    def loss(self, sr: Tensor, batch: Batch) -> Losses:
        """What is minimised, given the network's output for ``batch.lr``."""
        return {"total": F.mse_loss(sr, batch.hr)}

    def to(self, device: torch.device) -> Method:
        super().to(device)
        self.settle(self.network)
        return self

    def settle(self, network: nn.Module) -> nn.Module:
        """Move ``network`` to the method's device, in the memory layout of its acceleration, and return it."""
        network.to(self.device)
        for tensor in (*network.parameters(), *network.buffers()):
            if tensor.ndim == 4:
                tensor.data = tensor.data.to(memory_format=self.acceleration.layout(self.device))
        return network

    def parameters(self) -> int:
        return sum(p.numel() for p in self.network.parameters() if p.requires_grad)

    # -- training ------------------------------------------------------------------------------

    def train(self, session: Session) -> None:
        self.prepare(session)
        self.network.train()
        for _, batch in session.batches(self):
            if self.acceleration.compile == "cudagraphs":
                torch.compiler.cudagraph_mark_step_begin()
            self.step(batch, session)
        self.network.eval()
        self._forget_compiled()

    def _forget_compiled(self) -> None:
        if self.acceleration.compile != "none":
            torch.compiler.reset()  # the code of another network, of which torch keeps a few only, and its memory

    def run(self, network: nn.Module, images: Tensor) -> Tensor:
        """``network(images)`` as training is to compute it (see :class:`Acceleration`); float32.

        Every network that a training step evaluates goes through here.
        """
        runner = self._runners.get(network)
        if runner is None:
            runner = self._runners[network] = Runner(network, self.acceleration, self.device, self.facts)
        return runner(images)

    def prepare(self, session: Session) -> None:
        """Make the optimiser, and what else training needs but upscaling does not."""
        self._runners.clear()
        self._forget_compiled()
        self.recipe = session.recipe(self.native_recipe)
        self.optimizer = session.optimizer(self.parameter_groups(), self.recipe, self.phase)
        if self.recipe.ema is not None:
            self.average = MovingAverage(self.network, self.recipe.ema)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Adam's parameter groups; a group may carry ``lr_scale``."""
        scaled: dict[float, list[nn.Parameter]] = {1.0: []}
        for name, parameter in self.network.named_parameters():
            rate = next((r for prefix, r in self.recipe.layer_rates if name.startswith(prefix)), 1.0)
            scaled.setdefault(rate, []).append(parameter)
        return [{"params": group, "lr_scale": rate} for rate, group in scaled.items()]

    def step(self, batch: Batch, session: Session) -> None:
        """One optimiser iteration."""
        losses = self.loss(self.enlarge(partial(self.run, self.network), batch.lr), batch)
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
            self.average.update()

    # -- inference and state -------------------------------------------------------------------

    def inference_network(self) -> nn.Module:
        """The network that upscales: the moving average where the recipe keeps one."""
        return self.network if self.average is None else self.average.network

    def enlarge(self, network: Enlarge, lr: Tensor) -> Tensor:
        """``network(lr)`` for any size of ``lr``: padded on the way in, cropped on the way out."""
        padded = pad_to_multiple(lr, self.multiple_of)
        sr = network(padded)
        return sr if padded is lr else sr[..., : SCALE * lr.shape[-2], : SCALE * lr.shape[-1]]

    def enlarge_tiled(self, network: Enlarge, lr: Tensor) -> Tensor:
        """:meth:`enlarge`, in tiles where ``lr`` is larger than the network is good for."""
        if self.tile is None or max(lr.shape[-2:]) <= self.tile:
            return self.enlarge(network, lr)
        return blend_tiles(partial(self.enlarge, network), lr, self.tile, SCALE, PIECE**2 // self.tile**2)

    @torch.inference_mode()
    def upscale(self, lr: Tensor) -> Tensor:
        check_lr(lr)
        network = self.inference_network()
        was_training = network.training
        network.eval()
        try:
            if lr.shape[-2] * lr.shape[-1] > PIECE**2:
                sr = enlarge_in_pieces(partial(self.enlarge_tiled, network), lr, PIECE, self.context, SCALE)
            else:
                sr = self.enlarge_tiled(network, lr)
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
            state["average"] = self.average.network.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        if self.optimizer is not None:
            load_optimizer(self.optimizer, state["optimizer"])
        if self.average is not None:
            self.average.network.load_state_dict(state["average"])


def check_lr(lr: Tensor) -> None:
    """Raise ValueError unless ``lr`` is N×3×h×w, floating point, with h, w ≥ 1."""
    if lr.ndim != 4 or lr.shape[1] != 3 or min(lr.shape[-2:]) < 1 or not lr.is_floating_point():
        raise ValueError(f"expected a float tensor N×3×h×w with h, w ≥ 1, got {lr.dtype} {tuple(lr.shape)}")
