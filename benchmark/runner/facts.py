"""What ``result.json`` says of a result beside its scores: method, configuration, plates, versions, provenance."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from benchmark.results.identity import current_source, current_versions
from benchmark.results.provenance import provenance
from benchmark.results.record import SCHEMA, UPPER_BOUND
from benchmark.runner import warm_start
from benchmark.runner.context import RunContext
from methods import Method, Registration


def upper_bound_facts() -> dict[str, Any]:
    """The fields that describe the upper bound as if it were a method."""
    return {"method": UPPER_BOUND, "title": "HR (upper bound)", "groups": ["bound"], "seed": 0}


def describe(context: RunContext, entry: Registration, seed: int, identity: str, method: Method) -> dict[str, Any]:
    """The part of ``result.json`` that is known before training."""
    start = warm_start.describe(context.config, entry, context.plates.fingerprint)
    return common_facts(context) | {
        "method": entry.name,
        "title": entry.title,
        "groups": list(entry.groups),
        "family": entry.family,
        "citation": entry.method.citation,
        "seed": seed,
        "options": asdict(method.options),
        "parameters": method.num_parameters(),
        "paper_parameters": entry.method.paper_parameters,
        "identity": identity,
        "ingredients": warm_start.external_weights(context.config, entry),
        "versions": current_versions(entry.name),
        "source": current_source(entry.name),
        "facts": method.facts,
        **start,
        "notes": [*method.footnotes(), *start.get("notes", [])],
    }


def common_facts(context: RunContext) -> dict[str, Any]:
    """The fields that are the same in every ``result.json`` of a run."""
    info, splits = context.plates.info, context.plates.info["splits"]
    return {
        "schema": SCHEMA,
        "status": "complete",
        "config": context.config.model_dump(mode="json"),
        "data": {
            "name": context.data_name,
            "fingerprint": context.plates.fingerprint,
            "train": splits.get("train", 0),
            "val": splits.get("val", 0),
            "test": splits["test"],
            "protocol": context.config.data.protocol,
            "grown": info["grown"],
            "skipped": info["skipped"],
            "misfits": info.get("misfits", 0),  # packs made before annotations were checked do not say
            **({"leaks": info["leaks"]} if "leaks" in info else {}),
            **({"lr": "given"} if context.plates.paired else {}),
        },
        "judge": context.ocr_facts[0],
        "second_judge": context.ocr_facts[1],
        "provenance": provenance(context.device),
        "notes": [],
    }
