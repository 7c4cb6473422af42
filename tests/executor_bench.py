"""What executors are tried on: few plates, methods that a test can script, the command line in its own process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

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
# The iterations below take a minute this way: longer than a test on a busy machine needs to step in.
SLOWLY = """
note = Path(__file__).with_name(f"{self.name}-at-work")
if not note.exists():
    note.with_suffix(".new").write_text(str(os.getpid()))
    note.with_suffix(".new").rename(note)
time.sleep(0.5)
"""
RECORD_STEPS = """
with open(Path(__file__).with_name(f"{self.name}-steps"), "a") as steps:
    print(os.getpid(), session.iteration, file=steps)
"""


class Bench:
    """A folder of plates, a plug-in and results; the command line in a process of its own."""

    def __init__(self, folder: Path, data: Path) -> None:
        self.folder = folder
        self.environment: dict[str, str] = {}
        self.plugin = folder / "workers_plugin.py"
        self.plugin.write_text(PLUGIN)
        self.arguments = [
            "run", "--methods", "first,second,bicubic", "--plugin", str(self.plugin), "--data", str(data), "--device",
            "cpu", "--ocr", "none", "--iterations", "120", "--batch-size", "2", "--set", "train.validations=2",
            "--set", "train.threads=1", "--set", "train.checkpoint_iterations=2", "--set", "scoring.samples=1",
            "--set", "data.train_plates=16", "--set", "data.val_plates=4", "--set", "data.test_plates=4",
        ]  # fmt: skip

    def start(self, name: str, *more: str) -> subprocess.Popen[str]:
        return self.call(*self.arguments, "--results", str(self.folder / name), "--run", "r", *more)

    def call(self, *arguments: str) -> subprocess.Popen[str]:
        """A command in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "benchmark", *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **self.environment},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(self, name: str, *more: str) -> tuple[int, str]:
        process = self.start(name, *more)
        output, _ = process.communicate(timeout=900)
        return process.returncode, output

    def info(self, name: str, method: str) -> dict[str, Any]:
        return json.loads((self.folder / name / "r" / method / "seed0" / "result.json").read_text())


def wait_for(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)
