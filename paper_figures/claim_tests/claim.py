"""A claim of the paper's as data: its sentence and place, what the paper's own numbers say of it, and its test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmark.scoring.metrics import METRICS
from paper_figures.common import paper, text
from paper_figures.common.evidence import Finding, Reading
from paper_figures.common.results import Results

Test = Callable[[Results, Reading], Finding]

TABLE = {
    "bicubic": "Bicubic", "srcnn": "SRCNN", "msrn": "MSRN", "espcn": "ESPCN", "esrgan": "ESRGAN", "tbsrn": "TBSRN",
    "swinir": "SwinIR", "pecl": "PECL",
}  # fmt: skip
"""Rows of the paper's Table 1, as printed from top to bottom."""


@dataclass(frozen=True)
class Above:
    """``better`` is better than ``worse`` in ``metric``.

    Names are methods, or places: ``pecl`` is the reading that is tested, ``pecl-mse`` its network with the pixel loss
    alone, ``manhattan-512`` a cell of its ablation.
    """

    better: str
    worse: str
    metric: str


@dataclass(frozen=True)
class Claim:
    """``sentence`` in our words; ``source`` in the paper; ``figures``: names of what the report shows of it.

    ``printed`` is what the paper's own numbers say of the claim ("" where it prints none that bear on it). A claim
    that no number of this benchmark decides has no ``test`` but says in ``needs`` what would decide it.
    """

    number: int
    sentence: str
    source: str
    figures: tuple[str, ...]
    test: Test | None = None
    rule: str = ""
    printed: str = ""
    needs: str = ""
    of_pecl: bool = True
    """False: the claim is not about a reading of PECL, so that it is tested once."""


def above(better: str, others: tuple[str, ...], *metrics: str) -> tuple[Above, ...]:
    """``better`` above each of ``others`` in each metric."""
    return tuple(Above(better, other, metric) for metric in metrics for other in others if other != better)


def in_table(pairs: tuple[Above, ...]) -> str:
    """Whether the paper's Table 1 has an order, or where it contradicts it."""
    against = []
    for pair in pairs:
        better, worse = paper.value(pair.better, pair.metric), paper.value(pair.worse, pair.metric)
        if better is None or worse is None or better.value > worse.value:
            continue
        sign = "=" if better.value == worse.value else "<"
        names = f"{TABLE[pair.better]} {better.text} {sign} {TABLE[pair.worse]} {worse.text}"
        against.append(f"{METRICS[pair.metric].label}: {names}")
    if against:
        return f"Contradicted by Table 1: {text.one_line('; '.join(against))}."
    return "Table 1 has this order."


def contradicted(claim: Claim) -> bool:
    """Whether the paper's own numbers are against the claim."""
    return claim.printed.startswith("Contradicted")
