"""What the contrastive term does: PSNR and plates read against its weight, from none to a tenth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

from benchmark.scoring.metrics import METRICS, SECOND
from paper_figures.common import conventions, loss_terms, style
from paper_figures.common.dimensions import intervals
from paper_figures.common.drawing import Drawing, NothingToDraw
from paper_figures.common.grid import FAMILY
from paper_figures.common.panels import blocks
from paper_figures.common.results import Results, Row

NAME = "weight_sweep"
TITLE = "PSNR and reading against the weight of the contrastive term"
NEEDS = "sweep"

SHOWN = ("psnr", "plate_correct", "plate_correct" + SECOND)


def draw(results: Results) -> Drawing:
    """A panel a score; weights stand at equal steps, as a logarithmic axis would have them but for 0."""
    rows = find(results)
    if len(rows) < 2:
        raise NothingToDraw("fewer than two weights of the contrastive term have a result")
    data = frame(results, rows)
    metrics = [metric for metric in SHOWN if data.loc[data["metric"] == metric, "mean"].notna().any()]
    with style.style():
        figure, (panels,) = blocks([""], 1, len(metrics), 0.1, 1.5)
        for axes, metric in zip(panels[0], metrics, strict=True):
            _panel(axes, data[data["metric"] == metric], list(rows), metric)
    return Drawing(
        data=data,
        caption=caption(results, rows, data),
        conditions=[
            conventions.ocr(results),
            conventions.budget(results),
            conventions.data(results),
            conventions.selection(results),
        ],
        figure=figure,
    )


def find(results: Results) -> dict[float, Row]:
    """The rows by weight, the smallest first: the sweep's, and whatever else was trained like them but for the weight.

    Training with the pixel loss alone has weight 0.
    """
    mine = [row for row in results.rows if row.family == FAMILY]
    mine.sort(key=lambda row: NEEDS not in row.groups)  # of two equal trainings the one made for the sweep
    members = [row for row in mine if NEEDS in row.groups and row.options.get("term") == "attract"]
    like = _rest(members[0]) if members else None
    by_weight: dict[float, Row] = {}
    for row in mine:
        if row.options.get("term") == "none" and row.options.get("network") == "paper":
            by_weight.setdefault(0.0, row)
        elif _rest(row) == like:
            by_weight.setdefault(float(row.options.get("w_contrastive", np.nan)), row)
    return dict(sorted((weight, row) for weight, row in by_weight.items() if np.isfinite(weight)))


def _rest(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.options.items() if name != "w_contrastive"}


def frame(results: Results, rows: dict[float, Row]) -> pd.DataFrame:
    """One line a (metric, weight): the mean over plates with its 95 % interval in the unit of tables, the median, and
    the contrastive term's share of the loss."""
    lines: list[dict[str, Any]] = []
    for metric in SHOWN:
        factor = METRICS[metric].factor
        for weight, row in rows.items():
            interval, summary = results.interval(row, metric), row.scores.get(metric)
            lines.append({
                "metric": metric, "w_contrastive": weight, "method": row.name,
                "mean": factor * interval.value, "low": factor * interval.low, "high": factor * interval.high,
                "median": factor * summary.median if summary else np.nan,
                "plates": interval.plates, "texts": interval.clusters, "seeds": interval.seeds,
                "left_out": interval.left_out,
                "contrastive_share": loss_terms.share(results, row), "stale": row.stale,
                "differs": "; ".join(row.differs),
            })  # fmt: skip
    return pd.DataFrame(lines).astype({"contrastive_share": float})


def _panel(axes: Axes, data: pd.DataFrame, weights: list[float], metric: str) -> None:
    kind, look = METRICS[metric], style.looks(SHOWN)[metric]
    x, mean = np.arange(len(weights)), data["mean"].to_numpy(float)
    low, high = data["low"].to_numpy(float), data["high"].to_numpy(float)
    axes.vlines(x, low, high, color=look.colour, lw=1.1)
    axes.plot(x, mean, color=look.colour, ls="-", marker=look.marker, mec="white", zorder=3)
    title = kind.label.replace("Exact-match accuracy", "Exact match")  # the whole is wider than a panel
    axes.set(title=title, ylabel=f"mean ({kind.unit})", xlabel="weight of the contrastive term")
    axes.xaxis.set_major_locator(FixedLocator(list(x)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([_weight(weight) for weight in weights])
    axes.set_xlim(-0.35, len(weights) - 0.65)
    axes.margins(y=0.12)
    if kind.unit == "%":
        axes.set_ylim(bottom=0.0)


def _weight(weight: float) -> str:
    """``0``, ``1e-1``, ``2.5e-5``."""
    mantissa, exponent = f"{weight:.3e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}" if 0 < weight < 1 else f"{weight:g}"


def caption(results: Results, rows: dict[float, Row], data: pd.DataFrame) -> list[str]:
    """What is drawn, what was resampled, and how much of the loss each weight is."""
    shares = {weight: loss_terms.share(results, row) for weight, row in rows.items() if weight > 0}
    stored = {weight: share for weight, share in shares.items() if share is not None}
    listed = [f"{_weight(weight)}: {loss_terms.percent(share)}" for weight, share in stored.items()]
    return [
        "Mean over the test plates of PSNR and of the share of plates read completely, by each OCR engine, for PECL's "
        "network trained with a fixed weight of the contrastive term; the pixel loss has the rest, at 0 all. The "
        "paper's weights are learned: no number of it belongs here.",
        intervals(data).replace("Bars and bands", "Bars"),
        f"{loss_terms.SHARE} By weight: {'; '.join(listed)}." if listed else "",
        *conventions.marks(results),
    ]
