"""Comparison of two runs: differences in their conditions and in their scores.

The difference is B − A of means. Where both runs have the same test plates it is taken plate by plate and has an
interval; otherwise it is only the difference of two means, and is marked as that.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.text import Text

from benchmark.results.bundle_reading import opened
from benchmark.results.bundle_writing import number_texts
from benchmark.results.find_runs import run_at
from benchmark.results.store import Run
from benchmark.scoring.metrics import METRICS
from benchmark.util.errors import UserError
from benchmark.util.files import write_text
from paper_figures.common import pairing, statistics, text
from paper_figures.common.drawing import Drawing
from paper_figures.common.loading import load
from paper_figures.common.results import Results, Row
from paper_figures.common.statistics import Interval
from paper_figures.common.tables import Cell, Column, Table, to_csv
from paper_figures.report import markdown, terminal
from paper_figures.report.content import FOLDER

COMPARED = ("psnr", "psnr_y", "plate_correct")
UNPAIRED = "°"
"""Marks a difference of two means that was not taken plate by plate."""


@dataclass(frozen=True)
class Difference:
    """A method's metric in both runs. ``interval`` is B − A in the unit of stored scores, None if a run lacks it."""

    name: str
    title: str
    metric: str
    a: float | None
    b: float | None
    interval: Interval | None
    paired: bool


@dataclass(frozen=True)
class Comparison:
    """Run B against run A: ``conditions`` are (what, in A, in B) of everything in which they differ."""

    a: Results
    b: Results
    conditions: list[tuple[str, str, str]]
    differences: list[Difference]

    @property
    def names(self) -> tuple[str, str]:
        """Names of the two runs: their folders' names, with the folder above if these are equal."""
        first, second = self.a.folder.resolve(), self.b.folder.resolve()
        parts = 1 if first.name != second.name else 2
        return "/".join(first.parts[-parts:]), "/".join(second.parts[-parts:])


@contextmanager
def opened_run(results: Path, word: str) -> Iterator[Run]:
    """The run with this name in the folder ``results``, at this path, or in the bundle that this file is.

    Raises UserError if there is none.
    """
    file = Path(os.path.expanduser(word))
    if file.is_file():
        with opened(file) as (run, _):
            yield run
    else:
        yield run_at(results, word)


def compare(a: Run, b: Run, allow_mixed: bool = False) -> Comparison:
    """Set run ``b`` against run ``a``.

    Raises UserError as :func:`paper_figures.common.loading.load` does, and for one run twice.
    """
    if a.folder.resolve() == b.folder.resolve():
        raise UserError(f"{a.folder} and {b.folder} are the same run; name two")
    results_a, results_b = load(a, allow_mixed), load(b, allow_mixed)
    if ("name" in results_a.plates) != ("name" in results_b.plates):  # one is a bundle, which does not say which plate
        results_a, results_b = (replace(r, plates=number_texts(r.plates)) for r in (results_a, results_b))
    together = _same_plates(results_a, results_b)
    names = list(dict.fromkeys(row.name for row in [*results_a.rows, *results_b.rows]))
    differences = [_difference(results_a, results_b, name, metric, together) for metric in COMPARED for name in names]
    return Comparison(
        results_a, results_b, conditions(results_a, results_b), [each for each in differences if each is not None]
    )


def _same_plates(a: Results, b: Results) -> bool:
    """Whether both were scored on the plates of one fingerprint, split alike."""
    first, second = ((data.fingerprint, data.protocol, data.test) for data in (a.data, b.data))
    return bool(a.data.fingerprint) and first == second


def _difference(a: Results, b: Results, name: str, metric: str, together: bool) -> Difference | None:
    """None if neither run has the score."""
    row_a, row_b = a.row(name), b.row(name)
    before, after = _mean(row_a, metric), _mean(row_b, metric)
    title = next((row.title for row in (row_b, row_a) if row), name)
    if row_a is None or row_b is None or before is None or after is None:
        lacking = before is None and after is None
        return None if lacking else Difference(name, title, metric, before, after, None, False)
    if together and not (row_a.differs or row_b.differs):
        interval = pairing.difference(b.plates_of(row_b), a.plates_of(row_a), metric)
        if interval.plates:
            return Difference(name, title, metric, before, after, interval, True)
    plain = after - before if math.isfinite(after) and math.isfinite(before) else math.nan
    return Difference(name, title, metric, before, after, Interval(plain, math.nan, math.nan, 0, 0, 1), False)


