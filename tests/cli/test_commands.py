"""The whole pipeline through the command line, in a temporary folder."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import typer

import methods
from benchmark.cli import main
from benchmark.cli.options import select_methods

ROOT = Path(__file__).resolve().parents[2]

# Plates of one colour survive degradation and enlargement unchanged, so the error is the shift: 5/255.
SHIFTED = """
from methods import Method, register

@register
class Shifted(Method):
    name, title, citation = "shifted", "Shifted", "none"
    deterministic = True

    def upscale(self, lr):
        return (lr.repeat_interleave(8, -1).repeat_interleave(8, -2) + 5 / 255).clamp(0, 1)
"""
SHIFTED_PSNR = 20 * math.log10(255 / 5)

BROKEN = "from methods import register\nimport a_module_that_does_not_exist\n"

FAILING = """
from methods import Method, register

@register
class Failing(Method):
    name, title, citation = "failing", "Failing", "none"

    def train(self, session):
        raise RuntimeError("no luck today\\nsecond line")

    def upscale(self, lr):
        return lr
"""

SLOW = """
import time
from torch import nn
from methods import NetworkMethod, register

@register
class Slow(NetworkMethod):
    name, title, citation = "slow", "Slow", "none"

    def build(self):
        return nn.Sequential(nn.Conv2d(3, 192, 1), nn.PixelShuffle(8))

    def step(self, batch, session):
        time.sleep(0.02)
        super().step(batch, session)
"""

COUNTS = ["--set", "data.train_plates=16", "--set", "data.val_plates=4", "--set", "data.test_plates=4"]


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plug-ins of one test are not seen by the next."""
    methods.names()
    monkeypatch.setattr(methods, "_registry", dict(methods._registry))
    monkeypatch.setattr(methods, "_unavailable", dict(methods._unavailable))


def plugin(folder: Path, source: str) -> Path:
    path = folder / "my_plugin.py"
    path.write_text(source)
    return path


Call = Callable[..., tuple[int, str, str]]
MakeCcpd = Callable[..., Path]


@pytest.mark.parametrize("command", ["run", "validate", "perf"])
def test_a_setting_that_contradicts_what_a_method_fixes_is_one_line(call: Call, tmp_path: Path, command: str) -> None:
    place = ["--results", tmp_path / "none"] if command == "run" else []
    code, out, err = call(command, "--methods", "srcnn,ablation", "--set", "pecl.dimension=512", *place)
    assert (code, out, err.count("\n")) == (2, "", 1) and not list(tmp_path.iterdir())
    assert "pecl-euclidean-64 fixes dimension=64, so dimension=512" in err and "pecl-manhattan-256" in err
    assert "--methods srcnn,pecl,pecl-mse,pecl-euclidean-512,pecl-manhattan-512" in err


def run_plugin(call: Call, names: str, source: str, data: Path, results: Path) -> tuple[int, str, str]:
    """``run`` with a plug-in of this source, nobody reading."""
    file = plugin(data.parent, source)
    return call("run", "--methods", names, "--plugin", file, "--data", data, "--results", results,
                "--ocr", "none", *COUNTS)  # fmt: skip


def test_a_method_with_a_known_score_through_everything(call: Call, make_ccpd: MakeCcpd, tmp_path: Path) -> None:
    results = tmp_path / "results"
    code, out, err = run_plugin(call, "shifted", SHIFTED, make_ccpd(), results)
    assert code == 0, err
    folder = results / "quick-ccpd" / "shifted" / "seed0"
    info = json.loads((folder / "result.json").read_text())
    assert info["scores"]["best"]["psnr"]["median"] == pytest.approx(SHIFTED_PSNR, abs=1e-6)
    assert info["scores"]["best"]["psnr_y"]["mean"] == pytest.approx(SHIFTED_PSNR, abs=1e-6)
    assert info["judge"] is None and info["data"]["test"] == 4 and info["status"] == "complete"
    rows = pd.read_csv(folder / "plates.csv")
    assert len(rows) == 4 and rows["psnr"].to_list() == pytest.approx([SHIFTED_PSNR] * 4)
    assert not (folder / "checkpoint.pt").exists() and len(list((folder / "samples").glob("*.png"))) == 4

    code, out, err = call("report", "--results", results)
    assert code == 0 and not err, err  # nobody watches a pipe: no progress is shown in it
    assert f"{SHIFTED_PSNR:.2f}" in (results / "quick-ccpd" / "report" / "table1.md").read_text(encoding="utf-8")

    code, out, _ = call("status", "--results", results, "--json")
    assert {row["method"]: row["status"] for row in json.loads(out)} == {"hr": "complete", "shifted": "complete"}


