"""Bilinear interpolation: a baseline that learns nothing."""

from __future__ import annotations

import torch
from torch import Tensor

from methods import register
from methods.base import Method, check_lr
from methods.blocks.resize import upsample_bilinear


@register(in_all=False)
class Bilinear(Method):
    name = "bilinear"
    title = "Bilinear"
    citation = (
        "R. C. Gonzalez, R. E. Woods, “Digital Image Processing”, 4th edition, Pearson 2018, section 2.4 "
        "(image interpolation), ISBN 978-0-13-335672-4"
    )
    groups = ("related",)
    deterministic = True

    @torch.inference_mode()
    def upscale(self, lr: Tensor) -> Tensor:
        check_lr(lr)
        return upsample_bilinear(lr).clamp(0.0, 1.0)
