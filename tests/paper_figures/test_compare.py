"""Two runs beside each other: numbers by hand, what may be paired, and every condition that differs."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fake_results import METHODS, PATTERN, PLATES, Fake, make_run, write
from rich.console import Console
from typer.testing import CliRunner

from benchmark.cli import main
from benchmark.results.find_runs import run_at
from benchmark.results.store import Run
from benchmark.util.errors import UserError
from paper_figures.common.tables import Cell, Column, Table
from paper_figures.report import compare, terminal

BY_NAME = {fake.name: fake for fake in METHODS}
FEW = tuple(BY_NAME[name] for name in ("hr", "bicubic", "srcnn", "pecl"))
SHIFTS = PATTERN / 10 + 0.4
"""What SRCNN gains from A to B, plate by plate: 0.4 dB on average."""


def number_plates(run: Run) -> Run:
    """Give every plate a number of its own."""
    for file in run.folder.glob("*/*/plates.csv"):
        pd.read_csv(file).assign(text=[f"皖A1234{i}" for i in range(PLATES)]).to_csv(file, index=False)
    return run


def two_runs(folder: Path, methods: tuple[Fake, ...] = FEW, **changes: Any) -> tuple[Run, Run]:
    """A, and B in which SRCNN gains ``SHIFTS`` and PECL reads two plates more; ``changes`` are B's."""
    a = number_plates(make_run(folder / "a", FEW))
    more = [replace(fake, read=fake.read + 2) if fake.name == "pecl" else fake for fake in methods]
    b = number_plates(make_run(folder / "b", tuple(more), **changes))
    for file in (folder / "b" / "srcnn").glob("*/plates.csv"):
        table = pd.read_csv(file)
        table.assign(psnr=table["psnr"] + SHIFTS).to_csv(file, index=False)
    return a, b


def found(comparison: compare.Comparison, name: str, metric: str = "psnr") -> compare.Difference:
    return next(each for each in comparison.differences if (each.name, each.metric) == (name, metric))


def words(comparison: compare.Comparison, width: int = 80) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    compare.show(comparison, compare.write(comparison), console)
    return console.export_text()


def test_differences_are_paired_by_plate_and_have_an_interval(tmp_path: Path) -> None:
    comparison = compare.compare(*two_runs(tmp_path))
    srcnn = found(comparison, "srcnn")
    assert srcnn.paired and srcnn.interval is not None
    assert (srcnn.a, srcnn.b) == (pytest.approx(18.61), pytest.approx(19.01))
    assert srcnn.interval.value == pytest.approx(0.4) and srcnn.interval.plates == PLATES
    # Of ten differences with a standard deviation of 0.2 the mean is known to about ± 0.12, not to the ± 1.24 of PSNR.
    assert 0.25 < srcnn.interval.low < 0.32 and 0.48 < srcnn.interval.high < 0.55
    pecl = found(comparison, "pecl", "plate_correct")
    assert (pecl.a, pecl.b) == (0.5, 0.7) and pecl.interval and pecl.interval.value == pytest.approx(0.2)
    same = found(comparison, "bicubic")
    assert same.interval and (same.interval.value, same.interval.low, same.interval.high) == (0.0, 0.0, 0.0)


def test_what_is_clear_is_bold_and_infinite_scores_have_no_difference(tmp_path: Path) -> None:
    comparison = compare.compare(*two_runs(tmp_path))
    psnr, _, plates, *_ = compare.to_tables(comparison)
    rows = {row[0].text: row for row in psnr.rows}
    assert [cell.text for cell in rows["SRCNN"][1:4]] == ["18.61", "19.01", "+0.40"] and rows["SRCNN"][3].rank == 1
    assert rows["Bicubic"][3].text == "0.00" and rows["Bicubic"][3].rank == 0
    assert [cell.text for cell in rows["HR (upper bound)"][1:]] == ["∞", "∞", "—", "—"]
    assert [cell.text for cell in {row[0].text: row for row in plates.rows}["PECL"][1:4]] == ["50.0", "70.0", "+20.0"]


