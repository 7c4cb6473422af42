"""Stored results as tidy tables: what every table and figure is a function of.

Methods are :class:`Row` objects (seeds pooled), in the paper's order; ``plates`` and ``history`` are long tables
with one line a (method, seed, plate) and a (method, seed, validation).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from benchmark.results.record import UPPER_BOUND, Record
from benchmark.results.record_config import DataFacts, StoredConfig
from benchmark.results.record_parts import Cost
from benchmark.scoring.metrics import METRICS
from paper_figures.common import statistics
from paper_figures.common.pairing import Pairing, Test
from paper_figures.common.statistics import Interval, Statistic, Units

T = TypeVar("T")

READING = tuple(name for name, metric in METRICS.items() if metric.engine == "first")
"""Metrics that come from the OCR engine; the others are computed from the picture."""
SECOND_READING = tuple(name for name, metric in METRICS.items() if metric.engine == "second")
"""The same from the second OCR engine."""
HR = UPPER_BOUND
"""Name of the upper bound: the high-resolution plates themselves, scored like a method."""


@dataclass(frozen=True)
class Summary:
    """Scores of one method over plates × seeds, pooled; ``sd`` with n − 1.

    ``n`` counts the values, ``lacking`` those that were not a number and are left out.
    """

    median: float
    sd: float
    mean: float
    n: int
    lacking: int


@dataclass(frozen=True)
class Row:
    """One method of the run, its seeds pooled."""

    name: str
    title: str
    groups: tuple[str, ...]
    parameters: int | None
    paper_parameters: int | None
    seeds: tuple[int, ...]
    iterations: int
    best_iterations: tuple[int, ...]
    """By seed; none where these are the last weights and the selected ones have a row of their own."""
    scores: dict[str, Summary]
    """By name of the metric: always ``psnr``, the others where the plates have them."""
    notes: tuple[str, ...]
    family: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    """The method's typed options, as stored."""
    cost: Cost | None = None
    """Of upscaling one plate; None where it was not measured."""
    stale: bool = False
    differs: tuple[str, ...] = ()
    """What sets this row apart from the others (other data, budget, …); only with ``allow_mixed``."""
    of: str = ""
    """The method whose selected weights these are, where the row of its name has its last ones."""

    @property
    def is_bound(self) -> bool:
        return self.name == HR

    @property
    def trained(self) -> bool:
        return bool(self.parameters)

    @property
    def only_ablation(self) -> bool:
        """Whether the row belongs in the tables and figures of the ablation or of the sweep, and in no other."""
        return bool(self.groups) and all(group.startswith(("ablation", "sweep")) for group in self.groups)

    @property
    def marks(self) -> str:
        """† for a stale row, ‡ for one made under other conditions than the rest."""
        return "†" * self.stale + "‡" * bool(self.differs)

    @property
    def best_iteration(self) -> float | None:
        """Median over seeds; None for what is not trained, and for last weights beside selected ones."""
        return float(np.median(self.best_iterations)) if self.trained and self.best_iterations else None


@dataclass(frozen=True)
class Failure:
    """A (method, seed) that crashed: one line of what went wrong."""

    name: str
    title: str
    seed: int
    error: str


@dataclass(frozen=True)
class Results:
    """Everything a table or figure may use. ``records``: every ``result.json``, those under usual conditions first."""

    folder: Path
    rows: list[Row]
    plates: pd.DataFrame
    history: pd.DataFrame
    records: list[Record]
    failures: list[Failure] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    _made: dict[tuple[str, ...], Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def once(self, key: tuple[str, ...], make: Callable[[], T]) -> T:
        """What ``make`` returns, worked out at the first call with this key and remembered for all tables."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def row(self, name: str) -> Row | None:
        return next((row for row in self.rows if row.name == name), None)

    def is_end(self, name: str) -> bool:
        """Whether the row of that name has the last weights of a training whose selected ones have another."""
        return any(row.of == name for row in self.rows)

    def plates_of(self, row: Row) -> pd.DataFrame:
        """The plates of one method, without the column ``seed`` where it does not depend on one."""
        return self.once(("plates", row.name), lambda: self._plates_of(row))

    def _plates_of(self, row: Row) -> pd.DataFrame:
        by_method = self.once(("plates",), lambda: dict(iter(self.plates.groupby("method", sort=False))))
        mine = by_method.get(row.name, self.plates[:0])
        return mine if row.trained else mine.drop(columns="seed")

    def pairing(self, row: Row, other: Row) -> Pairing:
        """The plates and seeds that two methods both have."""
        return self.once(("pairing", row.name, other.name), lambda: Pairing(self.plates_of(row), self.plates_of(other)))

    def interval(self, row: Row, metric: str, statistic: Statistic = "mean") -> Interval:
        """The statistic of a method's scores over plates × seeds, with its interval."""
        plates = self.plates_of(row)
        units = self.once(("units", row.name), lambda: Units.of(plates))
        return self.once(
            ("interval", row.name, metric, statistic), lambda: statistics.interval(plates, metric, statistic, units)
        )

    def difference(self, row: Row, other: Row, metric: str) -> tuple[Interval, Test]:
        """The mean of ``row`` minus ``other`` over the plates and seeds that both have, and the test of it (not
        corrected for others)."""
        pairing = self.pairing(row, other)
        return self.once(("difference", row.name, other.name, metric), lambda: pairing.difference(metric))

    @property
    def main_rows(self) -> list[Row]:
        """The rows of Table 1 and its figures: all but those made for the ablation alone."""
        return [row for row in self.rows if not row.only_ablation]

    @property
    def competitors(self) -> list[Row]:
        """The main rows that compete: all but the HR bound."""
        return [row for row in self.main_rows if not row.is_bound]

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds that occur among trained methods (among all, where nothing was trained)."""
        rows = [row for row in self.rows if row.trained] or self.rows
        return tuple(sorted({seed for row in rows for seed in row.seeds}))

    @property
    def has_readings(self) -> bool:
        return any(metric in row.scores for row in self.rows for metric in READING)

    @property
    def has_second_readings(self) -> bool:
        return any(metric in row.scores for row in self.rows for metric in SECOND_READING)

    @property
    def reference(self) -> Record:
        """The result that stands for the run: the first of a trained method, else the first."""
        return next((record for record in self.records if record.parameters), self.records[0])

    @property
    def config(self) -> StoredConfig:
        """The run's configuration."""
        return self.reference.config

    @property
    def data(self) -> DataFacts:
        """The plates."""
        return self.reference.data

    @property
    def selected_on(self) -> str:
        """``test`` or ``validation``: on which plates the weights that are scored were chosen."""
        return "test" if self.data.protocol == "paper" else "validation"


def summarise(column: pd.Series[Any]) -> Summary:
    """Summary of a score's values."""
    values = column.dropna().to_numpy(float)
    finite = bool(np.isfinite(values).all())
    return Summary(
        median=float(np.median(values)) if len(values) else math.nan,
        sd=float(values.std(ddof=1)) if finite and len(values) > 1 else math.nan,
        mean=float(values.mean()) if len(values) else math.nan,
        n=len(values),
        lacking=len(column) - len(values),
    )
