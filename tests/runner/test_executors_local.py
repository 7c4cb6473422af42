"""Workers of one command: they share the jobs, survive one another, and give the numbers of a single process."""

from __future__ import annotations

import errno
import os
import pickle
import signal
from pathlib import Path
from unittest import mock

import pytest
from conftest import Call
from executor_bench import KILL, KILL_ONCE, SLOWLY, Bench, wait_for
from kill_harness import fingerprint

import methods
from benchmark.config import load
from benchmark.data.pictures import cores
from benchmark.data.synthetic import generator
from benchmark.data.synthetic.generator import synthesize
from benchmark.runner.activity import JobStatus
from benchmark.runner.executors import forecast, local
from benchmark.runner.executors.order import WorkOrder
from benchmark.util.errors import CannotWrite, exit_code


@pytest.fixture(scope="module")
def plates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plates")
    synthesize(folder, 24, seed=5, workers=1)
    return folder


@pytest.fixture
def bench(tmp_path: Path, plates: Path) -> Bench:
    if cores() < 2:
        pytest.skip("two workers need two cores")
    return Bench(tmp_path, plates)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, plates: Path) -> dict[str, str]:
    """What one process leaves."""
    bench = Bench(tmp_path_factory.mktemp("single"), plates)
    code, output = bench.run("single", "--workers", "1")
    assert code == 0, output
    return fingerprint(bench.folder / "single")


def test_two_workers_leave_what_one_process_leaves_though_one_is_killed(bench: Bench, expected: dict[str, str]) -> None:
    (bench.folder / "second").write_text(KILL_ONCE)
    code, output = bench.run("two", "--workers", "2")
    assert code == 0, output
    assert "was killed by signal 9 at second seed 0" in output
    assert fingerprint(bench.folder / "two") == expected


@pytest.mark.slow
def test_a_job_that_kills_its_worker_again_and_again_is_one_stored_failure(bench: Bench) -> None:
    (bench.folder / "first").write_text(KILL)
    code, output = bench.run("loop", "--workers", "2")
    assert code == 1 and "failed: first" in output, output
    assert "started 3 times and broken off" in str(bench.info("loop", "first")["error"])
    assert bench.info("loop", "second")["status"] == "complete"
    (bench.folder / "first").unlink()
    code, output = bench.run("loop", "--workers", "2")
    assert code == 0 and bench.info("loop", "first")["status"] == "complete", output


def test_ctrl_c_stops_all_workers_with_checkpoints_and_the_command_goes_on(
    bench: Bench, expected: dict[str, str]
) -> None:
    for name in ("first", "second"):  # before any checkpoint is due
        (bench.folder / name).write_text(SLOWLY)
    places = [bench.folder / "stop" / "r" / name / "seed0" for name in ("first", "second")]
    process = bench.start("stop", "--workers", "2", "--set", "train.checkpoint_iterations=1000")
    wait_for(lambda: all((bench.folder / f"{name}-at-work").exists() for name in ("first", "second")))
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert all((place / "checkpoint.pt").is_file() for place in places), output
    for name in ("first", "second"):
        (bench.folder / name).unlink()
    code, output = bench.run("stop", "--workers", "2")
    assert code == 0 and fingerprint(bench.folder / "stop") == expected, output


@pytest.mark.slow
def test_workers_stop_when_their_command_is_killed(bench: Bench) -> None:
    for name in ("first", "second"):
        (bench.folder / name).write_text(SLOWLY)
    process = bench.start("orphans", "--workers", "2")
    notes = [bench.folder / f"{name}-at-work" for name in ("first", "second")]
    wait_for(lambda: all(note.exists() for note in notes))
    process.kill()
    process.wait()
    workers = [int(note.read_text()) for note in notes]
    assert len(set(workers)) == 2

    def ended(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            return True

    wait_for(lambda: all(ended(pid) for pid in workers), 60)
    assert process.stdout is not None and "Traceback" not in process.stdout.read()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--executor", "slurn"], "did you mean slurm"),
        (["--executor", "slurm", "--workers", "2"], "--workers is for --executor local"),
        (["--wait"], "--wait is for --executor slurm"),
    ],
)
def test_what_no_executor_can_do_is_refused_before_anything_is_made(
    call: Call, tmp_path: Path, plates: Path, arguments: list[str], message: str
) -> None:
    results = tmp_path / "refused"
    code, out, err = call("run", "--methods", "bicubic", "--data", plates, "--results", results, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1) and message in err
    assert not results.exists()


