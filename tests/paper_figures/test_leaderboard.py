"""The leaderboard: one table a protocol, ties as ties, everybody named, the same result once."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fake_results import METHODS, PLATES, Fake, make_run
from typer.testing import CliRunner

from benchmark.cli import main
from benchmark.results.bundle_writing import write_bundle
from benchmark.results.store import Run, write_result
from benchmark.scoring.metrics import METRICS
from benchmark.util.errors import UserError
from paper_figures.report import leaderboard

BY_NAME = {fake.name: fake for fake in METHODS}


def bundled(folder: Path, name: str, methods: tuple[Fake, ...], by: str = "", **changes: Any) -> Path:
    """A bundle of these methods, every plate with a number of its own, and a little noise by method."""
    run = make_run(folder / name, methods, **changes)
    for result in run.results():
        table = pd.read_csv(result.folder / "plates.csv", keep_default_na=False)
        noise = np.random.default_rng(len(result.method)).normal(0, 0.02, PLATES)
        table = table.assign(text=[f"皖A1234{i}" for i in range(PLATES)], psnr=table["psnr"] + noise)
        table.to_csv(result.folder / "plates.csv", index=False)
        write_result(result.folder, result.record.as_dict())
    file = folder / f"{name}.bundle.zip"
    write_bundle(run, file, by)
    return file


@pytest.fixture(autouse=True)
def _unverified(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fake results have no identity that could be worked out again."""
    monkeypatch.setattr("benchmark.results.bundle_writing.verify_result", lambda result: SimpleNamespace(problems=[]))


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    mine = replace(BY_NAME["srcnn"], name="mine", title="Mine", psnr=22.0, groups=())
    near = replace(BY_NAME["espcn"], name="msrn-again", title="Near", psnr=20.31, groups=())
    one = bundled(tmp_path, "one", tuple(BY_NAME[name] for name in ("hr", "bicubic", "msrn", "pecl")), by="A <b>")
    two = bundled(tmp_path, "two", (BY_NAME["hr"], BY_NAME["bicubic"], mine, near), by="B")
    other = bundled(tmp_path, "other", (BY_NAME["hr"], BY_NAME["msrn"]), data={"fingerprint": "other"})
    return [one, two, other]


def test_protocols_stand_apart_and_the_same_result_stands_once(files: list[Path]) -> None:
    first, second = leaderboard.boards([*files, files[0]])
    assert [(entry.method, entry.bundle) for entry in second.entries] == [("msrn", "other.bundle.zip")]
    assert [entry.method for entry in first.entries] == ["bicubic", "msrn", "pecl", "mine", "msrn-again"]
    assert first.again == ["Bicubic of two.bundle.zip has the scores of one.bundle.zip and is shown once."]


def test_sentences_say_which_scores_are_medians(files: list[Path]) -> None:
    (first, *_) = leaderboard.boards(files)
    medians = [METRICS[metric].label for metric in leaderboard.SHOWN if METRICS[metric].statistic == "median"]
    assert leaderboard.sentences(first)[0].startswith(f"{', '.join(medians[:-1])} and {medians[-1]}: median ±")


def test_methods_that_the_plates_cannot_tell_apart_share_a_rank(files: list[Path]) -> None:
    board = leaderboard.boards(files)[0]
    shown = leaderboard.table(board)
    rows = {row[0].text: row for row in shown.rows}
    headers = [column.header for column in shown.columns]
    assert next(iter(rows)) == "Mine" and headers[1:3] == ["Rank", "PSNR (dB)"]
    assert rows["Mine"][1].text == "1" and rows["Bicubic"][1].text == "5"
    assert rows["MSRN"][1].text == rows["Near"][1].text == "2="
    assert rows["PECL"][1].text == "4"
    assert rows["Mine"][0].beneath == "B: two.bundle.zip" and rows["MSRN"][0].beneath == "A <b>: one.bundle.zip"
    budget = rows["MSRN"][headers.index("Budget")]
    assert (budget.text, budget.beneath) == ("1,000 × 4, 2,000 plates", "0123456789ab, torch 2.15.0, cpu")


def test_budgets_may_differ_and_are_shown(tmp_path: Path, files: list[Path]) -> None:
    longer = {"train": {"iterations": 9000, "batch_size": 8}}
    more = bundled(tmp_path, "more", (replace(BY_NAME["pecl"], psnr=23.0),), config=longer, iterations=9000)
    board = leaderboard.boards([*files, more])[0]
    budgets = [entry.budget for entry in board.entries if entry.method == "pecl"]
    assert budgets == ["1,000 × 4, 2,000 plates", "9,000 × 8, 2,000 plates"]


def test_a_warm_start_is_part_of_the_budget(tmp_path: Path) -> None:
    start = {"reference": "r", "sha256": "0" * 64, "iterations": 8000, "batch_size": 8, "data": "d", "fingerprint": "f"}
    file = bundled(tmp_path, "warm", (BY_NAME["hr"], BY_NAME["pecl"]), warm_start=start)
    (entry,) = leaderboard.boards([file])[0].entries
    assert entry.budget == "1,000 × 4 after 8,000 × 8 (warm start), 2,000 plates"
    assert entry.row.title == "PECL, warm start"


def test_the_command_writes_a_page_and_its_numbers(tmp_path: Path, files: list[Path]) -> None:
    called = CliRunner().invoke(main.app, ["leaderboard", *map(str, files), "--out", str(tmp_path / "out")])
    assert called.exit_code == 0, called.output
    source = (tmp_path / "out/leaderboard.html").read_text(encoding="utf-8")
    assert source.count("<section") == 2 and "6 results from 3 bundles, under 2 protocols" in source
    assert "A &lt;b&gt;" in source and "A <b>" not in source and "default-src &#39;none&#39;" in source
    assert not re.search(r"(src|href)=[\"'](https?:)?//", source) and len(source) < 100_000
    numbers = pd.read_csv(tmp_path / "out/leaderboard.csv")
    assert len(numbers) == 6 and numbers["protocol"].nunique() == 2
    best = numbers.iloc[0]
    assert (best["method"], best["psnr_rank"], best["by"], best["torch"]) == ("mine", 1, "B", "2.15.0")
    again = CliRunner().invoke(main.app, ["leaderboard", *map(str, files), "--out", str(tmp_path / "again")])
    assert again.exit_code == 0
    assert (tmp_path / "again/leaderboard.html").read_bytes() == (tmp_path / "out/leaderboard.html").read_bytes()


def test_what_is_no_bundle_is_refused_by_name(tmp_path: Path, files: list[Path]) -> None:
    (tmp_path / "no.zip").write_bytes(b"no")
    called = CliRunner().invoke(main.app, ["leaderboard", str(files[0]), str(tmp_path / "no.zip")])
    assert isinstance(called.exception, UserError) and "no.zip cannot be used as a bundle" in str(called.exception)
    assert Run(tmp_path / "one").results()
