"""A2N: blocks of two branches, with attention and without, which a third weighs against each other."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from methods import register
from methods.base import Batch, Losses, Recipe
from methods.blocks.resize import upsample_bilinear
from methods.network import NetworkMethod


def pixel_attention(channels: int) -> nn.Sequential:
    """A factor between 0 and 1 for every pixel of every channel."""
    return nn.Sequential(nn.Conv2d(channels, channels, 1), nn.Sigmoid())


class AttentionInAttention(nn.Module):
    """N×C×h×w → the same. The two branches' weights sum to one; they start almost equal, being softened by 30."""

    def __init__(self, channels: int, reduction: int = 4, temperature: float = 30.0) -> None:
        super().__init__()

        def convolution(kernel: int) -> nn.Conv2d:
            return nn.Conv2d(channels, channels, kernel, padding=kernel // 2, bias=False)

        self.temperature = temperature
        self.enter, self.leave = convolution(1), convolution(1)
        self.weigh = nn.Sequential(
            nn.Linear(channels, channels // reduction, bias=False),
            nn.ReLU(),
            nn.Linear(channels // reduction, 2, bias=False),
        )
        self.gate = nn.Sequential(convolution(3), nn.LeakyReLU(0.2), *pixel_attention(channels))
        self.gated, self.attended = convolution(3), convolution(3)
        self.plain = convolution(3)

    def forward(self, x: Tensor) -> Tensor:
        y = F.leaky_relu(self.enter(x), 0.2)
        weights = (self.weigh(y.mean(dim=(2, 3))) / self.temperature).softmax(dim=1)[:, :, None, None, None]
        attended = self.attended(self.gated(y) * self.gate(y))
        mixed = weights[:, 0] * attended + weights[:, 1] * self.plain(y)
        return x + self.leave(F.leaky_relu(mixed, 0.2))


class Enlarge(nn.Module):
    """N×C×h×w → N×out×2h×2w: nearest neighbour, then two convolutions with pixel attention between them."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, out, 3, padding=1)
        self.attention = pixel_attention(out)
        self.second = nn.Conv2d(out, out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(F.interpolate(x, scale_factor=2, mode="nearest"))
        return F.leaky_relu(self.second(F.leaky_relu(x * self.attention(x), 0.2)), 0.2)


class A2NNetwork(nn.Module):
    """The bilinear enlargement, and what is added to it."""

    def __init__(self, channels: int = 40, blocks: int = 16, out: int = 24) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.blocks = nn.Sequential(*(AttentionInAttention(channels) for _ in range(blocks)))
        self.body = nn.Conv2d(channels, channels, 3, padding=1)
        self.enlarge = nn.Sequential(Enlarge(channels, out), Enlarge(out, out), Enlarge(out, out))
        self.tail = nn.Conv2d(out, 3, 3, padding=1)

    def forward(self, lr: Tensor) -> Tensor:
        shallow = self.head(lr)
        deep = shallow + self.body(self.blocks(shallow))
        return self.tail(self.enlarge(deep)) + upsample_bilinear(lr)


@register(in_all=False)
class A2N(NetworkMethod):
    name = "a2n"
    title = "A2N"
    citation = (
        "H. Chen, J. Gu, Z. Zhang, “Attention in Attention Network for Image Super-Resolution”, arXiv:2104.09497, 2021"
    )
    groups = ("related",)
    native_recipe = Recipe(
        learning_rate=5e-4, schedule="steps", milestones=tuple(i / 10 for i in range(1, 10)), gamma=0.5
    )
    halo = 72  # its gates look at all of their input, however large

    def build(self) -> nn.Module:
        return A2NNetwork()

    def loss(self, sr: Tensor, batch: Batch) -> Losses:
        return {"total": F.l1_loss(sr, batch.hr)}

    def notes(self) -> list[str]:
        return ["A2N's released code stops at ×4; for ×8 it has a third step of enlarging, like its second."]
