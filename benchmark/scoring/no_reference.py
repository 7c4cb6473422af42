"""Noise, blur and compression of a picture without a reference to compare it with.

Three published estimators, each as one number a picture and as a map of local values. Pictures are uint8
H×W×3 RGB with sides of at least 16 pixels; luma (BT.601, full range, not rounded) is what is measured.
In each of them more is worse, and what they give is finite for every picture:

==============  ==============================================  =========================================
noise           Immerkær 1996                                   standard deviation in grey levels, 0 and up
blur            Crete et al. 2007                               0 (sharp) to 1 (nothing sharp)
compression     Wu and Yuen 1997 (GBIM)                         ratio; 1: no 8×8 grid to be seen
==============  ==============================================  =========================================

Each answers to one distortion but is not blind to the others: noise looks sharp, so it lowers the blur, and
fine structure counts as noise.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter, uniform_filter1d

Plane = NDArray[np.float64]

WINDOW = 16
"""Side of the square, in pixels, over which a local value is taken: two blocks of a JPEG."""
BLOCK = 8

_LUMA = np.array([0.299, 0.587, 0.114])
_TO_SIGMA = math.sqrt(math.pi / 2.0) / 6.0
_REBLUR = 11  # as scikit-image's blur_effect; the paper has 9
_WEAK = 0.5  # grey levels a pixel: gradients in the order of rounding tell nothing about sharpness
_DARK = 81.0
_DARK_SCALE = math.log1p(math.sqrt(255.0 - _DARK)) / math.log1p(math.sqrt(_DARK))
_ROUNDING = 1.0 / 6.0  # variance of the difference of two values rounded to whole numbers


# -- noise ------------------------------------------------------------------------------------------


def noise(image: np.ndarray) -> float:
    """Standard deviation of the noise in grey levels (0–255), 0 or more.

    J. Immerkær, Fast noise variance estimation, CVIU 64(2), 1996, eq. 5: the mean absolute response to a
    3×3 mask that planes and straight slopes do not move, scaled to the deviation of white Gaussian noise.
    Raises ValueError unless the picture is uint8 H×W×3 with sides of 16 or more, as everything here does.
    """
    return float(np.mean(_noise(image)))


def noise_map(image: np.ndarray) -> Plane:
    """:func:`noise` of the 16×16 pixels around every pixel: H×W, in grey levels."""
    local = uniform_filter(np.pad(_noise(image), 1, mode="edge"), WINDOW)
    return np.maximum(local, 0.0)  # the filter's running sums may end a hair below


def _noise(image: np.ndarray) -> Plane:
    """What every pixel that has all its neighbours adds: (H−2)×(W−2), of which the mean is the deviation."""
    return _TO_SIGMA * np.abs(np.diff(np.diff(_luma(image), 2, axis=0), 2, axis=1))


# -- blur -------------------------------------------------------------------------------------------


def blur(image: np.ndarray) -> float:
    """Blur from 0 (sharp) to 1: the share of the gradient that is still there after blurring once more.

    F. Crete et al., The blur effect: perception and estimation with a new no-reference perceptual blur
    metric, Proc. SPIE 6492, 2007; equal to scikit-image's ``blur_effect`` (11 taps, Sobel gradients, the
    worse of the two directions). A picture without any gradient has nothing sharp in it: 1.
    """
    luma, worst = _luma(image), 0.0
    for axis in (0, 1):
        gradient, left = (plane[1:, 1:].sum() for plane in _gradients(luma, _blurred(luma, axis), axis))
        worst = max(worst, left / gradient if gradient > 0.0 else 1.0)
    return float(worst)


def blur_map(image: np.ndarray) -> Plane:
    """:func:`blur` of the 16×16 pixels around every pixel: H×W, from 0 to 1.

    Both directions are taken together, as a window seldom has edges in both. Where gradients are not
    above rounding (0.5 grey levels a pixel) the value goes to 1, as that of a flat picture does.
    """
    luma = _luma(image)
    gradient, left = np.zeros((2, *luma.shape))
    for axis in (0, 1):
        sharp, blurred = (np.pad(plane, 1, mode="symmetric") for plane in (luma, _blurred(luma, axis)))
        for total, plane in zip((gradient, left), _gradients(sharp, blurred, axis)):
            total += plane
    return (uniform_filter(left, WINDOW) + _WEAK) / (uniform_filter(gradient, WINDOW) + _WEAK)


def _blurred(luma: Plane, axis: int) -> Plane:
    return uniform_filter1d(luma, _REBLUR, axis)


def _gradients(luma: Plane, blurred: Plane, axis: int) -> tuple[Plane, Plane]:
    """Absolute slope along ``axis`` in grey levels a pixel, and how much of it the blur leaves: (H−2)×(W−2) each."""
    gradient = _slope(luma, axis)
    return gradient, np.minimum(gradient, _slope(blurred, axis))


def _slope(plane: Plane, axis: int) -> Plane:
    """Sobel's, absolute, of every pixel that has all its neighbours."""
    lines = plane if axis == 0 else plane.T
    step = lines[2:] - lines[:-2]
    slope = step[:, :-2] + step[:, 2:]
    slope += step[:, 1:-1]
    slope += step[:, 1:-1]
    slope /= 8.0
    np.abs(slope, out=slope)
    return slope if axis == 0 else slope.T


