"""The paper's claims, on results in which every verdict is forced each way."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fake_plates import BUDGET, RIVALS, Lab
from fake_results import ABLATION, METHODS, Fake, make_run, pecl_options

from paper_figures import claims, comparisons, forest
from paper_figures.claims import CLAIMS
from paper_figures.common import commands, evidence, statistics
from paper_figures.common.evidence import FAILS, HOLDS, OPEN
from paper_figures.common.results import Results, load
from paper_figures.report import latex, markdown


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "RESAMPLES", 400)


def verdict(results: Results, number: int) -> claims.Verdict:
    """One claim's verdict alone."""
    claim = CLAIMS[number - 1]
    printed = claims._find(results, claim, evidence.PRINTED) if claim.of_pecl else None
    return claims.Verdict(number, claim, claims._find(results, claim, evidence.DESCRIBED), printed)


def correlated(sign: int) -> Lab:
    lab = Lab()
    for i, name in enumerate((*RIVALS, "pecl")):
        lab.add(name, 0.4 * i, best=500 + sign * 60 * i)
    return lab


def read(confidence: float, tbsrn: float = 0.6, **more: Any) -> Lab:
    return Lab(3).table1(confidence=confidence, **more).add("tbsrn", read=tbsrn, confidence=0.7)


# Each claim with results in which it holds, in which it does not, and in which nothing can be said.
CASES: list[tuple[int, str, Callable[[], Lab]]] = [
    (1, HOLDS, lambda: Lab().table1(0.5)),
    (1, FAILS, lambda: Lab().table1(0.5).add("msrn", 1.0)),
    (1, OPEN, lambda: Lab().table1(0.5).add("msrn", 0.5)),
    (2, HOLDS, lambda: Lab().table1(-9.0, luma=0.5)),
    (2, FAILS, lambda: Lab().table1(0.5, luma=-0.5)),
    (2, OPEN, lambda: Lab().table1(0.5, luma=0.05)),  # clear of 0, but one seed
    (3, HOLDS, lambda: read(0.69)),
    (3, FAILS, lambda: read(0.5)),
    (3, OPEN, lambda: read(0.65)),
    (4, HOLDS, lambda: Lab().table1(0.5).add("pecl-mse", 0.0, options=pecl_options(term="none"))),
    (4, FAILS, lambda: Lab().table1(-0.5).add("pecl-mse", 0.0, options=pecl_options(term="none"))),
    (4, OPEN, lambda: Lab().table1(0.0).add("pecl-mse", 0.0, options=pecl_options(term="none"))),
    (5, HOLDS, lambda: Lab().ablation(by_distance=0.2)),
    (5, FAILS, lambda: Lab().ablation(by_distance=-0.2)),
    (5, OPEN, lambda: Lab().ablation(by_distance=0.2).add(
        "pecl-euclidean-64", 1.0, options=pecl_options(distance="euclidean", dimension=64))),
    (6, HOLDS, lambda: Lab().ablation(by_doubling=0.1)),
    (6, FAILS, lambda: Lab().ablation(by_doubling=-0.1)),
    (6, OPEN, lambda: Lab().ablation(by_doubling=0.0)),
    (7, HOLDS, lambda: Lab().ablation(mse=0.0)),
    (7, FAILS, lambda: Lab().ablation(mse=0.0).add(
        "pecl-euclidean-64", -0.5, options=pecl_options(distance="euclidean", dimension=64))),
    (7, OPEN, lambda: Lab().ablation(mse=0.0, late=0.05)),  # above zero, but one seed
    (8, HOLDS, lambda: correlated(+1)),
    (8, FAILS, lambda: correlated(-1)),
    (8, OPEN, lambda: Lab().table1()),
    (9, HOLDS, lambda: Lab(3).ablation(blur=-0.1, compression=-0.1)),
    (9, FAILS, lambda: Lab(3).ablation(blur=-0.1, compression=0.1)),
    (9, OPEN, lambda: Lab(3).ablation(blur=-0.1, compression=0.0)),
]  # fmt: skip


@pytest.mark.parametrize(("number", "outcome", "lab"), CASES, ids=[f"{n}-{outcome}" for n, outcome, _ in CASES])
def test_every_claim_comes_out_each_way(number: int, outcome: str, lab: Callable[[], Lab]) -> None:
    found = verdict(lab().results(), number)
    assert found.outcome == outcome, found.finding
    assert re.search(r"\d", found.finding.evidence)
    assert bool(found.finding.reason) == bool(found.finding.command) == (outcome == OPEN)
    if outcome == OPEN:
        assert found.finding.command.startswith("python -m benchmark run ")


