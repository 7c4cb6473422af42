"""Bicubic interpolation: the baseline that learns nothing."""

from __future__ import annotations

import torch
from torch import Tensor

from methods import register
from methods.base import Method, check_lr
from methods.blocks.resize import upsample_bicubic


@register
class Bicubic(Method):
    name = "bicubic"
    title = "Bicubic"
    citation = (
        "R. G. Keys, “Cubic convolution interpolation for digital image processing”, IEEE Transactions on "
        "Acoustics, Speech, and Signal Processing 29(6):1153–1160, 1981, doi:10.1109/TASSP.1981.1163711"
    )
    groups = ("table1",)
    deterministic = True

    @torch.inference_mode()
    def upscale(self, lr: Tensor) -> Tensor:
        check_lr(lr)
        return upsample_bicubic(lr).clamp(0.0, 1.0)
