"""Slurm: what is asked of it, what it says, and a real cluster that puts a job back in the queue."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import slurm_cluster
from conftest import Call
from executor_bench import RECORD_STEPS, SLOWLY, Bench, wait_for
from kill_harness import fingerprint

from benchmark.config import load
from benchmark.data.synthetic.generator import synthesize
from benchmark.results.store import Run
from benchmark.runner.executors import engines, slurm, slurm_queue
from benchmark.runner.executors.slurm import Slurm, directives
from benchmark.runner.status import status_rows
from benchmark.util.errors import UserError

SMALL = ["--set", "slurm.gpus=0", "--set", "slurm.cpus=1", "--set", "slurm.memory_gb=1"]


Answering = Callable[[str, str], None]


@pytest.fixture
def answering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Answering:
    """Put a program of Slurm in place, as a line of shell. There is an sbatch, which refuses."""
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)

    def place(name: str, line: str) -> None:
        (programs / name).write_text(f"#!/bin/sh\n{line}\n")
        (programs / name).chmod(0o755)

    place("sbatch", "echo 'sbatch: error: invalid partition specified: x' >&2; exit 1")
    return place


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


def test_a_time_limit_that_leaves_no_time_to_train_is_refused(answering: Answering) -> None:
    answering("sinfo", "echo idle")
    with pytest.raises(UserError, match="leaves no time to train"):
        Slurm(False).check(load("quick", ["slurm.minutes=3"]))
    Slurm(False).check(load("quick", ["slurm.minutes=4"]))


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


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("echo 'slurm_load_partitions: Unable to contact slurm controller' >&2; exit 1", "Unable to contact"),
        ("exit 3", "code 3"),
        ("exec sleep 60", "no answer in 1 s"),
    ],
)
def test_a_slurm_that_does_not_answer_is_refused_before_anything_is_made(
    answering: Answering, line: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm, "_ANSWER_SECONDS", 1)
    answering("sinfo", line)
    with pytest.raises(UserError, match=f"Slurm does not answer .*{why}"):
        Slurm(False).check(load("quick"))


def test_what_slurm_refuses_leaves_nothing(answering: Answering, call: Call, tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    answering("sinfo", "echo idle")
    words = ["run", "--methods", "bicubic", "--ocr", "none", "--executor", "slurm", "--results", tmp_path / "results"]
    code, _, err = call(*words)
    assert code == 2 and "Slurm refused the jobs: sbatch: error: invalid partition" in err
    assert not (tmp_path / "results").exists()


def test_a_setting_that_is_empty_is_not_set_and_one_that_would_do_nothing_is_refused() -> None:
    config = load("quick", ["slurm.partition=", "slurm.account=", "slurm.cluster=local"])
    assert not {"slurm_partition", "slurm_account"} & slurm._parameters(config.slurm, prepare=True).keys()
    Slurm(False).check(config)
    with pytest.raises(UserError, match=r"slurm\.python is for a cluster"):
        Slurm(False).check(load("quick", ["slurm.cluster=local", "slurm.python=python3"]))


# -- a real cluster ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    pytest.importorskip("submitit")
    if why := slurm_cluster.missing():
        pytest.skip(why)
    with slurm_cluster.cluster(tmp_path_factory.mktemp("cluster")) as environment:
        yield environment


class Cluster:
    """A run of the bench's jobs on a cluster, and what one process leaves of the same."""

    def __init__(self, bench: Bench, environment: dict[str, str], expected: dict[str, str]) -> None:
        self.bench, self.expected = bench, expected
        self.bench.environment = environment
        self.folder = bench.folder / "cluster" / "r"
        self.place = self.folder / "first" / "seed0"

    def script(self, text: str) -> None:
        """What ``first`` does before each step."""
        (self.bench.folder / "first").write_text(RECORD_STEPS + text)

    def submit(self, *more: str) -> tuple[int, str]:
        return self.bench.run("cluster", "--executor", "slurm", *SMALL, *more)

    def call(self, *command: str) -> str:
        done = subprocess.run(command, env=self.bench.environment, capture_output=True, text=True)
        return done.stdout + done.stderr

    def shows(self, key: str, job: str = "first/seed0") -> str:
        """What Slurm says of a job."""
        number = json.loads((self.folder / "slurm" / "jobs.json").read_text())["jobs"][job]
        return re.findall(rf"\b{key}=(\S*)", self.call("scontrol", "show", "job", number))[0]

    def wait_for_work(self) -> None:
        """Until ``first`` trains and has a checkpoint."""
        wait_for(
            lambda: (self.bench.folder / "first-at-work").exists() and (self.place / "checkpoint.pt").exists(), 600
        )

    def wait_for_restart(self, count: int = 1) -> None:
        """Until ``first`` is back in the queue; it does not stay there for two minutes, as is usual."""
        wait_for(lambda: self.shows("Restarts") == str(count) and self.shows("JobState") == "PENDING", 600)
        self.call("scontrol", "update", f"jobid={self.shows('JobId')}", "StartTime=now")

    def wait_for_end(self) -> None:
        wait_for(lambda: not self.call("squeue", "-h").strip(), 600)

    def starts(self) -> list[list[int]]:
        """The iterations of ``first`` by the process that computed them."""
        lines = [line.split() for line in (self.bench.folder / "first-steps").read_text().splitlines()]
        pids = list(dict.fromkeys(pid for pid, _ in lines))
        return [[int(iteration) for pid, iteration in lines if pid == process] for process in pids]

    def equals_one_process(self) -> bool:
        return fingerprint(self.folder.parent) == self.expected


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """Plates, and what one process leaves of them."""
    folder = tmp_path_factory.mktemp("single")
    synthesize(folder / "plates", 24, seed=5, workers=1)
    code, output = Bench(folder, folder / "plates").run("single", "--workers", "1")
    assert code == 0, output
    return folder / "plates", fingerprint(folder / "single")


