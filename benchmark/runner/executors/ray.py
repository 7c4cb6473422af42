"""Jobs as tasks of a Ray cluster: the one that RAY_ADDRESS names, or one on this machine for as long as the command.

A task whose machine dies is run again on another one, from its checkpoint. All machines share the folder of results;
or checkpoints are in ``ray.storage`` and results travel back to the command.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from typing import Any

from benchmark.config import Config
from benchmark.results.store import Key
from benchmark.runner.context import resolve_device
from benchmark.runner.executors.executor import Outcome
from benchmark.runner.executors.forecast import Forecast
from benchmark.runner.executors.order import WorkOrder
from benchmark.runner.executors.ray_folders import Apart, Shared, refuse_second
from benchmark.runner.executors.storage import Storage
from benchmark.runner.scheduler import warn_of_unread_plates
from benchmark.training.session import Interrupted
from benchmark.util.errors import UserError, first_line
from benchmark.util.live_line import LiveLine
from benchmark.util.stop import Stop
from benchmark.util.terminal import say

_POLL_SECONDS = 1.0
_PROBE_SECONDS = 60
_PROBE = """
import logging, ray
try:
    ray.init(log_to_driver=False, logging_level=logging.CRITICAL, configure_logging=False)
except Exception as error:
    print(str(error).strip().splitlines()[0])
    raise SystemExit(1)
ray.shutdown()
"""


class Ray:
    """One task per method and seed."""

    def check(self, config: Config) -> None:
        if config.ray.storage is not None:
            Storage(config.ray.storage).check()
        address = _address()
        if address.startswith("ray://"):
            raise UserError(
                f"RAY_ADDRESS={address} is for Ray's client, which cannot be used: name the head itself, HOST:6379"
            )
        if address and (why := _no_cluster(address)):
            raise UserError(
                f"no Ray cluster at {address} ({why}): start one, or unset RAY_ADDRESS for one on this machine"
            )

    def describe(self, order: WorkOrder) -> str:
        jobs, where = order.missing(), _address() or "a cluster of this machine alone"
        storage = order.config.ray.storage
        lines = [f"{len(jobs)} tasks on {where}, each with {_in_words(_resources(order.config))}:"]
        if storage is not None:
            lines.insert(0, f"checkpoints in {Storage(storage).uri}; no folder is shared")
        return "\n".join([*lines, *(f"  {job.label}" for job in jobs)])

    def run(self, order: WorkOrder) -> Outcome:
        import ray

        jobs = order.missing()
        if not jobs:
            say("all results are there already")
            return Outcome()
        storage = order.config.ray.storage
        if storage is not None:
            refuse_second(order)
        resources = _resources(order.config)
        if not order.config.train.threads:
            order = order.with_train(threads=resources["num_cpus"])
        try:
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere unless the user wants it
            own = {} if _address() else {"include_dashboard": False}
            ray.init(log_to_driver=False, logging_level=logging.ERROR, configure_logging=False, **own)
        except (ConnectionError, OSError, RuntimeError, ValueError) as error:
            where = _address() or "on this machine"
            raise UserError(
                f"no Ray cluster {where} ({first_line(error)}): start one, or set or unset RAY_ADDRESS"
            ) from None
        folders = Shared(ray, order) if storage is None else Apart(ray, order, Storage(storage))
        with ExitStack() as ends:
            ends.callback(ray.shutdown)
            _refuse_impossible(ray.cluster_resources(), resources)
            ends.enter_context(folders.opened())
            return Outcome(_work(ray, order, folders, [job.key for job in jobs], resources))


def _address() -> str:
    """Of the cluster that the user has named; "": none."""
    return os.environ.get("RAY_ADDRESS", "")


def _no_cluster(address: str) -> str:
    """Why no cluster answers there; "" if one does. Ray itself would try for minutes, and end the process that asks."""
    host, colon, port = address.rpartition(":")
    try:
        if colon and port.isdecimal():
            socket.create_connection((host, int(port)), timeout=10).close()  # mostly says it at once
        done = subprocess.run(
            [sys.executable, "-c", _PROBE], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            timeout=_PROBE_SECONDS, check=False, env={"RAY_USAGE_STATS_ENABLED": "0", **os.environ},
        )  # fmt: skip
    except (OSError, OverflowError) as error:
        return str(error)
    except subprocess.TimeoutExpired:
        return f"no answer in {_PROBE_SECONDS} s"
    return done.stdout.strip().rstrip(".") or f"Ray gives up with code {done.returncode}" if done.returncode else ""


def _resources(config: Config) -> dict[str, Any]:
    """What a task asks for, by Ray's names."""
    gpus = config.ray.gpus
    if gpus is None:
        on_gpu = not _address() and resolve_device(config.train.device).type == "cuda"
        gpus = 1.0 if on_gpu or config.train.device.startswith("cuda") else 0.0
    return {"num_cpus": config.ray.cpus, "num_gpus": gpus, "max_retries": config.ray.retries}


