"""TSRN (TextZoom): residual blocks that end in recurrent layers along columns and along rows.

The rectifying network (STN) and the mask channel are left out: they serve pairs photographed with two lenses.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from methods import register
from methods.base import Batch, Losses, Recipe
from methods.blocks.layers import SRResNetFrame, mish_convolutions
from methods.network import NetworkMethod


class RecurrentRows(nn.Module):
    """N×C×h×w → the same: a 1×1 convolution, then a GRU that reads every row in both directions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(channels, channels, 1)
        self.gru = nn.GRU(channels, channels // 2, bidirectional=True, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        rows = self.project(x).permute(0, 2, 3, 1)
        read, _ = self.gru(rows.flatten(0, 1))
        return read.view(rows.shape).permute(0, 3, 1, 2)


class SequentialResidualBlock(nn.Module):
    """Two convolutions, read along the columns; then x and the result, read along the rows."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolve = mish_convolutions(channels)
        self.columns = RecurrentRows(channels)
        self.rows = RecurrentRows(channels)

    def forward(self, x: Tensor) -> Tensor:
        columns = self.columns(self.convolve(x).transpose(2, 3)).transpose(2, 3)
        return self.rows(x + columns)


def tsrn_network(channels: int = 64, blocks: int = 5) -> nn.Sequential:
    fuse = [nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels)]
    body = nn.Sequential(*(SequentialResidualBlock(channels) for _ in range(blocks)), *fuse)
    return nn.Sequential(SRResNetFrame(channels, body, nn.Mish), nn.Tanh())


@register(in_all=False)
class TSRN(NetworkMethod):
    name = "tsrn"
    title = "TSRN"
    citation = (
        "W. Wang, E. Xie, X. Liu, W. Wang, D. Liang, C. Shen, X. Bai, “Scene Text Image Super-Resolution in the Wild”, "
        "ECCV 2020, doi:10.1007/978-3-030-58607-2_38, arXiv:2005.03341"
    )
    groups = ("related",)
    native_recipe = Recipe(
        learning_rate=1e-3, betas=(0.5, 0.999), schedule="constant", loss_scale=100.0, gradient_clip=0.25
    )
    halo = 72  # its recurrent layers read whole rows and columns, however long
    pixel_weight = 20.0

    @dataclass(frozen=True, kw_only=True)
    class Options(NetworkMethod.Options):
        gradient_profile: float = 1e-4
        """Weight of the gradient profile's loss beside 20 times the mean squared error: that of the released code."""

    options: Options

    def build(self) -> nn.Module:
        return tsrn_network()

    def loss(self, sr: Tensor, batch: Batch) -> Losses:
        pixel = F.mse_loss(sr, batch.hr)
        return {"total": self.pixel_weight * pixel, "pixel": pixel.detach()}

    def notes(self) -> list[str]:
        return ["TSRN runs without its rectifying network and without a mask channel."]


# The released weight makes the term a ten-thousandth of the loss. Of bicubic plates, 20 times the squared error and 5
# times the difference of the profiles are alike (0.35 and 0.26 on CCPD).
register(
    TSRN,
    name="tsrn-gradient",
    title="TSRN (gradient profile)",
    options=TSRN.Options(gradient_profile=5.0),
    in_all=False,
)
