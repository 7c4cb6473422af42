"""What the weights of a run scored on other plates: ``<run>/test-data/<set>``, each set as results of its own."""

from __future__ import annotations

from typing import Any

from benchmark.results.identity import stored_training_identity
from benchmark.results.record import parse
from benchmark.results.store import Run
from benchmark.util.errors import UserError
from paper_figures.common.drawing import NotAskedFor
from paper_figures.common.results import Results, load


def test_sets(results: Results, task: str) -> list[Results]:
    """The sets of a task, by name. Raises NotAskedFor where there is none, which is no lack of the report."""
    found = []
    for run in Run(results.folder).test_sets():
        try:
            scores = load(run, allow_mixed=True)
        except UserError:  # nothing in it that can be used
            continue
        if scores.reference.get("test_data", {}).get("task") == task:
            found.append(scores)
    if not found:
        raise NotAskedFor(f"no weights were scored on other plates with --task {task}")
    return sorted(found, key=lambda scores: (name(scores), scores.folder.name))


def name(scores: Results) -> str:
    """The name of a set."""
    return str(scores.reference["test_data"].get("name") or scores.folder.name)


def titles(sets: list[Results]) -> list[str]:
    """The names of sets; of several with one name with the beginning of their fingerprints."""
    names = [name(scores) for scores in sets]
    prints = [str(scores.reference["test_data"].get("fingerprint"))[:8] for scores in sets]
    return [f"{own} {mark}" if names.count(own) > 1 else own for own, mark in zip(names, prints, strict=True)]


def remarks(results: Results, scores: Results, title: str) -> list[str]:
    """How many plates of a set there are, how many training knew, and whether it was scored with today's weights."""
    data = scores.reference["test_data"]
    seen = int(scores.plates.drop_duplicates("index")["seen"].sum()) if "seen" in scores.plates else 0
    known = f", {seen} of them with a number that training has shown" if seen else ""
    known = ", whether training has shown any of them is not known" if data.get("seen_unknown") else known
    lines = [f"{title}: {int(data['test']):,} plates{known}."]
    if old := outdated(results, scores):
        lines.append(f"{title}: {', '.join(old)} scored with earlier weights: run `score` again.")
    return lines


def outdated(results: Results, scores: Results) -> list[str]:
    """Titles of methods that have been trained anew since they were scored on a set."""
    now = {(info["method"], info["seed"]): _identity(info) for info in results.infos}
    keys = {(info["method"], info["seed"]): info for info in scores.infos}
    old = [info["title"] for key, info in keys.items() if now.get(key, "") not in ("", info.get("identity"))]
    return list(dict.fromkeys(old))


def _identity(info: dict[str, Any]) -> str:
    return stored_training_identity(parse(info))
