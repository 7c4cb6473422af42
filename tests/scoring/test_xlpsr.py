"""The XLPSR score: points, thresholds, and what is not known."""

from __future__ import annotations

import pytest

from benchmark.ocr.reading import Reading
from benchmark.scoring import xlpsr


def at(threshold: float, read: str, characters: str, truth: str) -> float:
    found = xlpsr.points(read, characters, truth)
    assert found is not None
    return float(found[round(100 * threshold)])


def test_a_right_character_counts_2_a_wrong_one_minus_1_and_an_open_one_nothing() -> None:
    sure = "0.9000 0.8000 0.2000"
    assert at(0.0, "ABX", sure, "ABC") == 3 and at(0.3, "ABX", sure, "ABC") == 4
    assert at(0.85, "ABX", sure, "ABC") == 2 and at(1.0, "ABX", sure, "ABC") == 0
    assert at(0.0, "NH898KX", " ".join(["0.9"] * 7), "NH898KV") == 11  # the rule of the challenge, by its own example


def test_texts_of_another_length_are_cut_or_left_open() -> None:
    assert at(0.0, "ABCD", "1 1 1 1", "ABC") == 6
    assert at(0.0, "A", "1", "ABC") == 2 and at(0.0, "BC", "1 1", "ABC") == -2
    assert xlpsr.points("", None, "ABC") is not None and not xlpsr.points("", None, "ABC").any()  # type: ignore[union-attr]


@pytest.mark.parametrize("characters", [None, "", "0.9", "0.9 nan", "a b", 0.5])
def test_without_confidences_that_fit_the_text_there_are_no_points(characters: object) -> None:
    assert xlpsr.points("AB", characters, "AB") is None


def test_confidences_follow_the_normalised_text() -> None:
    assert xlpsr.confidences(Reading("皖A·1", 0.7, (0.9, 0.8, 0.1, 0.7))) == (0.9, 0.8, 0.7)
    assert xlpsr.confidences(Reading("", 0.0)) == ()
    assert xlpsr.confidences(Reading("AB", 0.5)) is None  # PaddleOCR says nothing of characters
    assert xlpsr.to_text((0.9, 0.12345)) == "0.9000 0.1235" and xlpsr.to_text(None) is None


def test_the_threshold_leaves_open_what_is_wrong() -> None:
    readings = [Reading("AX", 0.5, (0.9, 0.4)), Reading("XB", 0.5, (0.3, 0.8))]
    assert xlpsr.best_threshold(readings, ["AB", "AB"]) == pytest.approx(0.41)
    assert xlpsr.best_threshold([Reading("AB", 1.0, (1.0, 1.0))], ["AB"]) == pytest.approx(0.33)  # nearest to 1/3
    assert xlpsr.best_threshold([], []) is None
    assert xlpsr.best_threshold([Reading("AB", 0.5)], ["AB"]) is None
