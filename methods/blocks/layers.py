"""Layers that several networks are made of."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

DIV2K_MEAN = (0.4488, 0.4371, 0.4040)
"""Mean colour of the DIV2K training set, which many networks subtract from what they are fed."""


def div2k_mean() -> Tensor:
    """The mean colour as a 1×3×1×1 tensor, to be registered as a buffer: it is not learnt."""
    return torch.tensor(DIV2K_MEAN).view(1, 3, 1, 1)


def upsampler(features: int, activation: Callable[[], nn.Module] | None = None) -> nn.Sequential:
    """N×C×h×w → N×C×8h×8w in three steps of two: 3×3 convolution to 4C, pixel shuffle, activation."""
    layers: list[nn.Module] = []
    for _ in range(3):
        layers += [nn.Conv2d(features, 4 * features, 3, padding=1), nn.PixelShuffle(2)]
        if activation is not None:
            layers.append(activation())
    return nn.Sequential(*layers)


class ChannelAttention(nn.Module):
    """Global average pooling, two fully connected layers, a factor between 0 and 1 a channel."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, channels // reduction)
        self.excite = nn.Linear(channels // reduction, channels)

    def forward(self, x: Tensor) -> Tensor:
        factors = torch.sigmoid(self.excite(F.relu(self.squeeze(x.mean(dim=(2, 3))))))
        return x * factors[:, :, None, None]


class ResidualBlock(nn.Module):
    """x + scale · (3×3 convolution, ReLU, 3×3 convolution, and what else is to follow)."""

    def __init__(self, channels: int, *following: nn.Module, scale: float = 1.0) -> None:
        super().__init__()
        first, second = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.layers = nn.Sequential(first, nn.ReLU(), second, *following)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * self.layers(x)


class Residual(nn.Sequential):
    """x + the layers applied to x in turn."""

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


class EDSRFrame(nn.Module):
    """The frame of EDSR, RDN, RCAN and HAT: head, body with a skip over it, upsampler, tail, all around DIV2K's mean.

    ``body`` and ``upsample`` keep the number of channels of the head, unless ``upsample`` narrows it to ``out``.
    """

    mean: Tensor

    def __init__(
        self, channels: int, body: nn.Module, upsample: nn.Module | None = None, out: int | None = None
    ) -> None:
        super().__init__()
        self.register_buffer("mean", div2k_mean(), persistent=False)
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.body = body
        self.upsample = upsampler(channels) if upsample is None else upsample
        self.tail = nn.Conv2d(channels if out is None else out, 3, 3, padding=1)

    def forward(self, lr: Tensor) -> Tensor:
        shallow = self.head(lr - self.mean)
        return self.tail(self.upsample(shallow + self.body(shallow))) + self.mean


class SRResNetFrame(nn.Module):
    """The frame of SRGAN's generator and of TSRN: 9×9 head with PReLU, body with a skip over it, upsampler, 9×9 tail.

    ``activation`` follows each step of the upsampler.
    """

    def __init__(self, channels: int, body: nn.Module, activation: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.Conv2d(3, channels, 9, padding=4), nn.PReLU())
        self.body = body
        self.upsample = upsampler(channels, activation)
        self.tail = nn.Conv2d(channels, 3, 9, padding=4)

    def forward(self, lr: Tensor) -> Tensor:
        shallow = self.head(lr)
        return self.tail(self.upsample(shallow + self.body(shallow)))


def mish_convolutions(channels: int) -> nn.Sequential:
    """Two normalised 3×3 convolutions with Mish between them: N×C×H×W → the same (TSRN's block, and TBSRN's)."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1),
        nn.BatchNorm2d(channels),
        nn.Mish(),
        nn.Conv2d(channels, channels, 3, padding=1),
        nn.BatchNorm2d(channels),
    )
