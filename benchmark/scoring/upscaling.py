"""From a method and HR plates to upscaled plates, and to the PSNR that chooses its weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from benchmark.data.degradation import SCALE, degrade
from benchmark.data.plates import Plate
from methods.engine.tiles import blend_tiles

PATCH = 8
"""Side in LR pixels of the patches that plates can be cut into: what all methods are trained on."""
MAX_PIXELS = {"cpu": 2**16, "cuda": 2**22}
"""HR pixels in one batch, by kind of device (6 and 400 plates of 160×64): bounds memory."""

Upscale = Callable[[Tensor], Tensor]
"""N×3×h×w → N×3×8h×8w, RGB in [0, 1]: the ``upscale`` of a method."""


class PlateSequence(Protocol):
    """Plates by number: :class:`benchmark.data.pack.Plates`, or a list."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Plate: ...


@dataclass(frozen=True)
class PlateBatch:
    """Plates of one size: their numbers, and uint8 ``lr`` N×3×h×w and ``hr`` N×3×8h×8w."""

    indices: list[int]
    lr: Tensor
    hr: Tensor


class PlateBatches:
    """LR and HR of a set of plates on a device, batched by size; made once, upscaled many times.

    ``patches``: plates are upscaled patch by patch, as :func:`in_patches` does.
    """

    def __init__(self, plates: PlateSequence, device: torch.device | str, patches: bool = False) -> None:
        self.device = torch.device(device)
        self.patches = patches
        self.count = len(plates)
        by_size: dict[tuple[int, ...], list[int]] = {}
        for index in range(self.count):
            by_size.setdefault(plates[index].hr.shape[:2], []).append(index)
        limit = MAX_PIXELS.get(self.device.type, MAX_PIXELS["cpu"])
        self.batches = [
            self._batch(plates, indices[start : start + size])
            for (height, width), indices in by_size.items()
            for size in [max(1, limit // (height * width))]
            for start in range(0, len(indices), size)
        ]

    def _batch(self, plates: PlateSequence, indices: list[int]) -> PlateBatch:
        pixels = np.stack([plates[index].hr for index in indices])
        hr = torch.from_numpy(pixels).to(self.device).permute(0, 3, 1, 2).contiguous()
        given = [plates[index].lr for index in indices]
        pictures = [lr for lr in given if lr is not None]
        if not pictures:
            return PlateBatch(indices, degrade(hr), hr)
        lr = torch.from_numpy(np.stack(pictures)).to(self.device).permute(0, 3, 1, 2).contiguous()
        return PlateBatch(indices, lr, hr)

    def upscaled(self, upscale: Upscale) -> Iterator[tuple[PlateBatch, Tensor]]:
        """Every batch with its upscaled plates, uint8 N×3×8h×8w.

        Raises RuntimeError if ``upscale`` breaks its contract: wrong shape, or (after the last batch, so as to wait
        for the device once) values that are not finite.
        """
        rounded = _upscaled(in_patches(upscale) if self.patches else upscale, (batch.lr for batch in self.batches))
        for sr, batch in zip(rounded, self.batches):  # in this order: the check behind the last batch must run
            yield batch, sr


def _upscaled(upscale: Upscale, batches: Iterable[Tensor]) -> Iterator[Tensor]:
    """Every batch, uint8 N×3×h×w, upscaled: uint8 N×3×8h×8w. Raises as :meth:`PlateBatches.upscaled` does."""
    finite: list[Tensor] = []
    for lr in batches:
        with torch.inference_mode():
            sr = upscale(lr.float().div_(255.0))
            count, channels, height, width = lr.shape
            if sr.shape != (count, channels, SCALE * height, SCALE * width):
                raise RuntimeError(f"upscale made {tuple(sr.shape)} of {tuple(lr.shape)}: it must enlarge ×{SCALE}")
            finite.append(torch.isfinite(sr).all())
            rounded = sr.float().mul(255.0).round_().clamp_(0.0, 255.0).to(torch.uint8)
        yield rounded
    if finite and not torch.stack(finite).all():
        raise RuntimeError("upscale returned values that are not finite")


def upscale_pictures(
    upscale: Upscale, pictures: Sequence[np.ndarray], device: torch.device | str, patches: bool = False
) -> list[np.ndarray]:
    """Upscale LR pictures, uint8 h×w×3 of any sizes: uint8 8h×8w×3, in their order. Raises as above."""
    order = sorted(range(len(pictures)), key=lambda i: pictures[i].shape)  # sizes together, and each batch of one size
    limit = MAX_PIXELS.get(torch.device(device).type, MAX_PIXELS["cpu"])
    groups: list[list[int]] = []
    for i in order:
        height, width = pictures[i].shape[:2]
        most = max(1, limit // (height * width * SCALE**2))
        if groups and pictures[groups[-1][0]].shape == pictures[i].shape and len(groups[-1]) < most:
            groups[-1].append(i)
        else:
            groups.append([i])
    stacks = (np.stack([pictures[i] for i in group]) for group in groups)
    batches = (torch.from_numpy(stack).to(device).permute(0, 3, 1, 2).contiguous() for stack in stacks)
    images: list[np.ndarray] = [np.empty(0, np.uint8)] * len(pictures)
    for sr, group in zip(_upscaled(in_patches(upscale) if patches else upscale, batches), groups):
        for i, image in zip(group, sr.permute(0, 2, 3, 1).contiguous().cpu().numpy()):
            images[i] = image
    return images


def in_patches(upscale: Upscale) -> Upscale:
    """``upscale`` in windows of 8×8 LR pixels that overlap by half and are blended where they do.

    The paper (Sec. 3.1) upscales overlapping patches of 64×64 HR pixels and puts them together. How far they overlap
    and how they are aggregated is not stated; half, and a raised cosine, are ours.
    """

    def upscaled(lr: Tensor) -> Tensor:
        at_once = MAX_PIXELS.get(lr.device.type, MAX_PIXELS["cpu"]) // (PATCH * SCALE) ** 2
        return blend_tiles(upscale, lr, PATCH, SCALE, at_once)

    return upscaled


def lr_of(plate: Plate) -> np.ndarray:
    """The LR picture of a plate, uint8 h×w×3: the one taken with it, or made of it."""
    return low_resolution(plate.hr) if plate.lr is None else plate.lr


def low_resolution(hr: np.ndarray) -> np.ndarray:
    """The LR picture made of one HR plate: uint8 H×W×3 → uint8 H/8×W/8×3."""
    planes = torch.tensor(hr).permute(2, 0, 1).unsqueeze(0)
    return degrade(planes)[0].permute(1, 2, 0).contiguous().numpy()


def upscale_plates(
    upscale: Upscale, plates: PlateSequence | PlateBatches, device: torch.device | str = "cpu"
) -> list[np.ndarray]:
    """Degrade and upscale every plate: uint8 H×W×3 arrays of the plates' own sizes, in their order.

    Upscaled values are rounded to the nearest of 256 levels. ``device`` counts for plates only;
    batches are on theirs. Raises RuntimeError where ``upscale`` breaks its contract.
    """
    batches = plates if isinstance(plates, PlateBatches) else PlateBatches(plates, device)
    images: list[np.ndarray] = [np.empty(0, np.uint8)] * batches.count
    for batch, sr in batches.upscaled(upscale):
        for index, image in zip(batch.indices, sr.permute(0, 2, 3, 1).contiguous().cpu().numpy()):
            images[index] = image
    return images


def validate(upscale: Upscale, plates: PlateSequence | PlateBatches, device: torch.device | str = "cpu") -> float:
    """Mean over the plates of the RGB PSNR in dB, of uint8 pictures as in the scores.

    The mean, not the median: it moves when any plate does, so that the choice of the best weights
    is less of a lottery. Infinite if a plate is reproduced exactly. Hand over
    :class:`PlateBatches` where this is called more than once. Raises ValueError without plates,
    RuntimeError where ``upscale`` breaks its contract.
    """
    batches = plates if isinstance(plates, PlateBatches) else PlateBatches(plates, device)
    if not batches.count:
        raise ValueError("no plates to validate on")
    errors = [
        (sr.float() - batch.hr.float()).square_().mean(dim=(1, 2, 3), dtype=torch.float64)
        for batch, sr in batches.upscaled(upscale)
    ]
    mean_squares = torch.cat(errors).cpu()
    return float((10.0 * torch.log10(255.0**2 / mean_squares)).mean())
