"""The OCR engine ``rapid``: the PP-OCRv4 (mobile) recogniser that RapidOCR 3.8 carries in its wheel, offline.

Only the model file of RapidOCR is used. Preparation and decoding are PP-OCR's own, as RapidOCR has them; it
rounds confidences to five digits and gives none for single characters.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.data.texts import normalise
from benchmark.ocr import ctc
from benchmark.ocr.reading import HEIGHT, WIDTH, Reading, check_rectified
from benchmark.util.errors import UserError

MODEL = "ch_PP-OCRv4_rec_mobile.onnx"
_PADDED_WIDTH = 320  # PP-OCR's own preparation pads narrower lines to this; accuracy falls without it
_BATCH = 4  # plates per inference call: larger batches fall out of the CPU's cache
_REMEDY = "`pip install 'rapidocr>=3.8,<3.9' onnxruntime`, or go on with `--ocr none`"


class RapidEngine:
    """PP-OCRv4 through onnxruntime.

    Every thread reads single-threaded: no faster on an idle machine than a threaded runtime, but
    not several times slower on a busy one, and equal results for every number of threads.
    """

    def __init__(self, threads: int = 1) -> None:
        # Read when it is loaded: some versions keep an identifier of the device in the home directory and report use.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        try:
            from onnxruntime import InferenceSession, SessionOptions
        except ImportError as error:
            raise UserError(f"onnxruntime, which runs PP-OCRv4, cannot be loaded ({error}): {_REMEDY}") from error
        self._model = _model()
        options = SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        self._session = InferenceSession(str(self._model), options, providers=["CPUExecutionProvider"])
        characters = self._session.get_modelmeta().custom_metadata_map["character"].splitlines()
        self._classes = ["", *characters, " "]
        self._alphabet = frozenset(normalise("".join(self._classes)))
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="rapid")

    @property
    def alphabet(self) -> frozenset[str]:
        return self._alphabet

    def read(self, images: Sequence[np.ndarray]) -> list[Reading]:
        check_rectified(images)
        batches = [images[i : i + _BATCH] for i in range(0, len(images), _BATCH)]
        return [reading for readings in self._pool.map(self._read_batch, batches) for reading in readings]

    def describe(self) -> dict[str, Any]:
        versions = (f"{package} {metadata.version(package)}" for package in ("rapidocr", "onnxruntime"))
        return {
            "name": "rapid",
            "version": ", ".join(versions),
            "model": self._model.name,
            "sha256": hashlib.sha256(self._model.read_bytes()).hexdigest(),
            "input": [WIDTH, HEIGHT],
        }

    def _read_batch(self, images: Sequence[np.ndarray]) -> list[Reading]:
        bgr = np.stack(images)[..., ::-1].transpose(0, 3, 1, 2)  # PP-OCR is trained on BGR pictures
        padded = np.zeros((len(images), 3, HEIGHT, _PADDED_WIDTH), np.float32)
        padded[..., :WIDTH] = (bgr / np.float32(255) - np.float32(0.5)) / np.float32(0.5)
        [probabilities] = self._session.run(None, {self._session.get_inputs()[0].name: padded})
        return ctc.decode(probabilities, self._classes)


def _model() -> Path:
    """The model file inside the installed package; it is never downloaded."""
    spec = importlib.util.find_spec("rapidocr")
    if spec is None or spec.origin is None:
        raise UserError(f"RapidOCR, which brings PP-OCRv4, is not installed: {_REMEDY}")
    model = Path(spec.origin).parent / "models" / MODEL
    if not model.is_file():
        version = metadata.version("rapidocr")
        raise UserError(f"rapidocr {version} does not bring the PP-OCRv4 recogniser along: {_REMEDY}")
    return model
