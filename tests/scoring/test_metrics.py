"""Metrics against other people's implementations, and against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torchmetrics.functional.image import peak_signal_noise_ratio as torch_psnr
from torchmetrics.functional.image import structural_similarity_index_measure as torch_ssim

from benchmark.scoring.metrics import METRICS, psnr, psnr_y, psnr_y_studio, ssim

STUDIO_GAIN = 20 * math.log10(255 / 219)
SIZES = [(64, 160), (72, 200), (11, 11), (11, 40), (65, 12)]


def pair(height: int, width: int, seed: int = 0, noise: float = 25.0) -> tuple[np.ndarray, np.ndarray]:
    """A picture with coarse and fine structure, and a noisy one."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (4, 5, 3), dtype=np.uint8)).resize((width, height))
    hr = np.clip(np.asarray(coarse) + random.normal(0, 12, (height, width, 3)), 0, 255).astype(np.uint8)
    sr = np.clip(hr + random.normal(0, noise, hr.shape), 0, 255).astype(np.uint8)
    return sr, hr


def flat(*rgb: int, size: int = 16) -> np.ndarray:
    return np.broadcast_to(np.array(rgb, np.uint8), (size, size, 3)).copy()


def tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1).unsqueeze(0).double()


@pytest.mark.parametrize("size", SIZES)
def test_psnr_equals_skimage_and_torchmetrics(size: tuple[int, int]) -> None:
    sr, hr = pair(*size)
    assert psnr(sr, hr) == pytest.approx(peak_signal_noise_ratio(hr, sr, data_range=255), abs=1e-9)
    assert psnr(sr, hr) == pytest.approx(torch_psnr(tensor(sr), tensor(hr), data_range=255.0).item(), abs=1e-4)


@pytest.mark.parametrize("size", SIZES)
def test_ssim_equals_skimage_and_torchmetrics(size: tuple[int, int]) -> None:
    sr, hr = pair(*size)
    theirs = structural_similarity(
        hr, sr, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
    )
    assert ssim(sr, hr) == pytest.approx(theirs, abs=1e-10)
    # torchmetrics' own mean also counts windows that hang over the border; its map is the same within.
    _, whole = torch_ssim(tensor(sr), tensor(hr), sigma=1.5, data_range=255.0, return_full_image=True)
    assert ssim(sr, hr) == pytest.approx(whole[..., 5:-5, 5:-5].mean().item(), abs=1e-9)


@pytest.mark.parametrize("size", SIZES)
def test_luma_psnr_equals_its_definitions(size: tuple[int, int]) -> None:
    sr, hr = pair(*size)
    luma = [np.asarray(Image.fromarray(image).convert("YCbCr"))[..., 0] for image in (hr, sr)]
    assert psnr_y(sr, hr) == pytest.approx(peak_signal_noise_ratio(*luma, data_range=255), abs=1e-9)
    # ITU-R BT.601 for 8 bits, as MATLAB's rgb2ycbcr documents it.
    studio = [16 + image.astype(float) @ np.array([65.481, 128.553, 24.966]) / 255 for image in (hr, sr)]
    assert psnr_y_studio(sr, hr) == pytest.approx(peak_signal_noise_ratio(*studio, data_range=255), abs=1e-9)


def test_golden_values() -> None:
    # A difference of 10 everywhere: 10·log10(255² / 10²).
    assert psnr(flat(110, 60, 210), flat(100, 50, 200)) == pytest.approx(28.1308036, abs=1e-6)
    assert psnr(flat(0, 0, 0), flat(255, 255, 255)) == 0.0
    # Only one of three channels differs, by 10: three times the ratio.
    assert psnr(flat(10, 0, 0), flat(0, 0, 0)) == pytest.approx(28.1308036 + 4.7712125, abs=1e-6)
    # Blue by 100: 11.4 of luma, which Pillow rounds to 11.
    assert psnr_y(flat(0, 0, 100), flat(0, 0, 0)) == pytest.approx(10 * math.log10(255**2 / 11**2), abs=1e-9)
    studio = 10 * math.log10(255**2 / (11.4 * 219 / 255) ** 2)
    assert psnr_y_studio(flat(0, 0, 100), flat(0, 0, 0)) == pytest.approx(studio, abs=1e-9)
    # Two grey areas have no structure; what remains is (2·100·110 + C1) / (100² + 110² + C1), C1 = 2.55².
    grey = ssim(flat(100, 100, 100), flat(110, 110, 110))
    assert grey == pytest.approx(22006.5025 / 22106.5025, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(5.0, 80.0))
def test_studio_range_gains_exactly_1_32_dB(seed: int, noise: float) -> None:  # noqa: N802
    assert pytest.approx(1.3219, abs=1e-4) == STUDIO_GAIN
    sr, hr = pair(16, 24, seed, noise)
    weights = np.array([0.299, 0.587, 0.114])
    full_range = peak_signal_noise_ratio(hr @ weights, sr @ weights, data_range=255)
    assert psnr_y_studio(sr, hr) - full_range == pytest.approx(STUDIO_GAIN, abs=1e-9)


def test_rounded_luma_is_within_hundredths_at_the_quality_of_plates() -> None:
    for seed in range(10):
        sr, hr = pair(64, 160, seed, noise=30.0)
        assert psnr_y_studio(sr, hr) - psnr_y(sr, hr) == pytest.approx(STUDIO_GAIN, abs=0.01)


def test_identical_pictures() -> None:
    _, hr = pair(64, 64)
    assert psnr(hr, hr) == psnr_y(hr, hr) == psnr_y_studio(hr, hr) == math.inf
    assert ssim(hr, hr) == pytest.approx(1.0, abs=1e-12)


def test_nothing_is_cut_off_at_the_border() -> None:
    hr = flat(100, 100, 100)
    sr = hr.copy()
    sr[0] += 16  # one of 16 rows: the mean square is that of a difference of 4 everywhere
    assert psnr(sr, hr) == pytest.approx(psnr(flat(104, 104, 104), hr), abs=1e-12)


def test_inputs_are_left_alone() -> None:
    sr, hr = pair(64, 64)
    before = sr.copy(), hr.copy()
    sr.flags.writeable = hr.flags.writeable = False
    for metric in METRICS.values():
        if metric.function is not None:
            metric.function(sr, hr)
    assert np.array_equal(sr, before[0]) and np.array_equal(hr, before[1])


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.function])
def test_what_does_not_fit_is_refused(name: str) -> None:
    function = METRICS[name].function
    assert function is not None
    good = flat(1, 2, 3)
    for bad in (good[:, :, 0], good[:8], good.astype(np.float32), good[:, :, :2], good[:0]):
        with pytest.raises(ValueError, match=r"expected uint8|different sizes"):
            function(good, bad)


def test_ssim_refuses_pictures_smaller_than_its_window() -> None:
    with pytest.raises(ValueError, match="at least 11"):
        ssim(flat(1, 2, 3, size=10), flat(1, 2, 3, size=10))


def test_every_metric_knows_its_direction_and_how_it_is_printed() -> None:
    for name, metric in METRICS.items():
        assert metric.name == name and metric.label
        assert metric.decimals >= 1
        assert metric.higher_is_better == (metric.name not in ("noise", "blur", "compression", "lpips"))
    assert METRICS["plate_correct"].factor == 100.0 and METRICS["plate_correct"].unit == "%"
    assert METRICS["psnr"].unit == "dB" and METRICS["psnr"].statistic == "median"