def test_with_nothing_all_claims_are_open_and_say_what_is_missing() -> None:
    found = claims.evaluate(Lab().add("bicubic", trained=False).results())
    assert [v.outcome for v in found] == [OPEN] * 9
    assert found[0].finding.reason == "no result of PECL" and "--methods pecl" in found[0].finding.command
    assert "no result of the ablation" in found[4].finding.reason
    assert "pecl-mse,pecl,pecl-euclidean-64" in found[4].finding.command
    assert found[7].finding.reason == "only 0 trained methods of Table 1" and found[7].printed is None
    assert all(v.printed is not None and v.printed.outcome == OPEN for v in found if v.number != 8)


# -- what uncertainty does to a verdict ------------------------------------------------------------


def test_with_one_seed_a_difference_must_exceed_what_training_anew_may_change() -> None:
    def of(**about: Any) -> evidence.Finding:
        lab = Lab(about.pop("seeds", 1)).table1(0.3, **about)
        return verdict(lab.add("pecl-mse", 0.0, options=pecl_options(term="none")).results(), 4).finding

    assert of().outcome == HOLDS
    moving = of(moved=0.6)
    assert (moving.outcome, moving.reason) == (OPEN, "one seed, and training anew may change 0.60 dB")
    assert "--seeds 3 --methods pecl,pecl-mse" in moving.command
    assert of(moved=0.6, seeds=3).outcome == HOLDS


def test_one_seed_decides_nothing_but_psnr() -> None:
    blurred = verdict(Lab().ablation(blur=-0.1, compression=-0.1).results(), 9).finding
    assert (
        blurred.outcome == OPEN
        and "blur: one seed, which does not say how much training anew changes this score" in blurred.reason
    )
    read_well = verdict(Lab().table1(confidence=0.1).add("tbsrn", read=0.6, confidence=0.7).results(), 3).finding
    assert read_well.outcome == OPEN and "changes this score" in read_well.reason
    assert "--seeds 3" in blurred.command


def test_two_seeds_that_agree_by_chance_decide_nothing() -> None:
    """A bootstrap of two numbers of one sign never crosses zero."""
    lab = Lab(2).table1(0.3, by_seed=[-0.2, 0.2]).add("pecl-mse", 0.0, options=pecl_options(term="none"))
    found = verdict(lab.results(), 4).finding
    assert found.outcome == OPEN and found.reason.startswith("2 seeds, and training anew may change 0.4")
    close = Lab(2).table1(0.3, by_seed=[-0.01, 0.01]).add("pecl-mse", 0.0, options=pecl_options(term="none"))
    assert verdict(close.results(), 4).finding.outcome == HOLDS


def test_seeds_that_disagree_leave_a_claim_open() -> None:
    lab = Lab(3).table1(0.3, by_seed=[-0.6, 0.0, 0.6]).add("pecl-mse", 0.0, options=pecl_options(term="none"))
    found = verdict(lab.results(), 4).finding
    assert (found.outcome, found.reason) == (OPEN, "a tie") and "--preset standard" in found.command


def test_what_is_asked_for_next() -> None:
    def remedy(lab: Lab) -> str:
        results = lab.add("pecl").results()
        return commands.remedy(results, results.rows)

    assert remedy(Lab(1)) == "python -m benchmark run --seeds 3 --methods pecl"
    by_hand = "python -m benchmark run --iterations 50000 --preset standard --seeds 3 --methods pecl"
    assert remedy(Lab(3)) == by_hand  # 1,000 iterations is not the preset's own budget
    results = Lab(3).add("pecl").results()
    results.infos[0]["config"]["train"]["batch_size"] = 10**9
    assert commands.remedy(results, results.rows) == "python -m benchmark run --seeds 5 --methods pecl"
    results.infos[0]["config"]["train"]["batch_size"] = None  # not known: no larger one can be named
    assert commands.larger_budget(results) == {}


def test_first_needs_all_of_table_1() -> None:
    lab = Lab().table1(0.5)
    del lab.methods["swinir"]
    found = verdict(lab.results(), 1).finding
    assert (found.outcome, found.reason) == (OPEN, "no comparable result of SwinIR")
    assert "--methods swinir" in found.command
    assert verdict(lab.add("msrn", 1.0).results(), 1).outcome == FAILS  # one that is better is enough


def test_rows_made_under_other_conditions_decide_nothing() -> None:
    odd = Lab().table1(0.5).add("msrn", 1.0, differs=("iterations 500",), title="MSRN").results()
    found = verdict(odd, 1).finding
    assert found.outcome == OPEN and "MSRN" in found.reason
    odd = Lab().table1(0.5, differs=("data ffff",)).results()
    assert "made under other conditions than the rest: PECL‡" in verdict(odd, 1).finding.reason
    cell = {"options": pecl_options(distance="euclidean", dimension=64), "differs": ("iterations 5",)}
    assert (
        "other conditions" in verdict(Lab().ablation(0.2).add("pecl-euclidean-64", **cell).results(), 5).finding.reason
    )