def test_a_dry_run_says_what_would_be_started_and_makes_nothing(call: Call, tmp_path: Path, plates: Path) -> None:
    words = ["run", "--methods", "bicubic", "--data", plates, "--results", tmp_path / "dry", "--workers", "2",
             "--set", "train.threads=1", "--dry-run"]  # fmt: skip
    assert call(*words, "--device", "cpu") == (
        0,
        "2 workers on cpu with 1 thread each:\n  hr seed 0\n  bicubic seed 0\n",
        "",
    )
    code, out, _ = call(*words, "--device", "auto")
    assert code == 0 and "auto" not in out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("way", ["option", "environment"])
def test_there_are_no_more_workers_than_jobs_and_on_a_cpu_than_cores(
    way: str, call: Call, tmp_path: Path, plates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["run", "--data", plates, "--results", tmp_path / "many", "--dry-run", "--device", "cpu"]
    monkeypatch.setattr(local, "cores", lambda: 4)
    if way == "environment":
        monkeypatch.setenv("PLATE_SR_WORKERS", "500")
    else:
        words += ["--workers", "500"]
    code, out, _ = call(*words, "--methods", "srcnn,espcn,msrn,swinir")
    assert code == 0 and out.startswith("500 workers on 4 CPU cores would slow each other down: 4 it is\n4 workers")
    code, out, _ = call(*words, "--methods", "bicubic")
    assert code == 0 and "\n2 workers on cpu with 2 threads each:\n" in out


@pytest.mark.parametrize("value", ["abc", "0", "-1"])
def test_a_number_of_workers_that_is_none_is_refused_before_anything_is_made(
    value: str, call: Call, tmp_path: Path, plates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLATE_SR_WORKERS", value)
    code, _, err = call("run", "--methods", "bicubic", "--data", plates, "--results", tmp_path / "none")
    assert code == 2 and f"PLATE_SR_WORKERS is {value!r}" in err and not (tmp_path / "none").exists()


@pytest.mark.parametrize(("threads", "workers"), [("abc", 2), ("", 2), ("2", 1), (" 2,1", 1), ("-1", 2)])
def test_the_usual_number_of_threads_counts_where_it_is_one(
    threads: str, workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    monkeypatch.setattr(local, "cores", lambda: 2)
    monkeypatch.setattr(local, "_free_memory", lambda: 1 << 60)
    config = load("quick", ["train.device=cpu"])
    order = WorkOrder.make(config, [methods.get("srcnn"), methods.get("espcn")], [], tmp_path, named=True)
    assert local.default_workers(order) == workers


def test_a_full_disk_gives_the_same_exit_code_whoever_meets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(generator, "write_text", mock.Mock(side_effect=full))
    with pytest.raises(CannotWrite, match="make room, and the same command goes on") as here:
        synthesize(tmp_path / "new", 1, seed=0)
    from_worker = pickle.loads(pickle.dumps(here.value))  # its cause stays behind
    assert exit_code(from_worker) == exit_code(here.value) == 1


@pytest.mark.parametrize(("usual", "wanted"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_a_worker_has_its_share_of_threads_which_wait_asleep_unless_the_user_says_otherwise(
    usual: str | None, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    if usual:
        monkeypatch.setenv("OMP_WAIT_POLICY", usual)
    with local._environment(2):
        assert (os.environ["OMP_NUM_THREADS"], os.environ["OMP_WAIT_POLICY"]) == ("2", wanted)
    assert (os.environ["OMP_NUM_THREADS"], os.environ.get("OMP_WAIT_POLICY")) == ("7", usual)


def test_one_line_shows_all_workers_and_when_everything_will_be_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load("quick", ["train.seeds=2"])
    order = WorkOrder.make(config, [methods.get("srcnn"), methods.get("espcn")], [], tmp_path, named=True)
    now, at_work = [0.0], {}
    monkeypatch.setattr(forecast.time, "monotonic", lambda: now[0])
    progress = forecast.Forecast(order, workers=2, at_work=lambda: at_work)
    assert progress.text() == "0 of 5 jobs  ETA unknown  "
    progress.end(("hr", 0), True)
    for iteration in (100, 200):  # a tenth in ten seconds: eighty seconds left
        at_work = {
            ("srcnn", 0): JobStatus("a", "s", iteration, 1000),
            ("espcn", 0): JobStatus("b", "s", iteration, 1000),
        }
        line = progress.text()
        now[0] += 10.0
    # Two trainings of 80 s, and two more that have not begun, on two workers.
    assert line == "1 of 5 jobs  ETA about 0:02:40  srcnn 20%  espcn 20%"
