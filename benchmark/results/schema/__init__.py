"""The published form of ``result.json``: a JSON Schema (2020-12) that also reads the versions before it.

The file beside this one is for other programs, too: it describes every field with its type, unit and meaning.
Fields it does not know are let through when reading; a test holds the writer to describing all it writes.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

NAME = "result-4.json"
_RELATIONS = {"enum": "not one of", "const": "not", "minimum": "less than", "maximum": "more than"}


def path() -> Path:
    """Where the schema lies."""
    return Path(str(resources.files(__name__) / NAME))


@cache
def content() -> dict[str, Any]:
    """The schema itself."""
    return json.loads(path().read_text(encoding="utf-8"))


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(content())


def check(info: Any) -> None:
    """Raise ValueError, naming the field, unless ``info`` fits the schema."""
    latest = content()["properties"]["schema"]["enum"][-1]
    if isinstance(info, dict) and type(info.get("schema")) is int and info["schema"] > latest:
        raise ValueError(f"a newer version of this benchmark wrote it (schema {info['schema']}): update this one")
    # The error nearest to the top says most: below a field of the wrong type all is wrong.
    error = min(_validator().iter_errors(info), key=lambda e: (len(e.absolute_path), str(e.json_path)), default=None)
    if error is not None:
        place = ".".join(str(part) for part in error.absolute_path)
        raise ValueError(f"it does not fit its schema: {place or 'its content'}: {_words(error)}")


def _words(error: Any) -> str:
    """What is wrong with a field, without repeating all that is in it."""
    wanted = error.validator_value
    if error.validator == "required":
        return f"lacks {', '.join(repr(name) for name in wanted if name not in error.instance)}"
    if error.validator == "type":
        return f"is no {wanted if isinstance(wanted, str) else ' or '.join(wanted)}"
    if error.validator in _RELATIONS:
        return f"{json.dumps(error.instance)[:60]} is {_RELATIONS[error.validator]} {wanted}"
    return f"{json.dumps(error.instance)[:60]} fails {error.validator} {str(wanted)[:60]}"