def test_stale_rows_are_marked_in_the_evidence() -> None:
    found = verdict(Lab().table1(0.5, stale=True).results(), 1).finding
    assert "PECL†: median" in found.evidence


def test_the_place_is_by_the_median() -> None:
    found = verdict(Lab().table1(0.5).add("msrn", 1.0, title="MSRN").results(), 1).finding
    assert "number 2 of 8." in found.evidence
    assert re.search(r"Above it: MSRN \+0\.[45]\d dB \[\+0\.\d\d, \+0\.\d\d\]\.", found.evidence)


def test_nearness_to_a_reader_that_reads_nothing_says_nothing() -> None:
    found = verdict(read(0.69, tbsrn=0.0).results(), 3).finding
    assert found.outcome == OPEN and "does not clearly read more plates than bicubic" in found.reason
    assert verdict(read(0.5, tbsrn=0.0).results(), 3).outcome == FAILS  # being far from it does


def test_no_verdict_hangs_on_one_judge() -> None:
    found = verdict(read(0.69, confidence_second=0.5).results(), 3).finding
    assert (found.outcome, found.reason) == (OPEN, "the judges disagree")
    assert "Second judge, PECL minus TBSRN" in found.evidence
    found = verdict(read(0.69, confidence_second=0.65).results(), 3).finding
    assert found.outcome == OPEN and found.reason.startswith("second judge: the interval is not clear of")
    unread = Lab().table1(judged=False).results()
    assert verdict(unread, 3).finding.reason == "no plate was read (no OCR judge)"
    assert "--ocr rapid" in verdict(unread, 3).finding.command


def test_printed_equations_are_tested_on_their_own_ablation() -> None:
    lab = Lab().ablation(by_distance=0.2)
    results = lab.results()
    assert verdict(results, 5).printed.outcome == OPEN  # type: ignore[union-attr]
    assert "pecl-printed-euclidean-64" in verdict(results, 5).printed.command  # type: ignore[union-attr]
    for distance, gain in (("euclidean", 0.0), ("manhattan", -0.3)):
        for d in (64, 128, 256, 512):
            options = pecl_options(term="printed", weights="learned", distance=distance, dimension=d)
            lab.add(f"pecl-printed-{distance}-{d}", gain, options=options)
    found = verdict(lab.results(), 5)
    assert (found.outcome, found.printed.outcome) == (HOLDS, FAILS)  # type: ignore[union-attr]
    lab.table1(0.5).add("pecl-printed", -1.0, options=pecl_options(term="printed", weights="learned"))
    found = verdict(lab.results(), 1)
    assert (found.outcome, found.printed.outcome) == (HOLDS, FAILS)  # type: ignore[union-attr]


def test_a_missing_cell_leaves_the_ablation_open() -> None:
    lab = Lab().ablation(by_distance=0.2, by_doubling=0.1)
    del lab.methods["pecl-manhattan-256"]
    for number in (5, 6, 7):
        found = verdict(lab.results(), number).finding
        assert (found.outcome, found.reason) == (OPEN, "no result of the ablation's Manhattan, d = 256")
        assert "--methods pecl-manhattan-256" in found.command


def test_dimensions_that_rise_for_one_distance_only_are_open() -> None:
    lab = Lab().ablation(by_doubling=0.1)
    for i, d in enumerate((64, 128, 256, 512)):
        lab.add(f"pecl-euclidean-{d}", -0.1 * i, options=pecl_options(distance="euclidean", dimension=d))
    found = verdict(lab.results(), 6).finding
    assert found.outcome == OPEN
    assert re.search(r"Euclidean −0\.\d{3}, Manhattan \+0\.\d{3}", found.evidence)


def test_the_slope_is_the_one_that_was_put_in() -> None:
    found = verdict(Lab().ablation(by_doubling=0.1).results(), 6).finding
    slope = float(re.search(r"doubling of d: \+(\d\.\d+) dB", found.evidence)[1])  # type: ignore[index]
    assert slope == pytest.approx(0.1, abs=0.005) and "Page's test of 8 trainings: p 0.002" in found.evidence


def test_a_contrast_needs_validations_to_settle() -> None:
    found = verdict(Lab().ablation(validations=6).results(), 7).finding
    assert found.outcome == OPEN and found.reason.startswith("fewer than 3 usable validations")
    assert "--preset standard" in found.command
    results = Lab().ablation().results()
    results.history.loc[results.history["iteration"] == 900, "val_psnr"] = math.nan
    assert verdict(results, 7).outcome == OPEN
    nothing = replace(results, history=results.history.iloc[:0])
    assert verdict(nothing, 7).outcome == OPEN


