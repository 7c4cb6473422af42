"""RRDB-23, the generator of ESRGAN and of Real-ESRGAN: residual-in-residual dense blocks without normalisation."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


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
