"""How many test plates training has seen, and what the scores are without them."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from benchmark.scoring.metrics import METRICS, Metric
from paper_figures.common import conventions, text
from paper_figures.common.drawing import Drawing, NothingToDraw
from paper_figures.common.pairing import pairs
from paper_figures.common.results import Results
from paper_figures.common.statistics import Interval, gap, resampled
from paper_figures.common.tables import Cell, Column, Table, ranks

NAME = "leaks"
TITLE = "Leaks (scores without the test plates that training has seen)"
NEEDS = "table1"

CONTROL = "bicubic"
"""The control: it learns nothing, so it cannot gain from plates seen in training."""
_HEADINGS = {"all": "all {:,} plates", "seen": "{:,} seen", "unseen": "{:,} unseen"}
_PARTS = tuple(_HEADINGS)
_COLUMNS = ["metric", "method", *(f"{part}{what}" for part in _PARTS for what in ("", "_plates")),
            *(f"{name}{end}" for name in ("gap", "beyond") for end in ("", "_low", "_high"))]  # fmt: skip


def draw(results: Results) -> Drawing:
    """The count always; tables only if a test plate was seen."""
    if not conventions.leaks(results) or "seen" not in results.plates:
        raise NothingToDraw("the results are from before it was recorded which test plates training has seen")
    data = frame(results) if (results.plates["seen"] == 1).any() else pd.DataFrame(columns=_COLUMNS)
    tables = [_table(results, data[data["metric"] == metric], METRICS[metric]) for metric in data["metric"].unique()]
    conditions = [conventions.data(results)] + [conventions.selection(results)] * bool(tables)
    return Drawing(data=data, caption=caption(results, data), conditions=conditions, tables=tables)


def frame(results: Results) -> pd.DataFrame:
    """One line a (metric, method): the mean over all test plates, those seen and the others, and what is gained.

    ``gap`` is all − unseen; ``beyond`` the same of the differences from bicubic, plate by plate. Shares are fractions.
    """
    control = results.row(CONTROL)
    lines = []
    for metric in ("psnr", *(["plate_correct"] if results.has_readings else [])):
        for row in results.competitors:
            plates = results.plates_of(row)
            values = plates[metric].where(plates[metric].abs() != math.inf)
            if values.isna().all() or plates["seen"].isna().any():
                continue
            kept = {"all": values, "seen": values[plates["seen"] == 1], "unseen": values[plates["seen"] == 0]}
            line: dict[str, Any] = {"metric": metric, "method": row.name}
            for part in _PARTS:
                line |= {part: kept[part].mean(), f"{part}_plates": plates.loc[kept[part].index, "index"].nunique()}
            line |= _ends("gap", gap(plates, metric, "seen"))
            if control is not None and row.name != CONTROL:
                line |= _ends("beyond", _beyond(plates, results.plates_of(control), metric))
            lines.append(line)
    return pd.DataFrame(lines, columns=_COLUMNS)


def _beyond(plates: pd.DataFrame, control: pd.DataFrame, metric: str) -> Interval:
    """The gap of the differences from ``control`` on the same plates."""
    paired = pairs(plates, control, metric)
    seen = plates.drop_duplicates("index").set_index("index")["seen"]
    return gap(paired.assign(seen=paired["index"].map(seen)), "difference", "seen")


def _ends(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}


def _table(results: Results, data: pd.DataFrame, kind: Metric) -> Table:
    by_name = data.set_index("method")
    rows = [row for row in results.competitors if row.name in by_name.index]
    lines = [by_name.loc[row.name] for row in rows]
    first = lines[0]
    unit = f" ({kind.unit})" if kind.unit else ""
    columns = [Column("Method", [Cell(row.title, marks=row.marks) for row in rows])]
    for part in _PARTS:
        values = [kind.factor * line[part] for line in lines]
        cells = [Cell(text.number(v, kind.decimals), rank) for v, rank in zip(values, ranks(values, kind.decimals))]
        columns.append(Column(_HEADINGS[part].format(first[f"{part}_plates"]) + unit, cells))
    columns.append(Column("all − unseen", [Cell(_interval(line, "gap", kind)) for line in lines]))
    if by_name["beyond"].notna().any():
        columns.append(Column("beyond bicubic’s", [Cell(_interval(line, "beyond", kind)) for line in lines]))
    return Table(f"{kind.label}, mean over test plates", columns)


def _interval(line: pd.Series, name: str, kind: Metric) -> str:
    value, low, high = (text.number(kind.factor * line[name + end], kind.decimals, sign=True)
                        for end in ("", "_low", "_high"))  # fmt: skip
    return f"{value} [{low}, {high}]" if math.isfinite(line[name + "_low"]) else value


def caption(results: Results, data: pd.DataFrame) -> list[str]:
    """Caption sentences: the plates seen, and the meaning of the columns."""
    count = conventions.leaks(results).removeprefix("Leaks: ")
    count = count[0].upper() + count[1:]
    marks = conventions.marks(results)
    first = results.plates_of(results.main_rows[0])
    total, seen = (plates["index"].nunique() for plates in (first, first[first["seen"] == 1]))
    if data.empty:
        return [f"{count} No test plate counts as seen, so there is nothing to score apart.", *marks]
    sentences = [
        count,
        f"{seen:,} of {total:,} test plates count as seen in training: it shows the same plate number, or a "
        "near-duplicate of the picture. all − unseen is what a score over all test plates owes to those seen, with its "
        "95 % interval. Plates that are seen may be easier or harder than others, too: bicubic learns nothing, so its "
        "difference is due to that alone, and the last column is what is left without it (of differences from bicubic, "
        "plate by plate).",
    ]
    if data["gap_low"].notna().any():
        most = max(results.competitors, key=lambda row: len(row.seeds))
        drawn = gap(results.plates_of(most), "psnr", "seen")
        sentences.append(f"{resampled(drawn)} Plates seen and unseen are drawn apart.")
    return [*sentences, *marks]
