"""The values the paper prints, from ``paper_table1.csv``, each with its source.

Columns ``method,metric,value,source``. A value may end in ``K``/``k`` or ``M`` (thousands, millions) and
begin with ``~`` where it was read off a plot. Only values that somebody has seen in the paper belong there:
a cell without a line is shown as a dash.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd

FILE = Path(__file__).with_name("paper_table1.csv")
CITATION = (
    "A. Sendjasni and M.-C. Larabi, Embedding similarity guided license plate super resolution, "
    "Neurocomputing 651:130657, 2025"
)

_FACTORS = {"K": 1e3, "k": 1e3, "M": 1e6}


@dataclass(frozen=True)
class PaperValue:
    """One printed number: ``value`` in plain units (dB, count), ``text`` as the paper prints it."""

    value: float
    text: str
    approximate: bool


def parse(text: str) -> PaperValue:
    """``"57K"`` → 57,000; ``"~900k"`` → 900,000, approximate. Raises ValueError for anything else."""
    number = text.strip()
    approximate = number.startswith("~")
    number = number.removeprefix("~")
    factor = _FACTORS.get(number[-1:], 1.0)
    value = float(number[:-1] if factor != 1.0 else number) * factor
    return PaperValue(value, text.strip().replace("~", "≈"), approximate)


@cache
def values() -> dict[tuple[str, str], PaperValue]:
    """Every transcribed value, by (method, metric)."""
    table = pd.read_csv(FILE, dtype=str, keep_default_na=False)
    unsourced = table[table["source"].str.strip() == ""]
    if len(unsourced):
        raise ValueError(f"{FILE.name}: no source for {unsourced.iloc[0].to_list()[:2]}")
    return {(m, k): parse(v) for m, k, v in zip(table["method"], table["metric"], table["value"], strict=True)}


def value(method: str, metric: str) -> PaperValue | None:
    """The paper's value, or None where it is not transcribed."""
    return values().get((method, metric))
