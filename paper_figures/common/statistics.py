"""What may be said of other plates and other seeds: intervals, paired differences and tests.

Plates are resampled by their text: photographs of one plate are not independent of each other. All
seeds are scored on the same plates, so with two seeds or more a resample draws the seeds (the outer
level) and, once for all of them, the plate texts (Owen, "The pigeonhole bootstrap", Annals of Applied
Statistics 1(2), 2007). With one seed only plates are drawn, and nothing is said of other seeds
(``Interval.seeds`` is 1). Intervals of equally many texts and seeds share their resamples, which hang on
these two numbers alone: an interval is the same whatever else is computed, and in whichever order.

A value that is not finite (no reading, or the infinite PSNR of identical pictures) is left out and counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import pandas as pd

Statistic = Literal["mean", "median"]

LEVEL = 0.95
"""Confidence of every interval; 1 − ``LEVEL`` is the level of every test."""
RESAMPLES = 5000
"""Resamples behind an interval: its ends are then known to 1/50 of its width."""

_RANDOM = 651_130_657
_AT_ONCE = 4_000_000  # numbers in memory at a time


@dataclass(frozen=True)
class Interval:
    """A statistic and its 95 % interval (percentile bootstrap), in the unit of the scores.

    ``low`` and ``high`` are NaN where fewer than two plate texts have a value, ``value`` where none has.
    ``plates`` and ``clusters`` count the plates and plate texts with a value, ``left_out`` the values
    that were not finite. ``seeds`` is 1 where nothing can be said of other seeds.
    """

    value: float
    low: float
    high: float
    plates: int
    clusters: int
    seeds: int
    left_out: int = 0

    @property
    def bounded(self) -> bool:
        """Whether there is an interval."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    def above(self, threshold: float = 0.0) -> bool:
        """Whether the whole interval lies above ``threshold``."""
        return self.low > threshold

    def below(self, threshold: float = 0.0) -> bool:
        """Whether the whole interval lies below ``threshold``."""
        return self.high < threshold


@dataclass(frozen=True)
class Units:
    """The plate, plate text and seed of every line of a table, each numbered from 0 in sorted order.

    A plate without a text counts as a text of its own. Without a column ``seed`` all lines are of one seed.
    """

    plate: np.ndarray
    text: np.ndarray
    seed: np.ndarray

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Units:
        """The units of a table with the columns ``index`` (of the plate), ``text`` and ``seed``."""
        plate, _ = pd.factorize(frame["index"], sort=True, use_na_sentinel=False)
        seeds = frame["seed"].to_numpy() if "seed" in frame else np.zeros(len(frame))
        return cls(plate, _numbered(_texts(frame)), _numbered(seeds))

    def only(self, lines: np.ndarray) -> Units:
        """The units of some lines (a mask), numbered anew."""
        if lines.all():
            return self
        return Units(*(_numbered(numbers[lines]) for numbers in (self.plate, self.text, self.seed)))


def _numbered(values: np.ndarray) -> np.ndarray:
    return np.unique(values, return_inverse=True)[1]


def _count(numbers: np.ndarray) -> int:
    return int(numbers.max(initial=-1)) + 1


def interval(frame: pd.DataFrame, metric: str, statistic: Statistic = "mean", units: Units | None = None) -> Interval:
    """The statistic of a score over plates × seeds, with its interval.

    ``frame`` has one line a (seed, plate): the columns ``index`` (of the plate), ``text``, ``metric`` and, unless
    the method does not depend on it, ``seed``. ``units`` are those of ``frame``, if the caller has them already.
    """
    numbers = pd.to_numeric(frame[metric], errors="coerce").to_numpy(float)
    finite = np.isfinite(numbers)
    values, units = numbers[finite], (units or Units.of(frame)).only(finite)
    plates, texts, seeds = (_count(each) for each in (units.plate, units.text, units.seed))
    sizes = plates, texts, max(1, seeds), len(numbers) - len(values)
    if not len(values):
        return Interval(math.nan, math.nan, math.nan, *sizes)
    value = float(np.mean(values) if statistic == "mean" else np.median(values))
    if texts < 2:
        return Interval(value, math.nan, math.nan, *sizes)
    make = _mean if statistic == "mean" else _median
    low, high = _bootstrap(make(values, units.seed, units.text, seeds, texts), seeds, (texts,), len(values))
    return Interval(value, low, high, *sizes)


