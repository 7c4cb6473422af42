"""Claims on training: iterations to the best (Fig. 6), and the contrast along it (Figs. 10 and 11)."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy import stats

import methods
from paper_figures.claim_tests.claim import above
from paper_figures.claim_tests.orders import all_of, ordered
from paper_figures.common import contrast, paper, statistics, text
from paper_figures.common.commands import larger_budget, patches, run_command, suggest_command
from paper_figures.common.evidence import (
    FAILS,
    HOLDS,
    OPEN,
    Finding,
    Reading,
    Undecidable,
    require_rows,
    seed_noise,
    whole_grid,
)
from paper_figures.common.grid import DIMENSIONS, DISTANCES, Grid, keys
from paper_figures.common.observed import Observed
from paper_figures.common.paired import probability
from paper_figures.common.pairing import between_seeds, seed_means
from paper_figures.common.results import Results, Row

EXCEPTION = "srcnn"
"""The paper excepts it from the relation of its Fig. 6."""
EARLY_GROUP, LATE_GROUP = ("esrgan", "msrn"), ("espcn", "tbsrn", "swinir", "pecl")
ENOUGH_METHODS = 5
"""Fewer points have no rank correlation worth the name: of four, even perfect order has p = 0.08."""
ENOUGH_VALIDATIONS = 3
"""Validations that a curve needs in the first and in the last quarter of training."""
AROUND = 0.05
"""A contrast within this of the paper's 0.1 is "around 0.1": half of it, what rounds to 0.1 from below."""

_ALPHA = 1 - statistics.LEVEL

CONVERGENCE_RULE = (
    f"Spearman's correlation over Table 1's trained methods without SRCNN ({ENOUGH_METHODS} or more) of the iterations "
    "to the best with the median PSNR, permutation test; not decided while more than half are best at the last "
    "iteration."
)
GROUPS_RULE = (
    "Iterations to the best of MSRN and ESRGAN are fewer than those of ESPCN, TBSRN, SwinIR and PECL, and the PSNR of "
    "the latter is above that of the former (paired, as other orders). Not decided while more than half are best at "
    "the last iteration."
)
LATE_RULE = (
    f"Contrast (Eq. 20) of validation PSNR over the last quarter of training, {ENOUGH_VALIDATIONS} validations or "
    f"more: holds if in all eight cells it stays above zero and its mean lies within {AROUND} of the paper's 0.1; does "
    "not hold if in one cell it stays at or below zero or its mean is clearly further away. Margins are what training "
    "anew may change."
)
EARLY_RULE = (
    "First quarter of training: the contrast varies more (standard deviation) than over the last quarter in every "
    "cell, and at every d the Euclidean curve's lowest point is below the Manhattan one's. Seed by seed: holds if so "
    "in all, does not hold if in none; two seeds or more."
)
SPREAD_RULE = (
    "Over all d, seed by seed: the Manhattan curves have values on both sides of zero, the Euclidean ones span more "
    "and reach lower. Holds if so in every seed, does not hold if in none; two seeds or more."
)
SMOOTH_RULE = (
    "Mean change of the contrast from one validation to the next, by dimension: Page's trend test over the pairs of "
    "distance and seed, falling with d, and falling more for Manhattan than for Euclidean."
)


# -- iterations to the best ------------------------------------------------------------------------


def _selected(results: Results, name: str) -> Row | None:
    """The weights that a method was best with: where its own row has the last ones, they have another."""
    return next((row for row in results.rows if row.of == name), results.row(name))


def _trained(results: Results, names: Iterable[str]) -> list[Row]:
    rows = [row for name in names if (row := _selected(results, name)) is not None]
    return [row for row in rows if row.trained and not row.differs and math.isfinite(row.scores["psnr"].median)]


def _late(rows: list[Row]) -> tuple[bool, str]:
    """Whether most are best at their last iteration, and that in words."""
    late = [row for row in rows if max(row.best_iterations) >= row.iterations]
    return 2 * len(late) > len(rows), f"Best at the last iteration: {len(late)} of {text.plural(len(rows), 'method')}."


