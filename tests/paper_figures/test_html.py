"""The report's page: one file, nothing fetched, and text from results stays text (see test_html_browser for clicks)."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
import re
import shlex
import webbrowser
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fake_results import METHODS, make_run, with_end
from PIL import Image
from test_figures_pictures import FEW, with_samples
from typer.testing import CliRunner

from benchmark.cli import main
from benchmark.results.store import Run
from benchmark.util.errors import UserError
from paper_figures import claims, convergence, table1, table1_full
from paper_figures.common import commands
from paper_figures.common.drawing import Drawing
from paper_figures.common.loading import load
from paper_figures.common.tables import Cell, Column, Table
from paper_figures.report import builder, headline, html, image_browser, sections, themes
from paper_figures.report.content import Artefact
from paper_figures.report.image_browser import Letter, Picture

BY_NAME = {fake.name: fake for fake in METHODS}
FIGURES = {module.NAME: module for module in (table1, convergence, claims, table1_full)}
"""Enough of the report for a page; all of it is drawn in test_report."""


@pytest.fixture(autouse=True)
def few_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "_modules", lambda: {"table1": table1})


class Page(HTMLParser):
    """Tags, attributes and text of a page, and what each script and style element holds."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.inline: dict[str, list[str]] = {"script": [], "style": []}
        self.words: list[str] = []
        self._open = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attributes]
        self._open = tag

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open in self.inline:
            self.inline[self._open].append(data)
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words))

    def values(self, tag: str, name: str) -> list[str]:
        return [value for t, n, value in self.attributes if (t, n) == (tag, name)]


def page(run: Run, **options: Any) -> str:
    built = builder.build(run, **options)
    assert built.broken == {} and built.html is not None
    return built.html.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builder, "_modules", lambda: FIGURES)
        yield page(with_samples(make_run(tmp_path_factory.mktemp("runs") / "demo")))


# -- one file, no network --------------------------------------------------------------------------


def test_the_page_refers_to_nothing_but_itself_and_the_files_beside_it(source: str) -> None:
    found = Page(source)
    kinds = ("data:image/webp;base64,", "data:image/png;base64,")
    assert all(value.startswith(kinds) for value in found.values("img", "src"))
    links = found.values("a", "href")
    assert {link for link in links if not link.startswith("#")} == {
        *(f"claims.{s}" for s in ("md", "tex", "csv")),
        *(f"{table}.{s}" for table in ("table1", "table1_full") for s in ("md", "tex", "csv")),
        *(f"convergence.{s}" for s in ("csv", "pdf", "png")),
    }
    ids = [value for _, name, value in found.attributes if name == "id"]
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids) and len(ids) == len(set(ids))
    assert not re.search(r"(src|href|url\()\s*=?\s*[\"']?(https?:)?//", source)
    assert len(source) < 2_000_000


def test_the_policy_allows_one_script_and_one_style_by_their_hashes(source: str) -> None:
    found = Page(source)
    policy = next(value for value in found.values("meta", "content") if value.startswith("default-src"))
    for kind in ("script", "style"):
        (content,) = found.inline[kind]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'; img-src data:; font-src data:;" in policy
    assert "unsafe" not in policy and "http" not in policy
    # What the policy would drop silently is not in the page.
    assert not [name for _, name, _ in found.attributes if name == "style" or name.startswith("on")]


HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)> a_b$&% </style> {{ 7*7 }} {% x %} 车牌 `c` [l](http://e)"


def test_text_from_results_stays_text(tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "_modules", lambda: FIGURES)
    hostile = replace(BY_NAME["pecl"], title=HOSTILE, notes=(HOSTILE,))
    folder = tmp_path / "<i>run & 'co'"
    run = with_samples(
        make_run(
            folder, (*FEW[:3], hostile), provenance={"command": HOSTILE, "commit": HOSTILE}, data={"name": HOSTILE}
        )
    )
    file = folder / "pecl/seed0/plates.csv"
    pd.read_csv(file).assign(read=HOSTILE, text=HOSTILE, name=HOSTILE).to_csv(file, index=False)
    error = {"type": HOSTILE, "message": HOSTILE}
    info = json.loads((folder / "srcnn/seed0/result.json").read_text())
    (folder / "srcnn/seed0/result.json").write_text(json.dumps({**info, "status": "failed", "error": error}))
    plain, odd = Page(source), Page(page(run))
    assert odd.tags["script"] == odd.tags["style"] == 1
    assert set(odd.tags) <= {*plain.tags, "ul"}  # the list of what is missing
    assert not [name for _, name, _ in odd.attributes if name.startswith("on") or name == "style"]
    assert not [v for _, name, v in odd.attributes if name in ("src", "href") and not v.startswith(("data:", "#"))
                and not re.fullmatch(r"\w+\.\w+", v)]  # fmt: skip
    shown = HOSTILE.replace("\n", " ")
    assert odd.text.count(shown) > 5 and "<i>run & 'co'" in odd.text
    assert "{{ 7*7 }}" in odd.text


def test_the_file_is_the_same_every_time(tmp_path: Path) -> None:
    run = with_samples(make_run(tmp_path / "run", FEW))
    assert page(run) == page(run)


# -- head ------------------------------------------------------------------------------------------


def test_the_head_says_who_is_first_and_what_became_of_the_claims(source: str) -> None:
    words = Page(source).text
    assert (
        "Of 9 methods, MSRN has the highest median PSNR (20.31 dB) and PECL has the highest exact-match accuracy "
        "(50.0 %). PECL comes second in PSNR (20.12 dB) and first in exact-match accuracy (50.0 %). Of the paper’s 30 "
        "claims, " in words
    )
    assert "synthetic, disjoint split" in words and "2,000 / 32 / 10 training / validation / test plates" in words
    assert "1,000 iterations" in words and "rapid and crnn" in words and "commit 0123456789ab" in words


def test_ties_and_single_methods_are_told_as_that(tmp_path: Path) -> None:
    tied = [replace(BY_NAME[n], psnr=20.0) for n in ("msrn", "tbsrn", "pecl")] + [BY_NAME["espcn"]]
    sentence = headline.sentence(load(make_run(tmp_path / "tied", tuple(tied), ocr=False)))
    assert sentence == (
        "Of 4 methods, MSRN, TBSRN and PECL share the highest median PSNR (20.00 dB). "
        "PECL comes first with others in PSNR (20.00 dB)."
    )
    both = load(with_end(make_run(tmp_path / "both")))
    count = len(both.competitors) - 1  # ESRGAN has two rows
    assert headline.sentence(both).startswith(f"Of {count} methods, ")
    assert next(fact.value for fact in headline.facts(both, 0, 0) if fact.name == "Methods") == str(count)
    alone = headline.sentence(load(make_run(tmp_path / "alone", (BY_NAME["pecl"],))))
    assert alone == "PECL: median PSNR 20.12 dB, exact-match accuracy 50.0 %."


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["holds"], "Of the paper’s 1 claim, 1 holds."),
        (["does not hold", "holds", "holds"], "Of the paper’s 3 claims, 2 hold and 1 does not hold."),
        (["not decidable here", "does not hold", "does not hold", "holds"],
         "Of the paper’s 4 claims, 1 holds, 2 do not hold and 1 is not decidable here."),
        (["not decidable here"] * 2, "Of the paper’s 2 claims, 2 are not decidable here."),
    ],
)  # fmt: skip
def test_verdicts_are_counted_in_a_sentence(tmp_path: Path, verdicts: list[str], expected: str) -> None:
    results = load(make_run(tmp_path, (BY_NAME["pecl"],), ocr=False))
    assert headline.sentence(results, Drawing(pd.DataFrame({"verdict": verdicts}), "")).endswith(expected)


def test_places_have_endings() -> None:
    numbers = [headline._ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 20, 21, 22, 103, 111)]
    assert numbers == [
        "first",
        "second",
        "third",
        "4th",
        "11th",
        "12th",
        "13th",
        "20th",
        "21st",
        "22nd",
        "103rd",
        "111th",
    ]


# -- order -----------------------------------------------------------------------------------------


