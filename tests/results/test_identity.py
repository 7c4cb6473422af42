"""What changes an identity, and what does not."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

import methods
from benchmark.config import load
from benchmark.results import identity


def known(*assignments: str, seed: int = 0, method: str = "srcnn", fingerprint: str = "f", **ingredients: str) -> str:
    config = load("quick", assignments)
    entry = methods.get(method)
    return identity.training_identity(entry, config.options(entry.family), seed, config, fingerprint, ingredients)


@pytest.mark.parametrize("free", ["train.threads=1", "train.seeds=3", "data.cache=elsewhere", "scoring.ocr=none"])
def test_what_changes_no_number_changes_no_identity(free: str) -> None:
    assert known() == known(free)


@pytest.mark.parametrize(
    "change",
    ["train.iterations=5", "train.batch_size=5", "train.recipe=native", "train.precision=tf32", "data.protocol=paper"],
)
def test_a_changed_field_changes_the_identity(change: str) -> None:
    assert known() != known(change)


def test_method_seed_data_and_ingredients_are_in_the_identity() -> None:
    others = [known(seed=1), known(method="espcn"), known(fingerprint="g"), known(embedder="0123")]
    assert len({known(), *others}) == 5


def test_judges_are_in_the_identity_of_the_scoring() -> None:
    judges = [{"name": "x"}, None]
    known = [identity.scoring_identity(*facts) for facts in (("f", judges), ("g", judges), ("f", judges[::-1]))]
    assert len(set(known)) == 3 and identity.scoring_identity("f", [{"name": "x"}, None]) == known[0]


def test_options_of_another_family_are_not_in_the_identity() -> None:
    assert known("pecl.dimension=64") == known()
    assert known("pecl.dimension=64", method="pecl") != known(method="pecl")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A plug-in that imports a helper module."""
    monkeypatch.setattr(identity, "_PACKAGES", ("plug", "helper"))
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "plug.py").write_text("import helper\nVALUE = helper.double(3)\n")
    (tmp_path / "helper.py").write_text("def double(x):\n    return x * 2\n")
    yield tmp_path  # type: ignore[misc]
    for name in ("plug", "helper"):
        sys.modules.pop(name, None)


def test_source_counts_as_parsed_and_helpers_count(package: Path) -> None:
    def source() -> str:
        identity._read.cache_clear()
        importlib.invalidate_caches()
        return identity.source_hash("plug")

    before = source()
    (package / "helper.py").write_text('"""Doc."""\n\ndef double(x):\n    """Twice."""\n    return (x * 2)  # same\n')
    assert source() == before
    (package / "helper.py").write_text("def double(x):\n    return x * 3\n")
    assert source() != before


def test_training_and_scoring_have_sources_of_their_own() -> None:
    training = set(identity._closure(("methods.pecl", *identity.TRAINING)))
    scoring = set(identity._closure(identity.SCORING))
    assert {"methods.base", "methods.pecl", "benchmark.training.session", "benchmark.data.degradation"} <= training
    assert {
        "benchmark.scoring.metrics",
        "benchmark.scoring.no_reference",
        "benchmark.ocr.reading",
        "benchmark.data.degradation",
    } <= scoring
    assert not training & {
        "methods.swinir",
        "benchmark.scoring.metrics",
        "benchmark.ocr.reading",
        "benchmark.runner.scheduler",
    }
    assert not scoring & {
        "methods.pecl",
        "benchmark.training.session",
        "benchmark.results.provenance",
        "benchmark.runner.scheduler",
    }