def convergence(results: Results, reading: Reading) -> Finding:
    """Claim 10. Holds: more iterations to the best go with a higher PSNR, without SRCNN. Does not: with a lower one."""
    names = [name for name in methods.names("table1") if name != EXCEPTION]
    rows = _trained(results, names)
    if len(rows) < ENOUGH_METHODS:
        why = f"only {text.plural(len(rows), 'trained method')} of Table 1 besides SRCNN"
        absent = [name for name in names if results.row(name) is None]
        raise Undecidable(why, run_command(results, absent or names))
    most_late, evidence = _late(rows)
    x = stats.rankdata([row.best_iteration or 0.0 for row in rows])
    y = stats.rankdata([row.scores["psnr"].median for row in rows])
    larger = run_command(results, [row.name for row in rows], larger_budget(results)) if patches(results) else ""
    if most_late or len(set(x)) == 1 or len(set(y)) == 1:
        why = "most methods were still improving when the budget ended"
        return Finding(OPEN, evidence, why, larger, _best_at(rows))
    rho = float(stats.spearmanr(x, y).statistic)
    p = float(
        stats.permutation_test(
            (x,), lambda drawn, axis: (drawn * y).sum(axis=axis), permutation_type="pairings", vectorized=True,
            random_state=np.random.default_rng(0),
        ).pvalue
    )  # fmt: skip
    evidence += f" Spearman's ρ = {text.number(rho, 2, sign=True)}, p {probability(p)}."
    correlation = f"{text.number(rho, 2, sign=True)}, p {probability(p)}"
    observed = (*_best_at(rows), Observed("Spearman's ρ", "Iterations to the best", correlation))
    if p < _ALPHA:
        return Finding(HOLDS if rho > 0 else FAILS, evidence, observed=observed)
    why = f"with {len(rows)} methods this correlation may be chance"
    return Finding(OPEN, evidence, why, larger, observed)


def _best_at(rows: Iterable[Row]) -> tuple[Observed, ...]:
    return tuple(Observed(row.title, "Iterations to the best", text.iterations(row.best_iteration)) for row in rows)


def _iterations(results: Results, reading: Reading) -> Finding:
    names = require_rows(results, *EARLY_GROUP), require_rows(results, *LATE_GROUP[:-1], reading.name)
    early, late = ([_selected(results, row.name) or row for row in rows] for rows in names)
    most_late, evidence = _late([*early, *late])
    first, last = ([row.best_iteration or 0.0 for row in rows] for rows in (early, late))
    listed = ", ".join(f"{row.title} {text.iterations(row.best_iteration)}" for row in (*early, *late))
    evidence = f"Iterations to the best: {listed}. {evidence}"
    observed = _best_at([*early, *late])
    if not most_late and max(first) < min(last):
        return Finding(HOLDS, evidence, observed=observed)
    if not most_late and min(first) > max(last):
        return Finding(FAILS, evidence, observed=observed)
    why = "most methods were still improving when the budget ended" if most_late else "the two groups overlap"
    larger = run_command(results, [row.name for row in (*early, *late)], larger_budget(results))
    return Finding(OPEN, evidence, why, larger, observed)


groups = all_of(_iterations, ordered([pair for name in LATE_GROUP for pair in above(name, EARLY_GROUP, "psnr")]))
"""Claim 11. Holds: MSRN and ESRGAN are best early and end low, the others late and high. Does not: the reverse."""


# -- the contrast ----------------------------------------------------------------------------------


def _curves(results: Results, reading: Reading) -> tuple[Grid, pd.DataFrame]:
    """The ablation and the contrast of all its cells. Raises Undecidable without enough finite validations."""
    return results.once(("curves", reading.name), lambda: _usable_curves(results, reading))