def test_patches_are_scored_beside_whole_plates_without_training(
    call: Call, make_ccpd: MakeCcpd, tmp_path: Path
) -> None:
    options = ["--methods", "espcn,bicubic", "--data", make_ccpd(), "--results", tmp_path / "results", "--ocr", "none",
               "--iterations", "12", *COUNTS, "--set", "train.validations=2"]  # fmt: skip
    folder = tmp_path / "results" / "quick-ccpd" / "espcn" / "seed0"

    def run(*more: str) -> tuple[str, dict[str, Any], pd.DataFrame]:
        code, out, err = call("run", *options, *more)
        assert code == 0, err
        return out + err, json.loads((folder / "result.json").read_text()), pd.read_csv(folder / "plates.csv")

    _, before, plates = run()
    said, both, beside = run("--set", "scoring.inference=both")
    assert "scoring the weights that are there" in said and both["identity"] == before["identity"]
    assert both["scores"] == before["scores"] and both["scoring_identity"] != before["scoring_identity"]
    pd.testing.assert_frame_equal(beside[plates.columns], plates)
    assert beside.columns[len(plates.columns)] == "psnr_patches" and beside["psnr_patches"].notna().all()
    assert call("report", "--results", tmp_path / "results", "--only", "inference,table1")[0] == 0
    report = tmp_path / "results" / "quick-ccpd" / "report"
    assert list(pd.read_csv(report / "inference.csv")["method"].unique()) == ["bicubic", "espcn"]
    said, patches, _ = run("--set", "scoring.inference=patches")
    assert "training again" in said and patches["identity"] != before["identity"]  # they choose the weights, too
    assert call("report", "--results", tmp_path / "results", "--only", "table1_full")[0] == 0
    assert "in patches" in (report / "table1_full.md").read_text(encoding="utf-8")


def test_the_patches_shown_are_those_of_the_batch_size_in_force(
    call: Call, make_ccpd: MakeCcpd, tmp_path: Path
) -> None:
    options = ["--methods", "bicubic", "--data", make_ccpd(), "--results", tmp_path / "results", "--ocr", "none",
               *COUNTS]  # fmt: skip
    folder = tmp_path / "results" / "quick-ccpd" / "hr" / "seed0"
    for size, iterations in ((2, [1, 1, 2, 2, 3, 3]), (4, [1, 1, 1, 1, 2, 2])):
        assert call("run", *options, "--batch-size", size)[0] == 0
        assert pd.read_csv(folder / "exhibits" / "patches.csv")["iteration"].to_list() == iterations
        assert json.loads((folder / "result.json").read_text())["config"]["train"]["batch_size"] == size
    stamp = (folder / "result.json").stat().st_mtime_ns
    assert call("run", *options, "--batch-size", 4, "--set", "train.learning_rate=5e-4")[0] == 0
    assert (folder / "result.json").stat().st_mtime_ns == stamp  # nothing else of the training is shown


