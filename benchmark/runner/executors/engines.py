"""Which engines run jobs."""

from __future__ import annotations

import difflib
from importlib.util import find_spec

from benchmark.runner.executors.executor import Executor
from benchmark.util.errors import UserError

NAMES = ("local", "slurm", "ray")


def make(name: str, workers: int | None, wait: bool) -> Executor:
    """The engine of this name. Raises UserError for one that there is not, or whose extra is not installed."""
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, n=1)
        raise UserError(
            f"no executor {name!r}{f'; did you mean {near[0]}?' if near else ''} (known: {', '.join(NAMES)})"
        )
    if name != "local" and workers is not None:
        way = "use --set slurm.parallel=N" if name == "slurm" else "as many tasks run at a time as fit the cluster"
        raise UserError(f"--workers is for --executor local: {way}")
    if name != "slurm" and wait:
        raise UserError(f"--wait is for --executor slurm: {name} always waits")
    package = {"slurm": "submitit", "ray": "ray"}.get(name)
    if package and find_spec(package) is None:
        raise UserError(f"--executor {name} needs {package}: pip install 'plate-sr-benchmark[{name}]'")
    if name == "slurm":
        from benchmark.runner.executors.slurm import Slurm

        return Slurm(wait)
    if name == "ray":
        from benchmark.runner.executors.ray import Ray

        return Ray()
    from benchmark.runner.executors.local import Local

    return Local(workers)
