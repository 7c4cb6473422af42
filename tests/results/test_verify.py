"""Results are what they say, or the fault is named: a run of the command line, damaged in every way."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

import methods
from benchmark.cli import main
from benchmark.results.identity import recorded_identities
from benchmark.results.record import PUBLISHED, Record
from benchmark.results.store import Run, read_result, write_result
from benchmark.results.verify import Verified, verify_run

FAILING = """
from methods import Method, register

@register
class Failing(Method):
    name, title, citation = "failing", "Failing", "none"

    def train(self, session):
        raise RuntimeError("no luck today")

    def upscale(self, lr):
        return lr
"""

SCHEMA = json.loads(PUBLISHED.read_text(encoding="utf-8"))
SIZES = ("data.train_plates=16", "data.val_plates=4", "data.test_plates=6", "train.validations=4")
RUN = ("--iterations", 12, "--ocr", "none", "--run", "small", *(part for size in SIZES for part in ("--set", size)))


def call(*arguments: object) -> int:
    """Run a command in this process; its exit code."""
    known = sys.argv
    sys.argv = ["benchmark", *map(str, arguments)]
    try:
        main.main()
    except SystemExit as stop:
        return int(stop.code or 0)
    finally:
        sys.argv = known
    return 0


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with one run: the bound, two methods and a failure, and its report. Not to be changed."""
    folder = tmp_path_factory.mktemp("verify")
    plugin = folder / "plugin.py"
    plugin.write_text(FAILING)
    before = dict(methods._registry) if methods.names() else {}
    names = ("--methods", "bicubic,espcn,failing", "--plugin", plugin)
    assert call("run", *names, *RUN, "--results", folder / "results") == 1  # the failure
    assert call("report", "--results", folder / "results", "--only", "table1") == 0
    methods._registry.clear()
    methods._registry.update(before)
    return folder / "results"


