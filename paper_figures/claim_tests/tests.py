"""How the paper's claims are tested on stored results: one function a claim, from results to a finding.

``holds`` and ``does not hold`` need an interval on one side of what is claimed, and a test that agrees. All
else is ``not decidable here``, with the reason and the command that would decide it. Rows made under other
conditions than the rest count as missing.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats

import methods
from benchmark.scoring.metrics import METRICS, SECOND
from paper_figures.common import contrast, statistics, text
from paper_figures.common.commands import larger_budget, patches, remedy, run_command
from paper_figures.common.evidence import (
    FAILS,
    HOLDS,
    OPEN,
    Finding,
    Reading,
    Undecidable,
    allowance,
    anew,
    mse_alone,
    need,
    rivals,
    room,
    title,
    weigh,
    whole_grid,
)
from paper_figures.common.grid import DIMENSIONS, DISTANCES, keys
from paper_figures.common.paired import BETTER, UNKNOWN, WORSE, Comparison, compare, probability, shown
from paper_figures.common.results import Results, Row
from paper_figures.common.statistics import Interval

Test = Callable[[Results, Reading], Finding]

MARGIN = 0.05
"""Within reach of TBSRN: the judge's confidence is lower by no more than this. Confidences lie between 0 and 1; on 100
real plates HR had 0.99 on average and bicubic 0.32, so this is a fourteenth of what upscaling has to win."""
ENOUGH_METHODS = 5
"""Fewer points have no rank correlation worth the name: of four, even perfect order has p = 0.08."""
ENOUGH_VALIDATIONS = 3
"""So many validations must lie in the last quarter of training before a curve is said to have settled."""

_ALPHA = 1 - statistics.LEVEL


def _difference(comparison: Comparison) -> str:
    return shown(comparison.found, comparison.metric, unit=True)


def first(metric: str) -> Test:
    """Claims 1 and 2. Holds: above every other method of Table 1. Does not: below one, after Holm's correction."""

    def test(results: Results, reading: Reading) -> Finding:
        (pecl,) = need(results, reading.name)
        rows = [row for name in rivals() if (row := results.row(name)) is not None and not row.differs]
        found = sorted(compare(results, rows, pecl, metric), key=lambda c: -c.found.value)
        there = {comparison.row.name for comparison in found}
        lacking = [name for name in rivals() if name not in there]
        if not found:
            raise Undecidable("no other method of Table 1 to compare with", run_command(results, lacking))
        weighed = [(comparison, *weigh(results, comparison)) for comparison in found]
        ties = [(c, why) for c, verdict, why in weighed if verdict not in (BETTER, WORSE)]
        evidence = _place(pecl, found, metric)
        for word, verdicts in (("Above it", (BETTER,)), ("Below it", (WORSE,)), ("Not told apart", ("tie", UNKNOWN))):
            some = [f"{title(c.row)} {_difference(c)}" for c, verdict, _ in weighed if verdict in verdicts]
            evidence += f" {word}: {', '.join(some)}." if some else ""
        if any(verdict == BETTER for _, verdict, _ in weighed):
            return Finding(FAILS, evidence)
        if lacking:
            names = ", ".join(methods.get(name).title for name in lacking)
            return Finding(OPEN, evidence, f"no comparable result of {names}", run_command(results, lacking))
        if ties:
            reasons = "; ".join(f"{title(c.row)}: {why}" for c, why in ties)
            return Finding(OPEN, evidence, reasons, remedy(results, [pecl, *(c.row for c, _ in ties if c.row.trained)]))
        return Finding(HOLDS, evidence)

    return test


def _place(pecl: Row, found: list[Comparison], metric: str) -> str:
    medians = [row.scores[metric].median for row in (pecl, *(c.row for c in found))]
    place = 1 + sum(median > medians[0] for median in medians)
    value = f"{text.number(medians[0], METRICS[metric].decimals)} {METRICS[metric].unit}"
    return f"{title(pecl)}: median {value}, number {place} of {len(medians)}."


