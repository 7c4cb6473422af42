"""Results on disk: what counts as there, and who may write."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmark.errors import UserError
from benchmark.store import SCHEMA, Run, check_writable, exclusive, find_run, write_result

INFO: dict[str, Any] = {
    "schema": SCHEMA,
    "status": "complete",
    "method": "srcnn",
    "seed": 0,
    "scores": {"best": {"psnr": {"median": 18.25}}},
}


def put(run: Path, method: str = "srcnn", seed: int = 0, **changes: Any) -> Path:
    folder = Run(run).place(method, seed)
    folder.mkdir(parents=True)
    write_result(folder, {**INFO, "method": method, "seed": seed, **changes})
    return folder


def test_a_result_is_there_once_its_json_is(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.place("srcnn", 0).mkdir(parents=True)
    assert run.result("srcnn", 0) is None and run.results() == []
    put(tmp_path / "run", seed=1)
    assert [(r.method, r.seed, r.complete) for r in run.results()] == [("srcnn", 1, True)]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema": 1}', json.dumps({**INFO, "schema": SCHEMA + 1})])
def test_what_cannot_be_read_is_no_result_but_is_named(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "run" / "srcnn" / "seed0"
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(text)
    run = Run(tmp_path / "run")
    assert run.results() == [] and run.unreadable() == [folder / "result.json"]


def test_infinite_numbers_are_never_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        put(tmp_path / "run", scores={"best": {"psnr": {"median": float("inf")}}})
    assert not (tmp_path / "run" / "srcnn" / "seed0" / "result.json").exists()


def test_readings_stay_text(tmp_path: Path) -> None:
    folder = put(tmp_path / "run")
    rows = {"text": ["皖A00012", "皖A00013"], "read": ["0012", ""], "confidence": [0.5, 0.0], "psnr": [18.0, "inf"]}
    pd.DataFrame(rows).to_csv(folder / "plates.csv", index=False)
    frame = Run(tmp_path / "run").results()[0].plates()
    assert frame["read"].to_list() == ["0012", ""] and frame["psnr"].to_list() == [18.0, float("inf")]


def test_status_of_complete_failed_and_unfinished(tmp_path: Path) -> None:
    run = tmp_path / "run"
    put(run)
    put(run, "espcn", status="failed", error={"type": "X", "message": "no luck"})
    (run / "pecl" / "seed2").mkdir(parents=True)
    rows = {row["method"]: (row["seed"], row["status"], row["detail"]) for row in Run(run).status()}
    assert rows == {
        "srcnn": (0, "complete", "18.25 dB"),
        "espcn": (0, "failed", "no luck"),
        "pecl": (2, "unfinished", ""),
    }


def test_the_run_changed_last_is_found(tmp_path: Path) -> None:
    for age, name in enumerate(["new", "old"]):
        file = put(tmp_path / name) / "result.json"
        os.utime(file, (1_000_000 - age, 1_000_000 - age))
    (tmp_path / "packs" / "x").mkdir(parents=True)
    assert find_run(tmp_path).folder == tmp_path / "new"
    assert find_run(tmp_path, "old").folder == tmp_path / "old"
    assert find_run(tmp_path / "old").folder == tmp_path / "old"
    with pytest.raises(UserError, match=r"there are: new, old"):
        find_run(tmp_path, "other")
    with pytest.raises(UserError, match="no run in"):
        find_run(tmp_path / "packs")


def test_two_processes_cannot_write_one_run(tmp_path: Path) -> None:
    held = pytest.raises(UserError, match=f"another process \\(pid {os.getpid()} since")
    with exclusive(tmp_path), held, exclusive(tmp_path):
        pass
    with exclusive(tmp_path):  # let go of at the end
        pass


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="--results"):
        check_writable(tmp_path / "file" / "run")