@pytest.fixture
def results(made: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    return shutil.copytree(made, tmp_path / "results")


def check(results: Path, **options: Any) -> Verified:
    return verify_run(Run(results / "small"), **options)


def words(results: Path, **options: Any) -> list[str]:
    return [str(problem) for problem in check(results, **options).faults]


def change(results: Path, which: str = "espcn", /, **changes: Any) -> None:
    """Edit ``result.json`` by hand; ``a__b`` is field b of a."""
    file = results / "small" / which / "seed0" / "result.json"
    info = json.loads(file.read_text())
    for path, value in changes.items():
        *parents, last = path.split("__")
        node = info
        for key in parents:
            node = node[key]
        node[last] = value
    file.write_text(json.dumps(info))


def store_again(results: Path, method: str = "espcn") -> None:
    """Make the checksums those of the files that are there now."""
    folder = results / "small" / method / "seed0"
    write_result(folder, json.loads((folder / "result.json").read_text()))


def identify_again(results: Path, which: str = "espcn") -> None:
    """Make the training identity that of what ``result.json`` says now."""
    file = results / "small" / which / "seed0" / "result.json"
    change(results, which, identity=recorded_identities(Record.model_validate(json.loads(file.read_text())))[0])


# -- what the benchmark writes ---------------------------------------------------------------------


def test_what_was_computed_fits(made: Path) -> None:
    verified = check(made)
    assert verified.faults == []
    assert {(r.method, r.status, r.schema) for r in verified.results} == {
        ("hr", "complete", 4), ("bicubic", "complete", 4), ("espcn", "complete", 4), ("failing", "failed", 4),
    }  # fmt: skip
    assert {r.source for r in verified.results if r.method != "failing"} == {"same source"}
    assert all(r.absent == [] for r in verified.results)
    (note,) = verified.notes
    assert note.startswith("plates: all pixels of packs/synthetic") and note.endswith("are those of the fingerprint")


def undescribed(info: Any, known: dict[str, Any], place: str = "") -> list[str]:
    """Fields of ``info`` that the schema does not name."""
    known = next((option for option in known.get("anyOf", ()) if "$ref" in option), known)
    if "$ref" in known:
        known = SCHEMA["$defs"][known["$ref"].rsplit("/", 1)[1]]
    if not isinstance(info, dict) or "properties" not in known:
        return []
    more = "patternProperties" in known or isinstance(known.get("additionalProperties"), dict)
    found = [f"{place}{name}" for name in info if name not in known["properties"] and not more]
    for name, field in known["properties"].items():
        found += undescribed(info.get(name), field, f"{place}{name}.")
    return found


@pytest.mark.parametrize("method", ["hr", "bicubic", "espcn", "failing"])
def test_the_schema_describes_every_field_that_is_written(made: Path, method: str) -> None:
    info = json.loads((made / "small" / method / "seed0" / "result.json").read_text())
    assert undescribed(info, SCHEMA) == []


def test_provenance_says_what_is_needed_to_reproduce(made: Path) -> None:
    facts = read_result(made / "small" / "espcn" / "seed0").record.provenance.as_dict()  # type: ignore[union-attr]
    assert facts["command"].startswith("python -m benchmark run --methods bicubic,espcn,failing --plugin /")
    assert {"python", "torch", "numpy", "safetensors", "timm", "opencv-python"} <= set(facts["versions"])
    assert facts["torch"]["cpu"] and facts["torch"]["blas"] and facts["hardware"]["cpu"]
    assert facts["hardware"]["memory"] > 1 << 30 and facts["hardware"]["gpu"] is None
    assert facts["hardware"]["threads"] == torch.get_num_threads()


def test_the_clocks_add_up(made: Path) -> None:
    clocks = read_result(made / "small" / "espcn" / "seed0").record.clocks  # type: ignore[union-attr]
    parts = sum(seconds for name, seconds in clocks.items() if name != "total")
    assert 0.5 * clocks["total"] < parts <= clocks["total"] * (1 + 1e-9)
    assert min(clocks[name] for name in ("training", "validation", "scoring")) > 0.0


def test_the_commands_answer(made: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert call("verify", made) == 0
    out = capfd.readouterr().out
    assert "espcn                       seed 0  fits          same source" in out and "4 results, all fit" in out
    assert "failed, and stored as such" in out
    assert call("verify", made, "--run", "small", "--json") == 0
    (answer,) = json.loads(capfd.readouterr().out)
    assert answer["ok"] and answer["run"].endswith("small") and len(answer["results"]) == 4
    assert call("verify", made / "small") == 0
    capfd.readouterr()
    assert call("verify", "--schema") == 0
    assert Path(capfd.readouterr().out.strip()).name == "result-4.json"
    assert call("verify", made, "--run", "other") == 2
    assert "there are: small" in capfd.readouterr().err


# -- files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["weights.safetensors", "plates.csv", "history.csv"])
def test_a_flipped_bit_shows(results: Path, name: str) -> None:
    file = results / "small" / "espcn" / "seed0" / name
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)
    found = words(results)
    assert f"espcn/seed0: {name} is not as it was stored (other size or checksum)" in found[0]


def test_a_copy_without_weights_and_pictures_fits(results: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for file in (results / "small").glob("*/seed0/*.safetensors"):
        file.unlink()
    for folder in (results / "small").glob("*/seed0/samples"):
        shutil.rmtree(folder)
    espcn = next(result for result in check(results).results if result.method == "espcn")
    assert espcn.problems == [] and espcn.left_out == ["weights.safetensors", "samples"]
    assert call("verify", results) == 0
    assert "same source; not there: weights.safetensors, samples" in capfd.readouterr().out
    assert "espcn/seed0: weights.safetensors is not there" in words(results, complete=True)[1 + 6]
    assert call("verify", results, "--complete") == 1


def test_tables_must_be_there(results: Path) -> None:
    (results / "small" / "espcn" / "seed0" / "plates.csv").unlink()
    (found,) = words(results)
    assert "espcn/seed0: plates.csv is not there" in found


def test_tables_must_have_checksums(results: Path) -> None:
    change(results, files={})
    assert "espcn/seed0: result.json gives no checksum of history.csv and plates.csv" in words(results)[0]


def test_a_result_that_cannot_be_read_is_named(results: Path, capfd: pytest.CaptureFixture[str]) -> None:
    change(results, scores__best__psnr="high")
    found = words(results)
    assert len(found) == 1
    assert found[0].startswith("espcn/seed0/result.json: it does not fit its schema: scores.best.psnr: is no")
    assert call("verify", results) == 1
    assert "problem: espcn/seed0/result.json: " in capfd.readouterr().out


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda w: {**w, "more": torch.zeros(1)}, "'more' is unknown to the method"),
        (lambda w: dict(list(w.items())[1:]), "is not in them"),
        (lambda w: {k: v.flatten() for k, v in w.items()}, "has shape"),
        (lambda w: {k: v.double() for k, v in w.items()}, "is torch.float64 instead of torch.float32"),
        (lambda w: {k: v * float("nan") for k, v in w.items()}, "holds values that are not numbers"),
    ],
)
def test_weights_that_are_not_the_methods_are_named(
    results: Path, damage: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]], expected: str
) -> None:
    file = results / "small" / "espcn" / "seed0" / "weights.safetensors"
    save_file(damage(load_file(file)), file)
    store_again(results)
    (found,) = words(results)
    assert found.startswith("espcn/seed0: the weights do not fit the method: ") and expected in found