def within_reach(results: Results, reading: Reading) -> Finding:
    """Claim 3. Non-inferiority: the paired difference in confidence lies above −``MARGIN``, for every judge.

    It holds only where TBSRN itself reads more plates than bicubic does: being near it must mean something.
    """
    pecl, tbsrn, bicubic = need(results, reading.name, "tbsrn", "bicubic")
    suffixes = [s for s in ("", SECOND) if all("confidence" + s in row.scores for row in (pecl, tbsrn, bicubic))]
    if not suffixes:
        again = run_command(results, [pecl.name, tbsrn.name, bicubic.name], {"--ocr": "rapid"})
        raise Undecidable("no plate was read (no OCR judge)", again)
    outcomes, evidence, reasons = set(), [], []
    for suffix in suffixes:
        whose = "Second judge" if suffix else "Judge"
        (near,) = compare(results, [pecl], tbsrn, "confidence" + suffix)
        accuracy = compare(results, [pecl], tbsrn, "plate_correct" + suffix)
        outcome, why = _near(results, near, compare(results, [tbsrn], bicubic, "plate_correct" + suffix))
        outcomes.add(outcome)
        reasons += [f"{whose.lower()}: {why}"] * bool(why)
        beside = "".join(f", plate accuracy {_difference(c)}" for c in accuracy)
        evidence.append(f"{whose}, {title(pecl)} minus {title(tbsrn)}: confidence {_difference(near)}{beside}.")
    if outcomes == {HOLDS} or outcomes == {FAILS}:
        return Finding(outcomes.pop(), " ".join(evidence))
    if outcomes == {HOLDS, FAILS}:
        reasons = ["the judges disagree"]
    return Finding(OPEN, " ".join(evidence), "; ".join(reasons), remedy(results, [pecl, tbsrn]))


def _near(results: Results, near: Comparison, gain: list[Comparison]) -> tuple[str, str]:
    """Outcome and reason for one judge; ``gain`` is TBSRN's plate accuracy minus bicubic's."""
    if not near.found.known:
        return OPEN, f"only {text.plural(near.found.clusters, 'plate text')} in common"
    change = room(results, near)
    if math.isinf(change):
        return OPEN, anew(change, near)
    if near.found.high + change < -MARGIN:
        return FAILS, ""
    if not gain or weigh(results, gain[0])[0] != BETTER:
        numbers = "".join(f" ({_difference(c)})" for c in gain)
        return OPEN, f"TBSRN itself does not clearly read more plates than bicubic{numbers}, so nearness says nothing"
    if near.found.low - change > -MARGIN:
        return HOLDS, ""
    alone = f"; {anew(change, near)}" if change else ""
    return OPEN, f"the interval is not clear of the margin, {text.number(-MARGIN)}{alone}"


def above_mse(results: Results, reading: Reading) -> Finding:
    """Claim 4. The paired difference in PSNR."""
    (pecl,) = need(results, reading.name)
    mse = mse_alone(results, pecl)
    (comparison,) = compare(results, [pecl], mse, "psnr")
    evidence = (
        f"{title(pecl)} minus {title(mse)}: PSNR {_difference(comparison)}, p {probability(comparison.corrected)}"
    )
    evidence += "".join(f"; PSNR_Y {_difference(c)}" for c in compare(results, [pecl], mse, "psnr_y")) + "."
    verdict, why = weigh(results, comparison)
    outcome = {BETTER: HOLDS, WORSE: FAILS}.get(verdict, OPEN)
    return Finding(outcome, evidence, why, remedy(results, [pecl, mse]) if why else "")


def _decide(found: Interval, p: float, p_reverse: float) -> str:
    """By the side of 0 on which the interval lies, where the test of that direction agrees."""
    if found.above() and p < _ALPHA:
        return HOLDS
    return FAILS if found.below() and p_reverse < _ALPHA else OPEN


def manhattan(results: Results, reading: Reading) -> Finding:
    """Claim 5. Paired by plate, pooled over the dimensions; the outer level are the trainings (dimension, seed)."""
    cells = whole_grid(results, reading).cells
    pairs = {
        d: statistics.pairs(results.plates_of(cells["manhattan", d]), results.plates_of(cells["euclidean", d]), "psnr")
        for d in DIMENSIONS
    }
    pooled = pd.concat([pair.assign(seed=[f"{d} {s}" for s in pair["seed"]]) for d, pair in pairs.items()])
    found, test = statistics.interval(pooled, "difference"), statistics.wilcoxon(pooled)
    change = statistics.between_seeds(pooled, "difference")
    each = ", ".join(f"{text.number(_mean(pair['difference']), sign=True)} at {d}" for d, pair in pairs.items())
    evidence = f"Manhattan minus Euclidean: PSNR {shown(found, 'psnr', unit=True)}, p {probability(test.p)} ({each})."
    outcome = _decide(found, test.p, test.p)
    if outcome != OPEN and abs(found.value) > change:
        return Finding(outcome, evidence)
    why = "a tie over trainings and plates" if found.known else "too few plates in common"
    return Finding(OPEN, evidence, why, remedy(results, cells.values()))


