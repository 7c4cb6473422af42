"""The network behind the OCR engine ``crnn``.

Shi, Bai & Yao, *An End-to-End Trainable Neural Network for Image-based Sequence Recognition*, arXiv
1507.05717: convolutions turn the picture into a sequence of columns, a bidirectional LSTM reads the
sequence, connectionist temporal classification (Graves et al., ICML 2006) makes a text of it. Fewer
and narrower layers than there: a plate has 67 possible characters in one hand.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.ocr import ctc
from benchmark.ocr.reading import ALPHABET, HEIGHT, Reading

CLASSES = ("", *ALPHABET)


class Crnn(nn.Module):
    """RGB in [0, 1], N×3×48×168 → logits N×42×68: blank (class 0) or one of ALPHABET every 4 pixels.

    Every picture is first brought to mean 0 and variance 1, so that light and contrast do not matter.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_layer(3, 32, 3, stride=2, padding=1),
            *_layer(32, 48, 3, stride=2, padding=1),
            *_layer(48, 64, 3, padding=1),
            *_layer(64, 96, 3, stride=(2, 1), padding=1),
            *_layer(96, 96, 3, padding=1),
            *_layer(96, 128, (HEIGHT // 8, 1)),
        )
        self.sequence = nn.LSTM(128, 96, bidirectional=True, batch_first=True)
        self.classify = nn.Linear(2 * 96, 1 + len(ALPHABET))

    def forward(self, rgb: Tensor) -> Tensor:
        deviation, mean = torch.std_mean(rgb, dim=(1, 2, 3), keepdim=True)
        columns: Tensor = self.features((rgb - mean) / (deviation + 0.01)).squeeze(2).transpose(1, 2)
        logits: Tensor = self.classify(self.sequence(columns)[0])
        return logits

    def loss(self, rgb: Tensor, texts: Sequence[str]) -> Tensor:
        """CTC loss. On the CPU whatever the device: CUDA's is not deterministic."""
        logits = self(rgb).log_softmax(dim=2).transpose(0, 1).cpu()
        targets = torch.tensor([1 + ALPHABET.index(c) for text in texts for c in text])
        lengths = torch.tensor([len(text) for text in texts])
        steps = torch.full((len(texts),), len(logits))
        return F.ctc_loss(logits, targets, steps, lengths)

    def read(self, rgb: Tensor) -> list[Reading]:
        """What N×3×48×168 pictures say."""
        return ctc.decode(self(rgb).softmax(dim=2).cpu().numpy(), CLASSES)


def _layer(
    inputs: int, outputs: int, kernel: int | tuple[int, int], *, stride: int | tuple[int, int] = 1, padding: int = 0
) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=padding, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]
