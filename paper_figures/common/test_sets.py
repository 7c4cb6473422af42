"""What the weights of a run scored on other plates: ``<run>/test-data/<set>``, each set as results of its own."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.results.identity import stored_training_identity
from benchmark.results.record_config import TestData
from benchmark.results.store import Run
from benchmark.util.errors import UserError
from paper_figures.common import columns, conventions
from paper_figures.common.drawing import NotAskedFor
from paper_figures.common.loading import load
from paper_figures.common.results import Results


def test_sets(results: Results, task: str) -> list[Results]:
    """The sets of a task, by name. Raises NotAskedFor where there is none, which is no lack of the report."""
    sets = []
    for run in Run(results.folder).test_sets():
        try:
            scores = load(run, allow_mixed=True)
        except UserError:  # nothing in it that can be used
            continue
        data = scores.reference.test_data
        if data is not None and data.task == task:
            sets.append(scores)
    if not sets:
        raise NotAskedFor(f"no weights were scored on other plates with --task {task}")
    return sorted(sets, key=lambda scores: (name(scores), scores.folder.name))


def name(scores: Results) -> str:
    """The name of a set."""
    return _data(scores).name or scores.folder.name


def _data(scores: Results) -> TestData:
    data = scores.reference.test_data
    assert data is not None, scores.folder
    return data


def titles(sets: list[Results]) -> list[str]:
    """The names of sets; of several with one name with the beginning of their fingerprints."""
    names = [name(scores) for scores in sets]
    prints = [_data(scores).fingerprint[:8] for scores in sets]
    return [f"{own} {mark}" if names.count(own) > 1 else own for own, mark in zip(names, prints, strict=True)]


def remarks(results: Results, scores: Results, title: str) -> list[str]:
    """How many plates of a set there are, how many training knew, and whether it was scored with today's weights."""
    data = _data(scores)
    seen = int(scores.plates.drop_duplicates("index")["seen"].sum()) if "seen" in scores.plates else 0
    told = f", {seen} of them with a number that training has shown" if seen else ""
    told = ", whether training has shown any of them is not known" if data.seen_unknown else told
    lines = [f"{title}: {data.test:,} plates{told}." + f" {conventions.GIVEN}" * (data.lr == "given")]
    if old := outdated(results, scores):
        lines.append(f"{title}: {', '.join(old)} scored with earlier weights: run `score` again.")
    return lines


def ocr(results: Results, sets: Sequence[Results]) -> str:
    """Who read the plates: a run of which nothing was read says nothing of the engines of its sets."""
    return conventions.ocr(next((scores for scores in (results, *sets) if scores.has_readings), results))


def left_out(parts: Sequence[Results], metrics: Sequence[str]) -> list[str]:
    """Meaning of the mark * of a score of reading; empty if it does not occur."""
    marked = any(columns.mark(row, metric) for part in parts for row in part.rows for metric in metrics)
    return ["* Plates whose text is not known, or not of the OCR engine's alphabet, are left out."] if marked else []


def outdated(results: Results, scores: Results) -> list[str]:
    """Titles of methods that have been trained anew since they were scored on a set."""
    now = {(record.method, record.seed): stored_training_identity(record) for record in results.records}
    old = [each.title for each in scores.records if now.get((each.method, each.seed), "") not in ("", each.identity)]
    return list(dict.fromkeys(old))
