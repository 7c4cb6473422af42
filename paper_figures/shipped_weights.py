"""What the weights that a run ships make of drawn plates: pictures for a run whose own plates may not be shown."""

from __future__ import annotations

import math
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import torch

import methods
from benchmark.data.pictures import load_crop, scan
from benchmark.data.synthetic.generator import synthesize
from benchmark.results.shipped import INDEX, Shipped, create, read_index
from benchmark.results.trained import make
from benchmark.scoring.metrics import psnr
from benchmark.scoring.upscaling import low_resolution, upscale_pictures
from benchmark.util.errors import UserError
from paper_figures.common import pictures, style, text
from paper_figures.common.drawing import Drawing, NotAskedFor, NothingToDraw
from paper_figures.common.pictures import Block, Tile
from paper_figures.common.results import Results

NAME = "shipped_weights"
TITLE = "Drawn plates, upscaled with the weights that are shipped"
NEEDS = "table1"

FOLDER = "weights"
PLATES = 3
SEED = 2501_01483
"""Of the drawn plates: the paper's number at arXiv. A run's own have its ``data.seed``, 0 by default."""
MOST_COLUMNS = 5


def draw(results: Results) -> Drawing:
    """A block a plate: LR, bicubic interpolation, the output of each method whose weights are shipped, HR."""
    folder = results.folder / FOLDER
    if not (folder / INDEX).is_file():
        raise NotAskedFor("the run ships no weights (`python -m benchmark weights export` writes them)")
    try:
        index = read_index(folder)
        shipped = [Shipped(folder, index.run, facts) for facts in index.methods if facts.file]
        shipped.sort(key=lambda one: methods.names().index(methods.get(one.facts.method).name))
        networks = [(one.facts.title, create(one, torch.device("cpu"))) for one in shipped]
    except (UserError, methods.UnknownMethod) as error:
        raise NothingToDraw(str(error)) from None
    plates = drawn_plates()
    low = [low_resolution(hr) for _, hr in plates]
    networks.insert(0, ("Bicubic", make(methods.get("bicubic"), {})))
    outputs = [(title, upscale_pictures(method.upscale, low, "cpu")) for title, method in networks]
    blocks, lines = [], []
    for i, (plate, hr) in enumerate(plates):
        seen = [(title, images[i], psnr(images[i], hr)) for title, images in outputs]
        blocks.append(Block(_tiles(low[i], hr, seen), f"Drawn plate {i}", plate))
        lines += [{"index": i, "text": plate, "title": title, "psnr": value} for title, _, value in seen]
    tiles = len(outputs) + 2
    with style.style():
        figure = pictures.draw(blocks, math.ceil(tiles / math.ceil(tiles / MOST_COLUMNS)))
    return Drawing(pd.DataFrame(lines), caption(results), figure=figure)


def drawn_plates() -> list[tuple[str, np.ndarray]]:
    """The first plates that the generator draws with :data:`SEED`: their text, and HR pixels, uint8 H×W×3."""
    with TemporaryDirectory() as place:
        folder = synthesize(Path(place) / "plates", PLATES, SEED, workers=1)
        sources, _ = scan(folder)
        return [(source.annotation.text, load_crop(folder, source)[0]) for source in sources]


def _tiles(low: np.ndarray, hr: np.ndarray, outputs: list[tuple[str, np.ndarray, float]]) -> list[Tile]:
    return [
        Tile(low, "LR", value=f"{low.shape[1]}×{low.shape[0]} px", blocks=True),
        *(Tile(sr, title, value=f"{text.number(decibels)} dB") for title, sr, decibels in outputs),
        Tile(hr, "HR", value=f"{hr.shape[1]}×{hr.shape[0]} px"),
    ]


def caption(results: Results) -> list[str]:
    """Where plates and weights come from."""
    return [
        f"Plates drawn by the generator of this project (seed {SEED}, its first {PLATES}, whatever becomes of them), as"
        f" the weights in {results.folder.name}/{FOLDER} upscale them.",
        "Above each output is its PSNR (RGB). They are not among the run's test plates, and no score is computed from "
        "them.",
    ]
