"""Plates of another alphabet from end to end, by a list of plates."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from click.testing import Result as Outcome
from plate_lists import draw_plate, latin_text, make_plates, write_list
from typer.testing import CliRunner

from benchmark.cli.main import app
from benchmark.data.texts import normalise
from benchmark.results.store import Run
from benchmark.util.errors import UserError
from paper_figures.common import test_sets
from paper_figures.common.loading import load

SMALL = ["--iterations", "2", "--device", "cpu", "--set", "data.train_plates=24", "--set", "data.val_plates=4",
         "--set", "data.test_plates=8", "--set", "train.threads=1"]  # fmt: skip


def invoke(*arguments: object) -> Outcome:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result


def mixed_text(i: int) -> str:
    """Latin, and every sixth Cyrillic, which the OCR engines cannot write."""
    return f"АВ{i:03}ЖЦ" if i % 6 == 0 else latin_text(i)


@pytest.fixture(scope="module")
def latin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run on plates of two alphabets: ``french`` and ``results/french``."""
    base = tmp_path_factory.mktemp("latin")
    folder = make_plates(base / "french", 48, mixed_text)
    said = invoke("run", "--methods", "bicubic,espcn", "--data", folder, "--results", base / "results", "--run",
                  "french", *SMALL).output  # fmt: skip
    (base / "said.txt").write_text(said)
    return base


def test_a_list_of_plates_trains_scores_and_reports(latin: Path) -> None:
    run = Run(latin / "results" / "french")
    assert {result.method for result in run.results() if result.complete} == {"hr", "bicubic", "espcn"}
    assert "plates.csv: 48 plates in 48 pictures" in (latin / "said.txt").read_text()
    invoke("report", "--results", latin / "results")
    assert (run.folder / "report" / "table1.md").is_file()
    assert "all fit" in invoke("verify", run.folder).output


def test_a_text_of_another_alphabet_is_scored_by_psnr_alone_and_counted(latin: Path) -> None:
    bound = Run(latin / "results" / "french").result("hr", 0)
    assert bound is not None
    plates = bound.plates()
    foreign = plates["text"].str.startswith("А")  # Cyrillic
    assert 0 < foreign.sum() < len(plates)
    assert plates["psnr"].notna().all()
    for column in ("read", "confidence", "plate_correct", "confidence_second", "plate_correct_second"):
        assert (plates[column].isna() == foreign).all()
    assert plates["tail_correct"].isna().all()  # no plate begins with a province
    assert bound.record.scores.best["plate_correct"].n == len(plates) - foreign.sum()
    said = (latin / "said.txt").read_text()
    assert f"{foreign.sum()} plates have texts that the OCR engine rapid has no alphabet for (Cyrillic;" in said


def test_latin_plates_are_read_and_their_examples_kept(latin: Path) -> None:
    bound = Run(latin / "results" / "french").result("hr", 0)
    assert bound is not None and (bound.record.scores.best["plate_correct"].mean or 0) > 0.8
    examples = pd.read_csv(bound.folder / "exhibits" / "exhibits.csv")
    assert len(examples) and examples["brightness"].isna().all() and "rarest province" not in set(examples["condition"])


# -- other plates than those of the run ------------------------------------------------------------


def score(latin: Path, folder: Path, *more: object) -> Outcome:
    return invoke("score", "--results", latin / "results", "--run", "french", "--test-data", folder, "--device", "cpu",
                  *more)  # fmt: skip


def only_set(latin: Path, beginning: str) -> Run:
    [found] = [part for part in Run(latin / "results" / "french").test_sets() if part.folder.name.startswith(beginning)]
    return found


@pytest.fixture(scope="module")
def dutch(latin: Path) -> str:
    """Scores of the run's weights on twelve other plates, one of which has a number of the run's training plates."""
    run = Run(latin / "results" / "french").result("hr", 0)
    assert run is not None
    trained = next(i for i in range(48) if i % 6 and normalise(mixed_text(i)) not in set(run.plates()["text"]))
    folder = make_plates(latin / "dutch", 12, lambda i: latin_text(100 + i) if i else mixed_text(trained))
    return score(latin, folder).output


def test_stored_weights_are_scored_on_other_plates_and_the_run_stays_as_it_is(latin: Path, dutch: str) -> None:
    own = {result.method: result for result in Run(latin / "results" / "french").results()}
    scored = {result.method: result for result in only_set(latin, "dutch-").results()}
    assert set(scored) == set(own) == {"hr", "bicubic", "espcn"}
    for method, result in scored.items():
        record, first = result.record, own[method].record
        assert record.identity == first.identity and record.data == first.data and record.scoring_identity
        assert record.scoring_identity != first.scoring_identity and record.clocks.keys() == {"scoring", "total"}
        assert record.test_data is not None and record.test_data.test == len(result.plates()) == 12
        assert not (result.folder / "weights.safetensors").exists() and not own[method].changed()
    assert "french: " not in dutch and "bicubic seed 0: " in dutch


