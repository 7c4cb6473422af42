"""Options of a method: a frozen dataclass that remembers which of its fields were given."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class MethodOptions:
    """Base of a method's ``Options``. A registration fixes exactly the fields that were given, defaults included."""

    def __new__(cls, *values: Any, **named: Any) -> MethodOptions:
        options = super().__new__(cls)
        positional = [field.name for field in fields(cls) if not field.kw_only][: len(values)] if values else []
        object.__setattr__(options, "_given", frozenset([*positional, *named]))
        return options


def given_options(options: Any) -> dict[str, Any]:
    """The fields of an ``Options`` that were given. Of a plain dataclass: those that differ from the default."""
    given = getattr(options, "_given", None)
    values = {field.name: getattr(options, field.name) for field in fields(options)}
    if given is not None:
        return {name: value for name, value in values.items() if name in given}
    default = type(options)()
    return {name: value for name, value in values.items() if value != getattr(default, name)}
