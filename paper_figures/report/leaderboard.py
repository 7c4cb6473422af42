"""The leaderboard: methods of several bundles, in one table for each protocol.

Only scores under the same protocol are compared: the same test plates, degradation, OCR engines and scoring. Budgets
may differ and are shown. Ranks are those of Table 1: methods that the test plates cannot tell apart share one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.results.bundle import Manifest
from benchmark.results.bundle_reading import opened
from benchmark.results.record import Record
from benchmark.scoring.metrics import METRICS
from benchmark.util.errors import UserError
from benchmark.util.files import write_text
from paper_figures.common import columns, text, ties
from paper_figures.common.loading import load
from paper_figures.common.results import Results, Row
from paper_figures.common.tables import Cell, Column, Table, to_csv
from paper_figures.common.ties import Ranking
from paper_figures.report import html

RANKED = ("psnr", "psnr_y", "plate_correct")
SHOWN = ("psnr", "psnr_y", "ssim", "confidence", "plate_correct", "character_accuracy", "plate_correct_second")
PAGE, DATA = "leaderboard.html", "leaderboard.csv"


@dataclass(frozen=True)
class Entry:
    """A method of a bundle: its row, under a name that no other has, and where it comes from."""

    row: Row
    method: str
    record: Record
    bundle: str
    by: str

    @property
    def provenance(self) -> dict[str, str]:
        made = self.record.provenance
        return {
            "Commit": f"{(made.commit or text.DASH)[:12]}{' +' if made.dirty else ''}",
            "torch": f"torch {made.versions.get('torch', text.DASH)}",
            "Device": made.hardware.device or text.DASH,
        }

    @property
    def budget(self) -> str:
        if not self.row.trained:
            return text.DASH
        warm, train = self.record.warm_start, self.record.config.train
        before = f" after {warm.iterations:,} × {warm.batch_size} (warm start)" if warm else ""
        return f"{self.row.iterations:,} × {train.batch_size}{before}, {self.record.data.train:,} plates"


@dataclass
class Board:
    """What was made under one protocol."""

    manifest: Manifest
    data: str
    entries: list[Entry] = field(default_factory=list)
    plates: list[pd.DataFrame] = field(default_factory=list)
    again: list[str] = field(default_factory=list)
    """Results that another bundle has, too, in a line each."""

    def add(self, results: Results, file: str, by: str) -> None:
        """The competing methods of a bundle; the same scores of the same method are taken once."""
        before = zip(self.entries, self.plates, strict=True)
        stored = {_fingerprint(entry.method, frame): entry for entry, frame in before}
        for row in results.competitors:
            frame = results.plates[results.plates["method"] == row.name]
            if twin := stored.get(_fingerprint(row.name, frame)):
                self.again.append(f"{row.title} of {file} has the scores of {twin.bundle} and is shown once.")
                continue
            record = next(each for each in results.records if each.method in (row.name, row.of))
            name = f"{row.name}\n{len(self.entries)}"  # no method has a line break in its name
            self.entries.append(Entry(replace(row, name=name, of="", differs=()), row.name, record, file, by))
            self.plates.append(frame.assign(method=name))

    @cached_property
    def rankings(self) -> dict[str, Ranking]:
        """Ranks by metric, from paired comparisons of every two methods."""
        rows = [entry.row for entry in self.entries]
        results = Results(Path(), rows, pd.concat(self.plates, ignore_index=True), pd.DataFrame(), [])
        metrics = [metric for metric in RANKED if any(metric in row.scores for row in rows)]
        return {metric: ties.rank(results, rows, metric) for metric in metrics}


def _fingerprint(method: str, frame: pd.DataFrame) -> str:
    scores = frame[["seed", "index", *(m for m in SHOWN if m in frame)]].to_csv(index=False)
    return hashlib.sha256(f"{method}\n{scores}".encode()).hexdigest()


def boards(files: Sequence[Path]) -> list[Board]:
    """The bundles by protocol, in the order in which they were named. Raises UserError for what is no bundle."""
    by_protocol: dict[str, Board] = {}
    for file in dict.fromkeys(path.resolve() for path in files):
        with ExitStack() as stack:
            run, manifest = stack.enter_context(opened(file))
            results = load(run, allow_mixed=True)
            data = results.data.name or "unnamed"
            board = by_protocol.setdefault(manifest.protocol_identity, Board(manifest, data))
            board.add(results, text.one_line(file.name), text.one_line(manifest.by) or "not named")
    return list(by_protocol.values())


# -- tables ----------------------------------------------------------------------------------------


def _order(board: Board, rankings: dict[str, Ranking]) -> list[Entry]:
    """By rank in PSNR; of one rank by the median."""
    ranks = rankings["psnr"].ranks
    return sorted(board.entries, key=lambda e: (ranks.get(e.row.name, len(ranks) + 1), -e.row.scores["psnr"].median))


def _rank(ranking: Ranking, name: str) -> str:
    """``2``, or ``2=`` where several share it; a dash for a method without the score."""
    rank = ranking.ranks.get(name)
    if rank is None:
        return text.DASH
    return f"{rank}{'=' * (list(ranking.ranks.values()).count(rank) > 1)}"


def table(board: Board) -> Table:
    """A row an entry: ranks, scores, budget, and where it comes from."""
    rankings = board.rankings
    entries = _order(board, rankings)
    rows = [entry.row for entry in entries]
    made = [Column("Method", [Cell(entry.row.title, marks="†" * entry.row.stale, beneath=f"{entry.by}: {entry.bundle}")
                              for entry in entries])]  # fmt: skip
    for metric in SHOWN:
        if METRICS[metric].engine == "second" or not any(metric in row.scores for row in rows):
            continue  # the second engine's scores are in the CSV file
        if metric in rankings:
            made.append(Column("Rank", [Cell(_rank(rankings[metric], row.name)) for row in rows]))
        deviation = METRICS[metric].statistic == "median"
        ranks = [rankings[metric].place(row.name) if metric in rankings else 0 for row in rows]
        made.append(Column(columns.heading(metric), [Cell(columns.written(row, metric, deviation), rank)
                                   for row, rank in zip(rows, ranks, strict=True)]))  # fmt: skip
    made.append(columns.parameter_column(rows))
    made.append(Column("Seeds", [Cell(str(len(row.seeds)) if row.trained else text.DASH) for row in rows]))
    made.append(
        Column("Budget", [Cell(e.budget, beneath=", ".join(e.provenance.values())) for e in entries], prose=True)
    )
    return Table("", made)


def sentences(board: Board) -> list[str]:
    """How ranks came about, and what the marks mean."""
    plates = text.plural(board.manifest.protocol.test_plates, "test plate")
    lines = [
        f"PSNR, PSNR_Y, SSIM and OCR confidence: median ± standard deviation over {plates} and all seeds; the others: "
        "mean.",
        "Ranks stand before the score they are of. Every two methods are compared plate by plate (paired difference "
        "with its 95 % interval, Wilcoxon's test, Holm's correction over all pairs); a rank is 1 + the number of "
        "methods that are clearly better, and methods that these plates cannot tell apart share one (=).",
        "Budget: iterations × patches an iteration, training plates; beneath it commit, PyTorch and device. Where "
        "budgets differ, a rank says nothing of what a method could reach with another.",
        "Trained methods are paired by seed, so two without a common seed are not told apart.",
    ]
    if any(ranking.left_out for ranking in board.rankings.values()):
        lines.append(f"Only the {ties.MOST} with the best mean of a score are compared; the others have no rank in it.")
    if any(entry.row.stale for entry in board.entries):
        lines.append("† Made by another version of method, training or scoring than this one.")
    if any(entry.provenance["Commit"].endswith("+") for entry in board.entries):
        lines.append("+ With changes that were not committed.")
    return [*lines, *board.again]


def title(board: Board) -> str:
    return f"{board.data}, {board.manifest.protocol.split or 'unknown'} split"


def facts(board: Board) -> dict[str, str]:
    """The protocol, in words."""
    protocol = board.manifest.protocol
    engines = [f"{engine.name} ({engine.sha256[:8]})" for engine in protocol.engines if engine]
    return {
        "Plates' fingerprint": protocol.data[:16],
        "Test plates": f"{protocol.test_plates:,}",
        "Degradation": protocol.degradation,
        "Upscaled": {"plate": "whole plates", "patches": "patches"}.get(protocol.inference, protocol.inference),
        "OCR engines": ", ".join(engines) or "none",
        "Scoring version": str(protocol.scoring_version),
    }


def frame(shown: Sequence[Board]) -> pd.DataFrame:
    """All numbers, unrounded, one line an entry; accuracies as fractions."""
    lines = []
    for board in shown:
        rankings = board.rankings
        for entry in _order(board, rankings):
            line: dict[str, Any] = {
                "protocol": board.manifest.protocol_identity, "data": board.data, "method": entry.method,
                "title": entry.row.title,
            }  # fmt: skip
            for metric, ranking in rankings.items():
                line[f"{metric}_rank"] = ranking.ranks.get(entry.row.name)
            for metric in SHOWN:
                summary = entry.row.scores.get(metric)
                line |= {f"{metric}_{key}": getattr(summary, key, None) for key in ("median", "sd", "mean", "n")}
            made = entry.provenance
            lines.append(line | {
                "parameters": entry.row.parameters, "iterations": entry.row.iterations,
                "batch_size": entry.record.config.train.batch_size, "train_plates": entry.record.data.train,
                "seeds": " ".join(map(str, entry.row.seeds)), "by": entry.by, "bundle": entry.bundle,
                "commit": made["Commit"], "torch": made["torch"].removeprefix("torch "), "device": made["Device"],
            })  # fmt: skip
    return pd.DataFrame(lines).convert_dtypes()


# -- files -----------------------------------------------------------------------------------------


def page(shown: Sequence[Board], bundles: int) -> str:
    """The whole page."""
    protocols = text.plural(len(shown), "protocol")
    entries = text.plural(sum(len(board.entries) for board in shown), "result")
    return html.environment().get_template("leaderboard.html.jinja").render(
        summary=f"{entries} from {text.plural(bundles, 'bundle')}, under {protocols}. Scores of different protocols "
        "are not comparable and stand in tables of their own.",
        boards=[
            {"id": f"board-{number}", "title": title(board), "facts": facts(board), "table": table(board),
             "sentences": sentences(board)}
            for number, board in enumerate(shown, 1)
        ],
        bundles=text.plural(bundles, "bundle"),
        **html.inline("tables", letters=False),
    )  # fmt: skip


def write(files: Sequence[Path], out: Path) -> list[Path]:
    """Write the page and its data to a folder. Raises UserError for what is no bundle, and if writing fails."""
    shown = boards(files)
    contents = {PAGE: text.harmless(page(shown, len(set(files)))), DATA: to_csv(frame(shown))}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            write_text(out / name, content)
    except OSError as error:
        raise UserError(f"cannot write to {out}: {error.strerror} (choose a folder with --out)") from None
    return [out / name for name in contents]
