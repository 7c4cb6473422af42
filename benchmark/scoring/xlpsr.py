"""The score of the XLPSR challenge (ICIP 2026, by the paper's authors): characters, of which doubtful ones may be left.

Position by position from the left: +2 for a right character, −1 for a wrong one, 0 for one that is left open. An engine
leaves open what it is less sure of than a threshold. The challenge does not say what happens where a text has another
length than the plate: here characters beyond the plate's end are cut off, and lacking ones are left open.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from benchmark.data.texts import normalise
from benchmark.ocr.reading import Reading

RIGHT, WRONG = 2, -1
BREAK_EVEN = 1.0 / 3.0
"""Where guessing neither gains nor loses for an engine whose confidence is its accuracy: 2p − (1 − p) = 0."""
THRESHOLDS = np.linspace(0.0, 1.0, 101)
"""Thresholds that are tried: at 0 everything is read out, at 1 nothing but what is certain."""


def confidences(reading: Reading) -> tuple[float, ...] | None:
    """The confidence of each character of the normalised text; None where the engine does not say."""
    pieces = [normalise(character) for character in reading.text]
    if len(reading.characters) != len(reading.text) or "".join(pieces) != normalise(reading.text):
        return None
    return tuple(sure for piece, sure in zip(pieces, reading.characters) for _ in piece)


def to_text(sure: Sequence[float] | None) -> str | None:
    """Confidences as they stand in ``plates.csv``: four decimals, separated by spaces."""
    return None if sure is None else " ".join(f"{value:.4f}" for value in sure)


def points(read: object, characters: object, truth: object) -> np.ndarray | None:
    """Points of one plate at each of :data:`THRESHOLDS`; None where confidences are lacking or are not of the text.

    ``read``, ``characters``, ``truth``: as in ``plates.csv``. A plate of which nothing was read has 0.
    """
    text, plate = (value if isinstance(value, str) else "" for value in (read, truth))
    try:
        sure = np.array([float(part) for part in characters.split()] if isinstance(characters, str) else [])
    except ValueError:
        return None
    if len(sure) != len(text) or not np.isfinite(sure).all():
        return None
    shared = min(len(text), len(plate))
    gains = np.array([RIGHT if a == b else WRONG for a, b in zip(text, plate)])
    return (sure[:shared, None] >= THRESHOLDS).T @ gains if shared else np.zeros(len(THRESHOLDS))


def best_threshold(readings: Sequence[Reading], truths: Sequence[str]) -> float | None:
    """The threshold with the most points on these plates, of equal ones the nearest to :data:`BREAK_EVEN`; None without
    plates, and where something was read but no confidences of characters are known."""
    rows = [
        points(normalise(reading.text), to_text(confidences(reading)), truth)
        for reading, truth in zip(readings, truths, strict=True)
    ]
    scored = [row for row in rows if row is not None]
    silent = any(normalise(reading.text) for reading in readings) and not any(r.characters for r in readings)
    if not scored or silent:
        return None
    total = np.sum(scored, axis=0)
    best = THRESHOLDS[np.isclose(total, total.max())]
    return float(min(best, key=lambda threshold: math.fabs(threshold - BREAK_EVEN)))
