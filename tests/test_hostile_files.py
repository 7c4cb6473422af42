"""Packs, configurations, results and checkpoints from strangers: a value, one clear line, or made anew."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from hostile import checkpoints, configs, packs
from hostile.limits import within


@pytest.fixture(scope="module")
def pack_shop(tmp_path_factory: pytest.TempPathFactory) -> packs.Workshop:
    return packs.Workshop.make(tmp_path_factory.mktemp("packs"))


def test_packs(pack_shop: packs.Workshop, tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    source = random.Random(0)
    for i in range(60):
        with within(60):
            seen[packs.check(pack_shop, tmp_path / str(i), source)] += 1
    assert seen["accepted"] > 3 and seen["made anew"] > 20, seen


def test_configurations() -> None:
    seen: Counter[str] = Counter()
    source = random.Random(0)
    for _ in range(250):
        with within(60):
            seen[configs.check(source)] += 1
    assert seen["accepted"] > 20 and seen["refused"] > 100, seen


def test_checkpoints(pack_shop: packs.Workshop, tmp_path: Path) -> None:
    shop = checkpoints.Workshop.make(tmp_path, pack_shop.plates)
    seen: Counter[str] = Counter()
    source = random.Random(0)
    for i in range(25):
        with within(60):
            seen[checkpoints.check(shop, tmp_path / str(i), source)] += 1
    assert seen["made anew"] > 10, seen
