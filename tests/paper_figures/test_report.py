"""The report, from results whose every number is known (see fake_results)."""

from __future__ import annotations

import json
import math
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fake_results import (
    ABLATION,
    METHODS,
    PATTERN,
    PLATES,
    Fake,
    make_run,
    pecl_options,
    with_characters,
    with_patches,
    with_test_sets,
    write,
)
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Annotation
from rich.console import Console
from test_figures_pictures import make_exhibits, with_samples

import methods
from benchmark.results.find_runs import find_run
from benchmark.results.store import Run
from benchmark.util.errors import UserError
from paper_figures import convergence, plate_height, table1, table1_full
from paper_figures.common import paper, statistics, style, tables, text
from paper_figures.common.loading import load
from paper_figures.common.results import Results
from paper_figures.report import builder, terminal
from paper_figures.report.themes import ORDER

BY_NAME = {fake.name: fake for fake in METHODS}


READINGS = tuple(
    replace(BY_NAME["pecl-printed"], name=name, title=title, groups=("readings",), options=pecl_options(**options))
    for name, title, options in (("pecl-learned", "PECL (learned weights)", {"weights": "learned"}),
                                 ("pecl-renormalised", "PECL (renormalised)", {"weights": "renormalised"}),
                                 ("pecl-release", "PECL (released network)", {"network": "release"}))
)  # fmt: skip
SWEEP = tuple(
    replace(BY_NAME["pecl"], name=f"pecl-weight-{weight}", title=f"PECL, weight {weight}", psnr=20 - i,
            groups=("sweep",), options=pecl_options(w_contrastive=float(weight)))
    for i, weight in enumerate(("1e-4", "1e-3", "1e-2", "1e-1"))
)  # fmt: skip
FEW = {module.NAME: module for module in (table1, table1_full, convergence, plate_height)}
"""Tables and figures for tests of the report itself."""


def build(run: Run, only: str | None = "table1_full", **options: Any) -> builder.Report:
    return builder.build(run, [only] if only else None, **options)


def table(run: Run, suffix: str = "md", **options: Any) -> str:
    build(run, **options)
    return (run.folder / "report" / f"table1_full.{suffix}").read_text(encoding="utf-8")


def cells(markdown: str, title: str, part: int = 0) -> list[str]:
    """The cells of a method's line in the ``part``-th table of the page."""
    lines = [line for line in markdown.splitlines() if re.match(rf"\| {re.escape(title)}(<sup>|\s*\|)", line)]
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", lines[part])[1:-1]]


def csv(run: Run) -> pd.DataFrame:
    build(run, "table1")
    return pd.read_csv(run.folder / "report" / "table1.csv").set_index("method")


def with_texts(run: Run) -> Run:
    """The run with a number of its own for every plate, as intervals need."""
    for file in run.folder.glob("*/*/plates.csv"):
        pd.read_csv(file).assign(text=[f"皖A1234{i}" for i in range(PLATES)]).to_csv(file, index=False)
    return run


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals are statistics' own business, and tested there."""
    monkeypatch.setattr(statistics, "RESAMPLES", 400)


# -- the whole report ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> builder.Report:
    """Everything there is to draw, from results that lack nothing."""
    run = with_samples(make_run(tmp_path_factory.mktemp("runs") / "demo", (*METHODS, *READINGS, *ABLATION, *SWEEP)))
    make_exhibits(run)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "RESAMPLES", 100)
        return builder.build(with_test_sets(with_characters(with_patches(run))))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "_modules", lambda: FEW)


def test_nothing_is_broken_and_nothing_is_missing(whole: builder.Report) -> None:
    for error in whole.broken.values():
        raise error
    assert (whole.missing, whole.problems, whole.left_out) == ([], [], [])
    not_asked_for = {"shipped_weights"}  # of a run that ships some: see tests/results/test_shipped.py
    assert [artefact.name for artefact in whole.artefacts] == [n for n in builder.names() if n not in not_asked_for]
    assert builder.names()[:4] == ["table1", "convergence", "claims", "table1_full"]
    assert set(ORDER) == set(builder.names())


