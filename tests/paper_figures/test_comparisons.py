"""The table of paired differences and its forest plot."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from fake_plates import Lab
from fake_results import METHODS, make_run

from paper_figures import comparisons, forest
from paper_figures.common import paired, statistics
from paper_figures.common.loading import load
from paper_figures.common.paired import compare
from paper_figures.common.pairing import Pairing
from paper_figures.report import latex, markdown


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "RESAMPLES", 400)


def test_comparisons_are_paired_and_ties_are_ties() -> None:
    results = Lab().table1(0.5).add("msrn", 0.5, read=0.2).add("esrgan", 1.0).results()
    data = comparisons.draw(results).data.set_index(["reference", "metric", "method"])
    assert data.loc[("pecl", "psnr", "esrgan"), "verdict"] == "better"
    assert data.loc[("pecl", "psnr", "msrn"), "verdict"] == "tie"
    assert data.loc[("pecl", "plate_correct", "msrn"), "verdict"] == "worse"
    assert data.loc[("pecl", "plate_correct", "esrgan"), "verdict"] == "tie"
    assert data.loc[("esrgan", "psnr", "pecl"), "difference"] == -data.loc[("pecl", "psnr", "esrgan"), "difference"]
    assert data.loc[("pecl", "psnr", "bicubic"), "difference"] == pytest.approx(-1.5, abs=0.02)
    psnr = data.sort_index().loc[("pecl", "psnr")]
    smallest = psnr["p"].idxmin()
    assert psnr.loc[smallest, "p_holm"] == pytest.approx(len(psnr) * psnr.loc[smallest, "p"])


def test_the_caption_names_the_family_and_what_was_resampled() -> None:
    drawing = comparisons.draw(Lab().table1(0.5).add("esrgan", 1.0).results())
    for part in (
        "corrected by Holm over the 7 comparisons of one score with one reference",
        "400 resamples of 60 plate texts; one seed, so they say nothing about other seeds",
        "ESRGAN was found best on these same plates",
    ):
        assert part in drawing.words
    shown = markdown.body(drawing)
    assert "**Method minus PECL (the paper's method)**" in shown and "| **better** |" in shown
    assert latex.document(drawing, "name", "Title").count(r"\begin{tabular}") == 4  # two references, two OCR engines
    once = comparisons.draw(Lab(2).table1(0.5).results())
    assert "PECL has the best median PSNR itself" in once.words and "2 seeds (outer level)" in once.words


def test_a_lower_blur_is_better() -> None:
    results = Lab().ablation(blur=-0.1).results()
    pecl, mse = results.row("pecl"), results.row("pecl-mse")
    assert pecl is not None and mse is not None
    assert compare(results, [pecl], mse, "blur")[0].verdict == "better"
    assert compare(results, [mse], pecl, "blur")[0].verdict == "worse"


def test_a_difference_is_worked_out_once_and_corrected_with_its_table(monkeypatch: pytest.MonkeyPatch) -> None:
    results = Lab().add("pecl", 0.5).add("msrn", 0.4).add("esrgan", 0.4).add("srcnn", 0.4).results()
    pecl, *rest = results.rows
    family = compare(results, rest, pecl, "psnr")
    scores = Pairing.scores
    asked: list[str] = []
    monkeypatch.setattr(Pairing, "scores", lambda self, metric: asked.append(metric) or scores(self, metric))
    (alone,) = compare(results, rest[:1], pecl, "psnr")
    assert asked == [] and (alone.interval, alone.test) == (family[0].interval, family[0].test)
    assert alone.corrected == alone.test.p < family[0].corrected
    (other,) = compare(results, rest[:1], pecl, "psnr_y")
    (turned,) = compare(results, [pecl], rest[0], "psnr")
    assert (
        asked == ["psnr_y", "psnr"]
        and other.interval != alone.interval
        and turned.interval.value == -alone.interval.value
    )
    compare(replace(results), rest[:1], pecl, "psnr")  # other results know nothing of these
    assert asked == ["psnr_y", "psnr", "psnr"]


def test_too_few_plates_are_no_comparison(tmp_path: Path) -> None:
    results = load(make_run(tmp_path, METHODS[1:4]))  # all ten plates have one text
    drawing = comparisons.draw(results)
    assert set(drawing.data["verdict"]) == {""} and "nothing can be said" in drawing.words
    with pytest.raises(forest.NothingToDraw, match="share two plates"):
        forest.draw(results)


def test_numbers_as_text() -> None:
    found = statistics.Interval(0.1234, -0.05, math.nan, 3, 1, 1)
    assert paired.shown(found, "psnr", unit=True) == "+0.12 dB"
    found = statistics.Interval(-0.1234, -0.15, 0.051, 3, 2, 1)
    assert paired.shown(found, "plate_correct", unit=True) == "−12.3 points [−15.0, +5.1]"
    assert [paired.probability(p) for p in (0.0001, 0.0456, math.nan)] == ["< 0.001", "0.046", "—"]
