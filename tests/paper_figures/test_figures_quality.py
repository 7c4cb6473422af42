"""Distortions, calibration and cost: what their numbers are, and what they say of results that lack something."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fake_results import ABLATION, METHODS, PATTERN, PLATES, Fake, make_run
from PIL import Image
from scipy.stats import binomtest

from benchmark.results.store import Run
from benchmark.scoring import no_reference
from paper_figures import calibration, calibration_table, cost, distortion_maps, distortion_scores
from paper_figures.common import confidence, style
from paper_figures.common.drawing import NothingToDraw
from paper_figures.common.loading import load
from paper_figures.common.results import Results
from paper_figures.distortion_maps import ESTIMATORS
from paper_figures.report import latex, markdown

COMPARED = ("pecl-mse", "pecl", "pecl-euclidean-128")
FEW = tuple(fake for fake in METHODS if fake.name in ("hr", "bicubic", "srcnn", "espcn", "msrn", "pecl"))
PAIR = tuple(fake for fake in ABLATION if fake.name in COMPARED)


def edit(run: Run, name: str, **columns: Any) -> None:
    """Replace columns of a method's plates.csv (None removes one)."""
    for file in run.folder.glob(f"{name}/seed*/plates.csv"):
        table = pd.read_csv(file, keep_default_na=False)
        for column, values in columns.items():
            table = table.drop(columns=column) if values is None else table.assign(**{column: values})
        table.to_csv(file, index=False)


def describe(run: Run, name: str, **changes: Any) -> None:
    """Change fields of a method's result.json."""
    for file in run.folder.glob(f"{name}/seed*/result.json"):
        file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def texts(run: Run) -> Run:
    """Every plate with a text of its own."""
    edit(run, "*", text=[f"皖A1234{i}" for i in range(PLATES)])
    return run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return texts(make_run(tmp_path / "run", FEW + PAIR))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """The same with samples, for tests that change nothing."""
    run = texts(make_run(tmp_path_factory.mktemp("whole") / "run", FEW + PAIR))
    add_samples(run)
    return load(run)


def words(figure: Any) -> str:
    found = [t.get_text() for t in figure.texts]
    for axes in figure.axes:
        labels = [*axes.get_xticklabels(), *axes.get_yticklabels(), *axes.texts]
        found += [axes.get_title(loc="left"), axes.get_xlabel(), axes.get_ylabel(), *(t.get_text() for t in labels)]
    for legend in figure.legends:
        found += [t.get_text() for t in legend.get_texts()]
    return "\n".join(found)


# -- maps -------------------------------------------------------------------------------------------


def picture(seed: int, height: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, 168, 3), dtype=np.uint8)


def add_samples(run: Run, names: tuple[str, ...] = COMPARED, indices: tuple[int, ...] = (0, 6, 7)) -> None:
    for column, name in enumerate(names):
        folder = run.folder / name / "seed0" / "samples"
        folder.mkdir()
        for index in indices:
            height = 64 if index < 6 else 104
            hr, sr = picture(index, height), picture(100 + 10 * column + index, height)
            lr = hr[::8, ::8].repeat(8, 0).repeat(8, 1)
            Image.fromarray(np.concatenate([lr, sr, hr], axis=1)).save(folder / f"{index:04}.png")


def test_maps_are_those_of_the_sample_pictures(results: Results) -> None:
    drawing = distortion_maps.draw(results)
    data = drawing.data.set_index(["plate", "column", "estimator"])["value"]
    assert set(drawing.data["plate"]) == {6, 7}  # the two largest
    assert list(drawing.data["column"].unique()) == ["HR", "MSE", "PECL (Manhattan)", "PECL (Euclidean)"]
    assert data[6, "HR", "noise"] == no_reference.noise(picture(6, 104))
    assert data[6, "MSE", "blur"] == no_reference.blur(picture(106, 104))
    assert data[7, "PECL (Manhattan)", "compression"] == no_reference.compression(picture(117, 104))
    assert data[7, "PECL (Euclidean)", "noise"] == no_reference.noise(picture(127, 104))
    assert f"{data[6, 'MSE', 'blur']:.3f}" in words(drawing.figure)


