"""Packs, configurations, results and checkpoints from strangers: a value, one clear line, or made anew."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from pathlib import Path

import pytest

from benchmark.results.store import Run
from benchmark.results.verify import verify_run
from benchmark.runner.status import status_rows
from hostile import checkpoints, configs, packs, results
from hostile.limits import within
from paper_figures.common.loading import load


@pytest.fixture(scope="module")
def pack_shop(tmp_path_factory: pytest.TempPathFactory) -> packs.Workshop:
    return packs.Workshop.make(tmp_path_factory.mktemp("packs"))


def test_packs(pack_shop: packs.Workshop, tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    source = random.Random(0)
    for i in range(30):
        with within(60):
            seen[packs.check(pack_shop, tmp_path / str(i), source)] += 1
    assert seen["accepted"] > 3 and seen["made anew"] > 8, seen


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
    for i in range(7):
        with within(60):
            seen[checkpoints.check(shop, tmp_path / str(i), source)] += 1
    assert seen["made anew"] > 3, seen


@pytest.fixture(scope="module")
def result_shop(tmp_path_factory: pytest.TempPathFactory) -> results.Workshop:
    return results.Workshop.make(tmp_path_factory.mktemp("results"))


def test_results(result_shop: results.Workshop, tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    source = random.Random(0)
    for i in range(8):
        with within(60):
            seen[results.check(result_shop, tmp_path / str(i), source, draw=i % 4 == 0)] += 1
    assert seen["refused"] > 3, seen


def test_folders_that_are_no_results(result_shop: results.Workshop, tmp_path: Path) -> None:
    run = Run(tmp_path / "results" / "run")
    shutil.copytree(result_shop.computed, run.folder)
    results.odd_folders(run)
    with within(60):
        complete = [row["method"] for row in status_rows(run) if row["status"] == "complete"]
        shown = [row.name for row in load(run).rows]
        verified = verify_run(run)
    assert sorted(complete) == sorted(shown) == ["bicubic", "hr", "srcnn"]
    assert len(verified.results) == 3 and verified.faults  # the links, and the pipe
