"""Jobs on a Slurm cluster, submitted by submitit: plates are prepared by a first job, then one array runs all others.

The array's jobs share the folder of results. One that is told to leave (preempted, or near its time limit) writes a
checkpoint and goes back to the queue. Which Slurm job computes what stands in ``slurm/jobs.json`` of the run.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

from benchmark.config import Config
from benchmark.config import Slurm as Settings
from benchmark.results.store import Key
from benchmark.runner.executors.executor import Outcome
from benchmark.runner.executors.order import WorkOrder
from benchmark.runner.executors.slurm_queue import slurm_folder, slurm_jobs
from benchmark.training.session import Interrupted
from benchmark.util.errors import UserError, writing
from benchmark.util.files import write_text
from benchmark.util.live_line import LiveLine
from benchmark.util.terminal import say

_POLL_SECONDS = 15.0
_ANSWER_SECONDS = 30
# In its grace time a preempted job gets SIGTERM. One that then ends in good order is not put back by Slurm itself.
_REQUEUE_IF_PREEMPTED = (
    """trap 'test $? = 143 && scontrol show job "$SLURM_JOB_ID" | grep -q "PreemptTime=[0-9]" """
    """&& scontrol requeue "$SLURM_JOB_ID"' EXIT"""
)


class Slurm:
    """Submits and returns; with ``wait`` stays until all jobs have ended."""

    def __init__(self, wait: bool) -> None:
        self.wait = wait

    def check(self, config: Config) -> None:
        if config.slurm.cluster == "slurm":
            _check_cluster()
        elif config.slurm.python:
            raise UserError("slurm.python is for a cluster: with slurm.cluster=local leave it out")
        directives(config.slurm)
        if 60 * config.slurm.minutes < config.slurm.signal_seconds + 120:
            raise UserError(
                f"slurm.minutes={config.slurm.minutes} leaves no time to train: Slurm is to tell a job to leave"
                f" {config.slurm.signal_seconds} s before the end (slurm.signal_seconds), and may do so a minute early"
            )

    def describe(self, order: WorkOrder) -> str:
        settings, jobs = order.config.slurm, order.missing()
        lines = [f"job 1: prepare the plates ({_in_words(_parameters(settings, prepare=True))})"]
        lines.append(f"array of {len(jobs)} after it ({_in_words(_parameters(settings, prepare=False))}):")
        return "\n".join([*lines, *(f"  {job.label}" for job in jobs), f"logs: {slurm_folder(order.run)}"])

    def run(self, order: WorkOrder) -> Outcome:
        if at_work := [job for job in slurm_jobs(order.run).values() if job.waits or job.runs]:
            raise UserError(
                f"{len(at_work)} jobs of {order.folder} are in Slurm's queue already ({at_work[0].number}, …):"
                f" see `status --run {order.folder.name}`, or end them with `cancel --run {order.folder.name}`"
            )
        jobs = order.missing()
        if not jobs:
            say("all results are there already")
            return Outcome()
        if not order.config.train.threads:
            order = order.with_train(threads=order.config.slurm.cpus)
        order.place_marker()
        try:
            submitted = _submit(order, [job.key for job in jobs])
        except UserError:
            order.remove_marker()
            raise
        if not self.wait:
            say(f"see `status --run {order.folder.name}`; `cancel --run {order.folder.name}` ends the jobs")
            return Outcome(complete=False)
        _wait(order, submitted)
        order.remove_marker()
        return Outcome([job.label for job in order.missing()])


def _check_cluster() -> None:
    """Raise UserError where no Slurm would take jobs."""
    if shutil.which("sbatch") is None:
        raise UserError("no sbatch on this machine: give the command on a login node of the cluster")
    try:
        done = subprocess.run(["sinfo", "-h"], capture_output=True, text=True, timeout=_ANSWER_SECONDS, check=False)
        why = (done.stderr.strip() or f"sinfo ends with code {done.returncode}") if done.returncode else ""
    except subprocess.TimeoutExpired:
        why = f"no answer in {_ANSWER_SECONDS} s"
    except OSError as error:
        why = str(error)
    if why:
        raise UserError(f"Slurm does not answer ({why.splitlines()[-1]}): try again when `sinfo` does")


def directives(settings: Settings) -> dict[str, str]:
    """The extra options of sbatch. Raises UserError for what is none."""
    pairs = [text.lstrip("-").partition("=") for text in settings.directives.split()]
    if bad := [name for name, equals, _ in pairs if not equals or not name]:
        raise UserError(f"slurm.directives takes option=value, separated by spaces, not {bad[0]!r}")
    return {name: value for name, _, value in pairs}


