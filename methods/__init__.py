"""What competes. The folder is the registry: every file in it may register methods.

``names(group)`` lists them, ``get(name)`` finds one, ``register`` adds one, ``load_plugin`` reads
a file from elsewhere. Files are imported on first use; one that cannot be imported only makes its
own methods unavailable (``unavailable()`` says which and why).
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import pkgutil
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from methods.base import Batch, Losses, Method, NetworkMethod, Recipe, Session

__all__ = [
    "Batch",
    "Losses",
    "Method",
    "NetworkMethod",
    "Recipe",
    "Registration",
    "Session",
    "UnknownMethod",
    "get",
    "load_plugin",
    "names",
    "register",
    "unavailable",
]

# Files of this folder that hold shared code instead of methods.
_SHARED = {"base", "contract"}


class UnknownMethod(LookupError):
    """No method of that name; the message lists the nearest valid names."""


@dataclass(frozen=True)
class Registration:
    """One competitor: a class, and the options that make it this competitor and no other.

    Several registrations may share a class (``pecl`` and ``pecl-printed`` do). ``pinned`` holds
    the options a registration fixes; the configuration section of its family does not touch them.
    """

    name: str
    title: str
    method: type[Method]
    groups: tuple[str, ...]
    pinned: dict[str, Any] = field(default_factory=dict)
    in_all: bool = True
    """False: not part of the group ``all``; trained when its name or group is asked for."""

    @property
    def family(self) -> str:
        return self.method.family or self.method.name

    def create(self, options: dict[str, Any] | None = None) -> Method:
        """A new, untrained method. ``options`` must not contradict what is pinned."""
        return self.method(self.method.Options(**{**(options or {}), **self.pinned}))

    def parameters(self) -> int:
        """Number of trainable parameters of the upscaling network."""
        return self.create().parameters()


_registry: dict[str, Registration] = {}
_unavailable: dict[str, str] = {}
_discovered = False


def register(
    method: type[Method] | None = None,
    *,
    name: str | None = None,
    title: str | None = None,
    groups: tuple[str, ...] | None = None,
    in_all: bool = True,
    **pinned: Any,
) -> Any:
    """Add a method to the registry: as a class decorator, or called with a class and pinned options.

    With ``in_all=False`` the group ``all`` leaves it out.
    Raises ValueError if the name is taken, or is not made of lower-case letters, digits, ``-`` and ``_``
    (it becomes a folder name).
    """
    if method is None:
        return lambda cls: register(cls, name=name, title=title, groups=groups, in_all=in_all, **pinned)
    entry = Registration(
        name=name or method.name,
        title=title or method.title,
        method=method,
        groups=method.groups if groups is None else groups,
        pinned=pinned,
        in_all=in_all,
    )
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", entry.name) or entry.name in {"all", "hr", "report"}:
        raise ValueError(f"{entry.name!r} cannot name a method: use lower-case letters, digits, - and _")
    known = _registry.get(entry.name)
    if known is not None and known.method is not method:
        raise ValueError(f"a method named {entry.name!r} is registered already ({known.method.__module__})")
    method.Options(**pinned)  # a typing error in a pinned option shows at registration
    _registry[entry.name] = entry
    return method


def names(group: str | None = None) -> list[str]:
    """Names in a group, of all registered methods without one; in the paper's order, extras last."""
    _discover()
    members = [
        name
        for name, entry in _registry.items()
        if group is None or group in entry.groups or (group == "all" and entry.in_all)
    ]
    return sorted(members, key=lambda n: _ORDER.index(n) if n in _ORDER else len(_ORDER))


def groups() -> list[str]:
    """Names of the groups that exist."""
    _discover()
    return ["all", *dict.fromkeys(g for entry in _registry.values() for g in entry.groups)]


def get(name: str) -> Registration:
    """The registration of that name. Raises :class:`UnknownMethod`, naming the nearest ones."""
    _discover()
    if name in _registry:
        return _registry[name]
    if name in _unavailable:
        raise UnknownMethod(f"method {name!r} is unavailable: {_unavailable[name]}")
    near = difflib.get_close_matches(name, _registry, n=3)
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    raise UnknownMethod(f"no method {name!r}{hint} (known: {', '.join(names())})")


def unavailable() -> dict[str, str]:
    """Files that could not be imported, by file name without ``.py``, with the reason."""
    _discover()
    return dict(_unavailable)


def load_plugin(path: Path) -> None:
    """Import a file of the user's that registers methods; a failure is kept in ``unavailable()``."""
    _discover()
    name = path.stem
    spec = importlib.util.spec_from_file_location(f"methods_plugin_{name}", path)

    def load() -> None:
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} is no Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)

    _attempt(name, load)


def _attempt(name: str, load: Callable[[], Any]) -> None:
    before = dict(_registry)
    try:
        load()
    except Exception as error:  # whatever a broken file raises, the others must still run
        _registry.clear()
        _registry.update(before)
        _unavailable[name] = f"{type(error).__name__}: {error}".splitlines()[0]


# The paper's Table 1, top to bottom. Files not named here follow in alphabetical order.
_ORDER = ["bicubic", "srcnn", "espcn", "msrn", "esrgan", "tbsrn", "swinir", "pecl"]


def _discover() -> None:
    global _discovered
    if _discovered:
        return
    _discovered = True
    found = {m.name for m in pkgutil.iter_modules(__path__) if not m.ispkg} - _SHARED
    for name in [n for n in _ORDER if n in found] + sorted(found - set(_ORDER)):
        _attempt(name, partial(importlib.import_module, f"methods.{name}"))
