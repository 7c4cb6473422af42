"""Synthetic plates to learn reading from: rectified windows with their texts, and what varies them.

The plates come from the generator of the benchmark's synthetic data (its light, blur, noise, sizes, poses and
slips of the hand), but their texts do not: provinces and letters are drawn evenly, so that a reader
learns to look at each of them and not to guess the most frequent one. Learning windows carry a
margin round the plate, out of which :func:`augment` cuts a slightly different picture every time.
"""

from __future__ import annotations

import io
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from benchmark.data.ccpd import ALPHANUMERICS, PROVINCES, PlateName
from benchmark.data.pictures import cores
from benchmark.data.synthetic import generator
from benchmark.data.synthetic.camera import View
from benchmark.data.synthetic.scene import draw_photo
from benchmark.ocr.reading import HEIGHT, WIDTH, rectify

ROWS, COLUMNS = 4, 8
"""Margin of a window in pixels: above and below the plate, left and right of it."""
_GREEN, _SPECIAL, _DIGIT = 0.1, 0.04, 0.65
_CHUNK = 64


def random_text(rng: np.random.Generator) -> str:
    """A plate's characters: 7, or 8 on a green plate; provinces, letters and digits evenly among themselves."""
    letters, digits = list(ALPHANUMERICS[:24]), list(ALPHANUMERICS[24:34])
    text = str(rng.choice(list(PROVINCES[:31]))) + str(rng.choice(letters))
    if rng.random() < _GREEN:  # on real ones a letter stands third or last
        return text + str(rng.choice(letters)) + "".join(str(c) for c in rng.choice(digits + letters, 5))
    text += "".join(str(rng.choice(digits if rng.random() < _DIGIT else letters)) for _ in range(5))
    if rng.random() < _SPECIAL:  # police and driving schools have a sign at the end
        text = text[:-1] + str(rng.choice(list(PROVINCES[31:33])))
    return text


def draw_windows(
    seed: int, count: int, workers: int | None = None, report: Callable[[int], None] = lambda done: None
) -> tuple[np.ndarray, list[str]]:
    """Learning windows 0 … ``count`` − 1 of a seed: uint8 count×56×184×3 RGB, and their texts.

    Window i is a function of (seed, i) alone. ``report`` is told how many are drawn. ``workers``
    processes draw (default: one per core); with one, this process does.
    """
    windows = np.empty((count, HEIGHT + 2 * ROWS, WIDTH + 2 * COLUMNS, 3), np.uint8)
    texts: list[str] = []
    for pictures, some in spread(partial(_windows, seed), count, workers):
        windows[len(texts) : len(texts) + len(some)] = pictures
        texts += some
        report(len(texts))
    return windows, texts


def draw_held_out(seed: int, count: int, workers: int | None = None) -> tuple[np.ndarray, list[str]]:
    """Plates as the benchmark's synthetic data has them: uint8 count×48×168×3, rectified, and their texts."""
    parts = list(spread(partial(_held_out, seed), count, workers))
    return np.concatenate([pictures for pictures, _ in parts]), [text for _, some in parts for text in some]


