"""Faults (see ``fault_scenarios.py`` and ``fault_methods.py``), and the parts that deal with them."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import shutil
import signal
from pathlib import Path
from unittest import mock

import pytest
from fault_bench import BUDGET, STEPS, Bench, Impossible, failing_disk
from fault_methods import SCENARIOS

from benchmark.results.store import Run, replaced, set_aside
from benchmark.runner.activity import jobs_at_work
from benchmark.runner.status import status_rows
from benchmark.training.progress import Progress
from benchmark.util.errors import CannotWrite, UserError, amount, exit_code, first_line, out_of_memory, writing
from benchmark.util.locks import LockHeld, OtherConfiguration, held_by, hold, join_run, members

LONG = {"disk full: writing the report", "pack cut short by somebody: in mid-run", "results read-only: no permission",
        *(f"disk full: storing {file}" for file in ("history.csv", "finished.pt", "samples"))}  # fmt: skip


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n in LONG else ()) for n in SCENARIOS])
def test_nothing_is_lost(name: str, tmp_path: Path) -> None:
    try:
        seen = SCENARIOS[name](Bench(tmp_path))
    except Impossible as reason:
        pytest.skip(str(reason))
    assert seen.lost.startswith("nothing") or int(seen.lost.split()[0]) <= BUDGET // 2


# -- several processes, one run ----------------------------------------------------------------------------------------


def test_a_lock_says_who_has_it_and_is_let_go_of(tmp_path: Path) -> None:
    lock, waited = tmp_path / "locks" / "job", []
    with hold(lock):
        with pytest.raises(LockHeld, match=f"another process .pid {os.getpid()} on .* since ") as held, hold(lock):
            pass
        assert held.value.holder.startswith(f"pid {os.getpid()} on ")
        with hold(tmp_path / "locks" / "other"):
            pass
    with hold(lock, wait=waited.append):
        assert not waited and lock.is_file()


def test_a_lock_is_not_taken_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("text")
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "job").symlink_to(tmp_path / "precious")
    with pytest.raises(UserError, match="symbolic link"), hold(tmp_path / "locks" / "job"):
        pass
    (tmp_path / "elsewhere").symlink_to(tmp_path / "locks")
    with pytest.raises(UserError, match="symbolic link"), hold(tmp_path / "elsewhere" / "new"):
        pass
    assert (tmp_path / "precious").read_text() == "text"


def test_a_file_system_without_locks_is_said(tmp_path: Path) -> None:
    none = mock.patch("fcntl.flock", side_effect=OSError(errno.ENOLCK, "No locks available"))
    with none, pytest.raises(UserError, match="has no locks"), hold(tmp_path / "job"):
        pass


def test_processes_agree_on_their_work(tmp_path: Path) -> None:
    this, that = {"a": 1}, {"a": 2}
    with join_run(tmp_path, this) as (mine, tell):
        assert mine.is_file()
        # Another process with the same work has a file of another name; one that has died leaves it behind.
        dead = mine.with_name(mine.name.replace(str(os.getpid()), "0"))
        dead.write_text(mine.read_text())
        with join_run(tmp_path, this):
            assert len(members(tmp_path)) == 2 and not dead.exists()
        tell({"queue": [1, 2]})
        dead.write_text(mine.read_text())
        (member,) = members(tmp_path)
        assert (member.settings, member.state) == (this, {"queue": [1, 2]}) and str(os.getpid()) in member.holder
        with (
            pytest.raises(OtherConfiguration, match=f"pid {os.getpid()} .* other settings") as other,
            join_run(tmp_path, that),
        ):
            pass
        assert other.value.member == member
    with join_run(tmp_path, that):
        assert not dead.exists() and not mine.exists()
    assert members(tmp_path) == [] == members(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "said", ["", "x", "x\n{", "x\n[]", 'x\n{"settings": 1, "state": [2]}', "x\n" + "[" * 100_000, "\n\0"]
)
def test_what_a_process_says_is_not_believed(tmp_path: Path, said: str) -> None:
    with hold(tmp_path / ".locks" / "processes" / "a-b-1") as say:
        say("")
        (tmp_path / ".locks" / "processes" / "a-b-1").write_text(said)
        (member,) = members(tmp_path / ".locks" / "processes")
        assert (member.settings, member.state) == ({}, {}) and member.holder == (
            said[:1].strip("\n") or "another process"
        )
        assert jobs_at_work(Run(tmp_path)) == {}


def test_asking_who_holds_a_lock_takes_it_from_nobody(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    assert held_by(lock) is None and not lock.exists()
    with hold(lock) as say:
        say("more\nlines\n")
        assert (held_by(lock) or "").splitlines()[1:] == ["more", "lines"]
        say("less")
        assert (held_by(lock) or "").splitlines()[1:] == ["less"]
    assert held_by(lock) is None and lock.read_text().startswith(f"pid {os.getpid()} on ")
    (tmp_path / "link").symlink_to(lock)
    os.mkfifo(tmp_path / "pipe")
    with hold(lock):
        assert held_by(tmp_path / "link") is None is held_by(tmp_path / "pipe")


def test_methods_run_apart_collect_into_one_run(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert bench.run("second").code == 0 and set(STEPS) == {"second"}
    before = (bench.place("second") / "result.json").read_bytes()
    stamps = [(bench.place(name) / "result.json").stat().st_mtime_ns for name in ("hr", "second")]
    assert bench.run("first").code == 0 and set(STEPS) == {"first"}
    both = bench.run("first,second")
    assert both.code == 0 and not STEPS and both.text.count("is there already") == 2
    assert (bench.place("second") / "result.json").read_bytes() == before
    assert [(bench.place(name) / "result.json").stat().st_mtime_ns for name in ("hr", "second")] == stamps
    status = json.loads(bench.call("status", "--results", str(bench.results), "--json").text)
    assert {row["method"]: row["status"] for row in status} == dict.fromkeys(("hr", "first", "second"), "complete")


def test_what_failed_in_another_process_is_not_tried_at_once_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    def fail_elsewhere() -> None:
        # What another process would do, while this one trains ``first``: fail at ``second``.
        content = {**bench.info("second"), "error": {"type": "RuntimeError", "message": "no luck there"}}
        (bench.place("second") / "result.json").write_text(json.dumps(content))

    with failing_disk(r"/second/.*weights"):
        assert bench.run("second").code == 1
    ran = bench.run("first,second", at={2: fail_elsewhere})
    assert ran.code == 1 and set(STEPS) == {"first"}
    assert ran.line("^second") == "FAILED in another process: no luck there"
    assert bench.goes_on("first,second") == "nothing"  # the next run tries again


def test_what_is_being_computed_is_told(tmp_path: Path) -> None:
    bench, rows = Bench(tmp_path), {}

    def ask() -> None:
        rows.update({row["method"]: row for row in status_rows(Run(bench.run_folder))})

    assert bench.run("first,second", at={6: ask}).code == 0
    assert {name: row["status"] for name, row in rows.items()} == {
        "hr": "complete",
        "first": "running",
        "second": "pending",
    }
    first = rows["first"]
    assert (first["pid"], first["iterations"]) == (os.getpid(), BUDGET) and 0 <= first["iteration"] <= 6
    assert re.fullmatch(rf"process {os.getpid()} on \S+ since [\d: -]+, iteration \d of 12", first["detail"])
    assert rows["second"]["detail"].startswith(f"in the queue of process {os.getpid()} on ")
    assert {row["status"] for row in status_rows(Run(bench.run_folder))} == {"complete"}


# -- what is there is not lost -----------------------------------------------------------------------------------------


def test_a_result_that_cannot_be_read_is_not_overwritten(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert bench.run("first").code == 0
    for content in ('{"schema": 99}', "{"):
        (bench.place() / "result.json").write_text(content)
        ran = bench.run("first,second")
        assert ran.code == 1 and "first" not in STEPS and bench.info("second")["status"] == "complete"
        assert "there is a result that cannot be used" in ran.line("^first") and str(bench.place()) in ran.text
        assert (bench.place() / "result.json").read_text() == content
        assert (bench.place() / "weights.safetensors").is_file()


def test_damaged_plates_are_scored_anew_and_damaged_weights_are_said(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert bench.run("first").code == 0
    digest = bench.digest()
    (bench.place() / "plates.csv").write_text("index,name\n")
    assert "scoring the weights that are there" in bench.run("first").text
    assert not STEPS and bench.digest() == digest
    weights = bench.place() / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    (bench.place() / "plates.csv").unlink()
    before = bench.info()
    ran = bench.run("first")
    assert ran.code == 1 and "weights.safetensors is not as it was stored" in ran.line("^first .*FAILED")
    assert bench.info() == before and not STEPS


def test_a_result_that_is_computed_anew_is_kept_until_the_new_one_is_complete(tmp_path: Path) -> None:
    bench, other = Bench(tmp_path), {"train.learning_rate": 0.0005}
    assert bench.run("first").code == 0
    digest, aside = bench.digest(), bench.place().with_name("replaced-seed0")
    with failing_disk(r"/first/.*weights"):
        ran = bench.run("first", **other)
    assert ran.code == 1 and f"the old result is kept in {aside} until the new one is complete" in ran.text
    (row,) = (row for row in status_rows(Run(bench.run_folder)) if row["method"] == "first")
    assert row["status"] == "failed" and row["detail"].endswith("; the result before it is in replaced-seed0")
    # Back with the old configuration: nothing is computed.
    back = bench.run("first")
    assert back.code == 0 and not STEPS and bench.digest() == digest and not aside.exists()
    assert "goes back to the result in" in back.text and "is there already" in back.text
    # Stopped on the way, then completed: the old one goes.
    assert bench.run("first", at={6: lambda: os.kill(os.getpid(), signal.SIGTERM)}, **other).code == 143
    assert aside.is_dir() and Run(bench.run_folder).results()[-1].method == "hr"
    assert bench.run("first", **other).code == 0 and len(STEPS) == BUDGET - 6
    assert not aside.exists() and bench.digest() != digest


def test_what_a_kill_leaves_beside_a_complete_result_is_removed(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert bench.run("first").code == 0
    (bench.place() / "finished.pt").touch()
    shutil.copytree(bench.place(), bench.place().with_name("replaced-seed0"))
    before = {path.name for path in bench.place().iterdir()} - {"finished.pt"}
    assert bench.run("first").code == 0 and not STEPS
    assert {path.name for path in bench.place().iterdir()} == before
    assert [path.name for path in bench.place().parent.iterdir()] == ["seed0"]


def test_what_was_set_aside_does_not_replace_what_cannot_be_read(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert bench.run("first").code == 0
    set_aside(bench.place())
    bench.place().mkdir()
    (bench.place() / "result.json").write_text("{")
    ran = bench.run("first")
    assert ran.code == 1 and "there is a result that cannot be used" in ran.text
    assert (bench.place() / "result.json").read_text() == "{" and replaced(bench.place()) is not None


def test_clocks_add_up_over_a_resume(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with failing_disk("finished"):
        assert bench.run("first").code == 1
    assert bench.run("first").code == 0
    clocks = bench.info()["clocks"]
    parts = {name: seconds for name, seconds in clocks.items() if name != "total"}
    assert set(parts) == {"training", "validation", "checkpoint", "scoring"} and all(parts.values())
    assert sum(parts.values()) <= clocks["total"]
    (bench.place() / "plates.csv").unlink()
    assert bench.run("first").code == 0  # scored again: training keeps its time
    after = bench.info()["clocks"]
    assert {k: after[k] for k in ("training", "validation", "checkpoint")} == {
        k: clocks[k] for k in ("training", "validation", "checkpoint")
    }
    assert sum(after[name] for name in parts) <= after["total"]


# -- what is said ------------------------------------------------------------------------------------------------------


def test_writing_says_what_where_and_how_much(tmp_path: Path) -> None:
    path, partial = tmp_path / "file", tmp_path / "file.partial"
    partial.write_text("half")
    with pytest.raises(CannotWrite) as full, writing(path, need=1_500_000_000):
        raise OSError(errno.ENOSPC, "No space left on device")
    said = str(full.value)
    assert re.search(r"cannot write .*/file: No space left on device \(about 1.5 GB needed, [\d.]+ \wB free\)", said)
    assert "make room" in said and "--results" in said and len(said.splitlines()) == 1
    assert not partial.exists()
    with pytest.raises(CannotWrite, match="Read-only file system: make it writable"), writing(path):
        raise OSError(errno.EROFS, "Read-only file system")
    words = "Error while serializing: I/O error: No space left on device (os error 28)"  # safetensors
    with pytest.raises(CannotWrite, match="No space left"), writing(path):
        raise RuntimeError(words)
    with pytest.raises(CannotWrite, match="Input/output error"), writing(path):  # torch.save, with room on the disk
        raise RuntimeError("[enforce fail at inline_container.cc:671] . unexpected pos 576 vs 534")
    with pytest.raises(ValueError, match="other"), writing(path):
        raise ValueError("other")
    assert [amount(n) for n in (12, 1_234, 1_500_000, 2e12)] == ["12 bytes", "1 kB", "1.5 MB", "2000 GB"]


def caused(error: Exception, cause: Exception | None) -> Exception:
    try:
        raise error from cause
    except Exception as raised:
        return raised


def test_a_full_disk_is_no_bad_input(tmp_path: Path) -> None:
    full, away = OSError(errno.ENOSPC, "No space left on device"), OSError(errno.ENOENT, "No such file or directory")
    assert exit_code(CannotWrite(tmp_path, errno.EACCES)) == 1
    assert [exit_code(caused(UserError("text"), cause)) for cause in (full, away, None)] == [1, 2, 2]
    bench = Bench(tmp_path)
    for place, arguments in (
        ("benchmark.results.store.Path.touch", bench.arguments("first")),
        ("benchmark.data.synthetic.generator._draw", ["data", "synthesize", str(tmp_path / "s"), "--plates", "1"]),
        ("benchmark.cli.doctor.examine", ["doctor"]),
    ):
        with mock.patch(place, side_effect=full):
            ran = bench.call(*arguments)
        line = ran.line("^error: ")
        assert ran.code == 1 and "No space left on device" in line, ran.text
        assert "--results" not in line or "--results" in arguments, ran.text


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (RuntimeError("the size of tensor a must match"), False),
        (ValueError("CUDA out of memory"), False),
    ],
)
def test_out_of_memory_is_recognised(error: Exception, expected: bool) -> None:
    assert out_of_memory(error) is expected


def test_the_first_line_of_an_error_can_be_printed_anywhere() -> None:
    assert first_line(ValueError("one\ntwo")) == "one" and first_line(ValueError()) == "ValueError"
    assert first_line(ValueError("皖A \x1b[2J\udcff")) == r"皖A \u001b[2J\udcff"
    assert len(first_line(ValueError("x" * 10_000))) == 500


def test_a_log_that_cannot_be_written_stops_no_training() -> None:
    stream = io.StringIO()
    with mock.patch.object(stream, "write", side_effect=OSError(errno.ENOSPC, "No space left on device")):
        Progress("first", stream).note("text")
    Progress("first", stream).note("\x1b[2J")
    assert "\x1b" not in stream.getvalue()
