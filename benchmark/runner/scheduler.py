"""From a configuration to stored results: one job per (method, seed), shared out among processes by locks."""

from __future__ import annotations

import gc
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch

from benchmark.config import Config
from benchmark.data.plates import Plates
from benchmark.results.identity import (
    NON_IDENTITY_FIELDS,
    identity_fields,
    stored_scoring_identity,
    stored_training_identity,
    training_identity,
)
from benchmark.results.record import UPPER_BOUND
from benchmark.results.store import (
    LOCKS,
    Result,
    Run,
    clear,
    drop_replaced,
    linked,
    replaced,
    set_aside,
    take_back,
    write_result,
)
from benchmark.runner.activity import Activity, working
from benchmark.runner.context import RunContext, configure_torch, make_ocr_engines, prepare_plates, resolve_device
from benchmark.runner.job import common_facts, compute, create, rescore, score_upper_bound, upper_bound_facts
from benchmark.scoring.version import SCORING_VERSION
from benchmark.training import checkpoint
from benchmark.training.progress import Progress
from benchmark.training.session import Interrupted
from benchmark.training.version import TRAINING_VERSION
from benchmark.util.errors import first_line, writing
from benchmark.util.files import write_text
from benchmark.util.locks import LockHeld, hold
from benchmark.util.stop import Stop
from benchmark.util.terminal import say as say_plainly
from methods import Registration


@dataclass(frozen=True)
class Job:
    """What is computed at a time: a method with a seed, or (without a method) the upper bound."""

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
        """What ``result.json`` says of the method, whatever becomes of it."""
        if self.entry is None:
            return upper_bound_facts()
        return {
            "method": self.entry.name,
            "title": self.entry.title,
            "groups": list(self.entry.groups),
            "seed": self.seed,
        }


def run_jobs(
    config: Config, entries: list[Registration], run: Run, say: Callable[[str], None] = say_plainly
) -> list[str]:
    """Train and score what is missing in ``run``. Returns the names of the jobs that failed.

    Other processes may do the same at the same time, with other methods or the same ones: each takes jobs that nobody
    holds, and waits at the end for those that somebody does. They must have the same configuration: raises
    UserError where one has another.

    A failing method is stored as a failure and does not take the others along. Raises :class:`Interrupted` after
    Ctrl-C or SIGTERM, and OSError where nothing can be written; the same call then goes on where it stopped.
    """
    device = resolve_device(config.train.device)
    configure_torch(config)
    with Stop().installed() as stop:
        try:
            todo = jobs(config, entries)
            with working(run, *common_work(config)) as (started, tell):
                activity = Activity(tell, [job.key for job in todo])
                plates, name = prepare_plates(config, run.folder.parent, say)
                say(f"{overview(plates, name)}; device {device}")
                engines = make_ocr_engines(config)
                context = RunContext(config, run, device, plates, name, *engines, stop)
                return run_all(context, todo, started, activity)
        except KeyboardInterrupt:
            if not stop():
                raise
            say("stopped; the same command goes on from here")
            raise Interrupted(stop.signal) from None


def jobs(config: Config, entries: list[Registration]) -> list[Job]:
    """All jobs of a run in their order: every method with seed 0 first, so that a run cut short compares them."""
    pairs = [(entry, seed) for seed in range(config.train.seeds) for entry in entries]
    # Nothing in a deterministic method depends on the seed.
    return [Job(None), *(Job(entry, seed) for entry, seed in pairs if not (seed and entry.method.deterministic))]


def common_work(config: Config) -> tuple[dict[str, Any], str]:
    """What all processes that work in a run have in common (each of two that differ would compute anew what the
    other has made), and which settings they need not."""
    settings = identity_fields(config)
    data, families = config.data.folder, settings.pop("methods")
    del settings["preset"]  # a name for what the others say
    settings["data"]["folder"] = str(data.resolve()) if data else None
    versions = {"training": TRAINING_VERSION, "scoring": SCORING_VERSION}
    fields = sorted(f"{section}.{name}" for section, names in NON_IDENTITY_FIELDS.items() for name in names)
    free = [field for field in fields if field not in ("data.folder", "train.seeds", "train.device")]
    return {
        **settings,
        **families,
        "versions": versions,
    }, f"--methods, --seeds, --device and (with --set) {', '.join(free)}"


def overview(plates: Plates, name: str) -> str:
    """The plates of a run in a line."""
    info, splits = plates.info, plates.info["splits"]
    test = plates.split("test").table
    seen = f" ({test['seen'].sum()} of them seen in training)" if test["seen"].any() else ""
    return (
        f"{name}: {splits.get('train', 0)} training, {splits.get('val', 0)} validation, {splits['test']} test plates"
        f"{seen}; {info['grown']} under 64 px grown, {info['skipped']} skipped"
    )


def run_all(context: RunContext, jobs: list[Job], started: int, activity: Activity) -> list[str]:
    """Run every job, last those that other processes hold. Returns the names of the jobs that failed.

    ``started``: when this process began, by the clock of the file system (nanoseconds).
    """
    outcomes: list[bool | None] = []
    for job in jobs:
        rest = len(jobs) - len(outcomes) > 1 or None in outcomes
        outcomes.append(run_locked(context, job, started, activity, wait=not rest))
    for i, job in enumerate(jobs):
        if outcomes[i] is None:
            outcomes[i] = run_locked(context, job, started, activity, wait=True)
    return [job.label for job, done in zip(jobs, outcomes) if not done]