def _usable_curves(results: Results, reading: Reading) -> tuple[Grid, pd.DataFrame]:
    grid = whole_grid(results, reading)
    frames = [contrast.frame(results, [grid], distance) for distance in DISTANCES]
    data = pd.concat([frame for frame in frames if len(frame)] or frames, ignore_index=True)
    for distance, d in keys():
        mine = data[(data["distance"] == distance) & (data["dimension"] == d)]
        for part in _quarters(mine, grid.cells[distance, d].iterations):
            usable = np.isfinite(part["contrast"].astype(float)).all()
            if part["iteration"].nunique() < ENOUGH_VALIDATIONS or not usable:
                why = f"fewer than {ENOUGH_VALIDATIONS} usable validations in a quarter of training"
                names = [row.name for row in grid.rows]
                raise Undecidable(why, run_command(results, names, larger_budget(results)))
    return grid, data


def _quarters(curve: pd.DataFrame, iterations: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The first and the last quarter of training."""
    return curve[curve["iteration"] <= 0.25 * iterations], curve[curve["iteration"] >= 0.75 * iterations]


def late(results: Results, reading: Reading) -> Finding:
    """Claim 23. Holds: late, all contrasts stay above zero, around 0.1. Does not: one is below or clearly elsewhere."""
    grid, data = _curves(results, reading)
    assert grid.mse is not None
    right, wrong, listed, observed = 0, 0, [], []
    for distance, d in keys():
        row = grid.cells[distance, d]
        _, mine = _quarters(data[(data["distance"] == distance) & (data["dimension"] == d)], row.iterations)
        if mine["seed"].nunique() > 1:
            change = between_seeds(seed_means(mine, "difference"))
        else:
            change = seed_noise(results, row, grid.mse, "psnr")
        curve, margin = contrast.mean_over_seeds(mine), change / float(mine["psnr_mse"].mean())
        mean, target = float(curve["contrast"].mean()), paper.contrast(distance)["late"].value
        off = abs(mean - target)
        right += bool((curve["contrast"] > 0).all()) and mean > margin and off <= AROUND
        wrong += (bool((curve["contrast"] <= 0).all()) and mean < -margin) or off - margin > AROUND
        listed.append(f"{distance.capitalize()} {d} {text.number(mean, 4, sign=True)} "
                      f"({text.number(float(curve['difference'].mean()), sign=True)} dB)")  # fmt: skip
        what = f"{distance.capitalize()}, d = {d}"
        observed.append(Observed(what, "Mean contrast, last quarter", text.number(mean, 4, sign=True)))
        decibels = text.number(float(curve["difference"].mean()), sign=True)
        observed.append(Observed(what, "The same in dB", decibels))
    evidence = f"Mean contrast over the last quarter: {', '.join(listed)}."
    if wrong:
        return Finding(FAILS, evidence, observed=tuple(observed))
    if right == len(grid.cells):
        return Finding(HOLDS, evidence, observed=tuple(observed))
    why = f"{right} of {len(grid.cells)} cells lie clearly above zero and around 0.1, none clearly elsewhere"
    return Finding(OPEN, evidence, why, suggest_command(results, grid.rows), tuple(observed))


def _by_seed(results: Results, grid: Grid, flags: list[bool], evidence: str, observed: tuple[Observed, ...]) -> Finding:
    """Holds: so in every seed. Does not: in none. Needs two seeds."""
    so_in = f"{sum(flags)} of {text.plural(len(flags), 'seed')}"
    evidence += f" So in {so_in}."
    observed = (*observed, Observed("As stated in", observed[0].score, so_in))
    if len(flags) < 2:
        return Finding(OPEN, evidence, "one seed", suggest_command(results, grid.rows), observed)
    if all(flags) or not any(flags):
        return Finding(HOLDS if flags[0] else FAILS, evidence, observed=observed)
    return Finding(OPEN, evidence, "the seeds disagree", suggest_command(results, grid.rows), observed)


def early(results: Results, reading: Reading) -> Finding:
    """Claim 22. The contrast fluctuates first, and Euclidean starts further behind."""
    grid, data = _curves(results, reading)
    flags, lowest = [], dict.fromkeys(DISTANCES, math.inf)
    for _, of_seed in data.groupby("seed"):
        calmer, further = [], []
        for d in DIMENSIONS:
            least = {}
            for distance in DISTANCES:
                mine = of_seed[(of_seed["distance"] == distance) & (of_seed["dimension"] == d)]
                first, last = _quarters(mine, grid.cells[distance, d].iterations)
                least[distance] = float(first["contrast"].min())
                lowest[distance] = min(lowest[distance], least[distance])
                calmer.append(float(first["contrast"].std()) > float(last["contrast"].std()))
            further.append(least["euclidean"] < least["manhattan"])
        flags.append(all(calmer) and all(further))
    listed = ", ".join(f"{name.capitalize()} {text.number(value, 3, sign=True)}" for name, value in lowest.items())
    observed = tuple(Observed(name.capitalize(), "Lowest contrast, first quarter", text.number(value, 3, sign=True))
                     for name, value in lowest.items())  # fmt: skip
    return _by_seed(results, grid, flags, f"Lowest contrast of the first quarter: {listed}.", observed)


def spread(results: Results, reading: Reading) -> Finding:
    """Claim 24. Manhattan's curves lie around zero, Euclidean's are spread wider and lower."""
    grid, data = _curves(results, reading)
    flags = []
    for _, of_seed in data.groupby("seed"):
        man, euc = (of_seed.loc[of_seed["distance"] == distance, "contrast"] for distance in ("manhattan", "euclidean"))
        wider = euc.max() - euc.min() > man.max() - man.min()
        flags.append(bool(man.min() < 0 < man.max() and wider and euc.min() < man.min()))
    ranges = data.groupby("distance")["contrast"].agg(["min", "max"])
    listed = "; ".join(
        f"{str(name).capitalize()} {text.number(low, 3, sign=True)} to {text.number(high, 3, sign=True)}"
        for name, low, high in ranges.itertuples()
    )
    observed = tuple(
        Observed(str(name).capitalize(), score, text.number(value, 3, sign=True))
        for name, low, high in ranges.itertuples()
        for score, value in (("Lowest contrast", low), ("Highest contrast", high))
    )
    return _by_seed(results, grid, flags, f"Range of the contrast: {listed}.", observed)


def smoother(results: Results, reading: Reading) -> Finding:
    """Claim 25. Holds: curves get smoother with d, Manhattan's most. Does not: rougher."""
    grid, data = _curves(results, reading)
    ordered_ = data.sort_values("iteration").groupby(["distance", "seed", "dimension"])["contrast"]
    rough = ordered_.apply(lambda curve: float(curve.diff().abs().mean())).unstack("dimension")
    steepness = {
        name: float((table[DIMENSIONS[-1]] / table[DIMENSIONS[0]]).mean()) for name, table in rough.groupby("distance")
    }
    means = rough[list(DIMENSIONS)].to_numpy(float)
    rising, falling = (float(stats.page_trend_test(order).pvalue) for order in (means, means[:, ::-1]))
    listed = ", ".join(f"{d}: {text.number(value, 4)}" for d, value in zip(DIMENSIONS, means.mean(axis=0), strict=True))
    evidence = f"Mean change between validations by d: {listed}; Page's test, falling: p {probability(falling)}."
    observed = (
        *(Observed(f"d = {d}", "Mean change between validations", text.number(value, 4))
          for d, value in zip(DIMENSIONS, means.mean(axis=0), strict=True)),
        Observed("Page's test, falling: p", "Mean change between validations", probability(falling)),
    )  # fmt: skip
    if falling < _ALPHA and steepness["manhattan"] < steepness["euclidean"]:
        return Finding(HOLDS, evidence, observed=observed)
    if rising < _ALPHA:
        return Finding(FAILS, evidence, observed=observed)
    return Finding(OPEN, evidence, "no clear trend over trainings", suggest_command(results, grid.rows), observed)
