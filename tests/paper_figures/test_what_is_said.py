"""Sentences that depend on the run: on which plates weights were chosen, who read, and where LR plates are from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fake_results import ABLATION, METHODS, make_run, with_characters, with_leaks, with_patches, with_test_sets

from benchmark.results.store import Run, write_result
from paper_figures import (
    abstention,
    calibration,
    calibration_table,
    cross_data,
    inference,
    loss_weights,
    qualitative_ablation,
    read_table,
    table1_full,
)
from paper_figures.common import conventions, side_by_side, statistics
from paper_figures.common.drawing import NothingToDraw
from paper_figures.common.loading import load
from paper_figures.common.paper_reasons import conditions
from paper_figures.report import markdown

FEW = tuple(fake for fake in METHODS if fake.name in ("hr", "bicubic", "espcn", "pecl"))
RAPID = {"name": "rapid", "version": "1"}
ALPHABET = "o test plate was read: their texts are unknown, or of an alphabet that rapid does not have"


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "RESAMPLES", 100)


def change(run: Run, **fields: Any) -> None:
    for result in run.results():
        write_result(result.folder, {**result.record.as_dict(), **fields})


def unread(run: Run, plates: slice = slice(None)) -> None:
    """No engine has the alphabet of these plates."""
    for result in run.results():
        table = pd.read_csv(result.folder / "plates.csv", dtype=str, keep_default_na=False)
        scores = [
            c for c in table.columns.astype(str) if c.startswith(("read", "confidence", "plate_c", "character", "tail"))
        ]
        table.loc[table.index[plates], scores] = ""
        table.to_csv(result.folder / "plates.csv", index=False)


def test_under_the_papers_protocol_no_weights_and_no_threshold_were_chosen_on_validation_plates(tmp_path: Path) -> None:
    run = with_leaks(with_characters(with_patches(make_run(tmp_path, (*FEW, *ABLATION)))))
    none = {"judge": {"threshold": 1 / 3, "plates": 0}}
    change(with_test_sets(run), abstention=none)
    results = load(run)
    assert "those best on whole test plates" in inference.draw(results).words
    assert "at the abstention threshold 1/3 (the paper's protocol has no" in table1_full.draw(results).words
    assert "threshold 1/3 (the paper's protocol has no" in read_table.draw(results).words
    figure = loss_weights.draw(results).figure
    assert figure is not None and "Test plates" in [axes.get_title("left") for axes in figure.axes]
    assert "It is 1/3 where no validation plate could be read" in abstention.draw(results).words


def test_the_dimension_of_the_ablations_pictures_was_chosen_on_the_plates_that_chose_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def draw(_: Any, __: Any, start: str, **more: Any) -> None:
        said.append(start)
        raise NothingToDraw("no pictures")

    monkeypatch.setattr(side_by_side, "draw", draw)
    for protocol in ("disjoint", "paper"):
        with pytest.raises(NothingToDraw):
            qualitative_ablation.draw(load(make_run(tmp_path / protocol, FEW, data={"protocol": protocol})))
    assert "best on the validation plates" in said[0] and "best on the test plates" in said[1]


def test_that_no_engine_ran_and_that_none_has_the_alphabet_are_two_things(tmp_path: Path) -> None:
    results = load(make_run(tmp_path / "alphabet", FEW, ocr=False, judge=RAPID))
    assert f"N{ALPHABET}, so the reading" in conventions.ocr(results)
    assert side_by_side._ocr_engines(results) == [f"N{ALPHABET}."]
    for module in (calibration, calibration_table):
        with pytest.raises(NothingToDraw, match=ALPHABET):
            module.draw(results)
    assert "(no OCR engine), so" in conventions.ocr(load(make_run(tmp_path / "none", FEW, ocr=False)))


def test_where_only_other_plates_were_read_their_engine_is_described(tmp_path: Path) -> None:
    run = with_test_sets(make_run(tmp_path, FEW))
    unread(run)
    for module in (cross_data, read_table):
        assert "OCR engine: rapid (3.8.1" in module.draw(load(run)).words


def test_a_set_of_which_nothing_was_read_is_a_sentence_and_marks_are_explained(tmp_path: Path) -> None:
    run = with_test_sets(make_run(tmp_path, FEW))
    night = next(part for part in run.test_sets() if part.folder.name.startswith("night"))
    words = "* Plates whose text is not known"
    assert words not in read_table.draw(load(run)).words
    unread(night, slice(3))
    drawing = read_table.draw(load(run))
    assert "*" in {cell.marks for row in drawing.tables[0].rows for cell in row} and words in drawing.words
    unread(night)
    drawing = read_table.draw(load(run))
    assert not drawing.tables and "night: no test plate was read: their texts are unknown" in drawing.words
    assert "night" in markdown.document(drawing, read_table.NAME, read_table.TITLE)


def test_lr_plates_that_were_given_are_not_said_to_be_degraded(tmp_path: Path) -> None:
    run = with_test_sets(make_run(tmp_path, FEW, data={"lr": "given"}))

    def ours() -> str:
        return next(each.ours for each in conditions(load(run)) if each.name == "degradation")

    assert ours() == "LR given as pictures of their own: nothing was degraded"
    change(run, data={**load(run).data.as_dict(), "lr": ""})
    assert ours().startswith("×8, antialiased bicubic")
    assert conventions.GIVEN not in cross_data.draw(load(run)).words
    far = next(part for part in run.test_sets() if part.folder.name.startswith("far"))
    change(far, test_data={"name": "far", "fingerprint": "f" * 9, "test": 10, "task": "restore", "lr": "given"})
    assert f"far: 10 plates. {conventions.GIVEN}" in cross_data.draw(load(run)).words
