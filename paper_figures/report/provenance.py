"""Where the numbers of a report come from: commits, versions, hardware, fingerprints, commands, clocks."""

from __future__ import annotations

import math
from typing import Any

from paper_figures.common import text
from paper_figures.common.results import Results

CLOCKS = ("training", "validation", "checkpoint", "scoring")
"""What a result keeps time of, each by itself; training is the budget's clock and excludes the others."""


def facts(results: Results) -> dict[str, str]:
    """Each fact under its name, every value that occurs in the results once."""
    dates = sorted(_provenance(results, "date"))
    commits = [commit[:12] for commit in _provenance(results, "commit")]
    dirty = " (with uncommitted changes)" if "True" in _provenance(results, "dirty") else ""
    hardware = [" · ".join(f"{key} {value}" for key, value in parts.items())
                for parts in _dictionaries(results, "provenance", "hardware")]  # fmt: skip
    stated = {
        "commit": (", ".join(commits) or "not in a checkout") + dirty,
        "command": "; ".join(_provenance(results, "command")) or "unknown",
        "device": ", ".join(_provenance(results, "hardware", "device")) or "unknown",
        "hardware": "; ".join(hardware) or "unknown",
        "versions": "; ".join(", ".join(f"{k} {v}" for k, v in each.items())
                              for each in _dictionaries(results, "provenance", "versions")) or "unknown",
        "data": "; ".join(map(_data, _dictionaries(results, "data"))) or "unknown",
        "OCR engine": "; ".join(map(_engine, _dictionaries(results, "judge"))) or "none",
    }  # fmt: skip
    second = _dictionaries(results, "second_judge")
    if second:
        stated["second OCR engine"] = "; ".join(map(_engine, second))
    return {**stated, "dates": " to ".join(dict.fromkeys((dates[0], dates[-1]))) if dates else "unknown"}


def clocks(results: Results) -> list[dict[str, Any]]:
    """One entry per result: title, seed, iterations, seconds by clock (None if not kept), start, source."""
    return [
        {
            "title": str(info.get("title")),
            "seed": info.get("seed"),
            "iterations": info.get("iterations") or None,
            **{clock: _seconds(_at(info, "clocks", clock)) for clock in CLOCKS},
            "date": _text(info, "provenance", "date"),
            "source": _source(info.get("source")),
        }
        for info in results.infos
    ]


def _source(source: Any) -> str:
    """``training 0123456789ab, scoring cdef01234567``; results of schema 1 have one hash over everything."""
    parts = source if isinstance(source, dict) else {"": source or ""}
    return ", ".join(f"{part} {str(digest)[:12]}".strip() for part, digest in parts.items())


def _seconds(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) and value >= 0 else None


def duration(seconds: float | None) -> str:
    """``4.2 s``, ``12 min 5 s``, ``3 h 20 min``; a dash if unknown."""
    if seconds is None:
        return text.DASH
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60} min"


def _provenance(results: Results, *path: str) -> list[str]:
    values = [_at(info, "provenance", *path) for info in results.infos]
    return list(dict.fromkeys(str(value) for value in values if value is not None))


def _dictionaries(results: Results, *path: str) -> list[dict[str, Any]]:
    """The different dictionaries that the results have at ``path``."""
    values = [_at(info, *path) for info in results.infos]
    return [each for i, each in enumerate(values) if isinstance(each, dict) and each and each not in values[:i]]


def _at(info: dict[str, Any], *path: str) -> Any:
    value: Any = info
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _text(info: dict[str, Any], *path: str) -> str:
    value = _at(info, *path)
    return "" if value is None else str(value)


def _data(info: dict[str, Any]) -> str:
    sizes = "/".join(str(info.get(part, "?")) for part in ("train", "val", "test"))
    return (
        f"{info.get('name', 'unnamed')}, {sizes} training/validation/test plates, {info.get('protocol', 'unknown')} "
        f"protocol, fingerprint {info.get('fingerprint', 'unknown')}"
    )


def _engine(info: dict[str, Any]) -> str:
    return f"{info.get('name')} ({info.get('version')}; model {info.get('model')}, SHA-256 {info.get('sha256')})"