def dimension(results: Results, reading: Reading) -> Finding:
    """Claim 6. Slope of PSNR over log2 d, by plate; the outer level are the pairs of distance and seed.

    Page's trend test (Journal of the American Statistical Association 58, 1963) of the trainings' means must agree.
    """
    cells = whole_grid(results, reading).cells
    slopes = {distance: _slopes(results, [cells[distance, d] for d in DIMENSIONS]) for distance in DISTANCES}
    pooled = pd.concat([one.assign(seed=[f"{name} {s}" for s in one["seed"]]) for name, one in slopes.items()])
    means = pooled.groupby("seed")[list(DIMENSIONS)].mean().to_numpy(float)
    found = statistics.interval(pooled, "slope")
    if not found.known or len(means) < 2:
        raise Undecidable("too few plates in common", remedy(results, cells.values()))
    rising, falling = (float(stats.page_trend_test(order).pvalue) for order in (means, means[:, ::-1]))
    each = ", ".join(f"{name.capitalize()} {_decibel(_mean(one['slope']))}" for name, one in slopes.items())
    ends = f"[{_decibel(found.low)}, {_decibel(found.high)}]"
    evidence = (
        f"PSNR for a doubling of d: {_decibel(found.value)} dB {ends} ({each}); "
        f"Page's test of {text.plural(means.size, 'training')}: p {probability(rising)}."
    )
    outcome = _decide(found, rising, falling)
    if outcome != OPEN:
        return Finding(outcome, evidence)
    return Finding(OPEN, evidence, "no clear trend over trainings and plates", remedy(results, cells.values()))


def _slopes(results: Results, rows: list[Row]) -> pd.DataFrame:
    """One line a (seed, plate): PSNR at each dimension, and its least-squares slope in dB for a doubling of d."""
    shared = [key for key in ("seed", "index", "name", "text") if key in results.plates]
    table = results.plates_of(rows[0])[shared]
    for d, row in zip(DIMENSIONS, rows, strict=True):
        table = table.merge(results.plates_of(row)[[*shared, "psnr"]].rename(columns={"psnr": d}), on=shared)
    table = table[np.isfinite(table[list(DIMENSIONS)].to_numpy(float)).all(axis=1)]
    x = np.log2(DIMENSIONS) - np.mean(np.log2(DIMENSIONS))
    return table.assign(slope=table[list(DIMENSIONS)].to_numpy(float) @ x / (x @ x))


def _mean(column: pd.Series) -> float:
    values = column.to_numpy(float)
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else math.nan


def _decibel(value: float) -> str:
    return text.number(value, 3, sign=True)


def settled(results: Results, reading: Reading) -> Finding:
    """Claim 7. Holds: in every cell the contrast stays above zero over the last quarter of training. Does not: in one
    it stays at or below zero. A cell's mean difference must also exceed what training anew may change."""
    grid = whole_grid(results, reading)
    assert grid.mse is not None
    above, below, thin, listed = 0, 0, False, []
    for distance, d in keys():
        row = grid.cells[distance, d]
        curves = contrast.frame(results, [grid], distance)
        curve = contrast.mean_over_seeds(curves[curves["dimension"] == d]) if len(curves) else curves
        late = curve[curve.index >= 0.75 * row.iterations]
        if len(late) < ENOUGH_VALIDATIONS or not np.isfinite(late["contrast"].astype(float)).all():
            thin = True
            continue
        mine = curves[(curves["dimension"] == d) & curves["iteration"].isin(late.index)]
        seeds = mine["seed"].nunique()
        change = (
            statistics.between_seeds(mine, "difference") if seeds > 1 else allowance(results, row, grid.mse, "psnr")
        )
        mean = float(late["difference"].mean())
        above += bool((late["contrast"] > 0).all()) and mean > change
        below += bool((late["contrast"] <= 0).all()) and mean < -change
        listed.append(f"{distance.capitalize()} {d} {text.number(late['contrast'].mean(), 4, sign=True)} "
                      f"({text.number(mean, sign=True)} dB)")  # fmt: skip
    evidence = f"Mean contrast over the last quarter: {', '.join(listed)}." if listed else ""
    if below:
        return Finding(FAILS, evidence)
    if above == len(grid.cells):
        return Finding(HOLDS, evidence)
    if thin:
        why = f"fewer than {ENOUGH_VALIDATIONS} usable validations in the last quarter of training"
        names = [row.name for row in grid.rows]
        return Finding(OPEN, evidence, why, run_command(results, names, larger_budget(results)))
    why = f"{above} of {len(grid.cells)} cells stay clearly above zero, none clearly below"
    return Finding(OPEN, evidence, why, remedy(results, grid.rows))


