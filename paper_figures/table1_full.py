"""Every score of every method: the paper's columns with their deviation, the other scores, intervals, iterations."""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchmark.scoring.metrics import SECOND
from paper_figures.common import conventions, loss_terms, paper, statistics, text
from paper_figures.common.columns import (
    convergence_column,
    footnotes,
    method_column,
    paper_columns,
    paper_parameters,
    parameter_column,
    rules,
    score_column,
)
from paper_figures.common.confidence import engines
from paper_figures.common.drawing import Drawing
from paper_figures.common.results import SECOND_READING, Results, Row
from paper_figures.common.tables import Cell, Column, Table, ranks
from paper_figures.common.xlpsr_scores import how_chosen, score
from paper_figures.table1 import frame

NAME = "table1_full"
TITLE = "All scores of all methods"
NEEDS = "table1"

XLPSR_DECIMALS = 2
BESIDE = {"pecl": "pecl-manhattan-512"}
"""Rows of the ablation that stand here, too, beside another: the paper does not say which dimension its Table 1 has."""


def draw(results: Results) -> Drawing:
    """The whole table, in its parts."""
    rows = rows_of(results)
    shares = [loss_terms.share(results, row) for row in rows]
    data = frame(results, rows)
    data["contrastive_share"] = shares
    notes = [[*row.notes, *loss_terms.only_in_name(row, share)] for row, share in zip(rows, shares, strict=True)]
    return Drawing(
        data=data.convert_dtypes(),
        caption=caption(results, rows),
        conditions=conditions(results, rows),
        tables=tables(results, rows, shares, notes),
        footnotes=footnotes(notes),
    )


def rows_of(results: Results) -> list[Row]:
    """The main rows, and those that stand beside them."""
    shown = []
    for row in results.main_rows:
        beside = results.row(BESIDE.get(row.name, ""))
        shown += [row] if beside is None or beside in results.main_rows else [row, beside]
    return shown


def tables(
    results: Results, rows: Sequence[Row], shares: Sequence[float | None], notes: Sequence[Sequence[str]]
) -> list[Table]:
    """The parts, each narrow enough to read; the reading part only where something was read."""
    parts = {
        "Image quality: median ± standard deviation over test plates": [
            *_parameters(rows), *_beside_paper(rows, "psnr"), *_beside_paper(rows, "psnr_y"),
            score_column(rows, "psnr_y_studio"), score_column(rows, "ssim"),
            *([score_column(rows, "lpips")] if any("lpips" in row.scores for row in rows) else []),
        ],
        "Reading: confidence (median ± standard deviation) and accuracy (mean)": [
            *_beside_paper(rows, "confidence"),
            *(score_column(rows, m) for m in ("plate_correct", "character_accuracy", "tail_correct")),
            *_xlpsr(results, rows, ""),
        ] if results.has_readings else [],
        "Reading by the second OCR engine": [
            *(score_column(rows, metric) for metric in SECOND_READING), *_xlpsr(results, rows, SECOND),
        ] if results.has_second_readings else [],
        "Mean PSNR with its 95 % interval, and training": _mean_and_training(results, rows, shares),
    }  # fmt: skip
    names = method_column(rows, notes)
    return [Table(title, [names, *columns], rules(rows)) for title, columns in parts.items() if columns]


def _beside_paper(rows: Sequence[Row], metric: str) -> list[Column]:
    return [score_column(rows, metric, deviation=True), *paper_columns(rows, metric)]


def _xlpsr(results: Results, rows: Sequence[Row], suffix: str) -> list[Column]:
    """XLPSR points a plate at the threshold chosen on validation plates; no column where no engine's confidences of
    characters are known."""
    engine = next((engine for engine in engines(results) if engine.suffix == suffix), None)
    points = [math.nan if engine is None else score(results, row, engine).value for row in rows]
    if all(math.isnan(value) for value in points):
        return []
    competing = [None if row.is_bound or math.isnan(value) else value for row, value in zip(rows, points, strict=True)]
    places = ranks(competing, XLPSR_DECIMALS, higher_is_better=True)
    shown = [text.number(value, XLPSR_DECIMALS) for value in points]
    return [Column("XLPSR score", [Cell(words, place) for words, place in zip(shown, places, strict=True)])]


def _parameters(rows: Sequence[Row]) -> list[Column]:
    printed = Column("#p paper", [Cell(paper_parameters(row)[1]) for row in rows], grey=True)
    return [parameter_column(rows), printed]


def _mean_and_training(results: Results, rows: Sequence[Row], shares: Sequence[float | None]) -> list[Column]:
    intervals = [results.interval(row, "psnr") for row in rows]
    ends = [f"{text.number(i.low)} – {text.number(i.high)}" if i.bounded else text.DASH for i in intervals]
    printed = [paper.value(row.name, "best_iteration") for row in rows]
    columns = [
        Column("mean PSNR (dB)", [Cell(text.number(row.scores["psnr"].mean)) for row in rows]),
        Column("95 % interval", [Cell(words) for words in ends]),
        convergence_column(rows),
        Column("paper", [Cell(p.text if p else text.DASH) for p in printed], grey=True),
        Column("seeds", [Cell(str(len(row.seeds)) if row.trained else text.DASH) for row in rows]),
    ]
    if any(share is not None for share in shares):
        columns.append(Column("contrastive term's share of the loss", [Cell(loss_terms.percent(s)) for s in shares]))
    return columns


# -- caption ---------------------------------------------------------------------------------------


def caption(results: Results, rows: Sequence[Row]) -> list[str]:
    """How to read the marks."""
    sentences = [
        "Bold is best and underlined second among the competitors (the HR plates are a bound); numbers equal as shown "
        "share the mark. Which differences these plates can decide is in Table 1 and in the paired comparisons.",
    ]
    if any(row.name in BESIDE.values() for row in rows):
        sentences.append(
            "The paper does not say which dimension its Table 1 has (128 in Sec. 3.3, 512 is its best in Sec. 4.2.2): "
            "both stand here."
        )
    if any(_xlpsr(results, rows, engine.suffix) for engine in engines(results)):
        sentences.append(
            "XLPSR score: points a plate, of at most 14 on seven characters (+2 for a right one, −1 for a wrong one, 0 "
            "for one left open), at the abstention threshold " + how_chosen(results) + "."
        )
    return [*sentences, *conventions.marks(results), *conventions.left_out(rows)]


def conditions(results: Results, rows: Sequence[Row]) -> list[str]:
    """How the numbers came about, one convention after the other."""
    intervals = [results.interval(row, "psnr") for row in rows]
    return [
        conventions.against_paper(),
        conventions.pooling(results),
        statistics.resampled(max(intervals, key=lambda each: (each.seeds, each.clusters))),
        loss_terms.SHARE if any(loss_terms.share(results, row) is not None for row in rows) else "",
        *conventions.conditions(results),
    ]
