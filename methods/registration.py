"""One competitor: a class of methods, and the options that a registration fixes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from methods.base import Method
from methods.options import given_options

# A name becomes a folder of results, a section of the configuration and a word of ``--methods``; these are taken.
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_RESERVED = {"all", "everything", "hr", "report", "packs", "data", "train", "scoring", "methods", "preset"}


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
    version: int = 1
    """Rises when the numbers of this registration change: that of its class, where none is given."""

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


def fixed_options(method: type[Method], options: Any) -> dict[str, Any]:
    """The options that a registration fixes. Raises TypeError or ValueError for options the method does not take."""
    if type(options) is not method.Options:
        raise TypeError(f"options of {method.name!r} must be its own Options, not {type(options).__qualname__}")
    from pydantic import TypeAdapter, ValidationError

    fixed = given_options(options)
    try:
        checked = TypeAdapter(method.Options).validate_python(fixed)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"option {'.'.join(map(str, first['loc']))}: {first['msg'].lower()}") from None
    return {name: getattr(checked, name) for name in fixed}


def check(entry: Registration, registered: Iterable[Registration]) -> None:
    """Raise ValueError or TypeError for a registration that is no method, or that changes what other methods are."""
    if not (isinstance(entry.method, type) and issubclass(entry.method, Method)):
        raise TypeError(f"{entry.method!r} is not a subclass of methods.Method")
    if not is_dataclass(entry.method.Options):
        raise TypeError(f"the Options of {entry.name!r} are not a dataclass")
    if not all(isinstance(text, str) and text.strip() for text in (entry.title, entry.method.citation)):
        raise TypeError(f"title and citation of {entry.name!r} must be text")
    if not isinstance(entry.method.paper_parameters, (int, type(None))):
        raise TypeError(f"paper_parameters of {entry.name!r} must be a number or None")
    if not isinstance(entry.groups, (tuple, list)):
        raise TypeError(f"the groups of {entry.name!r} must be a tuple of names")
    others = [other for other in registered if other.name != entry.name]
    for kind, name in (("method", entry.name), ("family", entry.family), *(("group", g) for g in entry.groups)):
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name in _RESERVED:
            raise ValueError(
                f"{name!r} cannot name a {kind}: use 1 to 64 lower-case letters, digits, - and _, and no word "
                f"that means something else ({', '.join(sorted(_RESERVED))})"
            )
    if any(entry.name in other.groups for other in others):
        raise ValueError(f"{entry.name!r} cannot name a method: it is a group of methods")
    if same_names := {other.name for other in others} & set(entry.groups):
        raise ValueError(f"{min(same_names)!r} cannot name a group: it is a method")
    if any(other.family == entry.family and other.method.Options is not entry.method.Options for other in others):
        raise ValueError(f"{entry.name!r} cannot be of the family {entry.family!r}: its options are others")
