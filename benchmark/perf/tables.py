"""Rows of measurements as text for a terminal, and as CSV to contribute."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.perf.page import COLUMNS, page, read
from benchmark.util.files import write_text

_KEY = ["method", "batch_size", "threads", "precision", "memory_format", "compile"]
"""What there is one line of in a CSV: the latest."""

Format = Callable[[Any], str]


def steps_table(rows: list[dict[str, Any]]) -> str:
    """Training steps, a line a method, and below what needs saying."""
    times = [row for row in rows if "step_ms" in row]
    columns: dict[str, tuple[str, Format]] = {
        "step ms": ("step_ms", "{:.2f}".format),
        "floor ms": ("floor_ms", "{:.2f}".format),
        "ratio": ("ratio", "{:.3f}".format),
        "it/s": ("iterations_per_s", "{:.2f}".format),
        "data": ("data_share", "{:.1%}".format),
        "logging": ("logging_share", "{:.2%}".format),
        "validation": ("validation_share", "{:.1%}".format),
        "checkpoint": ("checkpoint_share", "{:.2%}".format),
        "MB": ("memory_mb", "{:.0f}".format),
    }
    lines = [["method", *columns]] + [[row["method"], *(f(row[k]) for k, f in columns.values())] for row in times]
    for preset in times[0]["hours"] if times else ():
        lines[0].append(f"{preset} h")
        for line, row in zip(lines[1:], times):
            exact = row["preset_batch"][preset] == row["batch_size"]
            line.append(_hours(row["hours"][preset]) + ("" if exact else "*"))
    notes = []
    if times:
        first = times[0]
        notes.append(
            f"{first['device_name']}, torch {first['torch']}, {first['threads']} threads, {first['precision']}, "
            f"compile {first['compile']}, batch {first['batch_size']}. MB: {first['memory_is']}."
        )
        if any(row["preset_batch"] != dict.fromkeys(row["preset_batch"], row["batch_size"]) for row in times):
            batches = ", ".join(f"{name} {size}" for name, size in first["preset_batch"].items())
            notes.append(
                f"* that preset's iterations at batch {first['batch_size']}; its own batch is another ({batches})."
            )
    for row in rows:
        if row.get("unmeasured", 0.0) > 0.0:
            notes.append(
                f"{row['method']}: {row['unmeasured']:.0%} of the iterations do other work, which was not measured "
                "(more --repeats)."
            )
        elif "error" in row:
            notes.append(f"{row['method']}: FAILED: {row['error']}")
        elif "step_ms" not in row:
            notes.append(f"{row['method']}: nothing to train.")
    return "\n".join([*(aligned(lines) if times else []), *notes])


def _hours(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.2g}"


def aligned(lines: list[list[str]]) -> list[str]:
    """Lines of cells: the first column to the left, the others to the right."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(line, widths))
        )
        for line in lines
    ]


def save(rows: list[dict[str, Any]], folder: Path) -> Path | None:
    """Add measured rows to the CSV of their device and torch version, and make the page of the folder anew.

    A line of the same method, batch size, threads and ways of computing is replaced. Returns the CSV, None without
    rows.
    """
    times = [row for row in rows if "step_ms" in row]
    if not times:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file_name(times[0]["device_name"], times[0]["torch"])
    table = pd.DataFrame([[row.get(name) for name in COLUMNS] for row in times], columns=list(COLUMNS))
    if path.is_file():
        table = pd.concat([read(path), table]).drop_duplicates(_KEY, keep="last")
    write_text(path, table.sort_values(_KEY[1:], kind="stable").to_csv(index=False, float_format="%.6g"))
    write_text(folder / "README.md", page(folder))
    return path


def file_name(device: str, torch: str) -> str:
    """<device>-torch<version>.csv, in letters that every file system takes."""
    slug = re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-") or "device"
    return f"{slug}-torch{torch.partition('+')[0]}.csv"