def test_methods_at_the_edge_of_the_budget_have_not_converged() -> None:
    lab = correlated(+1)
    for name in ("srcnn", "espcn", "msrn", "pecl"):
        lab.methods[name]["best"] = BUDGET
    found = verdict(lab.results(), 8).finding
    assert (found.outcome, found.evidence) == (OPEN, "Best at the last iteration: 4 of 7 methods.")
    assert "still improving" in found.reason and "--preset standard" in found.command
    for name in RIVALS[:3]:
        del lab.methods[name]
    found = verdict(lab.results(), 8).finding
    assert found.reason == "only 4 trained methods of Table 1" and "srcnn,msrn,espcn" in found.command


def test_scores_of_an_older_version_are_asked_for_again() -> None:
    results = Lab().ablation().results()
    rows = [replace(row, scores={"psnr": row.scores["psnr"]}) for row in results.rows]
    found = verdict(replace(results, rows=rows), 9).finding
    assert found.outcome == OPEN and "no scores of blur and compression" in found.reason


# -- the artefact ----------------------------------------------------------------------------------


def test_the_table_says_everything() -> None:
    lab = Lab().ablation(by_distance=0.2).table1(0.5)
    drawing = claims.draw(lab.results())
    assert list(drawing.data["verdict"])[:3] == [HOLDS, HOLDS, OPEN] and len(drawing.data) == 9
    assert set(drawing.data["verdict"]) <= {HOLDS, FAILS, OPEN}
    assert "| 1. PECL is first in PSNR. (Table 1) | **holds** | PECL: median" in markdown.body(drawing)
    assert "**What would decide the rest**" in markdown.body(drawing)
    assert "| Claims 1 as printed, 2 as printed" in markdown.body(drawing)
    assert "One seed (seed 0)" in drawing.words and "1/64,000 of the paper's 1,000,000 × 128" in drawing.words
    assert "Tested is the reading pecl of PECL" in drawing.words and "pecl-printed: Eq. 17–19" in drawing.words
    source = latex.document(drawing, "name", "Title")
    assert source.count("{") == source.count("}") and source.count(r"\textbf{holds}") >= 3
    assert re.search(r"[^\x00-\x7f“”ßäöüé]", source.replace("²", "")) is None


def test_every_figure_a_claim_names_is_one_of_the_report() -> None:
    from paper_figures.report import builder

    assert {name for claim in CLAIMS for name in claim.figures} <= {*builder.names(), *builder._ORDER}


def test_at_the_papers_budget_nothing_is_said_of_it() -> None:
    results = Lab(3).table1().results()
    results.infos[0]["config"]["train"]["batch_size"] = 10**6
    assert claims.budget(results) == "" and "One seed" not in claims.draw(results).words


HOSTILE = "<script>a|b_c & $x$ 50% [l](http://e) `q`\n皖"


def test_stored_results_are_drawn_whatever_they_hold(tmp_path: Path) -> None:
    kept = ("bicubic", "srcnn", "espcn", "msrn", "tbsrn", "pecl", "hr")
    methods = [replace(fake, title=HOSTILE) if fake.name == "msrn" else fake for fake in METHODS if fake.name in kept]
    run = make_run(tmp_path, (*methods, *ABLATION[:2]))
    odd = {"tbsrn": [math.nan] * 10, "srcnn": [math.inf] * 10, "espcn": [math.nan] + [19.0] * 9}
    for file in tmp_path.glob("*/seed0/plates.csv"):
        plates = pd.read_csv(file).assign(text=[f"皖A{i:05}" for i in range(10)])
        plates["psnr"] = odd.get(file.parts[-3], plates["psnr"])
        plates.to_csv(file, index=False)
    results = load(run)
    drawings = [module.draw(results) for module in (claims, comparisons, forest)]
    for drawing in drawings:
        assert "<script>" not in markdown.body(drawing) and "http://e" not in markdown.body(drawing)
        assert len(drawing.data)
    assert "pairs without a finite difference are left out: SRCNN and PECL" in drawings[1].words


def test_one_method_alone_has_claims_but_no_comparisons(tmp_path: Path) -> None:
    results = load(make_run(tmp_path, (Fake("espcn", "ESPCN", 78_816, 18.95, 1, 1000),)))
    assert set(claims.draw(results).data["verdict"]) == {OPEN}
    for module in (comparisons, forest):
        with pytest.raises(module.NothingToDraw, match="fewer than two methods"):
            module.draw(results)
