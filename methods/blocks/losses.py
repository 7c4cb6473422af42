"""Losses that several methods share."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def gradient_profile(images: Tensor) -> Tensor:
    """How steep each of N×C×H×W is at each pixel, by central differences; zeros go on beyond the border."""
    padded = F.pad(images, (1, 1, 1, 1))
    across = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    down = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    return (across.square() + down.square() + 1e-6).sqrt()


def gradient_profile_loss(sr: Tensor, hr: Tensor) -> Tensor:
    """Mean absolute difference of the gradient profiles, as TextZoom's code (Wang et al., ECCV 2020) has it."""
    return F.l1_loss(gradient_profile(sr), gradient_profile(hr))
