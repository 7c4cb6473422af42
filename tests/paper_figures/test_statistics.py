"""Intervals and tests, against values worked out by hand or by scipy."""

from __future__ import annotations

import math
import sys
import tracemalloc
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from paper_figures.common import pairing, statistics
from paper_figures.common.statistics import Interval


def frame(scores: Any, seed: int | None = 0, texts: list[str] | None = None, **columns: Any) -> pd.DataFrame:
    """Plates 0, 1, 2, … with these scores; every plate has a text of its own unless ``texts`` says otherwise."""
    scores = list(scores)
    texts = [f"皖A{i:05}" for i in range(len(scores))] if texts is None else texts
    table = pd.DataFrame({"index": range(len(scores)), "text": texts, "psnr": scores, **columns})
    return table if seed is None else table.assign(seed=seed)


def noise(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=n)


# -- intervals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_the_interval_of_plain_plates_is_scipys(statistic: Any) -> None:
    scores = noise(41)
    expected = stats.bootstrap(
        (scores,), getattr(np, statistic), n_resamples=statistics.RESAMPLES, method="percentile",
        random_state=np.random.default_rng(statistics._RANDOM),
    ).confidence_interval  # fmt: skip
    found = statistics.interval(frame(scores), "psnr", statistic)
    assert found.value == pytest.approx(getattr(np, statistic)(scores))
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert (found.plates, found.clusters, found.seeds, found.left_out) == (41, 41, 1, 0)


def test_the_interval_is_about_two_standard_errors_wide() -> None:
    scores = noise(400)
    found = statistics.interval(frame(scores), "psnr")
    assert found.high - found.low == pytest.approx(2 * 1.96 * scores.std(ddof=1) / 20, rel=0.05)


def test_photographs_of_one_plate_are_drawn_together() -> None:
    scores = np.repeat(noise(50), 4)  # four equal photographs of each of 50 plates: 50 values' worth
    texts = [f"t{i // 4}" for i in range(200)]
    clustered = statistics.interval(frame(scores, texts=texts), "psnr")
    once = statistics.interval(frame(scores[::4], texts=texts[::4]), "psnr")
    assert (clustered.low, clustered.high) == pytest.approx((once.low, once.high))
    assert (clustered.plates, clustered.clusters) == (200, 50)
    apart = statistics.interval(frame(scores), "psnr")
    assert apart.high - apart.low < 0.6 * (clustered.high - clustered.low)


def test_two_texts_give_what_can_be_counted_by_hand() -> None:
    # Texts a (1 plate, 0) and b (3 plates, 4 each): draws aa, ab, ba, bb have means 0, 3, 3, 4.
    found = statistics.interval(frame([0.0, 4, 4, 4], texts=["a", "b", "b", "b"]), "psnr")
    assert (found.value, found.low, found.high) == (3.0, 0.0, 4.0)
    found = statistics.interval(frame([0.0, 1, 4, 4], texts=["a", "b", "b", "b"]), "psnr", "median")
    assert (found.value, found.low, found.high) == (2.5, 0.0, 4.0)  # aa: 0, ab: (1 + 4) / 2, bb: 4


def test_seeds_are_the_outer_level() -> None:
    # Plates hardly differ, seeds do: the interval must be as wide as the seeds are apart.
    scores = 0.001 * noise(100)
    seeds = pd.concat([frame(scores + level, seed) for seed, level in enumerate((1.0, 2.0, 6.0))])
    found = statistics.interval(seeds, "psnr")
    assert found.value == pytest.approx(3.0, abs=1e-3) and found.seeds == 3
    # 27 draws of three seeds; the lowest and highest (1, 1, 1 and 6, 6, 6) have 1/27 > 2.5 % each.
    assert found.low == pytest.approx(1.0, abs=2e-3) and found.high == pytest.approx(6.0, abs=2e-3)
    assert statistics.interval(seeds[seeds["seed"] == 1], "psnr").seeds == 1


def test_equal_seeds_do_not_pretend_to_be_more_plates() -> None:
    scores = noise(60)
    one = statistics.interval(frame(scores), "psnr")
    three = statistics.interval(pd.concat([frame(scores, seed) for seed in range(3)]), "psnr")
    assert (three.low, three.high) == pytest.approx((one.low, one.high), abs=0.02)


