"""The report in a sentence and a few facts: what stands at the head of the page."""

from __future__ import annotations

import math
from typing import NamedTuple

from benchmark.results.record_config import DataFacts
from benchmark.scoring.metrics import METRICS
from benchmark.scoring.plausibility import unread_plates
from paper_figures.common import text
from paper_figures.common.columns import shown
from paper_figures.common.drawing import Drawing
from paper_figures.common.evidence import EARLY, FAILS, HOLDS, OPEN
from paper_figures.common.results import Results, Row

OURS = "pecl"
"""The paper's own method, whose place is told."""


class Fact(NamedTuple):
    """One line of the head; ``link`` is the section that ``aside`` leads to."""

    name: str
    value: str
    aside: str = ""
    link: str = ""


def sentence(results: Results, claims: Drawing | None = None) -> str:
    """Who is first in PSNR and in reading, where PECL comes, and how many of the paper's claims hold."""
    parts = [_first(results, "psnr"), _first(results, "plate_correct")]
    parts = [part for part in parts if part]
    summary = f"Of {text.plural(_methods(results), 'method')}, {' and '.join(parts)}." if parts else ""
    places = [place for place in (_place(results, "psnr"), _place(results, "plate_correct")) if place]
    row = results.row(OURS)
    if row is not None and places:
        summary += f" {row.title} comes {' and '.join(places)}."
    elif not parts:
        summary = " ".join(_alone(row) for row in results.competitors) or "No method was scored."
    return " ".join(filter(None, [_warning(results), summary.strip(), _verdicts(claims)]))


def _methods(results: Results) -> int:
    """Methods that compete; one whose selected and last weights are both shown is one."""
    return sum(not row.of for row in results.competitors)


def _warning(results: Results) -> str:
    """What is wrong with the plates themselves, before anything is said of methods."""
    remarks = [unread_plates(record.mean("plate_correct")) for record in results.records if record.is_bound]
    misfits = max((record.data.misfits for record in results.records), default=0)
    said = [f"{remark}." for remark in dict.fromkeys(filter(None, remarks))]
    if misfits:
        said.append(f"{text.plural(misfits, 'picture')} left out: the annotation in the name does not fit.")
    return " ".join(said)


def _values(results: Results, metric: str) -> dict[str, float]:
    """The metric of every competitor that has it, by title, rounded as tables show it."""
    values = {}
    for row in results.competitors:
        value = shown(row, metric)
        if value is not None and math.isfinite(value):
            values[row.title] = round(value, METRICS[metric].decimals)
    return values


def _first(results: Results, metric: str) -> str:
    values = _values(results, metric)
    if len(set(values.values())) < 2:
        return ""
    best = max(values.values())
    titles = [title for title, value in values.items() if value == best]
    share = "has" if len(titles) == 1 else "share"
    return f"{_and(titles)} {share} the highest {_described(metric)} ({_number(best, metric)})"


def _place(results: Results, metric: str) -> str:
    values = _values(results, metric)
    row = results.row(OURS)
    if row is None or row.title not in values or len(set(values.values())) < 2:
        return ""
    mine = values[row.title]
    place = 1 + sum(value > mine for value in values.values())
    ties = sum(value == mine for value in values.values()) > 1
    return f"{_ordinal(place)}{' with others' * ties} in {_label(metric)} ({_number(mine, metric)})"


def _alone(row: Row) -> str:
    scores = [f"{_described(m)} {_number(v, m)}" for m in ("psnr", "plate_correct") if (v := shown(row, m)) is not None]
    return f"{row.title}: {', '.join(scores)}."


def _verdicts(claims: Drawing | None) -> str:
    """How the paper's claims fared, counted from the verdicts of the claims' table."""
    if claims is None or "verdict" not in claims.data or claims.data.empty:
        return ""
    counts = {verdict: int((claims.data["verdict"] == verdict).sum()) for verdict in (HOLDS, FAILS, EARLY, OPEN)}
    words = _and([f"{count} {_agree(verdict, count)}" for verdict, count in counts.items() if count])
    return f"Of the paper’s {text.plural(len(claims.data), 'claim')}, {words}."


def _agree(verdict: str, count: int) -> str:
    """The verdict as what one or several claims do: ``hold``, ``do not hold``, ``are not decidable …``."""
    if verdict in (EARLY, OPEN):
        return f"{'is' if count == 1 else 'are'} {verdict}"
    return verdict if count == 1 else verdict.replace("holds", "hold").replace("does", "do")


def _described(metric: str) -> str:
    return f"median {_label(metric)}" if METRICS[metric].statistic == "median" else _label(metric)


def _label(metric: str) -> str:
    label = METRICS[metric].label
    return label if label[:2].isupper() else label[0].lower() + label[1:]


def _number(value: float, metric: str) -> str:
    kind = METRICS[metric]
    return f"{text.number(value, kind.decimals)} {kind.unit}".strip()


def _and(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _ordinal(n: int) -> str:
    special = {1: "first", 2: "second", 3: "third"}
    ending = {1: "st", 2: "nd", 3: "rd"}.get(n % 10 if n % 100 not in (11, 12, 13) else 0, "th")
    return special.get(n, f"{n}{ending}")


def facts(results: Results, missing: int, problems: int) -> list[Fact]:
    """Data, budget, methods, OCR engines, dates, and whether the report is whole."""
    record, data, config = results.reference, results.data, results.config
    plates = " / ".join(f"{count:,}" for count in (data.train, data.val, data.test))
    trained = [row for row in results.rows if row.trained]
    budget = f"{trained[0].iterations:,} iterations" if trained else "nothing was trained"
    batch = f"batches of {config.train.batch_size}, preset {config.preset}" if trained else ""
    engines = [engine.name for engine in (record.judge, record.second_judge) if engine]
    commit = (record.provenance.commit or "")[:12]
    dates = sorted({each.provenance.date[:10] for each in results.records if each.provenance.date})
    gaps = [text.plural(missing, "gap") if missing else "", text.plural(problems, "note") if problems else ""]
    seeds = ", ".join(map(str, results.seeds))
    return [
        Fact("Data", f"{data.name or 'unnamed'}, {data.protocol or 'unknown'} split",
             f"{plates} training / validation / test plates"),
        Fact("Budget of every method", budget, batch),
        Fact("Methods", str(_methods(results)), f"{'seeds' if len(results.seeds) > 1 else 'seed'} {seeds}"),
        Fact(f"OCR engine{'s' * (len(engines) > 1)}", _and(engines) or "none",
             "what reads the upscaled plates"),
        Fact("Made", " to ".join(dict.fromkeys([dates[0], dates[-1]])) if dates else "unknown",
             f"commit {commit}" if commit else ""),
        Fact("State", "complete" if not any(gaps) else _and([gap for gap in gaps if gap]),
             "listed at the end" if any(gaps) else "nothing is missing",
             "missing" if missing else "problems" if problems else ""),
        *_leaks(data),
    ]  # fmt: skip


def _leaks(data: DataFacts) -> list[Fact]:
    """Number of test plates that training has seen, if any."""
    if not data.leaks.test_plates_seen:
        return []
    value = f"{data.leaks.test_plates_seen:,} of {data.leaks.test_plates or data.test:,} test plates"
    return [Fact("Leaks", value, "seen in training")]
