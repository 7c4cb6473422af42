"""LPSRGAN-style: the generator of the public re-implementation of LPSRGAN, against a critic and a plate reader.

The publication's text and code could not be read. The public re-implementation (valfride/lpsrgan) does not train what
it says: its generator has no residual scaling and blows up, its critic's verdict is never added to the loss, and its
OCR term is a count without a gradient. Residual scaling, the critic and a reader with a gradient are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods import register
from methods.adversarial import AdversarialMethod
from methods.base import Recipe
from methods.blocks.critics import UNetCritic
from methods.blocks.pretrained import vgg19_pyramid


class ThinDenseBlock(nn.Module):
    """ESRGAN's dense block, whose last convolution sees the fourth alone; residual scaled by 0.2."""

    def __init__(self, channels: int, growth: int = 32) -> None:
        super().__init__()
        self.grow = nn.ModuleList(nn.Conv2d(channels + i * growth, growth, 3, padding=1) for i in range(4))
        self.leave = nn.Conv2d(growth, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for layer in self.grow:
            features.append(F.leaky_relu(layer(torch.cat(features, dim=1)), 0.2))
        return x + 0.2 * self.leave(features[-1])


class ConvolvedBlocks(nn.Module):
    """Three dense blocks and a convolution, residual scaled by 0.2 (the re-implementation's RRDB+)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        blocks = (ThinDenseBlock(channels) for _ in range(3))
        self.layers = nn.Sequential(*blocks, nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return x + 0.2 * self.layers(x)


class LPSRGANNetwork(nn.Module):
    """Enlarges three times by two (bilinear, then a convolution); half of the channels are dropped before the last."""

    def __init__(self, blocks: int, channels: int = 64) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.blocks = nn.Sequential(*(ConvolvedBlocks(channels) for _ in range(blocks)))
        self.body = nn.Conv2d(channels, channels, 3, padding=1)
        self.enlarge = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(3))
        self.tail = nn.Sequential(nn.Dropout2d(0.5), nn.Conv2d(channels, 3, 3, padding=1))

    def forward(self, lr: Tensor) -> Tensor:
        shallow = self.head(lr)
        x = shallow + self.body(self.blocks(shallow))
        for layer in self.enlarge:
            x = layer(F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False))
        sr: Tensor = self.tail(x)
        return sr


@register(in_all=False)
class LPSRGANStyle(AdversarialMethod):
    name = "lpsrgan-style"
    title = "LPSRGAN-style"
    citation = (
        "after Y. Pan, J. Tang, T. Tjahjadi, “LPSRGAN: Generative adversarial networks for super-resolution of license "
        "plate image”, Neurocomputing 580:127426, 2024"
    )
    groups = ("related",)
    # The re-implementation's rates; it lowers the second by what it reads on validation plates.
    native_recipe = Recipe(learning_rate=2e-4, schedule="constant")
    adversarial_recipe = Recipe(learning_rate=1e-4, betas=(0.5, 0.555), schedule="constant")
    # The weighted sum that stands in the re-implementation as a comment.
    pixel_weight, perceptual_weight, gan_weight = 0.01, 1.0, 0.05
    critic_notes = (
        "LPSRGAN-style is not LPSRGAN: its text and code could not be read. The generator is that of a public "
        "re-implementation with residuals scaled by 0.2 (ours), without which it blows up; critic and perceptual loss "
        "are Real-ESRGAN's, at the weights that the re-implementation has in a comment. Its degradation is not used.",
        "LPSRGAN-style's reader term is ours: in the re-implementation it has no gradient, in the publication it is a "
        "CTC loss with labels.",
    )

    @dataclass(frozen=True, kw_only=True)
    class Options(AdversarialMethod.Options):
        reader_features: float = 0.05
        """Weight of the reader term: mean absolute difference between the features of SR and HR in a ResNet-18 that
        reads synthetic plates (``python -m benchmark data embedder``), in both phases. 0: none."""
        blocks: Literal[4, 24] = 4
        """Blocks of the generator: those of the re-implementation's configuration (2,070,723 parameters), or of its
        default (11,668,163)."""

    options: Options

    def build(self) -> nn.Module:
        return LPSRGANNetwork(self.options.blocks)

    def critic(self) -> nn.Module:
        return UNetCritic()

    def perceptual_network(self, init: Literal["imagenet", "random"], alternative: str) -> nn.Module:
        return vgg19_pyramid(init, alternative)