def test_the_page_opens_with_what_people_came_for(source: str) -> None:
    shown = re.findall(r'<section id="(\w+)"', source)
    assert shown[:6] == ["table1", "glance", "convergence", "claims", "table1_full", "plates"]
    assert shown[-1] == "provenance"
    titles = re.findall(r'<h2 class="part" id="[\w-]+">([\w ]+)</h2>', source)
    assert titles == ["Scores compared", "Pictures", "About this report"]
    contents = source.split('<nav aria-label="Contents">')[1].split("</nav>")[0]
    assert re.findall(r'href="#(\w+)"', contents) == shown


def test_every_table_and_figure_has_one_place() -> None:
    named = [name for names in themes.THEMES.values() for name in names]
    assert len(set(named) | set(themes.FIRST)) == len(named) + len(themes.FIRST)
    assert themes.theme("of_a_plugin") == themes.OTHERS and themes.theme("table1") == ""


def test_one_row_shows_a_plate_of_median_size_by_every_method(source: str) -> None:
    row = source.split('<section id="glance"')[1].split("</section>")[0]
    assert re.findall(r'data-key="([\w/-]+)"', row) == ["/lr", *(m.name for m in METHODS[1:-1]), "hr"]
    assert set(re.findall(r'href="#plate-(\d+)"', row)) == {"3"}
    assert row.count('class="letters"') <= row.count("<figure") and '<small class="engine">' not in row


# -- sections --------------------------------------------------------------------------------------


def test_the_full_table_keeps_the_bound_apart_and_links_its_footnotes(source: str) -> None:
    table = source.split('<section id="table1_full"')[1].split("</table>")[0]
    bodies = table.split("<tbody>")[1:]
    assert len(bodies) == 2 and "HR (upper bound)" in bodies[1] and "MSRN" in bodies[0]
    assert re.search(r'ESRGAN<sup><a href="#table1_full-note-1" aria-label="footnote 1">1</a></sup>', bodies[0])
    assert '<li id="table1_full-note-1">The perceptual network is random.</li>' in source
    assert re.search(r'rank1">\s*<span class="shown">20.31</span><small> ± 2.00</small>', bodies[0])


def test_claims_say_their_verdict_in_words(source: str) -> None:
    section = source.split('<section id="claims"')[1].split("</section>")[0]
    badges = re.findall(r'class="badge (\w+)"><span aria-hidden="true">(.)</span> ([\w ]+)</span>', section)
    kinds = {"holds": ("holds", "✓"), "does not hold": ("fails", "✗"), "not decidable here": ("open", "?")}
    kinds["not decidable at this budget"] = ("open", "?")
    assert len(badges) == len(claims.CLAIMS) and all(kinds[words] == (kind, sign) for kind, sign, words in badges)
    assert "<b>Contradicted by Table 1: OCR confidence: PECL 0.852 &lt; TBSRN 0.855.</b>" in section
    assert "PECL is first in PSNR." in section and 'href="#table1"' in section
    assert "ablation_psnr (not in this report)" in section


def test_a_claim_folds_open_to_a_small_table(source: str) -> None:
    claim = source.split('<details class="claim" id="claim-5">')[1].split("</details>")[0]
    assert "best first" not in claim and claim.count('<table class="data">') == 2
    found = Page(claim.split("</table>")[0])
    assert found.tags["th"] == 4 + 1 + 7  # PSNR, PSNR_Y and two confidences, against seven others
    assert "PECL − Bicubic" in found.text and "✓" in Page(claim).text and "✓ as stated" in Page(claim).text


def test_every_table_and_figure_has_its_csv_and_the_command_that_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "results" / "demo run", FEW)
    page(Run(tmp_path / "results" / "demo run"))
    file = tmp_path / "results/demo run/report/table1.csv"
    before = file.read_bytes()
    section = (file.parent / "report.html").read_text(encoding="utf-8").split('<section id="table1"')[1]
    command = re.search(r'<code class="command">(.*?)</code>', section, re.DOTALL)
    assert command and '<a href="table1.csv">' in section
    line = Page(command[1]).text
    assert line == "python -m benchmark report --run 'demo run' --only table1"
    file.unlink()
    assert CliRunner().invoke(main.app, shlex.split(line)[3:]).exit_code == 0
    assert file.read_bytes() == before


