"""The readings of PECL as a table: what each takes the text to say, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from benchmark.scoring.metrics import METRICS, SECOND
from paper_figures.common import conventions, loss_terms, text
from paper_figures.common.columns import convergence_column, parameter_column, score_column
from paper_figures.common.drawing import Drawing, NothingToDraw
from paper_figures.common.grid import FAMILY
from paper_figures.common.results import Results, Row
from paper_figures.common.tables import Cell, Column, Table

NAME = "readings"
TITLE = "Readings of PECL: the text contradicts itself and its published network"
NEEDS = "readings"

QUALITY = ("psnr", "psnr_y", "ssim")
READING = ("confidence", "plate_correct")


@dataclass(frozen=True)
class Reading:
    """One way to understand the publication: the options that make it this one, and what it takes from where."""

    name: str
    options: dict[str, Any]
    meaning: str


# All of them with the distance and the dimension of the publication's text.
_SHARED = {"distance": "manhattan", "dimension": 128}
READINGS = (
    Reading(
        "as described",
        {"network": "paper", "term": "attract", "weights": "fixed"},
        "the text's: a contrastive term that draws the embeddings of output and true plate together. Ours: its form "
        "(the positive branch of Hadsell et al., 2006) and a small fixed weight, where the text has learned ones.",
    ),
    Reading(
        "as printed",
        {"network": "paper", "term": "printed", "weights": "learned"},
        "the text's: Eq. 17–19 to the letter, a hinge that pushes the embeddings of output and true plate apart up to "
        "a margin, and learned weights. Ours: one weight, learned by the same optimiser, that shifts to whichever term "
        "is smaller.",
    ),
    Reading(
        "learned weights",
        {"network": "paper", "term": "attract", "weights": "learned"},
        "the text's: the term that draws together, and the learned weights of Eq. 19. Ours: the term's form.",
    ),
    Reading(
        "renormalised weights",
        {"network": "paper", "term": "attract", "weights": "renormalised"},
        "the text's: the same, with weights that are clipped and sum to 1. Ours: two parameters, each clipped, then "
        "both divided by their sum.",
    ),
    Reading(
        "released network",
        {"network": "release", "term": "attract", "weights": "fixed"},
        "the authors': the network that they published, which is not the one their text describes. Ours: the loss of "
        "the reading as described.",
    ),
)


def draw(results: Results) -> Drawing:
    """What was trained, how it scores, and what became of its loss."""
    by_reading = find(results)
    if not any(by_reading.values()):
        raise NothingToDraw("no result of a reading of PECL")
    rows = [row for row in by_reading.values() if row is not None]
    names = Column("Reading", [Cell(name, marks=row.marks if row else "") for name, row in by_reading.items()])

    def read(suffix: str) -> list[Column]:
        scored = [m + suffix for m in READING if any(m + suffix in row.scores for row in rows)]
        return [score_column(rows, metric) for metric in scored]

    blocks = {
        "What is trained": [*_option_columns(rows), parameter_column(rows)],
        "Image quality (median ± standard deviation) and iterations to the best weights": [
            *(score_column(rows, metric, deviation=True) for metric in QUALITY), convergence_column(rows),
        ],
        "Reading: confidence (median) and accuracy (mean)": read(""),
        "Reading by the second OCR engine": read(SECOND),
        "The loss at the last validation": _loss_columns(results, rows),
    }  # fmt: skip
    stored = [row is not None for row in by_reading.values()]
    parts = [
        Table(title, [names, *(_with_gaps(c, stored) for c in columns)]) for title, columns in blocks.items() if columns
    ]
    return Drawing(
        data=frame(results, by_reading),
        caption=caption(results, by_reading),
        conditions=conditions(results),
        tables=parts,
    )


def find(results: Results) -> dict[str, Row | None]:
    """The row of each reading, found by its options; None where there is none."""
    rows = [row for row in results.rows if row.family == FAMILY and not row.only_ablation]
    return {
        reading.name: next((row for row in rows if {**_SHARED, **reading.options}.items() <= row.options.items()), None)
        for reading in READINGS
    }


def _with_gaps(column: Column, stored: list[bool]) -> Column:
    """A column of the readings that are there, with a dash for each that is not."""
    cells = iter(column.cells)
    return Column(column.header, [next(cells) if has_row else Cell() for has_row in stored])


# -- columns ---------------------------------------------------------------------------------------


def _option_columns(rows: list[Row]) -> list[Column]:
    return [
        Column("method", [Cell(row.title) for row in rows]),
        Column("network", [_option(row, "network") for row in rows]),
        Column("term", [_option(row, "term") for row in rows]),
        Column("weights", [Cell(_weights(row)) for row in rows]),
        Column(
            "distance", [Cell(f"{row.options.get('distance')}, d = {row.options.get('dimension')}") for row in rows]
        ),
        Column(
            "embedder", [Cell(f"{row.options.get('embedder')}, {row.options.get('embedder_init')}") for row in rows]
        ),
    ]


def _option(row: Row, name: str) -> Cell:
    return Cell(str(row.options.get(name, text.DASH)))


def _weights(row: Row) -> str:
    weight = row.options.get("w_contrastive")
    fixed = row.options.get("weights") == "fixed" and isinstance(weight, (int, float))
    return f"fixed, w_c = {weight:g}" if fixed else str(row.options.get("weights", text.DASH))


@dataclass(frozen=True)
class Fate:
    """What became of one training's loss: values at its last validation (NaN where not stored), mean over seeds.

    ``died`` is the first validation at which no gradient reached the network, in whichever seed; None where none did.
    """

    w_pixel: float
    distance: float
    pixel: float
    contrastive: float
    died: int | None
    seeds_died: int


def fate(results: Results, row: Row) -> Fate | None:
    """None where the history does not hold PECL's losses."""
    history = results.history
    if any(name not in history for name in loss_terms.COLUMNS):
        return None
    mine = history[(history["method"] == row.name) & history["w_pixel"].notna()]
    if mine.empty:
        return None
    last = mine.sort_values("iteration").groupby("seed").tail(1)
    dead = mine[mine["dead_gradient"] == 1]
    died = int(dead["iteration"].min()) if len(dead) else None
    w_pixel, distance, pixel, contrastive = (
        float(last[name].mean()) for name in ("w_pixel", "distance", "pixel", "contrastive")
    )
    return Fate(w_pixel, distance, pixel, contrastive, died, dead["seed"].nunique())


