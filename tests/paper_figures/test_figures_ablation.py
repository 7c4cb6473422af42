"""Figures and tables of the ablation and of PECL's readings, and the paper's numbers beside ours."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fake_results import ABLATION, BUDGET, METHODS, PLATES, Fake, grid, make_run
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Annotation

from paper_figures import (
    ablation,
    ablation_psnr,
    ablation_reading,
    contrast_euclidean,
    contrast_manhattan,
    loss_weights,
    paper_comparison,
    readings,
)
from paper_figures.common import contrast, paper, paper_reasons, statistics
from paper_figures.common.dimensions import DIFFERENCE, LEVEL
from paper_figures.common.drawing import Drawing, NothingToDraw
from paper_figures.common.grid import find, grids, keys
from paper_figures.common.loading import load
from paper_figures.common.results import Results
from paper_figures.report import latex, markdown

PECL = next(fake for fake in METHODS if fake.name == "pecl")
PRINTED = next(fake for fake in METHODS if fake.name == "pecl-printed")
NINE = (PECL, *ABLATION)
HOSTILE = "<script>a_b$&%</script>\n车牌 | x"
FIGURES = (ablation_psnr, ablation_reading, contrast_euclidean, contrast_manhattan, loss_weights, paper_comparison)


def results(folder: Path, methods: tuple[Fake, ...] = NINE, texts: bool = True, **options: Any) -> Results:
    """A run; with ``texts`` every plate has one of its own, so that there is something to resample."""
    run = make_run(folder, methods, **options)
    if texts:
        change(folder, "*", "plates", lambda t: t.assign(text=[f"皖A{i:05}" for i in t["index"]]))
    return load(run)


def change(folder: Path, method: str, table: str, edit: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    for file in folder.glob(f"{method}/seed*/{table}.csv"):
        edit(pd.read_csv(file)).to_csv(file, index=False)


def only(*names: str) -> tuple[Fake, ...]:
    return tuple(fake for fake in NINE if fake.name in names)


def without(name: str) -> tuple[Fake, ...]:
    return tuple(fake for fake in NINE if fake.name != name)


def labels(drawing: Drawing) -> list[str]:
    assert drawing.figure is not None
    return [t.get_text() for axes in drawing.figure.axes for t in axes.texts if isinstance(t, Annotation)]


def overlaps(drawing: Drawing) -> list[tuple[str, str]]:
    """Pairs of labels that lie over each other, and labels that leave the page."""
    assert drawing.figure is not None
    canvas = FigureCanvasAgg(drawing.figure)
    canvas.draw()  # places the axes' own labels
    texts = [
        t for axes in drawing.figure.axes
        for t in (*axes.texts, axes._left_title, axes.xaxis.label, axes.yaxis.label) if t.get_text()
    ]  # fmt: skip
    boxes = [(t.get_text(), t.get_window_extent(canvas.get_renderer())) for t in texts]
    page = drawing.figure.bbox
    found = [(a, b) for i, (a, one) in enumerate(boxes) for b, other in boxes[:i] if one.overlaps(other)]
    return found + [
        (a, "page") for a, box in boxes if box.x0 < page.x0 or box.x1 > page.x1 or box.y0 < page.y0 or box.y1 > page.y1
    ]


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals are statistics' own business, and tested there."""
    monkeypatch.setattr(statistics, "RESAMPLES", 200)