def test_the_command_says_where_an_unusual_run_and_report_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    start = "python -m benchmark report --results"
    assert commands.report_command(tmp_path / "a/b", Path("out"), True) == f"{start} a/b --out out --allow-mixed"
    elsewhere = commands.report_command(Path("/home/somebody/runs/b"), None, False)
    assert shlex.split(elsewhere)[-1] == "~/runs/b"


@pytest.mark.parametrize("answer", [True, False, webbrowser.Error("none")])
def test_the_page_is_opened_in_the_browser_if_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bool | Exception
) -> None:
    opened: list[str] = []

    class Browser:
        def open(self, address: str) -> bool:
            opened.append(address)
            return bool(answer)

    def get() -> Browser:
        if isinstance(answer, Exception):
            raise answer
        return Browser()

    monkeypatch.setattr(webbrowser, "get", get)
    run = make_run(tmp_path / "run", FEW)
    called = CliRunner().invoke(main.app, ["report", "--results", str(run.folder), "--open"])
    address = (run.folder / "report" / "report.html").as_uri()
    assert called.exit_code == 0 and opened == [address] * (not isinstance(answer, Exception))
    assert ("there is no browser here: the page lies at" in called.output) == (answer is not True)


def test_only_a_whole_report_can_be_opened(tmp_path: Path) -> None:
    called = CliRunner().invoke(main.app, ["report", "--results", str(tmp_path), "--open", "--only", "table1"])
    assert isinstance(called.exception, UserError) and "--open shows the page" in str(called.exception)


def test_conditions_are_folded_away(source: str) -> None:
    section = source.split('<section id="convergence"')[1].split("</section>")[0]
    shown, folded = section.split('<details class="conditions">')
    assert "Above: mean PSNR" in shown and "Budget, equal for all" not in shown
    assert "<p>Budget, equal for all" in folded and "<p>Data: synthetic" in folded


def test_gaps_are_listed_by_the_command_that_fills_them(tmp_path: Path) -> None:
    source = page(make_run(tmp_path, FEW, ocr=False))
    section = source.split('<section id="missing"')[1].split("</section>")[0]
    assert "no result of MSRN, ESPCN" in section
    command = re.search(r'<code class="command">(.*?)</code>', section, re.DOTALL)
    assert command and re.sub("<.*?>", "", command[1]).startswith("python -m benchmark run --methods msrn,espcn,")


def test_provenance_has_fingerprints_versions_hardware_and_clocks(tmp_path: Path) -> None:
    source = {"training": "f" * 64, "scoring": "e" * 64}
    run = make_run(tmp_path, FEW, clocks={"training": 3725.4, "validation": 61, "scoring": 4.21}, source=source)
    words = Page(page(run)).text
    for stated in (
        "fingerprint a1b2c3d4e5f60718", "SHA-256 48fc40f24f6d2a20", "SHA-256 90abcdef12345678", "torch 2.15.0",
        "device cpu", "1 h 2 min", "1 min 1 s", "4.2 s", f"training {'f' * 12}, scoring {'e' * 12}",
        "python -m benchmark run --methods all",
    ):  # fmt: skip
        assert stated in words, stated


def test_provenance_that_says_nothing_is_shown_as_unknown(tmp_path: Path) -> None:
    words = Page(page(make_run(tmp_path, FEW, provenance={}, clocks={"scoring": math.pi}))).text
    assert "not in a checkout" in words and "3.1 s" in words


# -- plates ----------------------------------------------------------------------------------------


def decoded(picture: Picture) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(base64.b64decode(picture.source.split(",")[1]))))


