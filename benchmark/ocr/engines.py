"""Reading an upscaled plate: rectify it, hand it to a judge, compare what was read.

A judge recognises text in an already rectified plate; nothing is detected, so a method is never
scored for where the plate is. ``rapid`` is PP-OCRv4 (mobile) as bundled with RapidOCR 3.8, offline
and in this process; ``paddle`` is PaddleOCR itself, in a process of its own.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import unicodedata
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np

from benchmark.util.errors import UserError

WIDTH, HEIGHT = 168, 48
"""Size of a rectified plate: 3.5:1 at the height PP-OCR takes. Plates are 440×140 or 480×140 mm."""

RAPID_MODEL = "ch_PP-OCRv4_rec_mobile.onnx"
_PADDED_WIDTH = 320  # PP-OCR's own preparation pads narrower lines to this; accuracy falls without it
_BATCH = 4  # plates per inference call: larger batches fall out of the CPU's cache


@dataclass(frozen=True)
class Reading:
    """``text`` as the recogniser wrote it, and its mean character probability, 0 to 1."""

    text: str
    confidence: float


class Judge(Protocol):
    """Reads rectified plates. A reading depends on its own picture only, not on its batch."""

    def read(self, images: Sequence[np.ndarray]) -> list[Reading]:
        """Readings of uint8 48×168×3 RGB pictures, in their order."""

    def describe(self) -> dict[str, Any]:
        """``name``, ``version``, ``model``, ``sha256`` of the model file, ``input`` [width, height]."""


def make_judge(
    name: str, *, model_dir: Path | None = None, paddle_device: str = "cpu", threads: int | None = None
) -> Judge | None:
    """The judge called ``rapid``, ``paddle`` or ``crnn``; None for ``none``.

    ``threads``: CPU threads to read with, all of them when None. ``model_dir``: folder of a
    PaddleOCR recognition model; without one PaddleOCR downloads PP-OCRv4_mobile_rec on first use.
    ``paddle_device``: cpu, gpu or gpu:N. Raises UserError, naming the remedy, where the judge cannot work.
    """
    threads = threads or os.cpu_count() or 1
    if name == "none":
        return None
    if name not in ("rapid", "paddle", "crnn"):
        raise UserError(f"no judge {name!r} (known: rapid, paddle, crnn, none)")
    _check_opencv()
    if name == "crnn":
        from benchmark.ocr.crnn import CrnnJudge

        return CrnnJudge(threads)
    if name == "paddle":
        return PaddleJudge(model_dir, threads, device=paddle_device)
    return RapidJudge(threads)


# -- around the judge ------------------------------------------------------------------------------


def rectify(image: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """The plate with the given corners as a 168×48 picture: uint8 H×W×3 → uint8 48×168×3.

    ``vertices``: 4×2 (x, y) in pixels of ``image``, bottom right, bottom left, top left, top right, as
    CCPD names them. They may lie outside the picture, whose edge is then continued. Perspective
    transform, bicubic, with the corners of pixels (not their centres) at whole coordinates.
    Raises ValueError for another shape.
    """
    import cv2

    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"expected uint8 H×W×3, got {image.dtype} {image.shape}")
    corners = np.asarray(vertices, dtype=np.float32)
    if corners.shape != (4, 2):
        raise ValueError(f"expected four corners (x, y), got shape {corners.shape}")
    target = np.array([[WIDTH, HEIGHT], [0, HEIGHT], [0, 0], [WIDTH, 0]], dtype=np.float32)
    # OpenCV counts from pixel centres.
    transform = cv2.getPerspectiveTransform(corners - 0.5, target - 0.5)
    return cv2.warpPerspective(
        image, transform, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )


def normalise(text: str) -> str:
    """Letters, digits and Chinese characters of ``text``, upper case, half width.

    The dot of a plate, spaces and punctuation go; nothing is put in the place of anything else.
    """
    return "".join(c for c in unicodedata.normalize("NFKC", text).upper() if c.isalnum())


def character_accuracy(read: str, truth: str) -> float:
    """1 − edit distance / length of the longer text: 1 for equal texts, 0 for nothing in common."""
    longest = max(len(read), len(truth))
    return 1.0 - edit_distance(read, truth) / longest if longest else 1.0


def edit_distance(a: str, b: str) -> int:
    """Levenshtein distance: fewest insertions, deletions and substitutions from ``a`` to ``b``."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]


