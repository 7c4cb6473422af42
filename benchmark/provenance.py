"""Where a number comes from: commit, command, versions, hardware, date."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

_PACKAGES = (
    "torch", "torchvision", "timm", "numpy", "pillow", "scipy", "pandas", "pyarrow", "rapidocr",
    "onnxruntime", "opencv-python", "opencv-contrib-python", "paddleocr", "paddlepaddle", "paddlepaddle-gpu",
)  # fmt: skip


def provenance(device: torch.device) -> dict[str, Any]:
    """Facts needed to reproduce a result, as plain values."""
    commit, dirty = _commit()
    return {
        "commit": commit,
        "dirty": dirty,
        "command": shlex.join(["python", "-m", "benchmark", *sys.argv[1:]]),
        "versions": {"python": platform.python_version(), **_versions()},
        "hardware": {
            "machine": platform.machine(),
            "system": f"{platform.system()} {platform.release()}",
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        },
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # an optional package that is not installed has no version
    return found


def _commit() -> tuple[str | None, bool | None]:
    """Commit of the checkout this file belongs to; (None, None) outside one (an installed wheel)."""
    here = Path(__file__).resolve().parent.parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(here), *arguments], capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != here:
            return None, None
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return None, None
