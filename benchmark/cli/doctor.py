"""What this machine offers the benchmark: a line for each finding."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

import torch

import methods
from benchmark.ocr.engines import make_engine
from benchmark.ocr.pretraining.trainer import embedder_path, patch_reader_path
from benchmark.perf import precision
from benchmark.results.provenance import no_commit, provenance
from benchmark.util.errors import UserError
from benchmark.util.version import version

_WEIGHTS = {"ResNet-18 (PECL)": "resnet18-*.pth", "VGG-19 (ESRGAN)": "vgg19-*.pth"}


def examine() -> list[tuple[str, str]]:
    """(subject, finding) pairs; nothing is downloaded and nothing is changed."""
    return [
        ("benchmark", f"{version()}, {_commit()}"),
        ("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        ("torch", f"{torch.__version__}; threads: {torch.get_num_threads()} on {os.cpu_count()} cores"),
        ("CUDA", torch.cuda.get_device_name() if torch.cuda.is_available() else "no device: the CPU is used"),
        ("bf16", precision.advice(torch.device("cuda" if torch.cuda.is_available() else "cpu"))),
        ("OCR engine", _ocr_engine("rapid")),
        ("second OCR engine", _ocr_engine("hyperlpr")),
        *_pretrained(),
        ("methods", f"{len(methods.names())} can be run: python -m benchmark methods"),
        *((f"unavailable: {name}", reason) for name, reason in methods.unavailable().items()),
        ("disk", f"{shutil.disk_usage(Path.cwd()).free / 1e9:.0f} GB free here"),
    ]


def _commit() -> str:
    source = provenance(torch.device("cpu"))
    changed = f" and {source['changed_files']} changed files" if source["dirty"] else ""
    return f"commit {source['commit'][:12]}{changed}" if source["commit"] else no_commit()


def _ocr_engine(name: str) -> str:
    try:
        engine = make_engine(name)
    except UserError as error:
        return str(error)
    assert engine is not None
    facts = engine.describe()
    return f"{facts['name']} {facts['version']}, model {facts['sha256'][:12]}…"


def _pretrained() -> list[tuple[str, str]]:
    cache = Path(torch.hub.get_dir()) / "checkpoints"
    rows = []
    for name, pattern in _WEIGHTS.items():
        file = next(cache.glob(pattern), None)
        rows.append((name, str(file) if file else f"no ImageNet weights in {cache} yet"))
    for name, path, command in (
        ("ResNet-18 (plates)", embedder_path, "data embedder"),
        ("ResNet-18 (patches)", patch_reader_path, "data patch-reader"),
    ):
        try:
            state = str(path()) if path().is_file() else f"not trained yet: python -m benchmark {command}"
        except UserError as error:
            state = str(error)
        rows.append((name, state))
    return rows
