"""Ranks that methods share where plates cannot tell them apart."""

from __future__ import annotations

import math

import pytest
from fake_plates import Lab

from paper_figures import table1
from paper_figures.common import statistics, ties
from paper_figures.common.statistics import Interval


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "RESAMPLES", 400)


def test_a_rank_is_one_plus_the_number_of_clearly_better_methods() -> None:
    # a beats c and d; b beats d; a and b, b and c, c and d are not told apart.
    assert ties.ranks("abcd", {("a", "c"), ("a", "d"), ("b", "d")}) == {"a": 1, "b": 1, "c": 2, "d": 3}
    assert ties.ranks("ab", set()) == {"a": 1, "b": 1}


def test_the_best_two_ranks_are_places_and_a_tie_of_all_has_none() -> None:
    ranking = ties.Ranking({"a": 1, "b": 1, "c": 3, "d": 4}, 0.1)
    assert [ranking.place(name) for name in "abcde"] == [1, 1, 2, 0, 0]
    assert ties.Ranking({"a": 1, "b": 1}, 0.1).place("a") == 0


def test_methods_that_differ_by_noise_share_a_rank() -> None:
    results = Lab().add("bicubic", -1.0, trained=False).add("msrn", 0.0).add("espcn", 0.0).add("pecl", 0.5).results()
    ranking = ties.rank(results, results.rows, "psnr")
    assert ranking.ranks == {"pecl": 1, "msrn": 2, "espcn": 2, "bicubic": 4}
    assert 0.0 < ranking.smallest < 0.05  # the pairs' noise is 0.07 dB a plate, over 60 plates
    blurred = Lab().add("msrn", blur=0.3).add("espcn", blur=0.0).results()
    assert ties.rank(blurred, blurred.rows, "blur").ranks == {"espcn": 1, "msrn": 2}  # less blur is better


def test_of_very_many_methods_those_with_the_best_mean_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ties, "MOST", 2)
    results = Lab().add("bicubic", -1.0, trained=False).add("msrn", 0.0).add("espcn", 1.0).add("pecl", 2.0).results()
    ranking = ties.rank(results, results.rows, "psnr")
    assert ranking.ranks == {"pecl": 1, "espcn": 2} and ranking.left_out == 2
    assert ranking.place("msrn") == 0
    assert "Only the 2 methods with the best mean of a column are compared." in table1.draw(results).caption[-2]
    blurred = Lab().add("msrn", blur=0.6).add("espcn", blur=0.3).add("pecl", blur=0.0).results()
    assert set(ties.rank(blurred, blurred.rows, "blur").ranks) == {"pecl", "espcn"}  # less blur is better


def test_the_smallest_difference_is_half_an_interval_at_holms_strictest_level() -> None:
    one = Interval(0.0, -0.196, 0.196, 100, 100, 1)
    assert ties.smallest_difference([one]) == pytest.approx(0.196)
    # Two tests at 0.025 each: 2.2414 standard errors instead of 1.96.
    assert ties.smallest_difference([one, one]) == pytest.approx(0.22414, abs=1e-4)
    unknown = Interval(0.0, math.nan, math.nan, 1, 1, 1)
    assert ties.smallest_difference([one, unknown]) == pytest.approx(0.196)
    assert math.isnan(ties.smallest_difference([unknown])) and math.isnan(ties.smallest_difference([]))