def test_a_pickle_in_the_place_of_weights_is_not_opened(results: Path) -> None:
    file = results / "small" / "espcn" / "seed0" / "weights.safetensors"
    torch.save({"x": torch.zeros(1)}, file)
    store_again(results)
    assert "weights.safetensors is damaged" in words(results)[0]


# -- what result.json says -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"config__train__learning_rate": 0.5}, "identity does not follow"),
        ({"data__fingerprint": "f" * 64}, "scoring_identity does not follow"),
        ({"judge": {"name": "rapid"}}, "scoring_identity does not follow"),
        ({"ingredients": {"embedder": "0" * 64}}, "identity does not follow"),
        ({"scores__best__psnr__mean": 99.0}, "scores.best.psnr.mean is 99.0, but plates.csv gives "),
        ({"scores__best__ssim__n": 7}, "scores.best.ssim.n is 7, but plates.csv gives 6"),
        ({"scores__best__noise__sd": None}, "scores.best.noise.sd is None, but"),
        ({"scores__best__charm": {"mean": 1.0}}, "scores.best.charm is of no column"),
        ({"data__test": 5}, "plates.csv has 6 of 5 plates"),
        ({"best_iteration": 1}, "best_iteration is 1, which is not where history.csv has its best"),
        ({"iterations": 11}, "it made 11 of 12 iterations"),
        ({"parameters": 5}, "the method has 78,816 parameters and not 5"),
        ({"options": {"depth": 3}}, "option depth: "),
        ({"clocks__scoring": 1e6}, "more than the whole job's"),
        ({"clocks__total": 1e6}, "are in none of its clocks"),
        ({"clocks": {"training": 1.0}}, "clocks lack validation, checkpoint, scoring"),
    ],
)
def test_what_was_edited_is_named(results: Path, changes: dict[str, Any], expected: str) -> None:
    change(results, **changes)
    found = words(results)
    assert any(expected in line for line in found), found
    assert all(line.startswith("espcn/seed0: ") and "\n" not in line for line in found)


def test_other_source_is_said_and_is_no_fault(results: Path) -> None:
    change(results, source__training="0" * 64)
    verified = check(results)
    espcn = next(result for result in verified.results if result.method == "espcn")
    assert verified.faults == [] and espcn.source == "source differs, same version"


def test_another_version_is_said_and_is_no_fault(results: Path) -> None:
    change(results, versions={"training": 1, "method": 7, "scoring": 1}, provenance__commit="abcdef0123456789")
    assert "identity does not follow" in words(results)[0]  # another version is another identity
    identify_again(results)
    verified = check(results)
    espcn = next(result for result in verified.results if result.method == "espcn")
    assert verified.faults == [] and espcn.source == "made with another version of method (commit abcdef012345)"


