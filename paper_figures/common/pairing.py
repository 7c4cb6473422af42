"""Two methods on the same plates: paired scores, the tests of their difference, and what training anew may change."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from paper_figures.common.statistics import LEVEL, Interval, Statistic, Units, interval


class Pairing:
    """The plates of two methods side by side, matched once for all their scores.

    Frames are as for :func:`interval`. Lines are matched by seed, index, name and text as far as both
    have them: drop the column ``seed`` of a method that does not depend on it, and it is paired with
    every seed of the other.
    """

    def __init__(self, a: pd.DataFrame, b: pd.DataFrame) -> None:
        keys = ["seed", "index", "name", "text"]
        mine, theirs = (frame[[key for key in keys if key in frame]].reset_index(drop=True) for frame in (a, b))
        if mine.equals(theirs) and not mine.duplicated().any():  # as between trained methods of one run
            lines, line_a = mine, np.arange(len(a))
            line_b = line_a
        else:
            lines = mine.assign(line_a=np.arange(len(a))).merge(
                theirs.assign(line_b=np.arange(len(b))), on=[key for key in keys if key in mine and key in theirs]
            )
            line_a, line_b = lines.pop("line_a").to_numpy(), lines.pop("line_b").to_numpy()
        self._a, self._b = (a, line_a), (b, line_b)
        self._keys = lines
        self.units = Units.of(lines)
        """The units of :meth:`scores`."""

    def scores(self, metric: str) -> pd.DataFrame:
        """``a``, ``b`` and ``difference`` (a − b) in a metric, one line a pair."""
        a, b = (frame[metric].to_numpy(float)[lines] for frame, lines in (self._a, self._b))
        with np.errstate(invalid="ignore"):  # ∞ − ∞
            return self._keys.assign(a=a, b=b, difference=a - b)

    def difference(self, metric: str) -> tuple[Interval, Test]:
        """The mean of a − b with its interval, and the test of it."""
        paired = self.scores(metric)
        return interval(paired, "difference", units=self.units), wilcoxon(paired, self.units)


def pairs(a: pd.DataFrame, b: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The scores of two methods on the same plates; see :class:`Pairing`."""
    return Pairing(a, b).scores(metric)


def difference(a: pd.DataFrame, b: pd.DataFrame, metric: str, statistic: Statistic = "mean") -> Interval:
    """The mean (or median) of a − b over the pairs of :func:`pairs`, with its interval."""
    return interval(pairs(a, b, metric), "difference", statistic)


def seed_means(frame: pd.DataFrame, metric: str) -> pd.Series:
    """The mean of a score over the plates of each seed."""
    numbers = pd.to_numeric(frame[metric], errors="coerce")
    return numbers[np.isfinite(numbers)].groupby(frame["seed"]).mean()


def between_seeds(means: pd.Series) -> float:
    """Half the width of Student's 95 % interval of the seeds' means: what training anew may change.

    A bootstrap of two or three seeds is far too narrow (two agree in sign half of the time by chance); this
    is not. Infinite with fewer than two seeds.
    """
    if len(means) < 2:
        return math.inf
    return float(stats.t.ppf((1 + LEVEL) / 2, len(means) - 1) * means.std(ddof=1) / math.sqrt(len(means)))


@dataclass(frozen=True)
class Test:
    """A two-sided test that differences are centred on 0. ``p`` is NaN if there was nothing to test."""

    p: float
    name: str
    texts: int
    left_out: int


SIGNED_RANK = "Wilcoxon's signed-rank test"
SIGN = "the sign test (McNemar's exact test)"


def wilcoxon(paired: pd.DataFrame, units: Units | None = None) -> Test:
    """Test the differences of :func:`pairs`, one a plate text: averaged over seeds, then over photographs.

    Wilcoxon's signed-rank test (Biometrics Bulletin 1(6), 1945; zeros dropped). Where all scores are 0 or 1
    its ranks are all ties: there the exact sign test is used, which with one seed and one
    photograph a text is McNemar's exact test (Psychometrika 12(2), 1947). Nothing but ties gives p = 1.
    ``units`` are those of ``paired``, if the caller has them already.
    """
    finite = np.isfinite(paired["difference"].to_numpy(float))
    units = (units or Units.of(paired)).only(finite)
    scores, differences = (paired[columns].to_numpy(float)[finite] for columns in (["a", "b"], "difference"))
    binary = bool(np.isin(scores, (0.0, 1.0)).all())
    name = SIGN if binary and len(scores) else SIGNED_RANK
    _, first = np.unique(units.plate, return_index=True)
    _, text = np.unique(units.text[first], return_inverse=True)
    by_text = _means(_means(differences, units.plate), text)
    left_out = len(paired) - len(differences)
    if not len(by_text):
        return Test(math.nan, name, 0, left_out)
    unequal = by_text[~np.isclose(by_text, 0.0, atol=1e-12)]
    if not len(unequal):
        p = 1.0
    elif binary:
        p = float(stats.binomtest(int((unequal > 0).sum()), len(unequal)).pvalue)
    else:
        p = float(stats.wilcoxon(unequal).pvalue)
    return Test(p, name, len(by_text), left_out)


def _means(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """The mean of each group, numbered from 0."""
    return np.bincount(group, values) / np.bincount(group)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's corrected p-values (Scandinavian Journal of Statistics 6(2), 1979), in the order given.

    NaN stays NaN and does not count as a test.
    """
    tested = [i for i, p in enumerate(p_values) if not math.isnan(p)]
    corrected, largest = list(p_values), 0.0
    for rank, i in enumerate(sorted(tested, key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(tested) - rank) * p_values[i]))
        corrected[i] = largest
    return corrected
