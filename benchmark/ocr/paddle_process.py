"""The process in which PaddleOCR runs: ``python -m benchmark.ocr.paddle_process [--model DIR]``.

It imports nothing of this project. On start it writes one line of JSON: ``version``, ``model``,
``sha256`` and ``device``, or ``error``. Then, for every batch on its input, three little-endian uint32
(plates, height, width) and the uint8 RGB pixels, it writes one line: ``readings``, a list of
[text, confidence], or ``error``. It ends when its input does.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import re
import struct
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

DEFAULT_MODEL = "PP-OCRv4_mobile_rec"
"""The network that the OCR engine ``rapid`` runs, too, in Paddle's format."""
_BATCH = 8

Recognise = Callable[[np.ndarray], list[tuple[str, float]]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer batches until the input ends. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="folder of a recognition model; none: PaddleOCR's own")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="as PaddleOCR calls it: cpu, gpu or gpu:N")
    options = parser.parse_args(arguments)
    # Paddle prints to standard output, from Python and from C++. Keep the channel to ourselves.
    channel = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        recognise, about = load(options.model, options.threads, options.device)
    except Exception as error:
        _send(channel, {"error": _one_line(error)})
        return 1
    _send(channel, about)
    serve(sys.stdin.buffer, channel, recognise)
    return 0


def load(folder: Path | None, threads: int, device: str = "cpu") -> tuple[Recognise, dict[str, Any]]:
    """PaddleOCR's recogniser, and what to say of it in a result. Raises whatever PaddleOCR raises."""
    if folder is not None:
        os.environ["PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK"] = "True"  # nothing to look for outside
    sys.meta_path[:] = [_WithoutTorch if finder is PathFinder else finder for finder in sys.meta_path]
    version = f"paddleocr {metadata.version('paddleocr')}, {_paddle_version()}"
    _check_device(device)
    from paddleocr import TextRecognition

    name = DEFAULT_MODEL if folder is None else _model_name(folder)
    # oneDNN is off: PaddlePaddle 3.3 fails with it (its issue 77340), and it rounds differently on
    # different CPUs.
    network = TextRecognition(
        model_name=name,
        model_dir=None if folder is None else str(folder),
        device=device,
        cpu_threads=threads,
        enable_mkldnn=False,
    )

    def recognise(images: np.ndarray) -> list[tuple[str, float]]:
        pictures = [np.ascontiguousarray(image[..., ::-1]) for image in images]  # it takes BGR
        results = network.predict(pictures, batch_size=_BATCH)
        return [(str(result["rec_text"]), float(result["rec_score"])) for result in results]

    parameters = Path(network.paddlex_predictor.model_dir) / "inference.pdiparams"
    about = {
        "version": version,
        "model": name,
        "sha256": hashlib.sha256(parameters.read_bytes()).hexdigest(),
        "device": device,
    }
    return recognise, about


class _WithoutTorch(PathFinder):
    """Keeps torch out of this process: Paddle's library of model hosters imports it where it is installed.

    Not ``sys.modules["torch"] = None``: SciPy and scikit-learn take whatever stands there for torch itself.
    """

    @classmethod
    def find_spec(cls, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        return None if fullname.partition(".")[0] == "torch" else super().find_spec(fullname, path, target)


def serve(requests: BinaryIO, answers: BinaryIO, recognise: Recognise) -> None:
    """Answer every batch on ``requests`` with a line on ``answers``."""
    while len(header := requests.read(12)) == 12:
        count, height, width = struct.unpack("<3I", header)
        size = count * height * width * 3
        pixels = requests.read(size)
        if len(pixels) < size:
            return  # the other side has gone
        images = np.frombuffer(pixels, np.uint8).reshape(count, height, width, 3)
        try:
            _send(answers, {"readings": recognise(images)})
        except Exception as error:
            _send(answers, {"error": _one_line(error)})


def _model_name(folder: Path) -> str:
    """PaddleOCR wants the name beside the folder, and it must be the one written in there."""
    import yaml

    settings = yaml.safe_load((folder / "inference.yml").read_text(encoding="utf-8"))
    try:
        return str(settings["Global"]["model_name"])
    except (KeyError, TypeError):
        raise ValueError("its inference.yml has no Global.model_name; PaddleOCR 3 writes one when exporting") from None


def _paddle_version() -> str:
    for package in ("paddlepaddle", "paddlepaddle-gpu"):
        try:
            return f"{package} {metadata.version(package)}"
        except metadata.PackageNotFoundError:
            continue
    if importlib.util.find_spec("paddle") is None:
        raise RuntimeError("PaddlePaddle is not installed: `pip install '.[paddle]'`")
    return "paddlepaddle of unknown version"


def _check_device(device: str) -> None:
    """Refuse a GPU that is not there: PaddleX would go on with the CPU and only log it."""
    if device == "cpu":
        return
    if not re.fullmatch(r"gpu(:\d+)?", device):
        raise ValueError(f"no device {device!r}: use cpu, gpu or gpu:N")
    import paddle

    count = paddle.device.cuda.device_count() if paddle.device.is_compiled_with_cuda() else 0
    if int(device.partition(":")[2] or 0) >= count:
        raise RuntimeError(f"no device {device!r}: {_paddle_version()} sees {count} GPUs")


def _send(channel: BinaryIO, answer: dict[str, Any]) -> None:
    channel.write(json.dumps(answer, ensure_ascii=False).encode() + b"\n")
    channel.flush()


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


if __name__ == "__main__":
    sys.exit(main())
