"""Enlargement by interpolation, as Pillow does it: the baselines, and what SRCNN and VDSR start from."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from methods.base import SCALE


def upsample_bicubic(lr: Tensor) -> Tensor:
    """N×C×h×w → N×C×8h×8w, unclamped: cubic convolution with a = −0.5, as Pillow and MATLAB do it.

    ``antialias`` is what selects a = −0.5; when enlarging it filters nothing. Without it torch
    uses a = −0.75 (as OpenCV does), which is another baseline.
    """
    size = [SCALE * lr.shape[-2], SCALE * lr.shape[-1]]
    return F.interpolate(lr, size=size, mode="bicubic", align_corners=False, antialias=True)


def upsample_bilinear(lr: Tensor) -> Tensor:
    """N×C×h×w → N×C×8h×8w: pixels have half-pixel centres, edges are repeated."""
    return F.interpolate(lr, scale_factor=SCALE, mode="bilinear", align_corners=False)


def upsample_lanczos(lr: Tensor) -> Tensor:
    """N×C×h×w → N×C×8h×8w, unclamped: sinc(x) · sinc(x/3) over six pixels.

    At the border the kernel is cut and what remains of it sums to one, as in Pillow. OpenCV's ``LANCZOS4`` is
    another kernel and reflects.
    """
    rows, columns = (_lanczos(side).to(lr) for side in lr.shape[-2:])
    return rows @ lr @ columns.T


def _lanczos(side: int) -> Tensor:
    """The 8·side × side matrix that enlarges one direction."""
    centres = (torch.arange(SCALE * side, dtype=torch.float64) + 0.5) / SCALE
    x = torch.arange(side) + 0.5 - centres[:, None]
    weights = torch.sinc(x) * torch.sinc(x / 3) * (x.abs() < 3)
    return weights / weights.sum(dim=1, keepdim=True)
