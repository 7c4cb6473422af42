"""Faults (see ``fault_scenarios.py`` and ``fault_methods.py``), and the parts that deal with them."""

from __future__ import annotations

import errno
import io
import json
import os
import re
from pathlib import Path
from unittest import mock

import pytest
from fault_bench import BUDGET, STEPS, Bench, Impossible, failing_disk
from fault_methods import SCENARIOS

from benchmark.errors import CannotWrite, UserError, amount, first_line, out_of_memory, writing
from benchmark.locks import Held, agreeing, hold
from benchmark.progress import Progress

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
        with pytest.raises(Held, match=f"another process .pid {os.getpid()} on .* since ") as held, hold(lock):
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
    with agreeing(tmp_path, "this") as mine:
        assert mine.is_file()
        # Another process with the same work has a file of another name; one that has died leaves it behind.
        dead = mine.with_name(mine.name.replace(str(os.getpid()), "0"))
        dead.touch()
        with pytest.raises(Held), agreeing(tmp_path, "that"):
            pass
    with agreeing(tmp_path, "that"):
        assert not dead.exists() and not mine.exists()


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
    assert first_line(ValueError("皖A \x1b[2J\udcff")) == r"皖A \x1b[2J\udcff"
    assert len(first_line(ValueError("x" * 10_000))) == 500


def test_a_log_that_cannot_be_written_stops_no_training() -> None:
    stream = io.StringIO()
    with mock.patch.object(stream, "write", side_effect=OSError(errno.ENOSPC, "No space left on device")):
        Progress("first", stream).note("text")
    Progress("first", stream).note("\x1b[2J")
    assert "\x1b" not in stream.getvalue()
