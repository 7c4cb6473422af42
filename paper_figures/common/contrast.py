"""The paper's PSNR contrast (its Eq. 20) between PECL and its network trained with the pixel loss alone.

C = (PSNR_PECL − PSNR_MSE) / PSNR_MSE on the validation plates at equal iterations: the difference as a share of the
baseline, without a unit. Beside the curves stand what the paper's text says of its own (``paper_contrast.csv``).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from paper_figures.common import conventions, paper, style, text
from paper_figures.common.drawing import Drawing, NothingToDraw
from paper_figures.common.grid import DIMENSIONS, Grid, grids, remarks
from paper_figures.common.panels import blocks
from paper_figures.common.results import Results, Row
from paper_figures.common.style import Label

COLUMNS = ["term", "distance", "dimension", "method", "seed", "iteration", "psnr", "psnr_mse", "difference", "contrast"]

NARROW = 1 / 3
"""Curves that span less than this share of the paper's range are drawn a second time, enlarged."""


def contrast(pecl: pd.Series, mse: pd.Series) -> pd.DataFrame:
    """Eq. 20 for two curves of PSNR in dB, indexed by iteration.

    The columns ``psnr``, ``psnr_mse``, ``difference`` (dB) and ``contrast`` (no unit) at the iterations that both
    curves have. NaN where one of them is not finite, and no contrast where the baseline is not positive.
    """
    both = pd.DataFrame({"psnr": pecl, "psnr_mse": mse}).loc[pecl.index.intersection(mse.index).sort_values()]
    both = both.astype(float).where(np.isfinite(both.astype(float)).all(axis=1))
    baseline = both["psnr_mse"]
    difference = both["psnr"] - baseline
    return both.assign(difference=difference, contrast=difference / baseline.where(baseline > 0.0))


def frame(results: Results, ablations: list[Grid], distance: str) -> pd.DataFrame:
    """The contrast of every cell of that distance: one line a (term, dimension, seed, validation).

    Only seeds that both trainings have are compared, each with itself: they saw the same batches.
    """
    parts = [pd.DataFrame(columns=COLUMNS)]
    for grid in ablations:
        parts += results.once(("contrast", grid.term, distance), partial(_lines, results, grid, distance))
    return pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)


def _lines(results: Results, grid: Grid, distance: str) -> list[pd.DataFrame]:
    """The contrast of every cell and seed of one grid."""
    assert grid.mse is not None
    parts = []
    for dimension, row in _cells(grid, distance).items():
        for seed in sorted(set(row.seeds) & set(grid.mse.seeds)):
            lines = contrast(_curve(results, row, seed), _curve(results, grid.mse, seed)).reset_index()
            keys = {"term": grid.term, "distance": distance, "dimension": dimension, "method": row.name}
            parts.append(lines.assign(**keys, seed=seed)[COLUMNS])
    return parts


def _cells(grid: Grid, distance: str) -> dict[int, Row]:
    return {d: grid.cells[(distance, d)] for d in DIMENSIONS if (distance, d) in grid.cells}


def _curve(results: Results, row: Row, seed: int) -> pd.Series:
    """Validation PSNR by iteration, without iteration 0, which a log axis cannot show."""
    history = results.history
    mine = history[(history["method"] == row.name) & (history["seed"] == seed) & (history["iteration"] > 0)]
    return mine.drop_duplicates("iteration", keep="last").set_index("iteration")["val_psnr"]


def draw_contrast(results: Results, distance: str) -> Drawing:
    """One row of panels per grid (as described, and as printed if that was run), one curve per dimension."""
    ablations = [grid for grid in grids(results) if grid.mse is not None and _cells(grid, distance)]
    if not ablations:
        raise NothingToDraw(f"needs the training with MSE alone and one with the {distance.capitalize()} distance")
    data = frame(results, ablations, distance)
    if not data["contrast"].notna().any():
        raise NothingToDraw("PECL and MSE alone have no validation in common")
    ablations = [grid for grid in ablations if data.loc[data["term"] == grid.term, "contrast"].notna().any()]
    narrow = _is_narrow(data, distance)
    with style.style():
        right = style.label_width(["d = 512  −00.00 dB†", "paper, highest: −0.22"])
        headings = [grid.heading for grid in ablations] if len(ablations) > 1 else [""]
        figure, panels = blocks(headings, 1, 2 if narrow else 1, right, 1.9, style.PAGE if narrow else style.COLUMN)
        for (row,), grid in zip(panels, ablations, strict=True):
            mine = data[data["term"] == grid.term]
            _panel(row[0], grid, mine, distance, to_scale=True)
            if narrow:
                _panel(row[1], grid, mine, distance, to_scale=False)
    return Drawing(
        data=data,
        caption=caption(results, ablations, data, distance),
        conditions=[conventions.budget(results), conventions.data(results)],
        figure=figure,
    )