def test_every_artefact_has_its_files_and_nothing_else_is_written(whole: builder.Report) -> None:
    pages = {builder.PAGE, builder.HTML}
    assert {path.name for path in whole.folder.iterdir()} == pages | {f.name for a in whole.artefacts for f in a.files}
    for artefact in whole.artefacts:
        suffixes = {file.suffix for file in artefact.files}
        assert ".csv" in suffixes and (suffixes >= {".pdf", ".png"} or suffixes >= {".md", ".tex"}), artefact.name
        assert all(file.stat().st_size for file in artefact.files)


def test_both_pages_show_every_table_and_figure(whole: builder.Report) -> None:
    page = (whole.folder / builder.PAGE).read_text(encoding="utf-8")
    for part in ("| MSRN |", "](convergence.png)", "[table1.csv](table1.csv)", "0123456789ab", "## Provenance"):
        assert part in page
    assert "## Missing" not in page
    html = (whole.folder / builder.HTML).read_text(encoding="utf-8")
    for artefact in whole.artefacts:
        assert f'<section id="{artefact.name}"' in html and f"\n## {text.markdown(artefact.title)}\n" in page
        assert all(f'href="{file.name}"' in html for file in artefact.files)
    assert html.count('<span class="plot"><img src="data:') == sum(
        any(file.suffix == ".png" for file in artefact.files) for artefact in whole.artefacts
    )
    assert len(html) < 15_000_000


@pytest.mark.usefixtures("few")
def test_equal_results_give_equal_bytes(tmp_path: Path) -> None:
    def content() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in builder.build(run).folder.iterdir()}

    run = make_run(tmp_path / "demo")
    before = content()
    assert content() == before
    assert b"CreationDate" not in before["convergence.pdf"]


@pytest.mark.usefixtures("few")
def test_what_an_earlier_report_left_goes_when_it_can_no_longer_be_drawn(tmp_path: Path) -> None:
    run = make_run(tmp_path, (BY_NAME["bicubic"], BY_NAME["espcn"]))
    folder = builder.build(run).folder
    (folder / "mine.txt").write_text("kept")
    shutil.rmtree(tmp_path / "espcn")
    builder.build(run)
    assert not list(folder.glob("convergence.*")) and (folder / "mine.txt").is_file()
    assert (folder / "table1.csv").is_file()


