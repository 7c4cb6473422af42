"""Plates of another alphabet from end to end, by a list of plates."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from click.testing import Result as Outcome
from plate_lists import latin_text, make_plates
from typer.testing import CliRunner

from benchmark.cli.main import app
from benchmark.results.store import Run

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
