"""Fig. 13: where noise, blur and compression are in HR plates and in what MSE and PECL make of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from benchmark.scoring import no_reference
from paper_figures.common import conventions, samples, style, text
from paper_figures.common.drawing import Drawing, NothingToDraw
from paper_figures.common.grid import grids
from paper_figures.common.results import Results, Row

NAME = "distortion_maps"
TITLE = "Noise, blur and compression maps (the paper's Fig. 13)"
NEEDS = "ablation"
PICTURES = True

PLATES = 2
"""Plates shown, the largest of the samples that all columns have."""
DIMENSION = 128
"""Of PECL's embedding in the columns: that of the method the paper proposes."""

_COLOURS = "cividis"
_LEFT, _RIGHT, _TOP, _GAP, _WORDS = 0.80, 0.62, 0.22, 0.07, 0.15  # inches
_TALLEST = 0.80


@dataclass(frozen=True)
class Estimator:
    """One distortion: ``map`` gives its local values; ``log`` scales start at ``floor``, if there is none."""

    name: str
    unit: str
    source: str
    decimals: int
    value: Callable[[np.ndarray], float]
    map: Callable[[np.ndarray], np.ndarray]
    floor: float = 0.0
    ceiling: float | None = None
    log: bool = False


ESTIMATORS = (
    Estimator("noise", "σ, grey levels", "Immerkær 1996", 2, no_reference.noise, no_reference.noise_map),
    Estimator("blur", "0 to 1", "Crete et al. 2007", 3, no_reference.blur, no_reference.blur_map, ceiling=1.0),
    Estimator(
        "compression", "ratio", "Wu and Yuen 1997", 2,
        no_reference.compression, no_reference.compression_map, floor=1.0, log=True,
    ),
)  # fmt: skip


def compared(results: Results) -> dict[str, Row]:
    """The network trained with MSE alone and with PECL's loss, by the name of the column.

    Raises NothingToDraw where MSE or both of PECL's distances are lacking.
    """
    grid = grids(results)[0]
    mse = grid.mse if grid.term == "attract" else None
    pecl = {
        f"PECL ({distance.capitalize()})": grid.cells[(distance, DIMENSION)]
        for distance in ("manhattan", "euclidean")
        if grid.term == "attract" and (distance, DIMENSION) in grid.cells
    }
    if mse is None or not pecl:
        raise NothingToDraw(f"needs the training with MSE alone and one with PECL's loss and d = {DIMENSION}")
    return {"MSE": mse, **pecl}


def draw(results: Results) -> Drawing:
    """Four rows a plate: the pictures, and a map of each estimator on one scale for all columns and plates."""
    rows = compared(results)
    pictures, lost = chosen(results, rows)
    maps = {
        (index, column, estimator.name): estimator.map(image)
        for index, images in pictures.items()
        for column, image in images.items()
        for estimator in ESTIMATORS
    }
    scales = {e.name: scale(e, [plane for key, plane in maps.items() if key[2] == e.name]) for e in ESTIMATORS}
    with style.style():
        figure = _figure(results, rows, pictures, maps, scales)
    data = frame(rows, pictures, maps)
    return Drawing(
        data=data,
        caption=caption(results, rows, list(pictures), lost),
        conditions=[conventions.data(results), conventions.budget(results)],
        figure=figure,
    )


def chosen(results: Results, rows: dict[str, Row]) -> tuple[dict[int, dict[str, np.ndarray]], list[str]]:
    """The plates to show, in order, each with its pictures by column; and why others cannot be shown."""
    kept = [set(samples.of_method(results, row.name, samples.first_seed(results, row))) for row in rows.values()]
    plates: dict[int, dict[str, np.ndarray]] = {}
    lost = []
    for index in sorted(set.intersection(*kept)):
        try:
            plates[index] = _pictures(results, rows, index)
        except NothingToDraw as reason:
            lost.append(str(reason))
    if not plates:
        raise NothingToDraw(lost[0] if lost else "MSE and PECL have no sample picture of the same plate")
    largest = sorted(plates, key=lambda index: (-plates[index]["HR"].size, index))[:PLATES]
    return {index: plates[index] for index in sorted(largest)}, lost


