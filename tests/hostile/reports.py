"""Runs whose every text is awkward, and what may be in the files of a report on them."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from fake_results import METHODS, Fake, make_run
from markdown_it import MarkdownIt

from benchmark.results.store import Run
from hostile.words import WORDS, obeyed

BY_NAME = {fake.name: fake for fake in METHODS}
SHOWN = ("hr", "bicubic", "srcnn", "espcn", "pecl")


def hostile_run(folder: Path, word: str) -> Run:
    """A small run with ``word`` wherever a result has text, and a failure that says it."""
    fakes: list[Fake] = [replace(BY_NAME[name], title=word or "-", notes=(word,) * 2) for name in SHOWN]
    run = make_run(folder, tuple(fakes))
    for fake in fakes:
        place = run.place(fake.name, 0)
        _edit(place / "result.json", word, failed=fake.name == "srcnn")
        plates = pd.read_csv(place / "plates.csv", keep_default_na=False)
        whole = word.encode("utf-8", "replace").decode()  # no table of pandas holds half a character
        plates = plates.assign(name=whole, text=whole, read=whole, read_second=whole)
        plates.to_csv(place / "plates.csv", index=False, quoting=csv.QUOTE_NONNUMERIC)
    return run


def _edit(file: Path, word: str, failed: bool) -> None:
    info: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    info["citation"] = word
    info["data"]["name"] = word
    for judge in ("judge", "second_judge"):
        info[judge] |= {"name": word, "version": word, "model": word}
    info["provenance"] |= {"command": word, "commit": word, "hardware": {"device": word, word: word}}
    info["provenance"]["versions"] = {"torch": word, word: word}
    if failed:
        info |= {"status": "failed", "error": {"type": word, "message": word}}
    info["files"] = {}  # of plates that are edited, too
    file.write_text(json.dumps(info), encoding="utf-8")


def check(folder: Path) -> None:
    """Raise AssertionError where a file of the report in ``folder`` obeys what came from the results."""
    for file in folder.iterdir():
        if file.suffix in (".md", ".tex", ".csv", ".html", ".txt"):
            content = file.read_bytes().decode("utf-8")
            assert not obeyed(content), f"{file.name} has {obeyed(content)!r}"
            {".md": check_markdown, ".tex": check_latex, ".csv": check_csv}.get(file.suffix, lambda _: None)(content)


_TAGS = {"sup", "/sup", "sub", "/sub", "u", "/u", "br", "small", "/small"}


def check_markdown(content: str) -> None:
    """Nothing but what the report writes itself: no link out of its folder, no picture, no HTML."""
    for token in MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(content):
        assert token.type != "html_block"
        for part in token.children or []:
            if part.type == "html_inline":
                assert part.content.strip("<>") in _TAGS, part.content
            for target in (part.attrGet("href"), part.attrGet("src")):
                assert target is None or re.fullmatch(r"[\w.-]+", str(target)), target
    assert not re.search(r"(?i)\bwww\.|https?://", re.sub(r"`[^`\n]*`", "", content))


# Commands that the report's tables are made of.
_COMMANDS = {
    *(rf"\{sign}" for sign in "_%&#${}\\"),
    *(rf"\{name}" for name in (
        "begin", "end", "toprule", "midrule", "bottomrule", "textbf", "textcolor", "underline", "textsuperscript",
        "textsubscript", "linewidth",
        "caption", "label", "centering", "scriptsize", "setlength", "tabcolsep", "par", "smallskip", "textbackslash",
        "textasciicircum", "textasciitilde", "textless", "textgreater", "textbar", "textquotedbl", "pm", "times",
        "infty", "geq", "leq", "approx", "dag", "ddag", "Delta", "rho", "sigma", "ldots", "cdot", "to", "surd",
        "raggedright", "texttt", "allowbreak", "tiny", "footnotesize", "small", "addlinespace",
        "medskip", "arraybackslash",
    )),
}  # fmt: skip


def check_latex(content: str) -> None:
    """Only commands of the report's own, groups that close, and as many cells in every row of a table."""
    content = re.sub(r"(?m)^%.*$", "", content)
    content = re.sub(r"(?<!\\)\$(\\[A-Za-z]+|-|\^2)\$", "", content)  # our few symbols
    content = content.replace(r"\\[2pt]", r"\\")
    commands = set(re.findall(r"\\(?:[A-Za-z]+|.)", content))
    assert commands <= _COMMANDS, commands - _COMMANDS
    bare = re.sub(r"\\(?:[A-Za-z]+|.)", "", content)
    assert not re.search("[%#~^$]", bare), re.findall(".{,20}[%#~^$].{,20}", bare)
    depth = 0
    for character in bare:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0
    assert not re.search(r"\\\\\s*[*\[]", content)
    for table in re.findall(r"(?s)\\toprule(.*?)\\bottomrule", content):
        rows = [row for row in table.replace(r"\midrule", "").split("\\\\\n") if row.strip()]
        assert len({len(re.findall(r"(?<!\\)&", row)) for row in rows}) == 1


def check_csv(content: str) -> None:
    """No cell that a spreadsheet takes for a formula."""
    for row in csv.reader(content.splitlines()):
        for cell in row:
            assert not re.match(r"\s*[=+@-](?![\d.]+(e[+-]?\d+)?$|inf$|nan$)", cell), cell


def words(count: int) -> list[str]:
    """So many of the awkward words, spread over all kinds."""
    return [WORDS[i * len(WORDS) // count] for i in range(count)]
