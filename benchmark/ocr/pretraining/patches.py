"""Patches of synthetic plates and what stands at each place of them, for the reader in the loss ``reader_posteriors``.

A patch is 64×64 pixels of a plate as the camera saw it, not rectified: what methods are trained on. A place is 16×16 of
them. Its class is what lies under its middle: a character, the plate between characters, or what is not the plate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.data.synthetic.camera import View
from benchmark.data.synthetic.plate_face import CELL, HEIGHT, cells, width_of
from benchmark.ocr.pretraining.dataset import Draw, draw_learning_photo, spread, vary_look
from benchmark.ocr.reading import ALPHABET
from methods.blocks.pretrained import PatchReader

BACKGROUND, BETWEEN, FIRST_CHARACTER = 0, 1, 2
CLASSES = FIRST_CHARACTER + len(ALPHABET)
SIDE, PATCH, PLACE = 96, 64, 16
"""Pixels of a stored window, of the patch cut out of it, and of a place."""
PER_PLATE = 4
"""Windows cut out of a photograph: drawing it takes longer than learning from it."""


def draw_patches(
    seed: int, count: int, workers: int | None = None, report: Callable[[int], None] = lambda done: None
) -> tuple[np.ndarray, list[str]]:
    """Windows of plates 0 … ``count`` − 1 of a seed, four of each: uint8 4·count×96×96×4, and the plates' texts.

    The fourth channel is the class at each pixel. Window i is a function of (seed, i) alone.
    """
    windows = np.empty((PER_PLATE * count, SIDE, SIDE, 4), np.uint8)
    texts: list[str] = []
    for pictures, some in spread(partial(_windows, seed), count, workers):
        windows[len(texts) : len(texts) + len(some)] = pictures
        texts += some
        report(len(texts) // PER_PLATE)
    return windows, texts


def _windows(seed: int, indices: range) -> tuple[np.ndarray, list[str]]:
    windows, texts = [], []
    for index in indices:
        rng = np.random.default_rng([seed, index, 4])
        photo, text, view, name = draw_learning_photo(seed, index, rng)
        photo = np.dstack([photo, class_map(text, view)])
        left, top, right, bottom = name.bbox
        for _ in range(PER_PLATE):  # the middle keeps off the edges of the box, as that of a training patch does
            x = int(left + 24 + (right - left - 48) * rng.random()) - SIDE // 2 + np.arange(SIDE)
            y = int(top + 24 + (bottom - top - 48) * rng.random()) - SIDE // 2 + np.arange(SIDE)
            windows.append(photo[y.clip(0, len(photo) - 1)[:, None], x.clip(0, photo.shape[1] - 1)])
            texts.append(text)
    return np.stack(windows), texts


def class_map(text: str, view: View) -> np.ndarray:
    """The class at each pixel of a photograph, uint8 H×W."""
    y, x = np.mgrid[0 : view.height, 0 : view.width] + 0.5
    across, down, scale = np.tensordot(view.to_plate(), np.stack([x, y, np.ones_like(x)]), 1)
    across, down = across / scale * width_of(text), down / scale * HEIGHT  # millimetres
    on_plate = (across >= 0) & (across < width_of(text)) & (down >= 0) & (down < HEIGHT)
    classes = np.where(on_plate, BETWEEN, BACKGROUND).astype(np.uint8)
    in_line = np.abs(down - HEIGHT / 2) < CELL[1] / 2
    for character, (left, width) in zip(text, cells(text)):
        classes[in_line & (across >= left) & (across < left + width)] = FIRST_CHARACTER + ALPHABET.index(character)
    return classes


def vary(windows: Tensor, generator: torch.Generator) -> Tensor:
    """Windows (uint8 N×96×96×4) as patches, never twice alike: N×4×64×64, RGB in [0, 1] and the class at each pixel.

    Place, size and slant; what :func:`vary_look` does; half of them less sharp, as SR is.
    """
    draw = Draw(len(windows), windows.device, generator)
    x = (torch.arange(PATCH, device=draw.device) + 0.5 - PATCH / 2).view(1, 1, PATCH)
    y = x.view(1, PATCH, 1)
    size = draw.uniform(1, 1, low=-0.25, high=0.25).exp()
    across = size * (x + y * draw.normal(1, 1, scale=0.05)) + draw.uniform(1, 1, low=-8, high=8)
    down = size * (y + x * draw.normal(1, 1, scale=0.05)) + draw.uniform(1, 1, low=-8, high=8)
    grid = torch.stack([across, down], dim=-1) * (2 / SIDE)
    pictures = windows.permute(0, 3, 1, 2).float()
    rgb = F.grid_sample(pictures[:, :3] / 255.0, grid, padding_mode="border", align_corners=False)
    classes = F.grid_sample(pictures[:, 3:], grid, mode="nearest", padding_mode="border", align_corners=False)
    rgb = vary_look(rgb, draw)
    soft = F.interpolate(F.avg_pool2d(rgb, 4), PATCH, mode="bilinear", align_corners=False)
    rgb = rgb + draw.uniform(1, 1, 1, low=-1.0, high=1.0).clamp(min=0.0) * (soft - rgb)
    return torch.cat([rgb, classes], dim=1)


class PatchReading(nn.Module):
    """The reader of patches as it learns. ``reader`` is what is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.reader = PatchReader(CLASSES)

    def forward(self, rgb: Tensor) -> Tensor:
        """N×3×64×64 → logits of the places in one row, 16·N×classes."""
        logits: Tensor = self.reader(rgb)
        return logits.permute(0, 2, 3, 1).flatten(0, 2)

    def loss(self, pictures: Tensor, texts: Sequence[str]) -> Tensor:
        """Cross entropy, the mean over places. The classes are in the fourth channel, so ``texts`` are not needed."""
        return F.cross_entropy(self(pictures[:, :3]), targets(pictures))


def targets(pictures: Tensor) -> Tensor:
    """The class under the middle of each place of N×4×64×64 patches, in one row."""
    return pictures[:, 3, PLACE // 2 :: PLACE, PLACE // 2 :: PLACE].flatten().long()


@torch.inference_mode()
def accuracy(network: nn.Module, windows: np.ndarray, device: torch.device) -> dict[str, float]:
    """Share of places told right in the middles of uint8 N×96×96×4 windows: of all, and of the kinds of place."""
    margin = (SIDE - PATCH) // 2
    right, classes = [], []
    for start in range(0, len(windows), 64):
        pictures = torch.from_numpy(windows[start : start + 64, margin:-margin, margin:-margin]).to(device)
        pictures = pictures.permute(0, 3, 1, 2).float()
        classes.append(targets(pictures).cpu())
        right.append((network(pictures[:, :3] / 255.0).argmax(dim=1).cpu() == classes[-1]).double())
    told, truth = torch.cat(right), torch.cat(classes)
    kinds = {
        "all": truth >= 0,
        "characters": truth >= FIRST_CHARACTER,
        "between": truth == BETWEEN,
        "background": truth == BACKGROUND,
    }
    return {name: float(told[kind].mean()) for name, kind in kinds.items()}
