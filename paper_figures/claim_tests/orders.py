"""Claims that are orders: each stated order of two methods as a paired difference over the test plates."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from benchmark.scoring.metrics import METRICS, SECOND
from paper_figures.claim_tests.claim import Above, Test
from paper_figures.common import text
from paper_figures.common.commands import run_command, suggest_command
from paper_figures.common.evidence import (
    FAILS,
    HOLDS,
    OPEN,
    Finding,
    Reading,
    Undecidable,
    mse_alone,
    not_read,
    require_rows,
    title,
    verdict,
    whole_grid,
)
from paper_figures.common.grid import DISTANCES
from paper_figures.common.observed import REVERSED, STATED, TIED, Observed, of_comparison
from paper_figures.common.paired import BETTER, WORSE, Comparison, shown
from paper_figures.common.pairing import holm
from paper_figures.common.results import Results, Row

RULE = (
    "Every stated order of two methods is a paired difference over the test plates, with its interval and Wilcoxon's "
    "test, corrected by Holm over the orders of the claim. Holds if all are clear as stated, does not hold if one is "
    "clearly the other way round. Orders in OCR confidence must agree for all OCR engines of the run."
)


def ordered(pairs: Sequence[Above]) -> Test:
    """Holds: all pairs as stated. Does not: one reversed. Once an OCR engine, where a pair is about reading."""

    def test(results: Results, reading: Reading) -> Finding:
        rows, lacking = _rows(results, reading, pairs)
        present = [p for p in pairs if p.better in rows and p.worse in rows]
        if not present:
            names = ", ".join(dict.fromkeys(lacking))
            raise Undecidable(f"no comparable result of {names}", run_command(results, dict.fromkeys(lacking)))
        findings = [_order(results, rows, present, suffix) for suffix in _engines(rows.values(), present)]
        if not findings:
            raise not_read(results, rows.values())
        finding = agreed(findings)
        if lacking and finding.outcome != FAILS:
            why = f"no comparable result of {', '.join(dict.fromkeys(lacking))}"
            return replace(finding, outcome=OPEN, reason=why, command=run_command(results, dict.fromkeys(lacking)))
        return finding

    return test


def _rows(results: Results, reading: Reading, pairs: Iterable[Above]) -> tuple[dict[str, Row], list[str]]:
    """The row behind each name, and the methods that have none or were made under other conditions.

    Raises Undecidable where the reading itself, MSE alone or a cell of the ablation is missing.
    """
    rows: dict[str, Row] = {}
    lacking: list[str] = []
    for name in dict.fromkeys(name for pair in pairs for name in (pair.better, pair.worse)):
        distance, _, dimension = name.partition("-")
        if distance in DISTANCES:
            rows[name] = whole_grid(results, reading).cells[distance, int(dimension)]
        elif name == "pecl":
            (rows[name],) = require_rows(results, reading.name)
        elif name == "pecl-mse":
            (pecl,) = require_rows(results, reading.name)
            rows[name] = mse_alone(results, pecl)
        else:
            row = results.row(name)
            if row is None or row.differs:
                lacking.append(name)
            else:
                rows[name] = row
    return rows, lacking


def _engines(rows: Iterable[Row], pairs: Sequence[Above]) -> list[str]:
    """Suffixes of the OCR engines that read all rows; one empty suffix if no pair is about reading."""
    read = {pair.metric for pair in pairs if METRICS[pair.metric].engine}
    if not read:
        return [""]
    return [s for s in ("", SECOND) if all(metric + s in row.scores for row in rows for metric in read)]


def _order(results: Results, rows: dict[str, Row], pairs: Sequence[Above], suffix: str) -> Finding:
    named = [(pair, pair.metric + suffix if METRICS[pair.metric].engine else pair.metric) for pair in pairs]
    lacking = {metric for pair, metric in named for name in (pair.better, pair.worse)
               if metric not in rows[name].scores}  # fmt: skip
    if lacking:
        labels = " and ".join(METRICS[metric].label for metric in sorted(lacking))
        raise Undecidable(f"no scores of {labels}", run_command(results, [row.name for row in rows.values()]))
    differences = [results.difference(rows[pair.better], rows[pair.worse], metric) for pair, metric in named]
    corrected = holm([test.p for _, test in differences])
    compared = [
        Comparison(rows[pair.better], rows[pair.worse], metric, interval, test, p)
        for (pair, metric), (interval, test), p in zip(named, differences, corrected, strict=True)
    ]
    verdicts = [(comparison, *verdict(results, comparison)) for comparison in compared]
    reversed_ = [c for c, outcome, _ in verdicts if outcome == WORSE]
    ties = [(c, why) for c, outcome, why in verdicts if outcome not in (BETTER, WORSE)]
    new = [metric for _, metric in named if metric.endswith(suffix)]  # of a second engine not the rest again
    evidence = [_values(rows, pairs, metric) for metric in dict.fromkeys(new)]
    orders = sum(c.metric in new for c in compared)
    evidence += _listed("As stated", [c for c, outcome, _ in verdicts if outcome == BETTER], new, orders)
    evidence += _listed("The other way round", reversed_, new, orders)
    evidence += _listed(
        "Clear on these plates, but not beyond what training anew may change",
        [c for c, _ in ties if c.decided], new, orders,
    )  # fmt: skip
    evidence += _listed("Not told apart", [c for c, _ in ties if not c.decided], new, orders)
    observed = tuple(_observed(c, outcome) for c, outcome, _ in verdicts if c.metric in new)
    if reversed_:
        return Finding(FAILS, " ".join(evidence), observed=observed)
    if not ties:
        return Finding(HOLDS, " ".join(evidence), observed=observed)
    whys = "; ".join(dict.fromkeys(why for _, why in ties))
    trained = {row.name: row for c, _ in ties for row in (c.row, c.reference) if row.trained}
    return Finding(OPEN, " ".join(evidence), whys, suggest_command(results, trained.values()), observed)


def _observed(comparison: Comparison, outcome: str) -> Observed:
    kind = METRICS[comparison.metric]
    side = {BETTER: STATED, WORSE: REVERSED}.get(outcome, TIED)
    what = f"{title(comparison.row)} − {title(comparison.reference)}"
    return of_comparison(comparison, what, f"{kind.label} ({kind.unit})" if kind.unit else kind.label, side)


def _values(rows: dict[str, Row], pairs: Sequence[Above], metric: str) -> str:
    """The observed order: what tables show of each method, best first."""
    kind = METRICS[metric]
    base = metric.removesuffix(SECOND)
    names = dict.fromkeys(n for pair in pairs if pair.metric in (metric, base) for n in (pair.better, pair.worse))
    scores = {
        title(rows[name]): kind.factor * (s.mean if kind.statistic == "mean" else s.median)
        for name in names if (s := rows[name].scores.get(metric)) is not None
    }  # fmt: skip
    best_first = sorted(scores, key=lambda name: scores[name], reverse=kind.higher_is_better)
    unit = f" {kind.unit}" if kind.unit else ""
    listed = ", ".join(f"{name} {text.number(scores[name], kind.decimals)}" for name in best_first)
    return f"{kind.label} ({kind.statistic}), best first: {listed}{unit}."


LISTED = 3
"""Differences written out, the largest first."""


def _listed(word: str, comparisons: Sequence[Comparison], metrics: Collection[str], orders: int) -> list[str]:
    """How many orders came out so, and their largest differences."""
    mine = sorted((c for c in comparisons if c.metric in metrics), key=lambda c: -abs(c.interval.value))
    if not mine:
        return []
    several = len(set(metrics)) > 1
    some = [
        f"{title(c.row)} − {title(c.reference)} {shown(c.interval, c.metric, unit=True)}"
        + (f" ({METRICS[c.metric].label})" if several else "")
        for c in mine[:LISTED]
    ]
    return [f"{word}, {len(mine)} of {orders}: {'; '.join(some)}{'; …' * (len(mine) > LISTED)}."]


# -- several findings in one -----------------------------------------------------------------------


def agreed(findings: Sequence[Finding]) -> Finding:
    """The findings of several OCR engines: their outcome where they agree, else open."""
    evidence = " ".join(dict.fromkeys(finding.evidence for finding in findings))
    observed = tuple(dict.fromkeys(each for finding in findings for each in finding.observed))
    outcomes = {finding.outcome for finding in findings}
    if len(outcomes) == 1 and OPEN not in outcomes:
        return Finding(outcomes.pop(), evidence, observed=observed)
    whys = dict.fromkeys(finding.reason for finding in findings if finding.reason)
    reason = "; ".join(whys) if whys else "the OCR engines disagree"
    return Finding(OPEN, evidence, reason, next((f.command for f in findings if f.command), ""), observed)


def all_of(*tests: Test) -> Test:
    """A claim of several parts. Holds: all do. Does not: one does not."""

    def test(results: Results, reading: Reading) -> Finding:
        findings = [each(results, reading) for each in tests]
        evidence = " ".join(finding.evidence for finding in findings)
        observed = tuple(dict.fromkeys(each for finding in findings for each in finding.observed))
        if any(finding.outcome == FAILS for finding in findings):
            return Finding(FAILS, evidence, observed=observed)
        still_open = [finding for finding in findings if finding.outcome != HOLDS]
        if not still_open:
            return Finding(HOLDS, evidence, observed=observed)
        reason = "; ".join(dict.fromkeys(finding.reason for finding in still_open))
        return Finding(OPEN, evidence, reason, still_open[0].command, observed)

    return test
