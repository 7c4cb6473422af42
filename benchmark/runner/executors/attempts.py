"""How often a job was broken off from outside: killed, lost with its node, or put back in the queue.

An engine starts such a job again, and it goes on from its checkpoint. One that gets no further than before, several
times in a row, becomes a stored failure instead of a loop.
"""

from __future__ import annotations

import json
from pathlib import Path

from benchmark.results.store import LOCKS, Key, Run
from benchmark.training import checkpoint
from benchmark.util.errors import writing
from benchmark.util.files import write_bytes
from benchmark.util.names import fit_name

LIMIT = 3
"""Starts of a job in a row without a new checkpoint."""


class BrokenOff(RuntimeError):
    """A job was started too often without getting on."""


def begin(run: Run, key: Key, command: str) -> None:
    """Count a start of a job by ``command`` (another one counts anew). Raises BrokenOff where it is one too many."""
    path, progress = file(run, key), _progress(run.place(*key))
    try:
        stored, count, before = json.loads(path.read_bytes())
    except (OSError, ValueError, TypeError):
        stored, count, before = "", 0, ""
    if stored != command or progress != before:
        count = 0
    if count >= LIMIT:
        raise BrokenOff(
            f"started {count} times and broken off each time with no new checkpoint (out of memory, or a time limit"
            " that is too short?): give it more memory or time, or fewer workers"
        )
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, json.dumps([command, count + 1, progress]).encode(), durable=False)


def end(run: Run, key: Key) -> None:
    """Forget the starts of a job that is complete or has failed."""
    file(run, key).unlink(missing_ok=True)


def file(run: Run, key: Key) -> Path:
    """Where the starts of a job are counted."""
    locks = run.folder / LOCKS
    return locks / fit_name(f"attempts-{key[0]}-seed{key[1]}", locks, ".json")


def _progress(folder: Path) -> str:
    """Changes with every checkpoint, and not with the machine that it is copied to; "": none."""
    files = [folder / name for name in (checkpoint.CURRENT, checkpoint.FINISHED)]
    return " ".join(checkpoint.digest(file) for file in files if file.is_file())