def test_one_colour_scale_for_all_maps_of_an_estimator(results: Results) -> None:
    figure = distortion_maps.draw(results).figure
    assert figure is not None
    images = [image for axes in figure.axes for image in axes.get_images() if image.get_array().ndim == 2]
    ranges = [(image.norm.vmin, image.norm.vmax) for image in images]
    assert len(images) == 2 * 4 * 3
    assert len(set(ranges)) == 3 and all(ranges.count(one) == 8 for one in ranges)


def test_a_broken_picture_costs_only_its_plate(run: Run) -> None:
    add_samples(run)
    (run.folder / "pecl/seed0/samples/0006.png").write_bytes(b"no picture")
    drawing = distortion_maps.draw(load(run))
    assert set(drawing.data["plate"]) == {0, 7}
    assert "Left out: pecl/seed0/samples/0006.png is not a readable PNG." in drawing.words


def test_pictures_of_different_plates_are_not_compared(run: Run) -> None:
    add_samples(run, indices=(7,))
    folder = run.folder / "pecl/seed0/samples"
    hr = picture(99, 104)
    lr = hr[::8, ::8].repeat(8, 0).repeat(8, 1)
    Image.fromarray(np.concatenate([lr, hr, hr], axis=1)).save(folder / "0007.png")
    with pytest.raises(NothingToDraw, match="plate 7 do not show the same HR plate"):
        distortion_maps.draw(load(run))


def test_without_euclidean_there_are_three_columns(tmp_path: Path) -> None:
    run = texts(make_run(tmp_path / "run", (*FEW, PAIR[0])))
    add_samples(run, COMPARED[:2])
    assert list(distortion_maps.draw(load(run)).data["column"].unique()) == ["HR", "MSE", "PECL (Manhattan)"]


@pytest.mark.parametrize("module", [distortion_maps, distortion_scores], ids=lambda m: m.NAME)
def test_without_mse_or_pecl_nothing_is_compared(tmp_path: Path, module: Any) -> None:
    with pytest.raises(NothingToDraw, match="ablation"):
        module.draw(load(make_run(tmp_path / "one", FEW)))
    with pytest.raises(NothingToDraw, match="MSE alone"):
        module.draw(load(make_run(tmp_path / "two", METHODS[-2:] + ABLATION[1:])))


def test_without_samples_there_are_no_maps(run: Run) -> None:
    with pytest.raises(NothingToDraw, match="no sample picture"):
        distortion_maps.draw(load(run))


# -- scores of all plates -----------------------------------------------------------------------------


def test_scores_are_medians_and_paired_differences(results: Results) -> None:
    # MSE's blur is 0.5 + PATTERN / 100, PECL's 0.4 + PATTERN / 100: plate by plate exactly 0.1 less.
    drawing = distortion_scores.draw(results)
    data = drawing.data.set_index(["estimator", "method", "minus"])
    assert data.loc[("blur", "pecl-mse", ""), "median"] == pytest.approx(0.5)
    assert data.loc[("blur", "hr", ""), "p75"] == pytest.approx(0.5 + np.percentile(PATTERN, 75) / 100, abs=1e-6)
    line = data.loc[("blur", "pecl", "MSE")]
    assert (line["median"], line["low"], line["high"]) == pytest.approx((-0.1, -0.1, -0.1))
    assert line["plates"] == line["plate_texts"] == PLATES
    assert "blur, Manhattan: −0.100 [−0.100, −0.100] (less)" in drawing.words
    assert "blur, Euclidean: −0.080 [−0.080, −0.080] (less)" in drawing.words
    assert "noise, Manhattan: 0.00 [0.00, 0.00] (no difference shown)" in drawing.words
    assert "HR" in words(drawing.figure)


def test_one_plate_text_decides_nothing(tmp_path: Path) -> None:
    drawing = distortion_scores.draw(load(make_run(tmp_path / "run", FEW + PAIR)))
    assert "blur, Manhattan: −0.100 (not decidable)" in drawing.words
    assert drawing.data["low"].isna().all()


def test_seeds_are_the_outer_level(tmp_path: Path) -> None:
    drawing = distortion_scores.draw(load(texts(make_run(tmp_path / "run", FEW[-1:] + PAIR[:1], seeds=2))))
    assert "resamples of 2 seeds (outer level) and 10 plate texts" in drawing.words


def test_results_without_an_estimator_show_the_others(run: Run) -> None:
    edit(run, "*", noise=None)
    assert set(distortion_scores.draw(load(run)).data["estimator"]) == {"blur", "compression"}
    edit(run, "pecl", blur=["nan"] * PLATES)
    assert set(distortion_scores.draw(load(run)).data["estimator"]) == {"compression"}
    edit(run, "pecl-mse", compression=None)
    with pytest.raises(NothingToDraw, match="no columns noise, blur and compression"):
        distortion_scores.draw(load(run))


