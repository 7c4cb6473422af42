"""The paper's claims, on results in which verdicts are forced each way."""

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
from paper_figures.claim_tests import near
from paper_figures.claim_tests.claim import contradicted
from paper_figures.claims import CLAIMS
from paper_figures.common import commands, evidence, paper, statistics
from paper_figures.common.evidence import EARLY, FAILS, HOLDS, OPEN
from paper_figures.common.loading import load
from paper_figures.common.results import Results
from paper_figures.report import latex, markdown
from paper_figures.report.themes import ORDER


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "RESAMPLES", 400)


def verdict(results: Results, number: int) -> claims.Verdict:
    """One claim's verdict alone."""
    claim = CLAIMS[number - 1]
    printed = claims._find(results, claim, evidence.PRINTED) if claim.of_pecl else None
    return claims.Verdict(claim, claims._find(results, claim, evidence.DESCRIBED), printed)


LEVELS = {"bicubic": -3.0, "srcnn": -2.0, "msrn": -1.8, "esrgan": -2.4, "espcn": 0.0, "swinir": 0.3, "tbsrn": 0.6}
"""As the paper's table orders them in PSNR, dB."""
BEST = {"srcnn": 300, "msrn": 281, "esrgan": 155, "espcn": 880, "swinir": 890, "tbsrn": 900}
CONFIDENCE = {"bicubic": 0.5, "srcnn": 0.45, "msrn": 0.4, "esrgan": 0.6, "espcn": 0.7, "swinir": 0.74, "tbsrn": 0.8}


def as_in_the_table(seeds: int = 3, pecl: float = 1.5, confidence: float = 0.78) -> Lab:
    """All methods as the paper's Table 1 orders them."""
    lab = Lab(seeds)
    for name, level in LEVELS.items():
        lab.add(name, level, confidence=CONFIDENCE[name], best=BEST.get(name, 0), trained=name != "bicubic",
                read=0.2 if name == "bicubic" else 0.8)  # fmt: skip
    return lab.add("pecl", pecl, confidence=confidence, best=910, read=0.8, options=pecl_options())


def correlated(sign: int) -> Lab:
    lab = Lab()
    for i, name in enumerate((*RIVALS, "pecl")):
        lab.add(name, 0.4 * i, best=500 + sign * 60 * i)
    return lab


def mse(pecl: float, seeds: int = 1, **about: Any) -> Lab:
    """PECL, its ablation and MSE alone at 0 dB; all cells ``pecl`` above it."""
    return Lab(seeds).ablation(mse=0.3 - pecl, **about)


def cell(lab: Lab, distance: str, d: int, level: float, **about: Any) -> Lab:
    name = "pecl" if (distance, d) == ("manhattan", 128) else f"pecl-{distance}-{d}"
    return lab.add(name, level, options=pecl_options(distance=distance, dimension=d), **about)


def contrasts(cells: float, **about: Any) -> Lab:
    """Every cell's validation PSNR lies ``cells`` above MSE's 20 dB in the last quarter."""
    return Lab(3).ablation(mse=0.0, late=cells, **about).add("pecl-mse", 0.0, options=pecl_options(term="none"))


