"""Pictures of the training data that a run keeps for its report: plates under varied conditions, and patches.

They lie in the folder ``exhibits`` of the HR plates' result: ``exhibits.csv`` (one line a plate, columns ``COLUMNS``)
with the plates' pictures, and ``patches.csv`` (columns ``PATCH_COLUMNS``) with pairs of patches as every method sees
them. What is chosen is a function of the training plates alone.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from benchmark.data.ccpd import PROVINCES, PlateName, parse_name
from benchmark.data.patches import PatchSampler
from benchmark.data.plates import Plates

COLUMNS = (
    *("file", "name", "text", "condition", "brightness", "blur", "tilt", "skew", "area"),
    *("box_height", "box_width", "height", "width"),
)
"""Columns of ``exhibits.csv``. ``brightness`` and ``blur`` are the file name's (a low ``blur`` means blurry), ``area``
is the share of the photograph that the plate covers. ``tilt`` and ``skew`` are in degrees, measured on the
annotated corners: of the long edges against the horizontal (positive: clockwise), and of the short edges against
a right angle to the long ones (positive: leaning left). ``box_…`` is the annotated box, ``height`` and ``width``
are the HR plate's; pixels."""

PATCH_COLUMNS = ("hr", "lr", "iteration", "position")
"""Columns of ``patches.csv``: two files, and where the pair stands in training with seed 0 (both from 1 and 0)."""

PATCHES = 6

# Condition: the column it is judged by, and whether its plate has the least or the most of it.
_EXTREMES = {
    "darkest": ("brightness", "least"),
    "brightest": ("brightness", "most"),
    "blurriest": ("blur", "least"),
    "sharpest": ("blur", "most"),
    "tilted counter-clockwise": ("tilt", "least"),
    "tilted clockwise": ("tilt", "most"),
    "most skewed": ("distortion", "most"),
    "smallest": ("pixels", "least"),
    "largest": ("pixels", "most"),
}


def save_training_examples(folder: Path, plates: Plates, batch_size: int) -> None:
    """Write examples of these training plates into the new ``folder``; nothing where there are no plates.

    ``batch_size`` is that of the training: the patches at an iteration depend on it.
    """
    if not len(plates):
        return
    folder.mkdir(parents=True, exist_ok=True)
    chosen = choose(describe(plates.table))
    chosen["file"] = [f"plate{i:02}.png" for i in range(len(chosen))]
    for file, row in zip(chosen["file"], chosen.index.to_list()):
        Image.fromarray(plates[row].hr).save(folder / file)
    pairs = []
    for i, (iteration, position, hr, lr) in enumerate(first_patches(plates, batch_size)):
        files = f"patch{i:02}-hr.png", f"patch{i:02}-lr.png"
        for file, pixels in zip(files, (hr, lr)):
            Image.fromarray(pixels).save(folder / file)
        pairs.append((*files, iteration, position))
    pd.DataFrame(pairs, columns=list(PATCH_COLUMNS)).to_csv(folder / "patches.csv", index=False)
    chosen[list(COLUMNS)].to_csv(folder / "exhibits.csv", index=False, float_format="%.4g")


def describe(table: pd.DataFrame) -> pd.DataFrame:
    """What the annotation says of each plate of a pack's ``table``; one line a plate, in its order."""
    return pd.DataFrame([_describe(row) for row in table.to_dict("records")], index=range(len(table)))


def _describe(row: dict[Any, Any]) -> dict[str, Any]:
    try:
        name: PlateName | None = parse_name(str(row["name"]).rsplit("/", 1)[-1])
    except ValueError:
        name = None  # of a list of plates, which says nothing of light and focus
    # Not the name's own tilt: its zero and sign differ between releases of the data set.
    bottom_right, bottom_left, top_left, top_right = np.asarray(row["vertices"], dtype=float).reshape(4, 2)
    along = bottom_right - bottom_left + top_right - top_left
    down = bottom_right - top_right + bottom_left - top_left
    left, top, right, bottom = name.bbox if name else (0, 0, int(row["width"]), int(row["height"]))
    tilt = math.degrees(math.atan2(along[1], along[0]))
    skew = tilt + math.degrees(math.atan2(down[0], down[1]))
    return {
        "name": row["name"],
        "text": row["text"],
        "brightness": name.brightness if name else math.nan,
        "blur": name.blur if name else math.nan,
        "tilt": tilt,
        "skew": skew,
        "distortion": abs(skew),
        "area": float(f"0.{name.area}") if name else math.nan,
        "box_height": bottom - top,
        "box_width": right - left,
        "pixels": (bottom - top) * (right - left),
        "height": int(row["height"]),
        "width": int(row["width"]),
    }


def choose(described: pd.DataFrame) -> pd.DataFrame:
    """One line a condition, with a column ``condition``; no plate number stands for two of them.

    The first is the typical plate, nearest the median in everything; then come the extremes, a green plate (eight
    characters) and one of the rarest province, both of about median size. Of equals the first is taken.
    A condition in which all plates are alike is left out.
    """
    ranks = described[["brightness", "blur", "tilt", "skew", "pixels"]].rank(pct=True)
    chinese = described["text"].str[:1].isin(PROVINCES)
    green = chinese & (described["text"].str.len() == 8)
    provinces = described["text"].str[:1]
    counts = provinces[chinese & ~green].value_counts()
    rarest = ~green & (provinces == (counts.sort_index().idxmin() if len(counts) else ""))
    off_median = (ranks["pixels"] - 0.5).abs()
    candidates: list[tuple[str, pd.Series[Any]]] = [("typical", (ranks - 0.5).abs().sum(axis=1))]
    if 0 < green.sum() < len(green):
        candidates.append(("green plate", off_median[green]))
    if len(counts) > 1:
        candidates.append(("rarest province", off_median[rarest]))
    for condition, (column, end) in _EXTREMES.items():
        if described[column].nunique() > 1:
            candidates.append((condition, described[column] if end == "least" else -described[column]))
    plates = described["text"].where(described["text"] != "", described["name"])
    rows: dict[str, Any] = {}
    taken: set[str] = set()
    for condition, least in candidates:
        free = least[~plates.loc[least.index].isin(taken)]
        if len(free):
            rows[condition] = free.index[int(free.to_numpy().argmin())]
            taken.add(plates.loc[rows[condition]])
    return described.loc[list(rows.values())].assign(condition=list(rows))


def first_patches(plates: Plates, batch_size: int) -> list[tuple[int, int, np.ndarray, np.ndarray]]:
    """The first patches of training with seed 0: iteration (from 1), position in its batch (from 0), HR, LR.

    HR is uint8 64×64×3, LR 8×8×3: what :meth:`PatchSampler.batch` hands to a method, before the division by 255.
    """
    sampler = PatchSampler(plates, batch_size, 0, torch.device("cpu"))
    pairs: list[tuple[int, int, np.ndarray, np.ndarray]] = []
    iteration = 0
    while len(pairs) < PATCHES:
        iteration += 1
        hr = sampler.patches(iteration)[: PATCHES - len(pairs)]
        lr = sampler.lr_patches(iteration)
        pairs += [(iteration, i, _image(big), _image(small)) for i, (big, small) in enumerate(zip(hr, lr))]
    return pairs


def _image(planes: Tensor) -> np.ndarray:
    return planes.permute(1, 2, 0).contiguous().numpy()