def test_only_draws_what_is_asked_for(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    assert [path.name for path in build(run, "table1").artefacts[0].files] == ["table1.md", "table1.tex", "table1.csv"]
    assert build(run).page is None and not (tmp_path / "report" / "report.md").exists()
    with pytest.raises(UserError, match="no table or figure 'tabel1'; did you mean table1"):
        build(run, "tabel1")


@pytest.mark.parametrize("width", [80, 140])
def test_the_terminal_table_fits(whole: builder.Report, width: int) -> None:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    terminal.show(whole, console)
    lines = console.export_text().splitlines()
    row = next(line for line in lines if line.strip().startswith("MSRN"))
    assert re.search(r"6\.23M\s+20\.31( ± 2\.00)?\s+19\.78\s+\+0\.53", row)
    assert max(len(line.rstrip()) for line in lines if "─" in line or "MSRN" in line) <= width
    assert "…" not in row


# -- numbers ---------------------------------------------------------------------------------------


def test_medians_deviations_and_differences_are_exact(tmp_path: Path) -> None:
    markdown = table(make_run(tmp_path))
    espcn = cells(markdown, "ESPCN")
    assert espcn == ["ESPCN", "78.8K", "800K", "18.95 ± 2.00", "23.52", "−4.57", "19.45 ± 2.00", "24.11", "−4.66",
                     "20.77", "0.5000"]  # fmt: skip
    assert cells(markdown, "MSRN")[3:6] == ["**20.31 ± 2.00**", "19.78", "+0.53"]
    assert cells(markdown, "PECL")[3] == "<u>20.12 ± 2.00</u>"
    assert cells(markdown, "HR (upper bound)")[3:5] == ["∞", "—"]  # beyond all methods, and not ranked
    assert cells(markdown, "PECL (as printed)")[1:3] == ["1.97M", "2M"]


def test_accuracies_are_means_and_confidence_is_a_median(tmp_path: Path) -> None:
    pecl = cells(table(make_run(tmp_path)), "PECL", 1)
    sd = np.std([0.9] * 5 + [0.1] * 5, ddof=1)
    assert pecl[1:] == [f"**0.500 ± {sd:.3f}**", "0.852", "−0.352", "**50.0**", "**75.0**", "**50.0**"]
    assert cells(table(Run(tmp_path)), "MSRN", 1)[4] == "<u>40.0</u>"


def test_mean_interval_and_iterations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "RESAMPLES", 5000)
    run = with_texts(make_run(tmp_path))
    markdown = table(run)
    results = load(run)
    msrn = results.row("msrn")
    assert msrn is not None
    found = statistics.interval(results.plates_of(msrn), "psnr")
    assert (found.low, found.high) == pytest.approx((20.31 - 1.18, 20.31 + 1.18), abs=0.1)  # 1.96 · 1.9 / √10
    expected = [f"{found.low:.2f} – {found.high:.2f}", "888", "≈281k", "1"]
    assert cells(markdown, "MSRN", 3)[1:] == ["20.31", *expected]
    assert "5,000 resamples of 10 plate texts; one seed" in markdown
    assert cells(markdown, "ESRGAN", 3)[3:5] == ["555", "≈155k"]
    assert cells(markdown, "PECL", 3)[4] == "—"  # the text gives no number
    assert cells(markdown, "Bicubic")[1] == "—" and cells(markdown, "Bicubic", 3)[3] == "—"


def test_seeds_are_pooled(tmp_path: Path) -> None:
    run = make_run(tmp_path, seeds=2)
    both = np.concatenate([20.31 + PATTERN, 20.51 + PATTERN])
    msrn, bicubic = csv(run).loc["msrn"], csv(run).loc["bicubic"]
    assert msrn["psnr_median"] == pytest.approx(np.median(both), abs=1e-4)
    assert msrn["psnr_sd"] == pytest.approx(np.std(both, ddof=1), abs=1e-4)
    assert (msrn["psnr_n"], bicubic["psnr_n"], msrn["seeds"]) == (2 * PLATES, PLATES, "0 1")
    # A second seed does not make it look as if there were twice as many plates.
    wide = csv(with_texts(run)).loc["msrn"]
    assert wide["psnr_mean_high"] - wide["psnr_mean_low"] > 2.2
    words = table(run)
    assert "resamples of 2 seeds (outer level) and 10 plate texts" in words
    assert "seeds 0, 1, the plates of all seeds pooled" in words


def test_the_csv_holds_everything_unrounded(tmp_path: Path) -> None:
    frame = csv(make_run(tmp_path))
    assert frame.loc["espcn", "parameters"] == 78_816
    assert frame.loc["espcn", "psnr_delta"] == pytest.approx(18.95 - 23.52, abs=1e-4)
    assert frame.loc["msrn", "psnr_rank"] == 1 and frame.loc["pecl", "psnr_rank"] == 2
    assert frame["psnr_rank"].notna().sum() == 2
    assert list(frame.index) == [*[m.name for m in METHODS[1:]], "hr"]  # the paper's order, the bound last


def test_ranks_follow_what_is_shown() -> None:
    assert tables.ranks([1.004, 1.0, 0.5, 0.499], 2) == [1, 1, 2, 2]
    assert tables.ranks([3.0, 1.0, 2.0], 1, higher_is_better=False) == [0, 1, 2]
    assert tables.ranks([None, 1.0, math.nan, math.inf], 1) == [0, 0, 0, 0]  # one number: nothing to compare
    assert tables.ranks([2.0, 2.0], 1) == [0, 0]


