"""Signs that scores mean nothing, said where a run begins and at the head of its report."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fake_results import METHODS, make_run
from typer.testing import CliRunner

from benchmark.cli import main
from benchmark.data.plates import Plate
from benchmark.results.store import write_result
from benchmark.scoring.plausibility import LEAST_READ, flat_plates, unread_plates
from benchmark.util.errors import first_line
from paper_figures.common.loading import load
from paper_figures.report import headline


def test_a_share_of_hr_plates_that_is_too_low_is_a_warning() -> None:
    assert unread_plates(LEAST_READ) is None
    assert unread_plates(0.98) is None
    assert unread_plates(None) is None  # nothing reads
    assert "reads only 3% of the HR plates" in (unread_plates(0.03) or "")


def test_plates_of_one_colour_are_counted() -> None:
    random = np.random.default_rng(0)
    colours = [np.full((64, 64, 3), random.integers(0, 256, 3), np.uint8) for _ in range(3)]
    noise = random.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    nearly = colours[0].copy()
    nearly[-1, -1, 0] ^= 1
    plates = [Plate(i, "", "", hr, np.zeros((4, 2), np.float32)) for i, hr in enumerate([*colours, noise, nearly])]
    assert "3 of 5 plates are of one colour" in (flat_plates(plates) or "") and flat_plates(plates[3:]) is None


def test_a_run_on_plates_without_content_says_so_at_once(make_ccpd: Callable[..., Path], tmp_path: Path) -> None:
    split = [
        word for name, n in (("train", 16), ("val", 4), ("test", 4)) for word in ("--set", f"data.{name}_plates={n}")
    ]
    words = ["run", "--methods", "bicubic", "--data", str(make_ccpd()), *split, "--set", "scoring.second=none"]
    for _ in range(2):  # also where all is there already
        done = CliRunner().invoke(main.app, [*words, "--results", str(tmp_path / "results")])
        assert done.exit_code == 0, first_line(done.exception or Exception(done.output))
        assert "WARNING: 4 of 4 plates are of one colour" in done.stdout
        assert re.search(r"WARNING: the OCR engine reads only 0% of the HR plates", done.stdout)
        assert "inf dB" not in done.stdout


@pytest.mark.parametrize("read", [0.1, 0.9])
def test_the_report_begins_with_the_warning(tmp_path: Path, read: float) -> None:
    run = make_run(tmp_path / "demo", METHODS, data={"misfits": 3})
    for result in run.results():
        info = result.record.as_dict()
        if result.method == "hr":
            info["scores"]["best"]["plate_correct"]["mean"] = read
            write_result(result.folder, info)
    said = headline.sentence(load(run))
    assert said.startswith("WARNING: the OCR engine reads only 10%") == (read < LEAST_READ)
    assert "3 pictures left out: the annotation in the name does not fit." in said
