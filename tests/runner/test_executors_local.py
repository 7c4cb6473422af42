"""Workers of one command: they share the jobs, survive one another, and give the numbers of a single process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from kill_harness import fingerprint

from benchmark.data.synthetic.generator import synthesize

ROOT = Path(__file__).parents[2]

# What each method does before its n-th step is in a file of its name, so that a test can change its mind.
PLUGIN = """
import os, signal, time
from pathlib import Path
from torch import nn
from methods import NetworkMethod, register

class Net(NetworkMethod):
    title, citation = "Net", "none"
    steps = 0

    def build(self):
        return nn.Sequential(nn.Conv2d(3, 192, 3, padding=1), nn.Dropout(0.2), nn.PixelShuffle(8))

    def step(self, batch, session):
        script = Path(__file__).with_name(self.name)
        if script.exists():
            exec(script.read_text())
        super().step(batch, session)

@register
class First(Net):
    name = "first"

@register
class Second(Net):
    name = "second"
"""
KILL = "os.kill(os.getpid(), signal.SIGKILL)"
KILL_ONCE = f"if session.iteration == 5:\n    script.unlink()\n    {KILL}"


class Bench:
    """A folder of plates, a plug-in and results; the command line in a process of its own."""

    def __init__(self, folder: Path, data: Path) -> None:
        self.folder = folder
        self.plugin = folder / "workers_plugin.py"
        self.plugin.write_text(PLUGIN)
        self.arguments = [
            "run", "--methods", "first,second,bicubic", "--plugin", str(self.plugin), "--data", str(data), "--device",
            "cpu", "--ocr", "none", "--iterations", "12", "--batch-size", "2", "--set", "train.validations=2",
            "--set", "train.threads=1", "--set", "train.checkpoint_iterations=2", "--set", "scoring.samples=1",
            "--set", "data.train_plates=16", "--set", "data.val_plates=4", "--set", "data.test_plates=4",
        ]  # fmt: skip

    def start(self, name: str, *more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "benchmark", *self.arguments, "--results", str(self.folder / name), *more]
        return subprocess.Popen(
            [*command, "--run", "r"], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def run(self, name: str, *more: str) -> tuple[int, str]:
        process = self.start(name, *more)
        output, _ = process.communicate(timeout=300)
        return process.returncode, output

    def info(self, name: str, method: str) -> dict[str, object]:
        return json.loads((self.folder / name / "r" / method / "seed0" / "result.json").read_text())


@pytest.fixture(scope="module")
def plates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plates")
    synthesize(folder, 24, seed=5, workers=1)
    return folder


@pytest.fixture
def bench(tmp_path: Path, plates: Path) -> Bench:
    return Bench(tmp_path, plates)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, plates: Path) -> dict[str, str]:
    """What one process leaves."""
    bench = Bench(tmp_path_factory.mktemp("single"), plates)
    code, output = bench.run("single", "--workers", "1")
    assert code == 0, output
    return fingerprint(bench.folder / "single")


def wait_for(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


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
        (bench.folder / name).write_text("Path(__file__).with_name(f'{self.name}-at-work').touch(); time.sleep(0.5)")
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
        note = "Path(__file__).with_name(f'{self.name}-at-work').write_text(str(os.getpid())); time.sleep(0.5)"
        (bench.folder / name).write_text(note)
    process = bench.start("orphans", "--workers", "2")
    notes = [bench.folder / f"{name}-at-work" for name in ("first", "second")]
    wait_for(lambda: all(note.exists() and note.read_text() for note in notes))
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


def test_an_executor_that_there_is_not_is_refused_before_anything_is_made(bench: Bench) -> None:
    code, output = bench.run("refused", "--executor", "locale")
    assert code == 2 and "did you mean local" in output and len(output.splitlines()) == 1, output
    assert not (bench.folder / "refused").exists()


def test_a_dry_run_says_what_would_be_started_and_makes_nothing(bench: Bench) -> None:
    code, output = bench.run("dry", "--workers", "2", "--dry-run")
    assert code == 0 and output == "2 workers on cpu with 1 CPU threads\n"
    assert not (bench.folder / "dry").exists() and os.listdir(bench.folder) == ["workers_plugin.py"]
