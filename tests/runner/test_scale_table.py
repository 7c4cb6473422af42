"""The table of scale in the page of benchmark/: its numbers follow from the measured rates of results/throughput."""

from __future__ import annotations

import heapq
import re
from pathlib import Path

import pandas as pd
from test_references import ROOT

from benchmark.perf.page import campaign_hours

MEASURED = ROOT / "results" / "throughput" / "amd-epyc-2-cores-torch2.15.0.csv"
PAGE = ROOT / "benchmark" / "README.md"


def wall_hours(trainings: list[float], devices: int) -> float:
    """Longest first, each on the device that is free first."""
    free = [0.0] * devices
    for hours in sorted(trainings, reverse=True):
        heapq.heappush(free, heapq.heappop(free) + hours)
    return max(free)


def row(devices: int) -> str:
    hours = [value for value, _ in campaign_hours(pd.read_csv(MEASURED)).values()]
    days = [wall_hours(hours * seeds, devices) / 24 for seeds in (1, 3, 10)]
    cells = [f"{value:,.0f}" for value in days]
    return " | ".join([*cells, f"{days[0]:,.0f} ×", f"{days[1]:,.0f} ×"])


def test_the_table_of_scale_follows_from_the_measured_rates() -> None:
    rows = re.findall(r"^\| [^|]*\b(one|eight|64) devices? \| (.*) \|$", Path(PAGE).read_text(encoding="utf-8"), re.M)
    assert rows == [("one", row(1)), ("eight", row(8)), ("64", row(64))]
