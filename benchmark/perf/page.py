"""The page of ``results/throughput``: what the paper's campaign would take, and what limits each method.

Everything on it is computed from the CSV files beside it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

import methods
from benchmark.config import load
from benchmark.util.errors import UserError, first_line

_HEAD = """# Throughput

*Made by `python -m benchmark perf --save` from the CSV files in this folder; not edited by hand.*

One file a device and version of torch, one line a method. To add yours:

```sh
python -m benchmark perf --methods table1 --batch-size 128 --save
```

A *step* is an iteration of training as `run` does it; its *floor* is the same method's step on a ready-made random
batch with nothing around it, measured in turn with it (medians of pairs). What the columns of the files mean, and
how they are measured, is in `benchmark/perf`.
"""
COLUMNS = {
    "method": "its name",
    "batch_size": "patches per step",
    "device": "cpu or cuda",
    "device_name": "model of the processor with its cores, or of the GPU",
    "torch": "its version",
    "threads": "that torch takes on the CPU",
    **{name: f"train.{name} of the configuration" for name in ("precision", "memory_format", "compile")},
    "step_ms": "milliseconds of a step as `run` does it",
    "floor_ms": "of the same step on a ready-made batch with nothing around it",
    "ratio": "of the two: the median over pairs of neighbours in time",
    "iterations_per_s": "1000 / step_ms",
    "unmeasured": "share of the budget's iterations that do other work (a second phase), which no pair was of",
    "data_share": "of a step: making its batch",
    "logging_share": "of a step: telling how far it is",
    "validation_share": "time for all validations of the preset, relative to that for its steps",
    "checkpoint_share": "time for checkpoints, relative to that between them; at most what training allows them",
    "validation_ms_per_plate": "milliseconds",
    "checkpoint_ms": "milliseconds of writing one",
    "memory_mb": "most memory that the training took, in units of 2^20 bytes",
    "memory_is": "how that was measured",
    "gflop": "10^9 floating-point operations of a step (a multiplication with an addition is two)",
    "operators": "calls of operators in a step",
    "gigabytes": "10^9 bytes that those read and write in a step, as if nothing stayed in a cache",
    "peak_gflops": "10^9 operations a second of the device in a large product or convolution",
    "bandwidth_gbs": "10^9 bytes a second that it reads and writes in a copy",
    "operator_us": "microseconds of an operator on one number",
    "pairs": "of blocks of steps, one as `run` does them and one of the floor",
    "steps": "in a block",
    "date": "of the measurement, UTC",
    "commit": "of the source",
    "dirty": "whether that had been changed",
}
"""Columns of a CSV under ``results/throughput``, and what is in them."""
_STEPS = {
    "method": ("method", ""),
    "batch": ("batch_size", ""),
    "precision": ("precision", ""),
    "compile": ("compile", ""),
    "threads": ("threads", ""),
    "step ms": ("step_ms", ",.2f"),
    "floor ms": ("floor_ms", ",.2f"),
    "ratio": ("ratio", ".3f"),
    "iterations/s": ("iterations_per_s", ",.2f"),
    "MB": ("memory_mb", ",.0f"),
}
_LIMITS = {
    "method": ("method", ""),
    "batch": ("batch_size", ""),
    "GFLOP": ("gflop", ",.2f"),
    "GB": ("gigabytes", ",.3f"),
    "operators": ("operators", ",.0f"),
    "arithmetic ms": ("arithmetic", ",.2f"),
    "memory ms": ("memory", ",.2f"),
    "operators ms": ("launch", ",.2f"),
    "floor ms": ("floor_ms", ",.2f"),
    "limit": ("limit", ""),
}
_LIMITED_BY = {"arithmetic": "arithmetic", "memory": "memory traffic", "launch": "number of operators"}


def read(file: Path) -> pd.DataFrame:
    """A contributed CSV. Raises UserError for a file that is none."""
    try:
        table = pd.read_csv(file)
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read ({first_line(error)}): mend it or remove it") from None
    missing = [name for name in COLUMNS if name not in table]
    if missing or table.empty:
        raise UserError(f"{file} is not a throughput table (missing: {', '.join(missing) or 'lines'}): remove it")
    return table


def page(folder: Path) -> str:
    """Markdown for all CSV files in ``folder``."""
    files = sorted(folder.glob("*.csv"))
    tables = [read(file) for file in files]
    parts = [_HEAD]
    if not any((table["device"] == "cuda").any() for table in tables):
        parts.append(
            "**No CUDA device has been measured yet**: all figures below are of processors, and say little about "
            "the goal of this project, the campaign in a day on one GPU. A GPU's owner supplies them with the command "
            "above.\n"
        )
    for file, table in zip(files, tables):
        parts.append(_section(file.name, table))
    return "\n".join(parts)


def _section(name: str, table: pd.DataFrame) -> str:
    first = table.iloc[0]
    days = sorted({date[:10] for date in table["date"]})
    measured = f"on {days[0]}" if len(days) == 1 else f"from {days[0]} to {days[-1]}"
    lines = [
        f"## {first['device_name']}, torch {first['torch']}\n",
        f"From `{name}`, measured {measured}. At its best: "
        f"{first['peak_gflops']:,.0f} GFLOP/s in a large product or convolution, {first['bandwidth_gbs']:,.0f} GB/s in "
        f"a copy, {first['operator_us']:.1f} µs for an operator on one number.\n",
        *_markdown(_STEPS, table.to_dict("records")),
        "",
        *_campaign(table),
        "",
        *_limits(table),
    ]
    return "\n".join(lines) + "\n"


def campaign() -> list[str]:
    """The paper's trainings: the methods of Table 1 that learn, and the ablations."""
    names = dict.fromkeys([*methods.names("table1"), *methods.names("ablation")])
    return [name for name in names if not methods.get(name).method.deterministic]