def run_locked(context: RunContext, job: Job, started: int, activity: Activity, wait: bool) -> bool | None:
    """Run a job under its lock. False if it failed, None if another process holds it and ``wait`` is false."""
    name = job.name if context.config.train.seeds == 1 or job.entry is None else job.label
    progress = Progress(name, also=activity.update)
    lock = context.run.folder / LOCKS / f"job-{job.name}-seed{job.seed}"
    with ExitStack() as held:
        try:
            held.enter_context(hold(lock, (lambda by: progress.note(f"waiting for {by}")) if wait else None))
        except LockHeld as other:
            progress.note(f"is being computed by {other.holder}: the others come first")
            return None
        held.enter_context(activity.job(job.key))
        return run_job(context, job, progress, started)


def run_job(context: RunContext, job: Job, progress: Progress, started: int) -> bool:
    """Do what is missing of a job. False if it failed.

    Raises Interrupted where the user or the system asked to stop, and OSError where nothing can be written.
    """
    identity, start = "", time.monotonic()
    try:
        present = context.run.result(job.name, job.seed)
        if job.entry is not None:
            identity = _identity(context, job.entry, job.seed)
            present = _taken_back(context, job, identity, present, progress)
        if present is not None and _failed_since(started, present, identity):
            progress.note(f"FAILED in another process: {present.record.error.message if present.record.error else ''}")
            return False
        if present is not None and _is_there(context, present, identity):
            if job.entry is not None:
                progress.note("is there already")
            checkpoint.remove(present.folder)  # of a process that was killed just after it had stored the result
            drop_replaced(present.folder)
            return True
        info = _do(context, job, identity, present, progress)
        drop_replaced(context.run.place(job.name, job.seed))
    except BaseException as error:  # a method must not take the others along, not even by sys.exit()
        if isinstance(error, Interrupted) or (isinstance(error, KeyboardInterrupt) and context.stop()):
            progress.note("stopped; the same command goes on from here")
            raise Interrupted(context.stop.signal) from None
        fail(context, job, identity, error, progress)
        return False
    finally:
        gc.collect()
        if context.device.type == "cuda":
            torch.cuda.empty_cache()
    progress.note(f"{outcome(info['scores']['best'])}, {time.monotonic() - start:.0f} s")
    return True


def _identity(context: RunContext, entry: Registration, seed: int) -> str:
    external_weights = create(context, entry).ingredients()
    return training_identity(entry, seed, context.config, context.plates.fingerprint, external_weights)


def _taken_back(
    context: RunContext, job: Job, identity: str, present: Result | None, progress: Progress
) -> Result | None:
    """The result of a job: one that was set aside, if it is what is wanted and has not been replaced yet."""
    folder = context.run.place(job.name, job.seed)
    old = replaced(folder)
    kept = present.complete if present is not None else (folder / "result.json").exists()
    if old is None or kept or stored_training_identity(old.record) != identity:
        return present
    progress.note(f"goes back to the result in {old.folder}")
    take_back(folder)
    return context.run.result(job.name, job.seed)


def _failed_since(started: int, present: Result, identity: str) -> bool:
    """Whether another process has tried this very job since this one began: it is not tried again at once."""
    if present.complete or stored_training_identity(present.record) != identity:
        return False
    return (present.folder / "result.json").stat().st_mtime_ns > started


def _is_there(context: RunContext, present: Result, identity: str) -> bool:
    trained = not identity or stored_training_identity(present.record) == identity
    scored = stored_scoring_identity(present.record) == context.scoring_identity
    return present.complete and trained and scored and not present.changed("plates.csv")


def _do(context: RunContext, job: Job, identity: str, present: Result | None, progress: Progress) -> dict[str, Any]:
    """Score, or train and score. Returns the content of ``result.json``."""
    folder = context.run.place(job.name, job.seed)
    if present is None and (folder / "result.json").exists():
        why = context.run.unreadable().get(folder / "result.json", "it cannot be read")
        raise RuntimeError(f"there is a result that cannot be used ({why}): move {folder} away to compute it anew")
    if job.entry is None:
        return score_upper_bound(context)
    if present is not None and present.complete:
        if stored_training_identity(present.record) == identity:
            progress.note("scoring the weights that are there: OCR engine, metrics or test plates changed")
            return rescore(context, job.entry, identity, present)
        aside = set_aside(folder)
        progress.note("configuration, data or version changed: training again")
        progress.note(f"the old result is kept in {aside} until the new one is complete")
    if not checkpoint.present(folder):
        clear(folder)  # nothing there to go on from
    (folder / "result.json").unlink(missing_ok=True)
    return compute(context, job.entry, job.seed, folder, identity, progress)


def outcome(scores: dict[str, Any]) -> str:
    """The scores of a method in half a line."""
    psnr, read = scores["psnr"]["median"], scores.get("plate_correct", {}).get("mean")
    parts = ["exact" if psnr is None else f"{psnr:.2f} dB"]
    return ", ".join(parts + ([] if read is None else [f"{read:.0%} of plates read"]))


def fail(context: RunContext, job: Job, identity: str, error: BaseException, progress: Progress) -> None:
    """Say why a job failed and store it as a failure, unless there is a result: that is worth more than an error.

    A failure is listed in the report and tried again by the next run. Raises OSError where the folder takes not
    even the failure: the jobs to come could not store anything either.
    """
    reason = first_line(error)
    if not isinstance(error, Exception):
        reason = f"{type(error).__name__} ({reason}): a method must not end the process"
    progress.note(f"FAILED: {reason}")
    folder = context.run.place(job.name, job.seed)
    now = context.run.result(job.name, job.seed)
    if linked(folder) or ((folder / "result.json").exists() and (now is None or now.complete)):
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
