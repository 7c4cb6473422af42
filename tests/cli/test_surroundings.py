"""Terminals, pipes, file systems, folders and accounts that are not as usual: the command goes on, or says why not."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pytest
from fault_bench import OPTIONS, ROOT, Bench

from benchmark.__main__ import start
from benchmark.cli.data import data_embedder
from benchmark.cli.doctor import _pretrained
from benchmark.cli.options import path_option
from benchmark.config import load
from benchmark.results.trained import targets
from benchmark.runner import job
from benchmark.runner.context import prepare_plates
from benchmark.util import files, locks, names
from benchmark.util.errors import UserError
from benchmark.util.terminal import say
from methods.blocks.pretrained import MissingWeights, imagenet_weights

CHINESE = "车牌 Δ−😀"


def command(
    *words: str, folder: Path, environment: dict[str, str] | None = None, **how: object
) -> subprocess.CompletedProcess[bytes]:
    """``python -m benchmark`` in a process of its own, started in ``folder``."""
    how = {"stdout": subprocess.PIPE, **how}
    return subprocess.run(
        [sys.executable, "-m", "benchmark", *words], cwd=folder, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", **(environment or {})}, **how,  # type: ignore[call-overload]
    )  # fmt: skip


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A run of plates in a folder with a Chinese name, made with a standard output that is full and has no Chinese."""
    bench = Bench(tmp_path_factory.mktemp("bench"))
    bench.data = bench.data.rename(bench.folder / CHINESE)
    with open("/dev/full", "wb") as full:
        ran = command(
            *bench.arguments("first"), folder=bench.folder, environment={"PYTHONIOENCODING": "latin-1"}, stdout=full
        )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.decode().strip() == "error: cannot write the standard output: No space left on device"
    return bench


def test_a_training_goes_on_where_nothing_can_be_printed(done: Bench, tmp_path: Path) -> None:
    assert done.info()["status"] == "complete" and done.info()["data"]["name"] == CHINESE
    bench = Bench(tmp_path)
    closed = command(*bench.arguments("first"), folder=tmp_path, stdout=None, preexec_fn=lambda: os.close(1))
    assert (closed.returncode, closed.stderr) == (0, b"") and bench.info()["status"] == "complete"


def test_a_reader_that_has_gone_is_no_failure_and_a_full_disk_is_one(done: Bench) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    words = ("status", "--results", str(done.results))
    assert command(*words, folder=done.folder, stdout=writing).returncode == 0
    with open("/dev/full", "wb") as full:
        ran = command(*words, folder=done.folder, stdout=full)
    assert ran.returncode == 1 and b"cannot write the standard output" in ran.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "gbk"])
def test_a_terminal_that_is_not_utf_8_shows_characters_it_has_not_escaped(
    done: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmark", "status", "--results", str(done.results)])
    monkeypatch.setattr(sys, "stderr", sys.stderr)  # start() puts others in the place of both
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    done.run_folder.rename(done.results / CHINESE)
    try:
        with open(tmp_path / "terminal", "w", encoding=encoding) as terminal, pytest.raises(SystemExit) as ended:
            monkeypatch.setattr(sys, "stdout", terminal)
            start()
    finally:
        (done.results / CHINESE).rename(done.run_folder)
    shown = (tmp_path / "terminal").read_text(encoding=encoding).splitlines()[0]
    assert not ended.value.code and json.loads(f'"{shown}"') == str(done.results / CHINESE) and r"\ud83d\ude00" in shown


def test_a_foreign_package_in_the_working_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "methods").mkdir()
    (tmp_path / "methods" / "__init__.py").write_text("raise RuntimeError('never imported')")
    ran = command("methods", folder=tmp_path)
    lines = ran.stderr.decode().splitlines()
    assert ran.returncode == 2 and len(lines) == 1 and str(tmp_path / "methods") in lines[0] and "plate-sr" in lines[0]


def test_the_console_script_is_the_command_line() -> None:
    assert 'plate-sr = "benchmark.__main__:start"' in (ROOT / "pyproject.toml").read_text() and callable(start)


def test_where_opencv_does_not_load_doctor_says_what_it_lacks(tmp_path: Path) -> None:
    code = "import sys; sys.modules['cv2'] = None; from benchmark.cli.doctor import examine; print(dict(examine()))"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True
    )
    assert ran.returncode == 0 and ran.stdout.count(b"libgl1") == 2, ran.stderr


def test_a_run_without_ocr_needs_no_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    plates = [SimpleNamespace(vertices=np.zeros((4, 2)))]
    context: Any = SimpleNamespace(abstention_plates=plates, ocr_engine=None, second_engine=None)
    assert job._abstention(context, [np.zeros((64, 64, 3), np.uint8)]) == {}


def test_where_the_home_directory_cannot_be_written_readers_say_nothing(tmp_path: Path) -> None:
    code = "from benchmark.ocr.engines import make_engine; assert make_engine('rapid') and make_engine('hyperlpr')"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": "/proc/nowhere"}
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True)
    assert (ran.returncode, ran.stderr, ran.stdout) == (0, b"", b"")


