"""Patches against whole plates: what the table says, and when there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fake_results import METHODS, PATTERN, make_run, with_patches

from paper_figures import inference
from paper_figures.common import conventions
from paper_figures.common.drawing import NothingToDraw
from paper_figures.common.loading import load
from paper_figures.report import builder

FEW = tuple(fake for fake in METHODS if fake.name in ("hr", "bicubic", "espcn", "pecl"))


def test_the_difference_is_of_pairs(tmp_path: Path) -> None:
    drawing = inference.draw(load(with_patches(make_run(tmp_path / "run", FEW), "bicubic", "espcn", "pecl")))
    data = drawing.data.set_index(["metric", "method"])
    espcn = data.loc["psnr", "espcn"]
    assert espcn["plate"] == pytest.approx(18.95 + float(np.median(PATTERN)))
    assert espcn["patches"] == pytest.approx(espcn["plate"] - 0.25)
    assert [espcn[name] for name in ("difference", "low", "high")] == pytest.approx([-0.25] * 3)
    assert data.loc["psnr_y", "pecl"]["difference"] == pytest.approx(-0.25)
    assert data.loc["plate_correct", "pecl"]["difference"] == pytest.approx(-0.1)
    table, readings = drawing.tables
    assert len(table.columns) == len(readings.columns) == 7
    assert [row[0].text for row in table.rows] == ["Bicubic", "ESPCN", "PECL"]
    assert table.rows[1][3].text == "-0.250 [-0.250, -0.250]".replace("-", "−") and table.rows[1][3].rank == 1
    assert "half" in drawing.words and "neither overlap nor aggregation" in drawing.words


def test_what_goes_in_patches_anyway_is_said_to_differ_by_clamping(tmp_path: Path) -> None:
    tbsrn = next(fake for fake in METHODS if fake.name == "tbsrn")
    words = inference.draw(load(with_patches(make_run(tmp_path, (*FEW, tbsrn))))).words
    assert "No difference but thousandths of a dB: TBSRN" in words and "clamps values after blending" in words


def test_methods_that_were_not_scored_both_ways_are_left_out(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", FEW)
    assert list(inference.draw(load(with_patches(run, "espcn"))).data["method"].unique()) == ["espcn"]
    with pytest.raises(NothingToDraw, match="both ways") as lacking:
        inference.draw(load(make_run(tmp_path / "none", FEW)))
    assert lacking.value.settings == {"scoring.inference": "both"}


def test_the_report_says_how_to_score_both_ways(tmp_path: Path) -> None:
    missing = builder.build(make_run(tmp_path, FEW), ["inference"]).missing
    assert missing[-1].what.startswith("Whole plates or patches: ")
    assert missing[-1].command.endswith("--set scoring.inference=both")


def test_the_conditions_say_how_plates_were_upscaled(tmp_path: Path) -> None:
    config = {"preset": "quick", "train": {"batch_size": 4}, "scoring": {"inference": "patches"}}
    patches = load(make_run(tmp_path / "patches", FEW, config=config))
    assert "8×8 LR" in conventions.inference(patches)
    assert conventions.inference(load(make_run(tmp_path / "run", FEW))) == "Plates are upscaled whole."