def _mean(row: Row | None, metric: str) -> float | None:
    return row.scores[metric].mean if row and metric in row.scores else None


# -- conditions ------------------------------------------------------------------------------------


def conditions(a: Results, b: Results) -> list[tuple[str, str, str]]:
    """(what, in A, in B) of every condition in which two runs differ: data, settings, OCR engines, versions, source."""
    first, second = _conditions(a), _conditions(b)
    differing = [
        (key, first.get(key, text.DASH), second.get(key, text.DASH))
        for key in dict.fromkeys([*first, *second])
        if first.get(key) != second.get(key)
    ]
    return differing + _per_method(a, b)


def _conditions(results: Results) -> dict[str, str]:
    record = results.reference.as_dict()
    provenance = record.get("provenance", {})
    parts: dict[str, Any] = {
        "data": record["data"],
        "": record["config"],
        "OCR engine": record.get("judge"),
        "second OCR engine": record.get("second_judge"),
        "version of": provenance.get("versions"),
        "hardware": provenance.get("hardware"),
        "commit": provenance.get("commit"),
        "uncommitted changes": provenance.get("dirty"),
        "seeds": ", ".join(map(str, results.seeds)),
    }
    flat: dict[str, str] = {}
    for name, part in parts.items():
        _flatten(part, name, flat)
    return flat


def _flatten(value: Any, name: str, flat: dict[str, str]) -> None:
    """Every leaf of nested dictionaries under its path."""
    if isinstance(value, dict):
        for key, inner in value.items():
            joint = " " if name in ("data", "OCR engine", "second OCR engine", "version of", "hardware") else "."
            _flatten(inner, f"{name}{joint if name else ''}{key}", flat)
    elif value is not None:
        flat[name] = text.one_line(value)[:64]


def _per_method(a: Results, b: Results) -> list[tuple[str, str, str]]:
    """Methods whose source or options differ, in one line each."""
    lines = []
    for key in ("source", "options"):
        first, second = ({record.method: getattr(record, key) for record in each.records} for each in (a, b))
        titles = [row.title for row in a.rows if row.name in second and first.get(row.name) != second[row.name]]
        if titles:
            lines.append((f"{key} of {', '.join(map(text.one_line, titles))}", "one", "another"))
    return lines


# -- tables ----------------------------------------------------------------------------------------


def to_tables(comparison: Comparison) -> list[Table]:
    """One table a metric: A, B, the difference and its interval; then what differs in the conditions."""
    tables = []
    for metric in COMPARED:
        mine = [each for each in comparison.differences if each.metric == metric]
        kind = METRICS[metric]
        if mine:
            tables.append(
                Table(
                    f"{kind.label}{f' ({kind.unit})' if kind.unit else ''}: mean over test plates",
                    [
                        Column("Method", [Cell(each.title) for each in mine]),
                        Column("A", [Cell(_number(each.a, metric)) for each in mine]),
                        Column("B", [Cell(_number(each.b, metric)) for each in mine]),
                        Column("B − A", [_change(each) for each in mine]),
                        Column("95 % interval", [Cell(_ends(each)) for each in mine]),
                    ],
                )
            )
    if comparison.conditions:
        what, a, b = zip(*comparison.conditions)
        columns = {"Differs": what, "A": a, "B": b}
        cells = [Column(name, [Cell(value) for value in values]) for name, values in columns.items()]
        tables.append(Table("Made under different conditions", cells))
    return tables


def _number(value: float | None, metric: str, sign: bool = False) -> str:
    kind = METRICS[metric]
    return text.number(None if value is None else kind.factor * value, kind.decimals, sign)


