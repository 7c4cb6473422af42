"""Which engines run jobs."""

from __future__ import annotations

import difflib

from benchmark.runner.executors.executor import Executor
from benchmark.util.errors import UserError

NAMES = ("local",)


def make(name: str, workers: int | None) -> Executor:
    """The engine of this name. Raises UserError for one that there is not."""
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, n=1)
        raise UserError(
            f"no executor {name!r}{f'; did you mean {near[0]}?' if near else ''} (known: {', '.join(NAMES)})"
        )
    from benchmark.runner.executors.local import Local

    return Local(workers)
