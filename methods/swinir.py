"""SwinIR-M, classical super-resolution: self-attention in windows of 8×8, shifted by 4 in every other block."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from methods import register
from methods.base import Batch, Losses, Recipe
from methods.blocks.layers import div2k_mean, upsampler
from methods.blocks.swin import WINDOW, channels_last, initialise_linear, swin_block
from methods.network import NetworkMethod


class ResidualSwinGroup(nn.Module):
    """Blocks with and without shift in turn, a convolution, and a skip over all of it (RSTB)."""

    def __init__(self, dim: int, drop_paths: list[float]) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *(swin_block(dim, WINDOW // 2 * (i % 2), rate) for i, rate in enumerate(drop_paths))
        )
        self.conv = nn.Conv2d(dim, dim, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + channels_last(self.conv, self.blocks(x))


class SwinIRNetwork(nn.Module):
    """Six groups of six blocks, 180 channels; sides of the input are multiples of the window."""

    mean: Tensor

    def __init__(self, dim: int = 180, groups: int = 6, depth: int = 6, drop_path: float = 0.1) -> None:
        super().__init__()
        self.register_buffer("mean", div2k_mean(), persistent=False)
        last = groups * depth - 1
        rates = [drop_path * i / last for i in range(groups * depth)]
        self.head = nn.Conv2d(3, dim, 3, padding=1)
        self.norm_in = nn.LayerNorm(dim)
        self.groups = nn.Sequential(
            *(ResidualSwinGroup(dim, rates[depth * i : depth * (i + 1)]) for i in range(groups))
        )
        self.norm_out = nn.LayerNorm(dim)
        self.body = nn.Conv2d(dim, dim, 3, padding=1)
        self.narrow = nn.Sequential(nn.Conv2d(dim, 64, 3, padding=1), nn.LeakyReLU())
        self.upsample = upsampler(64)
        self.tail = nn.Conv2d(64, 3, 3, padding=1)
        initialise_linear(self)

    def forward(self, lr: Tensor) -> Tensor:
        shallow = self.head(lr - self.mean)
        deep = self.norm_out(self.groups(self.norm_in(shallow.permute(0, 2, 3, 1))))
        features = self.narrow(shallow + self.body(deep.permute(0, 3, 1, 2)))
        return self.tail(self.upsample(features)) + self.mean


@register
class SwinIR(NetworkMethod):
    name = "swinir"
    title = "SwinIR"
    citation = (
        "J. Liang, J. Cao, G. Sun, K. Zhang, L. Van Gool, R. Timofte, “SwinIR: Image Restoration Using Swin "
        "Transformer”, ICCV Workshops 2021, arXiv:2108.10257"
    )
    groups = ("table1",)
    paper_parameters = 11_000_000
    multiple_of = WINDOW
    native_recipe = Recipe(
        learning_rate=2e-4,
        schedule="steps",
        milestones=(0.5, 0.8, 0.9, 0.95),
        gamma=0.5,
        ema=0.999,
    )

    def build(self) -> nn.Module:
        return SwinIRNetwork()

    def loss(self, sr: Tensor, batch: Batch) -> Losses:
        return {"total": F.l1_loss(sr, batch.hr)}
