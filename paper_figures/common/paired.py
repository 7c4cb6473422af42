"""Methods compared plate by plate: a paired difference with its interval and test, and the verdict they give."""

from __future__ import annotations

import math
from dataclasses import dataclass

from benchmark.scoring.metrics import METRICS
from paper_figures.common import statistics, text
from paper_figures.common.pairing import Test, holm
from paper_figures.common.results import Results, Row
from paper_figures.common.statistics import Interval

BETTER, WORSE, TIE, UNKNOWN = "better", "worse", "tie", text.DASH


@dataclass(frozen=True)
class Comparison:
    """``row`` minus ``reference`` in one score, over the plates and seeds that both have."""

    row: Row
    reference: Row
    metric: str
    interval: Interval
    """In the unit of the stored scores."""
    test: Test
    corrected: float
    """The test's p-value after Holm's correction; NaN if nothing could be tested."""

    @property
    def decided(self) -> bool:
        """Whether the two are told apart."""
        return self.verdict in (BETTER, WORSE)

    @property
    def verdict(self) -> str:
        """``better`` or ``worse`` where interval and corrected test agree, ``tie`` where they do not, else a dash."""
        if not self.interval.bounded or math.isnan(self.corrected):
            return UNKNOWN
        if self.corrected >= 1 - statistics.LEVEL or not (self.interval.above() or self.interval.below()):
            return TIE
        return BETTER if self.interval.above() == METRICS[self.metric].higher_is_better else WORSE


def compare(results: Results, rows: list[Row], reference: Row, metric: str) -> list[Comparison]:
    """Every row but the reference against it, Holm-corrected over these; rows without the score are left out."""
    rows = [row for row in rows if row.name != reference.name and metric in row.scores and metric in reference.scores]
    differences = [results.difference(row, reference, metric) for row in rows]
    corrected = holm([test.p for _, test in differences])
    return [
        Comparison(row, reference, metric, interval, test, p)
        for row, (interval, test), p in zip(rows, differences, corrected, strict=True)
    ]


# -- numbers as text -------------------------------------------------------------------------------


def shown(interval: Interval, metric: str, digits: int | None = None, unit: bool = False) -> str:
    """``+0.31 [+0.10, +0.52]`` in the unit of tables, accuracies in percentage points, with the ``digits`` of tables
    where none are given; ``unit`` adds it."""
    kind = METRICS[metric]

    def formatted(value: float) -> str:
        return text.number(kind.factor * value, kind.decimals if digits is None else digits, sign=True)

    name = ("points" if kind.unit == "%" else kind.unit) if unit else ""
    value = formatted(interval.value) + (f" {name}" if name else "")
    return f"{value} [{formatted(interval.low)}, {formatted(interval.high)}]" if interval.bounded else value


def probability(p: float) -> str:
    """``0.012``, ``< 0.001``, or a dash."""
    return "< 0.001" if p < 0.001 else text.number(p, 3)
