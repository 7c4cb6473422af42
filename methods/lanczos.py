"""Lanczos interpolation with three lobes: a baseline that learns nothing."""

from __future__ import annotations

import torch
from torch import Tensor

from methods import register
from methods.base import Method, check_lr
from methods.blocks.resize import upsample_lanczos


@register(in_all=False)
class Lanczos(Method):
    name = "lanczos"
    title = "Lanczos-3"
    citation = (
        "C. E. Duchon, “Lanczos Filtering in One and Two Dimensions”, Journal of Applied Meteorology "
        "18(8):1016–1022, 1979, doi:10.1175/1520-0450(1979)018<1016:LFIOAT>2.0.CO;2"
    )
    groups = ("related",)
    deterministic = True

    @torch.inference_mode()
    def upscale(self, lr: Tensor) -> Tensor:
        check_lr(lr)
        return upsample_lanczos(lr).clamp(0.0, 1.0)
