"""What PECL's two losses were in training, from its history."""

from __future__ import annotations

import pandas as pd

from paper_figures.common import text
from paper_figures.common.results import Results, Row

COLUMNS = ("w_pixel", "w_contrastive", "pixel", "contrastive", "distance", "dead_gradient")
"""What methods with PECL's loss write to their history."""
SMALL = 0.01
"""A contrastive term with a smaller share of the loss decides nothing."""
SHARE = (
    "The contrastive term's share of the loss is its weighted part of the total on the training batch just before the "
    "last validation, mean over seeds."
)


def share(results: Results, row: Row) -> float | None:
    """The contrastive term's share of the loss at the last validation, mean over seeds; None where there is no such
    term, no loss left to share, or no such history."""
    history = results.history
    if any(name not in history for name in COLUMNS):
        return None
    mine = history[(history["method"] == row.name) & history["w_pixel"].notna()]
    if mine.empty:
        return None
    last = mine.sort_values("iteration").groupby("seed").tail(1)
    last = last[last["dead_gradient"] != 1]
    return float(shares(last).mean()) if len(last) else None


def shares(history: pd.DataFrame) -> pd.Series:
    """The share at every validation: as stored, and worked out where it was not; 0 where there is no loss left."""
    weighted, pixel = history["w_contrastive"] * history["contrastive"], history["w_pixel"] * history["pixel"]
    worked_out = (weighted / (weighted + pixel)).fillna(0.0)
    return history["contrastive_share"].fillna(worked_out) if "contrastive_share" in history else worked_out


def percent(value: float | None) -> str:
    """``0.04 %``, ``37 %``, or a dash; at least two digits are shown of what is not nothing."""
    if value is None or value != value:
        return text.DASH
    return "0 %" if value == 0 else f"{100 * value:.2g} %" if value >= 1e-6 else "< 0.0001 %"


def only_in_name(row: Row, share: float | None) -> list[str]:
    """A sentence on a row with a fixed weight whose contrastive term has next to nothing of the loss."""
    if share is None or not share < SMALL or row.options.get("weights") != "fixed":
        return []
    return [f"{row.title}: the contrastive term has {percent(share)} of the loss; this row is MSE in all but name."]
