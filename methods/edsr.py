"""EDSR: residual blocks without normalisation, in the two published sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from methods import register
from methods.base import Batch, Losses, Recipe
from methods.blocks.layers import EDSRFrame, ResidualBlock
from methods.network import NetworkMethod


def edsr_network(channels: int, blocks: int, scale: float) -> EDSRFrame:
    """``scale`` multiplies the residual of every block."""
    body = [ResidualBlock(channels, scale=scale) for _ in range(blocks)]
    return EDSRFrame(channels, nn.Sequential(*body, nn.Conv2d(channels, channels, 3, padding=1)))


class EDSR(NetworkMethod):
    name = "edsr"
    title = "EDSR (baseline)"
    citation = (
        "B. Lim, S. Son, H. Kim, S. Nah, K. M. Lee, “Enhanced Deep Residual Networks for Single Image "
        "Super-Resolution”, CVPR Workshops 2017, pp. 1132–1140, doi:10.1109/CVPRW.2017.151, arXiv:1707.02921"
    )
    groups = ("related",)
    native_recipe = Recipe(learning_rate=1e-4, schedule="steps", milestones=(2 / 3,), gamma=0.5)
    halo = 72  # the large network reaches 68

    @dataclass(frozen=True)
    class Options(NetworkMethod.Options):
        size: Literal["baseline", "large"] = "baseline"
        """16 blocks of 64 channels, or 32 of 256 with residuals scaled by 0.1."""

    options: Options

    def build(self) -> nn.Module:
        return edsr_network(64, 16, 1.0) if self.options.size == "baseline" else edsr_network(256, 32, 0.1)

    def loss(self, sr: Tensor, batch: Batch) -> Losses:
        return {"total": F.l1_loss(sr, batch.hr)}

    def notes(self) -> list[str]:
        notes = ["EDSR is trained for ×8 from scratch; the publication starts large scales from its ×2 weights."]
        if self.options.size == "large":
            notes.append("EDSR (large) has 45 million parameters and is meant for presets that train on a GPU.")
        return notes


register(EDSR, in_all=False, options=EDSR.Options(size="baseline"))
register(
    EDSR,
    name="edsr-large",
    title="EDSR (large)",
    groups=("related-large",),
    in_all=False,
    options=EDSR.Options(size="large"),
)
