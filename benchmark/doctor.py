"""What this machine has of what the benchmark can use, one finding a line."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import torch

import methods
from benchmark import ocr
from benchmark.errors import UserError

_WEIGHTS = {"ResNet-18 (PECL)": "resnet18-*.pth", "VGG-19 (ESRGAN)": "vgg19-*.pth"}


def examine() -> list[tuple[str, str]]:
    """(subject, finding) pairs; nothing is downloaded and nothing is changed."""
    return [
        ("torch", f"{torch.__version__}; threads: {torch.get_num_threads()} on {os.cpu_count()} cores"),
        ("CUDA", torch.cuda.get_device_name() if torch.cuda.is_available() else "no device: the CPU is used"),
        ("judge", _judge()),
        *_pretrained(),
        ("methods", f"{len(methods.names())} can be run: python -m benchmark methods"),
        *((f"unavailable: {name}", reason) for name, reason in methods.unavailable().items()),
        ("disk", f"{shutil.disk_usage(Path.cwd()).free / 1e9:.0f} GB free here"),
    ]


def _judge() -> str:
    try:
        judge = ocr.make_judge("rapid")
    except UserError as error:
        return str(error)
    assert judge is not None
    facts = judge.describe()
    return f"{facts['name']} {facts['version']}, model {facts['sha256'][:12]}…"


def _pretrained() -> list[tuple[str, str]]:
    cache = Path(torch.hub.get_dir()) / "checkpoints"
    rows = []
    for name, pattern in _WEIGHTS.items():
        file = next(cache.glob(pattern), None)
        rows.append((name, str(file) if file else f"no ImageNet weights in {cache} yet"))
    return rows
