"""``python -m benchmark``, and the command ``plate-sr``."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from benchmark.cli.main import main
from benchmark.util.terminal import lost_output, say, tolerate_lost_output

_HERE = Path(__file__).resolve().parents[1]
_KEEPS_RESULTS = {"run", "search"}
"""Commands whose results are files: they have not failed where only what they print is lost."""


def start() -> None:
    """Run the command line, whatever becomes of what it prints, and exit with its code."""
    tolerate_lost_output()
    # Read when torch is loaded. OpenMP threads that spin while they wait take the cores from other processes: beside
    # eight busy ones on two cores, two sleeping threads trained ESPCN 25 times as fast as two spinning ones.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for package in ("methods", "paper_figures"):
        spec = find_spec(package)
        if spec is not None and spec.origin and Path(spec.origin).resolve().parents[1] != _HERE:
            say(f"error: {spec.origin} hides this program's own {package}: use the command plate-sr instead of"
                " `python -m benchmark`, or start it in another folder", error=True)  # fmt: skip
            sys.exit(2)
    code: object = 0
    try:
        main()
    except SystemExit as stop:
        code = stop.code
    if (lost := lost_output()) is not None:
        say(f"error: cannot write the standard output: {lost.strerror}", error=True)
        if not code and sys.argv[1:2] and sys.argv[1] not in _KEEPS_RESULTS:
            code = 1
    sys.exit(code)  # type: ignore[arg-type]


if __name__ == "__main__":
    start()
