"""The XLPSR score against the threshold: points, what was chosen, and results that lack confidences."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest
from fake_results import METHODS, make_run, with_characters, with_end

from benchmark.results.store import write_result
from paper_figures import abstention
from paper_figures.common.confidence import engines
from paper_figures.common.drawing import NothingToDraw
from paper_figures.common.loading import load
from paper_figures.common.xlpsr_scores import thresholds

FEW = tuple(fake for fake in METHODS if fake.name in ("hr", "bicubic", "msrn"))


def test_points_by_threshold(tmp_path: Path) -> None:
    results = load(with_characters(make_run(tmp_path / "run", FEW, seeds=2)))
    drawing = abstention.draw(results)
    data = drawing.data[drawing.data["engine"] == "rapid"]
    curve = data[(data["method"] == "msrn") & (data["chosen"] == 0)].set_index("threshold")["points"]
    # Four of ten plates right: 14 points each; of the others one wrong character each, up to its confidence.
    assert [curve[t] for t in (0.0, 0.2, 0.21, 0.9, 0.91)] == pytest.approx([5.0, 5.0, 5.6, 5.6, 0.0])
    chosen = data[data["chosen"] == 1].set_index("method")
    assert chosen["points"].to_dict() == pytest.approx({"hr": 14.0, "bicubic": 0.0, "msrn": 5.6})
    assert chosen.loc["msrn", "threshold"] == pytest.approx(0.33)
    assert drawing.figure is not None and "never on test plates" in drawing.words
    assert abstention.score(results, results.row("msrn"), engines(results)[0]).seeds == 2  # type: ignore[arg-type]


def test_without_confidences_of_characters_there_is_no_figure(tmp_path: Path) -> None:
    with pytest.raises(NothingToDraw, match="confidences of characters"):
        abstention.draw(load(make_run(tmp_path / "run", FEW)))


def test_selected_and_last_weights_have_the_threshold_that_was_chosen_for_them(tmp_path: Path) -> None:
    fakes = tuple(fake for fake in METHODS if fake.name in ("bicubic", "esrgan"))
    run = with_end(with_characters(make_run(tmp_path / "run", fakes, seeds=2)))
    (tmp_path / "run/esrgan/seed1/plates_last.csv").unlink()  # of this seed the last weights were the best
    for seed, own in ((0, {}), (1, {"selected_as": "", "best_iteration": 1000})):
        result = run.result("esrgan", seed)
        assert result is not None
        write_result(result.folder, {**result.record.as_dict(), **own})

    def by_row() -> list[dict[int, float]]:
        results = load(run)
        rows = [results.row(name) for name in ("esrgan-selected", "esrgan")]
        return [thresholds(results, row, engines(results)[0]) for row in rows if row is not None]

    assert by_row() == [{0: 0.33, 1: 0.33}, {1: 0.33}]  # an earlier version: not stored of the last weights
    result = run.result("esrgan", 0)
    assert result is not None
    last = {"judge": {"threshold": 0.7, "plates": 8}}
    write_result(result.folder, {**result.record.as_dict(), "abstention_last": last})
    assert by_row() == [{0: 0.33, 1: 0.33}, {0: 0.7, 1: 0.33}]


def test_a_method_of_which_nothing_is_read_has_no_points_and_an_engine_without_confidences_none_at_all(
    tmp_path: Path,
) -> None:
    run = with_characters(make_run(tmp_path / "run", FEW))
    file = tmp_path / "run/bicubic/seed0/plates.csv"
    pd.read_csv(file).assign(read="", characters="").to_csv(file, index=False)
    results = load(run)
    first, _ = engines(results)
    values = [abstention.score(results, row, first).value for row in results.rows]
    assert values == pytest.approx([0.0, 5.6, 14.0])
    for file in (tmp_path / "run").glob("*/*/plates.csv"):
        pd.read_csv(file).assign(characters="").to_csv(file, index=False)
    results = load(run)
    assert all(math.isnan(abstention.score(results, row, first).value) for row in results.rows)
