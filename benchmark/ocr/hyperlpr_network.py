"""The network behind the OCR engine ``hyperlpr``, and how its weights are read from a Caffe model.

HyperLPR's recognizer (`SegmenationFree-Inception`, spelt so): convolutions see the plate from left to right, four
kernels look at one, three, five and seven neighbouring columns, and each column is classified for CTC.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import torch
from torch import Tensor, nn

CLASSES = (
    *"京沪津渝冀晋蒙辽吉黑苏浙皖闽赣鲁豫鄂湘粤桂琼川贵云藏陕甘青宁新",
    *"0123456789ABCDEFGHJKLMNPQRSTUVWXYZ",
    *"港学使警澳挂军北南广沈兰成济海民航空",
    "",  # the blank
)
NORMALISED_BY = {
    "conv0": "bn0",
    "conv1": "bn1",
    "conv2": "bn2",
    "conv2d_1": "batch_normalization_1",
    "conv2d_2": "batch_normalization_2",
    "conv2d_3": "batch_normalization_3",
    "conv2d_4": "batch_normalization_4",
    "conv2d_5": "batch_normalization_5",
    "conv_1024_11": "batch_normalization_6",
}
"""Convolutions that a batch normalisation follows."""
_EPSILON = 0.001


class HyperLprNetwork(nn.Module):
    """BGR in [0, 1], width before height: N×3×160×40 → probabilities N×20×84 of CLASSES, every 8 columns.

    Layers have their names in the Caffe model. Normalisation is part of the convolutions.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(3, 32, 3, padding=1)
        self.conv1 = nn.Conv2d(32, 64, 3, padding=1)
        self.conv2 = nn.Conv2d(64, 128, 3, padding=1)
        self.conv2d_1 = nn.Conv2d(128, 256, (1, 5))
        self.conv2d_2 = nn.Conv2d(256, 256, (7, 1), padding=(3, 0))
        self.conv2d_3 = nn.Conv2d(256, 256, (5, 1), padding=(2, 0))
        self.conv2d_4 = nn.Conv2d(256, 256, (3, 1), padding=(1, 0))
        self.conv2d_5 = nn.Conv2d(256, 256, 1)
        self.conv_1024_11 = nn.Conv2d(1024, 1024, 1)
        self.conv_class_11 = nn.Conv2d(1024, len(CLASSES), 1)

    def forward(self, bgr: Tensor) -> Tensor:
        x = bgr
        for convolution in (self.conv0, self.conv1, self.conv2):
            x = nn.functional.max_pool2d(convolution(x).relu(), 2)
        x = self.conv2d_1(x).relu()
        x = torch.cat([self.conv2d_2(x), self.conv2d_3(x), self.conv2d_4(x), self.conv2d_5(x)], dim=1).relu()
        logits: Tensor = self.conv_class_11(self.conv_1024_11(x).relu())
        return logits.squeeze(3).transpose(1, 2).softmax(dim=2)


def load_caffe(model: bytes) -> HyperLprNetwork:
    """The network with the weights of HyperLPR's Caffe model, ready to read. Other models raise any error."""
    blobs = read_blobs(model)
    weights: dict[str, Tensor] = {}
    with torch.device("meta"):  # no random number is drawn for weights that are replaced
        network = HyperLprNetwork()
    for name, convolution in network.named_children():
        assert isinstance(convolution, nn.Conv2d)
        kernel, bias = blobs[name][0].reshape(convolution.weight.shape), blobs[name][1]
        if name in NORMALISED_BY:
            # Caffe stores sums of the running statistics and what to divide them by.
            mean, variance, count = blobs[NORMALISED_BY[name]]
            gain, shift = blobs[f"{NORMALISED_BY[name]}_scale"]
            factor = gain / np.sqrt(variance / count + _EPSILON)
            kernel, bias = kernel * factor[:, None, None, None], (bias - mean / count) * factor + shift
        weights[f"{name}.weight"] = torch.from_numpy(kernel).float()
        weights[f"{name}.bias"] = torch.from_numpy(bias).float()
    network.load_state_dict(weights, assign=True)
    # A third less time than with channels first.
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def read_blobs(model: bytes) -> dict[str, list[np.ndarray]]:
    """The weights of a Caffe model by layer: flat float64 arrays.

    Of the format only what this model uses: NetParameter.layer is field 100, LayerParameter.name 1 and .blobs 7,
    BlobProto.data 5 (float32), or .raw_data 12, OpenCV's way to store float16.
    """
    layers = {}
    for layer in _fields(model)[100]:
        parts = _fields(layer)
        layers[parts[1][0].decode()] = [_array(_fields(blob)).astype(np.float64) for blob in parts[7]]
    return layers


def _array(blob: dict[int, list[bytes]]) -> np.ndarray:
    return np.frombuffer(blob[5][0], "<f4") if blob[5] else np.frombuffer(blob[12][0], "<f2")


def _fields(message: bytes) -> dict[int, list[bytes]]:
    """Contents of a protocol buffer message's length-delimited fields, by number; other fields are skipped."""
    contents: dict[int, list[bytes]] = defaultdict(list)
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        number, kind = divmod(varint(), 8)
        if kind == 2:
            size = varint()
            contents[number].append(message[at : at + size])
            at += size
        elif kind == 0:
            varint()
        else:
            at += {1: 8, 5: 4}[kind]
    return contents
