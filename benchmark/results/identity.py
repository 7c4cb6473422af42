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
from benchmark.config import Config, Scoring
from benchmark.results.record import UPPER_BOUND, Record
from benchmark.results.record_provenance import Source, Versions
from benchmark.results.source import of_project, plugin_hash, project_hash
from benchmark.scoring.version import SCORING_VERSION
from benchmark.training.version import TRAINING_VERSION
from methods import Registration

NON_IDENTITY_FIELDS = {
    "data": {"folder", "cache", "follow_links"},  # the fingerprint of the pack stands for them
    "train": {"seeds", "device", "threads", "checkpoint_seconds", "checkpoint_iterations"},
}
"""Fields that change the weights of one (method, seed) by rounding alone, or not at all; provenance records them."""

SCORING_SETTINGS = ("inference", "lpips")
"""Fields of the configuration's section ``scoring`` that move or add scores. (Engines describe themselves.)"""

# Where training and scoring start; the source hashes follow their imports.
_TRAINING = "benchmark.training.trainer"
_SCORING = "benchmark.scoring.plate_scores"


def training_identity(
    entry: Registration, seed: int, config: Config, fingerprint: str, external_weights: dict[str, str]
) -> str:
    """Hash of everything the weights of one method and seed depend on (64 hexadecimal digits).

    ``fingerprint``: of the plates; ``external_weights``: :meth:`methods.Method.external_weights`.
    """
    content = config.model_dump(mode="json")
    options = stored_options(entry, content)
    return _training_hash(entry.name, options, seed, content, fingerprint, external_weights, training_versions(entry))


def _training_hash(
    method: str,
    options: dict[str, Any],
    seed: int,
    config: dict[str, Any],
    fingerprint: str,
    external_weights: dict[str, str],
    versions: dict[str, Any],
) -> str:
    fields = identity_fields(config)
    return _hash({
        "method": method,
        "options": options,
        "seed": seed,
        "data": fields["data"],
        "train": fields["train"],
        "fingerprint": fingerprint,
        "external_weights": external_weights,
        "versions": versions,
        **_selection(fields),
    })  # fmt: skip


def scoring_identity(
    fingerprint: str,
    engines: list[dict[str, Any] | None],
    settings: dict[str, Any] | None = None,
    version: int | None = None,
) -> str:
    """Hash of everything that scores depend on beside the weights: plates, OCR engines, version (today's if None), and
    the ``settings`` that are not the default (:func:`scoring_settings`)."""
    parts = {"fingerprint": fingerprint, "judges": engines, "version": version or SCORING_VERSION}
    return _hash({**parts, "settings": settings} if settings else parts)


def scoring_settings(config: Config | dict[str, Any]) -> dict[str, Any]:
    """The settings that move or add scores where they are not the default. A stored configuration may lack them.

    With the default nothing is hashed, so that scorings from before there was a setting stay valid.
    """
    fields = config.get("scoring", {}) if isinstance(config, dict) else config.scoring.model_dump(mode="json")
    default = Scoring().model_dump(mode="json")
    return {name: fields[name] for name in SCORING_SETTINGS if fields.get(name, default[name]) != default[name]}


def _selection(config: dict[str, Any]) -> dict[str, str]:
    """How the validation plates that choose the weights are upscaled, where that is not the default."""
    return {"selection": "patches"} if config.get("scoring", {}).get("inference") == "patches" else {}


def identity_fields(config: Config | dict[str, Any]) -> dict[str, Any]:
    """The configuration, which may be a stored one, without what changes no weights."""
    content = dict(config) if isinstance(config, dict) else config.model_dump(mode="json")
    for section, names in NON_IDENTITY_FIELDS.items():
        content[section] = {k: v for k, v in content[section].items() if k not in names}
    if content["train"].get("warm_start") == "none":  # as before there was the field
        del content["train"]["warm_start"]
    return content


def stored_options(entry: Registration, config: dict[str, Any]) -> dict[str, Any]:
    """All options that a method is created with by a configuration. A stored one may ask for another value than the
    registration fixes; that was once passed over in silence."""
    return entry.effective_options({**config["methods"].get(entry.family, {}), **entry.fixed})


def training_versions(entry: Registration) -> dict[str, Any]:
    """The versions that the weights of a method depend on: of the engine, the method, and a plug-in's source."""
    versions = {"training": TRAINING_VERSION, "method": entry.version}
    module = entry.method.__module__
    return versions if of_project(module) else {**versions, "plugin": plugin_hash(module)}


def current_versions(name: str) -> Versions | None:
    """The versions that a result of this method would be computed with now; None for a method that is not registered
    (a plug-in that was not named). The upper bound depends on the scoring alone."""
    if name == UPPER_BOUND:
        return Versions(scoring=SCORING_VERSION)
    entry = methods.find(name)
    return Versions(**training_versions(entry), scoring=SCORING_VERSION) if entry else None


