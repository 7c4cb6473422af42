"""``result.json`` and tables as text: how they are written, and how they are read when strangers have made them."""

from __future__ import annotations

import io
import json
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.results.record import Record, parse
from benchmark.results.record_fields import Part
from benchmark.util.errors import first_line
from benchmark.util.files import read_plain, without_home
from benchmark.util.terminal import plain

LONGEST_RECORD, LONGEST_TABLE = 8_000_000, 256_000_000
"""Bytes of the largest ``result.json`` and the largest table that are read."""
_BRACKETS = 300
# Before 3.1 pandas had to be asked to read numbers as they were written; since then it objects to being asked.
_PANDAS = tuple(int(part) for part in pd.__version__.split(".")[:2])
_EXACTLY: dict[str, Any] = {} if _PANDAS >= (3, 1) else {"float_precision": "round_trip"}


class Unreadable(ValueError):
    """A ``result.json`` that cannot be used; the message says why, in one printable line."""


def to_text(info: dict[str, Any]) -> str:
    """The content of ``result.json`` as JSON, with ``~`` for the user's home directory, and with what UTF-8 cannot
    hold (parts of file names) escaped. Raises ValueError where it does not fit the schema, or is infinite."""
    text = json.dumps(_storable(info), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    parse(json.loads(text))
    return text


def _storable(value: Any) -> Any:
    if isinstance(value, Part):
        return _storable(value.as_dict())
    if isinstance(value, dict):
        return {_storable(key): _storable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_storable(item) for item in value]
    if isinstance(value, str):
        return without_home(value).encode("utf-8", "backslashreplace").decode()
    return value


def read_record(path: Path) -> Record:
    """The record in a ``result.json``; texts are such as a terminal shows. Raises Unreadable."""
    try:
        return parse(read_json(read_plain(path, LONGEST_RECORD).decode("utf-8")))
    except OSError as error:
        raise Unreadable(f"{path.name} {error.strerror}") from None
    except RecursionError:
        raise Unreadable(f"{path.name} is nested too deeply") from None
    except ValueError as error:
        raise Unreadable(first_line(error)) from None


def read_json(text: str) -> Any:
    """JSON of a stranger's, its texts such as a terminal shows. Raises ValueError (also for numbers that are infinite
    or beyond 64 bits) and RecursionError."""
    value = json.loads(text, parse_constant=_refuse, parse_float=_finite, parse_int=_whole)
    # Going through all texts takes longer than all else. It changes nothing where nothing is escaped, and its limit of
    # depth is not reached by few brackets.
    few = text.count("{") + text.count("[") < _BRACKETS
    return value if few and "\\" not in text and plain(text) == text else _printable(value)


def _refuse(number: str) -> float:
    raise ValueError(f"{number} is not a number that can be used")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse(text)


def _whole(text: str) -> int:
    if len(text) > 19:  # beyond 64 bits; a float could not hold it
        _refuse(text[:19] + "…")
    return int(text)


def _printable(value: Any) -> Any:
    if isinstance(value, dict):
        return {plain(key): _printable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_printable(item) for item in value]
    return plain(value) if isinstance(value, str) else value


def read_table(path: Path, **options: Any) -> pd.DataFrame:
    """A CSV table, numbers exactly as they were written; empty where there is none that can be read."""
    try:
        content = io.BytesIO(read_plain(path, LONGEST_TABLE))
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # lines longer than the header
            table = pd.read_csv(content, index_col=False, low_memory=False, **_EXACTLY, **options)
    except (OSError, ValueError, OverflowError, pd.errors.ParserWarning):  # ValueError: an empty or broken table
        return pd.DataFrame()
    for name in table.columns[[dtype == np.dtype(object) for dtype in table.dtypes]]:
        if table[name].map(lambda value: isinstance(value, int)).any():
            table[name] = table[name].map(str)  # whole numbers beyond 64 bits, which not even a float might take
    return table
