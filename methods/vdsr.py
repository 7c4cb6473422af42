"""VDSR: twenty 3×3 convolutions that learn what bicubic interpolation leaves out of the luma."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from methods import register
from methods.base import Batch, Losses, Recipe
from methods.blocks.colour import luma, luma_mse
from methods.blocks.resize import upsample_bicubic
from methods.network import NetworkMethod


class VDSRNetwork(nn.Module):
    """Everything happens at full size; weights as He et al. (ICCV 2015) draw them, biases 0."""

    def __init__(self, channels: int = 64, depth: int = 20) -> None:
        super().__init__()
        widths = [1, *[channels] * (depth - 1), 1]
        self.layers = nn.Sequential()
        for before, after in pairwise(widths):
            conv = nn.Conv2d(before, after, 3, padding=1)
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            assert conv.bias is not None
            nn.init.zeros_(conv.bias)
            self.layers.extend([conv, nn.ReLU()])
        del self.layers[-1]

    def forward(self, lr: Tensor) -> Tensor:
        enlarged = upsample_bicubic(lr).clamp(0.0, 1.0)
        residual: Tensor = self.layers(luma(enlarged))
        return enlarged + residual


@register(in_all=False)
class VDSR(NetworkMethod):
    name = "vdsr"
    title = "VDSR"
    citation = (
        "J. Kim, J. K. Lee, K. M. Lee, “Accurate Image Super-Resolution Using Very Deep Convolutional Networks”, "
        "CVPR 2016, pp. 1646–1654, doi:10.1109/CVPR.2016.182, arXiv:1511.04587"
    )
    groups = ("related",)
    # The publication descends with momentum and clips each gradient by the rate; Adam, whose steps are as long as
    # its rate whatever the gradient is, stands in, at the publication's three drops to a tenth.
    native_recipe = Recipe(learning_rate=1e-3, schedule="steps", milestones=(0.25, 0.5, 0.75), gamma=0.1)
    halo = 8  # it reaches 20 pixels at full size, and bicubic interpolation 2 at the LR's

    def build(self) -> nn.Module:
        return VDSRNetwork()

    def loss(self, sr: Tensor, batch: Batch) -> Losses:
        return {"total": luma_mse(sr, batch.hr)}

    def notes(self) -> list[str]:
        return [
            "VDSR learns the luma (full-range BT.601 Y) only; its Cb and Cr are bicubic.",
            "VDSR is trained with Adam, not with momentum and adjustable gradient clipping, and for ×8 alone.",
        ]
