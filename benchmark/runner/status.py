"""What a run holds and what processes are doing in it."""

from __future__ import annotations

from typing import Any

from benchmark.results.store import Key, Run
from benchmark.runner.activity import jobs_at_work
from benchmark.runner.executors.slurm_queue import slurm_jobs
from benchmark.util.terminal import plain


def status_rows(run: Run) -> list[dict[str, Any]]:
    """One row per (method, seed): ``status`` is complete, running, pending, failed, unfinished or unreadable.

    Living processes say what they are doing (running: the row has ``pid``, ``host``, ``since``, ``iteration`` and
    ``iterations``) and what they have yet to do (pending). A complete result stays one while it is looked at.
    """
    rows: dict[Key, dict[str, Any]] = {
        (method, seed): {"method": plain(method), "seed": seed, "status": status, "detail": detail}
        for (method, seed), (status, detail) in run.stored().items()
    }
    for (method, seed), job in jobs_at_work(run).items():
        row = {"method": plain(method), "seed": seed, "status": "pending", "detail": plain(job.text)}
        if job.since and rows.get((method, seed), {}).get("status") != "complete":
            rows[method, seed] = {**row, "status": "running", **job.as_dict()}
        rows.setdefault((method, seed), row)
    for (method, seed), slurm in slurm_jobs(run).items():
        row = rows.get((method, seed), {"method": plain(method), "seed": seed, "status": "", "detail": ""})
        if row["status"] not in ("", "unfinished", "pending"):
            continue
        status = "pending" if slurm.waits else "running" if slurm.runs else "lost"
        ended = f"{slurm.state or 'gone'} without a result: see {slurm.log}"
        detail = plain(f"Slurm job {slurm.number}: {ended if status == 'lost' else slurm.state}")
        rows[method, seed] = {**row, "status": status, "detail": detail}
    return [rows[key] for key in sorted(rows)]


def running(run: Run) -> list[Key]:
    """What processes are computing now."""
    return [key for key, job in jobs_at_work(run).items() if job.since]
