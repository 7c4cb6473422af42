"""A command without --run removes no finished results of something else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from benchmark.cli import main
from benchmark.results.store import Run
from benchmark.util.errors import UserError

FIELDS = ("data.train_plates=16", "data.val_plates=4", "data.test_plates=4", "scoring.ocr=none", "train.batch_size=1",
          "train.validations=1", "scoring.samples=0")  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Any]:
    def call(data: Path, *words: str, methods: str = "espcn", iterations: int = 4) -> Any:
        chosen = [word for field in FIELDS for word in ("--set", field)]
        arguments = ["run", "--methods", methods, "--data", str(data), "--device", "cpu", *chosen, *words]
        arguments += ["--iterations", str(iterations), "--results", str(tmp_path / "results")]
        return CliRunner().invoke(main.app, arguments)

    return call


def fingerprint(folder: Path) -> str:
    result = Run(folder).result("espcn", 0)
    assert result is not None and result.complete
    return result.record.data.fingerprint


def test_other_plates_under_the_same_default_name_ask_for_a_name(
    make_ccpd: Callable[..., Path], run: Callable[..., Any], tmp_path: Path
) -> None:
    first, second = make_ccpd(name="A/train"), make_ccpd(name="B/train", highest=120)
    assert run(first).exit_code == 0
    place = tmp_path / "results" / "quick-train"
    before = fingerprint(place)
    refused = run(second)
    assert isinstance(refused.exception, UserError) and "name another run with --run NAME" in str(refused.exception)
    assert str(first) in str(refused.exception) and fingerprint(place) == before
    assert run(second, "--run", "other").exit_code == 0 and fingerprint(tmp_path / "results" / "other") != before
    assert run(second, "--run", "quick-train").exit_code == 0  # who names it means it
    assert fingerprint(place) != before


def test_the_same_plates_elsewhere_go_on(
    make_ccpd: Callable[..., Path], run: Callable[..., Any], tmp_path: Path
) -> None:
    first = make_ccpd(name="A/train")
    assert run(first).exit_code == 0
    moved = tmp_path / "C" / "train"
    shutil.move(first, moved)
    done = run(moved)
    assert done.exit_code == 0 and "is there already" in done.stdout
    next((moved / "ccpd_base").iterdir()).unlink()
    done = run(moved)  # another place and other content: it cannot be told from other data
    assert isinstance(done.exception, UserError)


def test_fewer_iterations_replace_no_longer_training(make_ccpd: Callable[..., Path], run: Callable[..., Any]) -> None:
    data = make_ccpd()
    assert run(data, iterations=6).exit_code == 0
    refused = run(data, iterations=4)
    assert isinstance(refused.exception, UserError) and "espcn after 6 iterations" in str(refused.exception)
    assert run(data, iterations=4, methods="bicubic").exit_code == 0  # takes nothing away
    assert run(data, iterations=8).exit_code == 0
