"""What reading a plate means: a rectified picture, an engine that reads it, and texts that are compared.

An OCR engine recognises the text of an already rectified plate. Nothing is detected, so a method is never
scored for where the plate is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from benchmark.data.ccpd import ALPHANUMERICS, PROVINCES

WIDTH, HEIGHT = 168, 48
"""Size of a rectified plate: 3.5:1 at the height PP-OCR takes. Plates are 440×140 or 480×140 mm."""

ALPHABET = PROVINCES[:-1] + ALPHANUMERICS[:-1]
"""What a plate may bear: 33 Chinese characters, 24 letters (no I, no O), 10 digits."""


@dataclass(frozen=True)
class Reading:
    """A text as the engine wrote it, and the mean probability of its characters, 0 to 1 (0 for no text)."""

    text: str
    confidence: float
    characters: tuple[float, ...] = ()
    """Probability of each character of ``text``; empty where the engine does not say."""


class OcrEngine(Protocol):
    """Reads rectified plates. A reading depends on its own picture only, not on its batch."""

    @property
    def alphabet(self) -> frozenset[str] | None:
        """Every letter, digit and sign that it may write, upper case; None where that is not known."""

    def read(self, images: Sequence[np.ndarray]) -> list[Reading]:
        """Readings of uint8 48×168×3 RGB pictures, in their order. Raises ValueError for others."""

    def describe(self) -> dict[str, Any]:
        """``name``, ``version``, ``model``, ``sha256`` of the model file, ``input`` [width, height]."""


def can_write(engine: OcrEngine, text: str) -> bool:
    """Whether a plate can be scored by reading: its text is known, and of the engine's alphabet.

    Every engine counts as one for Chinese plates: where it lacks a sign of theirs, it misreads it.
    """
    return bool(text) and (engine.alphabet is None or set(text) <= engine.alphabet.union(ALPHABET))


def check_rectified(images: Sequence[np.ndarray]) -> None:
    """Raises ValueError for anything but uint8 48×168×3 pictures."""
    for image in images:
        if image.dtype != np.uint8 or image.shape != (HEIGHT, WIDTH, 3):
            raise ValueError(f"expected uint8 {HEIGHT}×{WIDTH}×3, got {image.dtype} {image.shape}")


def rectify(image: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """The plate with the given corners as a 168×48 picture: uint8 H×W×3 → uint8 48×168×3.

    ``vertices``: 4×2 (x, y) in pixels of ``image``, bottom right, bottom left, top left, top right, as
    CCPD names them. They may lie outside the picture, whose edge is then continued. Perspective
    transform, bicubic, with the corners of pixels (not their centres) at whole coordinates.
    Raises ValueError for another shape.
    """
    import cv2

    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"expected uint8 H×W×3, got {image.dtype} {image.shape}")
    corners = np.asarray(vertices, dtype=np.float32)
    if corners.shape != (4, 2):
        raise ValueError(f"expected four corners (x, y), got shape {corners.shape}")
    target = np.array([[WIDTH, HEIGHT], [0, HEIGHT], [0, 0], [WIDTH, 0]], dtype=np.float32)
    # OpenCV counts from pixel centres.
    transform = cv2.getPerspectiveTransform(corners - 0.5, target - 0.5)
    return cv2.warpPerspective(
        image, transform, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )


def character_accuracy(read: str, truth: str) -> float:
    """1 − edit distance / length of the longer text: 1 for equal texts, 0 for nothing in common."""
    longest = max(len(read), len(truth))
    return 1.0 - edit_distance(read, truth) / longest if longest else 1.0


def edit_distance(a: str, b: str) -> int:
    """Levenshtein distance: fewest insertions, deletions and substitutions from ``a`` to ``b``."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]
