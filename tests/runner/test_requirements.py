"""What a run asks for before anything is prepared or trained: one line each, and nothing is left behind."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.cli import main
from benchmark.cli.options import default_run_name
from benchmark.config import load
from benchmark.ocr import paddle

Command = Callable[..., str]
NO_OCR = ["--ocr", "none"]


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Returns a function that gives ``run --preset paper`` and returns the one line with which it is refused."""
    monkeypatch.setattr("benchmark.runner.scheduler.prepare_plates", None)  # nothing may be prepared

    def run(*words: object) -> str:
        command = ["benchmark", "run", "--preset", "paper", "--results", tmp_path / "results", *words]
        monkeypatch.setattr(sys, "argv", list(map(str, command)))
        with pytest.raises(SystemExit) as stop:
            main.main()
        out, err = capfd.readouterr()
        said = [line for line in out.splitlines() if not line.startswith("Downloading: ")]  # which torch says
        assert (stop.value.code, said, err.count("\n")) == (2, [], 1), err
        assert not (tmp_path / "results").exists()
        return err

    return run


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """An empty cache of weights that cannot be filled. Returns what was asked for."""
    asked: list[str] = []

    def refuse(url: str, *_: Any, **__: Any) -> None:
        asked.append(url.rsplit("/", 1)[-1].split("-")[0])
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    return asked


def test_without_a_gpu_the_papers_budget_is_refused_unless_the_cpu_is_named(
    refused: Command, monkeypatch: pytest.MonkeyPatch, offline: list[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    message = refused("--methods", "pecl")
    assert "no CUDA device" in message and "128,000,000 patches" in message and "about 32 days" in message
    assert "--device cpu" in message
    assert "ImageNet" in refused("--methods", "pecl", "--device", "cpu", *NO_OCR)
    assert "ImageNet" in refused("--methods", "pecl", "--iterations", 1000, *NO_OCR)  # hours on a CPU


def test_without_paddleocr_the_line_to_install_it_comes_first(
    refused: Command, monkeypatch: pytest.MonkeyPatch, offline: list[str]
) -> None:
    monkeypatch.setattr(paddle.importlib.util, "find_spec", lambda name: None)
    message = refused("--methods", "pecl", "--device", "cpu")
    assert "PaddleOCR is not installed" in message and "pip install '.[paddle]'" in message
    assert "--ocr rapid" in message
    assert not offline  # nothing was downloaded for a run that cannot be


def test_missing_imagenet_weights_are_named_once_for_all_methods(refused: Command, offline: list[str]) -> None:
    message = refused("--methods", "espcn,pecl,readings,esrgan", "--device", "cpu", *NO_OCR)
    assert "resnet18-f37072fd.pth" in message and "--set pecl.embedder_init=random" in message
    assert "vgg19-dcbb9e9d.pth" in message and "--set esrgan.perceptual=random (or none)" in message
    assert "pecl, pecl-printed, pecl-learned and " in message and "espcn" not in message
    assert sorted(offline) == ["resnet18", "vgg19"]


def test_plates_weights_that_nobody_has_made_are_missed_at_once(refused: Command, offline: list[str]) -> None:
    words = ["--set", "pecl.embedder_init=plates", "--set", "esrgan.perceptual=none"]
    message = refused("--methods", "pecl,readings,esrgan", "--device", "cpu", *NO_OCR, *words)
    assert message.count("python -m benchmark data embedder") == 1 and not offline


def test_a_method_without_its_extra_is_one_line_before_anything_is_trained(
    refused: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmark.runner import requirements

    monkeypatch.setattr(requirements.importlib.util, "find_spec", lambda name: None)
    message = refused("--methods", "scsr", "--device", "cpu", *NO_OCR)
    assert "scsr needs sklearn: pip install 'plate-sr-benchmark[sparse]'" in message


def test_a_runs_name_says_where_its_protocol_is_not_the_presets(tmp_path: Path) -> None:
    names = {
        ("paper", "paper"): "paper-synthetic",
        ("paper", "disjoint"): "paper-synthetic-disjoint",
        ("quick", "disjoint"): "quick-synthetic",
        ("quick", "paper"): "quick-synthetic-paper",
    }
    for (preset, protocol), name in names.items():
        assert default_run_name(load(preset, [f"data.protocol={protocol}"]), tmp_path) == name
