"""XLPSR points of stored readings: at every abstention threshold, and at the one that validation plates have chosen."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pandas as pd

from benchmark.scoring import xlpsr
from benchmark.scoring.plate_scores import CHARACTERS
from paper_figures.common import statistics
from paper_figures.common.confidence import Engine
from paper_figures.common.results import Results, Row
from paper_figures.common.statistics import Interval


def has_confidences(results: Results, row: Row, engine: Engine) -> bool:
    """Whether the engine said of any plate how sure it was of each character."""
    return bool(np.isfinite(points(results, row, engine)).any())


def points(results: Results, row: Row, engine: Engine) -> np.ndarray:
    """Points of every plate of a method at every threshold, in the order of ``plates_of``: plates × thresholds, NaN
    where the engine's confidences of characters are lacking."""
    plates, nothing = results.plates_of(row), np.full(len(xlpsr.THRESHOLDS), math.nan)
    columns = ["read" + engine.suffix, CHARACTERS + engine.suffix]
    if not set(columns) <= set(plates) or _silent(plates, *columns) or _silent(results.plates, *columns):
        return np.tile(nothing, (len(plates), 1))
    read = plates["plate_correct" + engine.suffix].notna()  # not: no text, or none that the engine could write
    rows = [
        xlpsr.points(*values) if mine else None
        for mine, *values in zip(read, plates[columns[0]], plates[columns[1]], plates["text"])
    ]
    return np.array([nothing if row is None else row for row in rows])


def _silent(plates: pd.DataFrame, read: str, characters: str) -> bool:
    """Whether something was read, and nothing said of single characters: where all that was read is empty, a method
    has no points, but an engine that is never sure of characters may have read it."""
    return bool(plates[characters].isna().all() and (plates[read].fillna("") != "").any())


def thresholds(results: Results, row: Row, engine: Engine) -> dict[int, float]:
    """By seed, the threshold that validation plates have chosen (1/3 where none could be read) for the weights of the
    row; none where that of the last weights was not stored."""
    name: Literal["judge", "second_judge"] = "second_judge" if engine.suffix else "judge"
    end, chosen = results.is_end(row.name), dict[int, float]()
    for record in results.records:
        if record.method == (row.of or row.name):  # of a seed that was best at its end both are the same
            stored = record.abstention_last if end and record.selected_as else record.abstention
            chosen |= {record.seed: stored[name].threshold} if name in stored else {}
    return chosen


def how_chosen(results: Results) -> str:
    """Where the thresholds are from, to follow "the threshold"."""
    if results.data.protocol == "paper":
        return "1/3 (the paper's protocol has no validation plates)"
    return "that the run's own validation plates have chosen"


def score(results: Results, row: Row, engine: Engine) -> Interval:
    """Mean XLPSR points a plate at the thresholds chosen on validation plates, with its interval."""
    plates, chosen = results.plates_of(row), thresholds(results, row, engine)
    at = points(results, row, engine)
    seeds = plates["seed"] if "seed" in plates else [next(iter(chosen), 0)] * len(plates)
    columns = [int(np.abs(xlpsr.THRESHOLDS - chosen[seed]).argmin()) if seed in chosen else -1 for seed in seeds]
    values = [line[column] if column >= 0 else math.nan for line, column in zip(at, columns)]
    return statistics.interval(plates.assign(points=values), "points")
