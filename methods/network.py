"""A method that is one network: the training loop that all networks share, and upscaling of any size."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.base import SCALE, Batch, Losses, Method, Phase, Recipe, Session, check_lr
from methods.engine.acceleration import Runner, load_optimizer
from methods.engine.average import MovingAverage
from methods.engine.tiles import Forward, blend_tiles, forward_in_tiles, pad_to_multiple
from methods.extra_losses import ExtraLosses, LossOptions, external_weights, notes, weights

TILE = 160
"""Side in LR pixels of the square that is upscaled at a time; larger pictures go in tiles. Bounds memory: 64
channels at its eightfold size are 0.4 GB. The largest plates of CCPD are a tenth of it."""


class NetworkMethod(Method):
    """A method that is one network trained with one optimiser.

    Subclasses give ``build``; they may override ``loss`` (default: mean squared error),
    ``native_recipe``, ``multiple_of`` and, for several networks, ``prepare``, ``step``, ``state_dict`` and
    ``load_state_dict``.
    """

    native_recipe: ClassVar[Recipe] = Recipe()
    multiple_of: ClassVar[int] = 1
    """The network takes LR sides that are multiples of this; others are padded by reflection."""
    max_side: ClassVar[int | None] = None
    """Longest LR side the network is good for; larger inputs are upscaled in overlapping tiles that are blended."""
    halo: ClassVar[int] = 32
    """LR pixels around a tile of a very large picture that are handed over with it: a multiple of 8, less than
    half of :data:`TILE`. If the network reaches no farther (the default is the reach of 30 3×3 convolutions), the
    result is that of one pass."""

    @dataclass(frozen=True)
    class Options(LossOptions):
        """A network's own inherit these. One whose options do not cannot be trained with further losses."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        max_side = 1 if cls.max_side is None else cls.max_side
        for name, size in (("multiple_of", cls.multiple_of), ("max_side", max_side)):
            if not isinstance(size, int) or not 1 <= size <= TILE:
                raise ValueError(f"{cls.__name__}.{name} = {size!r}: a whole number from 1 to {TILE} is needed")
        if cls.halo not in range(0, TILE // 2, 8):
            largest = range(0, TILE // 2, 8)[-1]
            raise ValueError(f"{cls.__name__}.halo = {cls.halo!r}: a multiple of 8 from 0 to {largest} is needed")

    def __init__(self, options: Any = None) -> None:
        super().__init__(options)
        self.network = self.build()
        self.recipe = self.native_recipe
        self.optimizer: torch.optim.Optimizer | None = None
        self.average: MovingAverage | None = None
        self.phase: Phase = (0.0, 1.0)
        """The part of the budget in which ``optimizer`` steps."""
        self.extra_losses: ExtraLosses | None = None  # training needs them, upscaling does not
        self._runners: dict[nn.Module, Runner] = {}

    @abstractmethod
    def build(self) -> nn.Module:
        """The untrained network, N×3×h×w → N×3×8h×8w, initialised as published."""

    def loss(self, sr: Tensor, batch: Batch) -> Losses:
        """What is minimised, given the network's output for ``batch.lr``."""
        return {"total": F.mse_loss(sr, batch.hr)}

    def to(self, device: torch.device) -> Method:
        super().to(device)
        self.to_device(self.network)
        return self

    def to_device(self, network: nn.Module) -> nn.Module:
        """Move ``network`` to the method's device, in the memory layout of its acceleration, and return it."""
        network.to(self.device)
        for tensor in (*network.parameters(), *network.buffers()):
            if tensor.ndim == 4:
                tensor.data = tensor.data.to(memory_format=self.acceleration.layout(self.device))
        return network

    def num_parameters(self) -> int:
        return sum(p.numel() for p in self.network.parameters() if p.requires_grad)

    def external_weights(self) -> dict[str, str]:
        """Adds nothing unless the options ask for losses that need a reader."""
        return external_weights(self.options, self.section) if isinstance(self.options, LossOptions) else {}

    def footnotes(self) -> list[str]:
        own = self.notes()
        if not isinstance(self.options, LossOptions):
            return own
        files = external_weights(self.options, self.section)
        return [*own, *notes(self.title, self.options, self.Options(), files)]

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
        """``network(images)`` in float32, at the precision and with the compilation of the run.

        Every network that a training step evaluates goes through here: see :mod:`methods.engine.acceleration`.
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
        if isinstance(self.options, LossOptions) and weights(self.options):
            self.extra_losses = ExtraLosses(self.options, self.section, self.to_device)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Adam's parameter groups; a group may carry ``lr_scale``."""
        scaled: dict[float, list[nn.Parameter]] = {1.0: []}
        for name, parameter in self.network.named_parameters():
            rate = next((r for prefix, r in self.recipe.layer_rates if name.startswith(prefix)), 1.0)
            scaled.setdefault(rate, []).append(parameter)
        return [{"params": group, "lr_scale": rate} for rate, group in scaled.items()]

    def step(self, batch: Batch, session: Session) -> None:
        """One optimiser iteration."""
        sr = self.forward_padded(partial(self.run, self.network), batch.lr)
        losses = self.with_extra_losses(self.loss(sr, batch), sr, batch.hr)
        session.check(losses)
        self.optimizer_step(losses["total"])

    def with_extra_losses(self, losses: Losses, sr: Tensor, hr: Tensor) -> Losses:
        """The losses of a step, and those that the options add to them."""
        return losses if self.extra_losses is None else self.extra_losses.add(losses, sr, hr, self.run)

    def optimizer_step(self, total: Tensor) -> None:
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

    def forward_padded(self, network: Forward, lr: Tensor) -> Tensor:
        """``network(lr)`` for any size of ``lr``: padded on the way in, cropped on the way out."""
        padded = pad_to_multiple(lr, self.multiple_of)
        sr = network(padded)
        return sr if padded is lr else sr[..., : SCALE * lr.shape[-2], : SCALE * lr.shape[-1]]

    def forward_tiled(self, network: Forward, lr: Tensor) -> Tensor:
        """:meth:`forward_padded`, in tiles where ``lr`` is larger than the network is good for."""
        if self.max_side is None or max(lr.shape[-2:]) <= self.max_side:
            return self.forward_padded(network, lr)
        return blend_tiles(partial(self.forward_padded, network), lr, self.max_side, SCALE, TILE**2 // self.max_side**2)

    @torch.inference_mode()
    def upscale(self, lr: Tensor) -> Tensor:
        check_lr(lr)
        network = self.inference_network()
        was_training = network.training
        network.eval()
        try:
            if lr.shape[-2] * lr.shape[-1] > TILE**2:
                sr = forward_in_tiles(partial(self.forward_tiled, network), lr, TILE, self.halo, SCALE)
            else:
                sr = self.forward_tiled(network, lr)
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
