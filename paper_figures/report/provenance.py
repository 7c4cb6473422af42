"""Where the numbers of a report come from: commits, versions, hardware, fingerprints, commands, clocks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmark.results.record_config import DataFacts
from benchmark.results.record_parts import OcrEngineFacts
from benchmark.results.record_provenance import Hardware, Source
from paper_figures.common import text
from paper_figures.common.results import Results

CLOCKS = ("training", "validation", "checkpoint", "scoring")
"""What a result keeps time of, each by itself; training is the budget's clock and excludes the others."""


def facts(results: Results) -> dict[str, str]:
    """Each fact under its name, every value that occurs in the results once."""
    records = results.records
    made = [record.provenance for record in records]
    dates = sorted(filter(None, (each.date for each in made)))
    commits = _once(each.commit[:12] for each in made if each.commit)
    dirty = " (with uncommitted changes)" if any(each.dirty for each in made) else ""
    versions = _once(", ".join(f"{name} {version}" for name, version in each.versions.items()) for each in made)
    stated = {
        "commit": (", ".join(commits) or "not in a checkout") + dirty,
        "command": "; ".join(_once(each.command for each in made)) or "unknown",
        "device": ", ".join(_once(each.hardware.device for each in made)) or "unknown",
        "hardware": "; ".join(_once(_hardware(each.hardware) for each in made)) or "unknown",
        "versions": "; ".join(versions) or "unknown",
        "data": "; ".join(_once(_data(record.data) for record in records)) or "unknown",
        "OCR engine": "; ".join(_once(_engine(record.judge) for record in records)) or "none",
    }
    second = _once(_engine(record.second_judge) for record in records)
    if second:
        stated["second OCR engine"] = "; ".join(second)
    return {**stated, "dates": " to ".join(dict.fromkeys((dates[0], dates[-1]))) if dates else "unknown"}


def _once(texts: Iterable[str]) -> list[str]:
    """The different texts that are not empty, in order."""
    return list(dict.fromkeys(filter(None, texts)))


def clocks(results: Results) -> list[dict[str, Any]]:
    """One entry per result: title, seed, iterations, seconds by clock (None if not kept), start, source."""
    return [
        {
            "title": record.title,
            "seed": record.seed,
            "iterations": record.iterations or None,
            **{clock: record.clocks.get(clock) for clock in CLOCKS},
            "date": record.provenance.date,
            "source": _source(record.source),
        }
        for record in results.records
    ]


def _source(source: Source | str | None) -> str:
    """``training 0123456789ab, scoring cdef01234567``; results of schema 1 have one hash over everything."""
    parts = source.as_dict() if isinstance(source, Source) else {"": source or ""}
    return ", ".join(f"{part} {digest[:12]}".strip() for part, digest in parts.items())


def duration(seconds: float | None) -> str:
    """``4.2 s``, ``12 min 5 s``, ``3 h 20 min``; a dash if unknown."""
    if seconds is None:
        return text.DASH
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60} min"


def _hardware(hardware: Hardware) -> str:
    return " · ".join(f"{key} {value}" for key, value in hardware.as_dict().items())


def _data(data: DataFacts) -> str:
    return (
        f"{data.name or 'unnamed'}, {data.train}/{data.val}/{data.test} training/validation/test plates, "
        f"{data.protocol or 'unknown'} protocol, fingerprint {data.fingerprint or 'unknown'}"
    )


def _engine(engine: OcrEngineFacts | None) -> str:
    return f"{engine.name} ({engine.version}; model {engine.model}, SHA-256 {engine.sha256})" if engine else ""
