"""Shared fixtures: tiny CCPD folders, and real plates where CCPD_ROOT names a folder of them."""

from __future__ import annotations

import os
import shutil
import sys

if "PYTEST_XDIST_WORKER" in os.environ:
    # Before anything imports torch: several processes of one thread are faster than as many that share the cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("PLATE_SR_WORKERS", "1")  # runs in the process of the test, but for tests of workers

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmark.cli import main
from benchmark.data.ccpd import PlateName, format_name
from benchmark.results import shipped


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


# -- trained weights ------------------------------------------------------------------------------

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """Returns a function that runs a command in this process: (exit code, output, errors)."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["benchmark", *map(str, arguments)])
        code: Any = 0
        try:
            main.main()
        except SystemExit as stop:
            code = stop.code
        out, err = capfd.readouterr()
        return int(code or 0), out, err

    return run


@pytest.fixture(scope="module")
def run_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with a run of a few iterations."""
    place = tmp_path_factory.mktemp("trained")
    data = write_ccpd(place / "ccpd")
    command = ["run", "--run", "tiny", "--methods", "bicubic,espcn", "--data", data, "--results", place / "results",
               "--iterations", 2, "--set", "data.train_plates=16", "--set", "data.val_plates=4", "--set",
               "data.test_plates=4", "--ocr", "crnn", "--device", "cpu"]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["benchmark", *map(str, command)])
        with pytest.raises(SystemExit) as ended:
            main.main()
    assert ended.value.code == 0
    return place / "results"


@pytest.fixture
def trained(run_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it in the working folder, in place of what the project ships."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shipped, "_CHECKOUT", tmp_path)
    return shutil.copytree(run_once, tmp_path / "results")


def exported(call: Call, *options: object) -> tuple[Path, str]:
    folder = Path("results/reference/tiny/weights").resolve()
    code, out, err = call("weights", "export", "--run", "tiny", "--out", folder, "--device", "cpu", *options)
    assert code == 0, err
    return folder, out