def test_the_album_shows_lr_hr_and_every_method_pixel_by_pixel(tmp_path: Path) -> None:
    results = load(with_samples(make_run(tmp_path / "run", FEW)))
    album = image_browser.album(results)
    assert [plate.index for plate in album.plates] == [0, 3, 7] and album.more == 0
    plate = album.plates[2]
    assert (plate.truth, plate.width, plate.height) == ("皖A12345", 168, 104)
    assert [p.key for p in plate.pictures] == ["/lr", "hr", "bicubic", "srcnn", "pecl", "pecl-printed"]
    lr, hr = decoded(plate.pictures[0]), decoded(plate.pictures[1])
    assert np.array_equal(lr, np.random.default_rng(7).integers(0, 256, (13, 21, 3), dtype=np.uint8))
    assert np.array_equal(hr, np.random.default_rng(107).integers(0, 256, (104, 168, 3), dtype=np.uint8))
    assert len(np.unique(decoded(plate.pictures[4]))) == 1
    assert [p.key for p in plate.pictures if p.best] == ["pecl"]
    assert album.first_choice() == ("bicubic", "pecl")
    assert plate.pictures[4].alt(plate).startswith("PECL of plate 7: 皖A12345, PSNR")


def test_wrong_and_lost_characters_are_told_from_right_ones(tmp_path: Path) -> None:
    run = with_samples(make_run(tmp_path / "run", FEW))
    file = run.folder / "pecl/seed0/plates.csv"
    table = pd.read_csv(file, dtype={"read": str, "read_second": str})
    table.loc[0, ["read", "read_second"]] = ["皖A1Z34", "皖A12345"]
    table.loc[3, ["read", "read_second"]] = ["", "9皖A12345"]
    table.to_csv(file, index=False)
    first, second, _ = image_browser.album(load(run)).plates
    one, other = next(p for p in first.pictures if p.key == "pecl").readings
    assert (one.engine, one.read, one.verdict) == ("rapid", "皖A1Z34", "2 wrong")
    assert [letter.kind for letter in one.letters] == ["right"] * 3 + ["wrong", "right", "right", "lost"]
    assert (other.engine, other.verdict) == ("crnn", "all right")
    nothing, extra = next(p for p in second.pictures if p.key == "pecl").readings
    assert nothing.verdict == "nothing read" and extra.letters[0] == Letter("9", "wrong") and extra.errors == 1


def test_a_picture_that_cannot_be_shown_says_why(tmp_path: Path) -> None:
    run = with_samples(make_run(tmp_path / "run", FEW))
    (run.folder / "pecl/seed0/samples/0003.png").write_bytes(b"no picture")
    (run.folder / "srcnn/seed0/samples/0007.png").unlink()
    words = Page(page(run)).text
    assert "no picture: pecl/seed0/samples/0003.png is not a readable PNG" in words
    assert "no picture: srcnn seed 0 has no picture of test plate 7" in words


def test_a_page_holds_no_more_pictures_than_it_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = with_samples(make_run(tmp_path / "run", FEW))
    monkeypatch.setattr(image_browser, "LARGEST", 100)
    source = page(run)
    assert source.count('<article class="plate') == 1
    assert "2 more plates with pictures, too many for this page" in Page(source).text


@pytest.mark.parametrize("options", [{}, {"pictures": False}])
def test_without_pictures_there_is_no_browser_of_them(tmp_path: Path, options: dict[str, Any]) -> None:
    run = make_run(tmp_path / "run", FEW)
    if options:
        with_samples(run)
    source = page(run, **options)
    assert '<section id="plates"' not in source and "<article" not in source
    assert ("Left out, as asked (--no-pictures)" in source) == bool(options)


@pytest.fixture
def with_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "_modules", lambda: {"table1": table1, "convergence": convergence})


@pytest.mark.usefixtures("with_figure")
def test_figures_of_plates_can_be_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path / "run", FEW)
    monkeypatch.setattr(convergence, "PICTURES", True, raising=False)
    built = builder.build(run, pictures=False)
    assert (
        built.left_out == [convergence.TITLE, "Plates, one by one"] and not (built.folder / "convergence.png").exists()
    )
    assert convergence.TITLE in Page((built.folder / builder.HTML).read_text(encoding="utf-8")).text
    assert "convergence.png" not in (built.folder / builder.PAGE).read_text(encoding="utf-8")


