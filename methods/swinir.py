"""SwinIR-M, classical super-resolution: self-attention in windows of 8×8, shifted by 4 in every other block.

The blocks are timm's. ``always_partition`` keeps the shift whatever the input size is: built for 8×8
inputs (as training patches are) the authors' code would drop it for good, and windows of a whole
plate would never exchange anything.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods import register
from methods.base import Batch, Losses, Recipe
from methods.blocks.layers import div2k_mean, upsampler
from methods.network import NetworkMethod

WINDOW = 8


def swin_block(dim: int, shift: int, drop_path: float) -> nn.Module:
    """N×H×W×dim → the same. H and W should be multiples of the window."""
    from timm.models.swin_transformer import SwinTransformerBlock  # seconds of import time

    options: dict[str, Any] = {"always_partition": True, "dynamic_mask": True, "drop_path": drop_path}
    # The resolution decides nothing here: partition and mask follow the input.
    block: Any = SwinTransformerBlock(
        dim, WINDOW, num_heads=6, window_size=WINDOW, shift_size=shift, mlp_ratio=2.0, **options
    )
    if shift:
        block.get_attn_mask = shift_mask  # timm's makes it anew in every block and pass
    assert isinstance(block, nn.Module)
    return block


def shift_mask(x: Tensor) -> Tensor:
    """What keeps pixels of N×H×W×C that the shift by half a window brought together from attending to each other.

    Windows×64×64: 0 for pairs that were neighbours, −100 for others.
    """
    if torch.compiler.is_compiling():
        return _shift_mask.__wrapped__(x.shape[1], x.shape[2], x.device)
    with torch.inference_mode(False):  # one first made while validating must serve training too
        return _shift_mask(x.shape[1], x.shape[2], x.device)


@lru_cache(maxsize=4)
def _shift_mask(height: int, width: int, device: torch.device) -> Tensor:
    def parts(length: int) -> Tensor:  # 0, then 1 and 2 for the halves of the last window
        index = torch.arange(length, device=device)
        return (index >= length - WINDOW).int() + (index >= length - WINDOW // 2).int()

    part = 3 * parts(height)[:, None] + parts(width)
    windows = part.unflatten(1, (-1, WINDOW)).unflatten(0, (-1, WINDOW)).transpose(1, 2).reshape(-1, WINDOW**2)
    return torch.where(windows[:, None, :] == windows[:, :, None], 0.0, -100.0)


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


def channels_last(layer: nn.Module, x: Tensor) -> Tensor:
    """Apply a convolution to N×H×W×C."""
    y: Tensor = layer(x.permute(0, 3, 1, 2))
    return y.permute(0, 2, 3, 1)


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
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

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