def _loss_columns(results: Results, rows: list[Row]) -> list[Column]:
    fates = [fate(results, row) for row in rows]

    def column(header: str, name: str, digits: int) -> Column:
        return Column(
            header, [Cell(text.number(getattr(outcome, name), digits) if outcome else text.DASH) for outcome in fates]
        )

    died = [
        text.DASH if outcome is None else "no" if outcome.died is None else text.iterations(outcome.died)
        for outcome in fates
    ]
    return [
        column("w pixel", "w_pixel", 3),
        column("pixel term", "pixel", 4),
        column("contrastive term", "contrastive", 3),
        column("D(SR, HR)", "distance", 2),
        Column("contrastive share", [Cell(loss_terms.percent(loss_terms.share(results, row))) for row in rows]),
        Column("no gradient from", [Cell(iteration) for iteration in died]),
    ]


# -- caption and CSV -------------------------------------------------------------------------------


def caption(results: Results, by_reading: dict[str, Row | None]) -> list[str]:
    """A sentence or two on every reading, and the conditions."""
    sentences = []
    for reading in READINGS:
        row = by_reading[reading.name]
        start = f"{reading.name.capitalize()}: {reading.meaning}"
        sentences.append(f"{start} {_outcome(results, row)}" if row else f"{start} No result.")
    return [
        *sentences,
        "Bold is best and underlined second. Weights, terms and D are those of the training batch just before the last "
        "validation (mean over seeds); “no gradient from” is the first validation at which no gradient reached the "
        "network.",
        *conventions.marks(results),
        *conventions.left_out([row for row in by_reading.values() if row is not None], (*QUALITY, *READING)),
    ]


def conditions(results: Results) -> list[str]:
    """How the numbers came about."""
    return [
        conventions.SCORING,
        conventions.budget(results),
        conventions.data(results),
        conventions.selection(results),
        conventions.ocr(results),
    ]


def _outcome(results: Results, row: Row) -> str:
    """What happened to the weights and to the gradient."""
    outcome = fate(results, row)
    if outcome is None:
        return "Its history holds no losses."
    weight = ""
    if row.options.get("weights") == "learned":
        weight = (
            f"After {row.iterations:,} iterations the pixel loss had {text.number(outcome.w_pixel, 3)} of the weight"
        )
        weight += "." if outcome.died is None else "; "
    if outcome.died is None:
        return (weight + " No gradient died.").strip()
    seeds = f" in {outcome.seeds_died} of {len(row.seeds)} seeds" if len(row.seeds) > 1 else ""
    return f"{weight}{'n' if weight else 'N'}othing was learnt any more from iteration {outcome.died:,} on{seeds}."


def frame(results: Results, by_reading: dict[str, Row | None]) -> pd.DataFrame:
    """All numbers, unrounded, one line a reading; a reading that is missing has a line with its name."""
    lines = []
    for reading in READINGS:
        row = by_reading[reading.name]
        line: dict[str, Any] = {"reading": reading.name, "method": row.name if row else None}
        if row is not None:
            line |= {"seeds": " ".join(map(str, row.seeds)), "parameters": row.parameters, **row.options}
            for metric in METRICS:
                if metric in row.scores:
                    summary = row.scores[metric]
                    line |= {
                        f"{metric}_{key}": getattr(summary, key) for key in ("median", "sd", "mean", "n", "lacking")
                    }
            outcome = fate(results, row)
            line |= (
                {f"last_{k}": v for k, v in vars(outcome).items() if k != "died"} | {"died": outcome.died}
                if outcome
                else {}
            )
            line |= {"contrastive_share": loss_terms.share(results, row)}
            line |= {"best_iteration": row.best_iteration, "stale": row.stale, "differs": "; ".join(row.differs)}
        lines.append(line)
    return pd.DataFrame(lines).convert_dtypes()