def convergence(results: Results, reading: Reading) -> Finding:
    """Claim 8. Spearman's rank correlation, over the trained methods of Table 1, of the iterations to the best with the
    median PSNR; p by permutation. A method that is best at its last validation has not shown how long it takes."""
    rows = [row for name in methods.names("table1") if (row := results.row(name)) is not None]
    rows = [row for row in rows if row.trained and not row.differs and math.isfinite(row.scores["psnr"].median)]
    absent = [name for name in methods.names("table1") if results.row(name) is None]
    if len(rows) < ENOUGH_METHODS:
        why = f"only {text.plural(len(rows), 'trained method')} of Table 1"
        raise Undecidable(why, run_command(results, absent or methods.names("table1")))
    late = [row for row in rows if max(row.best_iterations) >= row.iterations]
    evidence = f"Best at the last iteration: {len(late)} of {text.plural(len(rows), 'method')}."
    x = stats.rankdata([row.best_iteration or 0.0 for row in rows])
    y = stats.rankdata([row.scores["psnr"].median for row in rows])
    larger = run_command(results, [row.name for row in rows], larger_budget(results)) if patches(results) else ""
    if 2 * len(late) > len(rows) or len(set(x)) == 1 or len(set(y)) == 1:
        return Finding(OPEN, evidence, "most methods were still improving when the budget ended", larger)
    rho = float(stats.spearmanr(x, y).statistic)
    p = float(
        stats.permutation_test(
            (x,), lambda drawn, axis: (drawn * y).sum(axis=axis), permutation_type="pairings", vectorized=True,
            random_state=np.random.default_rng(0),
        ).pvalue
    )  # fmt: skip
    evidence += f" Spearman's ρ = {text.number(rho, 2, sign=True)}, p {probability(p)}."
    if p < _ALPHA:
        return Finding(HOLDS if rho > 0 else FAILS, evidence)
    return Finding(OPEN, evidence, f"with {len(rows)} methods this correlation may be chance", larger)


def cleaner(results: Results, reading: Reading) -> Finding:
    """Claim 9. Paired differences in blur and compression. Holds: both are below zero. Does not: one is above it."""
    (pecl,) = need(results, reading.name)
    mse = mse_alone(results, pecl)
    found = [c for metric in ("blur", "compression") for c in compare(results, [pecl], mse, metric)]
    if len(found) < 2:
        again = run_command(results, [pecl.name, mse.name])
        raise Undecidable("these results have no scores of blur and compression", again)
    corrected = statistics.holm([c.test.p for c in found])
    pair = [Comparison(c.row, c.reference, c.metric, c.found, c.test, p) for c, p in zip(found, corrected)]
    weighed = [weigh(results, c) for c in pair]
    evidence = f"{title(pecl)} minus {title(mse)}: " + "; ".join(
        f"{METRICS[c.metric].label.lower()} {_difference(c)}, p {probability(c.corrected)}" for c in pair
    )
    verdicts = [verdict for verdict, _ in weighed]
    outcome = FAILS if WORSE in verdicts else HOLDS if verdicts == [BETTER, BETTER] else OPEN
    why = "; ".join(f"{METRICS[c.metric].label.lower()}: {why}" for c, (_, why) in zip(pair, weighed) if why)
    why = why if outcome == OPEN else ""
    return Finding(outcome, evidence + ".", why, remedy(results, [pecl, mse]) if why else "")
