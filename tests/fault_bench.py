"""What faults are tried on: plates, a results folder, the command line in this process, and a method that is told
what to do at which step. The faults themselves are in ``fault_scenarios.py``."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
from PIL import Image

import methods
from benchmark.cli import main
from benchmark.data.ccpd import PlateName, format_name

ROOT = Path(__file__).resolve().parents[1]
BUDGET = 12
OPTIONS = {"data.train_plates": 16, "data.val_plates": 4, "data.test_plates": 4, "scoring.samples": 1,
           "train.checkpoint_iterations": 4, "train.validations": 3, "train.threads": 1}  # fmt: skip

STEPS: list[str] = []
"""Names of the methods that made a step, in order."""
AT: dict[int, Callable[[], object]] = {}
"""What the method ``first`` does before which of its steps."""

PLUGIN = """
import fault_bench
from torch import nn
from methods import Method, NetworkMethod, register

class Net(NetworkMethod):
    title, citation = "Net", "none"

    def build(self):
        return nn.Sequential(nn.Conv2d(3, 192, 1), nn.PixelShuffle(8))

    def step(self, batch, session):
        fault_bench.STEPS.append(self.name)
        if self.name == "first":
            fault_bench.AT.get(fault_bench.STEPS.count("first"), lambda: None)()
        super().step(batch, session)

@register
class First(Net):
    name = "first"

@register
class Second(Net):
    name = "second"
"""


class Impossible(Exception):
    """The fault cannot be brought about on this machine; the message says why."""


@dataclass
class Ran:
    """A command that has ended: its exit code, and all it printed."""

    code: int
    text: str

    def line(self, pattern: str) -> str:
        """The only line that matches, without the method's name before it."""
        found = [line for line in self.text.splitlines() if re.search(pattern, line)]
        assert len(found) == 1, f"{len(found)} lines match {pattern!r} in:\n{self.text}"
        assert "Traceback" not in self.text, self.text
        return re.sub(r"^\S+(?: seed \d+)? {2,}", "", found[0])


@dataclass
class Seen:
    """What came of a fault: the exit code, the line the user got, and what was lost."""

    code: int
    line: str
    lost: str = "nothing"


