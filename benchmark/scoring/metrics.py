"""How close an upscaled plate is to the original, and what every score of a plate is called.

All pictures are uint8 H×W×3 RGB. Nothing is cut off at the border before comparing. Scores that
need no original (noise, blur, compression) are in :mod:`benchmark.scoring.no_reference`.

PSNR of two identical pictures is infinite and is returned as ``math.inf``. Summaries are stored as
JSON, which has no infinity: there it is null beside a count above 0, and tables print "∞".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from benchmark.scoring import no_reference

_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
_SIGMA, _RADIUS = 1.5, 5
_STRIP = 8  # products so small that BLAS does not share one out to threads, which our own would wait for
_C1, _C2 = (0.01 * 255.0) ** 2, (0.03 * 255.0) ** 2


def _band() -> np.ndarray:
    """Matrix 8×18 that takes 18 neighbours to the Gaussian means of the 8 in the middle."""
    kernel = np.exp(-0.5 * (np.arange(-_RADIUS, _RADIUS + 1) / _SIGMA) ** 2)
    band = np.zeros((_STRIP, _STRIP + 2 * _RADIUS))
    for row in range(_STRIP):
        band[row, row : row + len(kernel)] = kernel / kernel.sum()
    return band


_BAND = _band()


def psnr(sr: np.ndarray, hr: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB over all pixels and channels, peak 255.

    Raises ValueError unless both are uint8 H×W×3 of one size, as all metrics here do.
    """
    _check(sr, hr)
    difference = sr.astype(np.int32) - hr
    return _decibel(float(np.mean(np.square(difference))))


def psnr_y(sr: np.ndarray, hr: np.ndarray) -> float:
    """PSNR in dB of the full-range BT.601 luma as Pillow's ``convert("YCbCr")`` gives it.

    That luma is JPEG's: 0–255, rounded to whole numbers. It is what the published evaluation code
    of the PECL paper compares, and what stands beside the paper's PSNR_Y column.
    """
    _check(sr, hr)
    difference = _pillow_luma(sr).astype(np.int32) - _pillow_luma(hr)
    return _decibel(float(np.mean(np.square(difference))))


def psnr_y_studio(sr: np.ndarray, hr: np.ndarray) -> float:
    """PSNR in dB of the studio-range (16–235) BT.601 luma, not rounded, peak 255.

    What BasicSR and MATLAB's ``rgb2ycbcr`` give. Differences of this luma are 219/255 of
    full-range ones, so it is exactly 1.32 dB (20 log10(255/219)) above the PSNR of the unrounded
    full-range luma; Pillow's rounding in :func:`psnr_y` changes that by some thousandths of a dB.
    """
    _check(sr, hr)
    difference = (sr.astype(np.float64) - hr) @ _LUMA * (219.0 / 255.0)
    return _decibel(float(np.mean(np.square(difference))))


def ssim(sr: np.ndarray, hr: np.ndarray) -> float:
    """Structural similarity (Wang et al., IEEE TIP 13(4), 2004), mean of the RGB channels, −1 to 1.

    Gaussian window 11×11 with σ = 1.5, K1 = 0.01, K2 = 0.03, range 255, population covariance.
    As in the original, windows lie wholly inside the picture: the mean is over (H−10)×(W−10)
    positions. Equal to scikit-image's ``structural_similarity`` with these settings, and to BasicSR.
    (torchmetrics also counts windows that hang over a mirrored border; on plates that is up to 0.01
    less.) Raises ValueError also for sides under 11.
    """
    _check(sr, hr)
    if min(sr.shape[:2]) < 2 * _RADIUS + 1:
        raise ValueError(f"SSIM needs sides of at least 11 pixels, got {sr.shape[1]}×{sr.shape[0]}")
    # Only the sum of the two variances enters, so four filtered pictures do where five are usual.
    planes = np.empty((4, 3, *sr.shape[:2]))
    planes[0], planes[1] = sr.transpose(2, 0, 1), hr.transpose(2, 0, 1)
    x, y = planes[:2]
    np.add(x * x, y * y, out=planes[2])
    np.multiply(x, y, out=planes[3])
    mx, my, variances, covariance = _window_means(planes)
    # From here on in place: memory for every intermediate picture takes longer than the sums.
    product = mx * my
    squares = np.add(np.square(mx, out=mx), np.square(my, out=my), out=mx)
    variances -= squares
    covariance -= product
    for plane, constant in ((product, _C1 / 2.0), (squares, _C1), (covariance, _C2 / 2.0), (variances, _C2)):
        plane += constant
    product *= covariance
    squares *= variances
    product /= squares
    return 4.0 * float(np.mean(product))


