"""What a report is drawn with: the same typefaces and settings everywhere, and a folder of the user's choice."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import matplotlib
import pytest
from fake_results import METHODS, make_run
from typer.testing import CliRunner

from benchmark.cli import main
from paper_figures import convergence, cost, plate_height, table1
from paper_figures.common import style
from paper_figures.common.loading import load
from paper_figures.report import builder

ROOT = Path(__file__).parents[2]
FEW = tuple(fake for fake in METHODS if fake.name in ("hr", "bicubic", "espcn", "pecl"))
FIGURES = ("convergence", "cost")


@pytest.fixture(autouse=True)
def few_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "_modules", lambda: {"table1": table1, "convergence": convergence, "cost": cost})


def test_settings_of_the_user_never_reach_a_figure(tmp_path: Path) -> None:
    run = make_run(tmp_path, FEW)

    def drawn() -> dict[str, bytes]:
        folder = builder.build(run, list(FIGURES)).folder
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    plain = drawn()
    odd = {"text.usetex": True, "font.weight": "bold", "lines.marker": "x", "savefig.bbox": "tight",
           "axes.xmargin": 0.4, "axes.facecolor": "red", "figure.autolayout": True, "path.sketch": (1, 100, 2),
           "savefig.transparent": True, "xtick.direction": "in", "pdf.compression": 0}  # fmt: skip
    with matplotlib.rc_context(odd):
        assert drawn() == plain


@pytest.mark.parametrize("content", [b"text.usetex: True\nbackend: nonsense\n", b"\xff\xfe\n"])
def test_backend_and_file_of_the_user_are_not_read(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "matplotlibrc").write_bytes(content)
    code = (
        "from paper_figures.common import style; import matplotlib, os\n"
        "assert not matplotlib.rcParams['text.usetex'] and 'nowhere' in os.environ['MPLBACKEND']\n"
        "with style.style():\n    figure = style.new_figure(1, 1)[0]\n    figure.text(0, 0, '京A', weight='bold')\n"
        "assert style.encode(figure, 'png')\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "module://nowhere.at_all"}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("京A法 net", "京A法 net"),
        ("车牌法", "车牌法"),
        ("車牌超解析", "車牌超解析"),
        ("ナンバープレート 複数", "ナンバープレート 複数"),
        ("京A", "京A"),
        ("Сеть ΨΩ", "Сеть ΨΩ"),
        ("ट्रेन", "espcn"),
        ("네트워크", "네트워크"),
        ("net 🚗", "espcn"),
        ("ทะเบียน", "espcn"),
    ],
)
def test_titles_in_any_script_are_drawn_without_a_warning(tmp_path: Path, title: str, shown: str) -> None:
    fakes = tuple(replace(fake, title=title) if fake.name == "espcn" else fake for fake in FEW)
    results = load(make_run(tmp_path, fakes))
    espcn = results.row("espcn")
    assert espcn is not None and style.label(espcn) == shown
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for module in (convergence, cost, plate_height) if title in ("京A法 net", "net 🚗") else (cost,):
            figure = module.draw(results).figure
            assert figure is not None
            assert style.encode(figure, "png") and style.encode(figure, "pdf")


def test_results_that_are_only_read_are_reported_elsewhere(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", FEW)
    elsewhere = tmp_path / "here" / "report"
    arguments = ["report", "--results", str(run.folder), "--out", str(elsewhere)]
    called = CliRunner().invoke(main.app, arguments)
    assert called.exit_code == 0 and str(elsewhere) in called.output.replace("\n", "")
    assert (elsewhere / "report.html").is_file() and not (run.folder / "report").exists()
    other = make_run(tmp_path / "other", FEW)
    arguments = ["report", "--compare", str(run.folder), str(other.folder), "--out", str(elsewhere)]
    assert CliRunner().invoke(main.app, arguments).exit_code == 0
    assert (elsewhere / "compare-other.csv").is_file() and not (run.folder / "report").exists()


def test_where_nothing_can_be_written_the_option_is_named(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", FEW)
    (run.folder / "report").write_text("in the way")
    called = CliRunner().invoke(main.app, ["report", "--results", str(run.folder)])
    assert called.exit_code and "--out" in str(called.exception or called.output)
