"""HAT-S: window attention beside channel attention, and in every group one attention over overlapping windows.

Published models have windows of 16×16; a training patch of the benchmark is 8×8, hence windows of 8×8 here.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods import register
from methods.base import Batch, Losses, Recipe
from methods.blocks.layers import ChannelAttention, EDSRFrame, upsampler
from methods.blocks.swin import HEADS, WINDOW, channels_last, initialise_linear, swin_block
from methods.network import NetworkMethod


class HybridBlock(nn.Module):
    """N×H×W×C → the same: a Swin block with convolutions and channel attention beside its attention (HAB)."""

    def __init__(self, dim: int, shift: int, drop_path: float, reduction: int) -> None:
        super().__init__()
        self.swin: Any = initialise_linear(swin_block(dim, shift, drop_path))
        self.channels = nn.Sequential(
            nn.Conv2d(dim, dim // reduction, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(dim // reduction, dim, 3, padding=1),
            ChannelAttention(dim, reduction),
        )

    def forward(self, x: Tensor) -> Tensor:
        swin, y = self.swin, self.swin.norm1(x)
        x = x + swin.drop_path1(swin._attn(y)) + 0.01 * channels_last(self.channels, y)
        result: Tensor = x + swin.drop_path2(swin.mlp(swin.norm2(x)))
        return result


class OverlappingAttention(nn.Module):
    """N×H×W×C → the same: each window asks the square around it, wider by a quarter on every side (OCAB).

    Beyond the border, keys and values are zero.
    """

    wide = WINDOW + WINDOW // 2
    index: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(nn.init.trunc_normal_(torch.empty((WINDOW + self.wide - 1) ** 2, HEADS), std=0.02))
        self.norm1 = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.project = nn.Linear(dim, dim)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))
        step = torch.arange(self.wide) - torch.arange(WINDOW)[:, None] + WINDOW - 1
        index = step[:, None, :, None] * (WINDOW + self.wide - 1) + step[None, :, None, :]
        self.register_buffer("index", index.reshape(WINDOW**2, self.wide**2), persistent=False)
        initialise_linear(self)

    def forward(self, x: Tensor) -> Tensor:
        count, height, width, dim = x.shape
        query, key_value = self.qkv(self.norm1(x)).split([dim, 2 * dim], dim=-1)
        windows = query.view(count, height // WINDOW, WINDOW, width // WINDOW, WINDOW, HEADS, -1)
        query = windows.permute(0, 1, 3, 5, 2, 4, 6).reshape(-1, HEADS, WINDOW**2, dim // HEADS)
        wide = F.unfold(key_value.permute(0, 3, 1, 2), self.wide, padding=WINDOW // 4, stride=WINDOW)
        wide = wide.view(count, 2, HEADS, dim // HEADS, self.wide**2, -1).permute(1, 0, 5, 2, 4, 3)
        key, value = wide.reshape(2, -1, HEADS, self.wide**2, dim // HEADS)
        # Head by head: from 32,768 numbers on, a CPU's threads add up the gradient of a lookup in no fixed order.
        bias = torch.stack([column[self.index] for column in self.bias.unbind(1)])[None]
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bias.to(query.dtype))
        mixed = mixed.view(count, height // WINDOW, width // WINDOW, HEADS, WINDOW, WINDOW, -1)
        x = x + self.project(mixed.permute(0, 1, 4, 2, 5, 3, 6).reshape(x.shape))
        return x + self.mlp(self.norm2(x))


class HybridGroup(nn.Module):
    """Hybrid blocks with and without shift in turn, overlapping attention, a convolution, a skip over all (RHAG)."""

    def __init__(self, dim: int, drop_paths: list[float], reduction: int) -> None:
        super().__init__()
        shifts = [WINDOW // 2 * (i % 2) for i in range(len(drop_paths))]
        blocks = (HybridBlock(dim, shift, rate, reduction) for shift, rate in zip(shifts, drop_paths))
        self.blocks = nn.Sequential(*blocks, OverlappingAttention(dim))
        self.conv = nn.Conv2d(dim, dim, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + channels_last(self.conv, self.blocks(x))


class HATBody(nn.Module):
    """Groups between two normalisations, and a convolution; sides of the input are multiples of the window."""

    def __init__(self, dim: int, groups: int, depth: int, reduction: int, drop_path: float) -> None:
        super().__init__()
        rates = [drop_path * i / (groups * depth - 1) for i in range(groups * depth)]
        self.norm_in = nn.LayerNorm(dim)
        self.groups = nn.Sequential(
            *(HybridGroup(dim, rates[depth * i : depth * (i + 1)], reduction) for i in range(groups))
        )
        self.norm_out = nn.LayerNorm(dim)
        self.conv = nn.Conv2d(dim, dim, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        deep = self.norm_out(self.groups(self.norm_in(x.permute(0, 2, 3, 1))))
        convolved: Tensor = self.conv(deep.permute(0, 3, 1, 2))
        return convolved


def hat_network(dim: int = 144, groups: int = 6, depth: int = 6, reduction: int = 24) -> EDSRFrame:
    """HAT-S: convolutions beside the attention have a 24th of the channels, as its channel attention has."""
    narrow = [nn.Conv2d(dim, 64, 3, padding=1), nn.LeakyReLU()]
    body = HATBody(dim, groups, depth, reduction, drop_path=0.1)
    return EDSRFrame(dim, body, nn.Sequential(*narrow, upsampler(64)), out=64)


@register(in_all=False)
class HAT(NetworkMethod):
    name = "hat-s"
    title = "HAT-S"
    citation = (
        "X. Chen, X. Wang, J. Zhou, Y. Qiao, C. Dong, “Activating More Pixels in Image Super-Resolution Transformer”, "
        "CVPR 2023, pp. 22367–22377, doi:10.1109/CVPR52729.2023.02142, arXiv:2205.04437"
    )
    groups = ("related",)
    multiple_of = WINDOW
    native_recipe = Recipe(
        learning_rate=2e-4,
        betas=(0.9, 0.99),
        schedule="steps",
        milestones=(0.5, 0.8, 0.9, 0.95),
        gamma=0.5,
        ema=0.999,
    )

    def build(self) -> nn.Module:
        return hat_network()

    def loss(self, sr: Tensor, batch: Batch) -> Losses:
        return {"total": F.l1_loss(sr, batch.hr)}

    def notes(self) -> list[str]:
        return ["HAT-S has windows of 8×8, the size of a training patch; the published models have 16×16."]
