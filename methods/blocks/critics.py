"""Discriminators of adversarial training, and the losses that set them against a generator."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm


class PoolToFour(nn.AdaptiveAvgPool2d):
    """Averages to 4×4, and hands on what is 4×4: the backward pass on CUDA has no deterministic kernel."""

    def forward(self, x: Tensor) -> Tensor:
        return x if x.shape[-2:] == (4, 4) else super().forward(x)


def vgg_critic(halving_kernel: int, hidden: int, channels: int = 64) -> nn.Sequential:
    """SRGAN's and ESRGAN's kind of critic, N×3×H×W → N×1 logits. H, W ≥ 16.

    It halves four times, so that 4×4 is left of 64×64. The pooling is there for patches of other sizes.
    """

    def stage(channels: int, out: int, *, kernel: int, stride: int) -> list[nn.Module]:
        conv = nn.Conv2d(channels, out, kernel, stride, padding=1, bias=False)
        return [conv, nn.BatchNorm2d(out), nn.LeakyReLU(0.2)]

    widths = [channels << i for i in range(4)]
    layers: list[nn.Module] = [nn.Conv2d(3, channels, 3, padding=1), nn.LeakyReLU(0.2)]
    for i, width in enumerate(widths):
        if i > 0:
            layers += stage(channels, width, kernel=3, stride=1)
        layers += stage(width, width, kernel=halving_kernel, stride=2)
        channels = width
    layers += [PoolToFour(4), nn.Flatten()]
    layers += [nn.Linear(channels * 16, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, 1)]
    return nn.Sequential(*layers)


class UNetCritic(nn.Module):
    """Real-ESRGAN's critic, N×3×H×W → N×1×H×W: a logit a pixel. H and W are multiples of 8.

    All convolutions but the first and the last have spectral normalisation and no bias.
    """

    def __init__(self, channels: int = 64) -> None:
        super().__init__()

        def convolution(before: int, after: int, kernel: int = 3, stride: int = 1) -> nn.Module:
            return spectral_norm(nn.Conv2d(before, after, kernel, stride, padding=1, bias=False))

        self.head = nn.Conv2d(3, channels, 3, padding=1)
        widths = [channels << i for i in range(4)]
        self.down = nn.ModuleList(convolution(w, 2 * w, kernel=4, stride=2) for w in widths[:-1])
        self.up = nn.ModuleList(convolution(2 * w, w) for w in reversed(widths[:-1]))
        self.body = nn.ModuleList(convolution(channels, channels) for _ in range(2))
        self.tail = nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        skips = [F.leaky_relu(self.head(x), 0.2)]
        for layer in self.down:
            skips.append(F.leaky_relu(layer(skips[-1]), 0.2))
        x = skips.pop()
        for layer in self.up:
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = F.leaky_relu(layer(x), 0.2) + skips.pop()
        for layer in self.body:
            x = F.leaky_relu(layer(x), 0.2)
        logits: Tensor = self.tail(x)
        return logits


def cross_entropy(logits: Tensor, real: bool) -> Tensor:
    """Cross-entropy of "these are all real" (or all made)."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))


def relativistic(logits: Tensor, others: Tensor, real: bool) -> Tensor:
    """Cross-entropy of "more (``real``) or less real than the average of the others"."""
    return cross_entropy(logits - others.mean(), real)


def at_least(images: Tensor, size: int) -> Tensor:
    """Repeat the edges of images smaller than ``size``, which critics need to have room to halve."""
    bottom, right = (max(size - side, 0) for side in images.shape[-2:])
    return F.pad(images, (0, right, 0, bottom), mode="replicate") if bottom or right else images
