"""Slurm: what is asked of it, what it says, and a real cluster that puts a job back in the queue."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import slurm_cluster
from executor_bench import SLOWLY, Bench, wait_for
from kill_harness import fingerprint

from benchmark.config import load
from benchmark.data.synthetic.generator import synthesize
from benchmark.results.store import Run
from benchmark.runner.executors import engines, slurm_queue
from benchmark.runner.executors.slurm import directives
from benchmark.runner.status import status_rows
from benchmark.util.errors import UserError

SMALL = ["--set", "slurm.gpus=0", "--set", "slurm.cpus=1", "--set", "slurm.memory_gb=1"]


@pytest.fixture
def submitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run with four Slurm jobs, and a Slurm that knows three of them."""
    run, programs = Run(tmp_path / "run"), tmp_path / "programs"
    for folder in (run.folder / "slurm", programs):
        folder.mkdir(parents=True)
    jobs = {"espcn/seed0": "7_0", "espcn/seed1": "7_1", "srcnn/seed0": "7_2", "srcnn/seed1": "7_3"}
    (run.folder / "slurm" / "jobs.json").write_text(json.dumps({"prepare": "6", "jobs": jobs}))
    says = {
        "squeue": "echo '7_0|RUNNING'; echo '7_1|PENDING'; echo '99|PENDING'",
        "sacct": "echo '7_2|OUT_OF_MEMORY'; echo '7_4|COMPLETED'",
        "scancel": f'echo "$@" > {tmp_path}/cancelled',
    }
    for name, line in says.items():
        (programs / name).write_text(f"#!/bin/sh\n{line}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    return run


def test_status_joins_the_states_of_the_queue_with_results(submitted: Run) -> None:
    rows = {(row["method"], row["seed"]): row for row in status_rows(submitted)}
    assert [row["status"] for row in rows.values()] == ["running", "pending", "lost", "lost"]
    lost = rows["srcnn", 0]["detail"]
    assert "7_2: OUT_OF_MEMORY without a result" in lost and str(submitted.folder / "slurm" / "7_2_0_log.err") in lost
    assert "7_3: gone without a result" in rows["srcnn", 1]["detail"]


def test_cancel_ends_what_waits_or_runs_and_the_first_job(submitted: Run, tmp_path: Path) -> None:
    assert slurm_queue.cancel(submitted) == ["7_0", "7_1"]
    assert (tmp_path / "cancelled").read_text() == "7_0 7_1 6\n"


def test_without_slurm_nothing_is_known_and_nothing_is_raised(submitted: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert {row["status"] for row in status_rows(submitted)} == {"lost"}


@pytest.mark.parametrize("content", ["", "[]", '{"jobs": 3}', '{"jobs": {"x": 1, "a/seedx": "2"}}', "\0"])
def test_a_strange_list_of_jobs_is_no_jobs(tmp_path: Path, content: str) -> None:
    (tmp_path / "slurm").mkdir()
    (tmp_path / "slurm" / "jobs.json").write_text(content)
    assert slurm_queue.slurm_jobs(Run(tmp_path)) == {}


def test_extra_directives_are_pairs() -> None:
    settings = load("quick", ["slurm.directives=qos=high --constraint=a100"]).slurm
    assert directives(settings) == {"qos": "high", "constraint": "a100"}
    with pytest.raises(UserError, match="option=value"):
        directives(load("quick", ["slurm.directives=exclusive"]).slurm)


def test_settings_of_slurm_are_no_part_of_a_result() -> None:
    assert "slurm" not in load("quick", ["slurm.partition=gpu"]).model_dump(mode="json")


def test_a_missing_extra_is_one_line_with_the_way_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'plate-sr-benchmark\[slurm\]'"):
        engines.make("slurm", None, False)


def test_a_machine_without_sbatch_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="login node"):
        engines.make("slurm", None, False).check(load("quick"))


# -- a real cluster ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    pytest.importorskip("submitit")
    if why := slurm_cluster.missing():
        pytest.skip(why)
    with slurm_cluster.cluster(tmp_path_factory.mktemp("cluster")) as environment:
        yield environment


@pytest.mark.slow
@pytest.mark.slurm
def test_a_job_put_back_in_the_queue_goes_on_and_gives_the_numbers_of_one_process(
    environment: dict[str, str], tmp_path: Path
) -> None:
    synthesize(tmp_path / "plates", 24, seed=5, workers=1)
    bench = Bench(tmp_path, tmp_path / "plates")
    code, output = bench.run("single", "--workers", "1")
    assert code == 0, output
    bench.environment = environment
    (tmp_path / "first").write_text(SLOWLY)
    code, output = bench.run("cluster", "--executor", "slurm", *SMALL)
    assert code == 0 and "prepares the plates, then 4 jobs run" in output, output
    folder = tmp_path / "cluster" / "r"
    again = bench.run("cluster", "--executor", "slurm", *SMALL)
    assert again[0] == 2 and "in Slurm's queue already" in again[1], again
    wait_for((tmp_path / "first-at-work").exists, 240)
    number = json.loads((folder / "slurm" / "jobs.json").read_text())["jobs"]["first/seed0"]
    # What Slurm sends before a time limit. (`scancel --signal` repeats it, and hits the next start.)
    os.kill(int((tmp_path / "first-at-work").read_text()), signal.SIGUSR2)

    def state(key: str) -> str:
        shown = subprocess.run(["scontrol", "show", "job", number], env=environment, capture_output=True, text=True)
        return shown.stdout.partition(f"{key}=")[2].split()[0]

    wait_for(lambda: state("Restarts") == "1")
    assert (folder / "first" / "seed0" / "checkpoint.pt").is_file()
    (tmp_path / "first").unlink()

    def ended() -> bool:
        queue = subprocess.run(["squeue", "-h"], env=environment, capture_output=True, text=True)
        return not queue.stdout.strip()

    wait_for(ended, 240)
    assert fingerprint(tmp_path / "cluster") == fingerprint(tmp_path / "single"), status_rows(Run(folder))


@pytest.mark.slow
@pytest.mark.slurm
def test_a_cancelled_array_is_named_job_by_job(environment: dict[str, str], tmp_path: Path) -> None:
    synthesize(tmp_path / "plates", 24, seed=5, workers=1)
    bench = Bench(tmp_path, tmp_path / "plates")
    bench.environment = environment
    code, output = bench.run("cancelled", "--executor", "slurm", *SMALL, "--set", "slurm.directives=begin=now+1hour")
    assert code == 0, output
    arguments = ["--results", str(tmp_path / "cancelled"), "--run", "r"]
    assert bench.call("cancel", *arguments).communicate()[0].startswith("cancelled: ")
    rows, _ = bench.call("status", *arguments).communicate()
    assert rows.count("lost") == 5 and "4 lost" in rows, rows
