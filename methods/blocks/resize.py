"""Bicubic enlargement, shared by the bicubic baseline and by SRCNN, which starts from it."""

from __future__ import annotations

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
