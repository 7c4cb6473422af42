"""Near-duplicate pictures: the same photograph under another name.

Plates are compared by the perceptual hash of `imagehash <https://github.com/JohannesBuchner/imagehash>`_,
``phash(plate, hash_size=16)``: 256 bits, the signs of the lowest 16×16 cosine coefficients of the
plate's luma against their median. Two plates are near-duplicates if their hashes differ in at most
:data:`THRESHOLD` = 48 bits. The usual 64-bit hash will not do: plates look alike (light characters
on blue), and hashes of different plates come as close as 6 bits.

Measured on 6,945 real CCPD plates. False positives: of the 24,112,832 pairs that show different plate
numbers none is within 48 bits; the closest are 60 apart. Pictures of one car: of 208 pairs with the same
number, taken at different moments, the closest are 42 apart and 99 % more than 53. False negatives, in
400 plates each copied: none of those re-encoded at JPEG quality 75 or 30, halved, halved and re-encoded at
50, enlarged 1.5×, brightened by a fifth, or cut one pixel to the right (largest distances 8, 16, 6, 20, 4,
32 and 26); 0.8 % of those cut one pixel to the right and below, 18 % at two pixels and one, 92 % at four and
two. So it finds copies, and not new annotations of the same photograph whose box moved by several pixels.

``phash`` takes as long as decoding a small picture. Therefore a coarser hash, computed for many plates at
once (:func:`coarse_hashes`: the same transform of a 32×32 thumbnail), first chooses the plates that may
have a partner (within :data:`COARSE_THRESHOLD` bits), and only those are hashed by the library. In the copies
above it missed none that the library finds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import imagehash
import numpy as np
import scipy.fftpack
from PIL import Image

HASH_SIZE = 16
BITS = HASH_SIZE**2
THRESHOLD = 48
"""Bits of 256 in which the hashes of near-duplicates may differ."""
COARSE_THRESHOLD = 64
"""The same for the coarse hashes; looser, since the library has the last word."""
METHOD = f"imagehash.phash, {BITS} bits, at most {THRESHOLD} apart"
_THUMBNAIL = 32
_COSINES = scipy.fftpack.dct(np.eye(_THUMBNAIL), axis=0)[:HASH_SIZE]  # as a product: a fraction of the time
_ROUNDING = 1e-6  # a coefficient that should be 0 may be off by less
_BLOCK = 2048  # plates compared with as many others at a time: a block of distances is 16 MB
_KEPT = 1_000_000  # pairs returned at most: in a folder of one picture everything is a pair


@dataclass(frozen=True)
class Pairs:
    """Near-duplicates. ``first``, ``second``: plates, ``distance``: bits apart; sorted by plate.

    ``total`` may exceed the pairs listed where there are more than a million. ``partner`` gives for each plate
    concerned the nearest other, with its distance, and is always complete.
    """

    first: np.ndarray
    second: np.ndarray
    distance: np.ndarray
    total: int
    partner: dict[int, tuple[int, int]]


def thumbnail(plate: Image.Image) -> np.ndarray:
    """What :func:`coarse_hashes` wants to see of a plate: 32×32 uint8."""
    return np.asarray(plate.convert("L").resize((_THUMBNAIL, _THUMBNAIL), Image.Resampling.BOX))


def coarse_hashes(thumbnails: np.ndarray) -> np.ndarray:
    """N×32×32 uint8 → N×256 bool: what ``imagehash.phash(·, 16, 2)`` gives for each, bit by bit."""
    low = (_COSINES @ thumbnails @ _COSINES.T).reshape(len(thumbnails), BITS)
    return low - np.median(low, axis=1, keepdims=True) > _ROUNDING


def plate_hash(hr: np.ndarray) -> np.ndarray:
    """H×W×3 uint8 → 256 bool: the hash that decides."""
    return imagehash.phash(Image.fromarray(hr), HASH_SIZE).hash.ravel()


def near_duplicates(
    coarse: np.ndarray, load: Callable[[int], np.ndarray], left: np.ndarray, right: np.ndarray | None = None
) -> Pairs:
    """Near-duplicates between the plates ``left`` and the plates ``right``; without ``right``, within ``left``.

    ``left``, ``right``: positions of plates; ``coarse``: N×256 bool of all plates; ``load(i)``: the pixels of
    plate i, asked for few plates. Plates of one colour have no structure to compare and are never reported.
    """
    structured = coarse.sum(axis=1) >= BITS // 4
    a = _only(left, structured)
    b = a if right is None else _only(right, structured)
    suspects = set(_search(coarse, a, b, COARSE_THRESHOLD, right is None).partner)
    fine = np.zeros_like(coarse)
    for plate in suspects:
        fine[plate] = plate_hash(load(plate))
    chosen = np.zeros(len(coarse), dtype=bool)
    chosen[list(suspects)] = True
    return _search(fine, _only(a, chosen), _only(b, chosen), THRESHOLD, right is None)


def _only(plates: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return plates[mask[plates]]


def _search(hashes: np.ndarray, left: np.ndarray, right: np.ndarray, threshold: int, within: bool) -> Pairs:
    """All pairs at most ``threshold`` apart, block by block as a matrix product of ±1."""
    matches: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    partner: dict[int, tuple[int, int]] = {}
    total = kept = 0
    for start in range(0, len(left), _BLOCK):
        rows = left[start : start + _BLOCK]
        signs = _signs(hashes[rows])
        for begin in range(start if within else 0, len(right), _BLOCK):
            columns = right[begin : begin + _BLOCK]
            agreement = signs @ _signs(hashes[columns]).T  # bits equal − bits different
            i, j = np.nonzero(agreement >= BITS - 2 * threshold)
            if within:
                i, j = i[i + start < j + begin], j[i + start < j + begin]
            if len(i) == 0:
                continue
            distance = ((BITS - agreement[i, j]) / 2).astype(np.int64)
            total += len(i)
            if kept < _KEPT:
                matches.append((rows[i], columns[j], distance))
                kept += len(i)
            _remember(partner, rows[i], columns[j], distance)
            _remember(partner, columns[j], rows[i], distance)
    empty = np.zeros(0, np.int64)
    first, second, apart = (np.concatenate(part) for part in zip(*matches)) if matches else (empty, empty, empty)
    order = np.lexsort((second, first))[:_KEPT]
    return Pairs(first[order], second[order], apart[order], total, partner)


def _signs(bits: np.ndarray) -> np.ndarray:
    return np.where(bits, np.float32(1), np.float32(-1))


def _remember(
    partner: dict[int, tuple[int, int]], plates: np.ndarray, others: np.ndarray, distance: np.ndarray
) -> None:
    """Keep the nearest other of each plate (of equals the first)."""
    order = np.lexsort((others, distance, plates))
    first = np.unique(plates[order], return_index=True)[1]
    for k in order[first]:
        plate, candidate = int(plates[k]), (int(distance[k]), int(others[k]))
        nearest = partner.get(plate)
        if nearest is None or candidate < (nearest[1], nearest[0]):
            partner[plate] = (candidate[1], candidate[0])
