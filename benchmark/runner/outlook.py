"""What a run says at its end about the methods that its budget was too small for."""

from __future__ import annotations

import sys
from statistics import median

from benchmark.config import Config
from benchmark.results.provenance import command, set_option
from benchmark.results.store import Run
from methods import Registration

BASELINE = "bicubic"
FACTOR = 4
"""How many times as many iterations to suggest."""


def outlook(run: Run, config: Config, entries: list[Registration], words: list[str] | None = None) -> list[str]:
    """Which of the trained methods are still below bicubic by the median PSNR of the test plates, and the command that
    goes on with a larger budget: a line each; empty where there are none. ``words``: the command line, to go on from.
    """
    baseline = run.result(BASELINE, 0)
    if baseline is None or not baseline.complete or (reached := _psnr(run, BASELINE, config)) is None:
        return []
    trained = [entry for entry in entries if not entry.method.deterministic]
    scores = {entry.title: _psnr(run, entry.name, config) for entry in trained}
    below = {title: psnr for title, psnr in scores.items() if psnr is not None and psnr < reached}
    if not below:
        return []
    iterations = str(FACTOR * config.train.iterations)
    words = ["python", "-m", "benchmark", *(sys.argv[1:] if words is None else words)]
    for option, value in {"--run": f"{run.folder.name}-{iterations}", "--iterations": iterations}.items():
        words = set_option(words, option, value)
    listed = ", ".join(f"{title} {psnr:.2f}" for title, psnr in below.items())
    return [
        f"still below bicubic ({reached:.2f} dB) when the budget of {config.train.iterations:,} iterations × "
        f"{config.train.batch_size} patches ended: {listed}",
        f"{FACTOR} times the budget, in {FACTOR} times the time: {command(words)}",
    ]


def _psnr(run: Run, name: str, config: Config) -> float | None:
    """The median PSNR of a method, median over its seeds; None where it has no result."""
    results = [run.result(name, seed) for seed in range(config.train.seeds)]
    scores = [result.record.scores.best.get("psnr") for result in results if result is not None and result.complete]
    values = [score.median for score in scores if score is not None and score.median is not None]
    return median(values) if values else None
