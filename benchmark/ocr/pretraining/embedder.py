"""ResNet-18 that learns to read plates, so that PECL's embedder has something to start from.

It is no OCR engine and must never be one: a method is trained with its features. The engines are other
networks, trained on other plates.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import resnet18

from benchmark.ocr.reading import ALPHABET, Reading
from methods.blocks.pretrained import ImageNetNormalise

PLACES = 8
"""Characters of a green plate; a blue one leaves the last place empty."""


class PlateResNet(nn.Module):
    """RGB in [0, 1], N×3×48×168 → logits N×8×68: empty (class 0) or one of ALPHABET at each place.

    torchvision's ResNet-18, fed as PECL feeds it, up to its last feature map, whose columns are spread over
    the eight places; each place has a linear classifier of its own. ``resnet`` is what is kept.
    """

    spread: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.normalise = ImageNetNormalise()
        self.resnet = resnet18(weights=None)
        self.resnet.fc = nn.Identity()
        self.classify = nn.Parameter(0.02 * torch.randn(PLACES, 512, 1 + len(ALPHABET)))
        # Bilinear resampling of the 6 columns to 8 places, as a matrix: its gradient is deterministic on CUDA.
        columns = torch.eye(6)[None]
        self.register_buffer("spread", F.interpolate(columns, PLACES, mode="linear")[0], persistent=False)

    def forward(self, rgb: Tensor) -> Tensor:
        r = self.resnet
        x = r.maxpool(r.relu(r.bn1(r.conv1(self.normalise(rgb)))))
        x = r.layer4(r.layer3(r.layer2(r.layer1(x)))).mean(dim=2)
        return torch.einsum("ncw,wp,pck->npk", x, self.spread, self.classify)

    def loss(self, rgb: Tensor, texts: Sequence[str]) -> Tensor:
        """Cross entropy, the mean over plates and places."""
        targets = torch.zeros(len(texts), PLACES, dtype=torch.long)
        for row, text in zip(targets, texts):
            row[: len(text)] = torch.tensor([1 + ALPHABET.index(c) for c in text])
        return F.cross_entropy(self(rgb).flatten(0, 1), targets.flatten().to(rgb.device))

    def read(self, rgb: Tensor) -> list[Reading]:
        """What N×3×48×168 pictures say."""
        probabilities, classes = self(rgb).softmax(dim=2).cpu().max(dim=2)
        texts = ["".join(ALPHABET[k - 1] for k in row if k) for row in classes.tolist()]
        return [Reading(text, float(p.mean())) for text, p in zip(texts, probabilities)]
