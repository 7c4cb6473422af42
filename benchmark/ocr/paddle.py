"""The OCR engine ``paddle``: PaddleOCR itself, in a process of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from benchmark.ocr.reading import HEIGHT, WIDTH, Reading, check_rectified
from benchmark.util.errors import UserError

_MODEL_HINT = (
    "put a PaddleOCR recognition model (the folder with inference.yml and inference.pdiparams) somewhere and "
    "name it with `--set scoring.paddle_model=DIR`"
)
_START = 300.0  # seconds that the worker may take to load, and to download a model of some megabytes


class PaddleEngine:
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
                raise UserError(f"no {file} in {model}: {_MODEL_HINT}")
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

    @property
    def alphabet(self) -> None:
        """Models have one each, and do not say it before they have started."""

    def read(self, images: Sequence[np.ndarray]) -> list[Reading]:
        check_rectified(images)
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
        limit = threading.Timer(_START, self._worker.kill)  # a download may hang for ever
        limit.daemon = True
        limit.start()
        try:
            self._about = self._answer(self._worker)
        except RuntimeError as error:
            self.close()
            late = time.monotonic() - begun >= _START
            reason = f"no answer within {_START:g} s" if late else error
            if self._model is not None:
                raise UserError(f"PaddleOCR does not start with the model in {self._model}: {reason}") from None
            raise UserError(f"PaddleOCR does not start ({reason}): {_MODEL_HINT}") from None
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
