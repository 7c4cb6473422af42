"""Shared fixtures: tiny CCPD folders, and real plates where CCPD_ROOT names a folder of them."""

from __future__ import annotations

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    # Before anything imports torch: several processes of one thread are faster than as many that share the cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("PLATE_SR_WORKERS", "1")  # runs in the process of the test, but for tests of workers

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.data.ccpd import PlateName, format_name


@pytest.fixture(scope="session")
def ccpd_root() -> Path:
    """A folder of real CCPD plates; the test is skipped where there is none."""
    root = os.environ.get("CCPD_ROOT")
    if not root:
        pytest.skip("CCPD_ROOT is not set")
    return Path(root)


def plate_name(text: str, bbox: tuple[int, int, int, int], serial: int = 0) -> str:
    """A CCPD file name of a plate seen straight on."""
    x0, y0, x1, y1 = bbox
    corners = ((x1, y1), (x0, y1), (x0, y0), (x1, y0))
    return format_name(PlateName(f"02{serial:05}", (90, 90), bbox, corners, text, 120, 30))


def write_ccpd(folder: Path, count: int = 24, size: tuple[int, int] = (128, 64), highest: int = 200) -> Path:
    """Make ``folder`` one of ``count`` plates of one colour each (PNG pixels are exact; the name still ends in .jpg as
    CCPD's do, and Pillow goes by the content)."""
    (folder / "ccpd_base").mkdir(parents=True)
    random = np.random.default_rng(0)
    for i in range(count):
        width, height = size
        pixels = np.full((height + 24, width + 24, 3), random.integers(40, highest, 3), dtype=np.uint8)
        text = f"皖A{i // 2:05}"  # every plate number is on two pictures
        file = folder / "ccpd_base" / plate_name(text, (12, 12, 12 + width, 12 + height), i)
        Image.fromarray(pixels).save(file, format="PNG")
    return folder


@pytest.fixture
def make_ccpd(tmp_path: Path) -> Callable[..., Path]:
    """Returns a function that writes such a folder, of a ``name`` below the test's."""
    return lambda count=24, name="ccpd", **options: write_ccpd(tmp_path / name, count, **options)