def campaign_hours(table: pd.DataFrame) -> dict[str, tuple[float, str]]:
    """Hours of every training of the campaign, and what they are taken from; without those nothing says.

    From the line with the campaign's batch size, else from the largest one in proportion to the batch. A method
    without a line takes that of its family's first method.
    """
    paper = load("paper").train
    hours = {}
    for name in campaign():
        family = methods.get(name).family
        for source in (name, family):
            lines = table[table["method"] == source]
            if len(lines):
                exact = lines[lines["batch_size"] == paper.batch_size]
                line = exact.loc[exact["step_ms"].idxmin()] if len(exact) else lines.loc[lines["batch_size"].idxmax()]
                scale = paper.batch_size / line["batch_size"]
                note = "" if scale == 1 else f"{scale:g} × batch {line['batch_size']}"
                note = ", ".join(filter(None, [note, "" if source == name else f"as {source}"]))
                hours[name] = (float(line["step_ms"]) * scale * paper.iterations / 3.6e6, note)
                break
    return hours


def _campaign(table: pd.DataFrame) -> list[str]:
    paper, hours = load("paper").train, campaign_hours(table)
    missing = [name for name in campaign() if name not in hours]
    total = sum(value for value, _ in hours.values())
    rows = [{"training": name, "hours": f"{value:,.1f}", "from": note} for name, (value, note) in hours.items()]
    rows.append({"training": "**all**", "hours": f"**{total:,.1f}**", "from": f"{total / 24:,.1f} days"})
    return [
        f"**The paper's campaign here**: {paper.iterations:,} iterations at batch {paper.batch_size} each. (Of its "
        "8 + 9 trainings bicubic needs none, and one ablation is PECL itself.)\n",
        *_markdown({name: (name, "") for name in rows[0]}, rows),
        *([f"\nNot measured: {', '.join(missing)}."] if missing else []),
    ]


def _limits(table: pd.DataFrame) -> list[str]:
    rows = []
    for row in table.dropna(subset=["gflop"]).to_dict("records"):
        bounds = limits(row)
        worst = max(bounds, key=bounds.__getitem__)
        limit = f"{_LIMITED_BY[worst]} ({bounds[worst] / row['floor_ms']:.0%})"
        rows.append({**row, **bounds, "limit": limit})
    return [
        "**What limits each method**: what a step does, and how long that takes at least at the rates above. Bytes are "
        "those that operators read and write, as if nothing stayed in a cache: memory traffic is an upper bound. The "
        "limit is the largest of the three; in brackets its share of the floor.\n",
        *_markdown(_LIMITS, rows),
    ]


def limits(row: dict[str, float]) -> dict[str, float]:
    """Milliseconds that the arithmetic, the memory traffic and the operators of a step take at the machine's best."""
    return {
        "arithmetic": 1e3 * row["gflop"] / row["peak_gflops"],
        "memory": 1e3 * row["gigabytes"] / row["bandwidth_gbs"],
        "launch": 1e-3 * row["operators"] * row["operator_us"],
    }


def _markdown(columns: dict[str, tuple[str, str]], rows: Iterable[dict[Any, Any]]) -> list[str]:
    """A table of ``rows``; ``columns`` maps headings to (key, format)."""
    lines = [list(columns), ["---", *["---:"] * (len(columns) - 1)]]
    lines += [[format(row[key], form) for key, form in columns.values()] for row in rows]
    return ["| " + " | ".join(line) + " |" for line in lines]
