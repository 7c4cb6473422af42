"""The contract of a method, and of the session it trains in.

A method turns a low-resolution plate into one eight times as large. It knows nothing of datasets, scores or
result folders: it is given a *session* (see :class:`Session`) and consumes its batches. The smallest method is a
network and nothing else (see :mod:`methods.network`)::

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
from typing import Any, ClassVar, Literal, Protocol, TypeVar

import torch
from torch import Tensor

from methods.engine.acceleration import Acceleration
from methods.options import MethodOptions

SCALE = 8
"""Every method of this benchmark enlarges by eight, in both directions."""

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

# Members that had other names once: a method that still overrides them would be run without what it says there.
_RENAMED = {
    "parameters": "num_parameters",
    "ingredients": "external_weights",
    "context": "halo",
    "tile": "max_side",
    "settle": "to_device",
    "enlarge": "forward_padded",
    "enlarge_tiled": "forward_tiled",
    "descend": "optimizer_step",
}


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

    packages: ClassVar[dict[str, str]] = {}
    """Python packages that training needs and the core does not have: the extra that installs each."""

    @dataclass(frozen=True)
    class Options(MethodOptions):
        """Typed options of the method, set with ``--set <family>.<option>=<value>``."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for old, new in _RENAMED.items():
            if old in vars(cls):
                raise TypeError(f"{cls.__name__}.{old} is called {new} now: rename it")

    def __init__(self, options: Any = None) -> None:
        self.options = self.Options() if options is None else options
        self.device = torch.device("cpu")
        self.acceleration = Acceleration()
        self.facts: dict[str, Any] = {}
        """What a result should record of its training: how compiled networks compare with uncompiled ones."""

    def accelerate(self: Self, acceleration: Acceleration) -> Self:
        """Set how training computes: precision, memory layout, compilation. Comes before :meth:`to`."""
        self.acceleration = acceleration
        return self

    def to(self, device: torch.device) -> Method:
        """Move everything the method computes with to ``device`` and return the method."""
        self.device = torch.device(device)
        return self

    def num_parameters(self) -> int:
        """Number of trainable parameters of the upscaling network."""
        return 0

    def notes(self) -> list[str]:
        """Sentences for the report's footnotes: every choice that departs from the publication."""
        return []

    def footnotes(self) -> list[str]:
        """:meth:`notes`, and what options that every method has change."""
        return self.notes()

    @property
    def section(self) -> str:
        """Configuration section of the options."""
        return self.family or self.name

    @classmethod
    def selected_as(cls, options: Any, best: int, iterations: int) -> str:
        """What the weights selected at iteration ``best`` are where the last ones are the method as published: a word
        or two behind the title. Empty where the selected ones are the method, as with nearly all."""
        return ""

    def external_weights(self) -> dict[str, str]:
        """Hashes of files from elsewhere that training depends on, by what they are used for.

        They are part of a result's identity: with another file the method is trained anew.
        """
        return {}

    def imagenet_networks(self) -> dict[str, str]:
        """torchvision's networks whose ImageNet weights training starts from, and the setting that goes without each.

        A run makes sure of them before anything is trained.
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
        """Load what :meth:`weights` returned. Names and shapes must match exactly."""

    def state_dict(self) -> dict[str, Any]:
        """Everything the method needs to go on training after a kill."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load what :meth:`state_dict` returned."""


def check_lr(lr: Tensor) -> None:
    """Raise ValueError unless ``lr`` is N×3×h×w, floating point, with h, w ≥ 1."""
    if lr.ndim != 4 or lr.shape[1] != 3 or min(lr.shape[-2:]) < 1 or not lr.is_floating_point():
        raise ValueError(f"expected a float tensor N×3×h×w with h, w ≥ 1, got {lr.dtype} {tuple(lr.shape)}")
