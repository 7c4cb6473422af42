"""Unsharp masking, which Real-ESRGAN's training applies to the pictures it compares with."""

from __future__ import annotations

import torch
from torch import Tensor

_SIGMA, _RADIUS = 8.0, 25  # of OpenCV's Gaussian with 51 taps


def sharpen(images: Tensor, weight: float = 0.5, threshold: float = 10.0) -> Tensor:
    """N×C×H×W in [0, 1] → the same, sharpened where they differ from their blur by more than ``threshold`` grey levels.

    A blurred mask of these places blends with what is there. Borders are reflected, over and over in small pictures.
    """
    rows, columns = (_gaussian(side).to(images) for side in images.shape[-2:])
    residual = images - rows @ images @ columns.T
    mask = (255.0 * residual.abs() > threshold).to(images.dtype)
    soft = rows @ mask @ columns.T
    return images + soft * ((images + weight * residual).clamp(0.0, 1.0) - images)


def _gaussian(side: int) -> Tensor:
    """The side × side matrix that blurs one direction."""
    taps = torch.arange(-_RADIUS, _RADIUS + 1)
    kernel = torch.exp(-0.5 * (taps.double() / _SIGMA) ** 2)
    period = max(2 * (side - 1), 1)
    place = (torch.arange(side)[:, None] + taps) % period
    place = torch.minimum(place, period - place) if side > 1 else torch.zeros_like(place)
    matrix = torch.zeros(side, side, dtype=torch.float64)
    return matrix.scatter_add_(1, place, (kernel / kernel.sum()).expand(side, -1))