def _pictures(results: Results, rows: dict[str, Row], index: int) -> dict[str, np.ndarray]:
    """HR and every method's output of one plate, by column."""
    loaded = {
        column: samples.load(results, row.name, index, samples.first_seed(results, row)) for column, row in rows.items()
    }
    originals = [sample.hr for sample in loaded.values()]
    if any(not np.array_equal(originals[0], other) for other in originals[1:]):
        raise NothingToDraw(f"the sample pictures of plate {index} do not show the same HR plate")
    return {"HR": originals[0], **{column: sample.sr for column, sample in loaded.items()}}


def scale(estimator: Estimator, maps: list[np.ndarray]) -> Normalize:
    """The colour scale of all maps of one estimator: up to what 99 % of their pixels stay below."""
    top = estimator.ceiling or float(np.percentile(np.concatenate([plane.ravel() for plane in maps]), 99))
    if estimator.log:
        return LogNorm(estimator.floor, max(top, 2.0 * estimator.floor), clip=True)
    return Normalize(estimator.floor, max(top, estimator.floor + 1.0), clip=True)


def frame(
    rows: dict[str, Row], pictures: dict[int, dict[str, np.ndarray]], maps: dict[tuple[int, str, str], np.ndarray]
) -> pd.DataFrame:
    """One line a (plate, column, estimator): its value for the picture, and the spread of its map."""
    lines = []
    for (index, column, name), plane in maps.items():
        estimator = next(e for e in ESTIMATORS if e.name == name)
        low, middle, high = np.percentile(plane, (5, 50, 95))
        row = rows.get(column)
        lines.append({
            "plate": index, "column": column, "method": row.name if row else "hr", "estimator": name,
            "value": estimator.value(pictures[index][column]), "map_p5": low, "map_median": middle, "map_p95": high,
        })  # fmt: skip
    return pd.DataFrame(lines)


# -- the picture ------------------------------------------------------------------------------------


def _figure(
    results: Results, rows: dict[str, Row], pictures: dict[int, dict[str, np.ndarray]],
    maps: dict[tuple[int, str, str], np.ndarray], scales: dict[str, Normalize],
) -> Figure:  # fmt: skip
    columns = len(rows) + 1
    width = (style.PAGE - _LEFT - _RIGHT - (columns - 1) * _GAP) / columns
    tall = {
        index: min(_TALLEST, width * images["HR"].shape[0] / images["HR"].shape[1])
        for index, images in pictures.items()
    }
    total = _TOP + sum((len(ESTIMATORS) + 1) * (height + _WORDS) + 2 * _GAP for height in tall.values())
    figure = Figure(figsize=(style.PAGE, total))

    def cell(column: int, y: float, height: float) -> Axes:
        x = _LEFT + column * (width + _GAP)
        axes = figure.add_axes((x / style.PAGE, y / total, width / style.PAGE, height / total))
        axes.set_axis_off()
        return axes

    y = total - _TOP
    for index, images in pictures.items():
        y -= tall[index]
        _words(figure, y + tall[index] / 2, "picture", f"plate {index}")
        for i, (column, image) in enumerate(images.items()):
            axes = cell(i, y, tall[index])
            axes.imshow(image)
            _below(axes, _psnr(results, rows.get(column), index))
            if index == next(iter(pictures)):
                x = (_LEFT + i * (width + _GAP) + width / 2) / style.PAGE
                marks = rows[column].marks if column in rows else ""
                figure.text(x, 1 - 0.06 / total, column + marks, ha="center", va="top", size=style.FONT + 0.5)
        for estimator in ESTIMATORS:
            y -= tall[index] + _WORDS
            _words(figure, y + tall[index] / 2, estimator.name, estimator.unit)
            for i, (column, image) in enumerate(images.items()):
                axes = cell(i, y, tall[index])
                plane = maps[index, column, estimator.name]
                axes.imshow(plane, cmap=_COLOURS, norm=scales[estimator.name], interpolation="nearest")
                _below(axes, text.number(estimator.value(image), estimator.decimals))
            _bar(figure, estimator, scales[estimator.name], y, tall[index])
        y -= _WORDS + 2 * _GAP
    return figure


