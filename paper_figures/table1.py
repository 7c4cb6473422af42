"""Table 1 as the paper prints it: parameters, PSNR, PSNR_Y and OCR confidence, the paper's values beneath ours.

Its CSV file has all numbers of all methods (:func:`frame`); :mod:`paper_figures.table1_full` shows them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from benchmark.scoring.metrics import METRICS
from paper_figures.common import columns, conventions, paper, text, ties
from paper_figures.common.drawing import Drawing
from paper_figures.common.results import Results, Row
from paper_figures.common.tables import Cell, Column, Table
from paper_figures.common.ties import Ranking

NAME = "table1"
TITLE = "Table 1. Super-resolution of license plates, ×8"
NEEDS = "table1"

BESIDE_PAPER = ("psnr", "psnr_y", "confidence")
"""Metrics of the paper's Table 1."""
_ELSEWHERE = ("readings", "sweep", "related", "related-large", "ablation", "ablation-printed", "bound")
"""Groups whose methods stand in other tables, and in table1_full."""
_SHORT = {
    "psnr": "PSNR",
    "confidence": "OCR ρ",
    "plate_correct": "plates %",
    "character_accuracy": "characters %",
    "best_iteration": "best at",
}  # headings for the terminal


def draw(results: Results) -> Drawing:
    """One narrow table."""
    rows = rows_of(results)
    rankings = {metric: ties.rank(results, rows, metric) for metric in _metrics(rows)}
    return Drawing(
        data=frame(results),
        caption=caption(results, rows, rankings),
        conditions=note(rows),
        tables=[Table("", [*_names(rows), *(_scores(rows, m, ranking) for m, ranking in rankings.items())],
                      narrow=True)],
    )  # fmt: skip


def rows_of(results: Results) -> list[Row]:
    """The paper's methods and the user's own, in the paper's order; where there are none, whatever competes."""
    rows = [row for row in results.competitors if not row.groups or not set(row.groups) <= set(_ELSEWHERE)]
    return rows or results.competitors or results.rows


def _metrics(rows: Sequence[Row]) -> list[str]:
    """The paper's columns; OCR confidence only where something was read."""
    return [metric for metric in BESIDE_PAPER if metric == "psnr" or any(metric in row.scores for row in rows)]


def _names(rows: Sequence[Row]) -> list[Column]:
    """Methods and their numbers of parameters."""
    scored = [bool(paper.score(row.name, "psnr")) for row in rows]
    titles = columns.method_column(rows).cells
    counts = columns.parameter_column(rows).cells
    printed = [paper.value(row.name, "parameters") for row in rows]
    return [
        Column("Method", [replace(c, beneath="paper" if k else "") for c, k in zip(titles, scored, strict=True)]),
        Column("#p", [replace(c, beneath=p.text if p else "") for c, p in zip(counts, printed, strict=True)]),
    ]


def _scores(rows: Sequence[Row], metric: str, ranking: Ranking) -> Column:
    """Ours with its rank, the paper's beneath."""
    return Column(columns.heading(metric), [
        Cell(columns.written(row, metric, deviation=True), ranking.place(row.name), columns.mark(row, metric),
             paper.score(row.name, metric))
        for row in rows
    ])  # fmt: skip


# -- caption and note ------------------------------------------------------------------------------


def caption(results: Results, rows: Sequence[Row], rankings: dict[str, Ranking]) -> list[str]:
    """What is shown, and which differences count."""
    pooled = f", {text.plural(len(results.seeds), 'seed')} pooled" if len(results.seeds) > 1 else ", one seed"
    plates = text.plural(results.data.test, "test plate")
    sentences = [f"Median ± standard deviation over {plates}{pooled}."]
    if any(paper.score(row.name, "psnr") for row in rows):
        sentences.append("Beneath, in grey: the paper's.")
    return [*sentences, _deciding(rows, rankings), _budget(results)]


def _budget(results: Results) -> str:
    """What a training was given, in a few words."""
    if not any(row.trained for row in results.rows):
        return "Nothing here was trained."
    iterations, train = f"{results.reference.iterations:,}", results.config.train
    more = ", on top of those of the weights it started from" if train.warm_start == "reference" else ""
    return (
        f"Trained with {iterations} iterations of {train.batch_size} patches{more} (the paper: {paper.ITERATIONS:,} "
        "iterations)."
    )


