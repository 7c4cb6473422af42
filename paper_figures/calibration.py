"""Accuracy against OCR confidence: may a reading be believed that the OCR engine is sure of?"""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from paper_figures.common import conventions, style, text
from paper_figures.common.confidence import BINS, Engine, bin_of, ece, engines, reliability, wilson
from paper_figures.common.drawing import Drawing, NothingToDraw
from paper_figures.common.results import Results, Row

NAME = "calibration"
TITLE = "Accuracy against OCR confidence"
NEEDS = "table1"

_COLUMNS = 4
_LEFT, _RIGHT, _BOTTOM, _GAP, _HEAD, _LEGEND = 0.50, 0.06, 0.40, 0.12, 0.25, 0.16  # inches
_LOOKS = (("#D55E00", "o", -0.012), ("#0072B2", "s", 0.012))  # the shift keeps bars of both engines apart


def draw(results: Results) -> Drawing:
    """One small panel a method: share of plates read completely, by the confidence of the OCR engine."""
    ocr_engines = engines(results)
    rows = [row for row in results.main_rows if any(len(engine.readings(results, row)) for engine in ocr_engines)]
    if not rows:
        raise NothingToDraw(conventions.not_read(results))
    data = frame(results, rows, ocr_engines)
    with style.style():
        figure = _figure(rows, ocr_engines, data)
    return Drawing(
        data=data,
        caption=caption(results, ocr_engines),
        conditions=[conventions.data(results), conventions.ocr(results)],
        figure=figure,
    )


def frame(results: Results, rows: list[Row], ocr_engines: list[Engine]) -> pd.DataFrame:
    """One line a (engine, method, bin); an empty bin has no confidence and accuracy. ``ece`` is the method's."""
    parts = []
    for number, engine in enumerate(ocr_engines, 1):
        for row in rows:
            readings = engine.readings(results, row)
            if readings.empty:
                continue
            table = reliability(readings["confidence"], readings["correct"])
            texts = (
                readings.groupby(bin_of(readings["confidence"]))["text"].nunique().reindex(range(BINS), fill_value=0)
            )
            ends = [wilson(share, n) for share, n in zip(table["accuracy"], texts)]
            table = table.assign(
                plate_texts=texts, accuracy_low=[low for low, _ in ends], accuracy_high=[high for _, high in ends],
                ece=ece(readings["confidence"], readings["correct"]),
            )  # fmt: skip
            for place, (name, value) in enumerate(
                (("judge", number), ("judge_name", engine.name), ("method", row.name))
            ):
                table.insert(place, name, value)
            parts.append(table)
    return pd.concat(parts, ignore_index=True)


def _figure(rows: list[Row], ocr_engines: list[Engine], data: pd.DataFrame) -> Figure:
    panel = (style.PAGE - _LEFT - _RIGHT) / _COLUMNS
    side = panel - _GAP
    columns = min(_COLUMNS, len(rows))
    legend = _LEGEND if len(ocr_engines) > 1 else 0.0
    width = _LEFT + columns * panel + _RIGHT
    height = legend + math.ceil(len(rows) / columns) * (side + _HEAD) + _BOTTOM
    figure = Figure(figsize=(width, height))
    for i, row in enumerate(rows):
        line, column = divmod(i, columns)
        y = height - legend - (line + 1) * (side + _HEAD)
        box = ((_LEFT + column * panel) / width, y / height, side / width, side / height)
        axes = figure.add_axes(box)
        _panel(axes, row, data[data["method"] == row.name])
        lowest = i + columns >= len(rows)
        axes.set_xticks((0, 0.5, 1), ("0", "0.5", "1") if lowest else ("", "", ""))
        axes.set_yticks((0, 0.5, 1), ("0", "50", "100") if not column else ("", "", ""))
        axes.set_xlabel("OCR confidence" if lowest else "")
        axes.set_ylabel("" if column else "plates right (%)")
    if legend:
        handles = [
            Line2D(
                [], [], color=colour, marker=marker, ls="", label=f"{which} OCR engine: {style.shorten(engine.name)}"
            )
            for which, engine, (colour, marker, _) in zip(("first", "second"), ocr_engines, _LOOKS)
        ]
        figure.legend(
            handles=handles, loc="upper left", bbox_to_anchor=(_LEFT / width - 0.01, 1), ncols=2, frameon=False,
            borderaxespad=0, handletextpad=0.1,
        )  # fmt: skip
    return figure


def _panel(axes: Axes, row: Row, data: pd.DataFrame) -> None:
    axes.plot([0, 1], [0, 1], color=style.GREY, lw=0.7, ls=(0, (3, 2)), zorder=1)
    for number, (colour, marker, shift) in enumerate(_LOOKS, 1):
        mine = data[(data["judge"] == number) & (data["plates"] > 0)]
        if mine.empty:
            continue
        x = mine["confidence"] + shift
        axes.vlines(x, mine["accuracy_low"], mine["accuracy_high"], color=colour, lw=0.8, alpha=0.6, zorder=2)
        share = mine["plates"] / mine["plates"].sum()
        axes.scatter(x, mine["accuracy"], s=5 + 45 * share, color=colour, marker=marker, ec="white", lw=0.3, zorder=3)
        axes.annotate(
            f"ECE {text.number(float(mine['ece'].iloc[0]), 3)}", (0, 1), xycoords="axes fraction",
            xytext=(3, -2 - (number - 1) * style.FONT * 1.2), textcoords="offset points", va="top",
            color=style.darker(colour), fontsize=style.FONT - 0.5, zorder=4,
            bbox={"fc": "white", "ec": "none", "pad": 0.6},
        )  # fmt: skip
    axes.set(xlim=(-0.04, 1.04), ylim=(-0.04, 1.04))
    axes.set_title(style.label(row), fontsize=style.FONT, pad=3)


def caption(results: Results, ocr_engines: list[Engine]) -> list[str]:
    """How to read the panels, and the conditions."""
    seeds = " of all seeds" if len(results.seeds) > 1 else f", seed {results.seeds[0]} only"
    only = [] if len(ocr_engines) > 1 else ["One OCR engine only: another one may be calibrated otherwise."]
    return [
        f"Share of plates read completely against the confidence of the OCR engine: test plates{seeds} in {BINS} "
        "bins of equal width, each point at its bin's mean confidence, its area growing with the bin's share of "
        "plates. Bars: Wilson's 95 % interval, n the number of different plate texts in the bin. On the dashed line "
        "confidence is accuracy; below it readings are less often right than the engine is sure. ECE: expected "
        "calibration error over these bins (Guo et al. 2017). A plate of which nothing is read has confidence 0.",
        *only,
        *conventions.marks(results),
    ]
