"""The degradation is Pillow's bicubic, bit by bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.data.degradation import degrade
from benchmark.data.pack import load_crop, scan


def both(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    height, width = pixels.shape[:2]
    ours = degrade(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
    pillow = np.asarray(Image.fromarray(pixels).resize((width // 8, height // 8), Image.Resampling.BICUBIC))
    return ours, pillow


# No shape over twice as high as wide: there Pillow 13 takes the columns first.
@pytest.mark.parametrize("size", [(64, 64), (8, 8), (8, 400), (64, 160), (152, 424), (104, 56)])
@pytest.mark.parametrize("kind", ["noise", "extremes", "flat"])
def test_bit_equal_to_pillow(size: tuple[int, int], kind: str) -> None:
    random = np.random.default_rng(7)
    shape = (*size, 3)
    pixels = {
        "noise": random.integers(0, 256, shape),
        "extremes": random.integers(0, 2, shape) * 255,  # overshoots must be clipped in both passes
        "flat": np.full(shape, 173),
    }[kind].astype(np.uint8)
    np.testing.assert_array_equal(*both(pixels))


@pytest.mark.parametrize("size", [(320, 64), (208, 72), (1024, 64), (144, 64), (64, 320)])
def test_rows_come_first_whatever_the_shape_and_the_version_of_pillow(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (*size, 3)).astype(np.uint8)
    rows = Image.fromarray(pixels).resize((size[1] // 8, size[0]), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(both(pixels)[0], np.asarray(rows.resize((size[1] // 8, size[0] // 8), 3)))


def test_bit_equal_to_pillow_on_real_plates(ccpd_root: Path) -> None:
    for source in scan(ccpd_root)[0][::140]:
        np.testing.assert_array_equal(*both(load_crop(ccpd_root, source)[0]))


def test_a_batch_is_its_members() -> None:
    batch = torch.randint(0, 256, (3, 3, 64, 72), dtype=torch.uint8)
    torch.testing.assert_close(degrade(batch), torch.cat([degrade(one[None]) for one in batch]), rtol=0, atol=0)


@pytest.mark.parametrize("bad", [torch.zeros(1, 3, 60, 64, dtype=torch.uint8), torch.zeros(1, 3, 64, 64)])
def test_other_sizes_and_types_are_refused(bad: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="multiples of 8"):
        degrade(bad)
