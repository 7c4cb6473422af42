"""Runs the benchmark's command in processes that are killed (SIGKILL) in a chosen phase, and compares what is left.

The processes are forks of one that has imported everything, so that one costs no more than its work. Which phase
a process is in is marked from outside, around the functions that do the work.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

PHASES = ("start", "packing", "training", "validation", "checkpointing", "files", "scoring")
"""``start``: all that is no other phase. ``files``: in and between writing history, weights and what says that they
are finished."""
_CONTEXT = multiprocessing.get_context("forkserver")
_METHODS = ("bicubic", "srcnn", "msrn", "espcn", "esrgan", "tbsrn", "swinir", "pecl")
_CONTEXT.set_forkserver_preload(
    [
        "benchmark.cli.main",
        "benchmark.runner.scheduler",
        "rapidocr",
        "torch._inductor",
        *(f"methods.{m}" for m in _METHODS),
    ]
)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


@dataclass(frozen=True)
class Kill:
    """When: ``delay`` seconds into the ``entry``-th time (from 0) that a process is in ``phase``, or before the
    ``event``-th time that it opens a file for writing, renames or removes one (always by SIGKILL)."""

    phase: str = ""
    entry: int = 0
    delay: float = 0.0
    event: int | None = None
    number: signal.Signals = signal.SIGKILL


@dataclass(frozen=True)
class Outcome:
    """How a process ended: its exit code (−9: killed), phase and iteration then; the first iteration it trained (0:
    none). Of one that was not killed: its phases with their seconds, and the number of its file events."""

    code: int
    phase: str
    iteration: int
    first: int = 0
    spans: list[tuple[str, float]] = field(default_factory=list)
    events: int = 0


def run(arguments: list[str], log: Path, kill: Kill | None = None) -> Outcome:
    """``python -m benchmark`` with these arguments in a process of its own; its output is added to ``log``."""
    ours, theirs = _CONTEXT.Pipe()
    marks = _CONTEXT.RawArray("i", 3)
    process = _CONTEXT.Process(target=_live, args=(arguments, str(log), kill, marks, theirs))
    process.start()
    theirs.close()
    told: tuple[list[tuple[str, float]], int] = ([], 0)
    while True:
        try:
            message = ours.recv()
        except (EOFError, ConnectionResetError):  # it has ended, or been killed
            break
        if message is None:  # in the phase it is to be killed in
            assert kill is not None
            time.sleep(kill.delay)
            with suppress(ProcessLookupError, BrokenPipeError):  # it has ended
                os.kill(process.pid or 0, kill.number)
                if kill.number != signal.SIGKILL:
                    ours.send(None)
        else:
            told = message
    process.join()
    assert process.exitcode is not None
    return Outcome(process.exitcode, PHASES[marks[0]], marks[1], marks[2], *told)


def draw(spans: list[tuple[str, float]], phase: str, chance: random.Random) -> Kill:
    """A random moment of a phase; ``spans`` are those of an undisturbed run."""
    seconds = [duration for name, duration in spans if name == phase]
    entry = chance.randrange(len(seconds))
    return Kill(phase, entry, chance.uniform(0.0, seconds[entry]))


def fingerprint(results: Path) -> dict[str, str]:
    """What must not depend on kills, of a results folder: pack, weights, tables, pictures, scores. Clocks may."""
    found = {}
    for path in sorted(results.rglob("*")):
        name = path.relative_to(results).as_posix()
        if path.suffix in (".safetensors", ".u8", ".parquet", ".png") or path.name in ("plates.csv", "pack.json"):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif path.name == "history.csv":
            found[name] = pd.read_csv(path).drop(columns="seconds").to_csv(index=False)
        elif path.name == "result.json":
            info = json.loads(path.read_text(encoding="utf-8"))
            kept = ("status", "identity", "scoring_identity", "scores", "iterations", "best_iteration")
            found[name] = json.dumps({key: info.get(key) for key in kept})
        elif path.is_file() and path.parent.name.startswith("seed"):
            found[name] = "there"  # nothing is left over
    return found


# -- inside the process ---------------------------------------------------------------------------------------


def _live(arguments: list[str], log: str, kill: Kill | None, marks: Any, pipe: Any) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    import torch

    from benchmark.cli import main

    torch.set_num_threads(1)
    phases = _Phases(marks, pipe, kill)
    _watch_phases(phases)
    events = _watch_files(kill.event if kill is not None else None)
    sys.argv = ["benchmark", *arguments]
    try:
        main.main()
    finally:
        phases.end()
        pipe.send((phases.spans, events[0]))
        sys.stdout.flush()


class _Phases:
    def __init__(self, marks: Any, pipe: Any, kill: Kill | None) -> None:
        self.marks, self.pipe, self.kill = marks, pipe, kill
        self.spans: list[tuple[str, float]] = []
        self.entries = dict.fromkeys(PHASES, 0)
        self.begun = time.perf_counter()
        self.begin(0)

    def enter(self, name: str) -> None:
        self.end()
        self.begin(PHASES.index(name))

    def end(self) -> None:
        now = time.perf_counter()
        self.spans.append((PHASES[self.marks[0]], now - self.begun))
        self.begun = now

    def begin(self, phase: int) -> None:
        self.marks[0] = phase
        kill, name = self.kill, PHASES[phase]
        if kill is not None and kill.event is None and (kill.phase, kill.entry) == (name, self.entries[name]):
            self.pipe.send(None)
            if kill.number != signal.SIGKILL:
                self.pipe.recv()  # so that it does not end meanwhile
        self.entries[name] += 1

    @contextmanager
    def inside(self, name: str) -> Iterator[None]:
        before = self.marks[0]
        self.enter(name)
        try:
            yield
        finally:
            self.end()
            self.begin(before)


def _watch_phases(phases: _Phases) -> None:
    from benchmark.data import pack
    from benchmark.data.patches import PatchSampler
    from benchmark.runner import job, job_runner
    from benchmark.scoring import upscaling
    from benchmark.training import checkpoint, trainer

    def around(owner: Any, name: str, phase: Callable[..., str]) -> None:
        function = getattr(owner, name)

        def marked(*args: Any, **kwargs: Any) -> Any:
            with phases.inside(phase(*args)):
                return function(*args, **kwargs)

        setattr(owner, name, marked)

    around(pack, "prepare", lambda *_: "packing")
    around(upscaling, "validate", lambda *_: "validation")
    around(checkpoint, "_write", lambda path, *_: "checkpointing" if path.name == checkpoint.CURRENT else "files")
    around(trainer, "_store_best", lambda *_: "files")
    around(trainer, "_save_weights", lambda *_: "files")
    around(job, "store_scores", lambda *_: "scoring")
    around(job_runner, "score_upper_bound", lambda *_: "scoring")
    batch = PatchSampler.batch

    def counted(sampler: PatchSampler, iteration: int) -> Any:
        phases.marks[1] = iteration
        phases.marks[2] = phases.marks[2] or iteration
        phases.enter("training")
        return batch(sampler, iteration)

    PatchSampler.batch = counted  # type: ignore[method-assign, assignment]


def _watch_files(fatal: int | None) -> list[int]:
    """A list with the number of file events so far; dies before event number ``fatal``."""
    events = [0]

    def count(name: str, args: tuple[Any, ...]) -> None:
        writing = name == "open" and isinstance(args[0], (str, os.PathLike)) and args[2] & _WRITES
        if writing or name in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"):
            if events[0] == fatal:
                os.kill(os.getpid(), signal.SIGKILL)
            events[0] += 1

    sys.addaudithook(count)
    return events
