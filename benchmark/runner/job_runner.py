"""One job under its lock: what is stored of it, what is missing, and what a failure leaves behind."""

from __future__ import annotations

import gc
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch

from benchmark.results.identity import stored_scoring_identity, stored_training_identity, training_identity
from benchmark.results.record import UPPER_BOUND
from benchmark.results.store import (
    LOCKS,
    Key,
    Result,
    clear,
    drop_replaced,
    linked,
    replaced,
    replaced_place,
    set_aside,
    take_back,
    write_result,
)
from benchmark.runner import warm_start
from benchmark.runner.context import RunContext
from benchmark.runner.executors import attempts
from benchmark.runner.facts import common_facts, upper_bound_facts
from benchmark.runner.job import rescore, score_upper_bound, train_and_score
from benchmark.training import checkpoint
from benchmark.training.progress import Progress
from benchmark.training.session import Interrupted
from benchmark.util.errors import first_line, writing
from benchmark.util.files import write_text
from benchmark.util.live_line import LiveLine
from benchmark.util.locks import LockHeld, hold
from methods import Registration


@dataclass(frozen=True)
class Job:
    """A method to train and score with a seed, or (without a method) the upper bound to score."""

    entry: Registration | None
    seed: int = 0

    @property
    def name(self) -> str:
        return self.entry.name if self.entry else UPPER_BOUND

    @property
    def key(self) -> tuple[str, int]:
        return self.name, self.seed

    @property
    def label(self) -> str:
        return f"{self.name} seed {self.seed}"

    @property
    def facts(self) -> dict[str, Any]:
        """The fields of ``result.json`` that describe the method, also if it fails."""
        if self.entry is None:
            return upper_bound_facts()
        return {
            "method": self.entry.name,
            "title": self.entry.title,
            "groups": list(self.entry.groups),
            "seed": self.seed,
        }


@dataclass(frozen=True)
class Share:
    """The part of a run that one of several processes of the same command computes."""

    command: str
    """Names the command."""
    since: int
    """When the command began, by the clock of the file system (nanoseconds): a job that has failed since then is not
    tried again."""
    keys: frozenset[Key] | None = None
    """Only these jobs; None: all that nobody else holds."""
    line: Callable[[], LiveLine] = LiveLine
    """Where it tells what it does."""
    began: Callable[[Key], object] = lambda key: None
    ended: Callable[[Key, bool], object] = lambda key, complete: None


def run_job(context: RunContext, job: Job, wait: bool, share: Share | None = None) -> bool | None:
    """Do what is missing of a job under its lock. False if it failed; None if another process holds it and the call
    is not to ``wait``. What the other processes of one command do is no news to the user.

    Raises Interrupted where the user or the system asked to stop, and OSError where nothing can be written.
    """
    label = job.name if context.config.train.seeds == 1 or job.entry is None else job.label
    progress = Progress(label, also=context.activity.update, line=share.line() if share else None)
    news = progress.note if share is None else (lambda text: None)
    lock = context.run.folder / LOCKS / f"job-{job.name}-seed{job.seed}"
    with ExitStack() as stack:
        try:
            stack.enter_context(hold(lock, (lambda holder: news(f"waiting for {holder}")) if wait else None))
        except LockHeld as other:
            news(f"is being computed by {other.holder}: the others come first")
            return None
        stack.enter_context(context.activity.job(job.key))
        if share is not None:
            share.began(job.key)
        identity, start, worked = "", time.monotonic(), False
        try:
            identity = _identity(context, job)
            stored = _stored(context, job, identity, progress)
            if stored is not None and _failed_since(context.started, stored, identity):
                news(f"FAILED in another process: {stored.record.reason}")
                return False
            if stored is not None and _up_to_date(context, stored, identity):
                if job.entry is not None:
                    news("is there already")
                checkpoint.remove(stored.folder)  # of a process that was killed just after it had stored the result
                drop_replaced(stored.folder)
                return True
            if share is not None:
                attempts.begin(context.run, job.key, share.command)
            worked = True
            if job.entry is None:
                info = score_upper_bound(context)
            elif stored is not None and stored.complete and stored_training_identity(stored.record) == identity:
                progress.note("scoring the weights that are there: OCR engine, metrics or test plates changed")
                info = rescore(context, job.entry, identity, stored)
            else:
                _make_room(context, job, stored, progress)
                info = train_and_score(context, job.entry, job.seed, identity, progress)
            drop_replaced(context.run.place(*job.key))
            attempts.end(context.run, job.key)
        except BaseException as error:  # a method must not take the others along, not even by sys.exit()
            if isinstance(error, Interrupted) or (isinstance(error, KeyboardInterrupt) and context.stop()):
                progress.note("stopped; the same command goes on from here")
                raise Interrupted(context.stop.signal) from None
            store_failure(context, job, identity, error, progress)
            return False
        finally:
            if worked:  # a fifth of a second: too long for thousands of jobs that are there already
                gc.collect()
            if worked and context.device.type == "cuda":
                torch.cuda.empty_cache()
        progress.note(f"{outcome(info['scores']['best'])}, {time.monotonic() - start:.0f} s")
    return True


