"""From a configuration to stored results: one job per (method, seed); locks share them out among processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmark.config import Config
from benchmark.data.plates import Plates
from benchmark.results.identity import NON_IDENTITY_FIELDS, identity_fields
from benchmark.results.record import UPPER_BOUND
from benchmark.results.store import Key, Run
from benchmark.runner.activity import Activity, working
from benchmark.runner.context import RunContext, configure_torch, make_ocr_engines, prepare_plates, resolve_device
from benchmark.runner.job_runner import Job, Share, run_job
from benchmark.runner.run_names import refuse_taken_name
from benchmark.scoring.plausibility import flat_plates, not_read, unread_plates
from benchmark.scoring.version import SCORING_VERSION
from benchmark.training.session import Interrupted
from benchmark.training.version import TRAINING_VERSION
from benchmark.util.stop import Stop
from benchmark.util.terminal import say as say_plainly
from methods import Registration


def run_jobs(
    config: Config,
    entries: list[Registration],
    run: Run,
    say: Callable[[str], None] = say_plainly,
    named: bool = True,
    share: Share | None = None,
) -> list[str]:
    """Train and score what is missing in ``run``, or a ``share`` of it whose plates are prepared. Returns the names of
    the jobs that failed.

    Other processes may work in the run at the same time, on other methods or the same ones: each takes jobs that
    nobody holds, and waits at the end for those that somebody does. Raises UserError if one of them has another
    configuration.

    A failing method is stored as a failure and does not take the others along. Raises :class:`Interrupted` after
    Ctrl-C or SIGTERM, and OSError where nothing can be written; the same call then goes on where it stopped.
    """
    device = resolve_device(config.train.device)
    configure_torch(config)
    todo = [job for job in jobs(config, entries) if share is None or share.keys is None or job.key in share.keys]
    failed: set[Key] = set()
    with Stop().installed() as stop:
        try:
            with working(run, *shared_settings(config)) as (started, tell):
                activity = Activity(tell, [job.key for job in todo])
                if share is None:
                    plates, name = prepare(config, entries, run, say, named, f"device {device}")
                else:
                    plates, name = prepare_plates(config, run.folder.parent, lambda text: None)
                    started = share.since
                engines = make_ocr_engines(config)
                context = RunContext(config, device, plates, name, *engines, run, stop, started, activity)
                _ = context.lpips  # what it lacks is said before anything is trained
                queue = list(todo)
                for number, job in enumerate(queue, 1):  # grows: what another process holds comes again at the end
                    complete = run_job(context, job, number > len(todo) or number == len(queue), share)
                    if complete is None:
                        queue.append(job)
                        continue
                    if not complete:
                        failed.add(job.key)
                    if share is not None:
                        share.ended(job.key, complete)
                    elif job.entry is None:
                        warn_of_unread_plates(run, say)
        except KeyboardInterrupt:
            if not stop():
                raise
            say("stopped; the same command goes on from here")
            raise Interrupted(stop.signal) from None
    return [job.label for job in todo if job.key in failed]


def prepare(
    config: Config, entries: list[Registration], run: Run, say: Callable[[str], None], named: bool, where: str
) -> tuple[Plates, str]:
    """Prepare the plates of a run, and say what they are and ``where`` the jobs go. Returns the plates and their name.

    Where nobody has ``named`` the run, it goes by its default name, and replaces no finished results of other plates,
    nor longer trainings: raises UserError.
    """
    plates, name = prepare_plates(config, run.folder.parent, say)
    say(f"{overview(plates, name)}; {where}")
    for remark in filter(None, (flat_plates(plates.split(split)) for split in ("val", "test"))):
        say(remark)
    for remark in not_read(plates.split("test").table["text"], lambda: make_ocr_engines(config)):
        say(remark)
    if not named:
        refuse_taken_name(run, config, entries, plates)
    return plates, name


def warn_of_unread_plates(run: Run, say: Callable[[str], None]) -> None:
    """Say at once if the HR plates themselves are hardly read."""
    bound = run.result(UPPER_BOUND, 0)
    if bound is not None and bound.complete and (remark := unread_plates(bound.record.mean("plate_correct"))):
        say(remark)


def jobs(config: Config, entries: list[Registration]) -> list[Job]:
    """All jobs of a run in their order: every method with seed 0 first, so that a run cut short compares them."""
    pairs = [(entry, seed) for seed in range(config.train.seeds) for entry in entries]
    # Nothing in a deterministic method depends on the seed.
    return [Job(None), *(Job(entry, seed) for entry, seed in pairs if not (seed and entry.method.deterministic))]


def shared_settings(config: Config) -> tuple[dict[str, Any], str]:
    """The settings that all processes working in a run must share (or each would recompute the results of the other),
    and the options that may differ."""
    settings = identity_fields(config)
    data, families = config.data.folder, settings.pop("methods")
    del settings["preset"]  # its fields count, not its name
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
    misfits = f" ({info['misfits']} of them: ANNOTATION DOES NOT FIT THE PICTURE)" if info.get("misfits") else ""
    given = "; LR pictures are given, not made" if plates.paired else ""
    return (
        f"{name}: {splits.get('train', 0)} training, {splits.get('val', 0)} validation, {splits['test']} test plates"
        f"{seen}; {info['grown']} under 64 px grown, {info['skipped']} skipped{misfits}{given}"
    )
