"""Networks trained beforehand that judge pictures during training: VGG-19 (ESRGAN), ResNet-18 (PECL).

torchvision provides both networks and their ImageNet weights, which are read from torchvision's
cache and downloaded into it when they are not there. ``init="plates"`` is a ResNet-18 that has
learnt to read synthetic plates; its file lies in the same cache, once somebody has made it. So does that of the
reader of patches.
``init="random"`` goes without, openly.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from torchvision.models import ResNet, WeightsEnum

Init = Literal["imagenet", "plates", "random"]

PLATES_FILE = "resnet18-synthetic-plates.safetensors"
"""File name of the plate-reading ResNet-18 (its state without the last layer), in torch hub's checkpoints."""

PATCHES_FILE = "resnet18-synthetic-patches.safetensors"
"""File name of the :class:`PatchReader`, beside it."""

_COMMANDS = {PLATES_FILE: "data embedder", PATCHES_FILE: "data patch-reader"}

_TIMEOUT = 10.0
"""Seconds of silence after which a download is given up."""


class MissingWeights(RuntimeError):
    """Weights are neither cached nor to be had; the one-line message says what to do."""


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
    elif init == "plates":
        path = _own_file(PLATES_FILE, alternative)
        last = frozenset({"fc.weight", "fc.bias"})
        _load(network, _read(path), path, "a ResNet-18 without its last layer", last)
    return network


def resnet18_plates_features(alternative: str) -> nn.Module:
    """The plate-reading ResNet-18 up to its third stage, frozen: N×3×H×W, RGB in [0, 1] → N×256×H/16×W/16.

    As deep, by the size of what it returns, as the VGG-19 features it stands in for. Raises :class:`MissingWeights`.
    """
    return _three_stages(resnet18("plates", alternative)).eval().requires_grad_(False)


def _three_stages(network: ResNet) -> nn.Sequential:
    stages = [network.conv1, network.bn1, network.relu, network.maxpool, network.layer1, network.layer2, network.layer3]
    return nn.Sequential(ImageNetNormalise(), *stages)


class PatchReader(nn.Module):
    """What stands at each place of a patch: N×3×H×W, RGB in [0, 1], H, W ≥ 16 → logits N×classes×H/16×W/16.

    ResNet-18 up to its third stage and a linear classifier.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = _three_stages(resnet18("random", ""))
        self.classify = nn.Conv2d(256, classes, 1)

    def forward(self, rgb: Tensor) -> Tensor:
        logits: Tensor = self.classify(self.features(rgb))
        return logits


def patch_reader(alternative: str) -> nn.Module:
    """The trained :class:`PatchReader`, frozen. Raises :class:`MissingWeights`."""
    path = _own_file(PATCHES_FILE, alternative)
    state = _read(path)
    network = PatchReader(max(1, len(state.get("classify.bias", ()))))
    _load(network, state, path, "a reader of patches")
    return network.eval().requires_grad_(False)


def vgg19_conv5_4(init: Literal["imagenet", "random"], alternative: str) -> nn.Module:
    """VGG-19 up to conv5_4, before its ReLU, frozen, fed with RGB in [0, 1]: N×3×H×W → N×512×H/16×W/16.

    Needs H, W ≥ 16. The random network is Kaiming-initialised and always the same one, whatever
    the run's seed: it need not be stored. Raises :class:`MissingWeights`.
    """
    return nn.Sequential(ImageNetNormalise(), _vgg19(init, alternative)).eval().requires_grad_(False)


def vgg19_pyramid(init: Literal["imagenet", "random"], alternative: str) -> nn.Module:
    """As :func:`vgg19_conv5_4`, but five depths of it in one row a picture: N×3×H×W → N×K.

    They are scaled so that the mean absolute difference of two outputs is 0.1, 0.1, 1, 1 and 1 times those of conv1_2,
    conv2_2, conv3_4, conv4_4 and conv5_4 (before their ReLU), as Real-ESRGAN weighs them.
    """
    return nn.Sequential(ImageNetNormalise(), _Pyramid(_vgg19(init, alternative))).eval().requires_grad_(False)


class _Pyramid(nn.Module):
    weights: ClassVar[dict[int, float]] = {2: 0.1, 7: 0.1, 16: 1.0, 25: 1.0, 34: 1.0}  # by place in VGG-19

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: Tensor) -> Tensor:
        rows = []
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if i in self.weights:
                row = x.flatten(1)
                rows.append(row * (self.weights[i] / row.shape[1]))  # a new tensor: the ReLU that follows is in place
        size = sum(row.shape[1] for row in rows)
        return size * torch.cat(rows, dim=1)


def _vgg19(init: Literal["imagenet", "random"], alternative: str) -> nn.Sequential:
    """The layers of VGG-19 up to conv5_4."""
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
    return features


def weights_folder() -> Path:
    """Where torch keeps weights. Raises :class:`MissingWeights` without a home directory: torch would then make a
    folder named ``~`` in the working folder."""
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    if folder.parts[0] == "~":
        raise MissingWeights("no home directory to keep weights in: set TORCH_HOME to a folder for them")
    return folder


def _own_file(name: str, alternative: str) -> Path:
    """Where a network that this project trains lies. Raises :class:`MissingWeights` if it does not."""
    path = weights_folder() / name
    if not path.is_file():
        raise MissingWeights(
            f"there is no {path}: `python -m benchmark {_COMMANDS[name]}` makes it, or go on without: {alternative}"
        )
    return path


def plates_weights_hash(alternative: str) -> str:
    """SHA-256 of the plate-reading ResNet-18's file. Raises :class:`MissingWeights`."""
    return hashlib.sha256(_own_file(PLATES_FILE, alternative).read_bytes()).hexdigest()


def patches_weights_hash(alternative: str) -> str:
    """SHA-256 of the file of the reader of patches. Raises :class:`MissingWeights`."""
    return hashlib.sha256(_own_file(PATCHES_FILE, alternative).read_bytes()).hexdigest()


def _read(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except Exception as error:  # cut or foreign: to the user it is all the same
        raise _unusable(path, error) from error


def _load(
    network: nn.Module, state: dict[str, Tensor], path: Path, what: str, absent: frozenset[str] = frozenset()
) -> None:
    """Load all but ``absent``. Raises :class:`MissingWeights` if the file does not hold ``what``."""
    try:
        missing, unknown = network.load_state_dict(state, strict=False)
    except RuntimeError as error:  # other shapes
        raise _unusable(path, error) from error
    if set(missing) != absent or unknown:
        raise MissingWeights(f"{path} does not hold {what}: remove it")


def _unusable(path: Path, error: Exception) -> MissingWeights:
    return MissingWeights(f"{path} cannot be used ({str(error).splitlines()[0]}): remove it")


def imagenet_weights(weights: WeightsEnum, alternative: str) -> dict[str, Any]:
    """State dict of torchvision's ``weights``, from its cache or else downloaded into it."""
    weights_folder()
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
