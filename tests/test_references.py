"""What docstrings, comments and pages refer to is there: modules, classes, functions, files of this project."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("methods", "benchmark", "paper_figures")
FILES = [file for folder in (*PACKAGES, "tests") for file in sorted((ROOT / folder).rglob("*.py"))]
PAGES = [ROOT / "README.md", ROOT / "results" / "README.md", *sorted((ROOT / "results").glob("*/README.md"))]

ROLE = re.compile(r":(?:mod|class|func|meth|data|attr|exc|obj):`~?([\w.]+)`")
DOTTED = re.compile(rf"``((?:{'|'.join(PACKAGES)})(?:\.\w+)+)(?:\(\))?``")
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