def _is_narrow(data: pd.DataFrame, distance: str) -> bool:
    """Whether the curves span too little of the paper's range to be told apart in it."""
    printed = paper.contrast(distance)
    span = data["contrast"].max() - data["contrast"].min()
    return bool(span < NARROW * (printed["highest"].value - printed["lowest"].value))


def _panel(axes: Axes, grid: Grid, data: pd.DataFrame, distance: str, to_scale: bool) -> None:
    """The curves; ``to_scale``: beside the range that the paper gives, else enlarged."""
    looks = style.looks([str(dimension) for dimension in DIMENSIONS])
    title = "Beside the paper's range" if to_scale else "Our curves, enlarged"
    axes.set(title=title, xlabel="iteration", ylabel="PSNR contrast (Eq. 20)")
    low, high = float(data["iteration"].min()), float(data["iteration"].max())
    room = max(high / low, 2.0) ** 0.04  # markers are not cut off at the ends
    style.iteration_axis(axes, low / room, high * room)
    axes.axhline(0.0, color=style.GREY, lw=0.9, zorder=1)
    labels = []
    for dimension, row in _cells(grid, distance).items():
        mine, look = data[data["dimension"] == dimension], looks[str(dimension)]
        if mine["seed"].nunique() > 1:
            for _, of_seed in mine.groupby("seed"):
                axes.plot(of_seed["iteration"], of_seed["contrast"], color=look.colour, lw=0.5, alpha=0.5)
        curve = mean_over_seeds(mine)
        last = curve.dropna()
        if last.empty:
            continue
        few = len(curve) <= 12
        axes.plot(curve.index, curve["contrast"], color=look.colour, ls=look.dash, marker=look.marker if few else "")
        end = last.iloc[-1]
        name = f"d = {dimension}  {text.number(end['difference'], sign=True)} dB{row.marks}"
        labels.append(Label(float(last.index[-1]), float(end["contrast"]), name, look.colour))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: text.number(y, 4).rstrip("0") if y else "0"))
    marks = paper.contrast(distance) if to_scale else {}
    axes.set_ylim(*limits(data, [printed.value for printed in marks.values()]))
    for name, printed in marks.items():
        if name == "late":
            style.paper_mark(axes, high, printed.value)
        else:
            axes.axhline(printed.value, color=style.PAPER, lw=0.8, ls=style.PAPER_DASH, zorder=1)
        labels.append(Label(high * room, printed.value, f"paper, {name}: {printed.text}", style.PAPER))
    style.label_right(axes, labels)


def limits(data: pd.DataFrame, marks: Sequence[float] = ()) -> tuple[float, float]:
    """The axis: every curve whole, zero, and the paper's marks."""
    values = [0.0, *marks, *data["contrast"].dropna()]
    room = 0.08 * (max(values) - min(values)) or 0.01
    return min(values) - room, max(values) + room


def mean_over_seeds(data: pd.DataFrame) -> pd.DataFrame:
    """``difference`` and ``contrast`` of one cell by iteration, averaged over seeds (NaN if one has none)."""
    table = data.pivot_table(index="iteration", columns="seed", values=["difference", "contrast"], dropna=False)
    return pd.DataFrame({c: table[c].mean(axis=1, skipna=False) for c in ("difference", "contrast")})


def caption(results: Results, ablations: list[Grid], data: pd.DataFrame, distance: str) -> list[str]:
    """What is drawn."""
    seeds = sorted(data["seed"].unique())
    sentences = [
        f"Contrast of mean PSNR on {results.selected_on} plates between PECL with the {distance.capitalize()} distance "
        "and the same network trained with the pixel loss alone, at equal iterations (log axis, without iteration 0): "
        "(PSNR PECL − PSNR MSE) / PSNR MSE, the paper's Eq. 20. Above zero PECL is ahead. Beside the curves stands the "
        "difference in dB at the last validation that both have. Black, dotted: the lowest and the highest contrast "
        "that the paper's text gives; hollow diamond: where its curves converge late in training, about "
        f"{paper.contrast(distance)['late'].text.removeprefix('≈')}. It trained for 1,000k iterations, so its marks "
        "have no place on our axis of iterations.",
        f"Thin lines are single seeds ({', '.join(map(str, seeds))}), thick lines their mean."
        if len(seeds) > 1
        else f"Seed {seeds[0]} only: how much of this another seed would change is not known.",
    ]
    if _is_narrow(data, distance):
        sentences.append("On the right the same curves, enlarged.")
    if data["contrast"].isna().any():
        sentences.append("Gaps are validations whose PSNR is not a number.")
    return [*sentences, *remarks(ablations, (distance,)), *conventions.marks(results)]