# -- compression ------------------------------------------------------------------------------------


def compression(image: np.ndarray) -> float:
    """How much stronger steps are at the borders of 8×8 blocks than within them: 1 where there is no grid.

    H. R. Wu and M. Yuen, A generalized block-edge impairment metric for video coding, IEEE SPL 4(11), 1997:
    root mean square step across block borders over the mean of that of the seven positions between them,
    each step weighted by how visible it is on its surroundings (less where it is busy, dark or bright), the
    mean of both directions. Ours: surroundings are the 16 pixels across each step, and squares are raised
    by 1/6, the variance that rounding to 8 bits gives a step, so that flat pictures have 1.

    A plate is cut from its photograph anywhere, and networks that enlarge ×8 put their own grid anywhere, so
    the strongest of the eight places where a grid can lie counts, in each direction. Without any grid
    that is a little above 1: 1.0 to 1.1 in smooth or noisy pictures, up to 1.5 in small sharp ones.
    """
    luma = _luma(image)
    return sum(max(_ratios(squares)) for squares in (_steps(luma), _steps(luma.T))) / 2.0


def compression_map(image: np.ndarray) -> Plane:
    """:func:`compression` of the 16×16 pixels around every pixel: H×W; about 1 where there is no grid.

    The grid is that of the whole picture.
    """
    luma = _luma(image)
    return (_local_ratio(_steps(luma)) + _local_ratio(_steps(luma.T)).T) / 2.0


def _ratios(squares: Plane) -> list[float]:
    """Root mean square at every eighth position over the mean of that of the others, for all eight places."""
    rms = [math.sqrt(squares[:, place::BLOCK].mean()) for place in range(BLOCK)]
    return [at_place / ((sum(rms) - at_place) / (BLOCK - 1)) for at_place in rms]


def _steps(luma: Plane) -> Plane:
    """Squared, weighted step from each pixel to its right neighbour: H×(W−1)."""
    # A window of even length reaches one pixel further left: that of column x + 1 is centred on the step.
    mean = uniform_filter1d(luma, 2 * BLOCK, axis=1)[:, 1:]
    variance = uniform_filter1d(luma * luma, 2 * BLOCK, axis=1)[:, 1:] - mean * mean
    np.clip(mean, 0.0, 255.0, out=mean)
    dark = mean <= _DARK
    weight = np.sqrt(np.where(dark, mean, 255.0 - mean))
    weight /= 1.0 + np.sqrt(np.maximum(variance, 0.0))
    weight += 1.0
    np.log(weight, out=weight)
    weight *= np.where(dark, _DARK_SCALE, 1.0)
    weight *= np.diff(luma, axis=1)
    return np.square(weight) + _ROUNDING


def _local_ratio(squares: Plane) -> Plane:
    """Root mean square at the picture's strongest grid over that between its lines, around every pixel: H×W."""
    place = int(np.argmax(_ratios(squares)))
    squares = np.pad(squares, ((0, 0), (0, 1)), mode="edge")
    border = np.zeros_like(squares)
    border[:, place:-1:BLOCK] = 1.0
    share = uniform_filter(border, WINDOW)
    at, everywhere = uniform_filter(squares * border, WINDOW), uniform_filter(squares, WINDOW)
    return np.sqrt((at / share) / ((everywhere - at) / (1.0 - share)))


def _luma(image: np.ndarray) -> Plane:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"expected uint8 H×W×3, got {image.dtype} {image.shape}")
    if min(image.shape[:2]) < WINDOW:
        raise ValueError(f"sides of at least {WINDOW} pixels are needed, got {image.shape[1]}×{image.shape[0]}")
    return image @ _LUMA