def _parameters(settings: Settings, prepare: bool) -> dict[str, Any]:
    """What submitit is told of a job, by its names."""
    parameters: dict[str, Any] = {
        "name": "plate-sr-prepare" if prepare else "plate-sr",
        "timeout_min": settings.minutes,
        "mem_gb": settings.memory_gb,
        "cpus_per_task": settings.cpus,
        "slurm_partition": settings.partition or None,
        "slurm_account": settings.account or None,
        "slurm_setup": [settings.setup] if settings.setup else None,
        "slurm_additional_parameters": directives(settings) or None,
    }
    if not prepare:
        parameters |= {
            "gpus_per_node": settings.gpus or None,
            "slurm_array_parallelism": settings.parallel,
            "slurm_signal_delay_s": settings.signal_seconds,
        }
    return {name: value for name, value in parameters.items() if value is not None}


def _in_words(parameters: dict[str, Any]) -> str:
    return ", ".join(f"{name.removeprefix('slurm_')} {value}" for name, value in parameters.items())


def _submit(order: WorkOrder, keys: list[Key]) -> list[Any]:
    """Submit the first job and the array; note their numbers in the run. Returns submitit's jobs."""
    import submitit

    settings, folder = order.config.slurm, slurm_folder(order.run)
    new, first = not folder.exists(), None
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    # How often a job may come back is counted by the job itself, which knows whether it got on meanwhile.
    more = {"slurm_python": settings.python} if settings.python else {}
    executor = submitit.AutoExecutor(folder, settings.cluster, slurm_max_num_timeout=10**6, **more)
    try:
        setup = {"slurm_setup": [*filter(None, [settings.setup]), _REQUEUE_IF_PREEMPTED]}
        executor.update_parameters(**_parameters(settings, prepare=True) | setup)
        first = executor.submit(_Prepare(order))
        after = {"dependency": f"afterok:{first.job_id}", "kill-on-invalid-dep": "yes"}
        executor.update_parameters(**_parameters(settings, prepare=False) | setup)
        if settings.cluster == "slurm":
            executor.update_parameters(slurm_additional_parameters={**directives(settings), **after})
        else:
            first.result()  # there is no queue that would wait for it
        with executor.batch():
            jobs = [executor.submit(Task(order, key)) for key in keys]
    except submitit.core.utils.FailedJobError as error:
        if new and first is None:  # nothing in it is of a job
            shutil.rmtree(folder, ignore_errors=True)
        raise UserError(f"Slurm refused the jobs: {str(error).splitlines()[-1]} (settings: --set slurm.*)") from None
    numbers = {f"{method}/seed{seed}": job.job_id for (method, seed), job in zip(keys, jobs)}
    write_text(folder / "jobs.json", json.dumps({"prepare": first.job_id, "jobs": numbers}, indent=1))
    say(f"submitted to {settings.cluster}: job {first.job_id} prepares the plates, then {len(jobs)} jobs run"
        f" ({jobs[0].job_id} to {jobs[-1].job_id}); logs: {folder}")  # fmt: skip
    return jobs


@dataclass
class _Prepare:
    """The first job: it prepares the plates."""

    order: WorkOrder

    def __call__(self) -> None:
        self.order.take()
        self.order.prepare("one Slurm job per method and seed")

    def checkpoint(self) -> Any:
        """Called by submitit before the job goes back to the queue. What is prepared so far is kept."""
        import submitit

        return submitit.helpers.DelayedSubmission(self)


@dataclass
class Task:
    """A job of the array: one method with one seed."""

    order: WorkOrder
    key: Key

    def __call__(self) -> list[str]:
        """Compute the job. Told to leave by SIGUSR2, it writes a checkpoint first; then submitit puts it back."""
        requeue, asked = signal.getsignal(signal.SIGUSR2), []

        def leave(*_: Any) -> None:
            asked.append(True)
            os.kill(os.getpid(), signal.SIGTERM)  # stops a training between two iterations, with a checkpoint

        signal.signal(signal.SIGUSR2, leave)
        try:
            return self.order.carry_out(frozenset([self.key]))
        except Interrupted as stopped:
            if asked and callable(requeue):
                requeue(signal.SIGUSR2, None)
            sys.exit(128 + (stopped.args[0] or signal.SIGTERM))
        finally:
            signal.signal(signal.SIGUSR2, requeue)

    def checkpoint(self) -> Any:
        """Called by submitit before the job goes back to the queue. What it goes on from is in its folder."""
        import submitit

        return submitit.helpers.DelayedSubmission(self)


def _wait(order: WorkOrder, submitted: list[Any]) -> None:
    """Stay until no job waits or runs any more. Ctrl-C ends the waiting alone."""
    line = LiveLine()
    try:
        while True:
            if order.config.slurm.cluster == "slurm":
                jobs = slurm_jobs(order.run).values()
                left = [job for job in jobs if job.waits or job.runs]
            else:
                left = [job for job in submitted if not job.done()]
            if not left:
                line.end()
                return
            if line.live:
                line.draw(f"{len(submitted) - len(left)} of {len(submitted)} jobs have ended")
            time.sleep(_POLL_SECONDS if order.config.slurm.cluster == "slurm" else 0.2)
    except KeyboardInterrupt:
        say(f"the jobs go on: see `status --run {order.folder.name}`, or end them with `cancel`")
        raise Interrupted(signal.SIGINT) from None
