"""Hashes of source: of this project's for provenance, of a plug-in's as the version that nothing guards.

Source counts as parsed: comments, formatting and docstrings do not. It is read as Python reads it (byte order mark,
coding line), once per process: what is edited during a run is not what runs.
"""

from __future__ import annotations

import ast
import hashlib
import sys
import sysconfig
from collections.abc import Callable, Iterator
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import find_spec, resolve_name
from pathlib import Path
from typing import NamedTuple

PROJECT = ("methods", "benchmark", "paper_figures")
"""Top-level packages of this project."""
_DYNAMIC = ("import_module", "__import__")
_STANDARD = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib"))


def of_project(module: str) -> bool:
    """Whether a module belongs to this project."""
    return module.split(".")[0] in PROJECT


@cache
def project_hash(*modules: str) -> str:
    """SHA-256 of the source of ``modules`` and of what they import from this project, directly or through others."""
    return _digest(modules, lambda name, path: of_project(name))


@cache
def plugin_hash(module: str) -> str:
    """SHA-256 of the source of a plug-in's ``module`` and of every helper that it imports, directly or through others.

    A helper is what is neither of this project nor of the standard library nor an installed package: a file beside the
    plug-in, or anywhere else on the path.
    """
    return _digest((module,), lambda name, path: not of_project(name) and not _installed(path))


def _installed(path: Path) -> bool:
    if {"site-packages", "dist-packages"} & set(path.parts):
        return True
    return any(path.resolve().is_relative_to(folder) for folder in _STANDARD)


def _digest(modules: tuple[str, ...], belongs: Callable[[str, Path], bool]) -> str:
    """SHA-256 over ``modules``, in their order, and over those of their imports that ``belongs``, by name."""
    digest = hashlib.sha256()
    imported: dict[str, Path] = {}
    waiting: list[str] = []
    for module in modules:  # without its name: that of a plug-in's module depends on what was loaded before
        if (path := _file(module)) is not None:
            source = _read(path, module)
            digest.update(f"{source.text}\n".encode())
            waiting += source.imports
    while waiting:
        name = waiting.pop()
        path = None if name in imported or name in modules else _file(name)
        if path is not None and belongs(name, path):
            imported[name] = path
            waiting += _read(path, name).imports
    for name, path in sorted(imported.items()):
        digest.update(f"{name}\n{_read(path, name).text}\n".encode())
    return digest.hexdigest()


@cache
def _file(name: str) -> Path | None:
    """The file of a module, without importing it or what it lies in; None for what is in no file."""
    origin, _ = _location(name)
    return Path(origin) if origin and Path(origin).is_file() else None


def _location(name: str) -> tuple[str | None, list[str] | None]:
    """File of a module and, for a package, the folders of its modules."""
    loaded = sys.modules.get(name)
    if loaded is not None:
        folders = getattr(loaded, "__path__", None)
        return getattr(loaded, "__file__", None), None if folders is None else list(folders)
    above, _, _ = name.rpartition(".")
    folders = _location(above)[1] if above else None
    if above and folders is None:
        return None, None  # an attribute, not a module
    try:
        spec = PathFinder.find_spec(name, folders) if above else find_spec(name)
    except (ImportError, ValueError):
        return None, None
    if spec is None:
        return None, None
    within = spec.submodule_search_locations
    return spec.origin, None if within is None else list(within)


class _Source(NamedTuple):
    """The names that a file imports (modules, or what is in them), and its text as parsed."""

    imports: list[str]
    text: str


@cache
def _read(path: Path, module: str) -> _Source:
    content = path.read_bytes()
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # no Python: an extension, or what is never run
        return _Source([], hashlib.sha256(content).hexdigest())
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    imports = list(_imported(tree, package))
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            node.body = [
                statement
                for statement in node.body
                if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
            ]
    try:
        return _Source(imports, ast.unparse(tree))  # the same in every Python, which ast.dump is not
    except RecursionError:
        return _Source(imports, hashlib.sha256(content).hexdigest())


def _imported(tree: ast.Module, package: str) -> Iterator[str]:
    """Every name that may be a module: ``from a.b import c`` may mean ``a``, ``a.b`` or ``a.b.c``."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            try:
                module = resolve_name(module, package)
            except ImportError:  # relative to no package
                continue
            names = [f"{module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and node.args and _called(node.func) in _DYNAMIC:
            first = node.args[0]
            names = [first.value] if isinstance(first, ast.Constant) and isinstance(first.value, str) else []
        for name in names:
            parts = name.split(".")
            yield from (".".join(parts[: i + 1]) for i in range(len(parts)))


def _called(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
