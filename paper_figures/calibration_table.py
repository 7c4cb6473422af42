"""Calibration error and confident mistakes of every method, a table for each OCR engine."""

from __future__ import annotations

import math

import pandas as pd

from paper_figures.common import conventions, text
from paper_figures.common.confidence import BINS, CONFIDENT, Engine, confidently_wrong, ece, engines, wilson
from paper_figures.common.drawing import Drawing, NothingToDraw
from paper_figures.common.results import Results
from paper_figures.common.tables import Cell, Column, Table, ranks

NAME = "calibration_table"
TITLE = "Calibration error and confident mistakes"
NEEDS = "table1"


def draw(results: Results) -> Drawing:
    """One table an OCR engine."""
    ocr_engines = engines(results)
    data = frame(results, ocr_engines)
    if data.empty:
        raise NothingToDraw(conventions.not_read(results))
    tables = [_table(results, data[data["judge"] == number], engine) for number, engine in enumerate(ocr_engines, 1)]
    conditions = [conventions.data(results), conventions.ocr(results)]
    return Drawing(data=data, caption=caption(results), conditions=conditions, tables=tables)


def frame(results: Results, ocr_engines: list[Engine]) -> pd.DataFrame:
    """One line a (engine, method); shares from 0 to 1."""
    lines = []
    for number, engine in enumerate(ocr_engines, 1):
        for row in results.main_rows:
            readings = engine.readings(results, row)
            if readings.empty:
                continue
            trust, right = readings["confidence"], readings["correct"]
            wrong, texts = confidently_wrong(trust, right), readings["text"].nunique()
            low, high = wilson(wrong, texts)
            lines.append({
                "judge": number, "judge_name": engine.name, "method": row.name, "plates": len(readings),
                "plate_texts": texts, "mean_confidence": trust.mean(), "accuracy": right.mean(),
                "ece": ece(trust, right), "confidently_wrong": wrong,
                "confidently_wrong_low": low, "confidently_wrong_high": high,
            })  # fmt: skip
    return pd.DataFrame(lines)


def _table(results: Results, data: pd.DataFrame, engine: Engine) -> Table:
    by_name = data.set_index("method")
    rows = [row for row in results.main_rows if row.name in by_name.index]
    lines = [by_name.loc[row.name] for row in rows]
    competing = [math.nan if row.is_bound else line["ece"] for row, line in zip(rows, lines)]
    sure = [math.nan if row.is_bound else 100 * line["confidently_wrong"] for row, line in zip(rows, lines)]
    columns = [
        Column("Method", [Cell(row.title, marks=row.marks) for row in rows]),
        Column("Mean confidence", [Cell(text.number(line["mean_confidence"], 3)) for line in lines]),
        Column("Exact-match accuracy (%)", [Cell(text.number(100 * line["accuracy"], 1)) for line in lines]),
        Column("ECE", [
            Cell(text.number(line["ece"], 3), rank)
            for line, rank in zip(lines, ranks(competing, 3, higher_is_better=False))
        ]),
        Column(f"Wrong at confidence ≥ {CONFIDENT:g} (%)", [
            Cell(_share(line), rank) for line, rank in zip(lines, ranks(sure, 1, higher_is_better=False))
        ]),
    ]  # fmt: skip
    bound = tuple(i for i, row in enumerate(rows) if row.is_bound and i)
    return Table(f"{'Second' if engine.suffix else 'First'} OCR engine: {engine.name}", columns, bound)


def _share(line: pd.Series) -> str:
    value, low, high = (text.number(100 * line["confidently_wrong" + end], 1) for end in ("", "_low", "_high"))
    return f"{value} [{low}, {high}]"


def caption(results: Results) -> list[str]:
    """What the columns are."""
    seeds = "of all seeds" if len(results.seeds) > 1 else f"of seed {results.seeds[0]}"
    return [
        f"Test plates {seeds} pooled. ECE: expected calibration error, the difference of accuracy and mean confidence "
        f"in {BINS} bins of equal width, averaged over plates (Guo et al. 2017). A low ECE does not make a good "
        "method: one that is never read, with confidence near 0, has it too. Last column: share of all plates that are "
        f"not completely right although the confidence of the OCR engine is {CONFIDENT:g} or more, with Wilson's "
        "95 % interval (n the number of different plate texts). Bold is best, underlined second; HR plates are no "
        "competitor.",
        *conventions.marks(results),
    ]
