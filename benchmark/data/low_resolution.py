"""LR pictures of plates that were taken as they are, with texts and without originals."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.data.annotation import picture_fault
from benchmark.data.degradation import SCALE
from benchmark.data.folders import Reasons
from benchmark.data.pictures import in_chunks, open_part
from benchmark.data.source import Box, Corner, ListedPlate, Source

LARGEST = 1 << 16
"""Pixels of the largest LR plate; upscaled it has 64 times as many."""


@dataclass(frozen=True)
class LrPlate:
    """``lr``: uint8 h×w×3; ``vertices``: 4×2 (x, y) in the picture enlarged eight times, the bottom right first."""

    name: str
    text: str
    lr: np.ndarray
    vertices: np.ndarray


def load_plates(folder: Path, sources: Sequence[Source]) -> tuple[list[LrPlate], Reasons]:
    """The LR plates of a folder, and (name, reason) of those that cannot be used.

    Of a pair it is the LR picture, else the annotated box, with nothing around it and nothing made smaller.
    """

    def work(chunk: Sequence[Source]) -> list[LrPlate | tuple[str, str]]:
        loaded: list[LrPlate | tuple[str, str]] = []
        for source in chunk:
            try:
                loaded.append(_load(folder, source))
            except ValueError as error:
                loaded.append((source.label, str(error)))
        return loaded

    everything = [item for chunk in in_chunks(work, sources, None) for item in chunk]
    odd = [item for item in everything if isinstance(item, tuple)]
    return [item for item in everything if isinstance(item, LrPlate)], odd


def _load(folder: Path, source: Source) -> LrPlate:
    plate = source.annotation
    path, vertices = source.path, plate.vertices
    if isinstance(plate, ListedPlate) and plate.lr:
        path, vertices = plate.lr, plate.lr_vertices
        plate = ListedPlate(plate.text, vertices=vertices)

    def box_of(width: int, height: int) -> Box:
        if (fault := picture_fault(plate, width, height)) is not None:
            raise ValueError(fault)
        left, top, right, bottom = plate.bbox or (0, 0, width, height)
        box = max(0, left), max(0, top), min(width, right), min(height, bottom)
        if (box[2] - box[0]) * (box[3] - box[1]) > LARGEST:
            raise ValueError(
                f"{box[2] - box[0]}×{box[3] - box[1]} px are more than an LR plate has ({LARGEST:,} pixels)"
            )
        return box

    image, (left, top, right, bottom) = open_part(folder, path, box_of)
    corners: tuple[Corner, ...] = vertices or ((right, bottom), (left, bottom), (left, top), (right, top))
    enlarged = np.array([(SCALE * (x - left), SCALE * (y - top)) for x, y in corners], np.float32)
    return LrPlate(source.label, plate.text, np.asarray(image), enlarged)


def fingerprint(plates: Sequence[LrPlate]) -> str:
    """SHA-256 over pixels, texts and corners of LR plates."""
    digest = hashlib.sha256(f"LR pictures, {len(plates)} plates\n".encode())
    for plate in plates:
        facts = [plate.name, plate.text, plate.lr.shape, plate.vertices.tolist()]
        digest.update(json.dumps(facts).encode() + np.ascontiguousarray(plate.lr).tobytes())
    return digest.hexdigest()