def test_a_library_of_another_version_is_a_note(results: Path) -> None:
    change(results, provenance__versions__timm="0.9.2")
    verified = check(results)
    assert verified.faults == []
    assert f"1 of 3 results were made with timm 0.9.2, here is {version('timm')}" in verified.notes


def as_schema_3(results: Path, which: str) -> Path:
    """Make a result what it was before versions were declared: identities over hashes of the source."""
    file = results / "small" / which / "seed0" / "result.json"
    info = json.loads(file.read_text())
    del info["versions"]
    info |= {"schema": 3, "source": {"training": "a" * 64, "scoring": "b" * 64}}
    training, scoring = recorded_identities(Record.model_validate(info))
    file.write_text(json.dumps(info | {"scoring_identity": scoring} | ({"identity": training} if training else {})))
    return file


def test_results_from_before_versions_fit_and_are_not_computed_again(results: Path) -> None:
    files = [as_schema_3(results, name) for name in ("hr", "bicubic", "espcn")]
    verified = check(results)
    assert verified.faults == []
    sources = {result.source for result in verified.results if result.method != "failing"}
    assert sources == {"source differs, same version"}
    before = [file.read_bytes() for file in files]
    assert call("run", "--methods", "bicubic,espcn", *RUN, "--results", results) == 0
    assert [file.read_bytes() for file in files] == before
    change(results, config__train__learning_rate=0.5)
    assert "identity does not follow from its configuration" in words(results)[0]


def test_a_plugin_that_was_not_named_is_no_fault(results: Path) -> None:
    folder = results / "small"
    (folder / "espcn").rename(folder / "theirs")
    change(results, "theirs", method="theirs")
    identify_again(results, "theirs")
    verified = check(results)
    theirs = next(result for result in verified.results if result.method == "theirs")
    assert theirs.problems == [] and theirs.source.startswith("its method is not registered here")


def test_history_and_best_weights_belong_together(results: Path) -> None:
    file = results / "small" / "espcn" / "seed0" / "history.csv"
    table = pd.read_csv(file)
    table.iloc[:-1].to_csv(file, index=False)
    store_again(results)
    assert "history.csv does not rise to iteration 12" in words(results)[0]
    table.drop(columns="val_psnr").to_csv(file, index=False)
    store_again(results)
    assert "history.csv lacks the columns" in words(results)[0]


def test_a_plate_scored_otherwise_changes_the_scores(results: Path) -> None:
    file = results / "small" / "espcn" / "seed0" / "plates.csv"
    table = pd.read_csv(file)
    table.loc[0, "psnr"] += 1e-6
    table.to_csv(file, index=False)
    store_again(results)
    assert any("scores.best.psnr." in line for line in words(results))


# -- the run ---------------------------------------------------------------------------------------


def test_damaged_plates_are_named(results: Path) -> None:
    (pixels,) = (results / "packs").glob("*/plates.u8")
    content = bytearray(pixels.read_bytes())
    content[100] ^= 1
    pixels.write_bytes(content)
    (found,) = words(results)
    assert found.startswith("packs/synthetic") and "remove the folder" in found


def test_without_the_plates_that_is_said(results: Path) -> None:
    shutil.rmtree(results / "packs")
    verified = check(results)
    assert verified.faults == [] and verified.notes[0].startswith("plates: not checked, there is no pack")


def test_the_reports_table_is_worked_out_anew(results: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = results / "small" / "report" / "table1.csv"
    text = file.read_text()
    file.write_text(text.replace("False", "True"))  # whether the source is today's is no number
    assert call("verify", results) == 0
    file.write_text(text.replace("espcn,ESPCN", "espcn,EsPCN"))
    capfd.readouterr()
    assert call("verify", results) == 1
    assert "problem: report/table1.csv: is not what the results give" in capfd.readouterr().out
    file.write_text("")
    assert call("verify", results) == 1


def test_nothing_is_changed(results: Path) -> None:
    def content() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in sorted(results.rglob("*")) if path.is_file()}

    change(results, scores__best__psnr__mean=99.0)
    before = content()
    call("verify", results)
    assert content() == before
