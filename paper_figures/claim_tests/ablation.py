"""Claims on the ablation that are not plain orders: trends over the dimension, and how much a distance gains."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from benchmark.scoring.metrics import METRICS, SECOND
from paper_figures.claim_tests.claim import Test
from paper_figures.claim_tests.orders import agreed
from paper_figures.common import statistics, text
from paper_figures.common.commands import run_command, suggest_command
from paper_figures.common.evidence import (
    FAILS,
    HOLDS,
    OPEN,
    Finding,
    Reading,
    Undecidable,
    noise_threshold,
    not_read,
    whole_grid,
    why_undecided,
)
from paper_figures.common.grid import DIMENSIONS, DISTANCES
from paper_figures.common.observed import Observed, of_comparison
from paper_figures.common.paired import Comparison, probability, shown
from paper_figures.common.pairing import between_seeds, seed_means
from paper_figures.common.results import Results, Row

SMALL, LARGE = DIMENSIONS[:2], DIMENSIONS[2:]
ABOUT_ONE = (0.5, 1.5)
"""dB: what rounds to the difference of one that the paper's text gives at d = 512."""

_ALPHA = 1 - statistics.LEVEL

TREND_RULE = (
    "Slope of the score over log2 d, plate by plate, the pairs of distance and seed being the outer level of the "
    "resampling; Page's trend test of the trainings' means must agree. Holds if it rises and d = 512 has the highest "
    "mean, does not hold if it falls."
)
SMALL_RULE = (
    "Manhattan's mean over d = 64 and 128 minus its mean over 256 and 512, plate by plate (MSE drops out); the seeds "
    "are the outer level of the resampling. Holds if above zero, does not hold if below."
)
ABOUT_RULE = (
    f"Manhattan minus Euclidean at d = 512 in PSNR and PSNR_Y: holds if both intervals, widened by what training anew "
    f"may change, lie within {ABOUT_ONE[0]} and {ABOUT_ONE[1]} dB; does not hold if one lies outside."
)


def rises(metric: str) -> Test:
    """Holds: the score rises with d and is highest at 512. Does not: it falls. For every OCR engine, if it is one's."""

    def test(results: Results, reading: Reading) -> Finding:
        cells = whole_grid(results, reading).cells
        suffixes = ("", SECOND) if METRICS[metric].engine else ("",)
        names = [m for s in suffixes if all((m := metric + s) in row.scores for row in cells.values())]
        if not names:
            raise not_read(results, cells.values())
        return agreed([_trend(results, cells, name) for name in names])

    return test


def _trend(results: Results, cells: dict[tuple[str, int], Row], metric: str) -> Finding:
    kind = METRICS[metric]
    slopes = {name: _slopes(results, [cells[name, d] for d in DIMENSIONS], metric) for name in DISTANCES}
    pooled = pd.concat([table.assign(seed=[f"{name} {s}" for s in table["seed"]]) for name, table in slopes.items()])
    means = pooled.groupby("seed")[list(DIMENSIONS)].mean().to_numpy(float)
    interval = statistics.interval(pooled, "slope")
    if not interval.bounded or len(means) < 2:
        raise Undecidable("too few plates in common", suggest_command(results, cells.values()))
    rising, falling = (float(stats.page_trend_test(order).pvalue) for order in (means, means[:, ::-1]))

    def number(value: float) -> str:
        return text.number(kind.factor * value, kind.decimals + 1, sign=True)

    each = ", ".join(f"{name.capitalize()} {number(float(table['slope'].mean()))}" for name, table in slopes.items())
    top = DIMENSIONS[int(np.argmax(means.mean(axis=0)))]
    evidence = (
        f"{kind.label} for a doubling of d: {number(interval.value)} {kind.unit}".rstrip()
        + f" [{number(interval.low)}, {number(interval.high)}] ({each}); highest mean at d = {top}; Page's test of "
        f"{text.plural(means.size, 'training')}: p {probability(rising)}."
    )
    label = f"{kind.label} ({kind.unit})" if kind.unit else kind.label
    observed = (
        *(Observed(f"A doubling of d, {name.capitalize()}", label, number(float(table["slope"].mean())))
          for name, table in slopes.items()),
        Observed("A doubling of d, both", label,
                 f"{number(interval.value)} [{number(interval.low)}, {number(interval.high)}]"),
        Observed("Highest mean at d", label, str(top)),
        Observed("Page's test, rising: p", label, probability(rising)),
    )  # fmt: skip
    if interval.above() and rising < _ALPHA and top == DIMENSIONS[-1]:
        return Finding(HOLDS, evidence, observed=observed)
    if interval.below() and falling < _ALPHA:
        return Finding(FAILS, evidence, observed=observed)
    why = "no clear trend over trainings and plates"
    return Finding(OPEN, evidence, why, suggest_command(results, cells.values()), observed)


