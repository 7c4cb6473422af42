"""RDN: residual dense blocks, all of whose outputs are fused before enlarging, in the two published sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods import register
from methods.base import Batch, Losses, Recipe
from methods.blocks.layers import EDSRFrame
from methods.network import NetworkMethod


class ResidualDenseBlock(nn.Module):
    """Densely connected 3×3 convolutions, fused by a linear 1×1; residual."""

    def __init__(self, channels: int, growth: int, layers: int) -> None:
        super().__init__()
        self.grow = nn.ModuleList(nn.Conv2d(channels + i * growth, growth, 3, padding=1) for i in range(layers))
        self.fuse = nn.Conv2d(channels + layers * growth, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        features = x
        for layer in self.grow:
            features = torch.cat([features, F.relu(layer(features))], dim=1)
        return x + self.fuse(features)


class RDNBody(nn.Module):
    """Shallow features, then the blocks one after another, then what fuses all of their outputs."""

    def __init__(self, channels: int, blocks: int, growth: int, layers: int) -> None:
        super().__init__()
        self.shallow = nn.Conv2d(channels, channels, 3, padding=1)
        self.blocks = nn.ModuleList(ResidualDenseBlock(channels, growth, layers) for _ in range(blocks))
        self.fuse = nn.Conv2d(blocks * channels, channels, 1)
        self.smooth = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.shallow(x)
        outputs = []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        return self.smooth(self.fuse(torch.cat(outputs, dim=1)))


class RDN(NetworkMethod):
    name = "rdn"
    title = "RDN"
    citation = (
        "Y. Zhang, Y. Tian, Y. Kong, B. Zhong, Y. Fu, “Residual Dense Network for Image Super-Resolution”, CVPR 2018, "
        "pp. 2472–2481, doi:10.1109/CVPR.2018.00262, arXiv:1802.08797"
    )
    groups = ("related",)
    native_recipe = Recipe(learning_rate=1e-4, schedule="steps", milestones=(0.2, 0.4, 0.6, 0.8), gamma=0.5)
    halo = 72  # it reaches farther, with weights that fade

    @dataclass(frozen=True)
    class Options(NetworkMethod.Options):
        size: Literal["A", "B"] = "B"
        """A: 20 blocks of 6 layers, growth 32. B, the publication's main one: 16 blocks of 8 layers, growth 64."""

    options: Options

    def build(self) -> nn.Module:
        body = RDNBody(64, 20, 32, 6) if self.options.size == "A" else RDNBody(64, 16, 64, 8)
        return EDSRFrame(64, body)

    def loss(self, sr: Tensor, batch: Batch) -> Losses:
        return {"total": F.l1_loss(sr, batch.hr)}

    def notes(self) -> list[str]:
        return [
            "RDN is trained for ×8 from scratch; the publication stops at ×4, its released code has this ×8 upsampler.",
            "RDN subtracts DIV2K's mean as its authors' code does; PyTorch ports of it do not.",
        ]


register(RDN, name="rdn-a", title="RDN-A", in_all=False, options=RDN.Options(size="A"))
register(RDN, name="rdn-b", title="RDN-B", in_all=False, options=RDN.Options(size="B"))
