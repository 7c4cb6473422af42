"""The run's weights on other plates: a column of Table 1 for each set of plates that they were scored on."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from benchmark.scoring.metrics import METRICS
from paper_figures.common import columns, test_sets, text
from paper_figures.common.drawing import Drawing
from paper_figures.common.results import Results, Row
from paper_figures.common.tables import Cell, Column, Table

NAME = "cross_data"
TITLE = "The same weights on other plates"
NEEDS = "table1"

_SHOWN = ("psnr", "plate_correct")


def draw(results: Results) -> Drawing:
    """One table: PSNR and plates read, on the run's own plates and on each other set."""
    sets = test_sets.test_sets(results, "restore")
    titles = test_sets.titles(sets)
    parts = [("own plates", results), *zip(titles, sets, strict=True)]
    rows = rows_of(results, sets)
    return Drawing(
        data=frame(rows, parts),
        caption=caption(results, sets, titles),
        conditions=[test_sets.ocr(results, sets)],
        tables=[Table("", [columns.method_column(rows), *(c for part in parts for c in _columns(rows, *part))],
                      columns.rules(rows))],
    )  # fmt: skip


def rows_of(results: Results, sets: Sequence[Results]) -> list[Row]:
    """The main rows that were scored on some other set."""
    return [row for row in results.main_rows if any(scores.row(row.name) for scores in sets)]


def _columns(rows: Sequence[Row], title: str, scores: Results) -> list[Column]:
    scored = [scores.row(row.name) for row in rows]
    made = []
    for metric in _SHOWN:
        if metric == "psnr" or any(row is not None and metric in row.scores for row in scored):
            present = [row for row in scored if row is not None]
            ranked = dict(zip((row.name for row in present), columns.shown_ranks(present, metric), strict=True))
            cells = [
                Cell() if row is None
                else Cell(columns.written(row, metric, metric == "psnr"), ranked[row.name], columns.mark(row, metric))
                for row in scored
            ]  # fmt: skip
            made.append(Column(f"{title}: {columns.heading(metric)}", cells))
    return made


def frame(rows: Sequence[Row], parts: Sequence[tuple[str, Results]]) -> pd.DataFrame:
    """One line a (set, method), unrounded; accuracies as fractions."""
    lines = []
    for title, scores in parts:
        for row in filter(None, (scores.row(row.name) for row in rows)):
            line: dict[str, object] = {"plates": title, "method": row.name, "title": row.title}
            for metric in METRICS:
                if (summary := row.scores.get(metric)) is not None:
                    line |= {f"{metric}_{key}": getattr(summary, key) for key in ("median", "sd", "mean", "n")}
            lines.append(line)
    return pd.DataFrame(lines).convert_dtypes()


def caption(results: Results, sets: Sequence[Results], titles: Sequence[str]) -> list[str]:
    """What was scored, and on how many plates."""
    return [
        "Weights trained on the run's own plates and scored on plates of other data sets, on which no method was "
        "trained or chosen. PSNR: median ± standard deviation.",
        f"Own plates: {results.data.test:,}.",
        *(line for scores, title in zip(sets, titles, strict=True) for line in
          test_sets.remarks(results, scores, text.one_line(title))),
        *test_sets.left_out((results, *sets), ["plate_correct"]),
    ]  # fmt: skip
