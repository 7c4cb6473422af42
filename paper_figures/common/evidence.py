"""What claims are decided with: outcomes, the rows they need, and the noise threshold of a difference.

A difference must exceed what another training may change. With several seeds that is Student's interval of their
means. With one seed, intervals over plates say nothing about another training. How much that changes was measured with
the quick preset on synthetic plates. Two seeds of PECL ended 1.03 dB apart, four of ESPCN at most 0.09 dB apart. The
validation PSNR of each varied by 0.6 dB or more over the second half of training. So with one seed a difference counts
only beyond that range (:func:`seed_noise`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

import methods
from benchmark.scoring.metrics import METRICS
from paper_figures.common import conventions, grid, pairing, text
from paper_figures.common.commands import run_command
from paper_figures.common.grid import Grid
from paper_figures.common.observed import Observed
from paper_figures.common.paired import TIE, UNKNOWN, Comparison
from paper_figures.common.results import Results, Row

HOLDS, FAILS, OPEN = "holds", "does not hold", "not decidable here"
EARLY = "not decidable at this budget"

FLOOR = 0.05
"""With one seed no difference below this many standard deviations over plates counts (0.1 dB at 2 dB)."""


@dataclass(frozen=True)
class Reading:
    """Which PECL is tested: a registered method, and the term and group of its ablation."""

    name: str
    term: str
    group: str


DESCRIBED = Reading("pecl", "attract", "ablation")
PRINTED = Reading("pecl-printed", "printed", "ablation-printed")


@dataclass(frozen=True)
class Finding:
    """Outcome of a claim with its ``evidence`` in numbers, as a sentence and as what was ``observed``.

    If undecided: the reason and the command that would help.
    """

    outcome: str
    evidence: str = ""
    reason: str = ""
    command: str = ""
    observed: tuple[Observed, ...] = ()


class Undecidable(Exception):
    """Results are missing for a test. Arguments: the reason, and the command that supplies them."""


def not_read(results: Results, rows: Iterable[Row]) -> Undecidable:
    """What to say where rows have no scores of reading: another OCR engine helps only where none has read."""
    why = "not all of these methods were read" if results.has_readings else conventions.not_read(results)
    helps = results.has_readings or not (results.reference.judge or results.reference.second_judge)
    return Undecidable(why, run_command(results, [row.name for row in rows], {"--ocr": "rapid"}) if helps else "")


# -- the rows a claim needs ------------------------------------------------------------------------


def require_rows(results: Results, *names: str) -> list[Row]:
    """The rows of these names. Raises Undecidable if a row is missing or was made under other conditions."""
    absent = [name for name in names if results.row(name) is None]
    if absent:
        titles = ", ".join(methods.get(name).title for name in absent)
        raise Undecidable(f"no result of {titles}", run_command(results, absent))
    rows = [row for row in results.rows if row.name in names]
    odd = [row for row in rows if row.differs]
    if odd:
        why = f"made under other conditions than the rest: {', '.join(title(row) for row in odd)}"
        raise Undecidable(why, run_command(results, [row.name for row in odd]))
    return sorted(rows, key=lambda row: names.index(row.name))


def mse_alone(results: Results, pecl: Row) -> Row:
    """PECL's network trained with the pixel loss alone. Raises Undecidable if there is none."""
    for row in results.rows:
        same = row.family == grid.FAMILY and row.options.get("network") == pecl.options.get("network")
        if same and row.options.get("term") == "none" and not row.differs:
            return row
    raise Undecidable("no result of PECL's network with MSE alone", run_command(results, ["pecl-mse"]))


