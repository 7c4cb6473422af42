"""Why our numbers may differ from the paper's: known reasons a cell (``paper_reasons.csv``), and the conditions.

Only what somebody has counted, run or read belongs into the file, with its source; where nothing is known it says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd

from paper_figures.common import text
from paper_figures.common.results import Results

FILE = Path(__file__).with_name("paper_reasons.csv")


@dataclass(frozen=True)
class Reason:
    text: str
    source: str


@dataclass(frozen=True)
class Condition:
    """What holds for all rows: in the paper, in this run, and what is known of its effect ("" where nothing is)."""

    name: str
    paper: str
    ours: str
    effect: str = ""


@cache
def reasons() -> dict[tuple[str, str], Reason]:
    """By (method, metric). Raises ValueError for a line without a source."""
    table = pd.read_csv(FILE, dtype=str, keep_default_na=False)
    unsourced = table[table["source"].str.strip() == ""]
    if len(unsourced):
        raise ValueError(f"{FILE.name}: no source for {unsourced.iloc[0].to_list()[:2]}")
    columns = (table[name] for name in ("method", "metric", "reason", "source"))
    return {(method, metric): Reason(reason, source) for method, metric, reason, source in zip(*columns, strict=True)}


def conditions(results: Results) -> list[Condition]:
    """The paper's conditions beside those of this run."""
    data, engine = results.data, results.reference.judge
    same_split = data.protocol == "paper"
    return [
        Condition(
            "plates",
            "CCPD, 100,000 for training",
            f"{data.name or 'unnamed'}, {data.train:,} for training, {text.plural(data.test, 'test plate')}",
        ),
        Condition(
            "split",
            "100,000 images for training and 1,000 for testing and validation; how they were chosen is not stated",
            "at random" if same_split else "by plate number, none in two parts",
            ""
            if same_split
            else "in a random split of CCPD, 45–50 % of 1,000 test plates have a number seen in training",
        ),
        Condition(
            "selection of weights",
            "highest PSNR during training; on which plates is not stated (one set of 1,000 is given for testing and "
            "validation)",
            f"highest PSNR on the {results.selected_on} plates",
            "selection on the test plates is optimistic" if same_split else "",
        ),
        Condition(
            "budget",
            "1,000,000 iterations of every model; batches of 128, Adam and a cosine are stated of the paper's own, not "
            "of the others",
            f"{results.reference.iterations:,} iterations, batches of {results.config.train.batch_size}",
        ),
        Condition(
            "degradation",
            "×8; the interpolation is not stated",
            "LR given as pictures of their own: nothing was degraded"
            if data.lr == "given"
            else "×8, antialiased bicubic (a = −0.5), 8 bits",
            "without antialiasing, bicubic interpolation alone scores 1–2 dB differently",
        ),
        Condition(
            "PSNR_Y",
            "range of luma not stated; the authors' evaluation code uses the full one",
            "full range",
            "studio range (16–235) gives 1.32 dB more",
        ),
        Condition(
            "OCR engine",
            "PaddleOCR, its confidence; its version, and whether it also detects, are not stated",
            engine.name if engine else "none",
            "confidences of two recognisers do not compare",
        ),
    ]
