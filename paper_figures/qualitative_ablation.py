"""Figure 12 of the paper: test plates by PECL's network with the pixel loss alone and with either distance."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd

from paper_figures.common import paper, side_by_side
from paper_figures.common.drawing import Drawing, NothingToDraw
from paper_figures.common.results import Results, Row
from paper_figures.common.side_by_side import Column

NAME = "qualitative_ablation"
TITLE = "Test plates by PECL's loss: MSE, Manhattan, Euclidean (the paper's Fig. 12)"
NEEDS = "ablation"
PICTURES = True

DISTANCES = ("manhattan", "euclidean")
SHORT = {"manhattan": "Man", "euclidean": "Euc"}
"""As in the paper's figure."""


def draw(results: Results) -> Drawing:
    """HR, LR, MSE, and the best dimension of either distance; what has no result is left out, and said."""
    members = [row for row in results.rows if NEEDS in row.groups and row.family == "pecl"]
    columns = [Column(row, "MSE") for row in members if row.options.get("term") == "none"][:1]
    lacking = [] if columns else ["MSE"]
    for distance in DISTANCES:
        rows = [row for row in members if row.options.get("term") != "none" and row.options.get("distance") == distance]
        row = best(results, rows)
        if row is None:
            lacking.append(distance.title())
        else:
            columns.append(Column(row, f"{SHORT[distance]} {row.options.get('dimension')}"))
    if not columns:
        raise NothingToDraw("no method of the ablation has a result with validations")
    start = (
        "Test plates: HR, LR (its pixels enlarged), and the outputs of PECL's network trained with the pixel loss "
        "alone (MSE) and with the contrastive term on Manhattan (Man) and Euclidean (Euc) distances, each with the "
        f"dimension of the embedding (beside the name) that was best on the {results.selected_on} plates; the paper "
        "does not state the dimension in its figure. Its text gives PSNR / PSNR_Y of Man on three plates of its own: "
        f"{_printed()} dB."
    )
    if lacking:
        start += f" No result yet of: {', '.join(lacking)}."
    drawing = side_by_side.draw(results, columns, start, hr_first=True, luma=True)
    theirs = pd.DataFrame(
        [{"method": "paper", "title": f"PECL (Man), example {number} of the paper", "psnr": psnr.value,
          "psnr_y": luma.value} for number, (psnr, luma) in enumerate(paper.examples(), 1)]
    )  # fmt: skip
    return replace(drawing, data=pd.concat([drawing.data, theirs], ignore_index=True))


def _printed() -> str:
    return "; ".join(f"{psnr.text} / {luma.text}" for psnr, luma in paper.examples())


def best(results: Results, rows: list[Row]) -> Row | None:
    """The row with the highest best validation PSNR (mean over its seeds); None if none was validated."""
    scores = {row.name: validation(results, row) for row in rows}
    scored = [row for row in rows if not math.isnan(scores[row.name])]
    return max(scored, key=lambda row: scores[row.name], default=None)


def validation(results: Results, row: Row) -> float:
    """Best validation PSNR of a method in dB, mean over its seeds; NaN if it has none."""
    mine = results.history[results.history["method"] == row.name]
    tops = mine["val_psnr"].replace([np.inf, -np.inf], np.nan).groupby(mine["seed"]).max()
    return float(tops.mean()) if len(tops) else math.nan