def test_a_pack_in_a_cache_of_its_own_is_found_by_every_command(
    call: Call, make_ccpd: MakeCcpd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # stored as ~
    results, run = ("--results", tmp_path / "results"), ("--run", "cached")
    options = ["--methods", "espcn", "--data", make_ccpd(), "--ocr", "none", "--iterations", 2, *COUNTS,
               "--set", f"data.cache={tmp_path / 'packs of all'}"]  # fmt: skip
    assert call("run", *results, *run, *options)[0] == 0
    info = json.loads((tmp_path / "results/cached/espcn/seed0/result.json").read_text())
    assert info["config"]["data"]["cache"] == "~/packs of all" and not (tmp_path / "results" / "packs").exists()
    code, out, err = call("score", *results, *run, "--test-data", make_ccpd(name="other"))
    assert code == 0 and "is gone" not in out + err and "show a number that training has shown" in out, err
    code, out, err = call("weights", "export", *results, *run, "--out", tmp_path / "weights")
    assert code == 0 and "half precision" not in out and "fp16" in out, err
    code, out, err = call("verify", tmp_path / "results" / "cached")
    assert code == 0 and "plates: all pixels of packs of all/" in out, err


def test_lpips_without_its_package_is_refused_before_anything_is_trained(
    call: Call, make_ccpd: MakeCcpd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lpips", None)
    options = ["--methods", "espcn", "--data", make_ccpd(), "--results", tmp_path / "results", "--ocr", "none", *COUNTS]
    code, _, err = call("run", *options, "--set", "scoring.lpips=true")
    assert code == 2 and "pip install" in err and not list(tmp_path.rglob("history.csv"))


def test_another_ocr_engine_scores_the_stored_weights(
    call: Call, make_ccpd: MakeCcpd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, results = make_ccpd(), tmp_path / "results"
    options = ["--methods", "espcn", "--data", data, "--results", results, "--iterations", "12", *COUNTS,
               "--set", "train.validations=2"]  # fmt: skip
    assert call("run", *options, "--ocr", "none")[0] == 0
    folder = results / "quick-ccpd" / "espcn" / "seed0"
    before = json.loads((folder / "result.json").read_text())
    weights = (folder / "weights.safetensors").read_bytes()

    def never(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr("benchmark.training.trainer.train", never)
    code, out, err = call("run", *options, "--ocr", "rapid", "--set", "scoring.second=none")
    assert code == 0 and "scoring the weights that are there" in out + err, err
    after = json.loads((folder / "result.json").read_text())
    assert after["identity"] == before["identity"] and after["scoring_identity"] != before["scoring_identity"]
    assert after["judge"]["name"] == "rapid" and before["judge"] is None
    assert before["abstention"] == {} and after["abstention"].keys() <= {"judge"}
    pictures = ["psnr", "psnr_y", "ssim", "blur"]
    for which in ("best", "last"):
        assert [after["scores"][which][m] for m in pictures] == [before["scores"][which][m] for m in pictures]
    assert (folder / "weights.safetensors").read_bytes() == weights
    assert after["clocks"]["training"] == before["clocks"]["training"]
    assert pd.read_csv(folder / "plates.csv")["confidence"].notna().all()

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the engine is ill")

    monkeypatch.setattr("benchmark.scoring.plate_scores.score_plates", broken)
    code, _, err = call("run", *options, "--ocr", "none")
    assert code == 1 and "failed: hr seed 0, espcn seed 0" in err
    assert json.loads((folder / "result.json").read_text()) == after  # what is there is worth more than an error


def test_plates_seen_in_training_are_scored_apart(call: Call, make_ccpd: MakeCcpd, tmp_path: Path) -> None:
    """Under the paper's protocol a plate number may be in training and test; every number here is on two pictures."""
    results, data = tmp_path / "results", make_ccpd(highest=60)
    error = "(lr.mean((1, 2, 3), True) / 4).mul(255).round() / 255"  # another one for every plate
    file = plugin(data.parent, SHIFTED.replace("5 / 255", error))
    run = ["run", "--methods", "shifted", "--plugin", file, "--data", data, "--results", results, "--ocr", "none",
           *COUNTS]  # fmt: skip
    code, out, err = call(*run, "--protocol", "paper", "--set", "data.test_plates=8")
    assert code == 0, err
    (folder,) = results.glob("quick-*")
    info = json.loads((folder / "shifted" / "seed0" / "result.json").read_text())
    rows = pd.read_csv(folder / "shifted" / "seed0" / "plates.csv")
    pack = pd.read_parquet(next(results.glob("packs/*/plates.parquet")))
    known = set(pack[pack["split"] == "train"]["text"])
    assert all(rows["seen"][rows["text"].isin(known)])
    seen, by_number = int(rows["seen"].sum()), int(rows["text"].isin(known).sum())
    assert 0 < seen < 8 and f"8 test plates ({seen} of them seen in training)" in out
    assert info["data"]["leaks"]["test_plates_seen"] == by_number
    unseen = info["scores"]["best_unseen"]["psnr"]
    assert unseen["n"] == 8 - seen and unseen == info["scores"]["last_unseen"]["psnr"]
    assert unseen["mean"] == pytest.approx(rows[rows["seen"] == 0]["psnr"].mean(), abs=1e-9)
    bound = json.loads((folder / "hr" / "seed0" / "result.json").read_text())["scores"]
    assert bound.keys() == {"best", "best_unseen"}

    code, out, err = call(*run)
    assert code == 0 and "seen in training" not in out, err
    (other,) = set(results.glob("quick-*")) - {folder}
    scores = json.loads((other / "shifted" / "seed0" / "result.json").read_text())["scores"]
    assert scores.keys() == {"best", "last"}


def test_training_scoring_keeping_and_upscaling(call: Call, make_ccpd: MakeCcpd, tmp_path: Path) -> None:
    results, data = tmp_path / "results", make_ccpd()
    run = ["run", "--methods", "espcn,bicubic", "--data", data, "--results", results, "--iterations", 6,
           "--batch-size", 2, "--device", "cpu", *COUNTS]  # fmt: skip
    code, out, err = call(*run)
    assert code == 0, err
    folder = results / "quick-ccpd" / "espcn" / "seed0"
    assert {p.name for p in folder.iterdir()} == {
        "result.json", "history.csv", "plates.csv", "weights.safetensors", "samples",
    }  # fmt: skip
    info = json.loads((folder / "result.json").read_text())
    assert info["iterations"] == 6 and info["config"]["train"]["batch_size"] == 2
    assert (
        len(info["judge"]["sha256"]) == 64 and info["scores"]["best"]["psnr"]["n"] == 4 and info["parameters"] == 78_816
    )
    assert info["clocks"].keys() == {"training", "validation", "checkpoint", "scoring", "total"}
    assert sum(info["clocks"].values()) - info["clocks"]["total"] <= info["clocks"]["total"] < 60
    assert pd.read_csv(folder / "history.csv")["iteration"].to_list()[0] == 0

    stamp = (folder / "result.json").stat().st_mtime_ns
    code, out, _ = call(*run)
    assert code == 0 and out.count("is there already") == 2
    assert (folder / "result.json").stat().st_mtime_ns == stamp
    code, out, _ = call(*run, "--set", "train.learning_rate=5e-4")
    assert code == 0 and "training again" in out
    assert (folder / "result.json").stat().st_mtime_ns != stamp

    sample = next((folder / "samples").glob("*.png"))
    code, out, err = call("upscale", folder, sample, "--out", tmp_path / "up")
    assert code == 0 and (tmp_path / "up" / sample.name).is_file(), err


def test_one_failing_method_does_not_take_the_others_along(call: Call, make_ccpd: MakeCcpd, tmp_path: Path) -> None:
    results = tmp_path / "results"
    code, _out, err = run_plugin(call, "failing,bicubic", FAILING, make_ccpd(), results)
    assert code == 1 and "failing" in err
    failed = json.loads((results / "quick-ccpd" / "failing" / "seed0" / "result.json").read_text())
    assert failed["status"] == "failed" and failed["error"] == {"type": "RuntimeError", "message": "no luck today"}
    assert "Traceback" in (results / "quick-ccpd" / "failing" / "seed0" / "error.txt").read_text()
    assert (results / "quick-ccpd" / "bicubic" / "seed0" / "result.json").is_file()


def test_a_plugin_that_fails_to_import_only_loses_itself(call: Call, make_ccpd: MakeCcpd, tmp_path: Path) -> None:
    code, _out, err = run_plugin(call, "bicubic,my_plugin", BROKEN, make_ccpd(), tmp_path / "results")
    assert code == 1 and "unavailable: my_plugin: ModuleNotFoundError" in err
    assert (tmp_path / "results" / "quick-ccpd" / "bicubic" / "seed0" / "result.json").is_file()


def test_a_plugin_that_cannot_be_used_is_never_passed_over(call: Call, make_ccpd: MakeCcpd, tmp_path: Path) -> None:
    code, _out, err = run_plugin(call, "bicubic", BROKEN, make_ccpd(), tmp_path / "results")
    assert code == 1 and "unavailable: my_plugin: ModuleNotFoundError" in err
    file = plugin(tmp_path, BROKEN)
    code, _out, err = call("run", "--methods", "my_method", "--plugin", file)
    assert code == 2 and "no method 'my_method'" in err and "; unavailable: my_plugin: ModuleNotFoundError" in err
    for command in (["verify", tmp_path / "results"], ["upscale", tmp_path / "results", "picture.png"]):
        code, _out, err = call(*command, "--plugin", file)
        assert code == 2 and "cannot use the plug-in my_plugin: ModuleNotFoundError" in err


def test_the_version_is_that_of_the_package(call: Call) -> None:
    code, out, _ = call("--version")
    assert code == 0 and out == f"plate-sr-benchmark {metadata.version('plate-sr-benchmark')}\n"
    released = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert released and f"\nversion: {released[1]}\n" in (ROOT / "CITATION.cff").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--methods", "swinr"], "did you mean swinir"),
        (["run", "--preset", "quik"], "did you mean quick"),
        (["run", "--set", "train.iteration=4"], "did you mean train.iterations"),
        (["run", "--data", "/no/such/folder"], "no folder /no/such/folder"),
        (["run", "--device", "cuda:99"], "no CUDA device"),
        (["run", "--device", "abacus"], "no device"),
        (["run", "--protocol", "mine"], "data.protocol"),
        (["run", "--ocr", "owl"], "scoring.ocr"),
        (["run", "--plugin", "/no/such/file.py"], "no plug-in file"),
        (["run", "--executor", "cloud"], "no executor"),
        (["run", "--results", "/proc/results"], "cannot write results"),
        (["run", "--set", "data.cache=/proc/packs"], "another place with --set data.cache=FOLDER"),
        (["report", "--results", "/no/such/folder"], "no results folder"),
        (["status", "--results", "/no/such/folder"], "no results folder"),
        (["data", "verify", "/no/such/folder"], "no folder"),
        (["data", "verify", "/no/such/list", "--names"], "the list of names /no/such/list: No such file or directory"),
        (["search", "readings", "--try", "pecl.w_contrastive=1"], "search takes one method, and 'readings' is 5"),
        (["upscale", "/no/such/folder", "x.png"], "no finished result"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = call(*arguments)
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert code == 2 and len(lines) == 1 and message in lines[0], err
    assert "Traceback" not in err + out


def test_methods_as_json(call: Call) -> None:
    code, out, _ = call("methods", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert code == 0 and rows["pecl"].keys() >= {
        "name", "title", "groups", "parameters", "paper_parameters", "citation", "available",
    }  # fmt: skip
    assert rows["swinir"]["parameters"] == 12_047_911 and rows["swinir"]["paper_parameters"] == 11_000_000
    assert rows["bicubic"]["available"] is True


def test_verify_as_json(call: Call, make_ccpd: MakeCcpd) -> None:
    code, out, _ = call("data", "verify", make_ccpd(), "--json")
    facts = json.loads(out)
    assert code == 0 and (facts["images"], facts["plates"], facts["repeated_plates"]) == (24, 12, 12)
    assert facts["subsets"] == {"ccpd_base": 24}


def test_validate_checks_a_plugin(call: Call, tmp_path: Path) -> None:
    code, out, _ = call("validate", "--methods", "slow,shifted", "--plugin", plugin(tmp_path, SLOW + SHIFTED))
    assert code == 1 and out.count("kept") == 11
    assert re.search(r"shifted +refusals +BROKEN: upscale takes", out)


def test_validate_says_which_line_of_a_plugin_fails(call: Call, tmp_path: Path) -> None:
    code, out, _ = call("validate", "--methods", "failing", "--plugin", plugin(tmp_path, FAILING))
    assert code == 1 and "BROKEN: no luck today (my_plugin.py, line 9)\n" in out
    assert "BROKEN: upscale makes (1, 3, 1, 1) of 1×3×1×1\n" in out


def test_doctor_answers(call: Call) -> None:
    code, out, _ = call("doctor")
    assert code == 0 and "OCR engine" in out and "torch" in out and re.search("^bf16 +a training step ", out, re.M)
    assert re.search(rf"^benchmark +{re.escape(metadata.version('plate-sr-benchmark'))}, ", out)


def test_help_fits_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    commands = typer.main.get_command(main.app)
    nested = commands.commands  # type: ignore[attr-defined]
    assert list(nested)[:4] == ["run", "report", "status", "cancel"]
    for command in (commands, nested["data"]):
        lines = command.get_help(typer.Context(command, info_name="benchmark")).splitlines()
        assert all(len(line) <= 80 and not line.endswith("...") for line in lines[1:]), lines
        begin = lines.index("Commands:") + 1
        listed = lines[begin : begin + len(command.commands)]  # type: ignore[attr-defined]
        assert all(line.endswith(".") for line in listed), listed  # a whole sentence on each


def test_help_imports_nothing_heavy() -> None:
    heavy = ("torch", "numpy", "pandas", "pydantic")
    code = f"import sys, benchmark.cli.main; print([m for m in {heavy} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize("group", ["all", "everything"])
def test_who_asks_for_all_is_told_what_is_unavailable(monkeypatch: pytest.MonkeyPatch, group: str) -> None:
    monkeypatch.setitem(methods._unavailable, "broken", "ImportError: nothing of this name")
    entries, lost = select_methods(group, None)
    assert [entry.name for entry in entries] == methods.names(group)
    assert lost == ["broken: ImportError: nothing of this name"]
    assert select_methods("related", None)[1] == []
