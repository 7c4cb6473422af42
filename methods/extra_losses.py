"""Losses that any network can be trained with beside its own. The weight of each is 0 unless it is asked for.

``reader_features``   what a plate reader's convolutions see in SR and in HR (the idea of Lee et al., 2020, who put a
                      text recogniser in VGG's place);
``reader_posteriors`` what a plate reader takes each place of SR and of HR for (distillation; what can be trained of the
                      recognition losses of LPSRGAN and LCDNet, as patches have no texts);
``gradient_profile``  how steep SR and HR are at every pixel (TSRN; Lu et al., 2023, name the same quantity).

A reader is never an engine that scores: it is a network of its own seed, trained on synthetic plates of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.base import Losses
from methods.blocks.critics import at_least
from methods.blocks.losses import gradient_profile_loss, posterior_distillation
from methods.blocks.pretrained import (
    patch_reader,
    patches_weights_hash,
    plates_weights_hash,
    resnet18_plates_features,
)
from methods.options import MethodOptions

TEMPERATURE = 1.5
"""Softens both verdicts of ``reader_posteriors``: that of the one public precedent (Elier87/xlpsr_lpsrgan), which
distils a text recogniser into LPSRGAN at a weight of 0.05."""


@dataclass(frozen=True, kw_only=True)
class LossOptions(MethodOptions):
    """Weights of the losses that are added to a method's own, in every phase of its training."""

    reader_features: float = 0.0
    """Weight of a further loss: mean absolute difference between the features of SR and HR in a ResNet-18 that reads
    synthetic plates (``python -m benchmark data embedder``). 0: no such loss."""
    reader_posteriors: float = 0.0
    """Weight of a further loss: how far what a reader of patches (``python -m benchmark data patch-reader``) takes each
    place of SR for is from what it takes HR for. 0: no such loss; 0.05 has a precedent."""
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


@dataclass(frozen=True)
class Reader:
    """A frozen network whose outputs for SR and HR are compared."""

    load: Callable[[str], nn.Module]
    """Given the option that goes without it. Raises MissingWeights, as does ``sha256``, of its file."""
    sha256: Callable[[str], str]
    compare: Callable[[Tensor, Tensor], Tensor]


READERS = {
    "reader_features": Reader(resnet18_plates_features, plates_weights_hash, F.l1_loss),
    "reader_posteriors": Reader(
        patch_reader, patches_weights_hash, partial(posterior_distillation, temperature=TEMPERATURE)
    ),
}


def external_weights(options: LossOptions, family: str) -> dict[str, str]:
    """Hashes of the readers' files, by what they are used for. Raises MissingWeights."""
    return {name: READERS[name].sha256(_without(name, family)) for name in weights(options) if name in READERS}


def _without(name: str, family: str) -> str:
    return f"--set {family}.{name}=0"


class ExtraLosses:
    """The losses of ``options`` and the frozen networks that they need. Raises MissingWeights."""

    def __init__(self, options: LossOptions, family: str, to_device: Callable[[nn.Module], nn.Module]) -> None:
        self.weights = weights(options)
        self.readers = {
            name: to_device(READERS[name].load(_without(name, family))) for name in self.weights if name in READERS
        }

    def add(self, losses: Losses, sr: Tensor, hr: Tensor, run: Callable[[nn.Module, Tensor], Tensor]) -> Losses:
        """``losses`` with these in its total and, by name, beside it. ``run`` evaluates a network."""
        total, terms = losses["total"], {}
        for name, weight in self.weights.items():
            term = self._read(name, sr, hr, run) if name in self.readers else gradient_profile_loss(sr, hr)
            total = total + weight * term
            terms[name] = term.detach()
        return {**losses, "total": total, **terms}

    def _read(self, name: str, sr: Tensor, hr: Tensor, run: Callable[[nn.Module, Tensor], Tensor]) -> Tensor:
        reader = self.readers[name]
        with torch.no_grad():
            target = run(reader, at_least(hr, 16))
        return READERS[name].compare(run(reader, at_least(sr, 16)), target)


def notes(title: str, options: LossOptions, published: LossOptions, files: dict[str, str]) -> list[str]:
    """A sentence for each loss whose weight is not the method's ``published`` one."""
    called = {
        "reader_features": "the features of a ResNet-18 that reads synthetic plates",
        "reader_posteriors": "what a reader of patches of synthetic plates takes each place for",
        "gradient_profile": "the gradient profile",
    }
    changed = [name for name in NAMES if getattr(options, name) != getattr(published, name)]
    return [
        f"{title} is trained with a loss on {called[name]}, weight {getattr(options, name):g} (ours)"
        + (f", SHA-256 {files[name][:12]}." if name in files else ".")
        for name in changed
    ]
