"""Paired differences of every method to PECL and to the best, with intervals, tests, and ties as ties."""

from __future__ import annotations

import math

import pandas as pd

from benchmark.scoring.metrics import METRICS
from paper_figures.common import conventions, statistics, text
from paper_figures.common.drawing import Drawing, NothingToDraw
from paper_figures.common.paired import UNKNOWN, Comparison, compare, probability, shown
from paper_figures.common.results import Results, Row
from paper_figures.common.tables import Cell, Column, Table

NAME = "comparisons"
TITLE = "Paired differences to PECL and to the best method"
NEEDS = "table1"

PECL = "pecl"
METRICS_SHOWN = ("psnr", "plate_correct", "plate_correct_second")


def best(results: Results) -> Row | None:
    """The competitor with the highest median PSNR; None if no median is finite."""
    rows = [row for row in results.competitors if math.isfinite(row.scores["psnr"].median)]
    return max(rows, key=lambda row: row.scores["psnr"].median, default=None)


def references(results: Results) -> list[Row]:
    """PECL (``pecl``) and the best, each once."""
    rows = [row for row in (results.row(PECL), best(results)) if row is not None]
    return list({row.name: row for row in rows}.values())


def draw(results: Results) -> Drawing:
    """One table a reference."""
    compared = [
        (reference, comparison)
        for reference in references(results)
        for metric in METRICS_SHOWN
        for comparison in compare(results, contenders(results), reference, metric)
    ]
    if not compared:
        raise NothingToDraw("fewer than two methods have scores to compare")
    by_reference: dict[str, list[Comparison]] = {}
    for reference, comparison in compared:
        by_reference.setdefault(reference.name, []).append(comparison)
    return Drawing(
        data=frame([comparison for _, comparison in compared]),
        caption=caption(results, list(by_reference.values())),
        conditions=[conventions.data(results)],
        tables=[part for group in by_reference.values() for part in _tables(results, group)],
    )


def contenders(results: Results) -> list[Row]:
    """Table 1's methods, then those of the ablation alone."""
    competitors = results.competitors
    names = {row.name for row in competitors}
    return competitors + [row for row in results.rows if not row.is_bound and row.name not in names]


# -- the table -------------------------------------------------------------------------------------


def _tables(results: Results, compared: list[Comparison]) -> list[Table]:
    """One table, and one for the second OCR engine: beside the first they would be wider than a page."""
    first = [comparison for comparison in compared if METRICS[comparison.metric].engine != "second"]
    second = [comparison for comparison in compared if METRICS[comparison.metric].engine == "second"]
    parts = ((first, ""), (second, ", second engine"))
    return [_table(results, part, whose) for part, whose in parts if part]


def _table(results: Results, compared: list[Comparison], whose: str) -> Table:
    reference = compared[0].reference
    rows = [row for row in contenders(results) if any(c.row.name == row.name for c in compared)]
    columns = [Column("Method", [Cell(row.title, marks=row.marks) for row in rows])]
    for metric in METRICS_SHOWN:
        mine = {c.row.name: c for c in compared if c.metric == metric}
        if not mine:
            continue
        kind = METRICS[metric]
        heading = f"{kind.label.removesuffix(whose)} ({'points' if kind.unit == '%' else kind.unit})"
        in_order = [mine.get(row.name) for row in rows]
        columns += [
            Column(heading, [Cell(shown(c.interval, metric), marks="*" * bool(c.interval.left_out)) if c else Cell()
                             for c in in_order]),
            Column("p", [Cell(probability(c.corrected) if c else text.DASH) for c in in_order]),
            Column("verdict", [Cell(c.verdict if c else text.DASH, rank=_rank(c)) for c in in_order]),
        ]  # fmt: skip
    place = "the best by median PSNR" if best(results) == reference else "the paper's method"
    first = next((i for i, row in enumerate(rows) if row.only_ablation), 0)
    return Table(f"Method minus {reference.title} ({place}){whose}", columns, (first,) if first else ())


def _rank(comparison: Comparison | None) -> int:
    """Bold for what differs."""
    return int(comparison is not None and comparison.decided)


def caption(results: Results, by_reference: list[list[Comparison]]) -> list[str]:
    """What was compared, resampled and tested, one sentence after the other."""
    everything = [comparison for group in by_reference for comparison in group]
    most = max((c.interval for c in everything), key=lambda interval: (interval.seeds, interval.clusters))
    titles = " and ".join(group[0].reference.title for group in by_reference)
    has_readings = any(c.metric != "psnr" for c in everything)
    sizes = sorted({len([c for c in group if c.metric == metric]) for group in by_reference
                    for metric in METRICS_SHOWN} - {0})  # fmt: skip
    count = " or ".join(str(size) for size in sizes)
    sentences = [
        f"Mean of the paired differences to {titles} on the same plates and seeds, with its 95 % interval.",
        statistics.resampled(most),
        "p: two-sided, one value a plate text (averaged over seeds and photographs): Wilcoxon's signed-rank test"
        + (" for PSNR, the exact sign test (McNemar's with one seed) for accuracies" if has_readings else "")
        + f"; corrected by Holm over the {count} comparisons of one score with one reference. It speaks of plates, not "
        "of seeds.",
        f"Better or worse (bold): the interval leaves out 0 and p < {1 - statistics.LEVEL:.2g}. Everything else is a "
        "tie.",
    ]
    top = best(results)
    if top is not None and any(group[0].reference == top for group in by_reference):
        if len(by_reference) == 1 and top.name == PECL:
            sentences.append(f"{top.title} has the best median PSNR itself, so it is the only reference.")
        else:
            sentences.append(f"{top.title} was found best on these same plates, which flatters it slightly.")
    if results.row(PECL) is None:
        sentences.append("There is no result of PECL.")
    left_out = [c for c in everything if c.interval.left_out]
    if left_out:
        listed = "; ".join(f"{c.row.title} and {c.reference.title}, {METRICS[c.metric].label}: {c.interval.left_out}"
                           for c in left_out)  # fmt: skip
        sentences.append(f"* pairs without a finite difference are left out: {listed}.")
    if any(c.verdict == UNKNOWN for c in everything):
        sentences.append(f"{text.DASH}: fewer than two plate texts in common, so nothing can be said.")
    return [*sentences, *conventions.marks(results)]


def frame(compared: list[Comparison]) -> pd.DataFrame:
    """One line a (reference, score, method), unrounded, in the unit of the stored scores."""
    return pd.DataFrame(
        [
            {
                "reference": c.reference.name, "metric": c.metric, "method": c.row.name, "title": c.row.title,
                "difference": c.interval.value, "low": c.interval.low, "high": c.interval.high, "p": c.test.p,
                "p_holm": c.corrected, "verdict": c.verdict if c.verdict != UNKNOWN else "", "test": c.test.name,
                "plates": c.interval.plates, "texts": c.interval.clusters, "seeds": c.interval.seeds,
                "left_out": c.interval.left_out, "stale": c.row.stale or c.reference.stale,
                "differs": "; ".join((*c.row.differs, *c.reference.differs)),
            }
            for c in compared
        ]
    )  # fmt: skip
