"""The commands about methods: which there are, and whether they keep the contract."""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.cli.options import AsJson, Assignments, Names, Plugins, load_plugins, make_config, select_methods
from benchmark.util.errors import first_line
from benchmark.util.terminal import say

if TYPE_CHECKING:
    from methods import Registration


def list_methods(plugin: Plugins = None, as_json: AsJson = False) -> None:
    """List the methods that can be run."""
    import methods

    load_plugins(plugin)  # what is unavailable of them is listed, too
    rows: list[dict[str, Any]] = []
    absent = methods.unavailable()
    for name in methods.names():
        entry = methods.get(name)
        try:
            parameters = int(entry.num_parameters())
        except (Exception, SystemExit) as error:  # whatever a plug-in's network raises, the others are listed
            absent[name] = f"cannot be built: {first_line(error)}"
            continue
        rows.append(
            {
                "name": name,
                "title": entry.title,
                "groups": list(entry.groups),
                "parameters": parameters,
                "paper_parameters": entry.method.paper_parameters,
                "citation": entry.method.citation,
                "available": True,
            }
        )
    for name, reason in absent.items():
        unknown = dict.fromkeys(["parameters", "paper_parameters", "citation"])
        rows.append({"name": name, "title": name, "groups": [], **unknown, "available": False, "reason": reason})
    if as_json:
        say(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    say(f"{'name':<28}{'parameters':>12}{'in paper':>12}  groups")
    for row in rows:
        ours, paper = ("" if row[k] is None else f"{row[k]:,}" for k in ("parameters", "paper_parameters"))
        text = ", ".join(row["groups"]) if row["available"] else f"unavailable: {row['reason']}"
        say(f"{row['name']:<28}{ours:>12}{paper:>12}  {text}")
    say(f"--methods takes names, groups, all ({len(methods.names('all'))} of these {len(rows)}) and everything")


def validate(names: Names, plugin: Plugins = None, assignments: Assignments = None) -> None:
    """Check that methods keep the contract. It is about sizes, range, training, weights, resume and precision."""
    from methods.contract import CHECKS

    entries, lost = select_methods(names, plugin)
    config = make_config("quick", {}, assignments, entries)
    broken = 0
    for entry in entries:
        for check, run_check in CHECKS.items():
            try:
                run_check(lambda entry=entry: entry.create(config.options_for(entry)))  # type: ignore[misc]
            except (Exception, SystemExit) as error:  # whatever a method raises, the other checks say more
                broken += 1
                say(f"{entry.name:<28}{check:<10}BROKEN: {first_line(error)}{_place(error, entry)}")
            else:
                say(f"{entry.name:<28}{check:<10}kept")
    for name in lost:
        say(f"unavailable: {name}", error=True)
    if broken or lost:
        sys.exit(1)


def _place(error: BaseException, entry: Registration) -> str:
    """The line of a method's file that an error came from, in brackets; "" where it came from elsewhere."""
    file = getattr(sys.modules.get(entry.method.__module__), "__file__", None)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f" ({Path(file).name}, line {lines[-1]})" if file and lines else ""
