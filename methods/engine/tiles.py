"""Pictures enlarged piece by piece, where a network is good for small ones only or memory is."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Enlarge = Callable[[Tensor], Tensor]
"""N×C×h×w → N×C×sh×sw, for one whole s."""


def enlarge_in_pieces(enlarge: Enlarge, lr: Tensor, side: int, context: int, scale: int) -> Tensor:
    """``enlarge(lr)`` for a picture of any size, in pieces of at most ``side``×``side`` LR pixels, one after another.

    A piece is handed over with ``context`` pixels around it (at the picture's edge with those that there are),
    whose enlargement is cut off. Where no output depends on inputs farther away than that, the result is that of
    one pass, to rounding. Pieces begin at multiples of 8 if ``side`` and ``context`` are such.
    """
    count, channels, height, width = lr.shape
    core = side - 2 * context
    result = lr.new_empty(count, channels, scale * height, scale * width)
    for top in range(0, height, core):
        for left in range(0, width, core):
            bottom, right = min(top + core, height), min(left + core, width)
            above, before = max(top - context, 0), max(left - context, 0)
            piece = enlarge(lr[..., above : bottom + context, before : right + context])
            rows = slice(scale * (top - above), scale * (bottom - above))
            columns = slice(scale * (left - before), scale * (right - before))
            area = (..., slice(scale * top, scale * bottom), slice(scale * left, scale * right))
            result[area] = piece[..., rows, columns]
    return result


def blend_tiles(enlarge: Enlarge, lr: Tensor, size: int, scale: int, at_once: int) -> Tensor:
    """Enlarge ``lr`` in tiles of at most ``size``×``size`` that overlap by half, and blend them.

    A tile counts most in its middle and next to nothing at its edge (a raised cosine), where the
    network sees least around it. ``at_once`` tiles go through ``enlarge`` as one batch.
    """
    count, channels, height, width = lr.shape
    rows, columns = _starts(height, size), _starts(width, size)
    places = [(top, left) for top in rows for left in columns]
    tall, wide = min(size, height), min(size, width)
    tiles = torch.cat([lr[..., top : top + tall, left : left + wide] for top, left in places])
    enlarged = torch.cat([enlarge(part) for part in tiles.split(at_once)])
    enlarged = enlarged.view(len(places), count, channels, scale * tall, scale * wide)
    weight = torch.outer(*(torch.hann_window(scale * n + 2, periodic=False)[1:-1] for n in (tall, wide))).to(lr)
    total = lr.new_zeros(count, channels, scale * height, scale * width)
    weights = lr.new_zeros(scale * height, scale * width)
    for (top, left), tile in zip(places, enlarged):
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
