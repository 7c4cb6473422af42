"""What upscaling in patches changes against whole plates, for all methods."""

from __future__ import annotations

import math

import pandas as pd

import methods
from benchmark.scoring.metrics import METRICS
from benchmark.scoring.plate_scores import BY_PATCHES, PATCH_SCORES
from benchmark.scoring.upscaling import PATCH
from paper_figures.common import conventions, statistics, text
from paper_figures.common.drawing import Drawing, NothingToDraw
from paper_figures.common.paired import shown
from paper_figures.common.results import Results, Row
from paper_figures.common.statistics import Interval
from paper_figures.common.tables import Cell, Column, Table

NAME = "inference"
TITLE = "Whole plates or patches"
NEEDS = "table1"

_ROUNDING = (
    "No difference but thousandths of a dB: {}, whose own way with whole plates this is. It clamps values after "
    "blending the windows, and not before."
)


def draw(results: Results) -> Drawing:
    """One table: every score both ways, and the paired difference."""
    rows = [row for row in results.rows if _has(results, row, "psnr")]
    if not rows:
        why = "no plates were upscaled both ways, which needs no training"
        raise NothingToDraw(why, {"scoring.inference": "both"})
    data = frame(results, rows)
    return Drawing(
        data=data,
        caption=caption(results, rows, data),
        conditions=[conventions.data(results), conventions.ocr(results)],
        tables=[
            table(title, rows, part)
            for title, reading in (("Fidelity", False), ("Reading", True))
            if len(part := data[data["metric"].map(lambda name: METRICS[name].engine is not None) == reading])
        ],
    )


def _has(results: Results, row: Row, metric: str) -> bool:
    return metric + BY_PATCHES in results.plates and bool(results.plates_of(row)[metric + BY_PATCHES].notna().any())


def difference(results: Results, row: Row, metric: str) -> Interval:
    """The mean of patches minus whole plates, pair by pair, with its interval."""
    plates = results.plates_of(row)
    values = pd.to_numeric(plates[metric + BY_PATCHES], errors="coerce") - plates[metric]
    return statistics.interval(plates.assign(difference=values), "difference")


def frame(results: Results, rows: list[Row]) -> pd.DataFrame:
    """One line a (score, method), in the unit of the stored scores: the statistic of tables both ways, and the mean
    paired difference (patches minus whole plates) with its interval."""
    lines = []
    for metric in PATCH_SCORES:
        for row in rows:
            if not _has(results, row, metric):
                continue
            plates, interval = results.plates_of(row), difference(results, row, metric)
            whole, patches = (
                float(getattr(plates[column].dropna(), METRICS[metric].statistic)())
                for column in (metric, metric + BY_PATCHES)
            )
            lines.append({
                "metric": metric, "method": row.name, "title": row.title, "statistic": METRICS[metric].statistic,
                "plate": whole, "patches": patches,
                "difference": interval.value, "low": interval.low, "high": interval.high, "plates": interval.plates,
                "texts": interval.clusters, "seeds": interval.seeds, "left_out": interval.left_out,
            })  # fmt: skip
    return pd.DataFrame(lines)


def table(title: str, rows: list[Row], data: pd.DataFrame) -> Table:
    """Three columns a score; all of them in one table would be wider than a page."""
    columns = [Column("Method", [Cell(row.title, marks=row.marks) for row in rows])]
    for metric in data["metric"].unique():
        kind, mine = METRICS[metric], data[data["metric"] == metric].set_index("method")
        unit = f" ({kind.unit})" if kind.unit else ""
        lines = [mine.loc[row.name] if row.name in mine.index else None for row in rows]
        for column in ("plate", "patches"):
            numbers = [math.nan if line is None else kind.factor * float(line[column]) for line in lines]
            name = f"{kind.label}, {'whole' if column == 'plate' else column}{unit}"
            columns.append(Column(name, [Cell(text.number(number, kind.decimals)) for number in numbers]))
        columns.append(Column("difference", [Cell() if line is None else _cell(line, metric) for line in lines]))
    return Table(f"{title}: patches against whole plates", columns)


def _cell(line: pd.Series, metric: str) -> Cell:
    """The difference; bold where its interval leaves out 0."""
    counts = (int(line[name]) for name in ("plates", "texts", "seeds", "left_out"))
    interval = Interval(float(line["difference"]), float(line["low"]), float(line["high"]), *counts)
    digits = METRICS[metric].decimals + (METRICS[metric].engine is None)  # both ways agree within hundredths of a dB
    told_apart = round(METRICS[metric].factor * interval.value, digits) != 0  # rounding of sums decides nothing
    decided = told_apart and (interval.above() or interval.below())
    return Cell(shown(interval, metric, digits), rank=int(decided), marks="*" * bool(interval.left_out))


def _in_patches_anyway(name: str) -> bool:
    entry = methods.find(name)
    return entry is not None and getattr(entry.method, "max_side", None) == PATCH


def caption(results: Results, rows: list[Row], data: pd.DataFrame) -> list[str]:
    """What patches are here, and what was resampled."""
    most = max(rows, key=lambda row: len(row.seeds))
    alone = ", ".join(row.title for row in rows if _in_patches_anyway(row.name))
    left_out = ["* Pairs without a finite difference are left out."] if (data["left_out"] > 0).any() else []
    return [
        "Scores of the same weights on whole plates and in patches: windows of 8×8 LR pixels (64×64 HR) that overlap "
        "by half and are blended with a raised cosine. The paper upscales overlapping patches and aggregates them; it "
        "states neither overlap nor aggregation, so both are ours. The weights are those best on whole "
        f"{results.selected_on} plates. Difference: mean of patches minus whole plates, plate by plate, with its "
        "interval; bold where that leaves out 0.",
        *([_ROUNDING.format(alone)] if alone else []),
        statistics.resampled(difference(results, most, "psnr")),
        *left_out,
        *conventions.marks(results),
    ]
