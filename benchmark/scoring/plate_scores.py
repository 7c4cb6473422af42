"""From upscaled plates to scores: one row a plate, and their summary."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd

from benchmark.data.ccpd import PROVINCES
from benchmark.data.low_resolution import LrPlate
from benchmark.data.plates import Plate
from benchmark.data.texts import normalise
from benchmark.ocr.reading import OcrEngine, Reading, can_write, character_accuracy, rectify
from benchmark.scoring import xlpsr
from benchmark.scoring.metrics import LPIPS, METRICS, SECOND
from benchmark.scoring.upscaling import PlateSequence

_FACTS = ("index", "name", "text", "seen", "height", "width")
_PICTURE = tuple(name for name, metric in METRICS.items() if metric.function is not None)
READING_COLUMNS = ("read", "confidence", "plate_correct", "character_accuracy", "tail_correct")
"""What an OCR engine adds to the row of a plate; columns of the second end in ``_second``."""
CHARACTERS = "characters"
"""Confidence of each character of ``read``, separated by spaces; empty where the engine does not say. Of the second
engine with its suffix."""
PLATE_COLUMNS = (*_FACTS, *_PICTURE, *READING_COLUMNS, *(name + SECOND for name in READING_COLUMNS),
                 CHARACTERS, CHARACTERS + SECOND)  # fmt: skip
"""Columns of ``plates.csv``, in order. Those of an OCR engine that is off are empty."""
BY_PATCHES = "_patches"
"""Suffix of the scores of the same weights, upscaling in patches; they stand last, where they were asked for."""
PATCH_SCORES = ("psnr", "psnr_y", "confidence", "plate_correct")
"""Scores that are taken both ways: those of the paper's table, and plate accuracy."""


def score_plates(
    images: Sequence[np.ndarray],
    plates: PlateSequence,
    engine: OcrEngine | None,
    second: OcrEngine | None = None,
    lpips: Callable[[np.ndarray, np.ndarray], float] | None = None,
) -> pd.DataFrame:
    """All scores of upscaled plates: one row a plate, columns ``PLATE_COLUMNS``.

    ``images[i]``: uint8 H×W×3, the upscaled ``plates[i]``. ``seen`` is 1 where training shows this plate, too (under
    the paper's protocol; 0 for all under the disjoint one). ``read`` is the normalised reading,
    ``confidence`` 0 where nothing was read; ``plate_correct`` and ``tail_correct`` are 0 or 1.
    A tail is correct whether the province sign before it was misread or missed, and empty where a plate has none. PSNR
    of an exact copy is infinite. Columns of an engine are empty where it is None, and for plates whose text is unknown
    or of another alphabet than the engine's; a column ``lpips`` follows where that is given. Raises ValueError where a
    picture does not have its plate's size.
    """
    if len(images) != len(plates):
        raise ValueError(f"{len(images)} pictures for {len(plates)} plates")
    originals = [plates[index] for index in range(len(plates))]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        rows = list(pool.map(_compare, images, originals))
    frame = _with_readings(rows, images, [plate.vertices for plate in originals], engine, second)
    if lpips is not None:
        frame[LPIPS] = [lpips(image, plate.hr) for image, plate in zip(images, originals)]
    return frame


def read_plates(
    images: Sequence[np.ndarray],
    plates: Sequence[LrPlate],
    engine: OcrEngine | None,
    second: OcrEngine | None = None,
) -> pd.DataFrame:
    """What is read of upscaled LR pictures that have no originals: as :func:`score_plates`, with no score but those of
    reading. ``height`` and ``width`` are those of ``images[i]``, the upscaled ``plates[i]``."""
    rows = [
        {
            "index": i,
            "name": plate.name,
            "text": plate.text,
            "seen": 0,
            "height": image.shape[0],
            "width": image.shape[1],
        }
        for i, (image, plate) in enumerate(zip(images, plates, strict=True))
    ]
    return _with_readings(rows, images, [plate.vertices for plate in plates], engine, second)


def _with_readings(
    rows: list[dict[str, Any]],
    images: Sequence[np.ndarray],
    vertices: Sequence[np.ndarray],
    engine: OcrEngine | None,
    second: OcrEngine | None,
) -> pd.DataFrame:
    """The rows of plates with what both engines read of them."""
    if engine is not None or second is not None:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            rectified = list(pool.map(rectify, images, vertices))
    for ocr, suffix in ((engine, ""), (second, SECOND)):
        legible = [i for i, row in enumerate(rows) if ocr is not None and can_write(ocr, row["text"])]
        if ocr is not None and legible:
            for i, reading in zip(legible, ocr.read([rectified[i] for i in legible]), strict=True):
                compared = _compare_reading(reading, rows[i]["text"])
                rows[i].update({name + suffix: value for name, value in compared.items()})
    return pd.DataFrame(rows, columns=list(PLATE_COLUMNS))


def beside(frame: pd.DataFrame, patches: pd.DataFrame) -> pd.DataFrame:
    """The rows of plates with the scores of the same plates upscaled in patches as last columns."""
    return frame.assign(**{name + BY_PATCHES: patches[name] for name in PATCH_SCORES})


def _compare(image: np.ndarray, plate: Plate) -> dict[str, Any]:
    row: dict[str, Any] = {
        "index": plate.index,
        "name": plate.name,
        "text": plate.text,
        "seen": int(plate.seen),
        "height": plate.hr.shape[0],
        "width": plate.hr.shape[1],
    }
    for name, metric in METRICS.items():
        if metric.function is not None:
            row[name] = metric.function(image, plate.hr)
    return row


def _compare_reading(reading: Reading, truth: str) -> dict[str, Any]:
    read, tail = normalise(reading.text), truth[1:]
    has_province = truth[0] in PROVINCES[:-1]
    return {
        "read": read,
        "confidence": reading.confidence if read else 0.0,
        "plate_correct": int(read == truth),
        "character_accuracy": character_accuracy(read, truth),
        "tail_correct": int(tail in (read, read[1:])) if has_province else math.nan,
        CHARACTERS: xlpsr.to_text(xlpsr.confidences(reading)),
    }


def summarise(frame: pd.DataFrame) -> dict[str, dict[str, float | int | None]]:
    """Median, sample standard deviation (``sd``), mean and count (``n``) of every metric in ``frame``.

    Made to be stored as JSON: what is infinite or undefined is None. With ``n`` above 0 a median
    or mean of None is therefore an infinite one; with ``n`` = 0 the metric was not measured.
    """
    return {name: _summary(frame[name]) for name in METRICS if name in frame}


def _summary(column: pd.Series[Any]) -> dict[str, float | int | None]:
    values = column.dropna().to_numpy(dtype=np.float64)
    summary: dict[str, float | int | None] = {"median": None, "sd": None, "mean": None}
    if len(values):
        summary["median"] = _finite(np.median(values))
        summary["mean"] = _finite(np.mean(values))
    if len(values) > 1 and np.isfinite(values).all():
        summary["sd"] = _finite(np.std(values, ddof=1))
    return {**summary, "n": len(values)}


def _finite(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None
