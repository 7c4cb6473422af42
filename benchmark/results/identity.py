"""What a result depends on, as two hashes: one of its training, one of its scoring.

A stored result is reused only while its identities are what a new run would have. Where only the
scoring would differ (another judge, a corrected metric) the trained weights are scored anew. An
identity covers the source a result was computed with: the file of the method, and every file of
``methods`` and ``benchmark`` that it or the engine imports, directly or through others. Source
counts as parsed: comments, formatting and docstrings do not.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import sys
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import methods
from benchmark.config import Config
from benchmark.results.store import UPPER_BOUND
from methods import Registration

# Where training and scoring start; what these import is found by following the imports.
TRAINING = ("benchmark.training.trainer",)
SCORING = ("benchmark.scoring.plate_scores",)
# Imported by those, but without influence on any number.
_IRRELEVANT = {
    "benchmark.results.identity",
    "benchmark.results.provenance",
    "benchmark.results.store",
    "benchmark.training.progress",
    "benchmark.config",
    "benchmark.runner.activity",
    "benchmark.util.errors",
    "benchmark.util.files",
    "benchmark.util.locks",
    "benchmark.util.stop",
    "benchmark.util.terminal",
}
# How plates come about: the fingerprint of the pack, which is in both identities, stands for what they did.
_IN_FINGERPRINT = {"benchmark.data.ccpd", "benchmark.data.splits", "benchmark.data.pack"}
_PACKAGES = ("methods", "benchmark")

FREE = {
    "data": {"folder", "cache", "follow_links"},  # the fingerprint of the pack stands for them
    "train": {"seeds", "device", "threads", "checkpoint_seconds", "checkpoint_iterations"},
}
"""Fields that change the weights of one (method, seed) by rounding alone, or not at all; provenance records them."""


def training_identity(
    entry: Registration,
    options: dict[str, Any],
    seed: int,
    config: Config | dict[str, Any],
    fingerprint: str,
    ingredients: dict[str, str],
    source: str | None = None,
) -> str:
    """Hash of everything the weights of one method and seed depend on (64 hexadecimal digits).

    ``config`` may be one that a result has stored. ``fingerprint``: of the plates; ``ingredients``:
    :meth:`methods.Method.ingredients`; ``source``: hash of the source, that of today when None.
    """
    content = settled(config)
    parts = {
        "method": entry.name,
        "options": options,
        "seed": seed,
        "data": content["data"],
        "train": content["train"],
        "fingerprint": fingerprint,
        "source": source or source_hash(entry.method.__module__, *TRAINING),
    }
    return _hash({**parts, "ingredients": ingredients} if ingredients else parts)


def settled(config: Config | dict[str, Any]) -> dict[str, Any]:
    """The configuration without what changes no weights."""
    content = dict(config) if isinstance(config, dict) else config.model_dump(mode="json")
    for section, names in FREE.items():
        content[section] = {k: v for k, v in content[section].items() if k not in names}
    return content


def scoring_identity(fingerprint: str, judges: list[dict[str, Any] | None], source: str | None = None) -> str:
    """Hash of everything that scores depend on beside the weights: plates, judges and (today's) source."""
    return _hash({"fingerprint": fingerprint, "judges": judges, "source": source or source_hash(*SCORING)})


def _hash(parts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def current_source(name: str) -> dict[str, str] | None:
    """Hashes of the source that a result of this method would be computed with now; None for a method
    that is not registered (a plug-in that was not named). The upper bound depends on the scoring alone."""
    scoring = {"scoring": source_hash(*SCORING)}
    if name == UPPER_BOUND:
        return scoring
    try:
        module = methods.get(name).method.__module__
    except methods.UnknownMethod:
        return None
    return {"training": source_hash(module, *TRAINING), **scoring}


def source_hash(*modules: str) -> str:
    """Hash of the parsed source of ``modules`` and of what they import from this project."""
    digest = hashlib.sha256()
    for name, path in sorted(_closure(modules).items()):
        digest.update(f"{name}\n{_read(path, path.stat().st_mtime_ns).tree}\n".encode())
    return digest.hexdigest()


def _closure(modules: tuple[str, ...]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        path = None if name in found or name in _IRRELEVANT | _IN_FINGERPRINT else _file(name)
        if path is not None:
            found[name] = path
            waiting += _read(path, path.stat().st_mtime_ns).imports
    return found


def _file(name: str) -> Path | None:
    """The file of a module of this project, or of a plug-in that has been loaded."""
    loaded = sys.modules.get(name)
    origin = getattr(loaded, "__file__", None) if loaded else None
    if origin is None:
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError):
            return None
        origin = spec.origin if spec else None
    return Path(origin) if origin and origin.endswith(".py") else None


class _Source(NamedTuple):
    """A file as parsed: the modules of this project that it imports, and its syntax tree without docstrings."""

    imports: list[str]
    tree: str


@cache
def _read(path: Path, _mtime: int) -> _Source:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:  # ``from a import b`` may mean ``a`` or ``a.b``
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            node.body = [
                statement
                for statement in node.body
                if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
            ]
    return _Source([name for name in names if name.split(".")[0] in _PACKAGES], ast.dump(tree))
