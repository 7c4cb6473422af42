"""Training that starts from shipped weights (``train.warm_start``) instead of random ones."""

from __future__ import annotations

from typing import Any

from benchmark.config import Config
from benchmark.results import shipped
from benchmark.results.shipped import Shipped
from benchmark.util.terminal import cell
from methods import Method, Registration

INGREDIENT = "warm start"
"""What the file is called among the external weights of a result's identity."""


def create(config: Config, entry: Registration) -> Method:
    """A new method as configured, with the weights that its training starts from. Raises UserError where there are none
    that fit."""
    method = entry.create(config.options_for(entry))
    if start := _start(config, entry):
        shipped.load(start, method)
    return method


def external_weights(config: Config, entry: Registration) -> dict[str, str]:
    """Hashes of the files from elsewhere that a training depends on, by purpose. Raises UserError as :func:`create`."""
    start = _start(config, entry)
    own = entry.create(config.options_for(entry)).external_weights()
    return own | ({INGREDIENT: start.facts.file.sha256} if start and start.facts.file else {})


def describe(config: Config, entry: Registration, fingerprint: str) -> dict[str, Any]:
    """The field ``warm_start`` of a result and its footnote; empty for a training from random weights."""
    start = _start(config, entry)
    if start is None or start.facts.file is None:
        return {}
    facts = start.facts
    return {
        "warm_start": {
            "reference": start.run,
            "sha256": start.facts.file.sha256,
            "iterations": facts.iterations,
            "batch_size": facts.train.batch_size,
            "data": facts.data.name,
            "fingerprint": facts.data.fingerprint,
        },
        "notes": [
            f"{entry.title} did not start from random weights but from those of {cell(start.run)} ({facts.budget}): "
            f"its budget comes on top of that one.{_overlap(start, config, fingerprint)}"
        ],
    }


def _start(config: Config, entry: Registration) -> Shipped | None:
    if config.train.warm_start == "none" or entry.method.deterministic:
        return None
    return shipped.find(entry.name)


def _overlap(start: Shipped, config: Config, fingerprint: str) -> str:
    """A warning where test plates may be among those that the weights learnt from: same pictures, split otherwise."""
    drawn = {start.facts.data.name == "synthetic", config.data.folder is None}
    if start.facts.data.fingerprint == fingerprint or len(drawn) == 2:
        return ""
    return " Those were other splits: test plates may be among the plates they learnt from."
