"""RCAN: 200 residual blocks with channel attention, in ten groups with a skip over each."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from methods import register
from methods.base import Batch, Losses, Recipe
from methods.blocks.layers import ChannelAttention, EDSRFrame, Residual, ResidualBlock
from methods.network import NetworkMethod


def rcan_network(channels: int = 64, groups: int = 10, blocks: int = 20, reduction: int = 16) -> EDSRFrame:
    def convolution() -> nn.Module:
        return nn.Conv2d(channels, channels, 3, padding=1)

    def group() -> nn.Module:
        attended = [ResidualBlock(channels, ChannelAttention(channels, reduction)) for _ in range(blocks)]
        return Residual(*attended, convolution())

    return EDSRFrame(channels, nn.Sequential(*(group() for _ in range(groups)), convolution()))


@register(in_all=False)
class RCAN(NetworkMethod):
    name = "rcan"
    title = "RCAN"
    citation = (
        "Y. Zhang, K. Li, K. Li, L. Wang, B. Zhong, Y. Fu, “Image Super-Resolution Using Very Deep Residual Channel "
        "Attention Networks”, ECCV 2018, pp. 294–310, doi:10.1007/978-3-030-01234-2_18, arXiv:1807.02758"
    )
    groups = ("related",)
    native_recipe = Recipe(learning_rate=1e-4, schedule="steps", milestones=(0.2, 0.4, 0.6, 0.8), gamma=0.5)
    halo = 72  # its attention is over all of its input, however large

    def build(self) -> nn.Module:
        return rcan_network()

    def loss(self, sr: Tensor, batch: Batch) -> Losses:
        return {"total": F.l1_loss(sr, batch.hr)}

    def notes(self) -> list[str]:
        return ["RCAN is trained for ×8 from scratch; the publication starts from its ×2 weights."]