# Claims with results in which they hold, in which they do not, and in which nothing can be said.
CASES: list[tuple[int, str, Callable[[], Lab]]] = [
    (1, HOLDS, lambda: Lab().table1(0.5)),
    (1, FAILS, lambda: Lab().table1(0.5).add("msrn", 1.0)),
    (1, OPEN, lambda: Lab().table1(0.5).add("msrn", 0.5)),
    (2, HOLDS, lambda: Lab().table1(-9.0, luma=0.5)),
    (2, FAILS, lambda: Lab().table1(0.5, luma=-0.5)),
    (2, OPEN, lambda: Lab().table1(0.5, luma=0.05)),  # clear of 0, but one seed
    (3, HOLDS, as_in_the_table),
    (3, FAILS, lambda: as_in_the_table(pecl=0.0)),
    (3, OPEN, lambda: as_in_the_table(pecl=0.6)),
    (4, HOLDS, as_in_the_table),
    (4, FAILS, lambda: as_in_the_table(confidence=0.7)),  # not competitive
    (4, FAILS, lambda: as_in_the_table(confidence=0.9)),  # not TBSRN's first place
    (4, OPEN, lambda: as_in_the_table(seeds=1)),
    (5, HOLDS, lambda: as_in_the_table(confidence=0.9)),
    (5, FAILS, as_in_the_table),
    (5, OPEN, lambda: as_in_the_table(confidence=0.8)),
    (6, HOLDS, as_in_the_table),
    (6, FAILS, lambda: as_in_the_table(pecl=0.0)),
    (7, HOLDS, as_in_the_table),
    (7, FAILS, lambda: as_in_the_table(pecl=-0.5)),
    (8, HOLDS, as_in_the_table),
    (8, FAILS, lambda: as_in_the_table().add("esrgan", 2.0, confidence=0.6)),
    (9, HOLDS, lambda: as_in_the_table().add("esrgan", -0.5, confidence=0.6, best=155)),
    (9, FAILS, as_in_the_table),
    (10, HOLDS, lambda: correlated(+1)),
    (10, FAILS, lambda: correlated(-1)),
    (10, OPEN, lambda: Lab().table1()),
    (11, HOLDS, as_in_the_table),
    (11, FAILS, lambda: as_in_the_table(pecl=-5.0)),
    (13, HOLDS, lambda: mse(0.5)),
    (13, FAILS, lambda: mse(-0.5)),
    (13, FAILS, lambda: cell(mse(0.5), "euclidean", 64, -1.0)),  # whichever distance, at whichever d
    (13, OPEN, lambda: mse(0.0)),
    (14, HOLDS, lambda: Lab().table1(0.0).add("pecl-learned", 0.5, options=pecl_options(weights="learned"))),
    (14, FAILS, lambda: Lab().table1(0.0).add("pecl-learned", -0.5, options=pecl_options(weights="learned"))),
    (15, HOLDS, lambda: Lab().ablation(by_distance=0.2)),
    (15, FAILS, lambda: Lab().ablation(by_distance=-0.2)),
    (15, FAILS, lambda: cell(Lab().ablation(by_distance=0.2), "euclidean", 64, 1.0)),  # not at every d
    (15, OPEN, lambda: Lab().ablation(by_distance=0.05)),
    (16, HOLDS, lambda: Lab().ablation(by_distance=0.2)),
    (16, FAILS, lambda: Lab().ablation(by_distance=-0.2)),
    (17, HOLDS, lambda: Lab(3).ablation(by_distance=1.0)),
    (17, FAILS, lambda: Lab(3).ablation(by_distance=0.2)),
    (17, OPEN, lambda: Lab(3).ablation(by_distance=0.5)),
    (18, HOLDS, lambda: Lab(3).ablation(by_doubling=-0.1)),
    (18, FAILS, lambda: Lab(3).ablation(by_doubling=0.1)),
    (18, OPEN, lambda: Lab(3).ablation()),
    (19, HOLDS, lambda: Lab().ablation(by_doubling=0.1)),
    (19, FAILS, lambda: Lab().ablation(by_doubling=-0.1)),
    (19, OPEN, lambda: Lab().ablation(by_doubling=0.0)),
    (20, HOLDS, lambda: mse(0.0, 3, confidence=0.8)),
    (20, FAILS, lambda: mse(0.0, 3, confidence=0.6)),
    (20, OPEN, lambda: mse(0.0, 1, confidence=0.8)),  # one seed says nothing of readings
    (23, HOLDS, lambda: contrasts(2.0)),
    (23, FAILS, lambda: contrasts(-2.0)),
    (23, FAILS, lambda: contrasts(6.0)),  # above zero, but not around 0.1
    (23, FAILS, lambda: contrasts(0.3)),  # 0.015
    (26, HOLDS, lambda: mse(0.3, by_distance=0.3)),
    (26, FAILS, lambda: mse(0.3, by_distance=-0.3)),
    (27, HOLDS, lambda: Lab(3).ablation(blur=-0.1)),
    (27, FAILS, lambda: Lab(3).ablation(blur=0.1)),
    (27, OPEN, lambda: Lab(3).ablation(blur=0.0)),
    (28, HOLDS, lambda: Lab(3).ablation(noise=0.0)),
    (28, FAILS, lambda: Lab(3).ablation(noise=0.2)),
    (28, OPEN, lambda: Lab(3).ablation(noise=0.05)),
    (29, HOLDS, lambda: Lab(3).ablation(compression=-0.1)),
    (29, FAILS, lambda: Lab(3).ablation(compression=0.1)),
    (30, HOLDS, lambda: Lab(3).ablation().add("hr", blur=-0.3, trained=False)),
    (30, FAILS, lambda: Lab(3).ablation().add("hr", blur=0.3, trained=False)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("number", "outcome", "lab"), CASES, ids=[f"{n}-{outcome}-{i}" for i, (n, outcome, _) in enumerate(CASES)]
)
def test_claims_come_out_each_way(number: int, outcome: str, lab: Callable[[], Lab]) -> None:
    found = verdict(lab().results(), number)
    assert found.outcome == outcome, found.finding
    assert re.search(r"\d", found.finding.evidence)
    assert bool(found.finding.reason) == bool(found.finding.command) == (outcome == OPEN)
    if outcome == OPEN:
        assert found.finding.command.startswith("python -m benchmark run ")


def test_the_thirty_claims_are_numbered_and_each_has_a_test_or_says_what_it_needs() -> None:
    assert [claim.number for claim in CLAIMS] == list(range(1, 31))
    assert all((claim.test is None) == bool(claim.needs) for claim in CLAIMS)
    assert [claim.number for claim in CLAIMS if claim.needs] == [12]
    assert all(bool(claim.rule) == (claim.test is not None) for claim in CLAIMS)


def test_the_papers_own_table_contradicts_two_of_its_claims() -> None:
    assert [claim.number for claim in CLAIMS if contradicted(claim)] == [5, 9]
    assert "PECL 0.852 < TBSRN 0.855" in CLAIMS[4].printed
    assert "PSNR: ESRGAN 18.76 < MSRN 19.78" in CLAIMS[8].printed
    assert all(CLAIMS[n - 1].printed == "Table 1 has this order." for n in (1, 2, 3, 4, 6, 7, 8))


def test_below_a_share_of_the_papers_budget_the_observed_order_is_shown_and_nothing_decided() -> None:
    lab = as_in_the_table()
    lab.batch_size = 2
    results = lab.results()
    found = verdict(results, 1).finding
    assert found.outcome == EARLY and found.reason == "2,000 of the 38,400,000 training patches that a verdict needs"
    assert "best first: PECL 21." in found.evidence and "--preset paper" in found.command
    assert not {HOLDS, FAILS} & {v.outcome for v in claims.evaluate(results)}
    drawing = claims.draw(results)
    body = markdown.body(drawing)
    assert "**holds**" not in body and "**does not hold**" not in body
    assert r"\textbf{does not hold}" not in latex.document(drawing, "name", "Title")
    assert "no claim is decided" in drawing.words
    lab.batch_size = math.ceil(claims.SHARE * paper.PATCHES / BUDGET)
    assert verdict(lab.results(), 1).outcome == HOLDS


def test_with_nothing_all_claims_are_open_and_say_what_is_missing() -> None:
    found = claims.evaluate(Lab().add("bicubic", trained=False).results())
    assert [v.outcome for v in found] == [OPEN] * 30
    assert found[0].finding.reason == "no result of PECL" and "--methods pecl" in found[0].finding.command
    assert "no result of the ablation" in found[14].finding.reason
    assert "pecl-mse,pecl,pecl-euclidean-64" in found[14].finding.command
    assert found[9].finding.reason == "only 0 trained methods of Table 1 besides SRCNN" and found[9].printed is None
    assert all((v.printed is None) == (not v.claim.of_pecl) for v in found)
    assert all(v.finding.reason for v in found)


# -- the contrast along training -------------------------------------------------------------------


def moving(lab: Lab, early: dict[str, list[float]]) -> Results:
    """The ablation's results with these validation PSNRs, by distance, in the first quarter: dB above MSE's 20."""
    results = lab.results()
    history = results.history.copy()
    for distance, levels in early.items():
        for d in (64, 128, 256, 512):
            name = "pecl" if (distance, d) == ("manhattan", 128) else f"pecl-{distance}-{d}"
            mine = (history["method"] == name) & (history["iteration"] <= 0.25 * BUDGET)
            history.loc[mine, "val_psnr"] = [17.0 + level for level in levels] * int(mine.sum() / len(levels))
    return replace(results, history=history)


WIDE, NARROW = [-6.0, -2.0, 0.0, 1.0, 2.0], [-1.0, -0.5, 0.0, 0.5, 1.0]


def test_euclidean_starts_further_behind_and_is_spread_wider() -> None:
    lab = contrasts(2.0)
    claimed = moving(lab, {"euclidean": WIDE, "manhattan": NARROW})
    assert [verdict(claimed, n).outcome for n in (22, 24)] == [HOLDS, HOLDS]
    reverse = moving(lab, {"euclidean": NARROW, "manhattan": WIDE})
    assert [verdict(reverse, n).outcome for n in (22, 24)] == [FAILS, FAILS]
    lab.seeds = 1
    assert verdict(moving(lab, {"euclidean": WIDE, "manhattan": NARROW}), 22).finding.reason == "one seed"


def test_curves_get_smoother_with_the_dimension() -> None:
    def rough(by: Callable[[str, int], float]) -> Results:
        results = contrasts(2.0).results()
        history = results.history.copy()
        for distance in ("euclidean", "manhattan"):
            for i, d in enumerate((64, 128, 256, 512)):
                name = "pecl" if (distance, d) == ("manhattan", 128) else f"pecl-{distance}-{d}"
                mine = history["method"] == name
                odd = history.loc[mine, "iteration"] // (BUDGET // 20) % 2
                history.loc[mine, "val_psnr"] += by(distance, i) * odd
        return replace(results, history=history)

    assert verdict(rough(lambda name, i: 1.0 - (0.3 if name == "manhattan" else 0.1) * i), 25).outcome == HOLDS
    assert verdict(rough(lambda name, i: 0.2 + 0.2 * i), 25).outcome == FAILS
    assert verdict(rough(lambda name, i: 0.5), 25).outcome == OPEN


def test_a_contrast_needs_validations_to_settle() -> None:
    found = verdict(Lab().ablation(validations=6).results(), 23).finding
    assert found.outcome == OPEN and found.reason.startswith("fewer than 3 usable validations")
    results = Lab().ablation().results()
    results.history.loc[results.history["iteration"] == 900, "val_psnr"] = math.nan
    assert verdict(results, 23).outcome == OPEN
    nothing = replace(results, history=results.history.iloc[:0])
    assert verdict(nothing, 23).outcome == OPEN


def test_methods_at_the_edge_of_the_budget_have_not_converged() -> None:
    lab = correlated(+1)
    for name in ("espcn", "msrn", "esrgan", "pecl"):
        lab.methods[name]["best"] = BUDGET
    found = verdict(lab.results(), 10).finding
    assert (found.outcome, found.evidence) == (OPEN, "Best at the last iteration: 4 of 6 methods.")
    assert "still improving" in found.reason
    for name in ("msrn", "espcn", "esrgan"):
        del lab.methods[name]
    found = verdict(lab.results(), 10).finding
    assert found.reason == "only 3 trained methods of Table 1 besides SRCNN"
    assert {"msrn", "espcn", "esrgan"} <= set(re.search(r"--methods (\S+)", found.command)[1].split(","))  # type: ignore[index]


def test_srcnn_is_excepted_from_the_relation_of_figure_6() -> None:
    lab = correlated(+1)
    lab.add("srcnn", -9.0, best=999)  # long, and lowest
    assert verdict(lab.results(), 10).outcome == HOLDS


def test_claims_on_convergence_pair_iterations_and_psnr_of_the_same_weights() -> None:
    whole = correlated(+1).results()
    end = next(row for row in whole.rows if row.name == "esrgan")
    selected = replace(end, name="esrgan-selected", title="ESRGAN (pixel phase)", of="esrgan")
    end = replace(end, best_iterations=(), scores={**end.scores, "psnr": replace(end.scores["psnr"], median=9.0)})
    rows = [each for row in whole.rows for each in ([selected, end] if row.name == "esrgan" else [row])]
    results = replace(whole, rows=rows)
    found = verdict(results, 10).finding
    assert found.outcome == HOLDS and found.evidence == verdict(whole, 10).finding.evidence
    assert "ESRGAN (pixel phase)" in verdict(results, 11).finding.evidence


# -- what uncertainty does to a verdict ------------------------------------------------------------


def test_with_one_seed_a_difference_must_exceed_what_training_anew_may_change() -> None:
    def of(**about: Any) -> evidence.Finding:
        lab = Lab(about.pop("seeds", 1)).table1(0.3).add("pecl", 0.0, options=pecl_options())
        return verdict(
            lab.add("pecl-learned", 0.3, **about, options=pecl_options(weights="learned")).results(), 14
        ).finding

    assert of().outcome == HOLDS
    moving = of(moved=0.6)
    assert (moving.outcome, moving.reason) == (OPEN, "one seed, and training anew may change 0.60 dB")
    assert "--seeds 3 --methods pecl-learned,pecl" in moving.command
    assert of(moved=0.6, seeds=3).outcome == HOLDS


def test_one_seed_decides_nothing_but_psnr() -> None:
    blurred = verdict(Lab().ablation(blur=-0.1).results(), 27).finding
    assert blurred.outcome == OPEN
    assert blurred.reason == "one seed, which does not say how much training anew changes this score"
    assert "--seeds 3" in blurred.command


def test_two_seeds_that_agree_by_chance_decide_nothing() -> None:
    """A bootstrap of two numbers of one sign never crosses zero."""

    def of(by_seed: list[float]) -> evidence.Finding:
        lab = Lab(2).table1(0.0).add("pecl-learned", 0.3, by_seed=by_seed, options=pecl_options(weights="learned"))
        return verdict(lab.results(), 14).finding

    found = of([-0.2, 0.2])
    assert found.outcome == OPEN and found.reason.startswith("2 seeds, and training anew may change 0.38 dB")
    assert of([-0.01, 0.01]).outcome == HOLDS


def test_seeds_that_disagree_leave_a_claim_open() -> None:
    lab = Lab(3).table1(0.0)
    lab.add("pecl-learned", 0.3, by_seed=[-0.6, 0.0, 0.6], options=pecl_options(weights="learned"))
    found = verdict(lab.results(), 14).finding
    assert (found.outcome, found.reason) == (OPEN, "a tie") and "--preset paper" in found.command


def test_what_is_asked_for_next() -> None:
    def suggested(lab: Lab) -> str:
        results = lab.add("pecl").results()
        return commands.suggest_command(results, results.rows)

    start = "python -m benchmark run"
    assert suggested(Lab(1, batch_size=2)) == f"{start} --seeds 3 --methods pecl --iterations 1000 --batch-size 2"
    larger = f"{start} --iterations 50000 --preset standard --seeds 3 --methods pecl --batch-size 3"
    assert suggested(Lab(3, batch_size=3)) == larger  # the command says 1,000 iterations, which would win over a preset
    most = suggested(Lab(3, batch_size=10**9))
    assert most == f"{start} --seeds 5 --methods pecl --iterations 1000 --batch-size {10**9}"
    not_known = Lab(3, batch_size=0).add("pecl").results()  # no larger one can be named
    assert commands.larger_budget(not_known) == {}


def test_first_needs_all_of_table_1() -> None:
    lab = Lab().table1(0.5)
    del lab.methods["swinir"]
    found = verdict(lab.results(), 1).finding
    assert (found.outcome, found.reason) == (OPEN, "no comparable result of swinir")
    assert "--methods swinir" in found.command
    assert verdict(lab.add("msrn", 1.0).results(), 1).outcome == FAILS  # one that is better is enough


def test_rows_made_under_other_conditions_decide_nothing() -> None:
    odd = Lab().table1(0.5).add("msrn", 1.0, differs=("iterations 500",), title="MSRN").results()
    found = verdict(odd, 1).finding
    assert found.outcome == OPEN and "msrn" in found.reason
    odd = Lab().table1(0.5, differs=("data ffff",)).results()
    assert "made under other conditions than the rest: PECL‡" in verdict(odd, 1).finding.reason
    lab = cell(Lab().ablation(0.2), "euclidean", 64, 0.3, differs=("iterations 5",))
    assert "other conditions" in verdict(lab.results(), 15).finding.reason


def test_stale_rows_are_marked_in_the_evidence() -> None:
    found = verdict(Lab().table1(0.5, stale=True).results(), 1).finding
    assert "PECL† 20." in found.evidence


def test_the_observed_order_is_by_the_median() -> None:
    found = verdict(Lab().table1(0.5).add("msrn", 1.0, title="MSRN").results(), 1).finding
    assert re.match(r"PSNR \(median\), best first: MSRN \d\d\.\d\d, PECL \d\d\.\d\d, ", found.evidence)
    assert re.search(r"The other way round, 1 of 7: PECL − MSRN −0\.[45]\d dB \[−0\.\d\d, −0\.\d\d\]\.", found.evidence)


def test_orders_of_the_second_ocr_engine_are_counted_on_their_own() -> None:
    found = verdict(as_in_the_table(confidence=0.95).results(), 5).finding
    assert "As stated, 21 of 21: " in found.evidence and "As stated, 7 of 7: " in found.evidence


# -- reading ---------------------------------------------------------------------------------------


def competitive(confidence: float, tbsrn: float = 0.6, **more: Any) -> evidence.Finding:
    lab = Lab(3).table1(confidence=confidence, **more).add("tbsrn", read=tbsrn, confidence=0.7)
    return near.competitive(lab.results(), evidence.DESCRIBED)


def test_nearness_is_not_being_worse_by_a_margin() -> None:
    assert competitive(0.69).outcome == HOLDS and competitive(0.5).outcome == FAILS
    assert competitive(0.65).outcome == OPEN and "not clear of the margin" in competitive(0.65).reason


def test_nearness_to_a_reader_that_reads_nothing_says_nothing() -> None:
    found = competitive(0.69, tbsrn=0.0)
    assert found.outcome == OPEN and "does not clearly read more plates than bicubic" in found.reason
    assert competitive(0.5, tbsrn=0.0).outcome == FAILS  # being far from it does


def test_no_verdict_hangs_on_one_ocr_engine() -> None:
    found = competitive(0.69, confidence_second=0.5)
    assert (found.outcome, found.reason) == (OPEN, "the OCR engines disagree") and found.command
    assert "Second OCR engine, PECL minus TBSRN" in found.evidence
    found = competitive(0.69, confidence_second=0.65)
    assert found.outcome == OPEN and found.reason.startswith("second OCR engine: the interval is not clear of")
    lab = mse(0.0, 3, confidence=0.8, confidence_second=0.6)
    found = verdict(lab.results(), 20).finding
    assert (found.outcome, found.reason) == (OPEN, "the OCR engines disagree")


def test_without_readings_the_claims_on_reading_ask_for_an_ocr_engine() -> None:
    some = Lab().table1(judged=False).results()  # PECL alone was not read
    assert verdict(some, 5).finding.reason == "not all of these methods were read"
    for number, lab in ((4, Lab().table1()), (5, Lab().table1()), (6, Lab().table1()), (21, Lab().ablation())):
        for about in lab.methods.values():
            about["judged"] = False
        results = lab.results()
        records = [record.model_copy(update={"judge": None}) for record in results.records]
        found = verdict(replace(results, records=records), number).finding
        assert found.reason == "no plate was read (no OCR engine)" and "--ocr rapid" in found.command
        found = verdict(results, number).finding  # an engine ran
        assert found.reason.endswith("of an alphabet that rapid does not have") and not found.command


# -- the ablation ----------------------------------------------------------------------------------


def test_printed_equations_are_tested_on_their_own_ablation() -> None:
    lab = Lab().ablation(by_distance=0.2)
    results = lab.results()
    assert verdict(results, 15).printed.outcome == OPEN  # type: ignore[union-attr]
    assert "pecl-printed-euclidean-64" in verdict(results, 15).printed.command  # type: ignore[union-attr]
    for distance, gain in (("euclidean", 0.0), ("manhattan", -0.3)):
        for d in (64, 128, 256, 512):
            options = pecl_options(term="printed", weights="learned", distance=distance, dimension=d)
            lab.add(f"pecl-printed-{distance}-{d}", gain, options=options)
    found = verdict(lab.results(), 15)
    assert (found.outcome, found.printed.outcome) == (HOLDS, FAILS)  # type: ignore[union-attr]
    lab.table1(0.5).add("pecl-printed", -1.0, options=pecl_options(term="printed", weights="learned"))
    found = verdict(lab.results(), 1)
    assert (found.outcome, found.printed.outcome) == (HOLDS, FAILS)  # type: ignore[union-attr]


def test_a_missing_cell_leaves_the_ablation_open() -> None:
    lab = Lab().ablation(by_distance=0.2, by_doubling=0.1)
    del lab.methods["pecl-manhattan-256"]
    for number in (13, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26):
        found = verdict(lab.results(), number).finding
        assert (found.outcome, found.reason) == (OPEN, "no result of the ablation's Manhattan, d = 256"), number
        assert "--methods pecl-manhattan-256" in found.command


def test_dimensions_that_rise_for_one_distance_only_are_open() -> None:
    lab = Lab().ablation(by_doubling=0.1)
    for i, d in enumerate((64, 128, 256, 512)):
        cell(lab, "euclidean", d, -0.1 * i)
    found = verdict(lab.results(), 19).finding
    assert found.outcome == OPEN
    assert re.search(r"Euclidean −0\.\d{3}, Manhattan \+0\.\d{3}", found.evidence)


def test_what_rises_but_is_not_best_at_512_is_open() -> None:
    lab = Lab(3).ablation(by_doubling=0.2)
    for distance in ("euclidean", "manhattan"):
        cell(lab, distance, 512, 0.65)
    found = verdict(lab.results(), 19).finding
    assert found.outcome == OPEN and "highest mean at d = 256" in found.evidence


def test_the_slope_is_the_one_that_was_put_in() -> None:
    found = verdict(Lab().ablation(by_doubling=0.1).results(), 19).finding
    slope = float(re.search(r"doubling of d: \+(\d\.\d+) dB", found.evidence)[1])  # type: ignore[index]
    assert slope == pytest.approx(0.1, abs=0.005) and "Page's test of 8 trainings: p 0.002" in found.evidence


def test_reading_rises_with_the_dimension() -> None:
    def of(sign: float) -> str:
        lab = Lab(3).ablation()
        for distance in ("euclidean", "manhattan"):
            for i, d in enumerate((64, 128, 256, 512)):
                cell(lab, distance, d, 0.3, confidence=0.6 + sign * 0.05 * i)
        return verdict(lab.results(), 21).outcome

    assert [of(1.0), of(-1.0), of(0.0)] == [HOLDS, FAILS, OPEN]


def test_scores_of_an_older_version_are_asked_for_again() -> None:
    results = Lab().ablation().results()
    rows = [replace(row, scores={"psnr": row.scores["psnr"]}) for row in results.rows]
    older = replace(results, rows=rows)
    for number, score in ((27, "Blur"), (28, "noise"), (29, "Compression")):
        found = verdict(older, number).finding
        assert found.outcome == OPEN and f"no scores of {score}" in found.reason and found.command


# -- the artefact ----------------------------------------------------------------------------------


def test_the_table_says_everything() -> None:
    lab = Lab().ablation(by_distance=0.2).table1(0.5)
    drawing = claims.draw(lab.results())
    assert list(drawing.data["verdict"])[:3] == [HOLDS, HOLDS, OPEN] and len(drawing.data) == 30
    assert set(drawing.data["verdict"]) <= {HOLDS, FAILS, OPEN}
    body = markdown.body(drawing)
    assert "| 1. PECL is first in PSNR. (Table 1) | Table 1 has this order. | **holds** | PSNR (median)" in body
    assert "| **Contradicted by Table 1: OCR confidence: PECL 0.852 &lt; TBSRN 0.855.** |" in body
    assert "**What would decide the rest**" in body and "| Claims 1 as printed, 2 as printed" in body
    assert "Claim 12: A judgement of pictures by people" in body
    assert "One seed (seed 0)" in drawing.words
    assert "A verdict needs 30 % of the paper's 1,000,000 × 128" in drawing.words
    assert "Tested is the reading pecl of PECL" in drawing.words and "pecl-printed: Eq. 17–19" in drawing.words
    source = latex.document(drawing, "name", "Title")
    assert source.count("{") == source.count("}") and source.count(r"\textbf{holds}") >= 3
    assert re.search(r"[^\x00-\x7f“”ßäöüé]", source.replace("²", "")) is None


def test_every_figure_a_claim_names_is_one_of_the_report() -> None:
    from paper_figures.report import builder

    assert {name for claim in CLAIMS for name in claim.figures} <= {*builder.names(), *ORDER}


def test_from_the_papers_budget_on_nothing_is_said_of_how_far_it_is() -> None:
    results = Lab(3, batch_size=10**6).table1().results()
    assert "Here each method saw" not in claims.budget(results) and "One seed" not in claims.draw(results).words


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