class Bench:
    """A folder of plates, one of results, and the command line in this process."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data, self.results = folder, folder / "data", folder / "results"
        self.plugin = folder / "faulty_plugin.py"
        self.plugin.write_text(PLUGIN)
        make_plates(self.data)

    @property
    def run_folder(self) -> Path:
        return self.results / "r"

    def add(self, source: str) -> None:
        """Add source to the plug-in, such as another method."""
        self.plugin.write_text(self.plugin.read_text() + source)

    def arguments(self, names: str, **changes: Any) -> list[str]:
        options = {**OPTIONS, **{key.replace("__", "."): value for key, value in changes.items()}}
        assignments = [word for key, value in options.items() for word in ("--set", f"{key}={value}")]
        return ["run", "--methods", names, "--plugin", str(self.plugin), "--data", str(self.data), "--results",
                str(self.results), "--run", "r", "--ocr", "none", "--iterations", str(BUDGET), "--batch-size", "2",
                "--device", "cpu", *assignments]  # fmt: skip

    def run(self, names: str = "first", at: dict[int, Callable[[], object]] | None = None, **changes: Any) -> Ran:
        """The command ``run``; the method ``first`` does ``at[n]`` before the n-th step it makes here."""
        STEPS.clear()
        with mock.patch.dict(AT, at or {}, clear=True):
            return self.call(*self.arguments(names, **changes))

    def call(self, *arguments: str) -> Ran:
        """A command in this process."""
        output, code = io.StringIO(), 0
        methods.names()
        registered = (dict(methods._registry), dict(methods._unavailable))
        with contextlib.ExitStack() as around:
            around.enter_context(contextlib.redirect_stdout(output))
            around.enter_context(contextlib.redirect_stderr(output))
            around.enter_context(mock.patch.object(sys, "argv", ["benchmark", *arguments]))
            around.enter_context(mock.patch("gc.collect"))  # most of the time, beside all that pytest holds
            try:
                main.main()
            except SystemExit as stop:
                code = int(stop.code or 0)
            finally:
                for name in [name for name in sys.modules if name.startswith("methods_plugin_faulty")]:
                    del sys.modules[name]  # the next bench has its own
                methods._registry.clear(), methods._unavailable.clear()
                methods._registry.update(registered[0]), methods._unavailable.update(registered[1])
        return Ran(code, output.getvalue())

    def start(self, names: str = "first", **changes: Any) -> subprocess.Popen[str]:
        """The command ``run`` in a process of its own."""
        path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
        return subprocess.Popen(
            [sys.executable, "-m", "benchmark", *self.arguments(names, **changes)], cwd=self.folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "PYTHONPATH": path},
        )  # fmt: skip

    def info(self, method: str = "first") -> dict[str, Any]:
        content = json.loads((self.place(method) / "result.json").read_text(encoding="utf-8"))
        assert isinstance(content, dict)
        return content

    def place(self, method: str = "first") -> Path:
        return self.run_folder / method / "seed0"

    def goes_on(self, names: str = "first", trained: int = 0, **changes: Any) -> str:
        """The same command without the fault: every method is complete, and just as if nothing had happened.

        ``trained``: steps of the method ``first`` that had been made. Returns how many had to be made again.
        """
        again = self.run(names, **changes)
        assert again.code == 0, again.text
        for name in names.split(","):
            assert self.info(name)["status"] == "complete"
            assert self.digest(name) == undisturbed(name), f"{name} is not what an undisturbed run gives"
            left = {path.name for path in self.place(name).iterdir()}
            assert left <= {"result.json", "history.csv", "plates.csv", "weights.safetensors", "last.safetensors",
                            "samples"}, left  # fmt: skip
        repeated = trained + STEPS.count("first") - BUDGET
        return f"{repeated} of {BUDGET} iterations" if repeated > 0 else "nothing"

    def digest(self, method: str = "first") -> str:
        """Hash of weights, history (without the clock), scores and samples."""
        place, digest = self.place(method), hashlib.sha256()
        history = pd.read_csv(place / "history.csv").drop(columns="seconds")
        digest.update(history.to_csv().encode())
        digest.update(json.dumps(self.info(method)["scores"]).encode())
        for path in (place / "weights.safetensors", place / "plates.csv", *sorted((place / "samples").iterdir())):
            digest.update(path.read_bytes())
        return digest.hexdigest()


_undisturbed: dict[str, str] = {}


def undisturbed(method: str) -> str:
    """:meth:`Bench.digest` of a method in a run without faults."""
    if method not in _undisturbed:
        import tempfile

        with tempfile.TemporaryDirectory() as folder, mock.patch.object(sys.modules[__name__], "STEPS", []):
            bench = Bench(Path(folder))
            ran = bench.run("first,second")
            assert ran.code == 0, ran.text
            _undisturbed.update({name: bench.digest(name) for name in ("first", "second")})
    return _undisturbed[method]


def make_plates(folder: Path, count: int = 24) -> None:
    """Plates of coarse noise, each number twice."""
    random = np.random.default_rng(0)
    (folder / "ccpd_base").mkdir(parents=True)
    for i in range(count):
        coarse = Image.fromarray(random.integers(0, 256, (12, 20, 3), dtype=np.uint8))
        box = (12, 12, 140, 76)
        corners = ((140, 76), (12, 76), (12, 12), (140, 12))
        name = format_name(PlateName(f"02{i:05}", (90, 90), box, corners, f"皖A{i // 2:05}", 120, 30))
        coarse.resize((160, 96), Image.Resampling.BICUBIC).save(folder / "ccpd_base" / name, format="PNG")


@contextlib.contextmanager
def failing_disk(pattern: str, number: int = errno.ENOSPC) -> Iterator[None]:
    """While this lasts, files whose path matches ``pattern`` cannot be brought to disk."""
    fsync, save = os.fsync, Image.Image.save

    def failing_fsync(file: int) -> None:
        if re.search(pattern, os.readlink(f"/proc/self/fd/{file}")):
            raise OSError(number, os.strerror(number))
        fsync(file)

    def failing_save(image: Image.Image, file: Any, *arguments: Any, **options: Any) -> None:
        if re.search(pattern, str(file)):
            raise OSError(number, os.strerror(number))
        save(image, file, *arguments, **options)

    with mock.patch.object(os, "fsync", failing_fsync), mock.patch.object(Image.Image, "save", failing_save):
        yield


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Callable[[str], None]]:
    """A file system of this size at ``folder``; yields a function that mounts it otherwise (``size=…``, ``ro``)."""
    folder.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], capture_output=True)
    if mounted.returncode:
        raise Impossible(f"nothing can be mounted here ({mounted.stderr.decode().strip()})")

    def change(options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)

    try:
        yield change
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