def _check_opencv() -> None:
    """Find out before a long training whether plates can be rectified after it."""
    try:
        import cv2  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"OpenCV, which rectifies the plates, cannot be loaded ({error}): `pip install opencv-python`; "
            "a missing lib….so is in the system's packages (Debian: libgl1, libglib2.0-0)"
        ) from error


# -- PP-OCRv4 through RapidOCR ---------------------------------------------------------------------


class RapidJudge:
    """RapidOCR's recogniser with the PP-OCRv4 model that RapidOCR 3.8 carries in its wheel.

    Every thread reads single-threaded: no faster on an idle machine than a threaded runtime, but
    not several times slower on a busy one, and equal results for every number of threads.
    """

    def __init__(self, threads: int = 1) -> None:
        self._model = _rapid_model()
        self._recognise = _rapid_recogniser(self._model)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="judge")

    def read(self, images: Sequence[np.ndarray]) -> list[Reading]:
        _check_rectified(images)
        batches = [images[i : i + _BATCH] for i in range(0, len(images), _BATCH)]
        return [reading for batch in self._pool.map(self._recognise, batches) for reading in batch]

    def describe(self) -> dict[str, Any]:
        versions = (f"{package} {metadata.version(package)}" for package in ("rapidocr", "onnxruntime"))
        return {
            "name": "rapid",
            "version": ", ".join(versions),
            "model": self._model.name,
            "sha256": hashlib.sha256(self._model.read_bytes()).hexdigest(),
            "input": [WIDTH, HEIGHT],
        }


_RAPID_REMEDY = "`pip install 'rapidocr>=3.8,<3.9' onnxruntime onnx`, or go on with `--ocr none`"


def _rapid_model() -> Path:
    """The model file inside the installed package; it is never downloaded."""
    spec = importlib.util.find_spec("rapidocr")
    if spec is None or spec.origin is None:
        raise UserError(f"RapidOCR, which reads the plates, is not installed: {_RAPID_REMEDY}")
    model = Path(spec.origin).parent / "models" / RAPID_MODEL
    if not model.is_file():
        version = metadata.version("rapidocr")
        raise UserError(f"rapidocr {version} does not bring the PP-OCRv4 recogniser along: {_RAPID_REMEDY}")
    return model


def _rapid_recogniser(model: Path) -> Callable[[Sequence[np.ndarray]], list[Reading]]:
    try:
        import rapidocr
        from omegaconf import OmegaConf
        from onnxruntime import InferenceSession, SessionOptions
        from rapidocr.ch_ppocr_rec import TextRecInput, TextRecognizer
        from rapidocr.utils.log import logger
        from rapidocr.utils.parse_parameters import ParseParams

        from benchmark.ocr.rapid_graph import fused
    except ImportError as error:
        raise UserError(f"RapidOCR cannot be loaded ({error}): {_RAPID_REMEDY}") from error
    logger.setLevel("ERROR")
    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    settings = ParseParams.load(Path(rapidocr.__file__).parent / "config.yaml").Rec
    recogniser: Any = OmegaConf.create(OmegaConf.to_container(settings), flags={"allow_objects": True})
    recogniser.session = InferenceSession(fused(model), options, providers=["CPUExecutionProvider"])
    recogniser.font_path = None
    recogniser.rec_img_shape = [3, HEIGHT, _PADDED_WIDTH]
    recogniser.rec_batch_num = _BATCH
    network = TextRecognizer(recogniser)

    def recognise(images: Sequence[np.ndarray]) -> list[Reading]:
        # PP-OCR is trained on BGR pictures.
        result = network(TextRecInput(img=[np.ascontiguousarray(image[..., ::-1]) for image in images]))
        return [Reading(text, float(score)) for text, score in zip(result.txts, result.scores)]

    return recognise


# -- PaddleOCR -------------------------------------------------------------------------------------

_PADDLE_MODEL_HINT = (
    "put a PaddleOCR recognition model (the folder with inference.yml and inference.pdiparams) somewhere and "
    "name it with `--set scoring.paddle_model=DIR`"
)
_PADDLE_START = 300.0  # seconds that the worker may take to load, and to download a model of some megabytes


