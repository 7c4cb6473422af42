"""Presets, --set, and what is refused."""

from __future__ import annotations

import inspect
import json
from typing import Any, get_args

import pytest

import methods
from benchmark.cli import main
from benchmark.cli.config import config as config_command
from benchmark.cli.config import settings
from benchmark.config import SECTIONS, Data, Scoring, load, method_options, presets, refuse_contradictions
from benchmark.util.errors import UserError


@pytest.mark.parametrize("name", ["quick", "standard", "paper"])
def test_presets_load(name: str) -> None:
    assert name in presets() and load(name).preset == name


def test_the_paper_preset_is_the_nearest_reading_of_the_paper() -> None:
    config = load("paper")
    assert (config.data.protocol, config.scoring.ocr, config.scoring.inference) == ("paper", "paddle", "patches")
    assert (config.train.iterations, config.train.batch_size, config.train.learning_rate) == (1_000_000, 128, 1e-4)
    assert config.options("pecl")["embedder_init"] == "imagenet"
    assert config.options("esrgan")["perceptual"] == "imagenet"


def test_quick_asks_for_random_weights_openly() -> None:
    assert load("quick").options("pecl") == {"embedder_init": "random"}


def test_the_command_line_wins_over_the_preset() -> None:
    config = load(
        "quick", ["train.iterations=7", "train.learning_rate=3e-4", "pecl.dimension=256", "data.train_plates=9"]
    )
    assert (config.train.iterations, config.train.learning_rate, config.data.train_plates) == (7, 3e-4, 9)
    assert config.options("pecl") == {"embedder_init": "random", "dimension": 256}


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Methods registered in one test are not seen by the next."""
    methods.names()
    monkeypatch.setattr(methods, "_registry", dict(methods._registry))


def test_what_a_registration_fixes_is_refused_with_both_values() -> None:
    entry, config = methods.get("pecl-euclidean-64"), load("quick", ["pecl.dimension=512"])
    with pytest.raises(UserError, match="pecl-euclidean-64 fixes dimension=64, so dimension=512 cannot"):
        config.options_for(entry)
    assert load("quick", ["pecl.dimension=64"]).options_for(entry) == load("quick").options_for(entry)
    assert config.options_for(methods.get("pecl"))["dimension"] == 512


def test_a_contradiction_names_all_who_fix_it_and_who_does_not() -> None:
    entries = [methods.get(name) for name in ("srcnn", "pecl", "pecl-euclidean-64", "pecl-euclidean-512", "pecl-mse")]
    entries.append(methods.get("pecl-manhattan-256"))
    with pytest.raises(UserError) as refused:
        refuse_contradictions(load("quick", ["pecl.dimension=512"]), entries)
    assert str(refused.value) == (
        "pecl-euclidean-64 fixes dimension=64, so dimension=512 cannot be asked of it (nor of pecl-manhattan-256): "
        "take the others with --methods srcnn,pecl,pecl-euclidean-512,pecl-mse"
    )
    with pytest.raises(UserError, match="leave that --set out"):
        refuse_contradictions(load("quick", ["pecl.dimension=512"]), entries[-1:])
    refuse_contradictions(load("quick"), entries)


@pytest.mark.usefixtures("registry")
def test_a_preset_gives_way_to_what_a_method_fixes() -> None:
    pecl: Any = methods.get("pecl").method
    methods.register(pecl, name="pecl-imagenet", options=pecl.Options(embedder_init="imagenet"))
    entry = methods.get("pecl-imagenet")
    assert load("quick").options_for(entry)["embedder_init"] == "imagenet"
    with pytest.raises(UserError, match="pecl-imagenet fixes embedder_init=imagenet"):
        load("quick", ["pecl.embedder_init=plates"]).options_for(entry)


def test_every_setting_is_explained_with_its_value_and_default() -> None:
    rows = {row["field"]: row for row in settings(load("quick", ["pecl.dimension=256"]))}
    assert all(row["meaning"].endswith(".") and row["choices"] for row in rows.values()), rows
    assert rows["train.iterations"] == {
        "field": "train.iterations",
        "value": 1400,
        "default": 1_000_000,
        "choices": "whole number",
        "meaning": "Optimiser iterations of every method.",
    }
    dimension = rows["pecl.dimension"]
    assert (dimension["value"], dimension["default"], dimension["choices"]) == (256, 128, "64, 128, 256, 512")
    assert rows["pecl.embedder_init"]["value"] == "random" and rows["esrgan.perceptual"]["default"] == "imagenet"
    assert rows["data.train_plates"]["meaning"] == rows["data.test_plates"]["meaning"]  # one text under three fields
    sections = {name: kind.model_fields for name, kind in SECTIONS.items()}
    sections |= {name: kind.__dataclass_fields__ for name, kind in method_options().items()}
    assert list(rows) == [f"{section}.{field}" for section, fields in sections.items() for field in fields]


def test_config_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    config_command(preset="paper", as_json=True)
    rows = {row["field"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["train.validations"]["value"] == 120 and rows["data.folder"]["value"] is None
    config_command(preset="paper")
    text = capsys.readouterr().out
    assert "data.folder = unset  (default: unset)\n    A CCPD folder; unset: synthetic plates" in text
    assert "train.batch_size = 128  (default: 128)\n    Patches per iteration. [whole number]" in text


def test_help_names_every_choice_of_its_options() -> None:
    shown = inspect.get_annotations(main.run, eval_str=True)
    for option, choices in {
        "preset": presets(),
        "protocol": get_args(Data.model_fields["protocol"].annotation),
        "ocr": get_args(Scoring.model_fields["ocr"].annotation),
    }.items():
        (typed,) = (extra for extra in shown[option].__metadata__ if hasattr(extra, "help"))
        assert all(choice in typed.help for choice in choices), option


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("train.learnin_rate=1", r"did you mean train\.learning_rate\?"),
        ("trian.iterations=1", r"did you mean train\?"),
        ("pecl.dimenson=64", r"did you mean pecl\.dimension\?"),
        ("train.iterations=many", r"train\.iterations: .*integer"),
        ("train.iterations=0", r"train\.iterations: .*greater than or equal to 1"),
        ("pecl.dimension=100", r"pecl\.dimension"),
        ("pecl.distance=cosine", r"pecl\.distance"),
        ("data.protocol=random", r"data\.protocol: .*disjoint"),
        ("iterations=3", "section.field=value"),
        ("train.iterations", "section.field=value"),
        ("bicubic.sharpness=1", "fields of bicubic: none"),
        ("train.learning_rate=nan", r"train\.learning_rate: .*finite"),
        ("train.checkpoint_seconds=inf", r"train\.checkpoint_seconds: .*finite"),
        ("pecl.margin=NaN", r"pecl"),
        ("train.iterations=99999999999", r"train\.iterations: .*less than or equal"),
        ("data.seed=-1", r"data\.seed: .*greater than or equal to 0"),
        ("train.threads=-2", r"train\.threads: .*greater than or equal to 0"),
        ("data.folder=", r"data\.folder: .*not a path"),
        ("pecl.dimension=" + "[" * 100_000, r"pecl\.dimension: .*64, 128, 256 or 512"),
        ("train." + "x" * 9999 + "=1", "no field train.x"),
    ],
)
def test_wrong_assignments_are_one_line_that_helps(assignment: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        load("quick", [assignment])
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(UserError, match=r"did you mean quick\?"):
        load("quik")
