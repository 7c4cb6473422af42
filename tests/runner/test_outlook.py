"""The last lines of a run: which methods its budget was too small for, and the command that goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import Call, write_ccpd
from whole_results import whole

import methods
from benchmark.cli.options import select_methods
from benchmark.config import Config, all_without, load
from benchmark.results.store import Run, write_result
from benchmark.runner.outlook import outlook


def put(run: Run, method: str, psnr: float | None, seed: int = 0, **changes: Any) -> None:
    folder = run.place(method, seed)
    folder.mkdir(parents=True)
    best = {"psnr": {"median": psnr, "sd": 1.0, "mean": psnr, "n": 4}}
    write_result(folder, whole(method=method, seed=seed, scores={"best": best, "last": best}, **changes))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run(tmp_path / "my run")
    put(run, "bicubic", 17.25)
    return run


def said(run: Run, *names: str, config: Config | None = None) -> list[str]:
    entries = [methods.get(name) for name in names]
    words = ["run", "--methods", "all", "--iterations=8", "--run", "my run"]
    return outlook(run, config or load("quick"), entries, words)


def test_methods_below_bicubic_are_named_with_the_command_that_goes_on(run: Run) -> None:
    put(run, "srcnn", 17.0)
    put(run, "msrn", 18.5)
    put(run, "pecl", 16.124)
    first, second = said(run, "bicubic", "srcnn", "msrn", "pecl", "tbsrn")
    assert first.startswith("still below bicubic (17.25 dB) when the budget of 1,400 iterations × 2 patches ended: ")
    assert first.endswith(": SRCNN 17.00, PECL 16.12")
    assert second.endswith(
        ": python -m benchmark run --iterations 5600 --run 'my run-5600' --methods all"
    ) and second.startswith("4 times the budget")


def test_nothing_is_said_where_all_are_above_it_or_nothing_is_to_compare_with(run: Run, tmp_path: Path) -> None:
    put(run, "msrn", 18.5)
    put(run, "srcnn", None)
    assert said(run, "bicubic", "msrn", "srcnn", "tbsrn") == []
    other = Run(tmp_path / "other")
    put(other, "msrn", 8.5)
    assert said(other, "msrn") == []


def test_of_several_seeds_the_middle_one_counts(run: Run) -> None:
    for seed, psnr in enumerate((17.0, 18.0, 18.0)):
        put(run, "msrn", psnr, seed)
    assert said(run, "msrn", config=load("quick", ["train.seeds=3"])) == []
    assert said(run, "msrn")[0].endswith("MSRN 17.00")


def test_all_leaves_out_what_quick_is_too_short_for(tmp_path: Path, call: Call) -> None:
    left_out = all_without("quick")
    assert {"swinir", "esrgan", "pecl-printed"} <= set(left_out) and "pecl" not in left_out
    assert all_without("standard") == all_without("paper") == []
    names = [entry.name for entry in select_methods("all", None, left_out)[0]]
    assert names == [name for name in methods.names("all") if name not in left_out]
    assert select_methods("all,swinir", None, left_out)[0][-1].name == "swinir"
    assert "esrgan" in [entry.name for entry in select_methods("table1", None, left_out)[0]]

    data = write_ccpd(tmp_path / "ccpd")
    out = call("run", "--data", data, "--results", tmp_path / "r", "--dry-run")[1]
    assert "quick is too short for esrgan, swinir, pecl-printed and 11 more: `all` leaves them out" in out
    out = call("run", "--methods", "table1", "--data", data, "--results", tmp_path / "r", "--dry-run")[1]
    assert "too short" not in out
