"""Table 1 as the paper prints it, the full table beside it, and the sweep over the contrastive weight."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from fake_plates import Lab
from fake_results import ABLATION, METHODS, PATTERN, PLATES, Fake, make_run, pecl_options, with_end

import methods
from benchmark.results.store import Run
from paper_figures import convergence, paper_comparison, table1, table1_full, weight_sweep
from paper_figures.common import conventions, loss_terms, statistics, text
from paper_figures.common.commands import run_command
from paper_figures.common.drawing import NothingToDraw
from paper_figures.common.loading import load
from paper_figures.common.results import Results
from paper_figures.common.tables import Cell
from paper_figures.report import latex, markdown

BY_NAME = {fake.name: fake for fake in METHODS}


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "RESAMPLES", 400)


def with_texts(run: Run) -> Run:
    for file in run.folder.glob("*/*/plates.csv"):
        pd.read_csv(file).assign(text=[f"皖A1234{i}" for i in range(PLATES)]).to_csv(file, index=False)
    return run


def row(results: Results, title: str) -> list[Cell]:
    (table,) = table1.draw(results).tables
    return next(list(cells) for cells in table.rows if cells[0].text == title)


# -- the paper's table -----------------------------------------------------------------------------


def test_a_row_has_our_scores_and_the_papers_beneath(tmp_path: Path) -> None:
    results = load(make_run(tmp_path))
    (table,) = table1.draw(results).tables
    assert [column.header for column in table.columns] == [
        "Method", "#p", "PSNR (dB)", "PSNR_Y (dB)", "OCR confidence"
    ]  # fmt: skip
    assert [(cell.text, cell.beneath) for cell in row(results, "ESPCN")][:4] == [
        ("ESPCN", "paper"), ("78.8K", "800K"), ("18.95 ± 2.00", "23.52 ± 2.47"), ("19.45 ± 2.00", "24.11 ± 0.61")
    ]  # fmt: skip
    assert row(results, "ESPCN")[4].beneath == "0.848 ± 0.14"
    assert row(results, "Bicubic")[1] == Cell("—")


def test_only_the_papers_methods_and_the_users_own_are_in_it(tmp_path: Path) -> None:
    mine = Fake("my_method", "Mine", 10, 25.0, best=1000, groups=())
    large = Fake("edsr-large", "EDSR (large)", 10, 25.0, best=1000, groups=("related-large",))
    results = load(make_run(tmp_path, (*METHODS, *ABLATION, large, mine)))
    names = [found.name for found in table1.rows_of(results)]
    assert names == ["bicubic", "srcnn", "msrn", "espcn", "esrgan", "tbsrn", "swinir", "pecl", "my_method"]
    assert [cell.beneath for cell in row(results, "Mine")] == [""] * 5
    assert set(table1.frame(results)["method"]) >= {"my_method", "pecl-printed", "hr"}  # the CSV has them all


def test_methods_that_cannot_be_told_apart_share_a_rank() -> None:
    results = Lab().add("msrn", 0.0).add("espcn", 0.0).add("swinir", -1.0).add("tbsrn", 0.5).results()
    (table,) = table1.draw(results).tables
    psnr = next(column for column in table.columns if column.header == "PSNR (dB)")
    ranked = {found.name: cell.rank for found, cell in zip(table1.rows_of(results), psnr.cells, strict=True)}
    assert ranked == {"tbsrn": 1, "msrn": 2, "espcn": 2, "swinir": 0}
    assert re.search(r"Smallest difference they can decide: 0\.0\d dB in PSNR", table1.draw(results).words)


def test_what_lacks_numbers_is_marked_and_nothing_breaks(tmp_path: Path) -> None:
    run = make_run(tmp_path, (BY_NAME["bicubic"], BY_NAME["msrn"]))
    file = tmp_path / "msrn/seed0/plates.csv"
    pd.read_csv(file).assign(psnr_y=math.nan).to_csv(file, index=False)
    results = load(run)
    assert row(results, "MSRN")[3].text == "—"
    words = table1.draw(results).words
    assert "cannot rank" in words or "fewer than two" in words  # all plates have one number
    one = load(make_run(tmp_path / "one", (BY_NAME["msrn"],), ocr=False))
    assert len(row(one, "MSRN")) == 4 and all(cell.rank == 0 for cell in row(one, "MSRN"))
    assert "Bold" not in table1.draw(one).words
    bound = load(make_run(tmp_path / "hr", (BY_NAME["hr"],)))
    assert row(bound, "HR (upper bound)")[2].text == "∞" and "Nothing here was trained" in table1.draw(bound).words


def test_a_line_of_notes_says_what_the_marks_mean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = load(make_run(tmp_path))
    assert list(table1.draw(results).conditions) == []
    file = tmp_path / "msrn/seed0/plates.csv"
    pd.read_csv(file).assign(psnr=[math.nan] + [20.0] * (PLATES - 1)).to_csv(file, index=False)
    monkeypatch.setattr("paper_figures.common.loading.is_stale", lambda info: True)
    (note,) = table1.draw(load(Run(tmp_path))).conditions
    assert note == "† made by another version; * some plates have no number."


def test_the_latex_is_one_narrow_tabular_with_the_papers_colours() -> None:
    drawing = table1.draw(Lab().add("msrn", 0.0).add("espcn", -0.5).add("pecl", 0.5).results())
    source = latex.document(drawing, "table1", table1.TITLE)
    assert source.count(r"\begin{tabular}") == 1 and r"\begin{table}" in source and "table*" not in source
    assert r"\textcolor{red}{\textbf{" in source and r"\textcolor{blue}{\textbf{\underline{" in source
    assert r"\textcolor{gray}{25.13 $\pm$ 2.46}" in source and r"PSNR\textsubscript{Y} (dB)" in source
    rows = [line for line in source.splitlines() if line.rstrip("[2pt]").endswith(r"\\")]
    assert len(rows) == 1 + 2 * 3 and len({line.count(" & ") for line in rows}) == 1
    assert "xcolor" in source.splitlines()[0]
    shown = markdown.document(drawing, "table1", table1.TITLE)
    assert "<br><small>25.13 ± 2.46</small>" in shown


# -- the full table --------------------------------------------------------------------------------


def test_the_full_table_shows_512_beside_pecl_and_the_share_of_its_contrastive_term(tmp_path: Path) -> None:
    results = load(make_run(tmp_path, (*METHODS, *ABLATION)))
    drawing = table1_full.draw(results)
    names = list(drawing.data["method"])
    assert names[names.index("pecl") + 1] == "pecl-manhattan-512"
    assert "both stand here" in drawing.words
    assert [table.title.split(":")[0] for table in drawing.tables] == [
        "Image quality", "Reading", "Reading by the second OCR engine", "Mean PSNR with its 95 % interval, and training"
    ]  # fmt: skip


def history(folder: Path, method: str, **columns: float) -> None:
    file = folder / method / "seed0" / "history.csv"
    pd.read_csv(file).assign(dead_gradient=0.0, **columns).to_csv(file, index=False)


def test_a_share_under_one_percent_is_mse_in_all_but_name(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    history(tmp_path, "pecl", w_pixel=0.999, w_contrastive=0.001, pixel=0.02, contrastive=0.01)
    results = load(run)
    share = loss_terms.share(results, results.row("pecl"))  # type: ignore[arg-type]
    assert share == pytest.approx(0.001 * 0.01 / (0.001 * 0.01 + 0.999 * 0.02))
    said = "PECL: the contrastive term has 0.05 % of the loss; this row is MSE in all but name."
    assert said in table1_full.draw(results).footnotes
    history(tmp_path, "pecl", contrastive_share=0.25)  # as newer histories store it
    results = load(run)
    assert loss_terms.share(results, results.row("pecl")) == 0.25  # type: ignore[arg-type]
    assert not any("all but name" in note for note in table1_full.draw(results).footnotes)
    assert loss_terms.share(results, results.row("msrn")) is None  # type: ignore[arg-type]


# -- the sweep -------------------------------------------------------------------------------------


def sweep(*weights: str) -> tuple[Fake, ...]:
    mse = next(fake for fake in ABLATION if fake.name == "pecl-mse")
    return (
        replace(mse, groups=("ablation", "sweep")),
        *(
            replace(BY_NAME["pecl"], name=f"pecl-weight-{weight}", title=f"PECL, weight {weight}", psnr=20.0 - i,
                    groups=("sweep",), options=pecl_options(w_contrastive=float(weight)))
            for i, weight in enumerate(weights)
        ),
    )  # fmt: skip


def test_the_sweep_has_the_weights_in_order_with_none_first(tmp_path: Path) -> None:
    fakes = (*sweep("1e-1", "1e-4", "1e-2", "1e-3"), replace(BY_NAME["pecl"], options=pecl_options(w_contrastive=1e-5)))
    drawing = weight_sweep.draw(load(with_texts(make_run(tmp_path, (*fakes, BY_NAME["pecl-printed"])))))
    psnr = drawing.data[drawing.data["metric"] == "psnr"]
    assert psnr["w_contrastive"].tolist() == [0.0, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1]
    assert psnr["mean"].tolist() == pytest.approx([19.4, 20.12, 19.0, 17.0, 18.0, 20.0])
    assert (psnr["low"] < psnr["mean"]).all() and (psnr["mean"] < psnr["high"]).all()
    assert drawing.figure is not None and len(drawing.figure.axes) == 3
    assert [text.get_text() for text in drawing.figure.axes[0].get_xticklabels()][:3] == ["0", "1e-5", "1e-4"]


def test_the_sweep_is_in_no_other_table(tmp_path: Path) -> None:
    results = load(make_run(tmp_path, (*METHODS, *ABLATION[1:], *sweep("1e-2"))))
    assert not any(found.name.startswith(("pecl-weight", "pecl-mse")) for found in results.main_rows)


def test_without_two_weights_there_is_no_sweep_and_without_an_engine_no_panel_of_it(tmp_path: Path) -> None:
    with pytest.raises(NothingToDraw, match="fewer than two weights"):
        weight_sweep.draw(load(make_run(tmp_path / "none", METHODS)))
    drawing = weight_sweep.draw(load(make_run(tmp_path / "two", sweep("1e-2"), ocr=False)))
    assert drawing.figure is not None and len(drawing.figure.axes) == 1
    assert "No intervals" in drawing.words
    assert PATTERN.mean() == pytest.approx(0.0)


# -- a method whose last weights are the method as published ---------------------------------------


def test_esrgan_is_shown_as_selected_and_at_its_end_which_stands_beside_the_papers(tmp_path: Path) -> None:
    results = load(with_end(make_run(tmp_path, seeds=2)))
    titles = [found.title for found in results.rows]
    assert titles[titles.index("ESPCN") + 1 :][:2] == ["ESRGAN (pixel phase)", "ESRGAN"]
    assert row(results, "ESRGAN (pixel phase)")[2].text.startswith("17.5") and not any(
        cell.beneath for cell in row(results, "ESRGAN (pixel phase)")
    )
    end = row(results, "ESRGAN")
    assert end[2].text.startswith("16.5") and end[2].beneath == "18.76 ± 2.26"
    assert len(results.records) == len({(record.method, record.seed) for record in results.records})
    assert run_command(results, ["esrgan-selected", "esrgan"]).count("esrgan") == 1
    drawing = convergence.draw(results)
    tested = drawing.data[drawing.data["panel"] == "test"]
    assert "esrgan-selected" in set(tested["method"]) and "esrgan" not in set(tested["method"])
    assert "Under ESRGAN stand the last weights" in drawing.words
    curves = drawing.data[drawing.data["panel"] == "validation"]
    assert len(curves[curves["method"] == "esrgan"]) == len(curves[curves["method"] == "msrn"]) > 0


def test_iterations_to_the_best_are_those_of_the_selected_weights_alone(tmp_path: Path) -> None:
    results = load(with_end(make_run(tmp_path, seeds=2)))
    best = table1.frame(results).set_index("method")["best_iteration"]
    assert best["esrgan-selected"] == 555 and pd.isna(best["esrgan"])
    for shown in (table1_full.draw(results).tables[-1], table1.short(results, wide=False)):
        column = next(column for column in shown.columns if column.header.startswith("best at"))
        by_title = dict(zip((cell.text for cell in shown.columns[0].cells), column.cells, strict=True))
        assert by_title["ESRGAN"].text == text.DASH != by_title["ESRGAN (pixel phase)"].text
    pair = paper_comparison.make_pair(results, results.row("esrgan"), "best_iteration")  # type: ignore[arg-type]
    assert math.isnan(pair.ours) and math.isnan(pair.low)


def test_weights_selected_in_the_second_phase_say_so(tmp_path: Path) -> None:
    run = with_end(make_run(tmp_path), "best PSNR")
    assert row(load(run), "ESRGAN (best PSNR)")
    esrgan = methods.get("esrgan").method
    options = SimpleNamespace(gan_share=0.1)
    assert [esrgan.selected_as(options, best, 100) for best in (90, 91)] == ["pixel phase", "best PSNR"]
    assert esrgan.selected_as(SimpleNamespace(gan_share=0.0), 100, 100) == ""
    assert methods.get("srcnn").method.selected_as(SimpleNamespace(), 1, 100) == ""


def test_a_result_whose_end_was_not_scored_is_one_row_with_a_note(tmp_path: Path) -> None:
    esrgan = replace(BY_NAME["esrgan"], options={"gan_share": 0.1})
    run = make_run(tmp_path, (BY_NAME["bicubic"], esrgan), seeds=2)
    results = load(run)
    assert [found.name for found in results.rows] == ["bicubic", "esrgan"]
    assert "last weights" not in conventions.selection(results)
    assert any("not scored plate by plate: run it again" in note for note in table1_full.draw(results).footnotes)
    with_end(run)
    (tmp_path / "esrgan/seed1/plates_last.csv").unlink()  # one seed has it, the other not
    results = load(run)
    assert [found.title for found in results.rows] == ["Bicubic", "ESRGAN"]


def test_of_a_seed_that_was_best_at_its_end_selected_and_last_weights_are_the_same(tmp_path: Path) -> None:
    esrgan = replace(BY_NAME["esrgan"], options={"gan_share": 0.1}, best=1000)
    run = make_run(tmp_path, (BY_NAME["bicubic"], esrgan), seeds=2)
    results = load(run)
    assert [found.title for found in results.rows] == ["Bicubic", "ESRGAN"]  # one row, without a note
    assert not any("run it again" in note for note in results.rows[1].notes)
    with_end(run)
    (tmp_path / "esrgan/seed1/plates_last.csv").unlink()
    results = load(run)
    assert [found.name for found in results.rows] == ["bicubic", "esrgan-selected", "esrgan"]
    assert results.plates_of(results.rows[2]).groupby("seed")["psnr"].mean().round(2).tolist() == [16.44, 17.64]
