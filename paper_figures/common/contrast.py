"""The paper's PSNR contrast (its Eq. 20) between PECL and its network trained with the pixel loss alone.

Eq. 20's printed form was not at hand when this was written. Its name and its use, two curves compared along
training with zero as "no difference", are those of Michelson's contrast, which is what is computed here:
C = (PSNR_PECL − PSNR_MSE) / (PSNR_PECL + PSNR_MSE) on the validation plates at equal iterations. Captions say so, and
the difference in dB, which does not depend on that reading, stands beside every curve and in the CSV file.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from paper_figures.common import conventions, style, text
from paper_figures.common.drawing import Drawing, NothingToDraw
from paper_figures.common.grid import DIMENSIONS, Grid, grids, remarks
from paper_figures.common.results import Results, Row
from paper_figures.common.style import Label

COLUMNS = ["term", "distance", "dimension", "method", "seed", "iteration", "psnr", "psnr_mse", "difference", "contrast"]


REACH = 5.0
"""How far the axis may exceed what the curves do in the last decade of iterations: they begin much further apart."""


def contrast(pecl: pd.Series, mse: pd.Series) -> pd.DataFrame:
    """Michelson's contrast of two curves of PSNR in dB, indexed by iteration.

    The columns ``psnr``, ``psnr_mse``, ``difference`` (dB) and ``contrast`` (no unit) at the iterations that both
    curves have. NaN where one of them is not finite, and no contrast where the sum is not positive.
    """
    both = pd.DataFrame({"psnr": pecl, "psnr_mse": mse}).loc[pecl.index.intersection(mse.index).sort_values()]
    both = both.astype(float).where(np.isfinite(both.astype(float)).all(axis=1))
    total = both["psnr"] + both["psnr_mse"]
    difference = both["psnr"] - both["psnr_mse"]
    return both.assign(difference=difference, contrast=difference / total.where(total > 0.0))


def frame(results: Results, found: list[Grid], distance: str) -> pd.DataFrame:
    """The contrast of every cell of that distance: one line a (term, dimension, seed, validation).

    Only seeds that both trainings have are compared, each with itself: they saw the same batches.
    """
    parts = [pd.DataFrame(columns=COLUMNS)]
    for grid in found:
        assert grid.mse is not None
        for dimension, row in _cells(grid, distance).items():
            for seed in sorted(set(row.seeds) & set(grid.mse.seeds)):
                lines = contrast(_curve(results, row, seed), _curve(results, grid.mse, seed)).reset_index()
                keys = {"term": grid.term, "distance": distance, "dimension": dimension, "method": row.name}
                parts.append(lines.assign(**keys, seed=seed)[COLUMNS])
    return pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)


def _cells(grid: Grid, distance: str) -> dict[int, Row]:
    return {d: grid.cells[(distance, d)] for d in DIMENSIONS if (distance, d) in grid.cells}


def _curve(results: Results, row: Row, seed: int) -> pd.Series:
    """Validation PSNR by iteration, without iteration 0, for which a log axis has no place."""
    history = results.history
    mine = history[(history["method"] == row.name) & (history["seed"] == seed) & (history["iteration"] > 0)]
    return mine.drop_duplicates("iteration", keep="last").set_index("iteration")["val_psnr"]


def draw_contrast(results: Results, distance: str) -> Drawing:
    """One panel a grid (as described, and as printed where that was run), one curve a dimension."""
    found = [grid for grid in grids(results) if grid.mse is not None and _cells(grid, distance)]
    if not found:
        raise NothingToDraw(f"needs the training with MSE alone and one with the {distance.capitalize()} distance")
    data = frame(results, found, distance)
    if not data["contrast"].notna().any():
        raise NothingToDraw("PECL and MSE alone have no validation in common")
    found = [grid for grid in found if data.loc[data["term"] == grid.term, "contrast"].notna().any()]
    width = style.COLUMN if len(found) == 1 else style.PAGE
    with style.style():
        figure, panels = style.new_figure(width, 2.7, len(found))
        style.place(figure, panels, 0.62, style.label_width(["d = 512  −00.00 dB†"]), 0.42, 0.26)
        for axes, grid in zip(panels, found, strict=True):
            _panel(axes, grid, data[data["term"] == grid.term], distance)
    return Drawing(
        data=data,
        caption=caption(results, found, data, distance),
        conditions=[conventions.budget(results), conventions.data(results)],
        figure=figure,
    )


def _panel(axes: Axes, grid: Grid, data: pd.DataFrame, distance: str) -> None:
    looks = style.looks([str(dimension) for dimension in DIMENSIONS])
    axes.set(title=grid.title, xlabel="iteration", ylabel="PSNR contrast of PECL and MSE")
    low, high = float(data["iteration"].min()), float(data["iteration"].max())
    room = max(high / low, 2.0) ** 0.04  # markers are not cut off at the ends
    style.iteration_axis(axes, low / room, high * room)
    axes.axhline(0.0, color=style.GREY, lw=0.9, zorder=1)
    labels = []
    for dimension, row in _cells(grid, distance).items():
        mine, look = data[data["dimension"] == dimension], looks[str(dimension)]
        if mine["seed"].nunique() > 1:
            for _, one in mine.groupby("seed"):
                axes.plot(one["iteration"], one["contrast"], color=look.colour, lw=0.5, alpha=0.5)
        curve = mean_over_seeds(mine)
        last = curve.dropna()
        if last.empty:
            continue
        few = len(curve) <= 12
        axes.plot(curve.index, curve["contrast"], color=look.colour, ls=look.dash, marker=look.marker if few else "")
        end = last.iloc[-1]
        name = f"d = {dimension}  {text.number(end['difference'], sign=True)} dB{row.marks}"
        labels.append(Label(float(last.index[-1]), float(end["contrast"]), name, look.colour))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: text.number(y, 4).rstrip("0") if y else "0"))
    axes.set_ylim(*limits(data))
    style.label_right(axes, labels)


def limits(data: pd.DataFrame) -> tuple[float, float]:
    """The axis: everything, but at most ``REACH`` times what occurs in the last decade of iterations, either way."""
    late = data.loc[data["iteration"] >= data["iteration"].max() / 10, "contrast"].abs().max()
    reach = REACH * late if late > 0 else math.inf
    low, high = max(-reach, min(data["contrast"].min(), 0.0)), min(reach, max(data["contrast"].max(), 0.0))
    room = 0.08 * (high - low) or 0.01
    return low - room, high + room


def mean_over_seeds(data: pd.DataFrame) -> pd.DataFrame:
    """``difference`` and ``contrast`` of one cell by iteration, averaged where all its seeds have a number."""
    table = data.pivot_table(index="iteration", columns="seed", values=["difference", "contrast"], dropna=False)
    return pd.DataFrame({c: table[c].mean(axis=1, skipna=False) for c in ("difference", "contrast")})


def _is_cut(data: pd.DataFrame) -> bool:
    low, high = limits(data)
    return bool((data["contrast"] < low).any() or (data["contrast"] > high).any())


def _part(results: Results) -> str:
    return "test" if results.reference["data"].get("protocol") == "paper" else "validation"


def caption(results: Results, found: list[Grid], data: pd.DataFrame, distance: str) -> list[str]:
    """What is drawn, how Eq. 20 was read, and the conditions."""
    seeds = sorted(data["seed"].unique())
    sentences = [
        f"Contrast of mean PSNR on {_part(results)} plates between PECL with the {distance.capitalize()} distance and "
        "the same network trained with the pixel loss alone, at equal iterations (log axis, without iteration 0). "
        "Above zero PECL is ahead. The paper's Eq. 20 is read as Michelson's contrast, (PSNR PECL − PSNR MSE) / "
        "(PSNR PECL + PSNR MSE) in dB, after its name and use: its printed form was not at hand. The differences in dB "
        "beside the curves, at the last validation that both have, do not depend on that reading.",
        f"Thin lines are single seeds ({', '.join(map(str, seeds))}), thick lines their mean."
        if len(seeds) > 1
        else f"Seed {seeds[0]} only: how much of this another seed would change is not known.",
    ]
    if any(_is_cut(data[data["term"] == grid.term]) for grid in found):
        sentences.append("The axis cuts off how curves begin; the CSV file has all of them.")
    if data["contrast"].isna().any():
        sentences.append("Gaps are validations whose PSNR is not a number.")
    return [*sentences, *remarks(found, (distance,)), *conventions.marks(results)]
