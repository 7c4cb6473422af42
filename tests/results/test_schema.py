"""The published schema of result.json: what it describes, what fits it, and what is said of what does not."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fake_results
import pytest
import reference_table
from jsonschema import Draft202012Validator
from whole_results import failed, whole

from benchmark.results import record, store

SCHEMA = json.loads(record.PUBLISHED.read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)


def check(info: Any) -> None:
    """Model and published schema must be of one mind. Raises what the model raises."""
    fits = VALIDATOR.is_valid(info)
    try:
        record.parse(info)
    except ValueError:
        assert not fits, "the published schema takes what the model refuses"
        raise
    assert fits, "the model takes what the published schema refuses"


def test_it_is_a_schema_of_the_version_that_is_written() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert record.PUBLISHED.name == f"result-{record.SCHEMA}.json"
    field = SCHEMA["properties"]["schema"]
    assert (field["type"], field["minimum"], field["maximum"]) == ("integer", 1, record.SCHEMA)


def test_the_published_file_is_what_the_model_generates() -> None:
    """`python -m benchmark.results.record` writes it anew."""
    assert record.PUBLISHED.read_text(encoding="utf-8") == record.published_text()


def fields(node: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field that the schema names, wherever."""
    if isinstance(node, dict):
        for name, field in node.get("properties", {}).items():
            yield f"{place}.{name}", field
        for key, value in node.items():
            yield from fields(value, f"{place}.{key}")
    elif isinstance(node, list):
        for value in node:
            yield from fields(value, place)


def test_every_field_has_a_type_and_a_meaning() -> None:
    found = dict(fields({key: node for key, node in SCHEMA.items() if key != "allOf"}))
    assert len(found) > 100
    bare = [name for name, field in found.items() if not ({"type", "enum", "anyOf", "$ref"} & set(field))]
    mute = [name for name, field in found.items() if not field.get("description") and "$ref" not in field]
    assert bare == [] and mute == []


@pytest.mark.parametrize("version", [1, 2, 3, 4])
@pytest.mark.parametrize("make", [whole, failed])
def test_every_version_fits(version: int, make: Any) -> None:
    check(make(version))
    assert record.parse(make(version)).as_dict() == make(version)


def test_the_upper_bound_needs_no_training() -> None:
    trained = ("family", "citation", "options", "parameters", "paper_parameters", "iterations", "best_iteration",
               "identity", "ingredients", "cost")  # fmt: skip
    bound = {key: value for key, value in whole(method="hr").items() if key not in trained}
    del bound["scores"]["last"]
    check(bound)
    with pytest.raises(ValueError, match="lacks 'family'"):
        check({**bound, "method": "srcnn", "scores": whole()["scores"]})


@pytest.mark.parametrize("field", ["title", "config", "data", "provenance", "files", "scores", "clocks", "identity"])
def test_what_is_required_is_named(field: str) -> None:
    info = whole()
    del info[field]
    with pytest.raises(ValueError, match=f"it does not fit its schema: its content: lacks '{field}'"):
        check(info)


@pytest.mark.parametrize("method", ["hr", "espcn"])
def test_invented_results_have_the_fields_of_computed_ones(method: str, tmp_path: Path) -> None:
    """Fakes that drift from the writer hide what a report does with real results."""
    file = reference_table.REFERENCES / "quick-synthetic" / method / "seed0" / "result.json"
    computed = record.parse(json.loads(file.read_text(encoding="utf-8")))
    (fake,) = (fake for fake in fake_results.METHODS if fake.name == method)
    invented = store.read_result(fake_results.write(tmp_path, fake)).record  # type: ignore[union-attr]
    assert invented.model_fields_set == computed.model_fields_set | {"versions"}
    assert not invented.model_extra and not invented.data.model_extra and not invented.config.model_extra
    assert invented.data.model_fields_set == computed.data.model_fields_set


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*path, key))


# Below these anything may stand: options belong to methods.
FREE = {("options",), ("config", "methods", "pecl")}


def replaced(info: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    changed = copy.copy(info)
    changed[path[0]] = replaced(info[path[0]], path[1:], value)
    return changed


def at(info: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        info = info[key]
    return info


def test_a_wrong_type_anywhere_is_refused(tmp_path: Path) -> None:
    """Every single value of a whole result, replaced by one of another type, makes it unreadable."""
    info, tried = whole(), 0
    for path in places(info):
        if any(path[: len(free)] == free and path != free for free in FREE):
            continue
        value = at(info, path)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        for wrong in ["text"] if isinstance(value, (dict, list)) else [[[]], *(["7", True] if number else [])]:
            with pytest.raises(ValueError):
                check(replaced(info, path, wrong))
            (tmp_path / "result.json").write_text(json.dumps(replaced(info, path, wrong)))
            assert store.read_result(tmp_path) is None, (path, wrong)
            tried += 1
    assert tried > 150


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("scores", "best", "psnr", "median"), "18", "scores.best.psnr.median: is not a number"),
        (("schema",), 5, "a newer version of this benchmark wrote it (schema 5): update this one"),
        (("seed",), -1, "seed: -1 is less than 0"),
        (("clocks", "training"), -0.1, "clocks.training: -0.1 is less than 0"),
        (("status",), "well" * 1000, 'status: "wellwell'),
        (("method",), "../../etc", 'method: "../../etc" fails pattern'),
        (("method",), "a\nb", "method: "),
        (("files",), {"../../.bashrc": {"size": 1, "sha256": "0" * 64}}, "files: "),
        (("files",), {"/etc/passwd": {"size": 1, "sha256": "0" * 64}}, "files: "),
        (("files",), {"samples/../../x": {"size": 1, "sha256": "0" * 64}}, "files: "),
    ],
)
def test_what_is_wrong_is_said_in_one_short_line(path: tuple[str, ...], value: Any, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        check(replaced(whole(), path, value))
    assert words in str(caught.value) and len(str(caught.value)) < 250 and "\n" not in str(caught.value)