def test_a_file_system_that_cannot_sync_folders_is_written_to(tmp_path: Path) -> None:
    for number in (errno.EINVAL, errno.EBADF, errno.EACCES, 524):
        with mock.patch("os.fsync", side_effect=OSError(number, os.strerror(number))):
            files.write_text(tmp_path / "file", str(number))
        assert (tmp_path / "file").read_text() == str(number)
    with mock.patch("os.fsync", side_effect=OSError(errno.EIO, "broken")), pytest.raises(OSError, match="Input/output"):
        files.write_text(tmp_path / "file", "lost")
    assert (tmp_path / "file").read_text() == "524"


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EBADF, errno.EINVAL, errno.EACCES, 524])
@pytest.mark.parametrize("wait", [None, str])
def test_locks_refused_in_any_way_give_the_same_line(
    tmp_path: Path, number: int, wait: Callable[[str], object] | None
) -> None:
    refusals = [OSError(number, os.strerror(number))]
    if wait is not None:  # only once it waits for another process
        refusals.insert(0, BlockingIOError(errno.EAGAIN, "taken"))
    refused = pytest.raises(UserError, match=r"has no locks .*--results")
    with mock.patch("fcntl.flock", side_effect=refusals), refused, locks.hold(tmp_path / "lock", wait):
        pass


def test_linked_packs_are_refused_with_the_folder_to_name(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    (tmp_path / "packs").symlink_to("scratch")
    with pytest.raises(UserError, match=rf"packs is a symbolic link.*--set data\.cache={tmp_path / 'scratch'}$"):
        prepare_plates(load("quick"), tmp_path, say=str)
    assert not list((tmp_path / "scratch").iterdir())


def test_names_that_are_too_long_are_cut_and_stay_apart(tmp_path: Path) -> None:
    assert names.fit_name("short", tmp_path, ".lock") == "short.lock"
    long = ["车" * 80 + str(i) for i in range(2)] + ["x" * 255]
    for longest in (255, 143):
        with mock.patch("os.pathconf", return_value=longest):
            cut = [names.fit_name(name, tmp_path / "not there yet", ".lock") for name in long]
        assert len(set(cut)) == 3 and all(len(os.fsencode(name)) <= longest for name in cut)
        assert all(name.endswith(".lock") for name in cut)
    with locks.hold(tmp_path / ("x" * 255)):
        assert locks.held_by(tmp_path / ("x" * 255))
    files.write_text(tmp_path / ("y" * 255), "text")
    assert (tmp_path / ("y" * 255)).read_text() == "text"


def test_upscaled_pictures_of_long_names_have_names_that_fit(tmp_path: Path) -> None:
    pictures = [tmp_path / f"{'x' * 250}{number}.jpg" for number in range(2)]
    places = targets(pictures, tmp_path / "out")
    assert len({place.name for place in places.values()}) == 2
    assert all(len(place.name) <= 255 and place.suffix == ".png" for place in places.values())


@pytest.mark.parametrize("name", [b"x" * 245, "车".encode() * 80, b"\xb3\xb5\xc5\xc6", b"two\nlines"])
def test_folders_with_odd_names_are_read_and_written(tmp_path: Path, name: bytes) -> None:
    bench = Bench(tmp_path)
    bench.data = bench.data.rename(bench.folder / os.fsdecode(name))
    bench.results = bench.folder / os.fsdecode(b"results \xb3\xb5")  # no UTF-8
    words = ["run", "--methods", "bicubic", "--data", str(bench.data), "--results", str(bench.results), "--ocr", "none",
             *(word for field, value in OPTIONS.items() for word in ("--set", f"{field}={value}"))]  # fmt: skip
    ran = bench.call(*words)
    assert ran.code == 0, ran.text
    (run,) = (path.name for path in bench.results.iterdir() if path.name.startswith("quick-"))
    assert run.isprintable() and run.encode() and len(run.encode()) <= 255
    assert name != b"\xb3\xb5\xc5\xc6" or run == "quick-%B3%B5%C5%C6"
    verified = bench.call("verify", str(bench.results))
    assert verified.code == 0 and verified.text.endswith("2 results, all fit\n"), verified.text


def test_without_a_home_directory_no_folder_is_called_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    with mock.patch("pwd.getpwuid", side_effect=KeyError):
        with pytest.raises(UserError, match=r"no home directory .* set TORCH_HOME"):
            data_embedder()
        with pytest.raises(MissingWeights, match="set TORCH_HOME"):
            imagenet_weights(mock.Mock(), "")
        assert dict(_pretrained())["ResNet-18 (plates)"].startswith("no home directory")
        for path in ("~", "~/results"):
            with pytest.raises(UserError, match="no home directory"):
                path_option(path)
    assert path_option("a/~b") == Path("a/~b") and not list(tmp_path.iterdir())


def test_progress_without_a_standard_output_says_nothing() -> None:
    from benchmark.training.progress import Progress

    with mock.patch.object(sys, "stdout", None):
        Progress("espcn").note("on it")
        say("text")