def test_a_plate_without_a_number_is_left_out_and_counted(run: Run) -> None:
    edit(run, "pecl", blur=["nan", "inf", *(0.4 + PATTERN[2:] / 100)])
    data = distortion_scores.draw(load(run)).data.set_index(["estimator", "method", "minus"])
    assert data.loc[("blur", "pecl", ""), "left_out"] == 2
    assert data.loc[("blur", "pecl", "MSE"), "plates"] == PLATES - 2
    assert data.loc[("blur", "pecl", "MSE"), "median"] == pytest.approx(-0.1)


# -- calibration --------------------------------------------------------------------------------------


def test_calibration_error_by_hand() -> None:
    # Two plates at 0.95 (one right), three at 0.35 (one right), one at 0.05 (wrong).
    trust, right = [0.95, 0.95, 0.35, 0.35, 0.35, 0.05], [1, 0, 1, 0, 0, 0]
    by_hand = (2 * abs(0.5 - 0.95) + 3 * abs(1 / 3 - 0.35) + 1 * abs(0 - 0.05)) / 6
    assert confidence.ece(trust, right) == pytest.approx(by_hand)
    # In one bin only the means count: accuracy 2/6, confidence 3/6.
    assert confidence.ece(trust, right, bins=1) == pytest.approx(abs(2 / 6 - 3 / 6))
    assert confidence.ece([1.0, 1.0, 0.0], [1, 1, 0]) == 0.0
    assert confidence.ece([1.0, 1.0], [0, 0]) == 1.0


def test_bins_hold_their_upper_end() -> None:
    table = confidence.reliability([0.0, 0.1, 0.1000001, 0.9, 1.0], [0, 1, 1, 0, 1])
    assert table["plates"].tolist() == [2, 1, 0, 0, 0, 0, 0, 0, 1, 1]
    assert table["accuracy"].iloc[0] == 0.5 and table["confidence"].iloc[0] == pytest.approx(0.05)
    assert table[["confidence", "accuracy"]].iloc[3].isna().all()
    assert (table["low"].iloc[9], table["high"].iloc[9]) == (0.9, 1.0)


def test_confident_mistakes_are_a_share_of_all_plates() -> None:
    trust, right = [0.9, 0.95, 0.899, 1.0, 0.2], [0, 1, 0, 0, 0]
    assert confidence.confidently_wrong(trust, right) == pytest.approx(2 / 5)
    assert confidence.confidently_wrong(trust, right, threshold=0.5) == pytest.approx(3 / 5)


def test_plates_without_a_number_are_left_out() -> None:
    trust, right = [0.95, math.nan, 0.95, math.inf, 0.95], [1, 1, math.nan, 0, 0]
    assert confidence.ece(trust, right) == pytest.approx(0.45)
    assert confidence.confidently_wrong(trust, right) == 0.5
    assert math.isnan(confidence.ece([], [])) and math.isnan(confidence.confidently_wrong([math.nan], [1]))


@pytest.mark.parametrize(("right", "n"), [(0, 10), (3, 10), (10, 10), (7, 1000), (1, 1)])
def test_wilson_equals_scipy(right: int, n: int) -> None:
    theirs = binomtest(right, n).proportion_ci(method="wilson")
    assert confidence.wilson(right / n, n) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_wilson_without_cases_is_unknown() -> None:
    assert all(math.isnan(end) for end in (*confidence.wilson(0.5, 0), *confidence.wilson(math.nan, 3)))


def test_reliability_of_results_is_that_of_their_plates(results: Results) -> None:
    # PECL: five plates right at 0.9, five wrong at 0.1, by both OCR engines.
    drawing = calibration.draw(results)
    mine = drawing.data[(drawing.data["method"] == "pecl") & (drawing.data["plates"] > 0)]
    assert set(mine["judge"]) == {1, 2} and set(mine["judge_name"]) == {"rapid", "crnn"}
    first = mine[mine["judge"] == 1].set_index("high")
    assert first.loc[[0.1, 0.9], "accuracy"].tolist() == [0.0, 1.0]
    assert first["plates"].tolist() == first["plate_texts"].tolist() == [5, 5]
    assert first["ece"].iloc[0] == pytest.approx(0.1)
    low, high = binomtest(5, 5).proportion_ci(method="wilson")
    assert first.loc[0.9, ["accuracy_low", "accuracy_high"]].tolist() == pytest.approx([low, high])
    assert {"first OCR engine: rapid", "second OCR engine: crnn", "ECE 0.100"} <= set(words(drawing.figure).split("\n"))
    assert "pecl-mse" not in set(drawing.data["method"])  # the ablation has figures of its own


