"""How every figure looks: sizes, colours, axes and labels, so that a figure file only says what it shows.

Colours are Okabe and Ito's, told apart with every common colour-vision deficiency; a marker and a line
style go with each, so that nothing depends on colour alone. The same results give the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontEntry, FontProperties, findfont, fontManager, get_font
from matplotlib.textpath import TextPath
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from paper_figures.common import text
from paper_figures.common.results import Row

COLUMN = 3.5
"""Width of one text column, inches."""
PAGE = 7.2
"""Width of a figure across two columns, inches."""
GREY = "#6e6e6e"
PAPER, PAPER_DASH = "#000000", (0, (1, 1.6))
"""The paper's own numbers are hollow black diamonds and dotted black lines in every figure."""
FONT = 7.5

# Okabe-Ito without its yellow, which vanishes on white; black last.
_COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h", "p")
_GREY_DASHES: tuple[Any, ...] = ((0, (4, 2)), (0, (1, 1.5)), (0, (6, 1.5, 1, 1.5)))
_DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1.2, 1, 1.2)))

TITLES = "Titles"
"""The typeface of Chinese, Japanese and Korean titles, which comes with the package."""
TITLES_FILE = str(files("benchmark.data") / "fonts" / "NotoSansCJKsc-Regular-titles.otf")
FAMILIES = ["DejaVu Sans", TITLES]

_RC: dict[Any, Any] = {
    "font.family": FAMILIES,
    "font.size": FONT,
    "axes.titlesize": FONT + 0.5,
    "axes.labelsize": FONT,
    "xtick.labelsize": FONT - 0.5,
    "ytick.labelsize": FONT - 0.5,
    "legend.fontsize": FONT - 0.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "lines.linewidth": 1.15,
    "lines.markersize": 4.8,
    "lines.markeredgewidth": 0.3,
    "pdf.fonttype": 42,
    "text.parse_math": False,  # names come from results: a $ in one is a $
    "savefig.dpi": 300,
}


@dataclass(frozen=True)
class Look:
    """How one method is drawn, the same in every figure of a report."""

    colour: str
    marker: str
    dash: Any


def looks(names: Sequence[str]) -> dict[str, Look]:
    """One look a name, by position: colour first, then marker and dashes keep repeated colours apart."""
    return {
        name: Look(
            _COLOURS[i % len(_COLOURS)],
            _MARKERS[i % len(_MARKERS)],
            _DASHES[i // len(_COLOURS) % len(_DASHES)],
        )
        for i, name in enumerate(names)
    }


def row_looks(rows: Sequence[Row]) -> dict[str, Look]:
    """The looks of a report's competitors; what is not trained is grey. Hand over all of them, so that a
    method looks the same in figures that show only some."""

    def grey(i: int) -> Look:
        return Look(GREY, _MARKERS[i % len(_MARKERS)], _GREY_DASHES[i % len(_GREY_DASHES)])

    free = [row.name for row in rows if not row.trained and not row.is_bound]
    untrained = {row.name: grey(0) for row in rows} | {name: grey(i) for i, name in enumerate(free)}
    return untrained | looks([row.name for row in rows if row.trained])


@contextmanager
def style() -> Iterator[None]:
    """Within it, figures are made and saved in the house style, whatever matplotlib's settings are outside."""
    _characters()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_RC)
        yield


@cache
def _characters() -> frozenset[int]:
    """What the typefaces of figures have; makes :data:`TITLES` known to matplotlib."""
    for weight in (400, 700):  # it has one weight; without an entry for bold text each use would be warned of
        fontManager.ttflist.append(FontEntry(fname=TITLES_FILE, name=TITLES, weight=weight, size="scalable"))
    latin = findfont(FontProperties(family=FAMILIES[0], style="normal", weight="normal", stretch="normal"))
    return frozenset(get_font(latin).get_charmap()) | frozenset(get_font(TITLES_FILE).get_charmap())


def drawable(words: str) -> bool:
    """Whether the typefaces of figures have all the characters."""
    return all(ord(character) in _characters() for character in text.one_line(words))