def test_the_median_over_seeds_and_texts_is_numpys_of_the_drawn_plates() -> None:
    rng = np.random.default_rng(5)
    values, seed, text = rng.normal(size=30), rng.integers(0, 3, 30), rng.integers(0, 7, 30)
    weighted = statistics._median(values, seed, text, 3, 7)
    of_text, of_seed = rng.integers(0, 3, (20, 7)), rng.integers(0, 3, (20, 3))
    for found, by_text, by_seed in zip(weighted(of_text, of_seed), of_text, of_seed):
        drawn = np.repeat(values, by_text[text] * by_seed[seed])
        assert found == pytest.approx(np.median(drawn)) if len(drawn) else math.isnan(found)


def test_equal_input_gives_equal_intervals_in_any_order() -> None:
    table = frame(noise(30))
    assert statistics.interval(table, "psnr") == statistics.interval(table.copy(), "psnr")
    shuffled = statistics.interval(table.sample(frac=1, random_state=1), "psnr")
    assert shuffled.low == pytest.approx(statistics.interval(table, "psnr").low)


def test_an_interval_is_the_same_whatever_else_was_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    def widths() -> list[Interval]:
        statistics._drawn.cache_clear()
        return [statistics.interval(table, "psnr") for table in tables]

    tables = [frame(noise(n)) for n in (20, 30)] + [pd.concat([frame(noise(30, s), s) for s in range(2)])]
    found = widths()
    tables.reverse()
    assert widths() == found[::-1]
    monkeypatch.setattr(statistics, "_AT_ONCE", 60 * 1000)  # drawn in parts: other numbers, drawn as often
    parts = widths()[::-1]
    assert parts == widths()[::-1]
    for whole, part in zip(found, parts):
        assert (part.low, part.high) == pytest.approx((whole.low, whole.high), abs=0.06)
    drawn = [statistics._drawn((30,), 2, first, 1000) for first in (0, 1000)]
    assert not any(np.array_equal(one, other) for one, other in zip(*drawn))


def test_every_resample_has_as_many_texts_and_seeds_as_there_are() -> None:
    of_text, of_seed = statistics._drawn((3, 40), 2, 0, 5000)
    assert (of_text[:, :3].sum(1) == 3).all() and (of_text[:, 3:].sum(1) == 40).all() and (of_seed.sum(1) == 2).all()
    assert of_text.mean(0) == pytest.approx(np.ones(43), abs=0.07)
    assert (statistics._drawn((5,), 1, 0, 10)[1] == 1).all()


def test_a_plate_without_a_text_is_a_text_of_its_own() -> None:
    texts: list[Any] = ["a", "a", None, "", math.nan]
    assert statistics.interval(frame(range(5), texts=texts), "psnr").clusters == 4
    assert statistics.interval(frame(range(5)).drop(columns="text"), "psnr").clusters == 5


def test_numbers_that_are_not_finite_are_left_out_and_counted() -> None:
    found = statistics.interval(frame([1.0, math.nan, 3.0, math.inf, 2.0, -math.inf]), "psnr")
    assert (found.value, found.plates, found.left_out) == (2.0, 3, 3) and found.bounded


def test_degenerate_input_has_no_interval() -> None:
    one = statistics.interval(frame([20.0]), "psnr")
    assert one.value == 20.0 and math.isnan(one.low) and not one.bounded and not one.above() and not one.below()
    same = statistics.interval(frame([1.0, 2.0], texts=["a", "a"]), "psnr", "median")
    assert same.value == 1.5 and not same.bounded and same.clusters == 1
    for empty in (frame([]), frame([math.nan, math.inf])):
        found = statistics.interval(empty, "psnr")
        assert math.isnan(found.value) and not found.bounded and found.plates == 0
    ties = statistics.interval(frame([2.0] * 5), "psnr")
    assert (ties.value, ties.low, ties.high) == (2.0, 2.0, 2.0)