@dataclass(frozen=True)
class Metric:
    """One score of a plate: its column in ``plates.csv``, its heading, and which way is better.

    ``function(sr, hr)`` computes it from two pictures; None where it comes from what the ``first`` or the ``second``
    OCR ``engine`` reads (:mod:`benchmark.scoring.plate_scores`). A stored value times
    ``factor`` is the value to print, with ``decimals`` places and ``unit``. ``statistic`` is the
    summary that tables show: the median as in the paper, the mean for shares.
    """

    name: str
    label: str
    unit: str
    higher_is_better: bool
    decimals: int
    function: Callable[[np.ndarray, np.ndarray], float] | None = None
    factor: float = 1.0
    statistic: Literal["median", "mean"] = "median"
    engine: Literal["first", "second"] | None = None


SECOND = "_second"
"""Suffix of the columns of the second OCR engine."""


def _readings(engine: Literal["first", "second"]) -> list[Metric]:
    suffix, whose = (SECOND, ", second engine") if engine == "second" else ("", "")

    def share(name: str, label: str) -> Metric:
        return Metric(name + suffix, label + whose, "%", True, 1, factor=100.0, statistic="mean", engine=engine)

    return [
        Metric("confidence" + suffix, "OCR confidence" + whose, "", True, 3, engine=engine),
        share("plate_correct", "Exact-match accuracy"),
        share("character_accuracy", "Character accuracy"),
        share("tail_correct", "Accuracy without province"),
    ]


def _alone(function: Callable[[np.ndarray], float]) -> Callable[[np.ndarray, np.ndarray], float]:
    """A score of the upscaled picture alone, which needs no reference."""

    def score(sr: np.ndarray, hr: np.ndarray) -> float:
        _check(sr, hr)
        return function(sr)

    return score


LPIPS = "lpips"
"""Column of :class:`benchmark.scoring.lpips.Lpips`, the last one, there only where it was asked for."""

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("psnr", "PSNR", "dB", True, 2, psnr),
        Metric("psnr_y", "PSNR_Y", "dB", True, 2, psnr_y),
        Metric("psnr_y_studio", "PSNR_Y (16–235)", "dB", True, 2, psnr_y_studio),
        Metric("ssim", "SSIM", "", True, 4, ssim),
        Metric("noise", "Noise", "", False, 2, _alone(no_reference.noise)),
        Metric("blur", "Blur", "", False, 3, _alone(no_reference.blur)),
        Metric("compression", "Compression", "", False, 3, _alone(no_reference.compression)),
        Metric(LPIPS, "LPIPS", "", False, 4),  # of two pictures, too, but optional: it needs weights from elsewhere
        *_readings("first"),
        *_readings("second"),
    )
}
"""All scores, in the order of ``plates.csv``; every one lies in a column of its name."""


def _check(sr: np.ndarray, hr: np.ndarray) -> None:
    for image in (sr, hr):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(f"expected uint8 H×W×3, got {image.dtype} {image.shape}")
    if sr.shape != hr.shape:
        raise ValueError(f"pictures of different sizes: {sr.shape} and {hr.shape}")


def _decibel(mean_square: float) -> float:
    return 10.0 * math.log10(255.0**2 / mean_square) if mean_square > 0.0 else math.inf


def _pillow_luma(image: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(image).convert("YCbCr").getchannel(0))


def _window_means(planes: np.ndarray) -> np.ndarray:
    """Gaussian means of ...×H×W over all 11×11 windows inside: ...×(W−10)×(H−10), turned."""
    return _filtered(np.ascontiguousarray(_filtered(planes).swapaxes(-1, -2)))


def _filtered(planes: np.ndarray) -> np.ndarray:
    """Gaussian means of 11 neighbours along the last axis but one: ...×N×M → ...×(N−10)×M.

    As products with a band matrix, a strip at a time: a few times as fast as scipy's ``correlate1d``.
    """
    *leading, length, width = planes.shape
    means = np.empty((*leading, length - 2 * _RADIUS, width))
    for start in range(0, means.shape[-2], _STRIP):
        part = means[..., start : start + _STRIP, :]
        rows = part.shape[-2]
        neighbours = planes[..., start : start + rows + 2 * _RADIUS, :]
        np.matmul(_BAND[:rows, : rows + 2 * _RADIUS], neighbours, out=part)
    return means
