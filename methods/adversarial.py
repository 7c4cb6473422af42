"""Training in two phases: for pixels first, then for what a perceptual network and a critic see.

The budget is split between the phases. An iteration is one step of the generator in either of them.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.base import Batch, Losses, Recipe, Session
from methods.blocks.critics import at_least, cross_entropy, relativistic
from methods.blocks.pretrained import plates_weights_hash, resnet18_plates_features
from methods.engine.acceleration import load_optimizer
from methods.network import NetworkMethod


class AdversarialMethod(NetworkMethod):
    """A generator trained in two phases.

    Subclasses give ``build``, ``critic`` and ``perceptual_network``, a recipe for each phase, and the weights and
    kinds of the second phase's losses.
    """

    adversarial_recipe: ClassVar[Recipe]
    """The published recipe of the second phase, for the generator and for the critic."""
    pixel_weight: float
    perceptual_weight: ClassVar[float]
    gan_weight: ClassVar[float]
    relativistic_gan: ClassVar[bool] = False
    """Whether the critic compares with the average of the others (RaGAN), or judges each image alone."""
    critic_notes: ClassVar[tuple[str, ...]] = ()
    """Where the second phase departs from the publication."""

    @dataclass(frozen=True)
    class Options(NetworkMethod.Options):
        gan_share: float = 2 / 7
        """Share of the budget spent on the second phase; 0 trains for pixels only."""
        perceptual: Literal["imagenet", "plates", "random", "none"] = "imagenet"
        """Network of the perceptual loss: VGG-19 trained on ImageNet, ResNet-18 trained to read synthetic
        plates (``python -m benchmark data embedder``), random VGG-19, or no such loss."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if not 0.0 <= self.gan_share <= 1.0:
                raise ValueError(f"gan_share must lie in [0, 1], not {self.gan_share}")

    options: Options

    def __init__(self, options: Any = None) -> None:
        super().__init__(options)
        self.iteration = 0
        self.pixel_iterations = 0
        # What only the second phase needs: prepare() makes it.
        self.gan_optimizer: torch.optim.Optimizer | None = None
        self.discriminator: nn.Module | None = None
        self.discriminator_optimizer: torch.optim.Optimizer | None = None
        self.features: nn.Module | None = None

    @abstractmethod
    def critic(self) -> nn.Module:
        """The untrained discriminator, N×3×H×W → logits, for H, W ≥ 16 that are multiples of 8."""

    @abstractmethod
    def perceptual_network(self, init: Literal["imagenet", "random"], alternative: str) -> nn.Module:
        """The frozen VGG-19 whose outputs are compared. ``alternative`` is the option that goes without weights."""

    def target(self, hr: Tensor) -> Tensor:
        """What pixel and perceptual loss compare with. The critic sees ``hr``."""
        return hr

    def pixel_loss(self, sr: Tensor, hr: Tensor) -> Tensor:
        return F.l1_loss(sr, hr)

    def perceptual_loss(self, sr: Tensor, hr: Tensor) -> Tensor:
        """The difference of two outputs of the perceptual network."""
        return F.l1_loss(sr, hr)

    def loss(self, sr: Tensor, batch: Batch) -> Losses:
        return {"total": self.pixel_loss(sr, self.target(batch.hr))}

    def prepare(self, session: Session) -> None:
        self.pixel_iterations = self._pixel_iterations(self.options, session.iterations)
        turn = self.pixel_iterations / session.iterations
        self.phase = (0.0, turn) if turn > 0.0 else (0.0, 1.0)
        super().prepare(session)
        if self.pixel_iterations == session.iterations:
            return
        recipe = session.recipe(self.adversarial_recipe)
        # The published second phases are trainings of their own that start from the first one's
        # weights: the generator's Adam starts afresh too.
        self.gan_optimizer = session.optimizer(self.parameter_groups(), recipe, (turn, 1.0))
        self.discriminator = self.to_device(self.critic()).train()
        critic: list[dict[str, Any]] = [{"params": list(self.discriminator.parameters())}]
        self.discriminator_optimizer = session.optimizer(critic, recipe, (turn, 1.0))
        # Asked for now, not once the first phase is over.
        if self.options.perceptual == "plates":
            self.features = self.to_device(resnet18_plates_features(self._without))
        elif self.options.perceptual != "none":
            self.features = self.to_device(self.perceptual_network(self.options.perceptual, self._without))

    @property
    def _without(self) -> str:
        return f"--set {self.section}.perceptual=random (or none)"

    @classmethod
    def selected_as(cls, options: Any, best: int, iterations: int) -> str:
        if options.gan_share == 0.0:
            return ""
        return "pixel phase" if best <= cls._pixel_iterations(options, iterations) else "best PSNR"

    @staticmethod
    def _pixel_iterations(options: Any, iterations: int) -> int:
        return round((1.0 - options.gan_share) * iterations)

    def external_weights(self) -> dict[str, str]:
        needed = self.options.perceptual == "plates" and self.options.gan_share > 0.0
        own = {"perceptual": plates_weights_hash(self._without)} if needed else {}
        return {**super().external_weights(), **own}

    def imagenet_networks(self) -> dict[str, str]:
        needed = self.options.perceptual == "imagenet" and self.options.gan_share > 0.0
        return {"vgg19": self._without} if needed else {}

    @property
    def adversarial(self) -> bool:
        """Whether the latest iteration belongs to the second phase."""
        return self.iteration > self.pixel_iterations

    def step(self, batch: Batch, session: Session) -> None:
        self.iteration += 1
        if not self.adversarial:
            super().step(batch, session)
            return
        assert self.discriminator_optimizer is not None, "prepare() comes before the first step"
        self.optimizer = self.gan_optimizer
        sr = self.forward_padded(partial(self.run, self.network), batch.lr)
        critic, real = self.critic_loss(sr.detach(), batch.hr)
        self.discriminator_optimizer.zero_grad(set_to_none=True)
        critic.backward()
        losses = self.with_extra_losses(self.adversarial_losses(sr, batch.hr, real), sr, batch.hr)
        session.check({**losses, "discriminator": critic.detach()})
        self.optimizer_step(losses["total"])
        self.discriminator_optimizer.step()

    def critic_loss(self, sr: Tensor, hr: Tensor) -> tuple[Tensor, Tensor]:
        """What the discriminator minimises, and its (detached) logits for the real patches.

        The usual code steps the generator first and runs a relativistic discriminator five times. Here nobody
        steps before both gradients are there, so the logits of the real patches serve both and three
        passes give the same numbers: batch normalisation works on the batch, real and fake apart.
        """
        assert self.discriminator is not None
        self.discriminator.requires_grad_(True)
        real = self.run(self.discriminator, at_least(hr, 16))
        fake = self.run(self.discriminator, at_least(sr, 16))
        if self.relativistic_gan:
            loss = relativistic(real, fake.detach(), real=True) + relativistic(fake, real.detach(), real=False)
            return 0.5 * loss, real.detach()
        return cross_entropy(real, real=True) + cross_entropy(fake, real=False), real.detach()

    def adversarial_losses(self, sr: Tensor, hr: Tensor, real: Tensor) -> Losses:
        """What the generator minimises in the second phase; ``real``: logits of the real patches."""
        assert self.discriminator is not None
        self.discriminator.requires_grad_(False)
        fake = self.run(self.discriminator, at_least(sr, 16))
        if self.relativistic_gan:
            gan = 0.5 * (relativistic(real, fake, real=False) + relativistic(fake, real, real=True))
        else:
            gan = cross_entropy(fake, real=True)
        hr = self.target(hr)
        pixel = self.pixel_loss(sr, hr)
        total = self.pixel_weight * pixel + self.gan_weight * gan
        losses = {"pixel": pixel.detach(), "gan": gan.detach()}
        if self.features is not None:
            with torch.no_grad():
                target = self.run(self.features, at_least(hr, 16))
            perceptual = self.perceptual_loss(self.run(self.features, at_least(sr, 16)), target)
            total = total + self.perceptual_weight * perceptual
            losses["perceptual"] = perceptual.detach()
        return {"total": total, **losses}

    def state_dict(self) -> dict[str, Any]:
        state = {**super().state_dict(), "iteration": self.iteration}
        if self.discriminator is not None and self.discriminator_optimizer is not None:
            state["discriminator"] = self.discriminator.state_dict()
            state["discriminator_optimizer"] = self.discriminator_optimizer.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.iteration = state["iteration"]
        if self.adversarial:
            self.optimizer = self.gan_optimizer
        super().load_state_dict(state)
        if self.discriminator is not None and self.discriminator_optimizer is not None:
            self.discriminator.load_state_dict(state["discriminator"])
            load_optimizer(self.discriminator_optimizer, state["discriminator_optimizer"])

    def notes(self) -> list[str]:
        title, share = self.title, self.options.gan_share
        if share == 0.0:
            return [f"{title} is trained for pixels only, without its adversarial phase."]
        notes = [
            f"{title} spends the last {share:.0%} of its iterations on its adversarial phase.",
            *self.critic_notes,
            f"The row {title} has the weights at the end of training. Those selected by validation PSNR, which tend to "
            "be from before its adversarial phase, have a row of their own.",
        ]
        if self.options.perceptual == "plates":
            digest = self.external_weights()["perceptual"][:12]
            notes.append(f"{title}'s perceptual loss uses a ResNet-18 that reads synthetic plates (SHA-256 {digest}).")
        elif self.options.perceptual == "random":
            notes.append(f"{title}'s perceptual loss uses a VGG-19 with random weights, not ImageNet's.")
        elif self.options.perceptual == "none":
            notes.append(f"{title} is trained without its perceptual loss.")
        return notes
