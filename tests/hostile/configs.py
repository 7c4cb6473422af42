"""Settings of the command line and of configuration files, good and bad, and what must come of reading them."""

from __future__ import annotations

import datetime
import json
import random
from dataclasses import fields
from typing import Any

import methods
from benchmark.config import SECTIONS, build, load
from benchmark.runner.context import resolve_device
from benchmark.util.errors import UserError
from hostile.mutations import VALUES
from hostile.words import WORDS

TEXTS = ("1", "0", "-1", "7", "1e3", "1e999", "nan", "inf", "-inf", "1_000", "٣", " 4 ", "4\n", "0x10", "true", "null",
         "9" * 30, "9" * 5000, "[" * 100_000, '{"a": 1}', "cpu", "cuda:99", "cuda:-1", "meta", "rapid", "none", "paper",
         "/", ".", "/dev/zero", "\0", "imagenet", "manhattan", "0.5", "128", *WORDS)  # fmt: skip
TOML = (*VALUES, datetime.datetime(2026, 1, 1), datetime.date(1, 1, 1), datetime.time(0), b"x", (1,), {"a": {"b": [1]}})


def fields_of() -> list[tuple[str, str]]:
    """Every (section, field) that can be set, and some that cannot."""
    known = [(name, field) for name, section in SECTIONS.items() for field in section.model_fields]
    entries = [methods.get(name) for name in methods.names("table1")]
    known += [(entry.family, field.name) for entry in entries for field in fields(entry.method.Options)]
    return [*known, ("train", "nothing"), ("nobody", "iterations"), ("", ""), ("data", ""), ("methods", "pecl")]


def check(source: random.Random) -> str:
    """Read one configuration: ``accepted`` or ``refused``."""
    places = fields_of()
    try:
        if source.random() < 0.7:
            chosen = [(*source.choice(places), source.choice(TEXTS)) for _ in range(source.choice((1, 1, 2)))]
            assignments = [f"{section}.{field}={value}" for section, field, value in chosen]
            if source.random() < 0.2:
                assignments[0] = _mangled(assignments[0], source)
            config = load(source.choice(("quick", "quick", "standard", *WORDS)[: source.choice((3, 20))]), assignments)
        else:
            section, field = source.choice(places)
            config = build({section: {field: source.choice(TOML)}}, "quick")
        resolve_device(config.train.device)
    except UserError as error:
        assert "\n" not in str(error) and len(str(error)) < 2000, str(error)[:3000]
        return "refused"
    content: dict[str, Any] = config.model_dump(mode="json")
    json.dumps(content, allow_nan=False)
    assert all(
        0 <= config.train.model_dump()[name] <= 10**9 for name in ("iterations", "batch_size", "seeds", "threads")
    )
    for family, options in config.methods.items():
        methods.get(family).method.Options(**options)
    return "accepted"


def _mangled(assignment: str, source: random.Random) -> str:
    place = source.randrange(len(assignment[:200]) + 1)
    return (
        assignment[:place]
        + source.choice(("", "=", ".", "\x00", "..", "é", source.choice(WORDS)))
        + assignment[place + 1 :]
    )