def _words(figure: Figure, y: float, name: str, detail: str) -> None:
    """What a row shows, left of it."""
    height = figure.get_size_inches()[1]
    figure.text(0.06 / style.PAGE, (y + 0.06) / height, name, va="center", size=style.FONT + 0.5)
    figure.text(0.06 / style.PAGE, (y - 0.07) / height, detail, va="center", size=style.FONT - 1, color=style.GREY)


def _below(axes: Axes, value: str) -> None:
    axes.annotate(
        value, (0.5, 0), xycoords="axes fraction", xytext=(0, -1.5), textcoords="offset points",
        ha="center", va="top", fontsize=style.FONT - 0.5, annotation_clip=False,
    )  # fmt: skip


def _bar(figure: Figure, estimator: Estimator, norm: Normalize, y: float, height: float) -> None:
    """The colour scale, right of the row that it is for."""
    total = figure.get_size_inches()[1]
    x = (style.PAGE - _RIGHT + _GAP) / style.PAGE
    axes = figure.add_axes((x, y / total, 0.09 / style.PAGE, height / total))
    bar = figure.colorbar(
        ScalarMappable(norm, _COLOURS), cax=axes, extend="neither" if estimator.ceiling else "max", extendfrac=0.08
    )
    bar.outline.set_linewidth(0.4)
    top = float(norm.vmax or 1.0)
    bar.locator = FixedLocator(log_ticks(top)) if estimator.log else MaxNLocator(4)
    bar.minorlocator = NullLocator()
    bar.formatter = FuncFormatter(lambda value, _: f"{value:g}")
    bar.update_ticks()
    axes.tick_params(labelsize=style.FONT - 1, length=2, pad=1.5)
    axes.grid(False)


def log_ticks(top: float) -> list[float]:
    """Round numbers from 1 to ``top``, at most six of them."""
    fine = [t for t in (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0) if t <= top]
    return fine if len(fine) < 7 else [t for t in (1.0, 2.0, 4.0, 8.0, 16.0, 32.0) if t <= top]


def _psnr(results: Results, row: Row | None, index: int) -> str:
    score = samples.score(results, row.name, index, samples.first_seed(results, row)) if row else None
    return f"{text.number(score.psnr)} dB" if score else ""


def caption(results: Results, rows: dict[str, Row], indices: list[int], lost: list[str]) -> list[str]:
    """The estimators, what is shown of them, and the conditions."""
    seeds = {samples.first_seed(results, row) for row in rows.values()}
    shown = (
        f"Test plates {', '.join(map(str, indices))} (the {len(indices)} largest of the sample plates"
        if len(indices) > 1
        else f"Test plate {indices[0]} (the largest of the sample plates"
    )
    return [
        f"{shown}; seed {', '.join(map(str, sorted(seeds)))}). Below each map stands the estimate for the whole "
        f"picture, below each picture its PSNR. PECL's embedding has d = {DIMENSION}.",
        *([f"Left out: {'; '.join(lost)}."] if lost else []),
        METHODS,
        "Every estimator has one colour scale for all columns and plates; it ends where 1 % of all pixels lie beyond "
        "(blur: at 1). A map's value is that of the 16×16 pixels around a pixel.",
        *conventions.marks(results),
    ]


METHODS = (
    "No-reference estimates on luma, more is worse. Noise: standard deviation in grey levels of 255 (Immerkær 1996); "
    "sharp detail counts as noise. Blur: 0 to 1, the share of the gradient that a second blur leaves (Crete et al. "
    "2007); where nothing has an edge it is 1. Compression: steps at the borders of 8×8 blocks over steps within them, "
    "weighted by visibility (GBIM, Wu and Yuen 1997), for the strongest of the places where the grid can lie; pictures "
    "without a grid have 1.0 to 1.5. It does not tell the grid of a JPEG file from one that an ×8 network makes."
)
"""What the three estimates are: sentences for captions."""
