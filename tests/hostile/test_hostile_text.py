"""Text from strangers is shown as text: on the terminal, and in HTML, Markdown, LaTeX and CSV files."""

from __future__ import annotations

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from benchmark.cli import main
from benchmark.results import text_format
from benchmark.util.terminal import cell, plain
from hostile import reports
from hostile.words import WORDS, obeyed
from paper_figures import claims, table1
from paper_figures.common import tables, text
from paper_figures.common.tables import Cell, Column, Table
from paper_figures.report import builder, latex, terminal

ANY = st.one_of(st.text(), st.lists(st.sampled_from(WORDS), max_size=3).map(" ".join))
quick = settings(max_examples=100, derandomize=True, database=None, deadline=None)


class Page(HTMLParser):
    """Tags and attributes of a page."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: set[tuple[str, str]] = set()
        self.feed(source)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes |= {(tag, name) for name, _ in attributes}


# -- pieces ----------------------------------------------------------------------------------------


@quick
@given(ANY)
def test_nothing_a_terminal_obeys_gets_through(words: str) -> None:
    assert not obeyed(plain(words)) and not obeyed(text.one_line(words)) and not obeyed(text.harmless(words))
    assert "\n" not in cell(words) and "\n" not in text.one_line(words)
    plain(words).encode(), text.harmless(words).encode()


@quick
@given(st.recursive(ANY, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY, inner, max_size=3)))
def test_json_is_of_the_same_values_after_it(value: object) -> None:
    assert json.loads(plain(json.dumps(value, ensure_ascii=False, indent=1))) == value


@quick
@given(ANY)
@example("1. " + WORDS[0])
def test_markdown_shows_the_characters(words: str) -> None:
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    shown, line = text.markdown(words), text.one_line(words)
    html = re.sub(r"\s+", " ", parser.render(f"- x {shown}\n\n| a | b |\n|---|---|\n| {shown} | c |\n"))
    visible = re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", html))
    assert set(re.findall(r"</?(\w+)", html)) == {"ul", "li", "table", "thead", "tbody", "tr", "th", "td"}
    assert html.count("<td") == 2
    if not re.search(r"[&<>\"\\]|\s", line):
        assert line in visible
    assert parser.render(f"- {shown}").count("<li>") == 1


@quick
@given(ANY)
def test_latex_sets_the_characters(words: str) -> None:
    table = Table("t", [Column(words, [Cell(words), Cell("x", 1, words)]), Column("b", [Cell(words, 2), Cell("y")])])
    reports.check_latex(latex.table(table))


@quick
@given(ANY)
def test_spreadsheets_get_no_formula(words: str) -> None:
    words = words.encode("utf-8", "replace").decode()  # no table of pandas holds half a character
    data = pd.DataFrame({"psnr": [-1.5, 2.0], "title": [words, "fine"], "n": [-1, 2], f" {words}": ["-3.5", "−1"]})
    content = tables.to_csv(data)
    assert "-1.5," in content and ",-3.5" in content and ",-1," in content
    assert not re.match(r"\s*[=+@-]", str(text.spreadsheet(words))) or re.fullmatch(r"[+-]?[\d.einfa]+", words.strip())


# -- a report --------------------------------------------------------------------------------------


def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Results as they are: what reading them makes harmless already is not relied upon here."""
    monkeypatch.setattr(text_format, "_printable", lambda value: value)
    monkeypatch.setattr(builder, "_modules", lambda: {"claims": claims, "table1": table1})


@pytest.mark.parametrize("word", ["plain", *reports.words(5)])
def test_a_report_on_hostile_text(
    word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _bare(monkeypatch)
    run = reports.hostile_run(tmp_path / "run", word)
    built = builder.build(run)
    assert not built.broken, built.problems
    reports.check(built.folder)
    terminal.show(built)
    out = capsys.readouterr().out
    assert not obeyed(re.sub(r"\x1b\[[\d;]*m", "", out))
    page = Page((built.folder / "report.html").read_text(encoding="utf-8"))
    assert page.tags["script"] == page.tags["style"] == 1 and not page.tags["img"]
    assert not [name for _, name in page.attributes if name.startswith("on") or name == "style"]


# -- the terminal ----------------------------------------------------------------------------------

BAD = "\x1b]0;x\x07\u202e\x9b2J\udcff"


def _call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmark", *map(str, arguments)])
    try:
        main.main()
    except SystemExit as stop:
        assert stop.code in (0, 1, 2)


@pytest.mark.parametrize("bare", [True, False])
def test_status_and_errors(
    bare: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    if bare:
        _bare(monkeypatch)
    reports.hostile_run(tmp_path / "results" / f"run{BAD}", BAD + "\nsecond line")
    (tmp_path / "results" / f"run{BAD}" / f"method{BAD}" / "seed0").mkdir(parents=True)
    for command in (
        ["status", "--results", tmp_path / "results"],
        ["status", "--results", tmp_path / "results", "--json"],
        ["status", "--results", tmp_path / f"no{BAD}"],
        ["report", "--results", tmp_path / "results", "--only", f"x{BAD}"],
        ["run", "--methods", f"x{BAD}"],
        ["run", "--plugin", tmp_path / f"no{BAD}.py"],
        ["run", "--data", tmp_path / f"no{BAD}", "--results", tmp_path / "r"],
        ["run", "--set", f"train.{BAD}={BAD}"],
        ["run", "--set", f"train.device={BAD}"],
        ["upscale", tmp_path / f"no{BAD}", f"x{BAD}.png"],
        ["data", "verify", tmp_path / f"no{BAD}"],
    ):
        _call(monkeypatch, *command)
        out, err = capfd.readouterr()
        assert out + err and not obeyed(out + err) and "Traceback" not in err
        if "--json" in command:
            json.loads(out)


def test_data_verify_of_hostile_names(
    make_ccpd: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = make_ccpd()
    for i, word in enumerate(WORDS):
        name = word.replace("/", "%").replace("\0", "%").encode("utf-8", "surrogatepass")[:200]
        (folder / str(i)).mkdir()
        (folder / str(i) / f"x{os.fsdecode(name)}.jpg").touch()
    for options in ([], ["--json"]):
        _call(monkeypatch, "data", "verify", folder, *options)
        out, err = capfd.readouterr()
        assert not obeyed(out + err), obeyed(out + err)
        if options:
            assert len(json.loads(out)["unparsable"]) == len(WORDS)