def test_plates_of_one_text_are_one_case(tmp_path: Path) -> None:
    drawing = calibration.draw(load(make_run(tmp_path / "run", FEW[-1:], seeds=2)))
    mine = drawing.data[(drawing.data["method"] == "pecl") & (drawing.data["high"] == 0.9)].iloc[0]
    assert (mine["plates"], mine["plate_texts"]) == (10, 1)
    assert mine["accuracy_low"] == pytest.approx(binomtest(1, 1).proportion_ci(method="wilson").low)


def test_the_table_counts_confident_mistakes(run: Run) -> None:
    edit(run, "msrn", confidence=[0.95] * PLATES)  # 4 of 10 right
    drawing = calibration_table.draw(load(run))
    line = drawing.data[(drawing.data["method"] == "msrn") & (drawing.data["judge"] == 1)].iloc[0]
    assert (line["accuracy"], line["confidently_wrong"]) == pytest.approx((0.4, 0.6))
    assert line["ece"] == pytest.approx(0.55)
    low, high = binomtest(6, 10).proportion_ci(method="wilson")
    assert f"60.0 \\[{100 * low:.1f}, {100 * high:.1f}\\]" in markdown.body(drawing)
    assert markdown.body(drawing).count("| MSRN |") == 2  # a table for each OCR engine
    assert latex.document(drawing, "name", "Title").count(r"\begin{tabular}") == 2
    hr = next(line for line in markdown.body(drawing).split("\n") if line.startswith("| HR"))
    assert "**" not in hr  # no competitor


def test_one_ocr_engine_is_enough_and_none_is_said(tmp_path: Path) -> None:
    one = make_run(tmp_path / "one", FEW)
    for column in ("confidence_second", "plate_correct_second"):
        edit(one, "*", **{column: None})
    drawing = calibration.draw(load(one))
    assert set(drawing.data["judge"]) == {1} and "One OCR engine only" in drawing.words
    assert not drawing.figure.legends  # type: ignore[union-attr]
    assert len(calibration_table.draw(load(one)).tables) == 1
    none = load(make_run(tmp_path / "none", FEW, ocr=False))
    for module in (calibration, calibration_table):
        with pytest.raises(NothingToDraw, match="no OCR engine"):
            module.draw(none)


def test_a_method_without_readings_is_left_out(run: Run) -> None:
    nothing = [""] * PLATES
    edit(run, "espcn", confidence=nothing, plate_correct=nothing, confidence_second=nothing)
    assert "espcn" not in set(calibration.draw(load(run)).data["method"])
    assert "espcn" not in set(calibration_table.draw(load(run)).data["method"])


# -- cost ---------------------------------------------------------------------------------------------


def test_the_pareto_front_by_hand() -> None:
    costs, scores = [1.0, 2.0, 2.0, 3.0, 4.0, math.nan, 0.5], [10.0, 12.0, 11.0, 12.0, 15.0, 99.0, math.nan]
    assert cost.pareto(costs, scores) == [True, True, False, False, True, False, False]
    assert cost.pareto([1.0, 1.0], [5.0, 5.0]) == [True, True]  # equals do not beat each other
    assert cost.pareto([], []) == []


def test_costs_and_scores_are_those_of_the_rows(results: Results) -> None:
    drawing = cost.draw(results)
    data = drawing.data.set_index(["cost", "metric", "method"])
    assert data.loc[("parameters", "psnr", "srcnn"), ["value", "score"]].tolist() == pytest.approx([57_281, 18.61])
    assert data.loc[("macs", "plate_correct", "msrn"), ["value", "score"]].tolist() == pytest.approx([6.225731e9, 40.0])
    assert data.loc[("milliseconds", "psnr", "bicubic"), "value"] == 2.5
    front = data[data["front"]].sort_index().loc[("parameters", "psnr")].sort_values("value")
    assert list(front.index) == ["bicubic", "srcnn", "espcn", "pecl", "msrn"]
    assert "hr" not in set(drawing.data["method"])
    assert "Left of the dotted line, where the log axis ends: what costs 0 (Bicubic)." in drawing.words
    assert len(drawing.figure.axes) == 6  # type: ignore[union-attr]


