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


def posterior_distillation(sr: Tensor, hr: Tensor, temperature: float) -> Tensor:
    """How far a reader's verdict on SR is from its verdict on HR, given the logits N×classes×H×W of both.

    The mean over places of KL(softmax(hr / T) ‖ softmax(sr / T)), weighted by the probability of what the reader takes
    HR for: where it cannot read the original, it has nothing to teach.
    """
    confidence = hr.softmax(dim=1).amax(dim=1)
    verdict, target = (sr / temperature).log_softmax(dim=1), (hr / temperature).log_softmax(dim=1)
    divergence = F.kl_div(verdict, target, reduction="none", log_target=True).sum(dim=1)
    return (confidence * divergence).mean()
