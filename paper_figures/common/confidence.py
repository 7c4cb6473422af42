"""Whether an OCR engine's confidence may be believed: accuracy by confidence, calibration error, confident mistakes.

Pure functions of two arrays, one entry a plate: ``confidence`` in [0, 1], ``correct`` 0 or 1 (the whole
plate was read right). Plates where either is not a number are left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import norm

from benchmark.scoring.metrics import SECOND
from paper_figures.common import text
from paper_figures.common.results import Results, Row

BINS = 10
"""Bins of confidence, of equal width."""
CONFIDENT = 0.9
"""A reading of this confidence or more, and wrong, is confidently wrong."""


def reliability(confidence: ArrayLike, correct: ArrayLike, bins: int = BINS) -> pd.DataFrame:
    """Accuracy by confidence, one line a bin.

    Columns: ``low`` and ``high`` (its ends), ``plates``, ``confidence`` (their mean) and ``accuracy``. A bin
    holds its upper end and not its lower one, as in Guo et al.; the first holds 0 too. The means of an empty
    bin are NaN.
    """
    trust, right = _both(confidence, correct)
    place = bin_of(trust, bins)
    plates = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        means = [np.bincount(place, values, bins) / plates for values in (trust, right)]
    ends = np.arange(bins + 1) / bins
    return pd.DataFrame(
        {"low": ends[:-1], "high": ends[1:], "plates": plates, "confidence": means[0], "accuracy": means[1]}
    )


def bin_of(confidence: ArrayLike, bins: int = BINS) -> np.ndarray:
    """The number of each confidence's bin, from 0; what lies outside [0, 1] belongs to the first or last bin."""
    return np.clip(np.ceil(np.asarray(confidence, float) * bins).astype(int) - 1, 0, bins - 1)


def ece(confidence: ArrayLike, correct: ArrayLike, bins: int = BINS) -> float:
    """Expected calibration error, 0 to 1: what accuracy and mean confidence of a bin differ by, on average over plates.

    C. Guo et al., On calibration of modern neural networks, ICML 2017, eq. 3. NaN without plates.
    """
    table = reliability(confidence, correct, bins)
    total = int(table["plates"].sum())
    gaps = (table["accuracy"] - table["confidence"]).abs().fillna(0.0)
    return float((gaps * table["plates"]).sum() / total) if total else math.nan


def confidently_wrong(confidence: ArrayLike, correct: ArrayLike, threshold: float = CONFIDENT) -> float:
    """Share of all plates, 0 to 1, that are not completely right at a confidence of ``threshold`` or more."""
    trust, right = _both(confidence, correct)
    return float(np.mean((trust >= threshold) & (right < 1.0))) if len(trust) else math.nan


def wilson(share: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval (JASA 22, 1927) of a share seen in ``n`` independent cases. (NaN, NaN) without cases."""
    if not n or math.isnan(share):
        return math.nan, math.nan
    z = float(norm.ppf((1.0 + level) / 2.0))
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def _both(confidence: ArrayLike, correct: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    trust, right = np.asarray(confidence, float).ravel(), np.asarray(correct, float).ravel()
    finite = np.isfinite(trust) & np.isfinite(right)
    return trust[finite], right[finite]


# -- from results ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Engine:
    """One of a run's OCR engines: what its columns end in, and its name."""

    suffix: str
    name: str

    def readings(self, results: Results, row: Row) -> pd.DataFrame:
        """``confidence``, ``correct`` and ``text`` of the plates that this engine was shown, seeds pooled."""
        return results.once(("readings", self.suffix, row.name), lambda: self._readings(results, row))

    def _readings(self, results: Results, row: Row) -> pd.DataFrame:
        mine = results.plates_of(row)
        table = pd.DataFrame({
            "confidence": pd.to_numeric(mine["confidence" + self.suffix], errors="coerce").astype(float),
            "correct": pd.to_numeric(mine["plate_correct" + self.suffix], errors="coerce").astype(float),
            "text": mine["text"].astype(str) if "text" in mine else mine["index"].astype(str),
        })  # fmt: skip
        return table[np.isfinite(table[["confidence", "correct"]]).all(axis=1)]


def engines(results: Results) -> list[Engine]:
    """The OCR engines that read anything in this run, the first one first."""
    present = []
    for engine, suffix in ((results.reference.judge, ""), (results.reference.second_judge, SECOND)):
        columns = ["confidence" + suffix, "plate_correct" + suffix]
        if set(columns) <= set(results.plates) and results.plates[columns].notna().all(axis=1).any():
            present.append(Engine(suffix, text.one_line(engine.name if engine else "") or "unnamed"))
    return present