@pytest.mark.parametrize("change", [{"fingerprint": "ffff"}, {"protocol": "paper"}, {"fingerprint": ""}])
def test_other_plates_are_not_paired_and_that_is_marked(tmp_path: Path, change: dict[str, Any]) -> None:
    comparison = compare.compare(*two_runs(tmp_path, data=change, schema=1))  # a fingerprint may lack there
    srcnn = found(comparison, "srcnn")
    assert not srcnn.paired and srcnn.interval is not None and math.isnan(srcnn.interval.low)
    assert srcnn.interval.value == pytest.approx(0.4)
    shown = words(comparison)
    assert "+0.40 °" in shown and "° Not comparable plate by plate" in shown and "percentile" not in shown
    assert not found(comparison, "hr").paired and "— °" not in shown


def test_a_method_of_one_run_only_has_no_difference(tmp_path: Path) -> None:
    comparison = compare.compare(*two_runs(tmp_path, (*FEW, BY_NAME["msrn"])))
    msrn = found(comparison, "msrn")
    assert (msrn.a, msrn.b, msrn.interval) == (None, pytest.approx(20.31), None)
    row = next(row for row in compare.to_tables(comparison)[0].rows if row[0].text == "MSRN")
    assert [cell.text for cell in row[1:]] == ["—", "20.31", "—", "—"]


def test_seeds_that_both_have_are_paired(tmp_path: Path) -> None:
    a = number_plates(make_run(tmp_path / "a", FEW))
    b = number_plates(make_run(tmp_path / "b", FEW, seeds=2))
    comparison = compare.compare(a, b)
    srcnn = found(comparison, "srcnn")
    assert srcnn.interval and srcnn.interval.value == 0.0 and srcnn.b == pytest.approx(18.71)  # seed 1 is 0.2 dB better
    assert ("seeds", "0", "0, 1") in comparison.conditions


def hashes(digit: str) -> dict[str, str]:
    """``source`` of a result."""
    return {"training": digit * 64, "scoring": digit * 64}


def test_every_condition_that_differs_is_named(tmp_path: Path) -> None:
    provenance = {"commit": "fedcba", "dirty": True, "versions": {"torch": "2.16.0"}, "hardware": {"device": "H100"}}
    a, b = two_runs(
        tmp_path, data={"fingerprint": "ffff", "train": 9}, provenance=provenance, source=hashes("b"), judge=None,
        config={"preset": "standard",
                "train": {"iterations": 5000, "batch_size": 4, "learning_rate": 1e-3, "recipe": "native"}},
        options={"weights": "learned"}, iterations=5000,
    )  # fmt: skip
    for name in ("srcnn", "pecl"):
        write(a.folder, BY_NAME[name], source=hashes("a"))
    conditions = {what: (one, other) for what, one, other in compare.compare(a, b).conditions}
    assert conditions["data fingerprint"] == ("a1b2c3d4e5f60718", "ffff") and conditions["data train"] == ("2000", "9")
    assert conditions["preset"] == ("quick", "standard") and conditions["train.iterations"] == ("1000", "5000")
    assert conditions["train.recipe"] == ("common", "native") and "train.batch_size" not in conditions
    assert conditions["version of torch"] == ("2.15.0", "2.16.0") and conditions["hardware device"] == ("cpu", "H100")
    assert conditions["commit"] == ("0123456789abcdef", "fedcba") and conditions["OCR engine name"] == ("rapid", "—")
    assert any(what.startswith("source of") and "SRCNN, PECL" in what for what in conditions)
    assert any(what.startswith("options of") for what in conditions)
    shown = words(compare.compare(a, b), 120)
    assert "The OCR engines are not the same" in shown and "Made under different conditions" in shown


def test_equal_conditions_are_said_to_be_equal(tmp_path: Path) -> None:
    assert "No recorded condition differs." in words(compare.compare(*two_runs(tmp_path)))


