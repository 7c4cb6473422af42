"""What upscaling costs, counted rather than timed."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from methods import Method

LR_HEIGHT, LR_WIDTH = 8, 28
"""The plate that is counted: a wide, low plate of 224×64 pixels once upscaled."""


def macs(method: Method, height: int = LR_HEIGHT, width: int = LR_WIDTH) -> int:
    """Multiply-accumulates of upscaling one LR picture, padding and tiling included.

    torch's own counter: convolutions, matrix products, attention and recurrent layers; not what
    is done to single elements (activations, interpolation, normalisation). ``method`` must be on
    the CPU: cuDNN's recurrent layers are one operator that the counter does not look into.
    """
    counter = FlopCounterMode(display=False)
    with torch.inference_mode(), counter:
        method.upscale(torch.zeros(1, 3, height, width))
    return counter.get_total_flops() // 2