def whole_grid(results: Results, reading: Reading) -> Grid:
    """The ablation of a reading: all eight cells, and MSE alone. Raises Undecidable if a row is missing."""
    ablation = grid.find(results, reading.term)
    lacking = [name for name, row in ablation.places if row is None] if ablation else ["cells"]
    if ablation is None or lacking:
        members = ["pecl-mse", *(name for name in methods.names(reading.group) if name != "pecl-mse")]
        absent = [name for name in members if results.row(name) is None]
        raise Undecidable(f"no result of the ablation's {'; '.join(lacking)}", run_command(results, absent or members))
    require_rows(results, *(row.name for row in ablation.rows))
    return ablation


# -- noise between trainings -----------------------------------------------------------------------


def verdict(results: Results, comparison: Comparison) -> tuple[str, str]:
    """Verdict of a comparison, and why it decides nothing. A difference must exceed :func:`noise_threshold`."""
    interval, outcome = comparison.interval, comparison.verdict
    if outcome == UNKNOWN:
        return UNKNOWN, f"only {text.plural(interval.clusters, 'plate text')} in common"
    if outcome == TIE:
        return TIE, "a tie"
    change = noise_threshold(results, comparison)
    return (TIE, why_undecided(change, comparison)) if abs(interval.value) <= change else (outcome, "")


def noise_threshold(results: Results, comparison: Comparison) -> float:
    """What another training may change in a difference, in the unit of the stored scores; 0 if nothing is trained."""
    row, other, metric = comparison.row, comparison.reference, comparison.metric
    if not (row.trained or other.trained):
        return 0.0
    if comparison.interval.seeds == 1:
        return seed_noise(results, row, other, metric)
    return results.once(("noise", row.name, other.name, metric), lambda: _noise(results, row, other, metric))


def _noise(results: Results, row: Row, other: Row, metric: str) -> float:
    """Of several seeds. Student's interval of two is so wide that they would decide less than one seed. So it is enough
    to exceed both the noise of one seed and the distance between the seeds."""
    means = pairing.seed_means(results.pairing(row, other).scores(metric), "difference")
    distance = float(means.max() - means.min())
    return min(pairing.between_seeds(means), max(seed_noise(results, row, other, metric), distance))


def seed_noise(results: Results, row: Row, other: Row, metric: str) -> float:
    """What another seed may change in a difference of two methods, in the unit of the stored scores.

    The larger range of validation PSNR over the second half of training, at least ``FLOOR`` standard deviations
    over plates. Infinite for scores other than PSNR: one training does not say how much another would change a
    reading or the blocks that a network leaves.
    """
    if not metric.startswith("psnr"):
        return math.inf
    spread = max(method.scores["psnr"].sd for method in (row, other))
    if not spread > 0:
        return math.inf
    return max(FLOOR * spread, late_psnr_range(results, row), late_psnr_range(results, other))


def late_psnr_range(results: Results, row: Row) -> float:
    """Range of a method's validation PSNR over the second half of its training, dB; 0 if none is stored."""
    return results.once(("late psnr range", row.name), lambda: _late_psnr_range(results.history, row.name))


def _late_psnr_range(history: pd.DataFrame, method: str) -> float:
    mine = history[history["method"] == method]
    late = mine[(mine["iteration"] >= mine["iteration"].max() / 2) & np.isfinite(mine["val_psnr"].astype(float))]
    return max((float(psnr.max() - psnr.min()) for _, psnr in late.groupby("seed")["val_psnr"]), default=0.0)


def why_undecided(change: float, comparison: Comparison) -> str:
    """Why a difference decides nothing if another training may change it by ``change``."""
    kind, seeds = METRICS[comparison.metric], comparison.interval.seeds
    start = "one seed" if seeds == 1 else f"{seeds} seeds"
    if math.isinf(change):
        return f"{start}, which does not say how much training anew changes this score"
    unit = {"%": " points", "": ""}.get(kind.unit, f" {kind.unit}")
    return f"{start}, and training anew may change {text.number(kind.factor * change, kind.decimals)}{unit}"


def title(row: Row) -> str:
    """A row as evidence names it, with † and ‡."""
    return text.one_line(row.title) + row.marks