def test_seeds_with_different_missing_plates_still_have_an_interval() -> None:
    first, second = frame(noise(40), 0), frame(noise(40, 1), 1)
    first.loc[:30, "psnr"] = math.nan
    found = statistics.interval(pd.concat([first, second]), "psnr")
    assert found.bounded and found.left_out == 31 and found.plates == 40


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_resamples_are_computed_many_at_once_and_within_memory(monkeypatch: pytest.MonkeyPatch, statistic: Any) -> None:
    scores = pd.concat([frame(noise(1000, seed), seed) for seed in range(3)])
    other = frame(noise(1000, 99), None)
    tracemalloc.start()
    try:
        pairing.difference(scores, other, "psnr", statistic)
        assert tracemalloc.get_traced_memory()[1] < 200e6  # all 5000 × 3000 at once would be 120 MB a copy
    finally:
        tracemalloc.stop()
    calls = []
    for resamples in (1000, 5000):
        monkeypatch.setattr(statistics, "RESAMPLES", resamples)
        events: Counter[str] = Counter()
        sys.setprofile(lambda _, event, __, events=events: events.update([event]))
        try:
            pairing.difference(scores, other, "psnr", statistic)
        finally:
            sys.setprofile(None)
        calls.append(events["call"] + events["c_call"])
    assert calls[1] - calls[0] < 1000  # nothing is called for each of 4000 resamples more


def test_captions_say_what_was_resampled() -> None:
    def said(seeds: int, texts: int) -> str:
        return statistics.resampled(Interval(0, 0, 0, 3, texts, seeds))

    assert "say nothing about other seeds" in said(1, 1000) and "1,000 plate texts" in said(1, 1000)
    assert "3 seeds (outer level) and 1 plate text." in said(3, 1)


# -- paired differences ----------------------------------------------------------------------------


def test_methods_are_paired_by_seed_and_plate() -> None:
    a = pd.concat([frame([1.0, 2.0, 3.0], 0), frame([10.0, 20.0, 30.0], 1)])
    b = pd.concat([frame([0.5, 0.5], 1), frame([5.0, 6.0], 2)])
    paired = pairing.pairs(a, b, "psnr")
    assert paired[["seed", "index", "difference"]].to_numpy().tolist() == [[1, 0, 9.5], [1, 1, 19.5]]


def test_a_method_without_seeds_is_paired_with_every_seed() -> None:
    a = pd.concat([frame([1.0, 2.0], 0), frame([3.0, 4.0], 1)])
    still = frame([1.0, 1.0], None)
    assert sorted(pairing.pairs(a, still, "psnr")["difference"]) == [0.0, 1.0, 2.0, 3.0]
    assert sorted(pairing.pairs(still, a, "psnr")["difference"]) == [-3.0, -2.0, -1.0, 0.0]
    assert pairing.difference(a, still, "psnr").seeds == 2
    assert pairing.difference(still, still, "psnr").seeds == 1


def test_plates_of_other_data_are_no_pairs() -> None:
    found = pairing.difference(frame([1.0, 2.0], texts=["a", "b"]), frame([1.0, 2.0], texts=["x", "y"]), "psnr")
    assert math.isnan(found.value) and found.plates == 0


def test_pairing_takes_out_what_plates_have_in_common() -> None:
    plates = 5 * noise(100)
    found = pairing.difference(frame(plates + 0.2 + 0.1 * noise(100, 1)), frame(plates), "psnr")
    assert found.value == pytest.approx(0.2, abs=0.03) and found.high - found.low < 0.05 and found.above(0.1)
    assert pairing.difference(frame(plates), frame(plates + 1), "psnr").below(-0.5)


def test_identical_pictures_are_left_out_of_pairs() -> None:
    a, b = frame([math.inf, math.inf, 20.0, 21.0, 22.0]), frame([math.inf, 19.0, 19.0, 19.0, math.nan])
    found = pairing.difference(a, b, "psnr")
    assert (found.value, found.plates, found.left_out) == (1.5, 2, 3)
    assert pairing.wilcoxon(pairing.pairs(a, b, "psnr")).left_out == 3


# -- tests -----------------------------------------------------------------------------------------