def _change(each: Difference) -> Cell:
    if each.interval is None:
        return Cell()
    clear = each.interval.above() or each.interval.below()
    unpaired = not each.paired and not math.isnan(each.interval.value)
    return Cell(_number(each.interval.value, each.metric, sign=True), int(clear), UNPAIRED * unpaired)


def _ends(each: Difference) -> str:
    if each.interval is None or not each.interval.bounded:
        return text.DASH
    return f"{_number(each.interval.low, each.metric, True)} to {_number(each.interval.high, each.metric, True)}"


def sentences(comparison: Comparison) -> list[str]:
    """Names of A and B, and the limits of the comparison."""
    a, b = comparison.names
    lines = [f"A: {a}. B: {b}."]
    paired = [each.interval for each in comparison.differences if each.paired and each.interval]
    if paired:
        widest = max(paired, key=lambda each: (each.seeds, each.clusters))
        lines.append("Differences are taken plate by plate, on the plates and seeds that both runs have.")
        lines.append(statistics.resampled(widest))
        lines.append("Bold: the interval leaves out 0. It is not corrected for the number of comparisons.")
    unpaired = [each.interval for each in comparison.differences if not each.paired and each.interval]
    if any(not math.isnan(each.value) for each in unpaired):
        lines.append(
            f"{UNPAIRED} Not comparable plate by plate (the runs do not have the same test plates, or the row was made "
            "under other conditions): the difference of two means, without an interval."
        )
    if any(what.startswith(("OCR engine", "second OCR engine")) for what, _, _ in comparison.conditions):
        lines.append("The OCR engines are not the same, so reading is not compared like with like.")
    if not comparison.conditions:
        lines.append("No recorded condition differs.")
    for name, results in zip("AB", (comparison.a, comparison.b)):
        lines += [f"In {name}: {problem}." for problem in results.problems]
        failed = ", ".join(f"{failure.title} seed {failure.seed}" for failure in results.failures)
        lines += [f"In {name}, failed: {failed}."] * bool(failed)
    return lines


def frame(comparison: Comparison) -> pd.DataFrame:
    """All numbers, unrounded, one line a (metric, method); accuracies as fractions."""
    lines = []
    for each in comparison.differences:
        interval = each.interval or Interval(math.nan, math.nan, math.nan, 0, 0, 1)
        lines.append(
            {
                "metric": each.metric, "method": each.name, "title": each.title, "a": each.a, "b": each.b,
                "difference": interval.value, "low": interval.low, "high": interval.high, "paired": each.paired,
                "plates": interval.plates, "left_out": interval.left_out,
            }
        )  # fmt: skip
    return pd.DataFrame(lines)


# -- files and terminal ----------------------------------------------------------------------------


def write(comparison: Comparison, out: Path | None = None) -> list[Path]:
    """Write ``compare-RUN_B.md`` and ``.csv`` to ``out``, or to ``RUN_A/report``. Raises UserError if that fails."""
    folder = out or comparison.a.folder / FOLDER
    stem = f"compare-{comparison.b.folder.resolve().name}"
    drawing = Drawing(frame(comparison), sentences(comparison), tables=to_tables(comparison))
    page = markdown.document(drawing, stem, " and ".join(comparison.names))
    contents = {"md": text.harmless(page), "csv": to_csv(drawing.data)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for suffix, content in contents.items():
            write_text(folder / f"{stem}.{suffix}", content)
    except OSError as error:
        raise UserError(
            f"cannot write the comparison to {folder}: {error.strerror} (choose a folder with --out)"
        ) from None
    return [folder / f"{stem}.{suffix}" for suffix in contents]


def show(comparison: Comparison, written: list[Path], console: Console | None = None) -> None:
    """Print the tables, the sentences below them, and the files written."""
    console = console or Console()
    for table in to_tables(comparison):
        console.print(terminal.table(table))
    for sentence in sentences(comparison):
        console.print(Text(text.one_line(sentence), style="dim"))
    for path in written:
        console.print(Text(text.one_line(f"written: {path}")), soft_wrap=True)
