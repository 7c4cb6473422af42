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
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TypeVar, overload

from methods.base import Batch, Losses, Method, Recipe, Session
from methods.network import NetworkMethod
from methods.options import MethodOptions, given_options

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
_SHARED = {"base", "contract", "network", "options"}

# A name becomes a folder of results, a section of the configuration and a word of ``--methods``; these are taken.
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_RESERVED = {"all", "hr", "report", "packs", "data", "train", "scoring", "methods", "preset"}
_LONGEST_REASON = 300


class UnknownMethod(LookupError):
    """No method of that name; the message lists the nearest valid names."""


class FixedOption(ValueError):
    """An option was asked for that the registration fixes to another value; the message names both."""


@dataclass(frozen=True)
class Registration:
    """One competitor: a class, and the options that make it this competitor and no other.

    Several registrations may share a class (``pecl`` and ``pecl-printed`` do). ``fixed`` holds the options that a
    registration fixes, by name.
    """

    name: str
    title: str
    method: type[Method]
    groups: tuple[str, ...]
    fixed: dict[str, Any] = field(default_factory=dict)
    in_all: bool = True
    """False: not part of the group ``all``; trained when its name or group is asked for."""

    @property
    def family(self) -> str:
        return self.method.family or self.method.name

    def effective_options(self, requested: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Every option as it will be used: the defaults, what is requested, what the registration fixes.

        Raises :class:`FixedOption` where a requested value contradicts a fixed one.
        """
        requested = requested or {}
        for name, value in self.fixed.items():
            if name in requested and requested[name] != value:
                raise FixedOption(
                    f"{self.name} fixes {name}={value}, so {name}={requested[name]} cannot be asked of it"
                )
        options = self.method.Options(**{**requested, **self.fixed})
        return {option.name: getattr(options, option.name) for option in fields(options)}

    def create(self, requested: Mapping[str, Any] | None = None) -> Method:
        """A new, untrained method. Raises what :meth:`effective_options` raises."""
        return self.method(self.method.Options(**self.effective_options(requested)))

    def num_parameters(self) -> int:
        """Number of trainable parameters of the upscaling network."""
        return self.create().num_parameters()


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
) -> type[AnyMethod]: ...


@overload
def register(
    *,
    name: str | None = None,
    title: str | None = None,
    groups: tuple[str, ...] | None = None,
    in_all: bool = True,
    options: Any = None,
) -> Callable[[type[AnyMethod]], type[AnyMethod]]: ...


def register(
    method: Any = None,
    *,
    name: str | None = None,
    title: str | None = None,
    groups: tuple[str, ...] | None = None,
    in_all: bool = True,
    options: Any = None,
    **unknown: NoReturn,
) -> Any:
    """Add a method to the registry: as a class decorator, or called with a class.

    ``options`` (``Pecl.Options(term="printed")``) makes a variant of a class: the fields given in it are fixed. With
    ``in_all=False`` the group ``all`` leaves the method out.

    Raises ValueError if the name is taken, or is not made of 1 to 64 lower-case letters, digits, ``-`` and ``_``
    (it becomes a folder name), for a family or group that would change what other methods are, and for options of
    a wrong value; TypeError for a class that is no method, options of another class, and any other keyword.
    """
    if unknown:
        word = next(iter(unknown))
        raise TypeError(f"register() takes no {word!r}: fix an option with options=YourMethod.Options({word}=...)")
    if method is None:
        return lambda cls: register(cls, name=name, title=title, groups=groups, in_all=in_all, options=options)
    entry = Registration(
        name=name or method.name,
        title=title or method.title,
        method=method,
        groups=method.groups if groups is None else groups,
        fixed={} if options is None else _fixed(method, options),
        in_all=in_all,
    )
    _check(entry)
    present = _registry.get(entry.name)
    if present is not None and present != entry:
        raise ValueError(f"a method named {entry.name!r} is registered already ({present.method.__module__})")
    _registry[entry.name] = entry
    return method


def _fixed(method: type[Method], options: Any) -> dict[str, Any]:
    """The options that a registration fixes. Raises TypeError or ValueError for options the method does not take."""
    if not isinstance(options, method.Options):
        raise TypeError(f"options of {method.name!r} must be its own Options, not {type(options).__qualname__}")
    from pydantic import TypeAdapter, ValidationError

    fixed = given_options(options)
    try:
        checked = TypeAdapter(method.Options).validate_python(fixed)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"option {'.'.join(map(str, first['loc']))}: {first['msg'].lower()}") from None
    return {name: getattr(checked, name) for name in fixed}


def _check(entry: Registration) -> None:
    """Raise ValueError or TypeError for a registration that others would suffer from."""
    if not (isinstance(entry.method, type) and issubclass(entry.method, Method)):
        raise TypeError(f"{entry.method!r} is no subclass of methods.Method")
    if not is_dataclass(entry.method.Options):
        raise TypeError(f"the Options of {entry.name!r} are no dataclass")
    if not all(isinstance(words, str) and words.strip() for words in (entry.title, entry.method.citation)):
        raise TypeError(f"title and citation of {entry.name!r} must be text")
    if not isinstance(entry.method.paper_parameters, (int, type(None))):
        raise TypeError(f"paper_parameters of {entry.name!r} must be a number or None")
    if not isinstance(entry.groups, (tuple, list)):
        raise TypeError(f"the groups of {entry.name!r} must be a tuple of names")
    others = [other for other in _registry.values() if other.name != entry.name]
    for kind, name in (("method", entry.name), ("family", entry.family), *(("group", g) for g in entry.groups)):
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name in _RESERVED:
            raise ValueError(
                f"{name!r} cannot name a {kind}: use 1 to 64 lower-case letters, digits, - and _, and no word "
                f"that means something else ({', '.join(sorted(_RESERVED))})"
            )
    if any(entry.name in other.groups for other in others):
        raise ValueError(f"{entry.name!r} cannot name a method: it is a group of methods")
    if taken := {other.name for other in others} & set(entry.groups):
        raise ValueError(f"{min(taken)!r} cannot name a group: it is a method")
    if any(other.family == entry.family and other.method.Options is not entry.method.Options for other in others):
        raise ValueError(f"{entry.name!r} cannot be of the family {entry.family!r}: its options are others")


def names(group: str | None = None) -> list[str]:
    """Names in a group, of all registered methods without one; in the paper's order, extras last."""
    _discover()
    members = [
        name
        for name, entry in _registry.items()
        if group is None or group in entry.groups or (group == "all" and entry.in_all)
    ]
    return sorted(members, key=lambda name: _position(name)[0])


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
    """Import a file of the user's that registers methods; a failure is kept in ``unavailable()``.

    A plug-in is a program that the user chose to run. What it may break is itself alone: a file that does not parse,
    raises, or leaves the program adds nothing. One that has been loaded already is not loaded again.
    """
    _discover()
    name, file = f"methods_plugin_{path.stem}", str(path.resolve())
    taken = sys.modules.get(name)
    if taken is not None and getattr(taken, "__file__", None) != file:  # of the same name in another folder
        name = f"{name}_{hashlib.sha256(file.encode(errors='surrogateescape')).hexdigest()[:8]}"
    if any(entry.method.__module__ == name for entry in _registry.values()):
        return
    spec = importlib.util.spec_from_file_location(name, file)

    def load() -> None:
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} is no Python file")
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
        words = str(error)
    except Exception as broken:  # an exception of a plug-in's own need not be able to say anything
        words = f"(no message: {type(broken).__name__})"
    lines = words.strip().splitlines()
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