def _wide(results: Results, rows: list[Row], metric: str) -> pd.DataFrame:
    """One line a (seed, plate) that all rows have: the score at each dimension; only finite ones."""
    shared = [key for key in ("seed", "index", "name", "text") if key in results.plates]
    table = results.plates_of(rows[0])[shared]
    for d, row in zip(DIMENSIONS, rows, strict=True):
        table = table.merge(results.plates_of(row)[[*shared, metric]].rename(columns={metric: d}), on=shared)
    return table[np.isfinite(table[list(DIMENSIONS)].to_numpy(float)).all(axis=1)]


def _slopes(results: Results, rows: list[Row], metric: str) -> pd.DataFrame:
    """:func:`_wide`, with the least-squares ``slope`` for a doubling of d."""
    table = _wide(results, rows, metric)
    x = np.log2(DIMENSIONS) - np.mean(np.log2(DIMENSIONS))
    return table.assign(slope=table[list(DIMENSIONS)].to_numpy(float) @ x / (x @ x))


def gains_at_small(results: Results, reading: Reading) -> Finding:
    """Claim 18. Holds: Manhattan is higher at the small dimensions than at the large ones. Does not: lower."""
    cells = whole_grid(results, reading).cells
    rows = [cells["manhattan", d] for d in DIMENSIONS]
    table = _wide(results, rows, "psnr")
    table = table.assign(difference=table[list(SMALL)].mean(axis=1) - table[list(LARGE)].mean(axis=1))
    interval = statistics.interval(table, "difference")
    evidence = f"Manhattan, d = 64 and 128 minus d = 256 and 512: PSNR {shown(interval, 'psnr', unit=True)}."
    change = between_seeds(seed_means(table, "difference"))
    observed = (Observed("Manhattan, d = 64 and 128 − d = 256 and 512", "PSNR (dB)", shown(interval, "psnr")),)
    if (interval.above() or interval.below()) and abs(interval.value) > change:
        return Finding(HOLDS if interval.above() else FAILS, evidence, observed=observed)
    return Finding(OPEN, evidence, "a tie over trainings and plates", suggest_command(results, rows), observed)


def about_one_decibel(results: Results, reading: Reading) -> Finding:
    """Claim 17. Holds: Manhattan is about 1 dB above Euclidean at d = 512 in both scores. Does not: clearly not."""
    cells = whole_grid(results, reading).cells
    pair = cells["manhattan", DIMENSIONS[-1]], cells["euclidean", DIMENSIONS[-1]]
    outcomes, evidence, whys = set(), [], []
    observed: list[Observed] = []
    for metric in ("psnr", "psnr_y"):
        if any(metric not in row.scores for row in pair):
            raise Undecidable(f"no scores of {METRICS[metric].label}", run_command(results, [r.name for r in pair]))
        interval, test = results.difference(*pair, metric)
        comparison = Comparison(*pair, metric, interval, test, test.p)
        change = noise_threshold(results, comparison)
        low, high = interval.low - change, interval.high + change
        inside, outside = ABOUT_ONE[0] <= low and high <= ABOUT_ONE[1], high < ABOUT_ONE[0] or low > ABOUT_ONE[1]
        outcomes.add(HOLDS if inside else FAILS if outside else OPEN)
        evidence.append(f"Manhattan minus Euclidean at d = 512: {METRICS[metric].label} "
                        f"{shown(interval, metric, unit=True)}.")  # fmt: skip
        whys += [why_undecided(change, comparison)] * (not inside and not outside)
        observed.append(of_comparison(comparison, "Manhattan − Euclidean, d = 512", f"{METRICS[metric].label} (dB)"))
    words = " ".join(evidence)
    if FAILS in outcomes or outcomes == {HOLDS}:
        return Finding(FAILS if FAILS in outcomes else HOLDS, words, observed=tuple(observed))
    why = "; ".join(dict.fromkeys(whys))
    return Finding(OPEN, words, why, suggest_command(results, pair), tuple(observed))