@pytest.fixture(scope="module")
def nine(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return results(tmp_path_factory.mktemp("nine"))


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """All methods and both grids, one text for all plates."""
    methods = (*METHODS, *ABLATION, *grid("printed", "learned"))
    return results(tmp_path_factory.mktemp("everything"), methods, texts=False)


# -- finding the cells -----------------------------------------------------------------------------


def test_cells_are_found_by_options_whatever_they_are_called(tmp_path: Path) -> None:
    renamed = tuple(replace(fake, name=f"m{i}", title="x") for i, fake in enumerate(NINE))
    (found,) = grids(results(tmp_path, renamed))
    assert list(found.cells) and set(found.cells) == set(keys()) and found.mse is not None
    assert found.cells["manhattan", 128].name == "m0" and found.others == []


def test_rows_with_other_options_are_no_cells_and_are_named(tmp_path: Path) -> None:
    odd = [
        replace(PECL, name=f"odd{i}", title=f"Odd {i}", options={**PECL.options, "dimension": 256, **options})
        for i, options in enumerate(
            [{"w_contrastive": 0.5}, {"network": "release"}, {"weights": "learned"}, {"embedder": "trained"}]
        )
    ]
    run = results(tmp_path, (*without("pecl-manhattan-256"), *odd))
    (found,) = grids(run)
    assert ("manhattan", 256) not in found.cells
    assert [row.name for row in found.others] == ["odd0"]  # the others are not of this grid at all
    said = ablation_psnr.draw(run).words
    assert "No result, so a gap: Manhattan, d = 256." in said and "than most cells, or as a second" in said
    assert "Odd 0." in said and "Odd 1" not in said


def test_the_printed_reading_is_a_cell_of_the_printed_grid(everything: Results) -> None:
    attract, printed = grids(everything)
    assert (attract.term, printed.term) == ("attract", "printed")
    assert printed.cells["manhattan", 128].name == "pecl-printed"
    assert not printed.others and printed.mse is attract.mse


def test_a_printed_reading_alone_is_not_an_ablation(tmp_path: Path) -> None:
    run = results(tmp_path, (PECL, PRINTED))
    assert find(run, "printed") is None
    with pytest.raises(NothingToDraw, match="fewer than two of the ablation's nine"):
        grids(run)
    for module in (ablation, ablation_psnr, ablation_reading, contrast_manhattan):
        with pytest.raises(NothingToDraw):
            module.draw(run)


# -- contrast --------------------------------------------------------------------------------------


def test_contrast_is_equation_20_at_shared_iterations() -> None:
    pecl = pd.Series({10: 20.0, 20: 22.0, 30: 18.0, 40: math.nan, 60: 25.0})
    mse = pd.Series({20: 20.0, 10: 20.0, 30: 24.0, 40: 20.0, 50: 21.0})
    found = contrast.contrast(pecl, mse)
    assert list(found.index) == [10, 20, 30, 40]
    assert list(found["contrast"][:3]) == [0.0, 0.1, -0.25] and list(found["difference"][:3]) == [0.0, 2.0, -6.0]
    assert found.loc[40].isna().all()


def test_contrast_of_what_is_not_a_positive_number_is_none() -> None:
    found = contrast.contrast(pd.Series({1: math.inf, 2: -3.0, 3: 1.0}), pd.Series({1: 20.0, 2: -3.0, 3: 0.5}))
    assert found["contrast"].isna().tolist() == [True, True, False] and found.loc[3, "contrast"] == 1.0
    assert found.loc[2, "difference"] == 0.0


def test_contrast_figure_shows_every_dimension_with_its_difference(nine: Results) -> None:
    drawing = contrast_manhattan.draw(nine)
    ours = [f"d = {d}  {gain} dB" for d, gain in ((64, "+0.62"), (128, "+0.72"), (256, "+0.82"), (512, "+0.92"))]
    assert labels(drawing)[:7] == [*ours, "paper, lowest: −0.22", "paper, highest: 0.25", "paper, late: ≈0.1"]
    assert labels(drawing)[7:] == ours  # enlarged: they take less than a third of the paper's range
    line = drawing.data[drawing.data["method"] == "pecl"].set_index("iteration").loc[BUDGET]
    assert line["contrast"] == pytest.approx((20.12 - 19.4) / 19.4)
    assert 0 not in set(drawing.data["iteration"]) and len(drawing.figure.axes) == 2  # type: ignore[union-attr]
    assert "/ PSNR MSE, the paper's Eq. 20" in drawing.words and "Seed 0 only" in drawing.words
    euclidean = labels(contrast_euclidean.draw(nine))
    assert [label.split()[-2] for label in euclidean[:4]] == ["+0.10", "+0.20", "+0.30", "+0.40"]
    assert euclidean[4:7] == ["paper, lowest: −0.6", "paper, highest: 0.13", "paper, late: ≈0.1"]


def test_curves_as_wide_as_the_papers_are_drawn_once(tmp_path: Path) -> None:
    low = replace(PECL, psnr=16.0)
    drawing = contrast_manhattan.draw(results(tmp_path, (low, *only("pecl-mse", "pecl-manhattan-64")), texts=False))
    assert len(drawing.figure.axes) == 1 and "enlarged" not in drawing.words  # type: ignore[union-attr]


def test_contrast_compares_seeds_that_both_have_and_shows_gaps(tmp_path: Path) -> None:
    results(tmp_path, only("pecl-mse", "pecl-manhattan-64", "pecl-manhattan-512"), texts=False, seeds=3)
    for seed in (1, 2):
        for file in (tmp_path / "pecl-mse" / f"seed{seed}").iterdir():
            if seed == 2:
                file.unlink()
    change(tmp_path, "pecl-manhattan-64", "history", lambda t: t.assign(val_psnr=t["val_psnr"].where(t.index != 5)))
    (tmp_path / "pecl-manhattan-512/seed0/history.csv").unlink()
    drawing = contrast_manhattan.draw(load_run(tmp_path))
    assert set(drawing.data["seed"]) == {0, 1} and "Thin lines are single seeds (0, 1)" in drawing.words
    assert "Gaps are validations whose PSNR is not a number" in drawing.words
    assert set(drawing.data.loc[drawing.data["dimension"] == 512, "seed"]) == {1}


def load_run(folder: Path) -> Results:
    return load(make_run(folder, ()))


def test_contrast_needs_mse_and_a_common_validation(tmp_path: Path) -> None:
    with pytest.raises(NothingToDraw, match="MSE alone and one with the Manhattan"):
        contrast_manhattan.draw(results(tmp_path / "a", only("pecl", "pecl-manhattan-64"), texts=False))
    run = results(tmp_path / "b", only("pecl", "pecl-mse"), texts=False)
    change(tmp_path / "b", "pecl-mse", "history", lambda t: t.assign(iteration=t["iteration"] + 0.5))
    with pytest.raises(NothingToDraw, match="no validation in common"):
        contrast_manhattan.draw(load_run(run.folder))


def test_the_contrast_axis_cuts_nothing_off() -> None:
    data = pd.DataFrame({"contrast": [-0.5, 0.02, math.nan, 0.01]})
    assert contrast.limits(data, [0.25]) == pytest.approx((-0.5 - 0.06, 0.25 + 0.06))
    flat = contrast.limits(data.assign(contrast=0.0))
    assert flat[0] < 0 < flat[1]


# -- Fig. 8 and 9 ----------------------------------------------------------------------------------


def test_psnr_over_dimension_is_the_mean_and_its_paired_difference(nine: Results) -> None:
    drawing = ablation_psnr.draw(nine)
    data = drawing.data.set_index(["metric", "quantity", "method"])
    level = data.loc[("psnr", LEVEL, "pecl-euclidean-64")]
    assert level["mean"] == pytest.approx(19.5) and level["median"] == pytest.approx(19.5)
    assert level["low"] < 19.5 < level["high"]
    gain = data.loc[("psnr", DIFFERENCE, "pecl-euclidean-64")]  # the same on every plate
    assert gain[["mean", "low", "high"]].tolist() == pytest.approx([0.1, 0.1, 0.1])
    assert data.loc[("psnr_y", LEVEL, "pecl-mse"), "mean"] == pytest.approx(19.9)
    assert f"{PLATES} plate texts; one seed, so they say nothing about other seeds" in drawing.words
    assert "and an effect of the dimension is also one of the weight" in drawing.words


def test_what_the_paper_gives_of_figure_8_is_marked(tmp_path: Path) -> None:
    def shifted(by: float) -> Drawing:
        return ablation_psnr.draw(results(tmp_path / str(by), tuple(replace(f, psnr=f.psnr + by) for f in NINE)))

    far = shifted(-9.0)
    printed = far.data[far.data["paper"].notna()].set_index(["metric", "distance"])
    assert set(printed["dimension"]) == {512} and set(printed["quantity"]) == {LEVEL}
    assert printed["paper"].to_dict() == {
        ("psnr", "euclidean"): 24.0, ("psnr", "manhattan"): 25.0, ("psnr_y", "euclidean"): 25.0,
        ("psnr_y", "manhattan"): 26.0,
    }  # fmt: skip
    assert {"paper (Euc) ≈24.0 ↑", "paper (Man) ≈26.0 ↑"} <= set(labels(far))
    near = shifted(4.5)
    assert "paper (Euc) ≈24.0" in labels(near) and "paper (Man) ≈25.0" in labels(near)


def test_a_missing_cell_is_a_gap(tmp_path: Path) -> None:
    drawing = ablation_psnr.draw(results(tmp_path, without("pecl-euclidean-256"), texts=False))
    gap = drawing.data[(drawing.data["distance"] == "euclidean") & (drawing.data["dimension"] == 256)]
    assert len(gap) == 4 and gap["mean"].isna().all()
    lines = [line.get_ydata() for line in drawing.figure.axes[0].lines]  # type: ignore[union-attr]
    assert any(len(y) == 4 and np.isnan(np.asarray(y, float)).tolist() == [0, 0, 1, 0] for y in lines)
    assert "so a gap: Euclidean, d = 256." in drawing.words


def test_without_mse_there_is_no_difference_and_without_texts_no_interval(tmp_path: Path) -> None:
    drawing = ablation_psnr.draw(results(tmp_path, without("pecl-mse"), texts=False))
    assert set(drawing.data["quantity"]) == {LEVEL} and "so a gap: MSE alone." in drawing.words
    assert drawing.data["low"].isna().all() and "No intervals" in drawing.words


def test_the_printed_grid_has_a_block_of_its_own(everything: Results) -> None:
    drawing = ablation_psnr.draw(everything)
    assert len(drawing.figure.axes) == 8  # type: ignore[union-attr]
    headings = [t.get_text() for t in drawing.figure.texts]  # type: ignore[union-attr]
    assert [h.split(":")[0] for h in headings] == ["As described", "As printed"]
    assert "same margin m = 2 at every d" in drawing.words
    assert set(drawing.data.groupby("method")["term"].nunique()[lambda n: n > 1].index) == {"pecl-mse"}


def test_reading_is_drawn_for_each_ocr_engine(nine: Results, tmp_path: Path) -> None:
    assert len(ablation_reading.draw(nine).figure.axes) == 4  # type: ignore[union-attr]
    results(tmp_path / "one", only("pecl", "pecl-mse"))
    change(tmp_path / "one", "*", "plates", lambda t: t.drop(columns=[c for c in t if c.endswith("_second")]))
    drawing = ablation_reading.draw(load_run(tmp_path / "one"))
    assert set(drawing.data["metric"]) == {"confidence", "plate_correct"}
    accuracy = drawing.data[drawing.data["metric"] == "plate_correct"].set_index("method")["mean"]
    assert accuracy["pecl"] == 50.0 and accuracy["pecl-mse"] == 30.0
    with pytest.raises(NothingToDraw, match="read by an OCR engine"):
        ablation_reading.draw(results(tmp_path / "none", only("pecl", "pecl-mse"), ocr=False))


def test_equal_scores_look_equal(tmp_path: Path) -> None:
    drawing = ablation_reading.draw(
        results(tmp_path, tuple(replace(fake, read=0) for fake in only("pecl", "pecl-mse")))
    )
    low, high = drawing.figure.axes[1].get_ylim()  # type: ignore[union-attr]
    assert low < 0 < high and high - low >= 1.0  # not a hundredth of a percent filling the panel


@pytest.mark.parametrize("module", FIGURES, ids=lambda module: module.NAME)
def test_nothing_overlaps(module: Any, everything: Results, nine: Results) -> None:
    assert overlaps(module.draw(everything)) == [] and overlaps(module.draw(nine)) == []


# -- the ablation as a table -----------------------------------------------------------------------


def test_the_ablation_table_shows_scores_differences_and_ties(tmp_path: Path) -> None:
    run = results(tmp_path, tuple(replace(f, psnr=19.4) if f.name == "pecl-euclidean-64" else f for f in NINE))
    drawing = ablation.draw(run)
    rows = {
        line.split(" | ")[0].lstrip("| "): line
        for line in markdown.body(drawing).splitlines()[:14]
        if line.startswith("|")
    }
    assert "| 19.40 ± 2.00 | 19.90 ± 2.00 | 0.5000 ± 0.0200 |" in rows["MSE alone"]
    assert r"| 0.00 \[0.00, 0.00\]<sup>=</sup> | 1.000 |" in rows["Euclidean, d = 64"]
    assert r"| +0.72 \[+0.72, +0.72\]<sup>+</sup> |" in rows["Manhattan, d = 128 (PECL)"]
    assert "**20.32 ± 2.00**" in rows["Manhattan, d = 512"]
    assert "\nEuclidean, d = 256 & " in latex.document(drawing, "name", "Title")
    data = drawing.data.set_index("method")
    assert len(data) == 9 and data.loc["pecl-euclidean-64", "psnr_verdict"] == "tie"
    assert data.loc["pecl", "psnr_difference"] == pytest.approx(0.72)


def test_the_ablation_table_names_gaps_and_escapes_titles(tmp_path: Path) -> None:
    methods = (replace(PECL, title=HOSTILE), *without("pecl-mse")[1:-1])
    drawing = ablation.draw(results(tmp_path, methods))
    assert "| MSE alone | — | — | — | — | — | — | — |" in markdown.body(drawing)
    assert "<script>" not in markdown.body(drawing) and r"\textless{}script" in latex.document(drawing, "name", "Title")
    assert "No difference to MSE alone has an interval" in markdown.body(drawing)
    assert drawing.data["method"].isna().sum() == 2
    change(tmp_path, "pecl-euclidean-64", "plates", lambda t: t.assign(psnr=t["psnr"].where(t["index"] > 0)))
    assert "PECL Euclidean 64, PSNR: 1 of 10." in ablation.draw(load_run(tmp_path)).words


def test_blocks_of_the_ablation_table_are_labelled(everything: Results) -> None:
    drawing = ablation.draw(everything)
    assert markdown.body(drawing).count("**As described: ") == 3 and markdown.body(drawing).count("**As printed: ") == 3
    assert list(drawing.data["term"]) == ["attract"] * 9 + ["printed"] * 9


# -- readings and the weights of the loss ----------------------------------------------------------


def test_readings_are_found_by_options_and_missing_ones_are_dashes(tmp_path: Path) -> None:
    learned = replace(
        PECL, name="x", title=HOSTILE, options={**PECL.options, "weights": "learned"}, groups=("readings",)
    )
    drawing = readings.draw(results(tmp_path, (*NINE, PRINTED, learned)))
    data = drawing.data.set_index("reading")
    assert data["method"].tolist()[:3] == ["pecl", "pecl-printed", "x"] and pd.isna(
        data.loc["released network", "method"]
    )
    assert "| released network | — |" in markdown.body(drawing) and "reading as described. No result." in drawing.words
    assert (data.loc["as printed", "last_w_pixel"], data.loc["as printed", "died"]) == (0.0, BUDGET)
    assert f"the pixel loss had 0.000 of the weight; nothing was learnt any more from iteration {BUDGET:,} on." in (
        markdown.body(drawing)
    )
    assert "<script>" not in markdown.body(drawing)
    with pytest.raises(NothingToDraw, match="reading of PECL"):
        readings.draw(results(tmp_path / "none", METHODS[:4]))


def test_a_reading_without_losses_says_so(tmp_path: Path) -> None:
    results(tmp_path, (PECL, PRINTED))
    (tmp_path / "pecl/seed0/history.csv").unlink()
    drawing = readings.draw(load_run(tmp_path))
    assert "Its history holds no losses." in drawing.words
    assert "| as described | — | — | — | — | — |" in markdown.body(drawing)


def test_loss_weights_leave_out_the_ablations_fixed_weights(everything: Results) -> None:
    drawing = loss_weights.draw(everything)
    shown = set(drawing.data["method"])
    assert {"pecl", "pecl-printed", "pecl-printed-euclidean-512"} <= shown and len(shown) == 9
    assert not shown & {fake.name for fake in ABLATION}
    assert len(drawing.figure.axes) == 12  # type: ignore[union-attr]
    assert "The pixel loss has no weight left, first seen at iteration: PECL 1,000;" in drawing.words


def test_methods_of_one_title_and_of_odd_groups_are_all_drawn(tmp_path: Path) -> None:
    odd = replace(PRINTED, name="odd", groups=("ablation-mine",), options={"term": "printed"})
    drawing = loss_weights.draw(results(tmp_path, (PECL, replace(PECL, name="twin"), odd), texts=False))
    assert sorted(labels(drawing)[:3]) == ["PECL", "PECL", "PECL (as printed)"]
    assert set(drawing.data["method"]) == {"pecl", "twin", "odd"}


def test_loss_terms_of_zero_lie_on_the_edge_of_a_log_axis(tmp_path: Path) -> None:
    results(tmp_path, (PECL, PRINTED))
    change(tmp_path, "pecl", "history", lambda t: t.assign(contrastive=3.0, w_pixel=0.999, dead_gradient=0.0))
    drawing = loss_weights.draw(load_run(tmp_path))
    axes = drawing.figure.axes[3]  # type: ignore[union-attr]
    assert axes.get_yscale() == "log" and axes.get_ylim()[0] > 0.0
    assert all((np.asarray(line.get_ydata(), float) > 0.0).all() for line in axes.lines[:2])
    assert "first seen at iteration: PECL (as printed) 1,000." in drawing.words
    change(tmp_path, "*", "history", lambda t: t.assign(pixel=math.nan, distance=math.inf, contrastive=0.0))
    assert len(loss_weights.draw(load_run(tmp_path)).data)


# -- the paper's numbers ---------------------------------------------------------------------------


def test_deviations_from_the_paper_are_exact(tmp_path: Path) -> None:
    drawing = paper_comparison.draw(results(tmp_path / "one", METHODS))
    data = drawing.data.set_index(["method", "metric"])
    assert data.loc[("espcn", "psnr"), "deviation"] == pytest.approx(18.95 - 23.52)
    assert data.loc[("espcn", "psnr"), ["low", "high"]].notna().all()
    assert data.loc[("bicubic", "psnr"), "deviation"] == pytest.approx(18.02 - 18.53)
    assert data.loc[("tbsrn", "confidence"), ["paper", "paper_sd"]].tolist() == [0.855, 0.15]
    assert pd.isna(data.loc[("pecl", "best_iteration"), "paper"])  # the text gives none
    for shown in ("ESPCN | Parameters | 800K | 78.8K | ×0.0985", "SRCNN | Parameters | 57K | 57.3K | = (as rounded)",
                  "ESPCN | PSNR | 23.52 ± 2.47 | 18.95 | −4.57"):  # fmt: skip
        assert f"| {shown} |" in markdown.body(drawing)
    assert "1,000 iterations, batches of 4" in markdown.body(drawing)
    assert "| 24.11 ± 0.61 |" in markdown.body(drawing)
    assert "As printed; the other deviations of this column" in markdown.body(drawing)
    two = results(tmp_path / "two", (METHODS[3],), seeds=2)
    seeds = paper_comparison.draw(two).data.set_index(["method", "metric"])
    assert seeds.loc[("msrn", "best_iteration"), ["low", "high"]].tolist() == [888, 888]
    assert len(drawing.figure.axes) == 5  # type: ignore[union-attr]


def test_reasons_have_sources_and_belong_to_transcribed_cells() -> None:
    assert set(paper_reasons.reasons()) <= set(paper.values())
    assert all(reason.text and reason.source for reason in paper_reasons.reasons().values())


def test_conditions_follow_the_run(tmp_path: Path) -> None:
    run = results(tmp_path, (METHODS[4],), data={"protocol": "paper"}, ocr=False)
    found = {condition.name: condition for condition in paper_reasons.conditions(run)}
    assert found["split"].ours == "at random" and found["split"].effect == ""
    assert found["OCR engine"].ours == "none" and "test plates" in found["selection of weights"].ours
    (tmp_path / "espcn/seed0/result.json").write_text(
        json.dumps({**run.records[0].as_dict(), "method": "mine", "title": "Mine"}), encoding="utf-8"
    )
    (tmp_path / "espcn").rename(tmp_path / "mine")
    with pytest.raises(NothingToDraw, match="no method of the paper's Table 1"):
        paper_comparison.draw(load_run(tmp_path))