def test_the_files_hold_what_the_terminal_shows(tmp_path: Path) -> None:
    comparison = compare.compare(*two_runs(tmp_path))
    shown = words(comparison)
    folder = tmp_path / "a" / "report"
    markdown = (folder / "compare-b.md").read_text(encoding="utf-8")
    assert markdown.startswith("# a and b\n") and "| SRCNN | 18.61 | 19.01 | **+0.40** |" in markdown
    assert "A: a. B: b." in shown and "compare-b.csv" in shown.replace("\n", "")
    assert max(len(line.rstrip()) for line in shown.splitlines() if "─" in line or "SRCNN" in line) <= 80
    table = pd.read_csv(folder / "compare-b.csv").set_index(["metric", "method"])
    assert table.loc[("psnr", "srcnn"), "difference"] == pytest.approx(0.4)
    assert bool(table.loc[("psnr", "srcnn"), "paired"]) and table.loc[("psnr", "srcnn"), "plates"] == PLATES


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    odd = replace(BY_NAME["srcnn"], title="a|b <script> [bold]x[/bold]\n车牌")
    a, _ = two_runs(tmp_path)
    b = make_run(tmp_path / "b$ <i>_x", (odd,))
    comparison = compare.compare(a, b)
    assert "a|b <script> [bold]x[/bold] 车牌" in words(comparison, 120)
    markdown = (tmp_path / "a/report/compare-b$ <i>_x.md").read_text(encoding="utf-8")
    assert "<script>" not in markdown and "<i>" not in markdown and r"a\|b" in markdown


def test_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    a, b = make_run(tmp_path / "x/run", FEW), make_run(tmp_path / "y/run", FEW)
    assert compare.compare(a, b).names == ("x/run", "y/run")


def test_problems_and_failures_of_both_runs_are_told(tmp_path: Path) -> None:
    a, b = two_runs(tmp_path)
    (a.folder / "srcnn/seed0/result.json").write_text("{")
    write(b.folder, BY_NAME["pecl"], status="failed", error={"type": "OSError", "message": "disk full"})
    shown = words(compare.compare(a, b), 200)
    assert "In A: srcnn/seed0/result.json cannot be read: " in shown and "In B, failed: PECL seed 0." in shown


def test_runs_are_found_by_name_and_by_path(tmp_path: Path) -> None:
    two_runs(tmp_path)
    assert run_at(tmp_path, "a").folder == tmp_path / "a"
    assert run_at(Path("nowhere"), str(tmp_path / "b")).folder == tmp_path / "b"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--compare", "a", "c"], "no run 'c' in {0} (there are: a, b)"),
        (["--compare", "a", "{0}/../{1}/a"], "are the same run; name two"),
        (["--compare", "a", "{0}"], "holds no finished result yet"),
        (["--compare", "a", "b", "--only", "table1"], "takes neither --run nor --only"),
        (["--compare", "a", "b", "--results", "{0}/none"], "neither a folder nor a name in {0}/none"),
    ],
)
def test_bad_input_is_one_clear_line(tmp_path: Path, arguments: list[str], line: str) -> None:
    two_runs(tmp_path)
    filled = [argument.format(tmp_path, tmp_path.name) for argument in arguments]
    called = CliRunner().invoke(main.app, ["report", "--results", str(tmp_path), *filled])
    assert isinstance(called.exception, UserError)
    assert line.format(tmp_path) in str(called.exception) and "\n" not in str(called.exception)


def test_the_command_prints_and_writes(tmp_path: Path) -> None:
    two_runs(tmp_path)
    called = CliRunner().invoke(main.app, ["report", "--results", str(tmp_path), "--compare", "a", "b"])
    assert called.exit_code == 0 and "+0.40" in called.output and (tmp_path / "a/report/compare-b.md").is_file()


def test_a_comparison_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    comparison = compare.compare(*two_runs(tmp_path))
    (tmp_path / "a/report").write_text("in the way")
    with pytest.raises(UserError, match="cannot write the comparison to"):
        compare.write(comparison)


def test_long_values_do_not_push_the_names_out_of_a_terminal() -> None:
    columns = [Column("Differs", [Cell("data fingerprint")]), *(Column(c, [Cell(c * 64)]) for c in "ab")]
    console = Console(width=80, file=io.StringIO())
    console.print(terminal.table(Table("Conditions", columns)))
    assert isinstance(console.file, io.StringIO)
    assert "data fingerprint" in console.file.getvalue() and "a" * 23 + "…" in console.file.getvalue()