def test_plates_that_training_has_shown_are_counted(latin: Path, dutch: str) -> None:
    plates = only_set(latin, "dutch-").results()[0].plates()
    known = plates["seen"].sum()  # a near-duplicate may have cost the training its plate
    assert (f"{known} of 12 plates show a number that training has shown" in dutch) == bool(known)


def test_what_is_scored_already_is_not_scored_again_and_everything_fits(latin: Path, dutch: str) -> None:
    again = score(latin, latin / "dutch").output
    assert again.count("is there already") == 3
    assert invoke("verify", latin / "results").output.count("all fit") >= 2
    packs = invoke("data", "packs", "--results", latin / "results").output
    assert "no result" not in packs


def test_a_column_of_the_report_for_each_set_and_none_where_there_is_none(latin: Path, dutch: str) -> None:
    invoke("report", "--results", latin / "results", "--only", "cross_data")
    table = (latin / "results" / "french" / "report" / "cross_data.md").read_text()
    assert "own plates: PSNR (dB)" in table and "dutch: PSNR (dB)" in table and "dutch: 12 plates" in table
    lines = pd.read_csv(latin / "results" / "french" / "report" / "cross_data.csv")
    assert set(lines["plates"]) == {"own plates", "dutch"}


def test_weights_trained_anew_since_are_said(latin: Path, dutch: str, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(latin / "results" / "french", tmp_path / "results" / "french"))
    command = ["run", "--methods", "espcn", "--data", latin / "french", "--results", copy.parent, "--run", "french"]
    invoke(*command, *SMALL, "--batch-size", "3", "--set", "scoring.ocr=none")
    assert test_sets.outdated(load(Run(copy), allow_mixed=True), load(Run(copy).test_sets()[0])) == ["ESPCN"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--methods", "swinir"], "has no result of swinir (it has: bicubic, espcn, hr)"),
        (["--task", "read", "--ocr", "none"], "name an OCR engine"),
        (["--test-data", "nowhere"], "no folder nowhere"),
    ],
)
def test_bad_input_is_one_line(latin: Path, arguments: list[str], words: str) -> None:
    command = ["score", "--results", str(latin / "results"), "--test-data", str(latin / "french"), *arguments]
    with pytest.raises(UserError, match=re.escape(words)):
        CliRunner().invoke(app, command, catch_exceptions=False)


# -- low resolution without originals --------------------------------------------------------------


def low_resolution(folder: Path, count: int = 8) -> Path:
    rows = []
    for i in range(count):
        (folder / "crops").mkdir(parents=True, exist_ok=True)
        draw_plate(latin_text(200 + i), i).resize((48, 16)).save(folder / "crops" / f"{i}.png")
        rows.append({"file": f"crops/{i}.png", "text": latin_text(200 + i)})
    return write_list(folder, rows)


def test_low_resolution_without_originals_is_scored_by_reading_alone(latin: Path, tmp_path: Path) -> None:
    folder = low_resolution(tmp_path / "cameras")
    draw_plate("AB").resize((1000, 900)).save(folder / "crops" / "large.png")
    with open(folder / "plates.csv", "a", encoding="utf-8") as file:
        file.write("crops/large.png,AB-123-CD\ncrops/gone.png,AB-123-CD\n")
    said = score(latin, folder, "--task", "read").output
    assert "8 LR plates to read, no originals" in said
    assert "crops/large.png: 1000×900 px are more than an LR plate has" in said
    results = {result.method: result for result in only_set(latin, "cameras-read-").results()}
    assert set(results) == {"bicubic", "espcn"}  # no originals: no upper bound
    bicubic = results["bicubic"]
    plates, record = bicubic.plates(), bicubic.record
    assert record.test_data is not None and (record.test_data.task, record.test_data.skipped) == ("read", 2)
    assert plates["psnr"].isna().all() and record.scores.best["psnr"].n == 0
    assert (record.scores.best["plate_correct"].mean or 0) > 0.5 and list(plates["height"]) == [128] * 8
    invoke("report", "--results", latin / "results", "--only", "read_table,cross_data")
    report = latin / "results" / "french" / "report"
    table = (report / "read_table.md").read_text()
    assert "PSNR (dB)" not in table and "rapid: Exact-match accuracy (%)" in table and "XLPSR score" in table
    assert "cameras" not in (report / "cross_data.md").read_text()
    assert "all fit" in invoke("verify", latin / "results").output
