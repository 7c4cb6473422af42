"""The same jobs by different engines: weights, histories and scores are equal by hash."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from executor_bench import ROOT
from kill_harness import fingerprint


@pytest.mark.slow
@pytest.mark.ray
def test_local_workers_and_ray_leave_the_same_numbers(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    ways = {"local": ["--workers", "2"], "ray": ["--executor", "ray"]}
    for name, way in ways.items():
        command = [
            sys.executable, "-m", "benchmark", "run", "--methods", "bicubic,espcn", "--ocr", "none", "--device", "cpu",
            "--iterations", "8", "--batch-size", "4", "--seeds", "2", "--set", "data.train_plates=16", "--set",
            "data.val_plates=4", "--set", "data.test_plates=4", "--set", "train.validations=2", "--set",
            "scoring.samples=1", "--set", "train.threads=1", "--run", "r", "--results", str(tmp_path / name), *way,
        ]  # fmt: skip
        done = subprocess.run(
            command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=400
        )
        assert done.returncode == 0, done.stdout + done.stderr
    # Of the packs, the name depends on where the plates are.
    local, ray = (fingerprint(tmp_path / name / "r") for name in ways)
    assert local == ray
    assert {"espcn/seed1/weights.safetensors", "bicubic/seed0/plates.csv"} <= local.keys()
