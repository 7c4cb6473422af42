"""Training batches, made on the device.

The batch of iteration *i* is a function of (seed, i) and of the pack, and of nothing else: there
is no loader whose state would have to be saved, and every method sees the same patches in the
same order.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from benchmark.data.degradation import SCALE, degrade_levels
from benchmark.data.plates import Plates, plate_bytes
from benchmark.util.terminal import say as say_plainly
from methods import Batch

PATCH = 64
"""Side of an HR training patch in pixels; its LR patch is 8×8."""
DEVICE_SHARE = 0.6
"""Plates may take this share of the device memory that is free; the rest is for the training."""
TOGETHER = 1024
"""Patches that a device makes at a time, for several iterations (0.3 GB while it does). One by one, launching their
twenty operators would weigh on an iteration of the smallest network, which has thirty."""


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a CUDA device."""
    free: int = torch.cuda.mem_get_info(device)[0]
    return free


class PatchSampler:
    """Random 64×64 windows of HR plates and their 8×8 LR patches.

    A plate is drawn uniformly, then a window of it uniformly. No flips: plates have a direction.
    The plates lie on the device, where one gather makes a batch. Those that do not fit there stay
    in host memory, and every batch is copied over; ``say`` is told what that costs. The batches of ``together``
    iterations are made at a time (by default one on a CPU, some on a device); they are the same for any number.
    """

    def __init__(
        self,
        plates: Plates,
        batch_size: int,
        seed: int,
        device: torch.device,
        *,
        together: int | None = None,
        free_memory: Callable[[torch.device], int] = free_memory,
        say: Callable[[str], None] = say_plainly,
    ) -> None:
        table = plates.table
        self.batch_size = batch_size
        self.seed = seed
        self.device = device
        self._together = together or (1 if device.type == "cpu" else max(1, TOGETHER // batch_size))
        self._block = -1  # number of the block of iterations whose batches are there
        self._batches: list[Batch] = []
        self._paired = plates.paired
        start = int(table["offset"].min())
        end = int((table["offset"] + plate_bytes(table, plates.paired)).max())
        self._pixels = torch.from_numpy(plates.pixels[start:end])
        self._offset = table["offset"].to_numpy(np.int64) - start
        self._height = table["height"].to_numpy(np.int64)
        self._width = table["width"].to_numpy(np.int64)
        # Where the bytes of a window are, from the first byte of its rows: 1×3×1×64.
        channel, x = torch.arange(3, device=device), torch.arange(PATCH, device=device)
        self._inner = (channel[:, None] + 3 * x)[None, :, None, :]
        self._rows = torch.arange(PATCH, device=device)
        if device.type != "cpu":
            self._move_to_device(free_memory(device), say)

    def _move_to_device(self, free: int, say: Callable[[str], None]) -> None:
        size = len(self._pixels)
        if size <= DEVICE_SHARE * free:
            try:
                self._pixels = self._pixels.to(self.device)
                return
            except torch.OutOfMemoryError:  # free in pieces only
                pass
        self.patches(1)
        begin = time.perf_counter()
        self.patches(2)
        milliseconds = 1000.0 * (time.perf_counter() - begin)
        say(
            f"{size / 1e9:.1f} GB of training plates do not fit on {self.device} ({free / 1e9:.1f} GB free): they stay"
            f" in host memory, which costs about {milliseconds:.1f} ms per iteration (fewer: --set data.train_plates=N)"
        )

    def windows(self, iteration: int) -> np.ndarray:
        """Byte offset of each window's first pixel, and the bytes from one of its rows to the next: int64 2×N."""
        return self._windows(iteration)

    def _windows(self, iteration: int, lr: bool = False) -> np.ndarray:
        """The same, or of the windows of given LR pictures that belong to them."""
        # A counter-based generator: iteration i costs the same whether or not i − 1 was drawn.
        random = np.random.Generator(np.random.Philox(key=[self.seed, iteration])).random((3, self.batch_size))
        plate = (random[0] * len(self._offset)).astype(np.int64)
        height, width = self._height[plate], self._width[plate]
        unit = SCALE if self._paired else 1  # where pixels of both pictures meet
        y = (random[1] * ((height - PATCH) // unit + 1)).astype(np.int64)
        x = (random[2] * ((width - PATCH) // unit + 1)).astype(np.int64)
        offset = self._offset[plate]
        if lr:  # behind the pixels of the HR picture
            return np.stack([offset + (height * width + y * (width // SCALE) + x) * 3, width // SCALE * 3])
        return np.stack([offset + (unit * y * width + unit * x) * 3, width * 3])

    def batch(self, iteration: int) -> Batch:
        """The batch of this iteration (counting from 1), float32 in [0, 1]. Ask for each once: it may be changed."""
        block, place = divmod(iteration - 1, self._together)
        if self._together == 1 or block != self._block:
            first = block * self._together + 1
            hr = self.patches(first, self._together).float()
            lr = self.lr_patches(first, self._together) if self._paired else degrade_levels(hr)
            lr = lr.float()
            pairs = zip(lr.div_(255.0).split(self.batch_size), hr.div_(255.0).split(self.batch_size))
            self._batches, self._block = [Batch(*pair) for pair in pairs], block
        return self._batches[place]

    def patches(self, iteration: int, count: int = 1) -> Tensor:
        """The HR patches of this iteration, or of ``count`` from it on: uint8 N×3×64×64."""
        windows = np.concatenate([self.windows(i) for i in range(iteration, iteration + count)], axis=1)
        return self._cut(windows, PATCH)

    def lr_patches(self, iteration: int, count: int = 1) -> Tensor:
        """The LR patches of :meth:`patches`: uint8 N×3×8×8, as they were taken or made of these."""
        if not self._paired:
            return degrade_levels(self.patches(iteration, count).float()).to(torch.uint8)
        windows = np.concatenate([self._windows(i, lr=True) for i in range(iteration, iteration + count)], axis=1)
        return self._cut(windows, PATCH // SCALE)

    def _cut(self, windows: np.ndarray, side: int) -> Tensor:
        first, stride = windows
        cut = self._copied if self._pixels.device.type == "cpu" else self._gathered
        return cut(first, stride, side)

    def _copied(self, first: np.ndarray, stride: np.ndarray, side: int = PATCH) -> Tensor:
        """Windows of plates in host memory, one after another: far less work there than a gather."""
        pixels = self._pixels.numpy()
        patches = np.empty((len(first), side, side, 3), np.uint8)
        for patch, start, row in zip(patches, first.tolist(), stride.tolist()):
            patch[:] = np.ndarray(patch.shape, np.uint8, pixels, start, (row, 3, 1))
        planes = torch.from_numpy(patches).permute(0, 3, 1, 2).contiguous()
        return _sent(planes, self.device)

    def _gathered(self, first: np.ndarray, stride: np.ndarray, side: int = PATCH) -> Tensor:
        """Windows of plates on the device."""
        start, row = _sent(torch.from_numpy(np.stack([first, stride])), self.device)[:, :, None]
        index = (start + row * self._rows[:side])[:, None, :, None] + self._inner[..., :side]
        return self._pixels[index]


def _sent(host: Tensor, device: torch.device) -> Tensor:
    """``host`` on the device, without waiting until it is there."""
    return host if device.type == "cpu" else host.pin_memory().to(device, non_blocking=True)
