"""Layers that several networks are made of."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

DIV2K_MEAN = (0.4488, 0.4371, 0.4040)
"""Mean colour of the DIV2K training set, which MSRN and SwinIR subtract from what they are fed."""


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
