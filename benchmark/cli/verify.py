"""``python -m benchmark verify``: whether stored results are what they say."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from benchmark.cli.options import AsJson, Plugins, Results, need_plugins, path_option
from benchmark.util.terminal import cell, say

if TYPE_CHECKING:
    from benchmark.results.store import Run
    from benchmark.results.verify import Verified


def verify(
    folder: Annotated[
        Optional[Path],
        typer.Argument(parser=path_option, metavar="FOLDER", help="The same as --results; or a bundle."),
    ] = None,
    results: Results = Path("results"),
    run_name: Annotated[Optional[str], typer.Option("--run", help="Name of a run. Default: all.")] = None,
    plugin: Plugins = None,
    complete: Annotated[bool, typer.Option("--complete", help="Weights and pictures must be there, too.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Only say where the schema of result.json is.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check whether stored results are what they say.

    That is: schema, checksums, weights, identity, scores, history, clocks, data, and the report's table.

    Exit code 0: all fits, 1: something does not, 2: bad input.
    """
    from benchmark.results.find_runs import find_runs
    from benchmark.results.record import PUBLISHED

    if schema:
        say(PUBLISHED)
        return
    need_plugins(plugin)
    from benchmark.results.verify import verify_run
    from benchmark.runner.status import running

    outcomes = []
    if folder is not None and folder.is_file():
        from benchmark.results.bundle_reading import opened

        with opened(folder) as (bundled, _):
            checked = verify_run(bundled)
        notes = [note for note in checked.notes if not note.startswith("plates: ")]
        outcomes.append(replace(checked, run=str(folder), notes=[*notes, "plates: not checked, a bundle has none"]))
    else:
        for run in find_runs(folder or results, run_name):
            outcomes.append(verify_run(run, complete, _table1, running(run)))
            outcomes += [verify_run(part, complete) for part in run.test_sets()]
    if as_json:
        say(json.dumps([verified.as_dict() for verified in outcomes], indent=1, ensure_ascii=False))
    else:
        for verified in outcomes:
            _show(verified)
    if any(verified.faults for verified in outcomes):
        sys.exit(1)


def _table1(run: Run) -> str:
    from paper_figures import table1
    from paper_figures.common import loading, tables

    return tables.to_csv(table1.frame(loading.load(run, allow_mixed=True)))


def _show(verified: Verified) -> None:
    say(verified.run)
    for result in verified.results:
        verdict = "DOES NOT FIT" if result.problems else "failed, and stored as such" if result.failed else "fits"
        left_out = f"; not there: {', '.join(result.left_out)}" if result.absent else ""
        say(f"{result.method:<28}seed {result.seed:<3}{verdict:<14}{cell(result.source + left_out)}".rstrip())
    for note in verified.notes:
        say(f"note: {cell(note)}")
    for problem in verified.faults:
        say(f"problem: {cell(problem)}")
    faults = len(verified.faults)
    verdict = "all fit" if not faults else "1 problem" if faults == 1 else f"{faults} problems"
    say(f"{len(verified.results)} results, {verdict}")
