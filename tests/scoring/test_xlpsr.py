"""The XLPSR score: points, thresholds, and what is not known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmark.ocr.reading import Reading
from benchmark.runner import job
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
    assert xlpsr.best_threshold([Reading("", 0.0)] * 2, ["AB", "AB"]) == pytest.approx(0.33)  # no points at any
    assert xlpsr.best_threshold([Reading("", 0.0), Reading("AB", 0.5)], ["AB", "AB"]) is None


@pytest.mark.parametrize(
    ("texts", "read", "expected"),
    [
        (["", "ЖЦ"], "", {"threshold": xlpsr.BREAK_EVEN, "plates": 0}),
        ([], "", {"threshold": xlpsr.BREAK_EVEN, "plates": 0}),
        (["AB", "ЖЦ"], "", {"threshold": pytest.approx(0.33), "plates": 1}),
        (["AB", "ЖЦ"], "AB", None),  # read, and nothing known of single characters
    ],
)
def test_where_no_validation_plate_can_be_read_the_threshold_is_a_third(
    texts: list[str], read: str, expected: dict[str, Any] | None
) -> None:
    corners = np.array([(64, 32), (0, 32), (0, 0), (64, 0)], np.float32)
    plates = [SimpleNamespace(text=text, vertices=corners) for text in texts]
    engine = SimpleNamespace(alphabet=frozenset("AB"), read=lambda pictures: [Reading(read, 0.5)] * len(pictures))
    context: Any = SimpleNamespace(abstention_plates=plates, ocr_engine=engine, second_engine=None)
    found = job._abstention(context, [np.zeros((32, 64, 3), np.uint8)] * len(texts))
    assert found == ({} if expected is None else {"judge": expected})
