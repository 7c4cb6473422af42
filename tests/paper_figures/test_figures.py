"""The smaller figures: what their numbers are, and what they say when there is nothing to draw."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from fake_results import BUDGET, METHODS, PATTERN, make_run

import methods
from paper_figures import loss_weights, plate_height
from paper_figures.common import style
from paper_figures.common.drawing import NothingToDraw
from paper_figures.common.loading import load

WITHOUT_PECL = tuple(method for method in METHODS if not method.name.startswith("pecl"))


def test_loss_weights_are_those_of_the_history_and_name_the_dead(tmp_path: Path) -> None:
    drawing = loss_weights.draw(load(make_run(tmp_path / "run")))
    assert set(drawing.data["method"]) == {"pecl", "pecl-printed"}
    last = drawing.data[drawing.data["iteration"] == BUDGET].iloc[0]
    assert (last["w_pixel"], last["w_contrastive"], last["distance"]) == (0.0, 1.0, 2.25)
    assert f"No gradient at all (cross), first seen at iteration: PECL {BUDGET:,}; " in drawing.words
    assert 0 not in set(drawing.data["iteration"])  # a log axis has no place for it


def test_our_own_names_are_whole_in_figures() -> None:
    for name in methods.names():
        entry = methods.get(name)
        phase = entry.method.selected_as(entry.create().options, 1, 100)
        title = f"{entry.title} ({phase})" if phase else entry.title
        assert style.shorten(title) == title


def test_without_pecl_there_are_no_loss_weights(tmp_path: Path) -> None:
    with pytest.raises(NothingToDraw, match="two losses"):
        loss_weights.draw(load(make_run(tmp_path / "run", WITHOUT_PECL)))


def test_scores_by_height_are_medians_and_shares_of_the_groups(tmp_path: Path) -> None:
    data = plate_height.draw(load(make_run(tmp_path / "run"))).data
    msrn = data[data["method"] == "msrn"].set_index(["metric", "height"])["score"]
    small, large = PATTERN[:6], PATTERN[6:]
    assert msrn[("psnr", 64.0)] == pytest.approx(20.31 + pd.Series(small).median())
    assert msrn[("psnr", 104.0)] == pytest.approx(20.31 + pd.Series(large).median())
    assert msrn[("plate_correct", 64.0)] == pytest.approx(100 * 4 / 6)
    assert msrn[("plate_correct", 104.0)] == 0.0
    assert "hr" not in set(data["method"])


def test_without_an_ocr_engine_only_quality_is_drawn(tmp_path: Path) -> None:
    drawing = plate_height.draw(load(make_run(tmp_path / "run", ocr=False)))
    assert set(drawing.data["metric"]) == {"psnr"} and len(drawing.figure.axes) == 1  # type: ignore[union-attr]


def test_equal_heights_stay_in_one_group() -> None:
    heights = pd.Series([64] * 90 + [72, 80, 88, 96, 104, 112, 120, 128, 136, 144])
    found = plate_height.groups(heights)
    assert found[:90].nunique() == 1 and found.nunique() == 2 and found.is_monotonic_increasing


def test_plates_of_one_height_are_not_drawn(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    for file in (tmp_path / "run").glob("*/seed*/plates.csv"):
        pd.read_csv(file).assign(height=64).to_csv(file, index=False)
    with pytest.raises(NothingToDraw, match="do not differ in height"):
        plate_height.draw(load(run))
