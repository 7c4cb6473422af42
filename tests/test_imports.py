"""Imports between modules point one way: from what decides to what is decided on, never back."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = (
    "methods", "benchmark.util", "benchmark.config", "benchmark.data", "benchmark.ocr", "benchmark.scoring",
    "benchmark.training", "benchmark.results", "benchmark.runner", "benchmark.perf", "benchmark.cli", "paper_figures",
)  # fmt: skip
"""From the lowest up: a room imports from itself and from those before it."""
UPWARDS_FOR_NOW: set[tuple[str, str]] = set()
"""Imports that point upwards and are to go, as (importing, imported). Grows never, shrinks to nothing."""
CIRCLES_FOR_NOW: set[frozenset[str]] = set()
"""Modules that need each other, and are to be untangled. Grows never, shrinks to nothing."""


def imports() -> dict[str, set[str]]:
    """The modules that each module imports anywhere in its text, inside functions and for type checking, too."""
    packages = ("methods", "benchmark", "paper_figures")
    files = {_name(file): file for package in packages for file in ROOT.glob(f"{package}/**/*.py")}
    return {name: _imported(ast.walk(_parsed(file)), set(files)) - {name} for name, file in files.items()}


def _name(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_bytes())


def _imported(nodes: Iterable[ast.AST], modules: set[str]) -> set[str]:
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            # `from package import module` needs the module; the package's own file only where it takes more than that.
            names.update(inside if inside <= modules else inside | {node.module})
    return names & modules


def level(module: str) -> int:
    """Place of a module's room in ``ROOMS``. Raises KeyError for a file that lies in none."""
    for number, room in enumerate(ROOMS):
        if f"{module}.".startswith(f"{room}."):
            return number
    return {"benchmark": 0, "benchmark.presets": 0, "benchmark.__main__": ROOMS.index("benchmark.cli")}[module]


def circles(graph: dict[str, set[str]]) -> set[frozenset[str]]:
    """Sets of modules in which each leads to each other."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        todo = [start]
        while todo:
            new = graph[todo.pop()] - seen
            seen |= new
            todo += new
        return seen

    reach = {module: reached(module) for module in graph}
    return {frozenset(m for m in reach[module] if module in reach[m]) for module in graph if module in reach[module]}


def test_imports_point_one_way() -> None:
    graph = imports()
    levels = {module: level(module) for module in graph}
    upwards = {(name, other) for name, others in graph.items() for other in others if levels[other] > levels[name]}
    reports = {pair for pair in upwards if pair[0].startswith("benchmark.cli.") and pair[1].startswith("paper_figures")}
    assert upwards - reports == UPWARDS_FOR_NOW
    for module, _ in reports:  # the command line reaches up to the report, but only when asked for one
        at_once = _imported(_parsed(ROOT / f"{module.replace('.', '/')}.py").body, set(graph))
        assert not any(name.startswith("paper_figures") for name in at_once), module


def test_no_modules_need_each_other() -> None:
    assert circles(imports()) == CIRCLES_FOR_NOW
