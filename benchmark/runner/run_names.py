"""A run that goes by its default name replaces no finished results of something else."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from benchmark.config import Config
from benchmark.data.plates import Plates
from benchmark.results.store import Run
from benchmark.util.errors import UserError
from methods import Registration


def refuse_taken_name(run: Run, config: Config, entries: Sequence[Registration], plates: Plates) -> None:
    """Raise UserError where ``run`` holds finished results of another data folder, or longer trainings of a method.

    Default names are made from the preset and the data folder's last part, so that they can coincide. The same folder
    with other content is no other data: what was computed from it is computed anew.
    """
    trained = {entry.name for entry in entries if not entry.method.deterministic}
    for result in run.results():
        if not result.complete:
            continue
        stored = result.record.config
        folder = stored.data.folder
        if result.record.data.fingerprint != plates.fingerprint and _place(folder) != _place(config.data.folder):
            what = f"results of other plates ({folder or 'synthetic ones'})"
        elif result.method in trained and stored.train.iterations > config.train.iterations:
            what = f"{result.method} after {stored.train.iterations:,} iterations, more than are asked for now"
        else:
            continue
        raise UserError(f"the run {run.folder} holds {what}, which it would replace: name another run with --run NAME")


def _place(folder: Any) -> str | None:
    """A data folder as it is compared; results have the user's home directory as ``~``."""
    return None if folder is None else os.path.realpath(os.path.expanduser(str(folder)))
