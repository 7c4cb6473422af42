"""The two networks that go by PECL's name: the one its text describes, and the one its authors published.

They agree in little more than the residual dense block. Both take N×3×h×w, RGB in [0, 1], to
N×3×8h×8w, neither has a skip from the input.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.blocks.layers import ChannelAttention
from methods.blocks.pretrained import ImageNetNormalise


class ResidualDenseBlock(nn.Module):
    """Three densely connected 3×3 convolutions: x + α · conv(…), α learnt, 0.2 at the start.

    The text's last convolution is linear (Eq. 7); in the published code it is rectified too, so
    that its residual is never negative (``rectified``).
    """

    def __init__(self, channels: int, rectified: bool = False) -> None:
        super().__init__()
        self.grow = nn.ModuleList(
            [nn.Conv2d(channels, channels, 3, padding=1), nn.Conv2d(2 * channels, channels, 3, padding=1)]
        )
        self.fuse = nn.Conv2d(3 * channels, channels, 3, padding=1)
        self.alpha = nn.Parameter(torch.tensor(0.2))
        self.rectified = rectified

    def forward(self, x: Tensor) -> Tensor:
        features = x
        for layer in self.grow:
            features = torch.cat([features, F.relu(layer(features))], dim=1)
        residual = self.fuse(features)
        return x + self.alpha * (F.relu(residual) if self.rectified else residual)


# -- the text's --------------------------------------------------------------------------------------


def paper_network(channels: int = 64, blocks: int = 8, reduction: int = 16) -> nn.Sequential:
    """Head, residual dense blocks, channel attention, three transposed convolutions, tail.

    The text leaves widths, depths and kernels open. These are the ones that the authors' released
    code suggests (three convolutions a block, growth = width = 64, α = 0.2) and that add up to
    the 2M parameters of Table 1: 1,971,919.
    """
    layers: list[nn.Module] = [nn.Conv2d(3, channels, 3, padding=1)]
    layers += [ResidualDenseBlock(channels) for _ in range(blocks)]
    layers += [ChannelAttention(channels, reduction)]
    for _ in range(3):
        layers += [nn.ConvTranspose2d(channels, channels, 4, stride=2, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(channels, 3, 3, padding=1))


# -- the release's -----------------------------------------------------------------------------------


class ResidualInResidual(nn.Module):
    """Five rectified residual dense blocks: x + β · blocks(x), β learnt, 0.2 at the start."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(ResidualDenseBlock(channels, rectified=True) for _ in range(5)))
        self.beta = nn.Parameter(torch.tensor(0.2))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.beta * self.blocks(x)


class EfficientChannelAttention(nn.Module):
    """A factor between 0 and 1 a channel, from its mean and those of its two neighbours (3 weights).

    ECA-Net (Wang et al., CVPR 2020) adapts the number of neighbours; the release has three throughout.
    """

    def __init__(self) -> None:
        super().__init__()
        self.neighbours = nn.Conv1d(1, 1, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        factors = torch.sigmoid(self.neighbours(x.mean(dim=(2, 3))[:, None]))
        return x * factors.transpose(1, 2)[..., None]


def release_network(channels: int = 64, blocks: int = 6) -> nn.Sequential:
    """The authors' published network at ×8 (github.com/sendjasni/Extreme-LPSR): 9,008,234 parameters.

    ImageNet's mean and deviation are taken off the input and not put back on the output. One 3×3
    convolution makes all 64 sub-pixels at once, without an activation.
    """
    layers: list[nn.Module] = [ImageNetNormalise(), nn.Conv2d(3, channels, 3, padding=1)]
    layers += [ResidualInResidual(channels) for _ in range(blocks)]
    layers += [EfficientChannelAttention()]
    layers += [nn.Conv2d(channels, 64 * channels, 3, padding=1), nn.PixelShuffle(8)]
    return nn.Sequential(*layers, nn.Conv2d(channels, 3, 3, padding=1))
