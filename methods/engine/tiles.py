"""Pictures upscaled tile by tile, where a network is good for small ones only or memory is."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Forward = Callable[[Tensor], Tensor]
"""N×C×h×w → N×C×sh×sw, for one whole s."""


def forward_in_tiles(forward: Forward, lr: Tensor, side: int, halo: int, scale: int) -> Tensor:
    """``forward(lr)`` for a picture of any size, in tiles of at most ``side``×``side`` LR pixels, one after another.

    A tile is handed over with ``halo`` pixels around it (at the picture's edge with those that there are), whose
    output is cut off. If no output depends on inputs farther away than that, the result is that of one pass, to
    rounding. Tiles begin at multiples of 8 if ``side`` and ``halo`` are such. Raises ValueError unless
    0 ≤ ``halo`` < ``side`` / 2.
    """
    if not 0 <= 2 * halo < side:
        raise ValueError(f"a halo of {halo} pixels leaves nothing of a tile of {side}")
    count, channels, height, width = lr.shape
    core = side - 2 * halo
    result = lr.new_empty(count, channels, scale * height, scale * width)
    for top in range(0, height, core):
        for left in range(0, width, core):
            bottom, right = min(top + core, height), min(left + core, width)
            above, before = max(top - halo, 0), max(left - halo, 0)
            tile = forward(lr[..., above : bottom + halo, before : right + halo])
            rows = slice(scale * (top - above), scale * (bottom - above))
            columns = slice(scale * (left - before), scale * (right - before))
            area = (..., slice(scale * top, scale * bottom), slice(scale * left, scale * right))
            result[area] = tile[..., rows, columns]
    return result


def blend_tiles(forward: Forward, lr: Tensor, size: int, scale: int, at_once: int) -> Tensor:
    """``forward(lr)`` in tiles of at most ``size``×``size`` that overlap by half, and blend them.

    A tile counts most in its middle and next to nothing at its edge (a raised cosine), where the
    network sees least around it. ``at_once`` tiles go through ``forward`` as one batch.
    """
    count, channels, height, width = lr.shape
    rows, columns = _starts(height, size), _starts(width, size)
    places = [(top, left) for top in rows for left in columns]
    tall, wide = min(size, height), min(size, width)
    tiles = torch.cat([lr[..., top : top + tall, left : left + wide] for top, left in places])
    outputs = torch.cat([forward(part) for part in tiles.split(at_once)])
    outputs = outputs.view(len(places), count, channels, scale * tall, scale * wide)
    weight = torch.outer(*(torch.hann_window(scale * n + 2, periodic=False)[1:-1] for n in (tall, wide))).to(lr)
    total = lr.new_zeros(count, channels, scale * height, scale * width)
    weights = lr.new_zeros(scale * height, scale * width)
    for (top, left), tile in zip(places, outputs):
        area = (..., slice(scale * top, scale * (top + tall)), slice(scale * left, scale * (left + wide)))
        total[area] += weight * tile
        weights[area] += weight
    return total / weights


def _starts(length: int, size: int) -> list[int]:
    """Where tiles begin: every half tile, the last one flush with the end."""
    last = max(length - size, 0)
    return [*range(0, last, max(size // 2, 1)), last]


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Extend ``x`` at the bottom and right to sides divisible by ``multiple``, by reflection.

    Equals reflection padding wherever that is defined and goes on folding back and forth where
    it is not, so that a single row or column can be padded too.
    """
    for dim in (-2, -1):
        size = x.shape[dim]
        padded = -(-size // multiple) * multiple
        if padded != size:
            period = max(2 * (size - 1), 1)
            index = torch.arange(padded, device=x.device) % period
            index = torch.minimum(index, period - index) if size > 1 else index * 0
            x = x.index_select(dim, index)
    return x
