"""Losses that any network can be trained with beside its own. The weight of each is 0 unless it is asked for.

``reader_features``   what a plate reader's convolutions see in SR and in HR (the idea of Lee et al., 2020, who put a
                      text recogniser in VGG's place);
``gradient_profile``  how steep SR and HR are at every pixel (TSRN; Lu et al., 2023, name the same quantity).

A reader is never an engine that scores: it is a network of its own seed, trained on synthetic plates of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.base import Losses
from methods.blocks.critics import at_least
from methods.blocks.losses import gradient_profile_loss
from methods.blocks.pretrained import plates_weights_hash, resnet18_plates_features
from methods.options import MethodOptions


@dataclass(frozen=True, kw_only=True)
class LossOptions(MethodOptions):
    """Weights of the losses that are added to a method's own, in every phase of its training."""

    reader_features: float = 0.0
    """Weight of a further loss: mean absolute difference between the features of SR and HR in a ResNet-18 that reads
    synthetic plates (``python -m benchmark data embedder``). 0: no such loss."""
    gradient_profile: float = 0.0
    """Weight of a further loss: mean absolute difference of how steep SR and HR are at each pixel. 0: no such loss."""

    def __post_init__(self) -> None:
        for name in NAMES:
            if not getattr(self, name) >= 0.0:
                raise ValueError(f"{name} must not be negative, but is {getattr(self, name)}")


NAMES = tuple(field.name for field in fields(LossOptions))


def weights(options: LossOptions) -> dict[str, float]:
    """Weights that are not 0, by name."""
    return {name: getattr(options, name) for name in NAMES if getattr(options, name)}


def external_weights(options: LossOptions, family: str) -> dict[str, str]:
    """Hashes of the readers' files, by what they are used for. Raises MissingWeights."""
    if not options.reader_features:
        return {}
    return {"reader_features": plates_weights_hash(f"--set {family}.reader_features=0")}


class ExtraLosses:
    """The losses of ``options`` and the frozen networks that they need. Raises MissingWeights."""

    def __init__(self, options: LossOptions, family: str, to_device: Callable[[nn.Module], nn.Module]) -> None:
        self.weights = weights(options)
        self.reader: nn.Module | None = None
        if options.reader_features:
            self.reader = to_device(resnet18_plates_features(f"--set {family}.reader_features=0"))

    def add(self, losses: Losses, sr: Tensor, hr: Tensor, run: Callable[[nn.Module, Tensor], Tensor]) -> Losses:
        """``losses`` with these in its total and, by name, beside it. ``run`` evaluates a network."""
        total, terms = losses["total"], {}
        for name, weight in self.weights.items():
            term = gradient_profile_loss(sr, hr) if name == "gradient_profile" else self._features(sr, hr, run)
            total = total + weight * term
            terms[name] = term.detach()
        return {**losses, "total": total, **terms}

    def _features(self, sr: Tensor, hr: Tensor, run: Callable[[nn.Module, Tensor], Tensor]) -> Tensor:
        assert self.reader is not None
        with torch.no_grad():
            target = run(self.reader, at_least(hr, 16))
        return F.l1_loss(run(self.reader, at_least(sr, 16)), target)


def notes(title: str, options: LossOptions, published: LossOptions, files: dict[str, str]) -> list[str]:
    """A sentence for each loss whose weight is not the method's ``published`` one."""
    called = {
        "reader_features": "the features of a ResNet-18 that reads synthetic plates",
        "gradient_profile": "the gradient profile",
    }
    changed = [name for name in NAMES if getattr(options, name) != getattr(published, name)]
    return [
        f"{title} is trained with a loss on {called[name]}, weight {getattr(options, name):g} (ours)"
        + (f", SHA-256 {files[name][:12]}." if name in files else ".")
        for name in changed
    ]
