"""The numbers the paper states, from CSV files beside this one, each with its source in the text.

A value may end in ``K``/``k`` or ``M`` (thousands, millions), and begins with ``~`` where the paper itself says
"approximately". Nothing is read off a plot. Shared column: ``source``. What the text does not state has no line.

``paper_table1.csv``    ``method,metric,value``: Table 1, and the iterations to the best that the text gives for Fig. 6
``paper_contrast.csv``  ``distance,quantity,value``: the contrast (Eq. 20) of Figs. 10 and 11: lowest, highest, late
``paper_ablation.csv``  ``metric,distance,dimension,value``: Fig. 8
``paper_examples.csv``  ``example,metric,value``: the three plates of Fig. 12, PECL with the Manhattan distance
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
ITERATIONS, BATCH = 1_000_000, 128
"""Training of the paper's model (Sec. 4.1); its Sec. 4.2.1 gives the iterations of all models."""
PATCHES = ITERATIONS * BATCH
"""Training patches of the paper's budget."""

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
    return PaperValue(value, text.strip().replace("~", "≈").replace("-", "−"), approximate)


def _read(file: Path) -> pd.DataFrame:
    """A file's lines as text. Raises ValueError for one without a source."""
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    unsourced = table[table["source"].str.strip() == ""]
    if len(unsourced):
        raise ValueError(f"{file.name}: no source for {unsourced.iloc[0].to_list()[:2]}")
    return table


# -- Table 1 ---------------------------------------------------------------------------------------


@cache
def values() -> dict[tuple[str, str], PaperValue]:
    """Every value of Table 1, and the iterations to the best, by (method, metric)."""
    table = _read(FILE)
    return {(m, k): parse(v) for m, k, v in zip(table["method"], table["metric"], table["value"], strict=True)}


def value(method: str, metric: str) -> PaperValue | None:
    """The paper's value, or None if it states none."""
    return values().get((method, metric))


def score(method: str, metric: str) -> str:
    """The cell of Table 1 as printed, ``25.13 ± 2.46``; empty if there is none."""
    median, deviation = value(method, metric), value(method, f"{metric}_sd")
    if median is None:
        return ""
    return median.text + (f" ± {deviation.text}" if deviation else "")


# -- figures ---------------------------------------------------------------------------------------


@cache
def contrast(distance: str) -> dict[str, PaperValue]:
    """``lowest``, ``highest`` and ``late`` contrast (Eq. 20) of that distance."""
    table = _read(FILE.with_name("paper_contrast.csv"))
    mine = table[table["distance"] == distance]
    return {name: parse(number) for name, number in zip(mine["quantity"], mine["value"], strict=True)}


@cache
def ablation() -> dict[tuple[str, str, int], PaperValue]:
    """What the text gives of Fig. 8, by (metric, distance, dimension); means over the test plates."""
    table = _read(FILE.with_name("paper_ablation.csv"))
    keys = zip(table["metric"], table["distance"], table["dimension"].astype(int), strict=True)
    return dict(zip(keys, map(parse, table["value"]), strict=True))


@cache
def examples() -> list[tuple[PaperValue, PaperValue]]:
    """PSNR and PSNR_Y of each example of Fig. 12."""
    table = _read(FILE.with_name("paper_examples.csv"))
    values = {(e, m): parse(v) for e, m, v in zip(table["example"], table["metric"], table["value"], strict=True)}
    return [(values[example, "psnr"], values[example, "psnr_y"]) for example in dict.fromkeys(table["example"])]
