"""The measurement of whole commands, measure_commands.py."""

from __future__ import annotations

import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import measure_commands as commands
import pytest
from fake_results import METHODS, make_run, write

from benchmark.results.store import Run
from benchmark.util.errors import UserError


def test_commands_are_timed_in_turn_on_a_copy_of_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    demo = Run(tmp_path / "demo")
    result = write(demo.folder, METHODS[2])
    for name in ("weights.safetensors", "samples/0000.png"):
        (result / name).parent.mkdir(exist_ok=True)
        (result / name).write_bytes(b"x")
    (demo.folder / "report").mkdir()
    (demo.folder / "report" / "report.md").write_text("drawn before")
    before = {path: path.read_bytes() for path in demo.folder.rglob("*") if path.is_file()}
    started: list[str] = []

    def times(words: list[str]) -> commands.Times:
        started.append(words[-1])
        if "--results" in words:
            copy = Path(words[-1])
            assert copy.name == "demo" and not copy.is_relative_to(tmp_path) and not (copy / "report").exists()
            held = {path.name for path in (copy / "srcnn" / "seed0").iterdir()}
            assert held == {"result.json", "plates.csv", "history.csv", "samples"}
            (copy / "report").mkdir()
            (copy / "report" / "report.md").write_text("drawn")
            shutil.rmtree(copy / "report")
            started[-1] = "report"
        return float(len(started)), 0.5 * len(started)

    monkeypatch.setattr(commands, "process_times", times)
    monkeypatch.setattr(commands, "ProcessPoolExecutor", lambda *args, **more: ThreadPoolExecutor(1))
    monkeypatch.setattr(commands, "report_steps", lambda folder: {"methods": 1, "steps": {"reading": 2.0}})
    found_help, found_report = commands.measure(demo, 3)
    assert started == ["pass", "--list"] + ["pass", "--help", "--list", "report"] * 3
    assert (found_help["seconds"], found_help["floor_seconds"]) == (8.0, 7.0)  # of the second of three rounds
    assert (found_report["cpu_seconds"], found_report["floor_cpu_seconds"]) == (5.0, 4.5)
    assert found_report["run"] == "demo" and found_report["steps"] == {"reading": 2.0}
    assert {path: path.read_bytes() for path in demo.folder.rglob("*") if path.is_file()} == before
    assert [found["command"] for found in commands.measure(None, 1)] == ["--help"]


def test_a_run_that_cannot_be_copied_is_one_clear_line(tmp_path: Path) -> None:
    os.mkfifo(write(tmp_path / "demo", METHODS[1]) / "pipe")
    with pytest.raises(
        UserError, match=r"cannot copy .*demo.* named pipe.*: name another run \(--run NAME\)"
    ) as caught:
        commands.measure(Run(tmp_path / "demo"), 1)
    assert "\n" not in str(caught.value)


def test_a_process_is_timed_by_the_clock_and_by_its_work() -> None:
    wall, cpu = commands.process_times(["-c", "import time; time.sleep(0.3)"])
    assert wall > 0.3 and cpu > 0.0
    with pytest.raises(UserError, match=r"`python -c .*` fails, so its time says nothing: no luck$"):
        commands.process_times(["-c", "raise SystemExit('first\\nno luck')"])
    with pytest.raises(UserError, match=r"exit code 3$"):
        commands.process_times(["-c", "raise SystemExit(3)"])


def test_steps_of_a_report_add_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from paper_figures import table1
    from paper_figures.report import builder

    monkeypatch.setattr(builder, "_modules", lambda: {"table1": table1})
    start = time.process_time()
    found = commands.report_steps(make_run(tmp_path / "demo", METHODS[1:4], seeds=2).folder)
    spent = time.process_time() - start
    assert (found["methods"], found["results"], found["plates"]) == (3, 5, 10)
    assert any(table1.TITLE in step for step in found["steps"]) and len(found["steps"]) > 3
    assert min(found["steps"].values()) >= 0.0 and sum(found["steps"].values()) <= spent


@pytest.mark.slow
def test_a_report_is_measured_from_start_to_end(tmp_path: Path) -> None:
    demo = make_run(tmp_path / "demo")
    found_help, found_report = commands.measure(demo, 1)
    for found in (found_help, found_report):
        assert 0.0 < found["floor_cpu_seconds"] < found["cpu_seconds"]
    assert found_report["methods"] == len(METHODS) and not (demo.folder / "report").exists()
