"""Ranks of methods that share a place where the test plates cannot tell them apart.

Every pair of methods is compared plate by plate (paired difference with its interval, a test, Holm's correction over
all pairs). A method's rank is 1 + the number of methods that are clearly better. So every method that nobody clearly
beats has rank 1, and a rank is never better than the evidence. Of very many methods the best by mean are ranked.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.stats import norm

from benchmark.scoring.metrics import METRICS
from paper_figures.common import statistics
from paper_figures.common.paired import BETTER, WORSE, Comparison
from paper_figures.common.pairing import holm
from paper_figures.common.results import Results, Row
from paper_figures.common.statistics import Interval

MOST = 40
"""Methods that are compared two by two: of more, these many with the best mean. 500 methods would be 124,750 pairs."""


@dataclass(frozen=True)
class Ranking:
    """``ranks`` by method, of those that have the score; ``smallest`` is :func:`smallest_difference` of their pairs.

    ``left_out`` counts the methods beyond :data:`MOST`, which have the score and no rank.
    """

    ranks: Mapping[str, int]
    smallest: float
    left_out: int = 0

    def place(self, name: str) -> int:
        """1 for the methods of the best rank, 2 for those of the second best, else 0; 0 for all where all are tied."""
        levels = sorted(set(self.ranks.values()))
        level = self.ranks.get(name)
        return levels.index(level) + 1 if len(levels) > 1 and level in levels[:2] else 0


def rank(results: Results, rows: Sequence[Row], metric: str) -> Ranking:
    """Compare every two of ``rows`` in ``metric``. The bound and rows without the score get no rank."""
    scored = [row for row in rows if metric in row.scores and not row.is_bound]
    rows = _best(scored, metric) if len(scored) > MOST else scored
    pairs = list(combinations(rows, 2))
    differences = [results.difference(a, b, metric) for a, b in pairs]
    corrected = holm([test.p for _, test in differences])
    better = set()
    for (a, b), (interval, test), p in zip(pairs, differences, corrected, strict=True):
        verdict = Comparison(a, b, metric, interval, test, p).verdict
        if verdict in (BETTER, WORSE):
            better.add((a.name, b.name) if verdict == BETTER else (b.name, a.name))
    return Ranking(
        ranks([row.name for row in rows], better),
        smallest_difference([difference for difference, _ in differences]),
        len(scored) - len(rows),
    )


def _best(rows: Sequence[Row], metric: str) -> list[Row]:
    """The :data:`MOST` rows with the best mean, one without a mean last."""
    sign = -1 if METRICS[metric].higher_is_better else 1

    def key(row: Row) -> tuple[bool, float]:
        mean = row.scores[metric].mean
        return math.isnan(mean), sign * mean

    return sorted(rows, key=key)[:MOST]


def ranks(names: Sequence[str], better: Collection[tuple[str, str]]) -> dict[str, int]:
    """1 + how many are better than each; ``better`` holds (better, worse)."""
    return {name: 1 + sum(worse == name for _, worse in better) for name in names}


def smallest_difference(intervals: Sequence[Interval]) -> float:
    """The smallest paired difference that these plates and seeds can decide, in the unit of the stored scores.

    Half the width of a 95 % interval, widened to the level of Holm's strictest step (0.05 over the number of pairs):
    a difference beyond it is told apart whatever the other pairs show. The median over the pairs; NaN without any.
    """
    widths = [(interval.high - interval.low) / 2 for interval in intervals if interval.bounded]
    if not widths:
        return math.nan
    alpha = 1 - statistics.LEVEL
    return float(np.median(widths) * norm.ppf(1 - alpha / 2 / len(widths)) / norm.ppf(1 - alpha / 2))
