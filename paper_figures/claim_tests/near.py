"""Claims that two methods are near each other: in reading (Table 1), and in noise (Fig. 13)."""

from __future__ import annotations

import math
from dataclasses import replace

from benchmark.scoring.metrics import METRICS, SECOND
from paper_figures.claim_tests.orders import agreed
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
    noise_threshold,
    not_read,
    require_rows,
    title,
    verdict,
    why_undecided,
)
from paper_figures.common.observed import of_comparison
from paper_figures.common.paired import BETTER, Comparison, compare, shown
from paper_figures.common.results import Results

MARGIN = 0.05
"""Competitive with TBSRN: OCR confidence is lower by no more than this. Confidences lie between 0 and 1; on 100
real plates HR had 0.99 on average and bicubic 0.32, so this is a thirteenth of what upscaling has to win."""
COMPARABLE = 0.1
"""Noise counts as comparable up to this relative difference from MSE alone."""

NEAR_RULE = (
    "Not worse by a margin: the interval of the paired difference in OCR confidence, widened by what training anew may "
    f"change, lies above {text.number(-MARGIN)} for every OCR engine (does not hold: below it), and only where TBSRN "
    "itself reads more plates than bicubic: else being near it says nothing."
)
NOISE_RULE = (
    f"Equivalence: the interval of the paired difference in noise, widened by what training anew may change, lies "
    f"within ± {100 * COMPARABLE:.0f} % of the mean noise of MSE alone (does not hold: outside)."
)


def competitive(results: Results, reading: Reading) -> Finding:
    """PECL's plates are read about as well as TBSRN's."""
    pecl, tbsrn, bicubic = require_rows(results, reading.name, "tbsrn", "bicubic")
    suffixes = [s for s in ("", SECOND) if all("confidence" + s in row.scores for row in (pecl, tbsrn, bicubic))]
    if not suffixes:
        raise not_read(results, (pecl, tbsrn, bicubic))
    findings = []
    for suffix in suffixes:
        engine = "Second OCR engine" if suffix else "OCR engine"
        (near,) = compare(results, [pecl], tbsrn, "confidence" + suffix)
        accuracy = compare(results, [pecl], tbsrn, "plate_correct" + suffix)
        outcome, why = _near(results, near, compare(results, [tbsrn], bicubic, "plate_correct" + suffix))
        beside = "".join(f", plate accuracy {_difference(c)}" for c in accuracy)
        evidence = f"{engine}, {title(pecl)} minus {title(tbsrn)}: confidence {_difference(near)}{beside}."
        command = suggest_command(results, [pecl, tbsrn]) if why else ""
        reason = f"{engine.lower()}: {why}".replace("ocr", "OCR") if why else ""
        what = f"{title(pecl)} − {title(tbsrn)}"
        observed = tuple(of_comparison(c, what, METRICS[c.metric].label) for c in (near, *accuracy))
        findings.append(Finding(outcome, evidence, reason, command, observed))
    finding = agreed(findings)
    if finding.outcome == OPEN and not finding.command:
        return replace(finding, command=suggest_command(results, [pecl, tbsrn]))
    return finding


def _difference(comparison: Comparison) -> str:
    return shown(comparison.interval, comparison.metric, unit=True)


def _near(results: Results, near: Comparison, gain: list[Comparison]) -> tuple[str, str]:
    """Outcome and reason for one OCR engine; ``gain`` is TBSRN's plate accuracy minus bicubic's."""
    if not near.interval.bounded:
        return OPEN, f"only {text.plural(near.interval.clusters, 'plate text')} in common"
    change = noise_threshold(results, near)
    if math.isinf(change):
        return OPEN, why_undecided(change, near)
    if near.interval.high + change < -MARGIN:
        return FAILS, ""
    if not gain or verdict(results, gain[0])[0] != BETTER:
        numbers = "".join(f" ({_difference(c)})" for c in gain)
        return OPEN, f"TBSRN itself does not clearly read more plates than bicubic{numbers}, so nearness says nothing"
    if near.interval.low - change > -MARGIN:
        return HOLDS, ""
    alone = f"; {why_undecided(change, near)}" if change else ""
    return OPEN, f"the interval is not clear of the margin, {text.number(-MARGIN)}{alone}"


def comparable_noise(results: Results, reading: Reading) -> Finding:
    """Claim 28. PECL's noise is comparable to that of MSE alone."""
    (pecl,) = require_rows(results, reading.name)
    mse = mse_alone(results, pecl)
    compared = compare(results, [pecl], mse, "noise")
    if not compared:
        raise Undecidable("no scores of noise", run_command(results, [pecl.name, mse.name]))
    (comparison,) = compared
    factor = METRICS["noise"].factor
    margin = COMPARABLE * abs(mse.scores["noise"].mean)
    change = noise_threshold(results, comparison)
    low, high = comparison.interval.low - change, comparison.interval.high + change
    evidence = (
        f"{title(pecl)} minus {title(mse)}: noise {_difference(comparison)}; comparable within ± "
        f"{text.number(factor * margin, METRICS['noise'].decimals)}."
    )
    observed = (of_comparison(comparison, f"{title(pecl)} − {title(mse)}", METRICS["noise"].label),)
    if -margin < low and high < margin:
        return Finding(HOLDS, evidence, observed=observed)
    if high < -margin or low > margin:
        return Finding(FAILS, evidence, observed=observed)
    why = why_undecided(change, comparison) if change else "the interval is not clear of the margin"
    return Finding(OPEN, evidence, why, suggest_command(results, [pecl, mse]), observed)
