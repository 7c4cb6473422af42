"""ESRGAN: 23 residual-in-residual dense blocks, trained for pixels first, against a critic then.

The budget is split as the published one is (1,000k iterations for pixels, 400k for the rest). The
first phase minimises the absolute error; the second adds a perceptual loss on VGG-19 features and
a relativistic average GAN. An iteration is one step of the generator in either phase.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods import register
from methods.base import Batch, Losses, Recipe, Session
from methods.blocks.pretrained import plates_weights_hash, resnet18_plates_features, vgg19_conv5_4
from methods.engine.acceleration import load_optimizer
from methods.network import NetworkMethod
from methods.options import MethodOptions

# -- generator -------------------------------------------------------------------------------------


class DenseBlock(nn.Module):
    """Five densely connected 3×3 convolutions, growth 32, residual scaled by 0.2."""

    def __init__(self, channels: int, growth: int = 32) -> None:
        super().__init__()
        self.grow = nn.ModuleList(nn.Conv2d(channels + i * growth, growth, 3, padding=1) for i in range(4))
        self.fuse = nn.Conv2d(channels + 4 * growth, channels, 3, padding=1)
        for layer in [*self.grow, self.fuse]:
            nn.init.kaiming_normal_(layer.weight)
            layer.weight.data.mul_(0.1)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        features = x
        for layer in self.grow:
            features = torch.cat([features, F.leaky_relu(layer(features), 0.2)], dim=1)
        return x + 0.2 * self.fuse(features)


class ResidualInResidual(nn.Module):
    """Three dense blocks, residual scaled by 0.2 (RRDB)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(DenseBlock(channels) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        return x + 0.2 * self.blocks(x)


class Generator(nn.Module):
    """RRDB-23, enlarging three times by two (nearest neighbour, then a convolution)."""

    def __init__(self, channels: int = 64, blocks: int = 23) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.blocks = nn.Sequential(*(ResidualInResidual(channels) for _ in range(blocks)))
        self.body = nn.Conv2d(channels, channels, 3, padding=1)
        self.enlarge = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(3))
        self.refine = nn.Conv2d(channels, channels, 3, padding=1)
        self.tail = nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, lr: Tensor) -> Tensor:
        shallow = self.head(lr)
        x = shallow + self.body(self.blocks(shallow))
        for layer in self.enlarge:
            x = F.leaky_relu(layer(F.interpolate(x, scale_factor=2, mode="nearest")), 0.2)
        return self.tail(F.leaky_relu(self.refine(x), 0.2))


# -- critics ---------------------------------------------------------------------------------------


class PoolToFour(nn.AdaptiveAvgPool2d):
    """Averages to 4×4, and hands on what is 4×4: the backward pass on CUDA has no deterministic kernel."""

    def forward(self, x: Tensor) -> Tensor:
        return x if x.shape[-2:] == (4, 4) else super().forward(x)


def discriminator() -> nn.Sequential:
    """VGG-style critic, N×3×H×W → N×1 logits. H, W ≥ 16.

    The published one takes 128×128 and halves five times; for 64×64 the last halving goes, as in
    the size-specific variants in use, which leaves 4×4 again. The pooling is there for patches of other sizes.
    """

    def stage(channels: int, out: int, *, kernel: int, stride: int) -> list[nn.Module]:
        conv = nn.Conv2d(channels, out, kernel, stride, padding=1, bias=False)
        return [conv, nn.BatchNorm2d(out), nn.LeakyReLU(0.2)]

    widths = (64, 128, 256, 512)
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, padding=1), nn.LeakyReLU(0.2)]
    channels = 64
    for i, width in enumerate(widths):
        if i > 0:
            layers += stage(channels, width, kernel=3, stride=1)
        layers += stage(width, width, kernel=4, stride=2)
        channels = width
    layers += [PoolToFour(4), nn.Flatten()]
    layers += [nn.Linear(channels * 16, 100), nn.LeakyReLU(0.2), nn.Linear(100, 1)]
    return nn.Sequential(*layers)


def relativistic(logits: Tensor, others: Tensor, real: bool) -> Tensor:
    """Cross-entropy of "more (``real``) or less real than the average of the others"."""
    target = torch.full_like(logits, float(real))
    return F.binary_cross_entropy_with_logits(logits - others.mean(), target)


def at_least(images: Tensor, size: int) -> Tensor:
    """Repeat the edges of images smaller than ``size``, which both critics need to have room to halve."""
    bottom, right = (max(size - side, 0) for side in images.shape[-2:])
    return F.pad(images, (0, right, 0, bottom), mode="replicate") if bottom or right else images


# -- the method ------------------------------------------------------------------------------------

_WITHOUT = "--set esrgan.perceptual=random (or none)"


