"""Where a number comes from: commit, command, versions, environment, hardware, date."""

from __future__ import annotations

import os
import platform
import re
import shlex
import subprocess
import sys
from contextlib import suppress
from datetime import datetime, timezone
from functools import cache
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any

import torch

from benchmark.util.errors import first_line
from benchmark.util.files import without_home

_PACKAGES = (
    "torch", "torchvision", "timm", "numpy", "pillow", "scipy", "pandas", "pyarrow", "safetensors", "pydantic",
    "rapidocr", "onnxruntime", "onnx", "opencv-python", "opencv-python-headless", "opencv-contrib-python",
    "paddleocr", "paddlepaddle", "paddlepaddle-gpu",
)  # fmt: skip

# Variables of the environment that change numbers or speed.
_VARIABLES = re.compile(
    r"((OMP|MKL|KMP|GOMP|OPENBLAS|DNNL|ONEDNN|ATEN|PYTORCH|TORCH|TORCHINDUCTOR|CUBLAS|CUDNN)_\w+"
    r"|CUDA_(VISIBLE_DEVICES|LAUNCH_BLOCKING|MODULE_LOADING)|NVIDIA_TF32_OVERRIDE)(?<!_DIR|PATH|HOME)"
)


def provenance(device: torch.device) -> dict[str, Any]:
    """Facts needed to reproduce a result, as plain values; benchmark/results/schema says what each of them means."""
    return {
        **_source(),
        "command": command(["python", "-m", "benchmark", *sys.argv[1:]]),
        "versions": {"python": platform.python_version(), **_versions()},
        "torch": _torch(),
        "environment": {name: value for name, value in sorted(os.environ.items()) if _VARIABLES.fullmatch(name)},
        "hardware": {
            "machine": platform.machine(),
            "system": f"{platform.system()} {platform.release()}",
            "cpu": _cpu(),
            "cores": os.cpu_count(),
            "usable_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "threads": torch.get_num_threads(),
            "memory": _memory(),
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
            "gpu": _gpu(device) if device.type == "cuda" else None,
        },
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def set_option(words: list[str], option: str, value: str) -> list[str]:
    """The command with ``option value`` right behind ``run`` and nowhere else."""
    kept, skip = [], False
    for word in words:
        if skip or word == option:
            skip = not skip
        elif not word.startswith(option + "="):
            kept.append(word)
    return [*kept[:4], option, value, *kept[4:]]


def command(words: list[str]) -> str:
    """A command line as a shell takes it. The user's home directory is ``~``, which every option of a path takes,
    wherever in a word it stands."""
    return " ".join(_word(without_home(word)) for word in words)


def without_folders(text: str, words: bool = False) -> str:
    """An absolute path as its last part, other texts as they are: where it lay says something of a machine and its
    user, and nothing to others. ``words``: the text is a command line, and this is done to each of its words."""
    if words:
        with suppress(ValueError):  # an unbalanced quote: no command of this program's
            return command([without_folders(word) for word in shlex.split(text)])
        return text
    before, path = re.fullmatch(r"([\w.-]+=|)(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
    return before + PurePosixPath(path).name if path.startswith(("/", "~/")) else text


def _word(word: str) -> str:
    return word if re.fullmatch(r"[\w@%+=:,./~-]+", word, re.ASCII) else shlex.quote(word)


def _versions() -> dict[str, str]:
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # an optional package that is not installed has no version
    return versions


def _source() -> dict[str, Any]:
    """Commit of the checkout this file belongs to, as it was when first asked: the source that is running.

    All are None outside a checkout (an installed wheel), and where git cannot say: see :func:`no_commit`.
    """
    return read_source(Path(__file__).resolve().parents[2])[0]


def no_commit() -> str:
    """Why results say no commit; "" where they do."""
    return read_source(Path(__file__).resolve().parents[2])[1]


@cache
def read_source(checkout: Path) -> tuple[dict[str, Any], str]:
    """``commit``, ``dirty`` and ``changed_files`` of a checkout, or why they are None."""

    def git(*arguments: str) -> str:
        # A container may own the folder under another user: git reads it only where it is told that this is meant.
        command = ["git", "-c", f"safe.directory={checkout}", "-C", str(checkout), *arguments]
        english = {**os.environ, "LC_ALL": "C"}
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10, env=english)
        return done.stdout.strip()

    reason = "no checkout"
    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() == checkout:
            changed = git("status", "--porcelain", "--untracked-files=no").splitlines()
            return {"commit": git("rev-parse", "HEAD"), "dirty": bool(changed), "changed_files": len(changed)}, ""
    except subprocess.CalledProcessError as error:
        answer = (error.stderr.strip().splitlines() or ["no reason given"])[0]
        if "not a git repository" not in answer:
            reason = f"git cannot read {checkout}: {answer}"
    except (OSError, subprocess.SubprocessError) as error:
        reason = f"git cannot be run: {first_line(error)}"
    return {"commit": None, "dirty": None, "changed_files": None}, reason


def _torch() -> dict[str, Any]:
    """How PyTorch was built, and what it computes with."""
    built = torch.__config__.show()
    blas = re.search(r"\bBLAS_INFO=(\w+)", built)
    onednn = re.search(r"MKL-DNN v([\w.]+)|oneDNN v([\w.]+)", built)
    return {
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if torch.version.cuda else None,
        "blas": blas[1] if blas else None,
        "onednn": next(filter(None, onednn.groups()), None) if onednn else None,
        "cpu": torch.backends.cpu.get_cpu_capability(),
    }


def _cpu() -> str | None:
    """Model of the processor, where the system says it."""
    try:
        match = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        match = None
    return match[1].strip() if match else platform.processor() or None


def _memory() -> int | None:
    """Memory of the machine in bytes."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


def _gpu(device: torch.device) -> dict[str, Any]:
    facts = torch.cuda.get_device_properties(device)
    try:
        driver = Path("/sys/module/nvidia/version").read_text(encoding="utf-8").strip()
    except OSError:
        driver = None
    return {
        "name": facts.name,
        "memory": facts.total_memory,
        "capability": f"{facts.major}.{facts.minor}",
        "driver": driver,
    }
