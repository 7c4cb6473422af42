"""Noise, blur and compression: against known strengths, values worked out by hand, and scikit-image."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage.measure import blur_effect

from benchmark.scoring import no_reference

ESTIMATORS = (no_reference.noise, no_reference.blur, no_reference.compression)
MAPS = (no_reference.noise_map, no_reference.blur_map, no_reference.compression_map)
SIZES = [(64, 160), (72, 200), (16, 16), (64, 64)]


def scene(height: int = 96, width: int = 224, seed: int = 0) -> np.ndarray:
    """Bars of many widths, their edges two pixels soft, in uneven light: H×W, about 30 to 230."""
    random = np.random.default_rng(seed)
    bars = np.repeat(random.integers(0, 2, width), random.integers(3, 12, width))[:width]
    rows = np.repeat(random.integers(0, 2, height), random.integers(5, 14, height))[:height]
    light = 300.0 * gaussian_filter(random.normal(0.0, 1.0, (height, width)), 6.0, mode="wrap")
    return 80.0 + light + gaussian_filter(110.0 * (bars[None, :] & rows[:, None]), 1.0)


def grey(plane: np.ndarray) -> np.ndarray:
    return np.repeat(np.clip(np.rint(plane), 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def noisy(plane: np.ndarray, sigma: float) -> np.ndarray:
    return grey(plane + np.random.default_rng(1).normal(0.0, sigma, plane.shape))


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def rises(values: list[float]) -> bool:
    return all(low < high for low, high in itertools.pairwise(values))


# -- known strengths --------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [2.0, 5.0, 10.0, 20.0])
def test_noise_on_a_slope_is_the_noise_that_was_added(sigma: float) -> None:
    slope = np.linspace(70, 180, 224) + np.linspace(0, 20, 96)[:, None]
    assert no_reference.noise(noisy(slope, sigma)) == pytest.approx(sigma, rel=0.03)
    assert no_reference.noise_map(noisy(slope, sigma)).mean() == pytest.approx(sigma, rel=0.03)


def test_noise_on_a_structured_picture_rises_with_the_noise_that_was_added() -> None:
    found = [no_reference.noise(noisy(gaussian_filter(scene(), 1.0), sigma)) for sigma in (0, 2, 5, 10, 20)]
    assert rises(found)
    assert found[-1] == pytest.approx(20.0, rel=0.1)


def test_the_noise_map_shows_where_the_noise_is() -> None:
    half = np.full((64, 128), 120.0)
    half[:, 64:] += np.random.default_rng(0).normal(0.0, 8.0, (64, 64))
    found = no_reference.noise_map(grey(half))
    assert found[:, :54].max() == 0.0
    assert found[:, 74:].mean() == pytest.approx(8.0, rel=0.1)


def test_blur_rises_with_the_blur_that_was_made() -> None:
    blurred = [grey(gaussian_filter(scene(), sigma)) for sigma in (0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0)]
    assert rises([no_reference.blur(image) for image in blurred])
    assert rises([float(no_reference.blur_map(image).mean()) for image in blurred])
    assert no_reference.blur(blurred[0]) < 0.55 and no_reference.blur(blurred[-1]) > 0.8


def test_the_blur_map_shows_where_the_blur_is() -> None:
    stripes = np.tile(np.repeat([60.0, 180.0], 16), 4) * np.ones((64, 1))
    stripes[:, 64:] = gaussian_filter(stripes, (0, 2.0))[:, 64:]
    found = no_reference.blur_map(grey(stripes))
    assert found[:, 74:].min() > found[:, :54].min() + 0.3  # at the edges
    assert found[:, :6] == pytest.approx(1.0)  # between them nothing is sharp


def test_compression_rises_as_the_quality_of_a_jpeg_falls() -> None:
    pictures = [jpeg(noisy(scene(), 3.0), quality) for quality in (95, 90, 70, 50, 30, 15, 5)]
    found = [no_reference.compression(image) for image in pictures]
    assert rises(found)
    assert found[0] < 1.2 and found[-1] > 3.0
    maps = [float(np.median(no_reference.compression_map(image))) for image in pictures]
    assert rises(maps) and maps[-1] > 3.0


def test_a_picture_that_was_never_compressed_has_hardly_a_grid() -> None:
    random = np.random.default_rng(3)
    for sigma in (2.0, 10.0):
        assert no_reference.compression(grey(random.normal(128, sigma, (96, 224)))) == pytest.approx(1.02, abs=0.02)
        assert no_reference.compression(grey(random.normal(128, sigma, (64, 72)))) == pytest.approx(1.05, abs=0.04)
    for seed in range(6):
        assert 1.0 <= no_reference.compression(noisy(scene(seed=seed), 3.0)) < 1.4
        assert 1.0 <= no_reference.compression(grey(gaussian_filter(scene(seed=seed), 3.0))) < 1.25


def test_the_grid_is_found_wherever_a_plate_was_cut_out() -> None:
    blocky = jpeg(noisy(scene(), 3.0), 15)
    assert no_reference.compression(blocky) > 1.6
    for top, left in ((4, 4), (1, 0), (0, 7), (3, 6)):
        cut = blocky[top:, left:]
        assert no_reference.compression(cut) == pytest.approx(no_reference.compression(blocky), rel=0.02)
        assert np.median(no_reference.compression_map(cut)) > 1.4


def test_the_compression_map_shows_where_the_grid_is() -> None:
    clean, blocky = noisy(scene(64, 128), 3.0), jpeg(noisy(scene(64, 128), 3.0), 5)
    half = np.concatenate([clean[:, :64], blocky[:, 64:]], axis=1)
    found = no_reference.compression_map(half)
    assert np.median(found[:, 74:]) > 2.0 * np.median(found[:, :54])


def test_no_estimator_takes_one_distortion_for_another() -> None:
    plain = grey(scene())
    blurred, compressed = grey(gaussian_filter(scene(), 2.0)), jpeg(plain, 10)
    assert no_reference.noise(blurred) < no_reference.noise(plain)
    assert no_reference.blur(noisy(scene(), 20.0)) < no_reference.blur(plain)
    assert no_reference.compression(blurred) < no_reference.compression(compressed) - 0.5
    assert no_reference.blur(compressed) < no_reference.blur(plain)


# -- values from elsewhere --------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("sigma", [0.0, 1.5])
def test_blur_equals_skimage(size: tuple[int, int], sigma: float) -> None:
    image = noisy(gaussian_filter(scene(*size), sigma), 2.0)
    assert no_reference.blur(image) == pytest.approx(blur_effect(image[..., 0]), abs=1e-9)


def test_noise_by_hand() -> None:
    # Every pixel of a checkerboard of 128 ± a answers the mask with 16 a (1+2+1+2+4+2+1+2+1).
    board = 128.0 + 3.0 * (-1.0) ** np.add.outer(np.arange(64), np.arange(64))
    assert no_reference.noise(grey(board)) == pytest.approx(math.sqrt(math.pi / 2) / 6 * 16 * 3, abs=1e-9)
    # One pixel of 40 above its surroundings answers with 160 in itself, 80 beside and 40 at the corners.
    dot = np.zeros((18, 18))
    dot[8, 8] = 40.0
    total = 40.0 * (4 + 4 * 2 + 4 * 1)
    assert no_reference.noise(grey(dot)) == pytest.approx(math.sqrt(math.pi / 2) / 6 * total / 16**2, abs=1e-9)


def test_compression_by_hand() -> None:
    # Columns of 100 and 110, eight wide: around each border the mean is 105 and the deviation 5.
    columns = np.tile(np.repeat([100.0, 110.0], 8), 4) * np.ones((64, 1))
    weight = math.log(1 + math.sqrt(255 - 105) / (1 + 5))
    across = math.sqrt((10 * weight) ** 2 + 1 / 6) / math.sqrt(1 / 6)
    assert no_reference.compression(grey(columns)) == pytest.approx((across + 1) / 2, abs=1e-9)
    # The same on dark ground, mean 45: the other branch, made continuous at 81.
    scale = math.log(1 + math.sqrt(255 - 81)) / math.log(1 + math.sqrt(81))
    weight = scale * math.log(1 + math.sqrt(45) / (1 + 5))
    across = math.sqrt((10 * weight) ** 2 + 1 / 6) / math.sqrt(1 / 6)
    assert no_reference.compression(grey(columns - 60)) == pytest.approx((across + 1) / 2, abs=1e-9)
    assert no_reference.compression(grey(columns.T)) == pytest.approx(no_reference.compression(grey(columns)), abs=1e-9)


def test_luma_is_measured() -> None:
    colour = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    one = colour.copy()
    one[..., 1:] = 100
    # Noise in red alone counts with red's share of luma.
    assert no_reference.noise(one) == pytest.approx(0.299 * no_reference.noise(grey(colour[..., 0])), rel=1e-9)


# -- every picture ----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0, 1, 128, 255])
def test_flat_pictures(value: int) -> None:
    image = np.full((64, 64, 3), value, np.uint8)
    assert [function(image) for function in ESTIMATORS] == [0.0, 1.0, 1.0]
    for function, expected in zip(MAPS, (0.0, 1.0, 1.0), strict=True):
        assert np.allclose(function(image), expected, atol=1e-12)


def extremes() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    blocks = np.kron(random.integers(0, 2, (8, 8)), np.ones((8, 8))) * 255.0
    lines = np.zeros((64, 64))
    lines[:, 32:] = 255.0
    return {
        "blocks": grey(blocks),
        "edge": grey(lines),
        "black and white": grey(255.0 * random.integers(0, 2, (64, 64))),
        "colours": random.integers(0, 256, (64, 64, 3), dtype=np.uint8),
        "smallest": random.integers(0, 256, (16, 16, 3), dtype=np.uint8),
        "odd sides": random.integers(0, 256, (65, 123, 3), dtype=np.uint8),
    }


@pytest.mark.parametrize("name", extremes())
def test_extreme_pictures_have_finite_values_in_range(name: str) -> None:
    image = extremes()[name]
    for function in ESTIMATORS:
        assert math.isfinite(function(image)) and type(function(image)) is float
    for function in MAPS:
        assert function(image).shape == image.shape[:2] and np.isfinite(function(image)).all()
        assert function(image).min() >= 0.0
    assert 0.0 <= no_reference.blur(image) <= 1.0
    assert no_reference.blur_map(image).max() <= 1.0 + 1e-9


@settings(max_examples=40, deadline=None)
@given(arrays(np.uint8, (24, 32, 3)))
def test_any_picture_has_finite_values(image: np.ndarray) -> None:
    assert all(math.isfinite(function(image)) for function in ESTIMATORS)
    assert all(np.isfinite(function(image)).all() for function in MAPS)


@pytest.mark.parametrize("function", [*ESTIMATORS, *MAPS], ids=lambda function: function.__name__)
def test_what_does_not_fit_is_refused_and_inputs_are_left_alone(function: Callable[[np.ndarray], object]) -> None:
    good = grey(scene())
    before = good.copy()
    good.flags.writeable = False
    function(good)
    assert np.array_equal(good, before)
    for bad in (good[..., 0], good[..., :2], good.astype(np.float32), good[:15], good[:, :8], good[:0]):
        with pytest.raises(ValueError, match=r"expected uint8|at least 16"):
            function(bad)