@register
class ESRGAN(NetworkMethod):
    name = "esrgan"
    title = "ESRGAN"
    citation = (
        "X. Wang, K. Yu, S. Wu, J. Gu, Y. Liu, C. Dong, Y. Qiao, C. C. Loy, “ESRGAN: Enhanced Super-Resolution "
        "Generative Adversarial Networks”, ECCV Workshops 2018, arXiv:1809.00219"
    )
    groups = ("table1",)
    paper_parameters = 16_000_000
    version = 2  # 2: each phase has a schedule of its own
    # Halved every 200k of the 1,000k iterations for pixels, then after 50k, 100k, 200k and 300k of the 400k others.
    # Each phase has a schedule of its own, under the common recipe too.
    native_recipe = Recipe(learning_rate=2e-4, schedule="steps", milestones=(0.2, 0.4, 0.6, 0.8), gamma=0.5)
    adversarial_recipe = Recipe(learning_rate=1e-4, schedule="steps", milestones=(0.125, 0.25, 0.5, 0.75), gamma=0.5)

    @dataclass(frozen=True)
    class Options(MethodOptions):
        gan_share: float = 2 / 7
        """Share of the budget spent on the second phase; 0 trains for pixels only."""
        perceptual: Literal["imagenet", "plates", "random", "none"] = "imagenet"
        """Network of the perceptual loss: VGG-19 trained on ImageNet, ResNet-18 trained to read synthetic
        plates (``python -m benchmark data embedder``), random VGG-19, or no such loss."""

        def __post_init__(self) -> None:
            if not 0.0 <= self.gan_share <= 1.0:
                raise ValueError(f"gan_share must lie in [0, 1], not {self.gan_share}")

    options: Options
    pixel_weight, perceptual_weight, gan_weight = 1e-2, 1.0, 5e-3  # in the second phase

    def __init__(self, options: Any = None) -> None:
        super().__init__(options)
        self.iteration = 0
        self.pixel_iterations = 0
        # What only the second phase needs: prepare() makes it.
        self.gan_optimizer: torch.optim.Optimizer | None = None
        self.discriminator: nn.Module | None = None
        self.discriminator_optimizer: torch.optim.Optimizer | None = None
        self.features: nn.Module | None = None

    def build(self) -> nn.Module:
        return Generator()

    def loss(self, sr: Tensor, batch: Batch) -> Losses:
        return {"total": F.l1_loss(sr, batch.hr)}

    def prepare(self, session: Session) -> None:
        self.pixel_iterations = self._pixel_iterations(self.options, session.iterations)
        turn = self.pixel_iterations / session.iterations
        self.phase = (0.0, turn) if turn > 0.0 else (0.0, 1.0)
        super().prepare(session)
        if self.pixel_iterations == session.iterations:
            return
        recipe = session.recipe(self.adversarial_recipe)
        # The published second phase is a training of its own that starts from the first one's
        # weights: the generator's Adam starts afresh too.
        self.gan_optimizer = session.optimizer(self.parameter_groups(), recipe, (turn, 1.0))
        self.discriminator = self.to_device(discriminator()).train()
        critic: list[dict[str, Any]] = [{"params": list(self.discriminator.parameters())}]
        self.discriminator_optimizer = session.optimizer(critic, recipe, (turn, 1.0))
        # Asked for now, not once the first phase is over.
        if self.options.perceptual == "plates":
            self.features = self.to_device(resnet18_plates_features(_WITHOUT))
        elif self.options.perceptual != "none":
            self.features = self.to_device(vgg19_conv5_4(self.options.perceptual, _WITHOUT))

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
        return {"perceptual": plates_weights_hash(_WITHOUT)} if needed else {}

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
        sr = self.run(self.network, batch.lr)
        critic, real = self.critic_loss(sr.detach(), batch.hr)
        self.discriminator_optimizer.zero_grad(set_to_none=True)
        critic.backward()
        losses = self.adversarial_losses(sr, batch.hr, real)
        session.check({**losses, "discriminator": critic.detach()})
        self.optimizer_step(losses["total"])
        self.discriminator_optimizer.step()

    def critic_loss(self, sr: Tensor, hr: Tensor) -> tuple[Tensor, Tensor]:
        """What the discriminator minimises, and its (detached) logits for the real patches.

        The usual code steps the generator first and runs the discriminator five times. Here nobody
        steps before both gradients are there, so the logits of the real patches serve both and three
        passes give the same numbers: batch normalisation works on the batch, real and fake apart.
        """
        assert self.discriminator is not None
        self.discriminator.requires_grad_(True)
        real = self.run(self.discriminator, at_least(hr, 16))
        fake = self.run(self.discriminator, at_least(sr, 16))
        loss = relativistic(real, fake.detach(), real=True) + relativistic(fake, real.detach(), real=False)
        return 0.5 * loss, real.detach()

    def adversarial_losses(self, sr: Tensor, hr: Tensor, real: Tensor) -> Losses:
        """What the generator minimises in the second phase; ``real``: logits of the real patches."""
        assert self.discriminator is not None
        self.discriminator.requires_grad_(False)
        fake = self.run(self.discriminator, at_least(sr, 16))
        gan = 0.5 * (relativistic(real, fake, real=False) + relativistic(fake, real, real=True))
        pixel = F.l1_loss(sr, hr)
        total = self.pixel_weight * pixel + self.gan_weight * gan
        losses = {"pixel": pixel.detach(), "gan": gan.detach()}
        if self.features is not None:
            with torch.no_grad():
                target = self.run(self.features, at_least(hr, 16))
            perceptual = F.l1_loss(self.run(self.features, at_least(sr, 16)), target)
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
        share = self.options.gan_share
        if share == 0.0:
            return ["ESRGAN is trained for pixels only, without its adversarial phase."]
        notes = [
            f"ESRGAN spends the last {share:.0%} of its iterations on its adversarial phase.",
            "ESRGAN's discriminator halves four times, not five, as patches are 64×64.",
            "The row ESRGAN has the weights at the end of training. Those selected by validation PSNR, which tend to "
            "be from before its adversarial phase, have a row of their own.",
        ]
        if self.options.perceptual == "plates":
            digest = self.external_weights()["perceptual"][:12]
            notes.append(f"ESRGAN's perceptual loss uses a ResNet-18 that reads synthetic plates (SHA-256 {digest}).")
        elif self.options.perceptual == "random":
            notes.append("ESRGAN's perceptual loss uses a VGG-19 with random weights, not ImageNet's.")
        elif self.options.perceptual == "none":
            notes.append("ESRGAN is trained without its perceptual loss.")
        return notes
