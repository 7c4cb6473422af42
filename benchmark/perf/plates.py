"""Plates to measure on: of CCPD's sizes, of noise, as many as wanted, in no time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.data.ccpd import crop_box
from benchmark.data.plates import Plates
from benchmark.data.synthetic.generator import plate_pose

_DISTINCT = 4096  # sizes drawn; beyond that they repeat
_NOISE = 1 << 24  # bytes drawn; beyond that they repeat


def noise_plates(folder: Path, count: int, seed: int = 0) -> Plates:
    """``count`` plates of the synthetic plates' sizes, of random bytes, in the new ``folder``: about 78 kB each.

    Raises OSError where the disk is full.
    """
    distinct = min(count, _DISTINCT)
    poses = [plate_pose(seed, index) for index in range(distinct)]
    boxes = np.array([crop_box(name.bbox, view.width, view.height) for view, name in poses])
    width, height = (np.resize(boxes[:, side + 2] - boxes[:, side], count) for side in (0, 1))
    ends = np.cumsum(height * width * 3)
    folder.mkdir(parents=True)
    noise = np.random.default_rng(seed).integers(0, 256, _NOISE, dtype=np.uint8)
    with open(folder / "plates.u8", "wb") as file:
        for start in range(0, int(ends[-1]), _NOISE):
            file.write(noise[: int(ends[-1]) - start].data)
    corners = np.array([[w, h, 0, h, 0, 0, w, 0] for w, h in zip(width[:distinct], height[:distinct])], np.float32)
    table = pd.DataFrame(
        {
            "name": [f"{index}.jpg" for index in range(count)],
            "text": "皖A00000",
            "height": height,
            "width": width,
            "offset": ends - height * width * 3,
            "vertices": [corners[index % distinct] for index in range(count)],
            "seen": False,
        }
    )
    return Plates(folder, table, {"fingerprint": ""})