def _identity(context: RunContext, job: Job) -> str:
    """The identity of a method's training; "" for the upper bound."""
    if job.entry is None:
        return ""
    external_weights = warm_start.external_weights(context.config, job.entry)
    return training_identity(job.entry, job.seed, context.config, context.plates.fingerprint, external_weights)


def _stored(context: RunContext, job: Job, identity: str, progress: Progress) -> Result | None:
    """The stored result of a job, or one that was set aside, if it is what is wanted and has not been replaced yet.

    Raises RuntimeError where there is one that cannot be read.
    """
    folder = context.run.place(*job.key)
    stored, aside = context.run.result(*job.key), replaced(folder)
    unreadable = stored is None and (folder / "result.json").exists()
    completed = stored is not None and stored.complete
    wanted = job.entry is not None and aside is not None and stored_training_identity(aside.record) == identity
    if wanted and not completed and not unreadable:
        progress.note(f"goes back to the result in {replaced_place(folder)}")
        take_back(folder)
        return context.run.result(*job.key)
    if unreadable:
        why = context.run.unreadable().get(folder / "result.json", "it cannot be read")
        raise RuntimeError(f"there is a result that cannot be used ({why}): move {folder} away to compute it anew")
    return stored


def _failed_since(started: int, stored: Result, identity: str) -> bool:
    """Whether another process has tried this very job since this one began: it is not tried again at once."""
    if stored.complete or stored.record.identity != identity:
        return False
    return (stored.folder / "result.json").stat().st_mtime_ns > started


def _up_to_date(context: RunContext, stored: Result, identity: str) -> bool:
    if identity:
        trained = stored_training_identity(stored.record) == identity
    else:  # of the upper bound, whose exhibits are the first training patches of the plates that are scored
        trained = stored.record.config.train.batch_size == context.config.train.batch_size
    scored = stored_scoring_identity(stored.record) == context.scoring_identity
    return stored.complete and trained and scored and not stored.changed("plates.csv")


def _make_room(context: RunContext, job: Job, stored: Result | None, progress: Progress) -> None:
    """Set a complete result of another identity aside, and leave in the folder only what training may resume from."""
    folder = context.run.place(*job.key)
    if stored is not None and stored.complete:
        aside = set_aside(folder)
        progress.note("configuration, data or version changed: training again")
        progress.note(f"the old result is kept in {aside} until the new one is complete")
    if not checkpoint.present(folder):
        clear(folder)
    (folder / "result.json").unlink(missing_ok=True)


def outcome(scores: dict[str, Any]) -> str:
    """The scores of a method in half a line."""
    psnr, read = scores["psnr"]["median"], scores.get("plate_correct", {}).get("mean")
    parts = ["exact" if psnr is None else f"{psnr:.2f} dB"]
    return ", ".join(parts + ([] if read is None else [f"{read:.0%} of plates read"]))


def store_failure(context: RunContext, job: Job, identity: str, error: BaseException, progress: Progress) -> None:
    """Say why a job failed and store the failure, unless there is a complete result, which is worth more.

    A failure is listed in the report, and the next run tries again. Raises OSError if not even the failure can be
    stored: the next jobs could not store anything either.
    """
    reason = first_line(error)
    if not isinstance(error, Exception):
        reason = f"{type(error).__name__} ({reason}): a method must not end the process"
    progress.note(f"FAILED: {reason}")
    folder = context.run.place(job.name, job.seed)
    stored = context.run.result(job.name, job.seed)
    if linked(folder) or ((folder / "result.json").exists() and (stored is None or stored.complete)):
        return
    info = common_facts(context) | {
        **job.facts,
        "status": "failed",
        "identity": identity,
        "error": {"type": type(error).__name__, "message": reason},
    }
    trace = "".join(traceback.format_exception(error)).encode("utf-8", "backslashreplace").decode()
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "error.txt", trace)
    write_result(folder, info)
