"""The command that explains every setting: ``python -m benchmark config``."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from dataclasses import is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from benchmark.cli.options import AsJson, Assignments, Plugins, Preset, make_config, need_plugins
from benchmark.util.terminal import cell, say

if TYPE_CHECKING:
    from benchmark.config import Config

_WIDTH = 100
_KINDS = {int: "whole number", float: "number", str: "text", Path: "path", bool: "true, false"}


def config(
    preset: Preset = "quick", assignments: Assignments = None, plugin: Plugins = None, as_json: AsJson = False
) -> None:
    """Explain every setting that --set takes. Shown are its value in a preset, default, meaning and choices."""
    need_plugins(plugin)
    rows = settings(make_config(preset, {}, assignments))
    if as_json:
        say(json.dumps(rows, indent=1, ensure_ascii=False, default=str))
        return
    for row in rows:
        say(f"{row['field']} = {cell(_shown(row['value']))}  (default: {cell(_shown(row['default']))})")
        text = f"{row['meaning']} [{row['choices']}]".strip()
        say(textwrap.fill(text, _WIDTH, initial_indent="    ", subsequent_indent="    "))


def settings(config: Config) -> list[dict[str, Any]]:
    """One row a setting: ``field``, ``value``, ``default``, ``choices`` and ``meaning``; options of methods last."""
    from benchmark.config import SECTIONS, method_options

    rows = []
    for section, kind in SECTIONS.items():
        defaults, values = kind(), getattr(config, section)
        rows += _rows(section, kind, list(kind.model_fields), defaults, vars(values))
    for family, options in method_options().items():
        rows += _rows(family, options, list(options.__dataclass_fields__), options(), config.options(family))
    return rows


def _rows(section: str, kind: type, names: list[str], defaults: Any, values: dict[str, Any]) -> list[dict[str, Any]]:
    meanings, hints = field_docstrings(kind), get_type_hints(kind, include_extras=False)
    return [
        {
            "field": f"{section}.{name}",
            "value": values.get(name, getattr(defaults, name)),
            "default": getattr(defaults, name),
            "choices": _choices(hints[name]),
            "meaning": meanings.get(name, ""),
        }
        for name in names
    ]


def field_docstrings(kind: type) -> dict[str, str]:
    """The docstring under each field of a class, on one line. Fields without one share that of the next which has."""
    inherited = [field_docstrings(base) for base in reversed(kind.__bases__) if is_dataclass(base)]
    docstrings = {name: text for fields in inherited for name, text in fields.items()}
    try:
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    except (OSError, SyntaxError, TypeError):  # the file of a plug-in need not be there any more
        return docstrings
    assert isinstance(tree, ast.ClassDef)
    waiting: list[str] = []
    for statement in tree.body:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name)):
                waiting.append(name)
            case ast.Expr(value=ast.Constant(value=str(text))):
                docstrings |= dict.fromkeys(waiting, " ".join(text.split()))
                waiting = []
            case _:
                waiting = []
    return docstrings


def _choices(hint: Any) -> str:
    """What a field takes, in words."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Literal:
        return ", ".join(map(str, parts))
    if origin is Annotated:
        return _choices(parts[0])
    if origin in (Union, UnionType):
        return " or ".join(_choices(part) for part in parts if part is not NoneType)
    return _KINDS.get(hint, str(getattr(hint, "__name__", hint)))


def _shown(value: Any) -> str:
    """A value as ``--set`` takes it."""
    if value is None:
        return "unset"
    return json.dumps(value, default=str, ensure_ascii=False).strip('"')