def gap(frame: pd.DataFrame, metric: str, flag: str) -> Interval:
    """The mean of a score minus its mean over the lines whose ``flag`` is 0, with its interval.

    ``frame`` is as for :func:`interval`, with a column ``flag`` of 0 and 1. Texts with and without the flag are drawn
    apart, so that every resample has as many of each (a text that has both kinds of plates counts as two). Without
    plates of both kinds there is no interval, and without unflagged ones no value.
    """
    numbers = pd.to_numeric(frame[metric], errors="coerce").to_numpy(float)
    finite = np.isfinite(numbers)
    kept, values = frame[finite], numbers[finite]
    seed_names, seed = np.unique(kept["seed"] if "seed" in kept else np.zeros(len(kept)), return_inverse=True)
    flagged = kept[flag].to_numpy() == 1
    names, text = np.unique(np.char.add(np.where(flagged, "1", "0"), _texts(kept)), return_inverse=True)
    plain = sum(name.startswith("0") for name in names)
    groups = (plain, len(names) - plain)
    sizes = kept["index"].nunique(), len(names), max(1, len(seed_names)), int((~finite).sum())
    value = float(np.mean(values) - np.mean(values[~flagged])) if plain else math.nan
    if min(groups) < 2:
        return Interval(value, math.nan, math.nan, *sizes)
    shape = len(seed_names), len(names)
    whole = _mean(values, seed, text, *shape)
    rest = _mean(values[~flagged], seed[~flagged], text[~flagged], *shape)
    low, high = _bootstrap(lambda t, s: whole(t, s) - rest(t, s), len(seed_names), groups, len(values))
    return Interval(value, low, high, *sizes)


def _texts(frame: pd.DataFrame) -> np.ndarray:
    """The plate text of every line, as strings that np.unique can sort."""
    texts = frame["text"].to_numpy(object) if "text" in frame else [None] * len(frame)  # quicker to go through
    alone = "\n{}".format  # no plate text begins with a line break
    return np.array([t if isinstance(t, str) and t else alone(i) for t, i in zip(texts, frame["index"])], dtype=str)


# A statistic by weights: how often each text (resamples × texts) and each seed (resamples × seeds) was drawn.
_Weighted = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _bootstrap(weighted: _Weighted, seeds: int, groups: tuple[int, ...], values: int) -> tuple[float, float]:
    """Ends of the percentile interval when texts and seeds are drawn with replacement (one seed is always drawn).

    ``groups``: how many texts there are; of several groups each is drawn by itself. ``values``: how many numbers
    ``weighted`` handles for a resample.
    """
    lines = max(1, min(RESAMPLES, _AT_ONCE // values))
    parts = [
        weighted(*_drawn(groups, seeds, first, min(lines, RESAMPLES - first))) for first in range(0, RESAMPLES, lines)
    ]
    low, high = np.quantile(np.concatenate(parts), ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return float(low), float(high)


@lru_cache(maxsize=16)
def _drawn(groups: tuple[int, ...], seeds: int, first: int, lines: int) -> tuple[np.ndarray, np.ndarray]:
    """How often each text (lines × texts) and each seed (lines × seeds) is drawn in resamples ``first`` and on.

    Remembered because drawing takes longer than what is then done with it, and hundreds of intervals want the same.
    """
    random = np.random.default_rng(_RANDOM + first)
    of_text = np.concatenate([_times(random, texts, lines) for texts in groups], axis=1)
    return of_text, _times(random, seeds, lines)


def _times(random: np.random.Generator, members: int, lines: int) -> np.ndarray:
    """How often each of ``members`` occurs among as many draws: lines × members, never to be changed."""
    drawn = random.integers(members, size=(lines, members)) + members * np.arange(lines)[:, None]
    times = np.bincount(drawn.ravel(), minlength=lines * members).reshape(lines, members)
    return times.astype(np.int16)


def _mean(values: np.ndarray, seed: np.ndarray, text: np.ndarray, seeds: int, texts: int) -> _Weighted:
    cell = seed * texts + text
    sums = np.bincount(cell, values, seeds * texts).reshape(seeds, texts).T
    counts = np.bincount(cell, minlength=seeds * texts).reshape(seeds, texts).T.astype(float)

    def weighted(of_text: np.ndarray, of_seed: np.ndarray) -> np.ndarray:
        weights = of_text.astype(float)
        with np.errstate(invalid="ignore"):  # a resample may hold only cells without a value: NaN
            return ((weights @ sums) * of_seed).sum(1) / ((weights @ counts) * of_seed).sum(1)

    return weighted


def _median(values: np.ndarray, seed: np.ndarray, text: np.ndarray, seeds: int, texts: int) -> _Weighted:
    order = np.argsort(values, kind="stable")
    values, seed, text = values[order], seed[order], text[order]

    def weighted(of_text: np.ndarray, of_seed: np.ndarray) -> np.ndarray:
        upto = np.cumsum(of_text.take(text, axis=1) * of_seed.take(seed, axis=1), axis=1, dtype=np.int32)
        total = upto[:, -1:]
        lower, upper = (
            (upto > rank).argmax(axis=1) for rank in ((total - 1) // 2, total // 2)
        )  # the middle one or two
        return np.where(total[:, 0] > 0, (values[lower] + values[upper]) / 2, np.nan)

    return weighted


def resampled(interval: Interval) -> str:
    """What was resampled for this interval: a sentence for a caption."""
    texts = f"{interval.clusters:,} plate text{'s' if interval.clusters != 1 else ''}"
    start = f"95 % intervals: percentile bootstrap, {RESAMPLES:,} resamples of "
    if interval.seeds > 1:
        return f"{start}{interval.seeds} seeds (outer level) and {texts}."
    return f"{start}{texts}; one seed, so they say nothing about other seeds."