def _deciding(rows: Sequence[Row], rankings: dict[str, Ranking]) -> str:
    """How ranks are shared, and the smallest difference that makes two of them."""
    if len(rows) < 2:
        return ""
    smallest = {metric: ranking.smallest for metric, ranking in rankings.items() if not math.isnan(ranking.smallest)}
    if not smallest:
        return "These plates cannot rank the methods: fewer than two plate numbers have scores."
    listed = [_in_units(metric, value) for metric, value in smallest.items()]
    left_out = any(ranking.left_out for ranking in rankings.values())
    more = f" Only the {ties.MOST} methods with the best mean of a column are compared." if left_out else ""
    return (
        "Bold: first; bold and underlined: second, by the mean difference plate by plate; methods that these plates "
        "cannot tell apart (Holm's correction over all pairs) share a rank. Smallest difference they can decide: "
        f"{', '.join(listed)}.{more}"
    )


def _in_units(metric: str, value: float) -> str:
    kind = METRICS[metric]
    unit = f" {kind.unit}" if kind.unit else ""
    return f"{text.number(kind.factor * value, kind.decimals)}{unit} in {kind.label}"


def note(rows: Sequence[Row]) -> list[str]:
    """One line on the marks that occur; what they mean row by row is said in table1_full."""
    summaries = [row.scores.get(metric) for row in rows for metric in BESIDE_PAPER]
    marks = [
        ("† made by another version", any(row.stale for row in rows)),
        ("‡ made under other conditions", any(row.differs for row in rows)),
        ("* some plates have no number", any(s is not None and s.lacking for s in summaries)),
    ]
    listed = [words for words, occurs in marks if occurs]
    return ["; ".join(listed) + "."] if listed else []


# -- for the terminal ------------------------------------------------------------------------------


def short(results: Results, wide: bool) -> Table:
    """One table for the terminal: 80 columns, or about 110 with the second-rank metrics too."""
    rows = results.main_rows
    metrics = ["psnr_y", "ssim"] if wide else []
    if results.has_readings:
        metrics += ["confidence", "plate_correct"] + ["character_accuracy"] * wide
    shown = [columns.method_column(rows), columns.parameter_column(rows)]
    shown.append(replace(columns.score_column(rows, "psnr", deviation=wide), header=_SHORT["psnr"]))
    shown += columns.paper_columns(rows, "psnr")
    shown += [replace(columns.score_column(rows, m), header=_SHORT.get(m, METRICS[m].label)) for m in metrics]
    shown.append(replace(columns.convergence_column(rows), header=_SHORT["best_iteration"]))
    return Table(f"{TITLE}: {results.folder.resolve().name}", shown, columns.rules(rows))


def legend(results: Results) -> list[str]:
    """The least that makes :func:`short` readable."""
    plates = text.plural(results.data.test, "test plate")
    lines = [
        f"PSNR in dB: median over {plates}, {text.plural(len(results.seeds), 'seed')}; accuracies: mean. "
        "Bold is best, underlined second, by the numbers as shown. Footnotes and conventions: table1_full.md"
    ]
    return [*lines, *([leaks] if (leaks := conventions.leaks(results)) else []), *conventions.marks(results)]


# -- CSV -------------------------------------------------------------------------------------------


def frame(results: Results, rows: Sequence[Row] | None = None) -> pd.DataFrame:
    """All numbers behind the tables, unrounded, one line a method; accuracies as fractions. ``*_rank`` is by the
    numbers as shown. ``verify`` compares it with the stored file."""
    rows = results.main_rows if rows is None else rows
    data: dict[str, list[object]] = {
        "method": [row.name for row in rows],
        "title": [row.title for row in rows],
        "seeds": [" ".join(map(str, row.seeds)) for row in rows],
        "parameters": [row.parameters for row in rows],
        "parameters_paper": [columns.paper_parameters(row)[0] for row in rows],
    }
    for metric in METRICS:
        summaries = [row.scores.get(metric) for row in rows]
        if not any(summaries):
            continue
        for key in ("median", "sd", "mean", "n", "lacking"):
            data[f"{metric}_{key}"] = [None if s is None else getattr(s, key) for s in summaries]
        data[f"{metric}_rank"] = [place or None for place in columns.shown_ranks(rows, metric)]
        if metric in BESIDE_PAPER:
            printed = [paper.value(row.name, metric) for row in rows]
            data[f"{metric}_paper"] = [p.value if p else None for p in printed]
            data[f"{metric}_delta"] = [columns.deviation(row, metric) for row in rows]
    intervals = [results.interval(row, "psnr") for row in rows]
    data["psnr_mean_low"] = [interval.low for interval in intervals]
    data["psnr_mean_high"] = [interval.high for interval in intervals]
    printed = [paper.value(row.name, "best_iteration") for row in rows]
    data["best_iteration"] = [row.best_iteration for row in rows]
    data["best_iteration_by_seed"] = [" ".join(map(str, row.best_iterations)) if row.trained else "" for row in rows]
    data["best_iteration_paper"] = [p.value if p else None for p in printed]
    data["stale"] = [row.stale for row in rows]
    data["differs"] = ["; ".join(row.differs) for row in rows]
    return pd.DataFrame(data).convert_dtypes()
