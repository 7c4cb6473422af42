"""Commands that supply what the results lack."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from dataclasses import asdict
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import methods
from benchmark import config
from benchmark.results.identity import NON_IDENTITY_FIELDS, SCORING_SETTINGS
from benchmark.results.provenance import set_option
from benchmark.results.store import Run
from benchmark.util.files import without_home
from paper_figures.common.results import Results, Row

SEEDS = 3
"""Seeds to suggest first."""
START = ["python", "-m", "benchmark", "run"]
FIELDS = {
    "--preset": "preset", "--data": "data.folder", "--protocol": "data.protocol", "--seeds": "train.seeds",
    "--iterations": "train.iterations", "--batch-size": "train.batch_size", "--warm-start": "train.warm_start",
    "--ocr": "scoring.ocr",
}  # fmt: skip
"""Options of ``run`` that stand for a field of the configuration."""
SCORED = ("ocr", "second", *SCORING_SETTINGS)
"""Fields of the section ``scoring`` that scores depend on."""


def run_command(
    results: Results,
    wanted: Iterable[str],
    options: dict[str, str] | None = None,
    settings: dict[str, str] | None = None,
) -> str:
    """The recorded command of these results with ``--methods`` replaced by ``wanted``, ``options`` set, and
    ``settings`` (values by ``section.field``) given with ``--set``.

    Where a preset has moved since, what differs is named: the command would make results of another configuration.
    """
    of = {row.name: row.of for row in results.rows if row.of}
    names = list(dict.fromkeys(of.get(name, name) for name in wanted))
    seeds = {"--seeds": str(max(results.seeds) + 1)} if max(results.seeds) > 0 else {}
    options = {"--methods": ",".join(names), **seeds, **(options or {})}
    words = _recorded(results)
    for option, value in options.items():
        words = set_option(_without_setting(words, FIELDS.get(option)), option, value)
    for field, value in (settings or {}).items():
        words = [*_without_setting(words, field), "--set", f"{field}={value}"]
    return shlex.join(words if "--preset" in options else [*words, *_moved(results, names, _named_fields(words))])


def _recorded(results: Results) -> list[str]:
    """The recorded command in words; the bare command where none of this program's was recorded."""
    try:
        words = shlex.split(results.reference.provenance.command)
    except ValueError:  # an unbalanced quote
        words = START
    return words if words[: len(START)] == START else START


def _named_fields(words: list[str]) -> set[str]:
    """The fields of the configuration that a command names."""
    options = {word.partition("=")[0] for word in words}
    assignments = [after for word, after in pairwise(words) if word == "--set"]
    assignments += [word.removeprefix("--set=") for word in words if word.startswith("--set=")]
    return {FIELDS[option] for option in options & FIELDS.keys()} | {a.partition("=")[0].strip() for a in assignments}


def _without_setting(words: list[str], field: str | None) -> list[str]:
    """The command without ``--set`` of this field, which would win over an option."""
    at = [i for i, word in enumerate(words) if word == "--set" and i + 1 < len(words)]
    drop = {j for i in at if words[i + 1].partition("=")[0].strip() == field for j in (i, i + 1)}
    return [word for i, word in enumerate(words) if i not in drop and not word.startswith(f"--set={field}=")]


def _moved(results: Results, names: list[str], named: set[str]) -> list[str]:
    """Options for what the results were made with, and neither today's preset nor a command that names these fields
    says."""
    stored, words = results.config, []
    if stored.preset not in config.presets():
        return []
    if stored.preset != config.DEFAULT_PRESET and "preset" not in named:
        words += ["--preset", stored.preset]
    families = {methods.get(name).family for name in names if name in methods.names() and stored.methods}
    today = _settings(config.load(stored.preset).model_dump(mode="json"), families)
    for field, value in _settings(stored.as_dict(), families).items():
        if field not in named and field in today and value != today[field]:
            text = value if isinstance(value, str) else json.dumps(value)
            option = {field: option for option, field in FIELDS.items()}.get(field)
            words += [option, text] if option else ["--set", f"{field}={text}"]
    return words


def _settings(content: dict[str, Any], families: set[str]) -> dict[str, Any]:
    """What numbers depend on, by ``section.field``; of methods, the options of these families."""
    left_out = {"data": {"cache", "follow_links"}, "train": NON_IDENTITY_FIELDS["train"]}
    settings = {
        f"{section}.{name}": value
        for section in ("data", "train", "scoring")
        for name, value in content.get(section, {}).items()
        if name not in left_out.get(section, ()) and (section != "scoring" or name in SCORED)
    }
    for family in sorted(families):
        defaults = asdict(config.method_options()[family]())
        options = defaults | content.get("methods", {}).get(family, {})
        settings |= {f"{family}.{name}": value for name, value in options.items()}
    return settings


def report_command(run: Path, out: Path | None, allow_mixed: bool) -> str:
    """The command that draws the report of the run in this folder, from the working folder."""
    place = _short(run)
    words = ["--run", run.name] if place == f"results/{run.name}" else ["--results", place]
    words += ["--out", _short(out)] if out else []
    return shlex.join(["python", "-m", "benchmark", "report", *words, *["--allow-mixed"] * allow_mixed])


def _short(path: Path) -> str:
    """Relative where it lies below the working folder, else whole, the home directory as ``~``."""
    whole, here = path.absolute(), Path.cwd()
    return whole.relative_to(here).as_posix() if whole.is_relative_to(here) else without_home(whole.as_posix())


def test_command(run: Run) -> str:
    """The command that scores a run's weights on other plates."""
    where = ["--results", str(run.results_folder), "--run", run.folder.name]
    return shlex.join(["python", "-m", "benchmark", "score", "--test-data", "FOLDER", *where])


def suggest_command(results: Results, rows: Iterable[Row]) -> str:
    """A command that may decide: more seeds first, then the next larger budget, then more seeds again."""
    names = [row.name for row in rows]
    seeds = len(results.seeds)
    larger = larger_budget(results)
    if seeds < SEEDS:
        return run_command(results, names, {"--seeds": str(SEEDS)})
    return run_command(results, names, larger or {"--seeds": str(seeds + 2)})


def larger_budget(results: Results) -> dict[str, str]:
    """Options of the smallest preset with a larger budget than this run's; empty if there is none."""
    sizes = {name: train.iterations * train.batch_size for name, train in _budgets().items()}
    if not _by_hand(results):
        sizes.pop(results.config.preset, None)  # where it is larger now, it has moved since
    larger = [name for name in sorted(sizes, key=lambda name: sizes[name]) if sizes[name] > patches(results) > 0]
    if not larger:
        return {}
    return preset(results, larger[0])


def preset(results: Results, name: str) -> dict[str, str]:
    """Options that give a run like this one the budget of a preset, even if its iterations were set by hand."""
    by_hand = {"--iterations": str(_budgets()[name].iterations)} if _by_hand(results) else {}
    return {"--preset": name} | by_hand


def _by_hand(results: Results) -> bool:
    """Whether the recorded command says how many iterations. Where it does not, another number than the preset's is
    what that preset said then."""
    return "train.iterations" in _named_fields(_recorded(results))


@cache
def _budgets() -> dict[str, config.Train]:
    """The budget of every preset."""
    return {name: config.load(name).train for name in config.presets()}


def patches(results: Results) -> int:
    """Patches that a training saw (iterations × batch size); 0 if nothing was trained or the size is not recorded."""
    iterations = max((row.iterations for row in results.rows if row.trained), default=0)
    return iterations * results.config.train.batch_size