def test_numbers_read_well() -> None:
    shown = [text.count(n) for n in (57_281, 78_816, 1_971_919, 16_734_915, 999_700, 640, None)]
    assert shown == ["57.3K", "78.8K", "1.97M", "16.7M", "1.00M", "640", "—"]
    assert [text.iterations(n) for n in (640, 1000, 2500, 155_000, 1e6)] == ["640", "1k", "2.5k", "155k", "1000k"]
    assert text.iterations(36.5) == "36.5"
    assert text.number(-0.004, sign=True) == "0.00" and text.number(-1.5) == "−1.50"


# -- the paper's values ----------------------------------------------------------------------------


def test_the_papers_values_have_sources_and_agree_with_the_methods() -> None:
    for (name, metric), value in paper.values().items():
        assert name in methods.names(), name
        if metric == "parameters":
            assert value.value == methods.get(name).method.paper_parameters
    assert paper.parse("~900k") == paper.PaperValue(900_000, "≈900k", True)
    assert paper.value("pecl", "best_iteration") is None
    assert paper.score("pecl", "psnr") == "25.13 ± 2.46" and paper.score("srcnn", "confidence") == "0.665 ± 0.21"
    assert paper.contrast("euclidean")["lowest"] == paper.PaperValue(-0.6, "−0.6", False)


def test_every_score_of_the_papers_table_is_there() -> None:
    columns = ("psnr", "psnr_sd", "psnr_y", "psnr_y_sd", "confidence", "confidence_sd")
    rows = ("bicubic", "srcnn", "msrn", "espcn", "esrgan", "tbsrn", "swinir", "pecl")
    assert all(paper.value(row, column) is not None for row in rows for column in columns)
    assert {row for row, _ in paper.values()} == set(rows)


def test_no_caption_asks_the_reader_to_transcribe(tmp_path: Path) -> None:
    markdown = table(make_run(tmp_path))
    assert "ranscribed" not in markdown and "paper_table1.csv" not in markdown


# -- conventions, footnotes, escapes ---------------------------------------------------------------


def test_the_caption_states_the_conventions(tmp_path: Path) -> None:
    markdown = table(make_run(tmp_path))
    for stated in (
        "rounded to 8 bits", "no border cropped", "full-range BT.601 luma", "antialiased bicubic", "a = −0.5",
        "2,000 training plates", "10 test plates", "a1b2c3d4e5f6", "351 plate boxes", "disjoint",
        "1,000 iterations", "batches of 4", "learning rate 0.001", "preset quick", "best PSNR on the validation",
        "ch_PP-OCRv4_rec_mobile.onnx", "rapid (3.8.1; model ch_PP", "48fc40f24f6d", "168×48", "95 % interval",
    ):  # fmt: skip
        assert stated in markdown, stated
    native = table(make_run(tmp_path / "n", config={"train": {"batch_size": 16, "recipe": "native"}}))
    assert "published recipe" in native


def test_the_papers_protocol_is_called_optimistic(tmp_path: Path) -> None:
    markdown = table(make_run(tmp_path, data={"protocol": "paper"}))
    assert "best PSNR on the test plates, which is optimistic" in markdown and "as in the paper" not in markdown
    assert "at random" in markdown and "not test plates" not in markdown


def test_footnotes_are_numbered_once_in_the_order_of_rows(tmp_path: Path) -> None:
    markdown = table(make_run(tmp_path))
    assert cells(markdown, "ESRGAN")[0] == "ESRGAN<sup>1</sup>"
    assert cells(markdown, "PECL (as printed)")[0] == "PECL (as printed)<sup>2,3</sup>"
    assert markdown.count("The embedder is random.") == 1


HOSTILE = r"a|b_c & $x$ {y} #1 50% ~^\ <script> [l](http://e) *s* `q`" + "\nnext 皖"