def spread(
    draw: Callable[[range], tuple[np.ndarray, list[str]]], count: int, workers: int | None
) -> Iterator[tuple[np.ndarray, list[str]]]:
    """``draw`` of 0 … ``count`` − 1 in order, in pieces and by several processes."""
    pieces = [range(start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]
    workers = min(workers or cores(), len(pieces))
    if workers == 1:
        yield from map(draw, pieces)
        return
    # Spawned, not forked: the caller may hold threads (PyTorch's) that a fork would break.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=generator._leave_interrupts_to_the_caller)
    try:
        yield from pool.map(draw, pieces)
    finally:
        pool.shutdown(cancel_futures=True)


def draw_learning_photo(seed: int, index: int, rng: np.random.Generator) -> tuple[np.ndarray, str, View, PlateName]:
    """A photograph of a plate with a text of :func:`random_text`, uint8 H×W×3; the text, its view and its annotation
    (whose text is another)."""
    text = random_text(rng)
    view, name = generator.plate_pose(seed, index)
    return _compress(draw_photo(text, view, rng), int(rng.integers(60, 96))), text, view, name


def _windows(seed: int, indices: range) -> tuple[np.ndarray, list[str]]:
    pictures, texts = [], []
    for index in indices:
        photo, text, _, name = draw_learning_photo(seed, index, np.random.default_rng([seed, index, 3]))
        pictures.append(_window(photo, np.array(name.vertices, np.float32)))
        texts.append(text)
    return np.stack(pictures), texts


def _window(photo: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """The plate with the given corners and a margin: as ``rectify`` makes it, but 56×184."""
    import cv2  # not above: `doctor`, which says where OpenCV cannot be loaded, imports this module

    left, top, right, bottom = COLUMNS, ROWS, COLUMNS + WIDTH, ROWS + HEIGHT
    target = np.array([[right, bottom], [left, bottom], [left, top], [right, top]], np.float32)
    transform = cv2.getPerspectiveTransform(vertices - 0.5, target - 0.5)
    size = (WIDTH + 2 * COLUMNS, HEIGHT + 2 * ROWS)
    return cv2.warpPerspective(photo, transform, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def _held_out(seed: int, indices: range) -> tuple[np.ndarray, list[str]]:
    pictures, texts = [], []
    for index in indices:
        view, name = generator.plate_pose(seed, index)
        photo = _compress(draw_photo(name.text, view, np.random.default_rng([seed, index, 2])), 95)
        pictures.append(rectify(photo, np.array(name.vertices)))
        texts.append(name.text)
    return np.stack(pictures), texts


def _compress(photo: Image.Image, quality: int) -> np.ndarray:
    stream = io.BytesIO()
    photo.save(stream, "JPEG", quality=quality, subsampling="4:2:0")
    return np.asarray(Image.open(stream).convert("RGB"))


# -- what varies a window every time it is seen -------------------------------------------------------


def augment(windows: Tensor, generator: torch.Generator) -> Tensor:
    """Windows (uint8 N×56×184×3) as a camera might have seen them another time: N×3×48×168 in [0, 1].

    One after another: place, slant and a soft warp; thickness of strokes; focus; colours and
    light; something in front of a character; noise. ``generator`` is on the device of the windows.
    """
    draw = Draw(len(windows), windows.device, generator)
    return vary_look(_moved(windows.permute(0, 3, 1, 2).float() / 255.0, draw), draw)


def vary_look(picture: Tensor, draw: Draw) -> Tensor:
    """What :func:`augment` changes after place and shape: N×3×H×W in [0, 1] → the same."""
    size = picture.shape[2:]
    # Paint, wear and overflowing light make strokes thicker or thinner, and not everywhere alike.
    thick, thin = _around(picture, torch.maximum), _around(picture, torch.minimum)
    weight = (draw.normal(1, 1, 1, scale=0.3) + _smooth(draw.normal(1, 1, 8, scale=0.3), size)).clamp(-0.7, 0.9)
    picture = picture + weight.clamp(min=0) * (thick - picture) - weight.clamp(max=0) * (thin - picture)
    # Focus: some are sharpened, most softened, half of them once more.
    for low, least in ((-0.5, -0.5), (-1.0, 0.0)):
        soft = _around(picture, torch.add) / 9
        picture = picture + draw.uniform(1, 1, 1, low=low, high=1.0).clamp(min=least) * (soft - picture)
    grey = picture.mean(1, keepdim=True)
    picture = grey + draw.uniform(1, 1, 1, low=0.3, high=1.2) * (picture - grey)
    picture = picture * (1 + draw.normal(3, 1, 1, scale=0.1)) + draw.normal(3, 1, 1, scale=0.04)
    light = 1 + draw.normal(1, 1, 1, scale=0.15) + _smooth(draw.normal(1, 2, 4, scale=0.2), size)
    picture = (picture * light).clamp(0, 1)
    picture = picture + draw.uniform(1, 1, 1, low=-0.6, high=0.6) * picture * (1 - picture)  # like a gamma
    picture = _covered(picture, draw)
    noise = draw.normal(3, *size, scale=1.0) * draw.normal(1, 1, 1, scale=0.03)
    return (picture + noise).clamp(0, 1)


def centre(windows: Tensor) -> Tensor:
    """Windows (uint8 N×56×184×3) without their margins: N×3×48×168 in [0, 1]."""
    return windows[:, ROWS:-ROWS, COLUMNS:-COLUMNS].permute(0, 3, 1, 2).float() / 255.0


class Draw:
    """Random numbers for N pictures."""

    def __init__(self, count: int, device: torch.device, generator: torch.Generator) -> None:
        self.count, self.device, self.generator = count, device, generator

    def normal(self, *shape: int, scale: float) -> Tensor:
        return scale * torch.randn(self.count, *shape, device=self.device, generator=self.generator)

    def uniform(self, *shape: int, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(self.count, *shape, device=self.device, generator=self.generator)


def _moved(picture: Tensor, draw: Draw) -> Tensor:
    """The middle of the windows, shifted, scaled, slanted and softly warped by a pixel or two."""
    x = (torch.arange(WIDTH, device=draw.device) + 0.5 - WIDTH / 2).view(1, 1, WIDTH)
    y = (torch.arange(HEIGHT, device=draw.device) + 0.5 - HEIGHT / 2).view(1, HEIGHT, 1)
    # Real characters are of another hand than the drawn ones: the finer warp is a third of a character wide.
    warp = _smooth(draw.normal(2, 3, 8, scale=0.7), (HEIGHT, WIDTH))
    warp = warp + _smooth(draw.normal(2, 6, 21, scale=0.5), (HEIGHT, WIDTH))
    across = x * (1 + draw.normal(1, 1, scale=0.02)) + y * draw.normal(1, 1, scale=0.04)
    down = y * (1 + draw.normal(1, 1, scale=0.04)) + x * draw.normal(1, 1, scale=0.008)
    across = across + draw.normal(1, 1, scale=1.5) + warp[:, 0]
    down = down + draw.normal(1, 1, scale=1.2) + warp[:, 1]
    rows, columns = picture.shape[2:]
    grid = torch.stack([across * 2 / columns, down * 2 / rows], dim=-1)
    return F.grid_sample(picture, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _smooth(values: Tensor, size: Sequence[int]) -> Tensor:
    """A coarse grid of values as a field over a picture of ``size``."""
    return F.interpolate(values, tuple(size), mode="bilinear", align_corners=False)


def _around(picture: Tensor, combine: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """``combine`` of the 3×3 pixels around every pixel; the edge is continued."""
    p = F.pad(picture, (1, 1, 1, 1), mode="replicate")
    p = combine(combine(p[..., :-2], p[..., 1:-1]), p[..., 2:])
    return combine(combine(p[..., :-2, :], p[..., 1:-1, :]), p[..., 2:, :])


def _covered(picture: Tensor, draw: Draw) -> Tensor:
    """A quarter of the pictures with a small patch of one colour half hiding what is under it."""
    height, width = picture.shape[2:]
    x = torch.arange(width, device=draw.device).view(1, 1, 1, width)
    y = torch.arange(height, device=draw.device).view(1, 1, height, 1)
    left, top = draw.uniform(1, 1, 1, low=0, high=width), draw.uniform(1, 1, 1, low=0, high=height)
    wide, high = draw.uniform(1, 1, 1, low=2, high=12), draw.uniform(1, 1, 1, low=2, high=12)
    inside = (x >= left) & (x < left + wide) & (y >= top) & (y < top + high)
    chosen = draw.uniform(1, 1, 1, low=0, high=1) < 0.25
    weight = (inside & chosen) * draw.uniform(1, 1, 1, low=0.2, high=0.9)
    return picture + weight * (draw.uniform(3, 1, 1, low=0, high=1) - picture)
