"""The OCR engine ``hyperlpr``: the plate recognizer of HyperLPR, in the package ``hyperlpr`` 0.0.2.

It shares neither architecture nor authors with PP-OCR. The package is MIT-licensed by its metadata (the project
HyperLPR: Apache-2.0); its authors do not say which plates it was trained on. The package is not imported: its code
wants OpenCV's Caffe reader, which OpenCV 5 no longer has. Only the file of weights is read.

Measured: it reads 97 % of 500 blue HR plates of CCPD and 6 of 11 green ones (it takes digits there for letters: 0 for
D, 6 for G), and 64 % of the synthetic plates (it takes the 3 of their font for an 8).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from benchmark.ocr import ctc
from benchmark.ocr.hyperlpr_network import CLASSES, load_caffe
from benchmark.ocr.reading import HEIGHT, WIDTH, Reading
from benchmark.ocr.torch_batches import read_in_threads
from benchmark.util.errors import UserError

MODEL = "hyperlpr/models/dnn/SegmenationFree-Inception.caffemodel"
SHA256 = "6045bf9c193ce0e3db0d7da7a6069f74e5d2db203e028980eaf3d60c84f67b23"
_SIZE = (160, 40)  # width and height that the network was trained with
_FIRST = 2  # HyperLPR ignores the first two columns of classes
_REMEDY = "`pip install hyperlpr==0.0.2`, or choose another engine with `--set scoring.second=crnn` (or none)"


class HyperLprEngine:
    """Reads with HyperLPR's recognizer on the CPU. Torch's settings and random state are left as they were.

    Raises UserError where the package is missing, or brings another model than the one of version 0.0.2.
    """

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads
        model = _model()
        try:
            content = model.read_bytes()
        except OSError as error:
            raise UserError(f"{model} cannot be read ({error.strerror}): {_REMEDY}") from None
        if hashlib.sha256(content).hexdigest() != SHA256:
            raise UserError(f"{model} is not the recognizer of hyperlpr 0.0.2: {_REMEDY}")
        self._network = load_caffe(content)

    @property
    def alphabet(self) -> frozenset[str]:
        return frozenset(CLASSES) - {""}

    def read(self, images: Sequence[np.ndarray]) -> list[Reading]:
        return read_in_threads(self._read_batch, images, self._threads)

    def describe(self) -> dict[str, Any]:
        return {
            "name": "hyperlpr",
            "version": f"hyperlpr {metadata.version('hyperlpr')}",
            "model": Path(MODEL).name,
            "sha256": SHA256,
            "input": [WIDTH, HEIGHT],
            "license": "MIT by the package's metadata; the project HyperLPR: Apache-2.0",
            "training_data": "unknown: HyperLPR's authors do not name it",
        }

    def _read_batch(self, images: Sequence[np.ndarray]) -> list[Reading]:
        small = np.stack([cv2.resize(image, _SIZE) for image in images])
        # RGB, height before width → BGR, width before height.
        planes = torch.from_numpy(small).flip(3).permute(0, 3, 2, 1).float() / 255.0
        with torch.inference_mode():
            probabilities = self._network(planes).numpy()
        return ctc.decode(probabilities[:, _FIRST:], CLASSES)


def _model() -> Path:
    """The file of weights inside the installed package; it is never downloaded."""
    try:
        return Path(str(metadata.distribution("hyperlpr").locate_file(MODEL)))
    except metadata.PackageNotFoundError:
        raise UserError(f"HyperLPR, whose recognizer reads the plates, is not installed: {_REMEDY}") from None
