"""The measurements of memory, packing and scoring, on next to nothing."""

from __future__ import annotations

import measure_memory as memory
import measure_prepare as prepare
import measure_scoring as scoring
import pytest

from benchmark.config import load
from benchmark.util.errors import UserError


def test_a_step_on_few_and_many_plates() -> None:
    config = load("quick", ["train.device=cpu", "train.batch_size=1"])
    rows = memory.measure(["espcn", "srcnn"], config, 300, repeats=1)
    sizes = [("espcn", 3), ("espcn", 30), ("espcn", 300), ("srcnn", 3), ("srcnn", 30), ("srcnn", 300)]
    assert [(found["method"], found["plates"]) for found in rows] == sizes
    assert rows[0]["ratio"] == rows[3]["ratio"] == 1.0 and all(found["step_ms"] > 0 for found in rows)
    with pytest.raises(UserError, match="bicubic does not train"):
        memory.measure(["espcn", "bicubic"], config, 3, repeats=1)
    with pytest.raises(UserError, match=r"GB free: take fewer \(--plates N\)"):
        memory.measure(["espcn"], config, 10**9, repeats=1)


def test_packing_and_scoring_are_measured() -> None:
    packing = prepare.measure(None, 6, repeats=1)
    assert [found["workers"] for found in packing] == [1, 2]
    for found in packing:
        assert found["ratio"] == pytest.approx(found["plates_per_s"] / found["workers"] / found["decoded_per_s"])
    rows = scoring.measure(load("quick", ["train.device=cpu", "scoring.ocr=none"]), 3, repeats=1)
    parts = [found["part"] for found in rows]
    assert parts[:3] == ["all", "upscale", "rectify"] and "ssim" in parts and "first judge" not in parts
    assert all(found["plates_per_s"] == pytest.approx(1e3 / found["ms"]) for found in rows)
