"""What a result depends on, as two hashes: one of its training, one of its scoring.

A stored result is reused only while its identities are what a new run would have. Where only the scoring would differ
(another OCR engine, a corrected metric) the trained weights are scored anew.

Source is in an identity as declared versions: ``TRAINING_VERSION``, ``SCORING_VERSION``, ``Method.version``. A refactor
that moves no number costs no result; stored loss curves and golden scores fail the tests where a number moves and its
version does not rise. A plug-in has no such guard: the hash of its source stands beside its version.

Versions of libraries (torch; timm, which supplies SwinIR's blocks) are provenance: ``verify`` says where they are
others than here. In the identity each upgrade would cost every result, and hardware and threads, which move numbers as
much, are not in it either.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import methods
from benchmark.config import Config
from benchmark.results.record import UPPER_BOUND
from benchmark.results.source import of_project, plugin_hash, project_hash
from benchmark.scoring.version import SCORING_VERSION
from benchmark.training.version import TRAINING_VERSION
from methods import Registration

NON_IDENTITY_FIELDS = {
    "data": {"folder", "cache", "follow_links"},  # the fingerprint of the pack stands for them
    "train": {"seeds", "device", "threads", "checkpoint_seconds", "checkpoint_iterations"},
}
"""Fields that change the weights of one (method, seed) by rounding alone, or not at all; provenance records them."""

# Where training and scoring start; the source hashes follow their imports.
_TRAINING = "benchmark.training.trainer"
_SCORING = "benchmark.scoring.plate_scores"

Versions = dict[str, int | str]
"""``training``, ``method`` and ``scoring`` as declared; ``plugin``: SHA-256 of a plug-in's source."""


def training_identity(
    entry: Registration, seed: int, config: Config | dict[str, Any], fingerprint: str, external_weights: dict[str, str]
) -> str:
    """Hash of everything the weights of one method and seed depend on (64 hexadecimal digits).

    ``config`` may be one that a result has stored. ``fingerprint``: of the plates; ``external_weights``:
    :meth:`methods.Method.external_weights`.
    """
    fields = identity_fields(config)
    return _hash({
        "method": entry.name,
        "options": stored_options(entry, fields),
        "seed": seed,
        "data": fields["data"],
        "train": fields["train"],
        "fingerprint": fingerprint,
        "external_weights": external_weights,
        "versions": training_versions(entry),
    })  # fmt: skip


def scoring_identity(fingerprint: str, judges: list[dict[str, Any] | None]) -> str:
    """Hash of everything that scores depend on beside the weights: plates, OCR engines, version."""
    return _hash({"fingerprint": fingerprint, "judges": judges, "version": SCORING_VERSION})


def identity_fields(config: Config | dict[str, Any]) -> dict[str, Any]:
    """The configuration without what changes no weights."""
    content = dict(config) if isinstance(config, dict) else config.model_dump(mode="json")
    for section, names in NON_IDENTITY_FIELDS.items():
        content[section] = {k: v for k, v in content[section].items() if k not in names}
    return content


def stored_options(entry: Registration, config: dict[str, Any]) -> dict[str, Any]:
    """All options that a method is created with by a configuration. A stored one may ask for another value than the
    registration fixes; that was once passed over in silence."""
    return entry.effective_options({**config["methods"].get(entry.family, {}), **entry.fixed})


def training_versions(entry: Registration) -> Versions:
    """The versions that the weights of a method depend on."""
    versions: Versions = {"training": TRAINING_VERSION, "method": entry.version}
    module = entry.method.__module__
    return versions if of_project(module) else {**versions, "plugin": plugin_hash(module)}


def current_versions(name: str) -> Versions | None:
    """The versions that a result of this method would be computed with now; None for a method that is not registered
    (a plug-in that was not named). The upper bound depends on the scoring alone."""
    scoring: Versions = {"scoring": SCORING_VERSION}
    if name == UPPER_BOUND:
        return scoring
    try:
        return {**training_versions(methods.get(name)), **scoring}
    except methods.UnknownMethod:
        return None


def current_source(name: str) -> dict[str, str] | None:
    """Hashes of this project's source that a result of this method would be computed with now, for its provenance;
    None for a method that is not registered."""
    scoring = {"scoring": project_hash(_SCORING)}
    if name == UPPER_BOUND:
        return scoring
    try:
        module = methods.get(name).method.__module__
    except methods.UnknownMethod:
        return None
    return {"training": project_hash(module, _TRAINING), **scoring}


def _hash(parts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


# -- stored results --------------------------------------------------------------------------------


def stored_versions(info: dict[str, Any]) -> Versions | None:
    """The versions that a stored result was computed with; None where that cannot be told.

    Schema 3 was written before versions were declared, with hashes of the source. Its source is version 1 of
    everything: no stored loss curve has moved from the first commit that wrote it to the one that declared versions. Of
    a plug-in it does not say what its own file was.
    """
    if info["schema"] >= 4:
        return info.get("versions")
    if info["schema"] < 3 or _is_plugin(info["method"]):
        return None
    scoring: Versions = {"scoring": 1}
    return scoring if info["method"] == UPPER_BOUND else {"training": 1, "method": 1, **scoring}


def _is_plugin(name: str) -> bool:
    if name == UPPER_BOUND:
        return False
    try:
        return "plugin" in training_versions(methods.get(name))
    except methods.UnknownMethod:
        return True


def stored_training_identity(info: dict[str, Any]) -> str:
    """The training identity of a stored result in today's terms; "" where it has none (schema 1 and 2, plug-ins of
    schema 3: computed anew). That of schema 3 is worked out from its stored configuration, as version 1."""
    if info["schema"] >= 4:
        return info.get("identity", "")
    try:
        entry = methods.get(info["method"])
        if info["schema"] < 3 or not info["identity"] or training_versions(entry) != {"training": 1, "method": 1}:
            return ""
        external, fingerprint = info.get("ingredients", {}), info["data"]["fingerprint"]
        return training_identity(entry, info["seed"], info["config"], fingerprint, external)
    except (methods.UnknownMethod, LookupError, TypeError, ValueError):  # made with options that are no more
        return ""


def stored_scoring_identity(info: dict[str, Any]) -> str:
    """The same of the scoring."""
    if info["schema"] >= 4:
        return info.get("scoring_identity", "")
    if info["schema"] < 3 or "scoring_identity" not in info or SCORING_VERSION != 1:
        return ""
    return scoring_identity(info["data"]["fingerprint"], [info["judge"], info["second_judge"]])


def is_stale(info: dict[str, Any]) -> bool | None:
    """Whether a stored result was computed with other versions than today's; None where that is unknown."""
    now = current_versions(info["method"])
    return None if now is None or "source" not in info else now != stored_versions(info)


def identity_before_versions(info: dict[str, Any]) -> tuple[str, str]:
    """The identities that a result of schema 3 must carry, by the source hashes that it names: training ("" for the
    upper bound) and scoring. Options are those requested, as they were hashed then."""
    fields, fingerprint, source = identity_fields(info["config"]), info["data"]["fingerprint"], info["source"]
    judges = [info["judge"], info["second_judge"]]
    scoring = _hash({"fingerprint": fingerprint, "judges": judges, "source": source["scoring"]})
    if info["method"] == UPPER_BOUND:
        return "", scoring
    parts = {
        "method": info["method"],
        "options": fields["methods"].get(info["family"], {}),
        "seed": info["seed"],
        "data": fields["data"],
        "train": fields["train"],
        "fingerprint": fingerprint,
        "source": source["training"],
    }
    external = info["ingredients"]
    return _hash({**parts, "ingredients": external} if external else parts), scoring
