"""How training computes: precision, memory layout, compilation. One choice for all methods of a run.

Weights, losses, gradients and optimisers are fp32 throughout, and so is all upscaling: what is
chosen here reaches a method's networks through :class:`Runner` while it trains, and nothing else.
"""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

_FAITHFUL = {"fp32": 1e-3, "tf32": 1e-2, "bf16": 1e-1}
"""How far a compiled network may be from the same network uncompiled, relative to its largest value."""


@dataclass(frozen=True)
class Acceleration:
    """What a run asks for. The default changes no number but by the rounding of a memory layout."""

    precision: Literal["fp32", "tf32", "bf16"] = "fp32"
    """``bf16``: networks under autocast in training. ``tf32`` is a switch of the process, set by the engine."""
    memory_format: Literal["auto", "contiguous", "channels_last"] = "auto"
    """``auto``: channels last but on CUDA in fp32, where convolutions have no tensor cores to feed."""
    compile: Literal["none", "default", "cudagraphs"] = "none"
    """``default``: networks through torch.compile in training; ``cudagraphs``: and replayed as CUDA graphs."""

    def require(self, device: torch.device) -> None:
        """Raise ValueError, naming the way on, where ``device`` cannot do what is asked for."""
        cuda = device.type == "cuda"
        if self.precision == "tf32" and not (cuda and torch.cuda.get_device_capability(device) >= (8, 0)):
            raise ValueError(f"{device} does not compute in tf32 (CUDA from Ampere on does): take precision=fp32")
        if self.precision == "bf16" and cuda and torch.cuda.get_device_capability(device) < (8, 0):
            raise ValueError(f"{device} does not compute in bf16 (CUDA from Ampere on does): take precision=fp32")
        if self.compile == "cudagraphs" and not cuda:
            raise ValueError(f"there are no CUDA graphs on {device}: take compile=default or compile=none")

    def layout(self, device: torch.device) -> torch.memory_format:
        """The memory format of networks and images on ``device``."""
        last = self.memory_format == "channels_last"
        if self.memory_format == "auto":
            last = device.type == "cpu" or self.precision != "fp32"
        return torch.channels_last if last else torch.contiguous_format

    def autocast(self, device: torch.device) -> AbstractContextManager[Any]:
        """The context that training's networks run in."""
        return torch.autocast(device.type, torch.bfloat16) if self.precision == "bf16" else nullcontext()


class Runner:
    """A network as training runs it: called like the network, on one tensor; its result is float32.

    The first call compiles, if that is asked for, and compares with the network as it is. What ``facts`` gain:
    ``output_difference`` and ``gradient_difference``, the largest of all networks of the method, relative to the
    largest value; ``not_compiled``, why networks run as they are: they cannot be compiled here, or are not the
    same then.
    """

    def __init__(
        self, network: nn.Module, acceleration: Acceleration, device: torch.device, facts: dict[str, Any]
    ) -> None:
        self.network = network
        self.acceleration = acceleration
        self.device = device
        self.facts = facts
        self._layout = acceleration.layout(device)
        self._run = network
        self._waiting = acceleration.compile != "none"

    def __call__(self, images: Tensor) -> Tensor:
        if images.ndim == 4:
            images = images.contiguous(memory_format=self._layout)
        if self._waiting:
            self._waiting = False
            self._compile(images)
        return self._forward(self._run, images)

    def _forward(self, network: nn.Module, images: Tensor) -> Tensor:
        with self.acceleration.autocast(self.device):
            result: Tensor = network(images)
        return result.float()

    def _compile(self, images: Tensor) -> None:
        graphs = self.acceleration.compile == "cudagraphs"
        # With fallback_random, dropout draws what it draws uncompiled.
        options: Any = {"fallback_random": True, "triton.cudagraphs": graphs}
        try:
            compiled: Any = torch.compile(self.network, dynamic=False, options=options)
            expected = self._probe(self.network, images)
            if graphs:
                self._probe(compiled, images)  # warms up; the next one is recorded, and replayed
            differences = self._differences(self._probe(compiled, images), expected)
            if not all(difference <= _FAITHFUL[self.acceleration.precision] for difference in differences):
                raise ArithmeticError(f"compiled, it is off by {differences[0]:.1g} (gradients: {differences[1]:.1g})")
            for name, difference in zip(("output_difference", "gradient_difference"), differences):
                self.facts[name] = max(difference, self.facts.get(name, 0.0))
            self._run = compiled
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # no compiler, no Triton, an operator it does not know: whatever the platform lacks
            reason = f"{type(error).__name__}: {error}".splitlines()[0][:300]
            self.facts.setdefault("not_compiled", []).append(reason)
            warnings.warn(f"compile={self.acceleration.compile} does not work here: {reason}", stacklevel=2)

    def _probe(self, network: nn.Module, images: Tensor) -> tuple[Tensor, ...]:
        """Output and gradients for ``images``, leaving buffers and random generators as they were."""
        cuda = self.device.type == "cuda"
        buffers = {name: buffer.clone() for name, buffer in self.network.named_buffers()}
        learning: list[Tensor] = [p for p in self.network.parameters() if p.requires_grad]
        given = images.detach().requires_grad_(not learning)  # a frozen network hands gradients on
        with torch.enable_grad(), torch.random.fork_rng(devices=[self.device] if cuda else []):
            output = self._forward(network, given)
            # Every value with a weight of its own: the plain sum of unit vectors' squares has no gradient.
            weights = torch.linspace(-1.0, 1.0, output.numel(), device=self.device).view(output.shape)
            gradients = torch.autograd.grad((output * weights).mean(), learning or [given], allow_unused=True)
        with torch.no_grad():
            for name, buffer in self.network.named_buffers():
                buffer.copy_(buffers[name])
        return (output.detach().clone(), *(g.clone() for g in gradients if g is not None))

    @staticmethod
    def _differences(ours: tuple[Tensor, ...], theirs: tuple[Tensor, ...]) -> tuple[float, float]:
        def largest(tensors: list[Tensor]) -> float:
            return torch.stack([tensor.abs().max() for tensor in tensors]).max().item()

        def relative(ours: tuple[Tensor, ...], theirs: tuple[Tensor, ...]) -> float:
            return largest([a - b for a, b in zip(ours, theirs, strict=True)]) / (largest(list(theirs)) or 1.0)

        return relative(ours[:1], theirs[:1]), relative(ours[1:], theirs[1:])


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """``optimizer.load_state_dict``, with moments in the memory layout of their parameters.

    Fused optimisers take it for granted; a checkpoint may come from a device with another layout.
    """
    optimizer.load_state_dict(state)
    for parameter, moments in optimizer.state.items():
        for name, value in moments.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape and value.stride() != parameter.stride():
                moments[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
