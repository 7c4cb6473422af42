"""The fault table: ``python tests/soak/faults.py [part of a name]`` brings every fault about and prints Markdown.

Of each fault: the exit code, the line the user got, and what was lost once the same command had been run again.
Exit code 1 if anything was lost that should not have been.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2])]
os.environ.setdefault("OMP_NUM_THREADS", "1")

from fault_bench import Bench, Impossible  # noqa: E402
from fault_methods import SCENARIOS  # noqa: E402 (it adds to those of the machine)


def main() -> int:
    chosen = {name: run for name, run in SCENARIOS.items() if all(word in name for word in sys.argv[1:])}
    print("| fault | exit | what the user is told | lost |\n|---|---|---|---|", flush=True)
    broken = 0
    for name, run in chosen.items():
        with tempfile.TemporaryDirectory() as folder:
            try:
                seen = run(Bench(Path(folder)))
                row = [str(seen.code), seen.line.replace(folder, "…"), seen.lost]
            except Impossible as reason:
                row = ["", str(reason), "not tried"]
            except AssertionError as error:
                broken += 1
                row = ["", str(error).splitlines()[0] if str(error) else "a check failed", "BROKEN"]
        told = re.sub(r"\bpid \d+ on \S+ since [\d-]+ \d\d:\d\d:\d\d", "pid N on HOST since TIME", row[1])
        print(f"| {name} | {row[0]} | {told.replace('|', chr(92) + '|')} | {row[2]} |", flush=True)
    print(f"\n{len(chosen)} faults, {broken} broken")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