@pytest.fixture
def cluster(environment: dict[str, str], tmp_path: Path, expected: tuple[Path, dict[str, str]]) -> Cluster:
    return Cluster(Bench(tmp_path, expected[0]), environment, expected[1])


@pytest.mark.slow
@pytest.mark.slurm
def test_a_job_near_its_time_limit_goes_back_to_the_queue_and_goes_on(cluster: Cluster) -> None:
    cluster.script(SLOWLY.replace("0.5", "15"))
    code, output = cluster.submit("--set", "slurm.minutes=3", "--set", "slurm.signal_seconds=60")
    assert code == 0 and "prepares the plates, then 4 jobs run" in output, output
    again = cluster.submit()
    assert again[0] == 2 and "in Slurm's queue already" in again[1], again
    cluster.wait_for_restart()
    assert (cluster.place / "checkpoint.pt").is_file()
    cluster.script("")
    cluster.wait_for_end()
    first, second = cluster.starts()
    assert second[0] == first[-1] + 1, (first, second)
    assert cluster.equals_one_process(), status_rows(Run(cluster.folder))


@pytest.mark.slow
@pytest.mark.slurm
def test_a_preempted_job_writes_a_checkpoint_and_goes_on_when_there_is_room(cluster: Cluster) -> None:
    cluster.script(SLOWLY)
    code, output = cluster.submit("--set", "train.checkpoint_iterations=1000")
    assert code == 0, output
    wait_for((cluster.bench.folder / "first-at-work").exists, 600)
    assert not (cluster.place / "checkpoint.pt").exists()
    cluster.call("sbatch", "-p", "urgent", "-N2", "--output=/dev/null", "--wrap", "sleep 1")
    cluster.wait_for_restart()
    assert (cluster.place / "checkpoint.pt").is_file()
    cluster.script("")
    cluster.wait_for_end()
    first, second = cluster.starts()
    assert second[0] == first[-1] + 1, (first, second)
    assert cluster.equals_one_process(), status_rows(Run(cluster.folder))


@pytest.mark.slow
@pytest.mark.slurm
def test_a_job_whose_node_fails_goes_on_from_its_checkpoint_on_the_other(cluster: Cluster) -> None:
    cluster.script(SLOWLY)
    code, output = cluster.submit()
    assert code == 0, output
    cluster.wait_for_work()
    node = cluster.shows("NodeList")
    cluster.call("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    try:
        cluster.wait_for_restart()
        cluster.script("")
        cluster.wait_for_end()
    finally:
        cluster.call("scontrol", "update", f"nodename={node}", "state=resume")
    first, second = cluster.starts()
    assert 1 < second[0] <= first[-1] + 1, (first, second)
    assert cluster.equals_one_process(), status_rows(Run(cluster.folder))


@pytest.mark.slow
@pytest.mark.slurm
def test_a_requeue_loop_ends_in_a_stored_failure(cluster: Cluster) -> None:
    cluster.script("""
import subprocess
subprocess.run(["scontrol", "requeue", os.environ["SLURM_JOB_ID"]])
time.sleep(600)
""")
    code, output = cluster.submit("--methods", "first")
    assert code == 0, output
    for count in (1, 2, 3):
        cluster.wait_for_restart(count)
    cluster.wait_for_end()
    failure = cluster.bench.info("cluster", "first")
    assert failure["status"] == "failed" and "started 3 times and broken off" in failure["error"]["message"]
    assert cluster.starts() == [[0], [0], [0]]


@pytest.mark.slow
@pytest.mark.slurm
def test_a_cancelled_array_is_named_job_by_job(cluster: Cluster) -> None:
    code, output = cluster.submit("--set", "slurm.directives=begin=now+1hour")
    assert code == 0, output
    arguments = ["--results", str(cluster.folder.parent), "--run", "r"]
    assert cluster.bench.call("cancel", *arguments).communicate()[0].startswith("cancelled: ")
    rows, _ = cluster.bench.call("status", *arguments).communicate()
    assert rows.count("lost") == 5 and "4 lost" in rows, rows