def current_source(name: str) -> Source | None:
    """Hashes of this project's source that a result of this method would be computed with now, for its provenance;
    None for a method that is not registered."""
    scoring = scoring_source()
    if name == UPPER_BOUND:
        return Source(scoring=scoring)
    entry = methods.find(name)
    return Source(training=project_hash(entry.method.__module__, _TRAINING), scoring=scoring) if entry else None


def scoring_source() -> str:
    """The same of the scoring alone."""
    return project_hash(_SCORING)


def _hash(parts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


# -- stored results --------------------------------------------------------------------------------


def stored_versions(record: Record) -> Versions | None:
    """The versions that a stored result was computed with; None where that cannot be told.

    Schema 3 was written before versions were declared, with hashes of the source. Its source is version 1 of
    everything: no stored loss curve has moved from the first commit that wrote it to the one that declared versions. Of
    a plug-in it does not say what its own file was.
    """
    if record.schema_ >= 4:
        return record.versions
    if record.schema_ < 3 or _is_plugin(record):
        return None
    return Versions(scoring=1) if record.is_bound else Versions(training=1, method=1, scoring=1)


def _is_plugin(record: Record) -> bool:
    now = current_versions(record.method)
    return now is None or now.plugin is not None


def stored_training_identity(record: Record) -> str:
    """What the training identity of a stored result would be today; "" where that cannot be told (schema 1 and 2,
    plug-ins of schema 3), and the result is computed anew.

    It is worked out from the stored configuration, options and versions. A field or option that has been added since
    has its default: a default that moved a number would have raised a version.
    """
    versions = stored_versions(record)
    try:
        if versions is None or not record.identity:
            return ""
        return _training_hash(
            record.method,
            filled_options(record),
            record.seed,
            filled_config(record),
            record.data.fingerprint,
            record.ingredients,
            _of_training(versions),
        )
    except (methods.UnknownMethod, LookupError, TypeError, ValueError):  # a stranger's, or of a plug-in not named
        return ""


def filled_config(record: Record) -> dict[str, Any]:
    """The stored configuration, with the defaults of fields that it lacks."""
    config = record.config.as_dict()
    for section, defaults in Config().model_dump(mode="json").items():
        if isinstance(defaults, dict):
            config[section] = {**defaults, **config.get(section, {})}
    return config


def filled_options(record: Record) -> dict[str, Any]:
    """The stored options of a method, with the defaults of those that it lacks; none of the upper bound's."""
    if record.is_bound:
        return {}
    entry = methods.get(record.method)
    return {**entry.effective_options(entry.fixed), **record.options}


def _of_training(versions: Versions) -> dict[str, Any]:
    return versions.model_dump(exclude={"scoring"}, exclude_none=True)


def stored_scoring_identity(record: Record) -> str:
    """The same of the scoring."""
    versions = stored_versions(record)
    if versions is None or not record.scoring_identity:
        return ""
    try:
        settings = scoring_settings(record.config.as_dict())
        return scoring_identity(record.scored_data.fingerprint, stored_engines(record), settings, versions.scoring)
    except ValueError:  # nested too deeply
        return ""


def stored_engines(record: Record) -> list[dict[str, Any] | None]:
    """What the OCR engines said of themselves, as it goes into the identity."""
    return [engine.as_dict() if engine else None for engine in (record.judge, record.second_judge)]


def is_stale(record: Record) -> bool | None:
    """Whether a stored result was computed with other versions than today's; None where that is unknown."""
    now = current_versions(record.method)
    return None if now is None or record.source is None else now != stored_versions(record)


def recorded_identities(record: Record) -> tuple[str, str]:
    """The identities that a record of schema 3 or later must carry by what it says itself: training ("" for the upper
    bound) and scoring. Those of schema 3 are hashes over requested options and the hashes of its source."""
    content, fingerprint, engines = record.config.as_dict(), record.data.fingerprint, stored_engines(record)
    if record.versions is not None:
        scored = record.scored_data.fingerprint
        scoring = scoring_identity(scored, engines, scoring_settings(content), record.versions.scoring)
        if record.is_bound:
            return "", scoring
        training = _training_hash(
            record.method, record.options, record.seed, content, fingerprint, record.ingredients,
            _of_training(record.versions),
        )  # fmt: skip
        return training, scoring
    assert isinstance(record.source, Source)
    scoring = _hash({"fingerprint": fingerprint, "judges": engines, "source": record.source.scoring})
    if record.is_bound:
        return "", scoring
    fields, external = identity_fields(content), record.ingredients
    parts = {
        "method": record.method,
        "options": fields["methods"].get(record.family, {}),
        "seed": record.seed,
        "data": fields["data"],
        "train": fields["train"],
        "fingerprint": fingerprint,
        "source": record.source.training,
    }
    return _hash({**parts, "ingredients": external} if external else parts), scoring
