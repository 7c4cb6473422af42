"""Stored score rows guard the version of the scoring: a score that moves fails until it rises."""

from __future__ import annotations

import copy
from typing import Any

import golden_scores
import pytest

from benchmark.scoring.metrics import METRICS


@pytest.fixture(scope="module")
def rows() -> list[golden_scores.Row]:
    return golden_scores.rows()


def test_scores_are_as_stored(rows: list[golden_scores.Row]) -> None:
    known = golden_scores.stored()
    moved = golden_scores.moved(rows, known)
    assert not moved, (
        f"scores have moved: {moved}. If they were meant to, raise SCORING_VERSION; "
        "`python tests/golden_scores.py --write` then stores them anew"
    )
    assert known["versions"]["scoring"] == golden_scores.SCORING_VERSION, "--write stores the rows of a raised version"


def test_the_rows_cover_all_metrics_and_all_outcomes_of_reading(rows: list[golden_scores.Row]) -> None:
    assert set(METRICS) - {"lpips"} <= set(rows[0])  # which needs weights from elsewhere
    for suffix in ("", "_second"):
        assert {row[f"plate_correct{suffix}"] for row in rows} == {0, 1}
        assert any(0 < row[f"character_accuracy{suffix}"] < 1 for row in rows)
    assert rows[0]["psnr"] == "inf" and all(isinstance(row["psnr"], float) for row in rows[golden_scores.PLATES :])


def test_a_moved_score_is_stored_only_under_a_raised_version(
    rows: list[golden_scores.Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    known: dict[str, Any] = {**golden_scores.stored(), "rows": copy.deepcopy(rows)}
    assert golden_scores.refusal(rows, known) == ""
    known["rows"][4]["ssim"] += 0.01
    assert "ssim" in golden_scores.refusal(rows, known)
    known["rows"] = known["rows"][1:]
    assert "number of rows" in golden_scores.refusal(rows, known)
    monkeypatch.setattr(golden_scores, "SCORING_VERSION", golden_scores.SCORING_VERSION + 1)
    assert golden_scores.refusal(rows, known) == ""
    monkeypatch.setattr(golden_scores, "SCORING_VERSION", 0)
    assert golden_scores.refusal(rows, known) != ""


@pytest.mark.parametrize("column", ["read", "psnr", "confidence_second"])
def test_a_score_that_is_gone_or_of_another_kind_has_moved(rows: list[golden_scores.Row], column: str) -> None:
    known: dict[str, Any] = {"made_with": {}, "rows": copy.deepcopy(rows)}
    known["rows"][4][column] = None
    assert len(golden_scores.moved(rows, known)) == 1
    del known["rows"][4][column]
    assert len(golden_scores.moved(rows, known)) == 1