def test_wilcoxon_is_scipys_on_one_value_a_text() -> None:
    a, b = noise(30) + 0.3, noise(30, 1)
    found = pairing.wilcoxon(pairing.pairs(frame(a), frame(b), "psnr"))
    assert found.p == pytest.approx(stats.wilcoxon(a, b).pvalue) and found.name == pairing.SIGNED_RANK
    texts = [f"t{i // 2}" for i in range(30)]  # two photographs of each of 15 plates
    found = pairing.wilcoxon(pairing.pairs(frame(a, texts=texts), frame(b, texts=texts), "psnr"))
    averaged = (a - b).reshape(15, 2).mean(1)
    assert found.p == pytest.approx(stats.wilcoxon(averaged).pvalue) and found.texts == 15


def test_wilcoxon_by_hand() -> None:
    # Differences 1…5, all positive: both signs of 2^5 equally likely, so p = 2 / 32.
    found = pairing.wilcoxon(pairing.pairs(frame([1.0, 2, 3, 4, 5]), frame([0.0] * 5), "psnr"))
    assert found.p == pytest.approx(2 / 32)


def test_seeds_are_averaged_before_the_test() -> None:
    a, b = noise(20), noise(20, 1)
    seeds = pd.concat([frame(a + 3, 0), frame(a - 3, 1)])
    found = pairing.wilcoxon(pairing.pairs(seeds, frame(b, None), "psnr"))
    assert found.p == pytest.approx(stats.wilcoxon(a, b).pvalue) and found.texts == 20


def test_right_and_wrong_is_mcnemars_exact_test() -> None:
    # 6 plates only a reads, 1 only b: two-sided binomial, 2 · (1 + 7) / 2^7.
    a = [1.0] * 6 + [0.0] + [1.0] * 5 + [0.0] * 5
    b = [0.0] * 6 + [1.0] + [1.0] * 5 + [0.0] * 5
    found = pairing.wilcoxon(pairing.pairs(frame(a), frame(b), "psnr"))
    assert found.p == pytest.approx(2 * 8 / 128) and found.name == pairing.SIGN


def test_ties_alone_decide_nothing() -> None:
    assert pairing.wilcoxon(pairing.pairs(frame([20.0] * 4), frame([20.0] * 4), "psnr")).p == 1.0
    assert pairing.wilcoxon(pairing.pairs(frame([1.0] * 4), frame([1.0] * 4), "psnr")).p == 1.0
    assert pairing.wilcoxon(pairing.pairs(frame([20.1]), frame([20.0]), "psnr")).p == 1.0
    nothing = pairing.wilcoxon(pairing.pairs(frame([math.nan]), frame([1.0]), "psnr"))
    assert math.isnan(nothing.p) and nothing.texts == 0 and nothing.left_out == 1


def test_holm_by_hand() -> None:
    # Sorted .005, .01, .03, .04: × 4, 3, 2, 1 = .02, .03, .06, .04, then never below the one before.
    assert pairing.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert pairing.holm([0.5, 0.9]) == [1.0, 1.0]
    assert pairing.holm([]) == [] and pairing.holm([0.2]) == [0.2]
    corrected = pairing.holm([0.02, math.nan, 0.01])
    assert corrected[0] == pytest.approx(0.02) and math.isnan(corrected[1]) and corrected[2] == pytest.approx(0.02)


def test_between_seeds_is_students_interval_of_their_means() -> None:
    frame = pd.DataFrame({"seed": [0, 0, 1, 1, 1], "difference": [0.0, 2.0, 3.0, math.inf, 3.0]})
    assert pairing.between_seeds(pairing.seed_means(frame, "difference")) == pytest.approx(
        12.7062 * math.sqrt(2) / math.sqrt(2), abs=1e-3
    )
    three = pd.DataFrame({"seed": [0, 1, 2], "difference": [1.0, 2.0, 4.5]})
    low, high = stats.t.interval(0.95, 2, 2.5, stats.sem([1.0, 2.0, 4.5]))
    assert pairing.between_seeds(pairing.seed_means(three, "difference")) == pytest.approx((high - low) / 2)
    assert math.isinf(pairing.between_seeds(pairing.seed_means(frame[:2], "difference")))
