"""The XLPSR challenge's score against the confidence below which an OCR engine leaves a character open."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from benchmark.scoring import xlpsr
from paper_figures.common import conventions, style, text
from paper_figures.common.confidence import Engine, engines
from paper_figures.common.drawing import Drawing, NothingToDraw
from paper_figures.common.results import Results, Row
from paper_figures.common.style import Label, Look
from paper_figures.common.xlpsr_scores import has_confidences, points, score, thresholds

NAME = "abstention"
TITLE = "XLPSR score against the abstention threshold"
NEEDS = "table1"

_NONE = (
    "It is 1/3 where no validation plate could be read: under the paper's protocol there are none apart from test "
    "plates, and texts may be unknown or of another alphabet."
)


def draw(results: Results) -> Drawing:
    """One panel an OCR engine, one line a method; the threshold chosen on validation plates is marked."""
    ocr_engines = [
        engine for engine in engines(results) if any(has_confidences(results, row, engine) for row in results.main_rows)
    ]
    if not ocr_engines:
        raise NothingToDraw(
            "no confidences of characters are stored (PaddleOCR gives none, bundles and earlier versions hold none)"
        )
    rows = [row for row in results.main_rows if any(has_confidences(results, row, engine) for engine in ocr_engines)]
    data = frame(results, rows, ocr_engines)
    looks = style.row_looks(results.main_rows)
    with style.style():
        figure, panels = style.new_figure(style.PAGE, max(3.0, 0.9 + 0.128 * len(rows)), len(ocr_engines))
        style.place(figure, panels, 0.53, style.label_width([style.label(row) for row in rows]), 0.42, 0.24)
        for axes, engine in zip(panels, ocr_engines, strict=True):
            _panel(axes, rows, data[data["engine"] == engine.name], engine, looks)
    return Drawing(
        data=data,
        caption=caption(results, ocr_engines),
        conditions=[conventions.data(results), conventions.ocr(results)],
        figure=figure,
    )


def frame(results: Results, rows: list[Row], ocr_engines: list[Engine]) -> pd.DataFrame:
    """One line a (engine, method, threshold): mean points a plate, and at the chosen one (``chosen`` = 1) what the
    method scores, with its interval."""
    lines = []
    for engine in ocr_engines:
        for row in rows:
            if not has_confidences(results, row, engine):
                continue
            at = points(results, row, engine)
            base = {"engine": engine.name, "method": row.name, "title": row.title,
                    "plates": int(np.isfinite(at[:, 0]).sum())}  # fmt: skip
            for threshold, mean in zip(xlpsr.THRESHOLDS, np.nanmean(at, axis=0)):
                lines.append({**base, "threshold": round(float(threshold), 2), "points": float(mean), "chosen": 0})
            chosen = thresholds(results, row, engine)
            if chosen:
                scored = score(results, row, engine)
                lines.append({**base, "threshold": float(np.mean(list(chosen.values()))), "points": scored.value,
                              "low": scored.low, "high": scored.high, "chosen": 1})  # fmt: skip
    return pd.DataFrame(lines, columns=["engine", "method", "title", "plates", "threshold", "points", "low", "high",
                                        "chosen"])  # fmt: skip


def _panel(axes: Axes, rows: list[Row], data: pd.DataFrame, engine: Engine, looks: dict[str, Look]) -> None:
    axes.set(xlabel="threshold of a character's confidence", ylabel="points a plate")
    axes.set_title(style.shorten(engine.name))
    axes.axhline(0.0, color=style.GREY, lw=0.7, zorder=1)
    axes.axvline(xlpsr.BREAK_EVEN, color=style.GREY, lw=0.7, ls=(0, (3, 2)), zorder=1)
    labels = []
    for row in rows:
        mine, look = data[data["method"] == row.name], looks[row.name]
        curve, chosen = mine[mine["chosen"] == 0], mine[mine["chosen"] == 1]
        axes.plot(curve["threshold"], curve["points"], color=look.colour, ls=look.dash)
        axes.plot(chosen["threshold"], chosen["points"], color=look.colour, ls="", marker=look.marker, mec="white")
        if len(curve):
            middle = curve.iloc[len(curve) // 2]  # at the right all lines meet: labels stand in the order of the middle
            labels.append(Label(1.0, float(middle["points"]), style.label(row), look.colour))
    axes.set(xlim=(0, 1), ylim=axes.get_ylim())  # labels are placed by the final limits
    style.label_right(axes, labels)


def caption(results: Results, ocr_engines: list[Engine]) -> list[str]:
    """The rule of the score, and how the threshold was chosen."""
    unseen = any(not chosen.plates for record in results.records for chosen in record.abstention.values())
    lacking = [engine.name for engine in engines(results) if engine not in ocr_engines]
    return [
        "Mean score of a test plate by the rule of the XLPSR challenge (ICIP 2026, by the paper's authors): +2 for a "
        "right character, 0 for one left open, −1 for a wrong one, by position; 14 is the most on a plate of seven "
        "characters. The engine leaves open what it is less sure of than the threshold. Characters beyond the plate's "
        "end are cut off and lacking ones left open: the challenge does not say what happens there.",
        "Marks: the threshold with the most points on validation plates, chosen for each method, seed and engine and "
        "never on test plates." + (f" {_NONE}" if unseen else ""),
        "Dashed: 1/3, where guessing neither gains nor loses if confidence is accuracy.",
        *([f"{text.one_line(', '.join(lacking))}: no confidences of characters are known."] if lacking else []),
        *conventions.marks(results),
    ]
