"""Networks trained on ImageNet that judge pictures during training: VGG-19 (ESRGAN), ResNet-18 (PECL).

torchvision provides both networks and their weights, which are read from torchvision's cache and
downloaded into it when they are not there. ``init="random"`` goes without, openly.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from torchvision.models import ResNet, WeightsEnum

Init = Literal["imagenet", "random"]

_TIMEOUT = 10.0
"""Seconds of silence after which a download is given up."""


class MissingWeights(RuntimeError):
    """ImageNet weights are neither cached nor to be had; the one-line message says what to do."""


class ImageNetNormalise(nn.Module):
    """RGB in [0, 1] → the zero-mean, unit-variance scale that ImageNet networks are fed with."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name, values in (("mean", (0.485, 0.456, 0.406)), ("std", (0.229, 0.224, 0.225))):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    def forward(self, rgb: Tensor) -> Tensor:
        return (rgb - self.mean) / self.std


def resnet18(init: Init, alternative: str) -> ResNet:
    """ResNet-18 with its 1000-class layer. ``alternative`` is the option that goes without weights.

    Random initialisation draws from torch's global generator. Raises :class:`MissingWeights`.
    """
    from torchvision import models  # seconds of import time: only where it is used

    network = models.resnet18(weights=None)
    if init == "imagenet":
        network.load_state_dict(imagenet_weights(models.ResNet18_Weights.IMAGENET1K_V1, alternative))
    return network


def vgg19_conv5_4(init: Init, alternative: str) -> nn.Module:
    """VGG-19 up to conv5_4, before its ReLU, frozen, fed with RGB in [0, 1]: N×3×H×W → N×512×H/16×W/16.

    Needs H, W ≥ 16. The random network is Kaiming-initialised and always the same one, whatever
    the run's seed: it need not be stored. Raises :class:`MissingWeights`.
    """
    from torchvision import models

    with torch.device("meta"):  # most of VGG-19 is its classifier, which is not wanted
        features = models.vgg19(weights=None, init_weights=False).features[:35]
    features.to_empty(device="cpu")
    if init == "imagenet":
        state = imagenet_weights(models.VGG19_Weights.IMAGENET1K_V1, alternative)
        prefix = "features."
        features.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
    else:
        generator = torch.Generator().manual_seed(19)
        for layer in features:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)
    return nn.Sequential(ImageNetNormalise(), features).eval().requires_grad_(False)


def imagenet_weights(weights: WeightsEnum, alternative: str) -> dict[str, Any]:
    """State dict of torchvision's ``weights``, from its cache or else downloaded into it."""
    try:
        with _socket_timeout(_TIMEOUT):
            return dict(weights.get_state_dict(progress=False, check_hash=True))
    except Exception as error:  # offline, refused, cut short, unreadable: to the user it is all the same
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise MissingWeights(
            f"ImageNet weights {weights.url.rsplit('/', 1)[-1]} cannot be had ({reason}): "
            f"put the file into {torch.hub.get_dir()}/checkpoints, or go on without: {alternative}"
        ) from error


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    """torch.hub takes no timeout of its own, and an unreachable host can stall it for minutes."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
