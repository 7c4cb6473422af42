"""The OCR engine ``crnn``: a small reader trained by this project on synthetic plates alone.

It shares neither weights nor training pictures with PP-OCR, nor with any network that a method is
trained with. The network is in ``crnn_network``; its weights lie in this package, and
``python -m benchmark data reader FILE`` trains them anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from benchmark.ocr.crnn_network import Crnn
from benchmark.ocr.reading import ALPHABET, HEIGHT, WIDTH, Reading
from benchmark.ocr.torch_batches import read_in_threads
from benchmark.util.errors import UserError, first_line

WEIGHTS = Path(__file__).with_name("crnn.safetensors")
VERSION = "1"


class CrnnEngine:
    """Reads with the CRNN on the CPU, ``threads`` batches at a time.

    ``weights``: a file of ``data reader``; the package's own by default. Raises UserError where
    it cannot be used. Torch's settings and random state are left as they were.
    """

    def __init__(self, threads: int = 1, weights: Path = WEIGHTS) -> None:
        self._threads, self._file = threads, weights
        network, self._sha256 = load_reader(weights)
        self._network = _for_reading(network)

    @property
    def alphabet(self) -> frozenset[str]:
        return frozenset(ALPHABET)

    def read(self, images: Sequence[np.ndarray]) -> list[Reading]:
        """Readings of uint8 48×168×3 RGB pictures, in their order. Raises ValueError for others."""
        return read_in_threads(self._read_batch, images, self._threads)

    def describe(self) -> dict[str, Any]:
        return {
            "name": "crnn",
            "version": VERSION,
            "model": self._file.name,
            "sha256": self._sha256,
            "input": [WIDTH, HEIGHT],
        }

    def _read_batch(self, images: Sequence[np.ndarray]) -> list[Reading]:
        with torch.inference_mode():
            rgb = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255.0
            return self._network.read(rgb)


def load_reader(file: Path) -> tuple[Crnn, str]:
    """The network with the weights in ``file``, ready to read, and the file's SHA-256.

    Raises UserError for a file that is missing, is no safetensors file, or holds other weights.
    """
    remedy = f"`python -m benchmark data reader {file}` trains them anew"
    try:
        content = file.read_bytes()
        stored = load(content)
    except (OSError, SafetensorError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or first_line(error)
        raise UserError(f"the weights of the OCR engine crnn cannot be read from {file} ({reason}): {remedy}") from None
    with torch.device("meta"):  # no random number is drawn for weights that are replaced
        network = Crnn()
    shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    if {name: tensor.shape for name, tensor in stored.items()} != shapes:
        raise UserError(f"{file} holds the weights of another network than the OCR engine crnn: {remedy}")
    if not all(bool(tensor.isfinite().all()) for tensor in stored.values()):
        raise UserError(f"{file} holds weights that are not finite: {remedy}")
    floats = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in stored.items()}
    network.load_state_dict(floats, assign=True)
    return network.eval().requires_grad_(False), hashlib.sha256(content).hexdigest()


def _for_reading(network: Crnn) -> Crnn:
    """The same network with normalisation folded into the convolutions, and channels last: a fifth less time.

    Logits move by about 1e-5.
    """
    folded: list[nn.Module] = []
    for layer in network.features:
        if isinstance(layer, nn.BatchNorm2d):
            convolution = folded.pop()
            assert isinstance(convolution, nn.Conv2d), "normalisation follows a convolution"
            layer = fuse_conv_bn_eval(convolution, layer)
        folded.append(layer)
    network.features = nn.Sequential(*folded).to(memory_format=torch.channels_last)
    return network.requires_grad_(False)
