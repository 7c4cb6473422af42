"""What the splits of a pack know of each other, and which plates are left out for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from benchmark.data.duplicates import BITS, METHOD, near_duplicates
from benchmark.data.splits import Protocol


def find_leaks(
    table: pd.DataFrame, hashes: np.ndarray, pixels: np.ndarray, protocol: Protocol
) -> tuple[pd.DataFrame, list[tuple[str, ...]], dict[str, Any]]:
    """What the splits know of each other. Returns the table, with ``seen`` and without the plates dropped, those
    as rows of ``dropped.csv``, and the content of ``info["leaks"]`` of :class:`benchmark.data.plates.Plates`.

    Under ``disjoint`` every training plate with a near-duplicate among validation and test plates is dropped,
    and every validation plate with one among test plates; ``paper`` drops nothing.
    """

    def load(i: int) -> np.ndarray:
        row = table.iloc[i]
        height, width, offset = int(row["height"]), int(row["width"]), int(row["offset"])
        return np.asarray(pixels[offset : offset + height * width * 3]).reshape(height, width, 3)

    train, val, test = (np.flatnonzero(table["split"] == split) for split in ("train", "val", "test"))
    with_train = near_duplicates(hashes, load, np.concatenate([val, test]), train)
    between = near_duplicates(hashes, load, test, val)
    nearest = {i: with_train.partner[i] for i in train.tolist() if i in with_train.partner}
    nearest |= {i: between.partner[i] for i in val.tolist() if i in between.partner}
    dropped: list[tuple[str, ...]] = []
    if protocol == "disjoint":
        for i, (other, distance) in sorted(nearest.items()):
            row, twin = table.iloc[i], table.iloc[other]
            why = f"{distance} of {BITS} bits from {twin['name']} ({twin['split']}, {twin['text']})"
            dropped.append((row["name"], row["text"], row["split"], why))
    else:
        nearest = {}
    train_numbers = set(table["text"].iloc[[i for i in train.tolist() if i not in nearest]]) - {""}
    by_number = (table["split"] != "train") & table["text"].isin(train_numbers)
    copies = [] if protocol == "disjoint" else [i for i in (*val.tolist(), *test.tolist()) if i in with_train.partner]
    table["seen"] = by_number | table.index.isin(copies)
    leaks: dict[str, Any] = {
        "test_plates_seen": int((by_number & (table["split"] == "test")).sum()),
        "test_plates": len(test),
        "near_duplicates": with_train.total + between.total,
        "dropped": len(dropped),
        "method": METHOD,
    }
    return table.drop(index=list(nearest)).reset_index(drop=True), dropped, leaks
