"""Self-attention in windows of 8×8, shifted by 4 in every other block: what SwinIR and HAT are made of.

The blocks are timm's. ``always_partition`` keeps the shift whatever the input size is: built for 8×8
inputs (as training patches are) the authors' code would drop it for good, and windows of a whole
plate would never exchange anything.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

WINDOW = 8
HEADS = 6


def swin_block(dim: int, shift: int, drop_path: float) -> nn.Module:
    """N×H×W×dim → the same. H and W should be multiples of the window."""
    from timm.models.swin_transformer import SwinTransformerBlock  # seconds of import time

    options: dict[str, Any] = {"always_partition": True, "dynamic_mask": True, "drop_path": drop_path}
    # The resolution decides nothing here: partition and mask follow the input.
    block: Any = SwinTransformerBlock(
        dim, WINDOW, num_heads=HEADS, window_size=WINDOW, shift_size=shift, mlp_ratio=2.0, **options
    )
    if shift:
        block.get_attn_mask = shift_mask  # timm's makes it anew in every block and pass
    assert isinstance(block, nn.Module)
    return block


def shift_mask(x: Tensor) -> Tensor:
    """What keeps pixels of N×H×W×C that the shift by half a window brought together from attending to each other.

    Windows×64×64: 0 for pairs that were neighbours, −100 for others.
    """
    if torch.compiler.is_compiling():
        return _shift_mask.__wrapped__(x.shape[1], x.shape[2], x.device)
    with torch.inference_mode(False):  # one first made while validating must serve training too
        return _shift_mask(x.shape[1], x.shape[2], x.device)


@lru_cache(maxsize=4)
def _shift_mask(height: int, width: int, device: torch.device) -> Tensor:
    def parts(length: int) -> Tensor:  # 0, then 1 and 2 for the halves of the last window
        index = torch.arange(length, device=device)
        return (index >= length - WINDOW).int() + (index >= length - WINDOW // 2).int()

    part = 3 * parts(height)[:, None] + parts(width)
    windows = part.unflatten(1, (-1, WINDOW)).unflatten(0, (-1, WINDOW)).transpose(1, 2).reshape(-1, WINDOW**2)
    return torch.where(windows[:, None, :] == windows[:, :, None], 0.0, -100.0)


def channels_last(layer: nn.Module, x: Tensor) -> Tensor:
    """Apply a convolution to N×H×W×C."""
    y: Tensor = layer(x.permute(0, 3, 1, 2))
    return y.permute(0, 2, 3, 1)


def initialise_linear(network: nn.Module) -> nn.Module:
    """Draw the weights of linear layers from N(0, 0.02), cut, set their biases to 0, and return ``network``."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network