@pytest.mark.usefixtures("few")
def test_hostile_text_stays_text(tmp_path: Path) -> None:
    run = make_run(tmp_path, (*METHODS[:2], replace(BY_NAME["espcn"], title=HOSTILE, notes=(HOSTILE,))))
    build(run, None)
    markdown = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    row = next(line for line in markdown.splitlines() if line.startswith(r"| a\|b"))
    assert (
        len(re.split(r"(?<!\\)\|", row))
        == len(re.split(r"(?<!\\)\|", markdown.split("| Bicubic")[1].split("\n")[0])) + 1
    )
    assert "<script>" not in markdown and "[l](" not in markdown and "http://e" not in markdown
    latex = (tmp_path / "report" / "table1_full.tex").read_text(encoding="utf-8")
    escaped = (
        r"a\textbar{}b\_c \& \$x\$ \{y\} \#1 50\% \textasciitilde{}\textasciicircum{}\textbackslash{} \textless{}script"
    )
    assert latex.count(escaped) == 5  # four tables, the footnote
    assert csv(run).loc["espcn", "title"] == HOSTILE
    console = Console(width=140, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    terminal.show(build(make_run(tmp_path / "m", (replace(BY_NAME["espcn"], title="[bold]x[/bold]"),))), console)
    assert "[bold]x[/bold]" in console.export_text()


def test_the_latex_is_well_formed(tmp_path: Path) -> None:
    latex = table(make_run(tmp_path), "tex")
    assert r"\textcolor{red}{\textbf{20.31 $\pm$ 2.00}}" in latex
    assert r"\textcolor{blue}{\textbf{\underline{20.12 $\pm$ 2.00}}}" in latex
    assert latex.count("{") == latex.count("}") and latex.count("$") % 2 == 0
    assert all(
        latex.count(rf"\begin{{{e}}}") == latex.count(rf"\end{{{e}}}") for e in ("tabular", "table*", "minipage")
    )
    for tabular in latex.split(r"\begin{tabular}")[1:]:
        columns = len(re.match(r"\{@\{\}(l?r*)@\{\}\}", tabular)[1])  # type: ignore[index]
        rows = [line for line in tabular.split(r"\end{tabular}")[0].splitlines() if line.endswith(r"\\")]
        assert len(rows) == len(METHODS) + 1
        assert {line.count(" & ") for line in rows} == {columns - 1}
        assert tabular.count(r"\midrule") == 2  # under the head, above the bound


# -- incomplete and damaged results ----------------------------------------------------------------


def test_what_is_missing_comes_with_its_command(tmp_path: Path) -> None:
    run = make_run(tmp_path, (BY_NAME["bicubic"], BY_NAME["espcn"]))
    what, command = build(run).missing[0]
    assert what == "no result of SRCNN, MSRN, ESRGAN, TBSRN, SwinIR, PECL"
    assert command == (
        "python -m benchmark run --methods srcnn,msrn,esrgan,tbsrn,swinir,pecl --preset quick --results out"
        " --iterations 1000 --batch-size 4"
    )
    built = builder.build(run, ["table1", "readings"])  # which also shows other readings of PECL
    assert "pecl,pecl-printed,pecl-learned,pecl-renormalised,pecl-release" in built.missing[0].command


def test_failures_are_listed_with_their_error(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    write(
        tmp_path, BY_NAME["srcnn"], status="failed", error={"type": "NonFiniteLoss", "message": "the loss | became nan"}
    )
    built = build(run)
    assert [m.what for m in built.missing] == ["SRCNN, seed 0, failed: NonFiniteLoss: the loss | became nan"]
    assert "--methods srcnn " in built.missing[0].command
    assert "srcnn" not in csv(run).index


def test_tables_say_so_where_methods_have_different_seeds(tmp_path: Path) -> None:
    run = make_run(tmp_path, seeds=2)
    assert "same seeds" not in table1_full.draw(load(run)).words
    shutil.rmtree(tmp_path / "srcnn" / "seed1")
    assert "Not all methods were trained with the same seeds" in table1_full.draw(load(run)).words


def test_a_seed_that_only_some_methods_have_is_missed(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    write(tmp_path, BY_NAME["espcn"], seed=1)
    missing = build(run).missing
    (lacking,) = missing
    assert lacking.what.startswith("no seed 1 of SRCNN, MSRN, ESRGAN, ") and "ESPCN" not in lacking.what
    assert lacking.command.startswith("python -m benchmark run --seeds 2 --methods srcnn,msrn,esrgan,")


def test_half_written_results_are_named_and_the_rest_is_shown(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    (tmp_path / "srcnn/seed0/result.json").write_text('{"schema": 1, "met')
    (tmp_path / "espcn/seed0/plates.csv").write_text("index,psnr\n0,18.0\n")
    (tmp_path / "msrn/seed0/plates.csv").unlink()
    (tmp_path / "tbsrn/seed0/history.csv").write_text("a,b\n1,2\n")
    (tmp_path / "swinir/seed0/history.csv").write_text("")
    info = json.loads((tmp_path / "pecl/seed0/result.json").read_text())
    (tmp_path / "pecl/seed0/result.json").write_text(json.dumps({**info, "config": None}))
    built = build(run)
    assert built.problems == [
        "pecl/seed0/result.json cannot be read: it does not fit its schema: config: is not an object",
        "srcnn/seed0/result.json cannot be read: Unterminated string starting at: line 1 column 15 (char 14)",
        "espcn seed 0 cannot be used: plates.csv has 1 of 10 plates",
        "msrn seed 0 cannot be used: plates.csv is missing or lacks the scores",
        "tbsrn seed 0 cannot be used: history.csv lacks the columns iteration and val_psnr",
    ]
    assert set(csv(run).index) == {"bicubic", "esrgan", "swinir", "pecl-printed", "hr"}
    assert "SRCNN, MSRN, ESPCN, TBSRN, PECL" in built.missing[0].what


def test_nothing_to_show_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no results folder"):
        find_run(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no finished result yet"):
        build(Run(tmp_path))
    write(tmp_path, BY_NAME["espcn"], status="failed", error={"type": "OSError", "message": "disk full"})
    with pytest.raises(UserError, match=r"only failures; the first: espcn: OSError: disk full"):
        build(Run(tmp_path))
    (tmp_path / "espcn/seed0/result.json").write_text("{")
    with pytest.raises(UserError, match=r"no usable result; the first: espcn/seed0/result\.json cannot be read"):
        build(Run(tmp_path))


@pytest.mark.usefixtures("few")
def test_a_report_says_what_it_is_at(tmp_path: Path) -> None:
    steps: list[str] = []
    builder.build(make_run(tmp_path), begin=steps.append)
    titles = list(builder.titles().values())
    drawn = [f"drawing {i} of {len(titles)}: {title}" for i, title in enumerate(titles, 1)]
    assert steps == [
        "finding the tables and figures", "reading the results", *drawn, "writing the files", "writing the pages"
    ]  # fmt: skip


def test_a_report_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    (tmp_path / "report").write_text("in the way")
    with pytest.raises(UserError, match="cannot write the report to"):
        build(run)


def test_without_an_ocr_engine_there_is_no_reading_table(tmp_path: Path) -> None:
    run = make_run(tmp_path, ocr=False)
    markdown = table(run)
    assert "OCR confidence" not in markdown and "No plate was read" in markdown
    assert not any(column.startswith(("confidence", "plate_correct")) for column in csv(run))


def test_plates_without_a_number_mark_their_cell(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    damage(tmp_path / "msrn", psnr=[np.nan] + [20.0] * (PLATES - 1))
    damage(tmp_path / "tbsrn", psnr=[np.nan] * PLATES)
    markdown = table(run)
    assert cells(markdown, "MSRN")[3] == "<u>20.00 ± 0.00</u><sup>\\*</sup>"
    assert cells(markdown, "TBSRN")[3:6] == ["—<sup>\\*</sup>", "23.76", "—"]
    assert "MSRN, PSNR: 1 of 10; TBSRN, PSNR: 10 of 10" in markdown


def damage(method: Path, **columns: Any) -> None:
    file = method / "seed0" / "plates.csv"
    pd.read_csv(file).assign(**columns).to_csv(file, index=False)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"data": {"fingerprint": "ffff00001111"}}, "data ffff00001111"),
        ({"data": {"protocol": "paper"}}, "protocol paper"),
        ({"iterations": 500}, "iterations 500"),
        ({"config": {"train": {"batch_size": 16, "learning_rate": 1e-3, "recipe": "common"}}}, "batch_size 16"),
        ({"judge": None}, "OCR engine none"),
    ],
)
def test_rows_of_other_conditions_are_refused_or_marked(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    run = make_run(tmp_path)
    write(tmp_path, BY_NAME["srcnn"], **change)
    with pytest.raises(UserError) as refusal:
        build(run)
    assert f"srcnn seed 0 ({named})" in str(refusal.value) and "\n" not in str(refusal.value)
    markdown = table(run, allow_mixed=True)
    assert cells(markdown, "SRCNN")[0] == "SRCNN<sup>‡</sup>"
    assert "1,000 iterations, batches of 4" in markdown and "fingerprint a1b2c3d4e5f6" in markdown  # the usual ones
    assert f"‡ Made under other conditions than the rest, not comparable: SRCNN ({named})" in markdown


def test_a_broken_method_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods, "unavailable", lambda: {"swinir": "ImportError: no timm"})
    problems = build(make_run(tmp_path, (BY_NAME["espcn"],))).problems
    assert problems == ["methods in swinir.py are unavailable: ImportError: no timm"]


def test_stale_rows_get_a_dagger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path)
    monkeypatch.setattr("paper_figures.common.loading.is_stale", lambda record: record.method == "esrgan")
    build(run)
    markdown = (tmp_path / "report" / "table1_full.md").read_text(encoding="utf-8")
    assert cells(markdown, "ESRGAN")[0] == "ESRGAN<sup>1,†</sup>"
    assert "† Made by another version of method, training or scoring" in markdown


# -- convergence -----------------------------------------------------------------------------------


def drawn(run: Run) -> tuple[Results, Any]:
    results = load(run)
    return results, convergence.draw(results)


def test_convergence_csv_holds_points_and_curves(tmp_path: Path) -> None:
    results, drawing = drawn(make_run(tmp_path, seeds=2))
    points = drawing.data[drawing.data["panel"] == "test"].set_index("method")
    assert points.loc["msrn", "iteration"] == 888 and points.loc["msrn", "seed"] == "pooled"
    assert points.loc["msrn", "psnr"] == results.row("msrn").scores["psnr"].median  # type: ignore[union-attr]
    assert points.loc["bicubic", "psnr"] == pytest.approx(18.02)
    theirs = drawing.data[drawing.data["panel"] == "paper"].set_index("method")[["iteration", "psnr"]]
    assert theirs.loc["esrgan"].tolist() == [155_000, 18.76] and theirs.loc["msrn"].tolist() == [281_000, 19.78]
    assert not {"srcnn", "pecl"} & set(theirs.index)
    curves = drawing.data[drawing.data["panel"] == "validation"]
    assert len(curves) == len(results.history) and 0 in set(curves["iteration"])


def test_seeds_are_averaged_only_where_all_have_a_number() -> None:
    history = pd.DataFrame(
        {"seed": [0, 0, 0, 1, 1], "iteration": [1, 2, 3, 1, 2], "val_psnr": [10.0, 12.0, 14.0, 12.0, math.nan]}
    )
    curve = convergence.mean_curve(history)
    assert curve[1] == 11.0 and math.isnan(curve[2]) and math.isnan(curve[3])


def overlaps(drawing: Any) -> list[tuple[str, str]]:
    """Pairs of labels that lie over each other, and labels that leave the page."""
    figure = drawing.figure
    renderer = FigureCanvasAgg(figure).get_renderer()
    labels = [t for axes in figure.axes for t in axes.texts if isinstance(t, Annotation)]
    boxes = [(t.get_text(), t.get_window_extent(renderer)) for t in labels]
    found = [(a, b) for i, (a, one) in enumerate(boxes) for b, other in boxes[:i] if one.overlaps(other)]
    page = figure.bbox
    return found + [(a, "page") for a, box in boxes if box.x1 > page.x1 or box.y0 < page.y0 or box.y1 > page.y1]


@pytest.mark.parametrize(("count", "seeds"), [(9, 1), (20, 1), (9, 2)])
def test_labels_never_overlap(tmp_path: Path, count: int, seeds: int) -> None:
    crowd = tuple(
        replace(BY_NAME["pecl"], name=f"m{i:02}", title=f"Method number {i}", psnr=19 + 0.01 * i, best=1000)
        for i in range(count)
    )
    _, drawing = drawn(make_run(tmp_path, (BY_NAME["bicubic"], *crowd), seeds=seeds))
    assert overlaps(drawing) == []


def test_spread_moves_as_little_as_possible() -> None:
    assert style.spread([1.0, 5.0, 9.0], 2.0, 0.0, 10.0) == [1.0, 5.0, 9.0]
    assert style.spread([5.0, 5.0, 5.0], 2.0, 0.0, 10.0) == [3.0, 5.0, 7.0]
    assert style.spread([10.0, 9.0], 2.0, 0.0, 10.0) == [10.0, 8.0]
    assert style.spread([0.0, 0.0, 0.0], 9.0, 0.0, 10.0) == [0.0, 5.0, 10.0]  # more than fits: shared out
    assert style.spread([], 1.0, 0.0, 1.0) == []


def test_odd_histories_are_drawn_and_named(tmp_path: Path) -> None:
    never = replace(BY_NAME["pecl"], best=0)
    long = replace(BY_NAME["espcn"], title="An unreasonably long title of $a$ method_1")
    run = make_run(tmp_path, (BY_NAME["bicubic"], never, long, BY_NAME["msrn"]))
    file = tmp_path / "msrn/seed0/history.csv"
    history = pd.read_csv(file)
    history.loc[3, "val_psnr"] = math.nan
    history.to_csv(file, index=False)
    (tmp_path / "espcn/seed0/history.csv").unlink()
    results, drawing = drawn(run)
    assert results.problems == [f"msrn seed 0: validation PSNR is not a number at iteration {history.iteration[3]}"]
    assert "Never better than untrained, so drawn at iteration 1: PECL" in drawing.words
    assert "Gaps are validations" in drawing.words and overlaps(drawing) == []
    assert style.shorten(long.title) in {words.get_text() for words in drawing.figure.axes[1].texts}
    assert style.shorten(long.title) == long.title[: style.LONGEST - 1].rstrip() + "…"


@pytest.mark.usefixtures("few")
def test_without_a_trained_method_the_figure_is_missing(tmp_path: Path) -> None:
    built = build(make_run(tmp_path, (BY_NAME["bicubic"], BY_NAME["hr"])), None)
    assert [artefact.name for artefact in built.artefacts] == ["table1", "table1_full", "plate_height"]
    assert any("no trained method has a result" in missing.what for missing in built.missing)
    assert "Nothing here was trained" in (tmp_path / "report" / "table1_full.md").read_text(encoding="utf-8")


def test_one_method_alone_is_shown_unranked(tmp_path: Path) -> None:
    run = make_run(tmp_path, (BY_NAME["espcn"],))
    assert overlaps(drawn(run)[1]) == []
    assert cells(table(run), "ESPCN")[3] == "18.95 ± 2.00"


def test_plugin_methods_follow_the_papers(tmp_path: Path) -> None:
    mine = Fake("my_method", "Mine", 10, 25.0, best=1000)
    frame = csv(make_run(tmp_path, (mine, *METHODS)))
    assert list(frame.index)[-2:] == ["my_method", "hr"]
    assert frame.loc["my_method", "psnr_rank"] == 1


def test_titles_are_listed() -> None:
    assert builder.titles()["table1"] == table1.TITLE
