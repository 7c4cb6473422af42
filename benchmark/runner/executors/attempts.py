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
    file, progress = _file(run, key), _progress(run.place(*key))
    try:
        stored, count, before = json.loads(file.read_bytes())
    except (OSError, ValueError, TypeError):
        stored, count, before = "", 0, 0
    if stored != command or progress != before:
        count = 0
    if count >= LIMIT:
        raise BrokenOff(
            f"started {count} times and broken off each time with no new checkpoint (out of memory, or a time limit"
            " that is too short?): give it more memory or time, or fewer workers"
        )
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(file, json.dumps([command, count + 1, progress]).encode(), durable=False)


def end(run: Run, key: Key) -> None:
    """Forget the starts of a job that is complete or has failed."""
    _file(run, key).unlink(missing_ok=True)


def _file(run: Run, key: Key) -> Path:
    locks = run.folder / LOCKS
    return locks / fit_name(f"attempts-{key[0]}-seed{key[1]}", locks, ".json")


def _progress(folder: Path) -> int:
    """Changes with every checkpoint (nanoseconds of its file; 0: none)."""
    files = [folder / name for name in (checkpoint.CURRENT, checkpoint.FINISHED)]
    return max((file.stat().st_mtime_ns for file in files if file.is_file()), default=0)
