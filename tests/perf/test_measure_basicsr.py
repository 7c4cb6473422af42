"""The measurement beside BasicSR, on next to nothing (extra ``parity``; skipped where it is not installed)."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import measure_basicsr
import pytest

from benchmark.config import load
from benchmark.perf.plates import noise_plates


@pytest.mark.skipif(importlib.util.find_spec("basicsr") is None, reason="the extra `parity` is not installed")
def test_both_loops_train_the_same_network_in_turn(tmp_path: Path) -> None:
    config = load("quick", ["train.device=cpu", "train.batch_size=2", *measure_basicsr.SETTINGS])
    row = measure_basicsr.measure("espcn", config, noise_plates(tmp_path / "plates", 8), workers=0, pairs=2, block=2)
    assert (row["method"], row["batch"], row["pairs"], row["steps"]) == ("espcn", 2, 2, 2)
    assert row["ours_patches_per_s"] > 0 and row["basicsr_patches_per_s"] > 0
    assert row["lowest"] <= row["ratio"] <= row["highest"]