def _in_words(resources: dict[str, Any]) -> str:
    return f"{resources['num_cpus']} CPU and {resources['num_gpus']:g} GPU, {resources['max_retries']} retries"


def _refuse_impossible(cluster: dict[str, float], wanted: dict[str, Any]) -> None:
    """Raise UserError for a task that would wait for ever."""
    for ours, name, option in (("num_cpus", "CPU", "ray.cpus"), ("num_gpus", "GPU", "ray.gpus")):
        if wanted[ours] > cluster.get(name, 0):
            raise UserError(
                f"a task asks for {wanted[ours]:g} {name} and the whole cluster has {cluster.get(name, 0):g}:"
                f" lower it with --set {option}=N"
            )


def _work(ray: Any, order: WorkOrder, folders: Shared | Apart, keys: list[Key], resources: dict[str, Any]) -> list[str]:
    """Run the tasks. Returns the labels of the jobs that failed."""
    failed: list[str] = []
    with Stop().installed() as stop:
        try:
            folders.prepare()
            with stop.between_iterations():
                failed = _serve(ray, order, folders, keys, resources, stop)
        except KeyboardInterrupt:
            if not stop():
                raise
            say("stopped; the same command goes on from here")
            raise Interrupted(stop.signal or signal.SIGINT) from None
    return list(dict.fromkeys([*failed, *(job.label for job in order.missing())]))


def _serve(
    ray: Any, order: WorkOrder, folders: Shared | Apart, keys: list[Key], resources: dict[str, Any], stop: Stop
) -> list[str]:
    """Submit the tasks and listen to them. Returns the labels of the jobs that the tasks have lost or seen fail."""
    labels = {job.key: job.label for job in order.jobs}
    line, failed = LiveLine(), list[str]()
    cluster = Counter(ray.cluster_resources())
    say(f"plates are ready; {len(keys)} tasks on {cluster['CPU']:g} CPU and {cluster['GPU']:g} GPU")
    slots = max(1, int(min(cluster[name] / n for name, n in (("CPU", resources["num_cpus"]),
                                                               ("GPU", resources["num_gpus"])) if n)))  # fmt: skip
    forecast = Forecast(order, slots, folders.at_work)
    waiting = {folders.start(key, resources): key for key in keys}
    cancelled = False
    while waiting:
        ready, _ = ray.wait(list(waiting), timeout=_POLL_SECONDS)
        for reference in ready:
            key = waiting.pop(reference)
            try:
                notes, lost = folders.receive(key, ray.get(reference))
            except ray.exceptions.RayError as error:
                cause = getattr(error, "cause", None) or error
                if isinstance(error, ray.exceptions.TaskCancelledError | ray.exceptions.RayTaskError):
                    if stop():
                        continue
                    if not isinstance(cause, folders.lost_to):
                        raise cause from None
                # Its machine has died once too often, or has no room left.
                notes, lost = [f"{labels[key]}: lost by the cluster ({first_line(cause)})"], [labels[key]]
            for note in notes:
                line.note(note)
            failed += lost
            forecast.end(key, not lost)
            if key[0] == order.jobs[0].name:
                warn_of_unread_plates(order.run, line.note)
        if stop() and not cancelled:
            cancelled = True
            line.note("stopping: every task writes a checkpoint first")
            for reference in waiting:
                ray.cancel(reference, force=False)
        folders.publish(list(waiting.values()))
        if line.due:
            line.draw(forecast.text())
    line.end()
    return failed