class PaddleJudge:
    """PaddleOCR's ``TextRecognition`` in a process of its own (see :mod:`benchmark.ocr.paddle_process`).

    Paddle and torch in one process disagree about OpenMP and CUDA libraries. The process is
    started by the first ``read`` or ``describe`` and ends with this one, however this one ends.

    ``model``: folder of an exported recognition model; None: PP-OCRv4_mobile_rec, from PaddleOCR's
    cache or downloaded. ``device``: ``cpu``, ``gpu`` or ``gpu:N``, whatever the methods run on: on the
    CPU a reading is the same on every machine. ``command`` replaces the worker's command line.
    Raises UserError for a folder without a model, and where PaddleOCR is missing; ``read`` and
    ``describe`` raise it where PaddleOCR does not start.
    """

    def __init__(
        self,
        model: Path | None = None,
        threads: int = 1,
        command: Sequence[str] | None = None,
        device: str = "cpu",
    ) -> None:
        for file in ("inference.yml", "inference.pdiparams"):
            if model is not None and not (model / file).is_file():
                raise UserError(f"no {file} in {model}: {_PADDLE_MODEL_HINT}")
        if command is None:
            if importlib.util.find_spec("paddleocr") is None:
                raise UserError("PaddleOCR is not installed: `pip install '.[paddle]'`, or use `--ocr rapid`")
            command = [
                sys.executable,
                "-m",
                "benchmark.ocr.paddle_process",
                "--threads",
                str(threads),
                "--device",
                device,
            ]
            command += ["--model", str(model.resolve())] if model is not None else []
        self._model = model
        self._command = list(command)
        self._worker: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._about: dict[str, Any] = {}

    def read(self, images: Sequence[np.ndarray]) -> list[Reading]:
        _check_rectified(images)
        readings: list[Reading] = []
        for start in range(0, len(images), 64):
            batch = np.stack(list(images[start : start + 64]))
            answer = self._ask(np.array(batch.shape[:3], "<u4").tobytes() + batch.tobytes())
            readings += [Reading(text, float(score)) for text, score in answer["readings"]]
        return readings

    def describe(self) -> dict[str, Any]:
        self._start()
        return {"name": "paddle", **self._about, "input": [WIDTH, HEIGHT]}

    def close(self) -> None:
        """End the worker. Reading again starts another."""
        if self._worker is not None:
            _stop(self._worker)
            self._worker = None

    def _start(self) -> subprocess.Popen[bytes]:
        if self._worker is not None:
            return self._worker
        path = os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")]))
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the worker)
        self._worker = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is this process's business
        )
        weakref.finalize(self, _stop, self._worker)
        begun = time.monotonic()
        limit = threading.Timer(_PADDLE_START, self._worker.kill)  # a download may hang for ever
        limit.daemon = True
        limit.start()
        try:
            self._about = self._answer(self._worker)
        except RuntimeError as error:
            self.close()
            late = time.monotonic() - begun >= _PADDLE_START
            reason = f"no answer within {_PADDLE_START:g} s" if late else error
            if self._model is not None:
                raise UserError(f"PaddleOCR does not start with the model in {self._model}: {reason}") from None
            raise UserError(f"PaddleOCR does not start ({reason}): {_PADDLE_MODEL_HINT}") from None
        finally:
            limit.cancel()
        return self._worker

    def _ask(self, request: bytes) -> dict[str, Any]:
        worker = self._start()
        assert worker.stdin is not None
        with suppress(BrokenPipeError):  # it has died; the answer that does not come says of what
            worker.stdin.write(request)
            worker.stdin.flush()
        return self._answer(worker)

    def _answer(self, worker: subprocess.Popen[bytes]) -> dict[str, Any]:
        """The next line of the worker. Raises RuntimeError with its complaint, or its last words."""
        assert worker.stdout is not None
        line = worker.stdout.readline()
        if not line.endswith(b"\n"):
            raise RuntimeError(f"the process ended with code {worker.wait()}: {self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def _last_words(self) -> str:
        assert self._errors is not None
        self._errors.seek(0)
        text = re.sub(r"\x1b\[[0-9;]*m", "", self._errors.read().decode(errors="replace"))  # PaddleX writes in colours
        lines = text.strip().splitlines()
        return lines[-1].strip() if lines else "it said nothing"


def _stop(worker: subprocess.Popen[bytes]) -> None:
    """Close the worker's input, which ends it; kill it if it does not end."""
    for pipe in (worker.stdin, worker.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):  # something was left unsent to a process that is gone
                pipe.close()
    try:
        worker.wait(timeout=5)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


def _check_rectified(images: Sequence[np.ndarray]) -> None:
    for image in images:
        if image.dtype != np.uint8 or image.shape != (HEIGHT, WIDTH, 3):
            raise ValueError(f"expected uint8 {HEIGHT}×{WIDTH}×3, got {image.dtype} {image.shape}")
