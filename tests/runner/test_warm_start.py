"""Training that starts from shipped weights: where it begins, what is refused, and that it is never mixed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import Call, exported

from benchmark.results import shipped
from benchmark.results.store import read_result

SIZES = ["--set", "data.train_plates=16", "--set", "data.val_plates=4", "--set", "data.test_plates=4"]


def run(call: Call, data: Path, name: str, *options: object, methods: str = "bicubic,espcn") -> tuple[int, str, str]:
    return call("run", "--run", name, "--methods", methods, "--data", data, "--iterations", 2, *SIZES, "--ocr", "crnn",
                "--device", "cpu", *options)  # fmt: skip


@pytest.fixture
def data(run_once: Path) -> Path:
    return run_once.parent / "ccpd"


def test_training_starts_where_the_shipped_weights_are(trained: Path, call: Call, data: Path) -> None:
    exported(call)
    assert run(call, data, "warm", "--warm-start", "reference")[0] == 0
    cold, warm = (trained / name / "espcn" / "seed0" for name in ("tiny", "warm"))
    before, after = (pd.read_csv(folder / "history.csv")["val_psnr"] for folder in (cold, warm))
    assert after.iloc[0] == pytest.approx(before.max(), abs=0.01) and after.iloc[0] != before.iloc[0]
    assert run(call, data, "warm", "--warm-start", "reference")[1].count("is there already") == 2


def test_the_result_says_what_it_started_from(trained: Path, call: Call, data: Path) -> None:
    folder, _ = exported(call)
    assert run(call, data, "warm", "--warm-start", "reference")[0] == 0
    (facts,) = shipped.read_index(folder).methods
    cold, warm = (read_result(trained / name / "espcn" / "seed0") for name in ("tiny", "warm"))
    assert cold is not None and warm is not None and facts.file is not None
    start = warm.record.warm_start
    assert start is not None and (start.reference, start.iterations, start.batch_size) == ("tiny", 2, 2)
    assert warm.record.ingredients == {"warm start": facts.file.sha256} == {"warm start": start.sha256}
    assert warm.record.identity != cold.record.identity and cold.record.warm_start is None
    assert "its budget comes on top of that one" in warm.record.notes[-1]
    assert call("verify", "--run", "warm")[0] == 0
    bicubic = read_result(trained / "warm" / "bicubic" / "seed0")
    assert bicubic is not None and bicubic.record.warm_start is None


def test_warm_and_cold_trainings_do_not_share_a_table(trained: Path, call: Call, data: Path) -> None:
    exported(call)
    assert run(call, data, "warm", "--warm-start", "reference")[0] == 0
    assert call("report", "--run", "warm", "--only", "table1,table1_full")[0] == 0
    page, full = ((trained / "warm" / "report" / f"{name}.md").read_text() for name in ("table1", "table1_full"))
    assert "ESPCN, warm start" in page and "on top of those of the weights it started from" in page
    assert "on top of that of the weights they started from, so not comparable" in full
    assert "ESPCN did not start from random weights but from those of tiny" in full

    (trained / "tiny" / "espcn" / "seed0").rename(trained / "warm" / "espcn" / "seed1")
    file = trained / "warm" / "espcn" / "seed1" / "result.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "seed": 1}))
    code, _, err = call("report", "--run", "warm", "--only", "table1")
    assert code == 2 and "different conditions do not belong in one table" in err and "start " in err


def test_the_run_has_a_name_of_its_own(trained: Path, call: Call, data: Path) -> None:
    exported(call)
    command = ["run", "--methods", "espcn", "--data", data, *SIZES, "--dry-run"]
    assert "quick-ccpd-warm" not in call(*command)[1]
    assert call(*command, "--warm-start", "reference")[0] == 0
    assert "none or reference" in call("config")[1] or "'none' or 'reference'" in call(*command, "--warm-start", "x")[2]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": 7}, "are of version 7 of the method, and this is version 1"),
        ({"file": {"name": "espcn.safetensors", "size": 1, "sha256": "0" * 64, "precision": "fp16", "moved_db": 0.0}},
         "the hash of espcn.safetensors is not the one in weights.json"),
        ({"method": "vdsr"}, "no weights of espcn at hand (there are: vdsr)"),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit_are_refused_before_anything_is_prepared(
    trained: Path, call: Call, data: Path, changes: dict[str, Any], reason: str
) -> None:
    folder, _ = exported(call)
    index = json.loads((folder / shipped.INDEX).read_text())
    index["methods"][0] |= changes
    (folder / shipped.INDEX).write_text(json.dumps(index))
    code, out, err = run(call, data, "warm", "--warm-start", "reference")
    assert code == 2 and err.count("\n") == 1 and not out and reason in err
    assert err.startswith("error: no warm start of espcn: ") and "take the others with --methods bicubic\n" in err


def test_another_shape_is_refused(trained: Path, call: Call, data: Path) -> None:
    folder, _ = exported(call)
    index = json.loads((folder / shipped.INDEX).read_text())
    index["methods"][0] |= {"method": "edsr"}
    (folder / shipped.INDEX).write_text(json.dumps(index))
    code, _, err = run(call, data, "warm", "--warm-start", "reference", methods="edsr")
    assert code == 2 and "the weights of edsr in " in err and err.count("\n") == 1


def test_a_search_starts_from_them_too(trained: Path, call: Call, data: Path) -> None:
    exported(call)
    command = ["search", "pecl-mse", "--try", "pecl.margin=0.1", "--data", data, "--iterations", 2, *SIZES]
    code, _, err = call(*command, "--set", "train.warm_start=reference")
    assert code == 2 and "no weights of pecl-mse at hand" in err