def new_figure(width: float, height: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure of ``width`` × ``height`` inches with ``columns`` axes side by side; needs no display."""
    figure = Figure(figsize=(width, height))
    return figure, list(figure.subplots(1, columns, squeeze=False)[0])


def encode(figure: Figure, suffix: str) -> bytes:
    """The picture as ``pdf`` or ``png`` bytes, free of dates and versions."""
    nothing: dict[str, Any] = (
        {"Creator": None, "Producer": None, "CreationDate": None} if suffix == "pdf" else {"Software": None}
    )
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format=suffix, metadata=nothing)
    return buffer.getvalue()


def iteration_axis(axes: Axes, low: float, high: float) -> None:
    """A log axis of iterations from ``low`` to ``high``, labelled 10, 100, 1k, 10k."""
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    decades = np.log10(high / low)
    subs = (1.0,) if decades > 2.5 else (1.0, 2.0, 5.0) if decades > 0.8 else (1.0, 2.0, 3.0, 5.0, 7.0)
    axes.xaxis.set_major_locator(LogLocator(subs=subs))
    axes.xaxis.set_minor_locator(LogLocator(subs="auto") if decades > 2.5 else NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: text.iterations(x)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def paper_mark(axes: Axes, x: float, y: float) -> None:
    """A number of the paper's at (x, y), in data coordinates."""
    axes.plot(x, y, marker="D", ms=5.2, mfc="none", mec=PAPER, mew=0.9, ls="", zorder=4, clip_on=False)


# -- labels that do not overlap ---------------------------------------------------------------------


def spread(values: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions as near as possible to ``values`` that lie ``gap`` apart inside [low, high], order kept.

    Least squares: runs of crowded values move as one block (pool adjacent violators). Where
    everything cannot fit, the gap shrinks to what does.
    """
    if not len(values):
        return []
    order = np.argsort(np.asarray(values, float), kind="stable")
    if len(values) > 1:
        gap = min(gap, (high - low) / (len(values) - 1))
    blocks: list[list[float]] = []  # each: sum of targets, number of members
    for rank, index in enumerate(order):
        blocks.append([float(values[index]) - rank * gap, 1.0])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] > blocks[-1][0] / blocks[-1][1]:
            total, members = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += members
    starts = np.concatenate([[total / members] * int(members) for total, members in blocks])
    placed = np.clip(starts, low, high - (len(values) - 1) * gap) + np.arange(len(values)) * gap
    result = np.empty(len(values))
    result[order] = placed
    return [float(p) for p in result]


@dataclass(frozen=True)
class Label:
    """A name to write beside the point (x, y), in data coordinates."""

    x: float
    y: float
    name: str
    colour: str


STRIP = 12.0
"""Width of the strip right of the axes in which the joining lines bend, points."""
LONGEST = 27
"""Longer names are cut in figures, at this many characters (the longest of our own); tables and CSV files have them
whole."""


def label(row: Row) -> str:
    """A method as figures name it, with its marks: by its title, or by its name where the typefaces lack a
    character of the title."""
    return shorten(row.title if drawable(row.title) else row.name) + row.marks


def shorten(name: str) -> str:
    """A name as figures show it, with □ for characters that their typefaces lack."""
    name = "".join(character if drawable(character) else "□" for character in text.one_line(name))
    return name if len(name) <= LONGEST else name[: LONGEST - 1].rstrip() + "…"


def label_width(names: Sequence[str]) -> float:
    """Inches that :func:`label_right` needs right of the axes for these names."""
    return (STRIP + 3 + max(map(_width, names), default=0.0)) / 72.0


@cache
def _width(name: str) -> float:
    """Width of a label, points."""
    font = FontProperties(family=FAMILIES, size=FONT - 0.5)
    return float(TextPath((0, 0), name or " ", prop=font).get_extents().x1)


def place(figure: Figure, axes: Sequence[Axes], left: float, right: float, bottom: float, top: float) -> None:
    """Put panels of equal width side by side, each with ``left`` and ``right`` inches for what is written beside it."""
    width, height = figure.get_size_inches()
    panel = width / len(axes)
    for i, ax in enumerate(axes):
        x, y = (i * panel + left) / width, bottom / height
        ax.set_position((x, y, (panel - left - right) / width, (height - bottom - top) / height))


def label_right(axes: Axes, labels: Sequence[Label]) -> None:
    """Write labels in a column right of ``axes``, each joined to its point by a thin line.

    The axes' limits and position must be final.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    box = axes.get_window_extent()
    points = figure.dpi / 72.0
    heights = [float(axes.transData.transform((label.x, label.y))[1]) for label in labels]
    line = FONT * 1.2 * points
    to_axes = axes.transAxes.inverted().transform
    for label, y in zip(labels, spread(heights, line, box.y0, box.y1 + line / 2), strict=True):
        start = axes.transData.transform((label.x, label.y))
        path = np.array([start, (box.x1 + 2 * points, start[1]), (box.x1 + STRIP * points, y)])
        xs, ys = to_axes(path).T
        axes.plot(xs, ys, transform=axes.transAxes, clip_on=False, color=label.colour, lw=0.5, alpha=0.7, zorder=1.5)
        axes.annotate(
            label.name, (xs[-1], ys[-1]), xycoords="axes fraction", xytext=(1.5, 0),
            textcoords="offset points", va="center_baseline", ha="left", color=darker(label.colour),
            fontsize=FONT - 0.5, annotation_clip=False,
        )  # fmt: skip


def darker(colour: str) -> tuple[float, float, float]:
    """The same hue dark enough for small print on white."""
    red, green, blue = to_rgb(colour)
    return 0.72 * red, 0.72 * green, 0.72 * blue
