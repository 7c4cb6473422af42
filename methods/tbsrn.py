"""TBSRN (Scene Text Telescope): residual blocks that end in self-attention over all pixels.

The rectifying network (STN) is left out: it serves to align photographs taken with two lenses,
demands 16×64 inputs, and our pairs are aligned. So are the text-focus losses, which need a trained
recogniser and a transcription of every patch. Parameters that the authors' code creates but never
uses are left out too.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods import register
from methods.base import Recipe
from methods.blocks.layers import mish_convolutions, upsampler
from methods.network import NetworkMethod


def position_code(channels: int, height: int, width: int, device: torch.device) -> Tensor:
    """channels×height×width sines and cosines: the first half tells columns apart, the second rows."""
    half = channels // 2
    rates = torch.exp(torch.arange(0, half, 2, device=device) * (-math.log(10_000.0) / half))

    def encode(length: int) -> Tensor:
        angles = torch.arange(length, device=device)[None, :] * rates[:, None]
        return torch.stack([angles.sin(), angles.cos()], dim=1).reshape(half, length)

    columns = encode(width)[:, None, :].expand(half, height, width)
    rows = encode(height)[:, :, None].expand(half, height, width)
    return torch.cat([columns, rows])


class ScaledNorm(nn.Module):
    """Layer normalisation as the authors compute it: unbiased deviation, epsilon added to it."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))

    def forward(self, x: Tensor) -> Tensor:
        x = x.float()  # as torch's own normalisation computes under autocast
        deviation, mean = torch.std_mean(x, dim=-1, keepdim=True)
        return self.weight * (x - mean) / (deviation + 1e-6) + self.bias


class FeatureEnhancer(nn.Module):
    """N×L×128 → N×L×64: four-head self-attention and a feed-forward layer, normalised after each."""

    def __init__(self, dim: int = 128, out: int = 64, heads: int = 4, dropout: float = 0.1) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.query, self.key, self.value, self.attended = (nn.Linear(dim, dim) for _ in range(4))
        self.norm1 = ScaledNorm(dim)
        self.feed_forward = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Dropout(dropout), nn.Linear(dim, dim))
        self.norm2 = ScaledNorm(dim)
        self.project = nn.Linear(dim, out)

    def forward(self, tokens: Tensor) -> Tensor:
        query, key, value = (
            layer(tokens).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        tokens = self.norm1(tokens + self.attended(mixed.transpose(1, 2).flatten(2)))
        tokens = self.norm2(tokens + self.feed_forward(tokens))
        return self.project(tokens)


class SequentialResidualBlock(nn.Module):
    """Two convolutions, then attention over all pixels, each of which knows its position."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolve = mish_convolutions(channels)
        self.enhance = FeatureEnhancer(2 * channels, channels)
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(self, x: Tensor, position: Tensor) -> Tensor:
        features = self.convolve(x)
        positions = position.expand(len(x), -1, -1, -1)
        tokens = torch.cat([features, positions], dim=1).flatten(2).transpose(1, 2)
        return x + self.enhance(tokens).transpose(1, 2).unflatten(2, x.shape[-2:])


class TBSRNNetwork(nn.Module):
    def __init__(self, channels: int = 64, blocks: int = 5) -> None:
        super().__init__()
        self.channels = channels
        self.head = nn.Sequential(nn.Conv2d(3, channels, 9, padding=4), nn.PReLU())
        self.blocks = nn.ModuleList(SequentialResidualBlock(channels) for _ in range(blocks))
        self.fuse = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels))
        self.upsample = upsampler(channels, nn.Mish)
        self.tail = nn.Conv2d(channels, 3, 9, padding=4)
        self._position = torch.empty(0)

    def forward(self, lr: Tensor) -> Tensor:
        head = self.head(lr)
        position = self.position(head)
        x = head
        for block in self.blocks:
            x = block(x, position)
        return torch.tanh(self.tail(self.upsample(self.fuse(x) + head)))

    def position(self, x: Tensor) -> Tensor:
        """The position code for tensors like ``x``, kept until another size is asked for."""
        if torch.compiler.is_compiling():  # what a compiled network keeps does not outlive its next call
            return position_code(self.channels, x.shape[-2], x.shape[-1], x.device)
        if self._position.shape[-2:] != x.shape[-2:] or self._position.device != x.device:
            with torch.inference_mode(False):  # one first made while validating must serve training too
                self._position = position_code(self.channels, x.shape[-2], x.shape[-1], x.device)
        return self._position


@register
class TBSRN(NetworkMethod):
    name = "tbsrn"
    title = "TBSRN"
    citation = "J. Chen, B. Li, X. Xue, “Scene Text Telescope: Text-Focused Scene Image Super-Resolution”, CVPR 2021"
    groups = ("table1",)
    paper_parameters = 12_000_000
    # Its attention is over all positions of the input and has only ever seen the 64 of a training patch.
    max_side = 8
    halo = 8  # tiles are cut again, like the whole
    native_recipe = Recipe(
        learning_rate=1e-4,
        betas=(0.5, 0.999),
        schedule="constant",
        loss_scale=100.0,
        gradient_clip=0.25,
    )

    def build(self) -> nn.Module:
        return TBSRNNetwork()

    def notes(self) -> list[str]:
        return [
            "TBSRN runs without its rectifying network and its text-focus losses (mean squared error alone).",
            "TBSRN upscales plates in overlapping 8×8 tiles, the size its attention was trained on.",
            "No published configuration of TBSRN has the 12M parameters the paper prints.",
        ]
