"""Training batches, made on the device.

The batch of iteration *i* is a function of (seed, i) and of the pack, and of nothing else: there
is no loader whose state would have to be saved, and every method sees the same patches in the
same order.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from benchmark.data.pack import Plates
from benchmark.degradation import degrade
from methods import Batch

PATCH = 64
"""Side of an HR training patch in pixels; its LR patch is 8×8."""


class PatchSampler:
    """Random 64×64 windows of HR plates and their 8×8 LR patches.

    A plate is drawn uniformly, then a window of it uniformly. No flips: plates have a direction.
    """

    def __init__(self, plates: Plates, batch_size: int, seed: int, device: torch.device) -> None:
        table = plates.table
        self.batch_size = batch_size
        self.seed = seed
        self.device = device
        start = int(table["offset"].min())
        sizes = table["height"] * table["width"] * 3
        end = int((table["offset"] + sizes).max())
        self._pixels = torch.from_numpy(plates.pixels[start:end]).to(device)
        self._offset = table["offset"].to_numpy(np.int64) - start
        self._height = table["height"].to_numpy(np.int64)
        self._width = table["width"].to_numpy(np.int64)
        rows = torch.arange(PATCH, device=device)
        self._rows = rows[None, :, None]
        self._bytes = torch.arange(PATCH * 3, device=device)[None, None, :]

    def windows(self, iteration: int) -> tuple[np.ndarray, np.ndarray]:
        """Byte offset of each window's first pixel, and the bytes from one of its rows to the next."""
        # A counter-based generator: iteration i costs the same whether or not i − 1 was drawn.
        random = np.random.Generator(np.random.Philox(key=[self.seed, iteration])).random((3, self.batch_size))
        plate = (random[0] * len(self._offset)).astype(np.int64)
        height, width = self._height[plate], self._width[plate]
        y = (random[1] * (height - PATCH + 1)).astype(np.int64)
        x = (random[2] * (width - PATCH + 1)).astype(np.int64)
        return self._offset[plate] + (y * width + x) * 3, width * 3

    def batch(self, iteration: int) -> Batch:
        """The batch of this iteration (counting from 1), float32 in [0, 1]."""
        hr = self.patches(iteration)
        return Batch(lr=degrade(hr).float() / 255.0, hr=hr.float() / 255.0)

    def patches(self, iteration: int) -> Tensor:
        """The HR patches of this iteration: uint8 N×3×64×64."""
        first, stride = (torch.from_numpy(a).to(self.device) for a in self.windows(iteration))
        index = first[:, None, None] + self._rows * stride[:, None, None] + self._bytes
        patches = self._pixels[index].view(-1, PATCH, PATCH, 3)
        return patches.permute(0, 3, 1, 2).contiguous()
