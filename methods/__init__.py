"""What competes. The folder is the registry: every file in it may register methods.

``names(group)`` lists them, ``get(name)`` finds one, ``register`` adds one, ``load_plugin`` reads
a file from elsewhere. Files are imported on first use; one that cannot be imported only makes its
own methods unavailable (``unavailable()`` says which and why).
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TypeVar, overload

from methods.base import Batch, Losses, Method, Recipe, Session
from methods.network import NetworkMethod
from methods.options import MethodOptions
from methods.registration import FixedOption, Registration, check, fixed_options

__all__ = [
    "Batch",
    "FixedOption",
    "Losses",
    "Method",
    "MethodOptions",
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
_SHARED = {"adversarial", "base", "contract", "extra_losses", "network", "options", "registration"}

_LONGEST_REASON = 300


class UnknownMethod(LookupError):
    """No method of that name; the message lists the nearest valid names."""


# The rows of the paper's Table 1, top to bottom: the order of methods everywhere. Others follow in the order of their
# registration, files in alphabetical order.
_ORDER = ("bicubic", "srcnn", "msrn", "espcn", "esrgan", "tbsrn", "swinir", "pecl")

_registry: dict[str, Registration] = {}
_unavailable: dict[str, str] = {}
_discovered = False


AnyMethod = TypeVar("AnyMethod", bound=Method)


@overload
def register(
    method: type[AnyMethod],
    *,
    name: str | None = None,
    title: str | None = None,
    groups: tuple[str, ...] | None = None,
    in_all: bool = True,
    options: Any = None,
    version: int | None = None,
) -> type[AnyMethod]: ...


@overload
def register(
    *,
    name: str | None = None,
    title: str | None = None,
    groups: tuple[str, ...] | None = None,
    in_all: bool = True,
    options: Any = None,
    version: int | None = None,
) -> Callable[[type[AnyMethod]], type[AnyMethod]]: ...


def register(
    method: Any = None,
    *,
    name: str | None = None,
    title: str | None = None,
    groups: tuple[str, ...] | None = None,
    in_all: bool = True,
    options: Any = None,
    version: int | None = None,
    **unknown: NoReturn,
) -> Any:
    """Add a method to the registry: as a class decorator, or called with a class.

    ``options`` (``Pecl.Options(term="printed")``) makes a variant of a class: the fields given in it are fixed. With
    ``in_all=False`` the group ``all`` leaves the method out. ``version`` is for a variant whose numbers did not change
    when those of its class did.

    Raises ValueError if the name is taken, or is not made of 1 to 64 lower-case letters, digits, ``-`` and ``_``
    (it becomes a folder name), for a family or group that would change what other methods are, and for options of
    a wrong value; TypeError for a class that is no method, options of another class, and any other keyword.
    """
    if unknown:
        word = next(iter(unknown))
        raise TypeError(f"register() takes no {word!r}: fix an option with options=YourMethod.Options({word}=...)")
    if method is None:
        return lambda cls: register(
            cls, name=name, title=title, groups=groups, in_all=in_all, options=options, version=version
        )
    entry = Registration(
        name=name or method.name,
        title=title or method.title,
        method=method,
        groups=method.groups if groups is None else groups,
        fixed={} if options is None else fixed_options(method, options),
        in_all=in_all,
        version=method.version if version is None else version,
    )
    check(entry, _registry.values())
    present = _registry.get(entry.name)
    if present is not None and present != entry:
        raise ValueError(f"a method named {entry.name!r} is registered already ({present.method.__module__})")
    _registry[entry.name] = entry
    return method


def names(group: str | None = None) -> list[str]:
    """Names in a group, all of them without one and in ``everything``; in the paper's order, extras last."""
    _discover()
    members = [
        name
        for name, entry in _registry.items()
        if group in (None, "everything", *entry.groups) or (group == "all" and entry.in_all)
    ]
    return sorted(members, key=lambda name: _position(name)[0])


def groups() -> list[str]:
    """Names of the groups that exist."""
    _discover()
    return ["all", "everything", *dict.fromkeys(g for entry in _registry.values() for g in entry.groups)]


def find(name: str) -> Registration | None:
    """The registration of that name, if there is one."""
    _discover()
    return _registry.get(name)


def get(name: str) -> Registration:
    """The registration of that name. Raises :class:`UnknownMethod`, naming the nearest ones."""
    if entry := find(name):
        return entry
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
    """Import a file of the user's that registers methods; a failure is kept in ``unavailable()``.

    A plug-in is a program that the user chose to run. What it may break is itself alone: a file that does not parse,
    raises, or leaves the program adds nothing. One that has been loaded already is not loaded again.
    """
    _discover()
    name, file = f"methods_plugin_{path.stem}", str(path.resolve())
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "__file__", None) != file:  # of the same name in another folder
        name = f"{name}_{hashlib.sha256(file.encode(errors='surrogateescape')).hexdigest()[:8]}"
    if any(entry.method.__module__ == name for entry in _registry.values()):
        return
    spec = importlib.util.spec_from_file_location(name, file)

    def load() -> None:
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} is not a Python file")
        module, before = importlib.util.module_from_spec(spec), set(_registry)
        sys.modules[name] = module  # dataclasses look their module up
        try:
            spec.loader.exec_module(module)
            if set(_registry) == before:
                raise ImportError("it registers no method")
        except BaseException:
            del sys.modules[name]
            raise

    # Under the name of its file, so that --methods can ask for it, unless a method has that name.
    _attempt(str(path) if path.stem in _registry else path.stem, load)


def _attempt(name: str, load: Callable[[], Any]) -> None:
    before = dict(_registry)
    try:
        load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a broken file raises, sys.exit included: the others must still run
        _registry.clear()
        _registry.update(before)
        _unavailable[name] = _reason(error)


def _reason(error: BaseException) -> str:
    """What an exception says, on one line."""
    try:
        message = str(error)
    except Exception as broken:  # an exception class of a plug-in may fail to make its message
        message = f"(no message: {type(broken).__name__})"
    lines = message.strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:_LONGEST_REASON]


def _discover() -> None:
    global _discovered
    if _discovered:
        return
    _discovered = True
    files = {module.name for module in pkgutil.iter_modules(__path__) if not module.ispkg} - _SHARED
    for name in sorted(files, key=_position):
        _attempt(name, partial(importlib.import_module, f"methods.{name}"))


def _position(name: str) -> tuple[int, str]:
    return (_ORDER.index(name), "") if name in _ORDER else (len(_ORDER), name)
