"""Multiply-accumulates against counts made by hand or known from elsewhere."""

from __future__ import annotations

import pytest
import torch

import methods
from benchmark.scoring.cost import LR_HEIGHT, LR_WIDTH, macs


def test_espcn_by_hand() -> None:
    positions = LR_HEIGHT * LR_WIDTH  # everything happens at low resolution
    by_hand = positions * (64 * 3 * 25 + 32 * 64 * 9 + 192 * 32 * 9)
    assert macs(methods.get("espcn").create()) == by_hand


# Millions, of one 8×8 patch: counted once for the project's notes with another script (METHOD_FACTS, section 0).
@pytest.mark.parametrize(
    ("name", "millions"),
    [("srcnn", 234), ("msrn", 575), ("tbsrn", 328), ("swinir", 993), ("pecl", 209), ("pecl-release", 583)],
)
def test_known_counts(name: str, millions: int) -> None:
    torch.manual_seed(0)
    assert round(macs(methods.get(name).create(), 8, 8) / 1e6) == millions


def test_interpolation_is_not_counted_and_overlapping_tiles_are() -> None:
    assert macs(methods.get("bicubic").create()) == 0
    tbsrn = methods.get("tbsrn").create()
    assert macs(tbsrn, 8, 28) > 28 / 8 * macs(tbsrn, 8, 8)
