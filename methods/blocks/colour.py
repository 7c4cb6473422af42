"""The luma that some methods learn alone, leaving the chroma to interpolation."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def luma(rgb: Tensor) -> Tensor:
    """N×3×H×W → N×1×H×W: Y of full-range BT.601 (JFIF, as Pillow's ``YCbCr``), in [0, 1].

    In full-range YCbCr, a change of Y with Cb and Cr kept adds the same amount to R, G and B.
    """
    red, green, blue = rgb.split(1, dim=1)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def luma_mse(sr: Tensor, hr: Tensor) -> Tensor:
    """Mean squared error of the luma of two N×3×H×W."""
    with torch.no_grad():
        target = luma(hr)
    return F.mse_loss(luma(sr), target)