# -- tables ----------------------------------------------------------------------------------------


def shown(table: Table) -> str:
    """A drawing of this table as the page has it."""
    drawing = Drawing(pd.DataFrame(), ["A caption."], tables=[table])
    section = sections.drawn(Artefact("t", "Title", []), drawing, {}, {}) | {"command": ""}
    return html.environment().get_template("drawing.html.jinja").render(section=section)


def test_cells_are_text_and_their_emphasis_is_ours() -> None:
    cells = [Cell("<b onclick=x>hi</b> ![p](http://e/p.png)", 1, "<i>"), Cell("1.0 ± 0.5", 2, "†")]
    source = shown(
        Table("<T>", [Column("M", [Cell("a", marks="†"), Cell("<script>1</script>")]), Column("PSNR_Y", cells)])
    )
    found = Page(source)
    assert not set(found.tags) & {"b", "i", "script", "img"}
    assert "<b onclick=x>hi</b> ![p](http://e/p.png)" in found.text and "<script>1</script>" in found.text
    assert found.values("div", "aria-label") == ["<T>"] and "PSNR<sub>Y</sub>" in source
    assert '<th scope="row">a<sup>†</sup></th>' in source


def test_columns_of_sentences_and_commands_are_set_as_text() -> None:
    columns = [Column("a", [Cell("x")]), Column("b", [Cell("1", 2)], grey=True), Column("c", [Cell("why " * 20)]),
               Column("d", [Cell("run --methods a,b")], code=True)]  # fmt: skip
    source = shown(Table("T", columns))
    assert '<th scope="col" class="number beside">b' in source and '<th scope="col" class="words">c' in source
    assert '<td class="number beside rank2"><span class="shown">1</span></td>' in source
    assert '<td class="words"><code><span>run</span>' in source


def test_commands_break_between_words_and_not_inside_names() -> None:
    shown = html.command("run --methods pecl-mse,<x>")
    assert (
        shown
        == "<span>run</span> <wbr><span>--methods</span> <wbr><span>pecl-mse,</span><wbr><span>&lt;x&gt;</span><wbr>"
    )


# -- faults ----------------------------------------------------------------------------------------


def broken(_: Any) -> Drawing:
    raise KeyError("psnr | <b>")


@pytest.mark.usefixtures("with_figure")
def test_a_fault_in_one_figure_costs_only_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path / "run", FEW)
    builder.build(run)
    folder = run.folder / "report"
    monkeypatch.setattr(convergence, "draw", broken)
    built = builder.build(run)
    assert list(built.broken) == ["convergence"] and isinstance(built.broken["convergence"], KeyError)
    line = f"{convergence.TITLE} could not be made: KeyError: 'psnr | <b>' (traceback in convergence.error.txt)"
    assert built.problems == [line]
    assert line in Page((folder / "report.html").read_text(encoding="utf-8")).text
    assert "in broken" in (folder / "convergence.error.txt").read_text(encoding="utf-8")
    assert not list(folder.glob("convergence.p*")) and (folder / "table1.csv").is_file()
    called = CliRunner().invoke(main.app, ["report", "--results", str(run.folder)])
    assert called.exit_code == 1 and "could not be made: KeyError" in called.output
    monkeypatch.undo()
    assert builder.build(run, ["convergence"]).broken == {} and not (folder / "convergence.error.txt").exists()


def test_a_fault_in_the_page_leaves_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path / "run", FEW)
    builder.build(run)
    monkeypatch.setattr(image_browser, "album", broken)
    built = builder.build(run)
    assert list(built.broken) == ["report.html"] and built.html is None and not (built.folder / "report.html").exists()
    assert "The HTML page could not be made" in (built.folder / "report.md").read_text(encoding="utf-8")
    assert "in broken" in (built.folder / "report.error.txt").read_text(encoding="utf-8")


def test_the_list_has_titles() -> None:
    listed = CliRunner().invoke(main.app, ["report", "--list"]).output
    assert re.search(r"^table1 +Table 1\. Super-resolution", listed, re.MULTILINE)
