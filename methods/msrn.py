"""MSRN: eight multi-scale residual blocks, all of whose outputs are fused before enlarging."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods import register
from methods.base import Batch, Losses, Recipe
from methods.blocks.layers import div2k_mean, upsampler
from methods.network import NetworkMethod


class MultiScaleBlock(nn.Module):
    """Two stages of parallel 3×3 and 5×5 convolutions that see each other's output; residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = 2 * channels
        self.fine1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.coarse1 = nn.Conv2d(channels, channels, 5, padding=2)
        self.fine2 = nn.Conv2d(wide, wide, 3, padding=1)
        self.coarse2 = nn.Conv2d(wide, wide, 5, padding=2)
        self.fuse = nn.Conv2d(2 * wide, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = torch.cat([F.relu(self.fine1(x)), F.relu(self.coarse1(x))], dim=1)
        second = torch.cat([F.relu(self.fine2(first)), F.relu(self.coarse2(first))], dim=1)
        return x + self.fuse(second)


class MSRNNetwork(nn.Module):
    """The authors' RGB network at scale 8, its mean shift fixed (there it is trainable by oversight)."""

    mean: Tensor

    def __init__(self, channels: int = 64, blocks: int = 8) -> None:
        super().__init__()
        self.register_buffer("mean", div2k_mean(), persistent=False)
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.blocks = nn.ModuleList(MultiScaleBlock(channels) for _ in range(blocks))
        self.fuse = nn.Conv2d((blocks + 1) * channels, channels, 1)
        self.smooth = nn.Conv2d(channels, channels, 3, padding=1)
        self.upsample = upsampler(channels)
        self.tail = nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, lr: Tensor) -> Tensor:
        head = self.head(lr - self.mean)
        outputs = []
        x = head
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        fused = self.smooth(self.fuse(torch.cat([*outputs, head], dim=1)))
        return self.tail(self.upsample(fused)) + self.mean


@register
class MSRN(NetworkMethod):
    name = "msrn"
    title = "MSRN"
    citation = (
        "J. Li, F. Fang, K. Mei, G. Zhang, “Multi-scale Residual Network for Image Super-Resolution”, "
        "ECCV 2018, doi:10.1007/978-3-030-01237-3_32"
    )
    groups = ("table1",)
    paper_parameters = 6_000_000
    native_recipe = Recipe(learning_rate=1e-4, schedule="steps", milestones=(0.2, 0.4, 0.6, 0.8), gamma=0.5)
    halo = 40  # it reaches 36

    def build(self) -> nn.Module:
        return MSRNNetwork()

    def loss(self, sr: Tensor, batch: Batch) -> Losses:
        return {"total": F.l1_loss(sr, batch.hr)}

    def notes(self) -> list[str]:
        return ["MSRN is its authors' later RGB network, not the luma-only one of the publication."]
