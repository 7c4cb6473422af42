"""What docstrings, comments and pages refer to is there: modules, classes, functions, files, commands, links."""

from __future__ import annotations

import importlib
import inspect
import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest
import typer

from benchmark.cli.main import app

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("methods", "benchmark", "paper_figures")
FILES = [file for folder in (*PACKAGES, "tests") for file in sorted((ROOT / folder).rglob("*.py"))]
_ROOMS = [page for folder in (*PACKAGES, "tests") for page in sorted((ROOT / folder).rglob("*.md"))]
PAGES = [*sorted(ROOT.glob("*.md")), *_ROOMS, ROOT / "results" / "README.md", *(ROOT / "results").glob("*/README.md")]

ROLE = re.compile(r":(?:mod|class|func|meth|data|attr|exc|obj):`~?([\w.]+)`")
DOTTED = re.compile(rf"``((?:{'|'.join(PACKAGES)})(?:\.\w+)+)(?:\(\))?``")
LINK = re.compile(r"\]\(([^()\s]+)\)")
COMMANDS = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
PATH = re.compile(rf"(?<![\w/.-])((?:{'|'.join((*PACKAGES, 'tests'))})/[\w/.-]*\w)(?![\w*])")


def resolves(name: str, module: ModuleType) -> bool:
    """Whether a name means something: from the root, in ``module``, or in a class of it."""
    classes = [value for value in vars(module).values() if inspect.isclass(value)]
    if any(has(scope, name.split(".")) for scope in (module, *classes)):
        return True
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        return has(found, parts[length:])
    return False


def has(scope: object, parts: list[str]) -> bool:
    """Whether ``scope`` has this chain of attributes, or declares the last of them as a field."""
    for part in parts:
        if part in getattr(scope, "__annotations__", {}) and part == parts[-1]:
            return True
        if not hasattr(scope, part):
            return False
        scope = getattr(scope, part)
    return True


@pytest.mark.parametrize("package", PACKAGES)
def test_every_reference_in_the_source_resolves(package: str) -> None:
    broken = []
    for file in sorted((ROOT / package).rglob("*.py")):
        text, place = file.read_text(encoding="utf-8"), file.relative_to(ROOT)
        if names := {*ROLE.findall(text), *DOTTED.findall(text)}:
            module = importlib.import_module(".".join(place.with_suffix("").parts).removesuffix(".__init__"))
            broken += [f"{place}: {name}" for name in sorted(names) if not resolves(name, module)]
    assert not broken


def test_every_file_that_is_named_is_there() -> None:
    broken = []
    for file in [*FILES, *PAGES]:
        if file != Path(__file__).resolve():
            paths = set(PATH.findall(file.read_text(encoding="utf-8")))
            broken += [f"{file.relative_to(ROOT)}: {path}" for path in sorted(paths) if not (ROOT / path).exists()]
    assert not broken


def test_the_readme_can_be_read_at_one_sitting() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    broken = []
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        path, _, heading = link.partition("#")
        target = page.parent / path if path else page
        if "://" not in link and not (target.exists() and (not heading or heading in headings(target))):
            broken.append(link)
    assert not broken


def headings(page: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them of its headings."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_in_a_table_of_a_room_is_there(page: Path) -> None:
    """First cells that are names in backticks alone; in pages of folders, as names in the folder."""
    rows = re.findall(r"^\| ((?:`[\w./*]+`(?:, )?)+)[^|]*\|", page.read_text(encoding="utf-8"), re.MULTILINE)
    names = [name for row in rows for name in re.findall(r"`([\w./*]+(?:/|\.py|\.csv|\.json))`", row)]
    assert not [name for name in names if not [*page.parent.glob(name), *ROOT.glob(name)]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_is_one_that_the_program_takes(page: Path) -> None:
    for block in COMMANDS.findall(page.read_text(encoding="utf-8")):
        for line in re.split(r"\n|&&", block.replace("\\\n", " ")):
            words = shlex.split(line, comments=True)
            if words[:3] == ["python", "-m", "benchmark"]:
                take(words[3:])


def take(words: list[str]) -> None:
    """Parse a command and run nothing. Fails where there is no such command, option or kind of value."""
    command, name = typer.main.get_command(app), "benchmark"
    while isinstance(command, typer.core.TyperGroup):
        name, *words = words
        if name.startswith("--"):
            assert any(name in parameter.opts for parameter in command.params), name
            return
        assert name in command.commands, name
        command = command.commands[name]
    command.make_context(name, words)