def test_old_results_are_drawn_by_their_parameters_alone(run: Run) -> None:
    describe(run, "*", cost={})
    drawing = cost.draw(load(run))
    assert len(drawing.figure.axes) == 2  # type: ignore[union-attr]
    assert "Without measured multiply-adds and milliseconds" in drawing.words
    assert drawing.data.loc[drawing.data["cost"] != "parameters", "value"].isna().all()


def test_baselines_that_cost_nothing_are_told_apart(tmp_path: Path) -> None:
    free = [Fake("bilinear", "Bilinear", 0, 17.5), Fake("lanczos", "Lanczos-3", 0, 18.02)]
    results = load(make_run(tmp_path / "run", (*METHODS, *free)))
    looks = style.row_looks(results.main_rows)
    assert len({looks[name].marker for name in ("bicubic", "bilinear", "lanczos")}) == 3
    assert looks["hr"] == looks["bicubic"]  # the bound stands beside them in no figure but that of abstention
    figure = cost.draw(results).figure
    assert figure is not None
    axes = figure.axes[0]
    drawn = {(line.get_color(), line.get_marker()): line.get_xdata()[0] for line in axes.lines}
    places = {name: drawn[look.colour, look.marker] for name, look in looks.items() if name != "hr"}
    assert {name for name, place in places.items() if place == 0} == {"bicubic", "bilinear", "lanczos"}
    low, high = axes.get_xlim()
    assert low < 0 and high > max(places.values())


def test_a_cost_that_is_no_number_has_no_place(run: Run) -> None:
    values = {"srcnn": ("fast", None), "espcn": (math.nan, math.inf), "msrn": (-1.0, True), "pecl": ([3], {})}
    for name, (macs, milliseconds) in values.items():
        describe(run, name, cost={"macs": macs, "milliseconds": milliseconds, "device": None})
    data = cost.draw(load(run)).data
    mine = data[data["method"].isin(values) & (data["cost"] != "parameters")]
    assert mine["value"].isna().all() and not mine["front"].any()


def test_without_an_ocr_engine_only_psnr_is_drawn(tmp_path: Path) -> None:
    drawing = cost.draw(load(make_run(tmp_path / "run", FEW, ocr=False)))
    assert len(drawing.figure.axes) == 3  # type: ignore[union-attr]


def test_nothing_with_a_cost_is_nothing_to_draw(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", METHODS[:2])
    describe(run, "*", cost={})
    with pytest.raises(NothingToDraw, match="no method has"):
        cost.draw(load(run))


# -- all of them --------------------------------------------------------------------------------------

HOSTILE = ("<script>alert(1)</script>", "a_b$&%", "\\frac{1}{2}", "[link](http://example.org)")


def test_hostile_names_are_shown_as_they_are(tmp_path: Path) -> None:
    named = [replace(fake, title=HOSTILE[i % 4]) for i, fake in enumerate((*FEW[-3:], *PAIR))]
    run = texts(make_run(tmp_path / "run", tuple(named)))
    describe(run, "*", judge={"name": HOSTILE[0]}, cost={"macs": 7, "milliseconds": 1, "device": HOSTILE[1]})
    add_samples(run, indices=(0,))
    results = load(run)
    for module in (distortion_maps, distortion_scores, calibration, cost):
        drawing = module.draw(results)
        assert drawing.figure is not None
        assert style.encode(drawing.figure, "pdf").startswith(b"%PDF")
    table = calibration_table.draw(results)
    assert "<script>" not in markdown.body(table) and "&lt;script&gt;" in markdown.body(table)
    assert r"a\_b\$\&\%" in latex.document(table, "name", "Title")


def test_one_method_alone(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", (Fake("srcnn", "SRCNN", 57_281, 18.6, 3, 1000),))
    assert set(calibration.draw(load(run)).data["method"]) == {"srcnn"}
    assert len(calibration_table.draw(load(run)).data) == 2
    assert cost.draw(load(run)).data["front"].all()


def test_every_estimator_has_a_name_that_is_a_column() -> None:
    assert [e.name for e in ESTIMATORS] == ["noise", "blur", "compression"]
