"""What every method promises, as checks that can be run on one: ``python -m benchmark validate``.

The project's own tests run the same checks on its own methods. They need a few seconds on a CPU
and nothing of ``benchmark``: the session here yields random patches.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.nn.utils.parametrize import ParametrizationList

from methods.base import SCALE, Batch, Losses, Method, Phase, Recipe
from methods.engine.acceleration import Acceleration
from methods.network import NetworkMethod

Make = Callable[[], Method]
"""Makes a new, untrained method; equal ones where torch's generator is seeded equally."""


class ContractBroken(AssertionError):
    """A method does not keep a promise; the message says which."""


def expect(condition: bool | Tensor, broken: str) -> None:
    """Raise :class:`ContractBroken` unless ``condition``."""
    if not condition:
        raise ContractBroken(broken)


def make_batch(iteration: int, lr_size: tuple[int, int], count: int = 2) -> Batch:
    """Smooth random pictures, a function of the iteration alone."""
    generator = torch.Generator().manual_seed(iteration)
    height, width = lr_size
    coarse = torch.rand(count, 3, height + 1, width + 1, generator=generator)
    hr = F.interpolate(coarse, size=(SCALE * height, SCALE * width), mode="bilinear")
    lr = F.interpolate(hr, size=lr_size, mode="bicubic", antialias=True).clamp(0, 1)
    return Batch(lr=lr, hr=hr)


class PracticeSession:
    """A session of random batches: one recipe, no validation, nothing stored.

    Iterations ``first`` to ``stop`` of ``iterations`` are run; ``resume`` is a state dict to go on from.
    """

    def __init__(
        self,
        iterations: int = 1,
        *,
        first: int = 1,
        stop: int | None = None,
        lr_size: tuple[int, int] = (8, 8),
        native: bool = False,
        resume: dict[str, Any] | None = None,
    ) -> None:
        self.iterations, self.first, self.stop = iterations, first, stop or iterations
        self.lr_size, self.native, self.resume = lr_size, native, resume
        self.device = torch.device("cpu")
        self.history: list[dict[str, float]] = []
        self.optimizers: list[tuple[torch.optim.Optimizer, Recipe]] = []

    def recipe(self, native: Recipe) -> Recipe:
        return native if self.native else Recipe()

    def optimizer(
        self, groups: list[dict[str, Any]], recipe: Recipe, phase: Phase = (0.0, 1.0)
    ) -> torch.optim.Optimizer:
        rated = [{**g, "lr": recipe.learning_rate * g.get("lr_scale", 1.0)} for g in groups]
        optimizer = torch.optim.Adam(rated, betas=recipe.betas)
        self.optimizers.append((optimizer, recipe))
        return optimizer

    def batches(self, method: Method) -> Iterator[tuple[int, Batch]]:
        if self.resume is not None:
            method.load_state_dict(self.resume)
        for iteration in range(self.first, self.stop + 1):
            torch.manual_seed(iteration)  # dropout and its like draw from it
            yield iteration, make_batch(iteration, self.lr_size)

    def check(self, losses: Losses) -> None:
        expect("total" in losses, "a step hands session.check() a loss called 'total'")
        for name, value in losses.items():
            expect(value.ndim == 0 and torch.isfinite(value), f"loss {name!r} is not a finite number")
        self.history.append({name: value.item() for name, value in losses.items()})


def check_sizes(make: Make) -> None:
    """Any LR size ≥ 1×1 is enlarged exactly eight times, into [0, 1], alike every time."""
    method = make()
    for height, width in [(1, 1), (3, 17), (40, 11), (8, 8)]:
        lr = torch.rand(1, 3, height, width)
        sr = method.upscale(lr)
        wanted = (1, 3, SCALE * height, SCALE * width)
        expect(tuple(sr.shape) == wanted, f"upscale makes {tuple(sr.shape)} of 1×3×{height}×{width}")
        expect(sr.dtype == torch.float32, f"upscale returns {sr.dtype}, not float32")
        expect(sr.min() >= 0 and sr.max() <= 1, "upscale leaves [0, 1]")
        expect(torch.equal(method.upscale(lr), sr), "upscale gives two results for one input")


def check_refusals(make: Make) -> None:
    """Tensors that are not N×3×h×w floats raise ValueError."""
    method = make()
    for wrong in (torch.rand(3, 8, 8), torch.rand(1, 1, 8, 8), torch.zeros(1, 3, 8, 8, dtype=torch.uint8)):
        try:
            method.upscale(wrong)
        except ValueError:
            continue
        raise ContractBroken(f"upscale takes {wrong.dtype} {tuple(wrong.shape)} without a ValueError")


def check_training(make: Make) -> None:
    """One iteration has finite losses and changes the weights; patches of other sizes train too."""
    for lr_size in [(8, 8), (1, 1), (3, 9)]:
        method = make()
        before = {name: value.clone() for name, value in method.weights().items()}
        session = PracticeSession(2, lr_size=lr_size)
        method.train(session)
        if not session.history:  # nothing to learn
            expect(method.deterministic, "a method without training must say deterministic = True")
            return
        after = method.weights()
        expect(len(session.history) == 2, "every batch is one optimiser iteration with one session.check()")
        expect(all(torch.isfinite(v).all() for v in after.values()), "weights are not finite after two steps")
        expect(any(not torch.equal(before[k], v) for k, v in after.items()), "training changes no weight")


def check_weights(make: Make) -> None:
    """``weights`` holds all that upscaling depends on, and survives a file."""
    method = make()
    method.train(PracticeSession(2, lr_size=(2, 3)))
    torch.manual_seed(1)
    other = make()
    other.load_weights(through_file(method.weights()))
    lr = make_batch(7, (4, 5)).lr
    expect(torch.equal(other.upscale(lr), method.upscale(lr)), "loaded weights upscale differently")


def check_resume(make: Make) -> None:
    """A training cut in two by a checkpoint gives the same weights as one that was not."""
    for native in (False, True):
        torch.manual_seed(0)
        straight = make()
        straight.train(PracticeSession(3, lr_size=(2, 3), native=native))
        torch.manual_seed(0)
        killed = make()
        killed.train(PracticeSession(3, stop=2, lr_size=(2, 3), native=native))
        state = through_file(killed.state_dict())
        torch.manual_seed(1)  # not the seed, the state must decide
        resumed = make()
        resumed.train(PracticeSession(3, first=3, lr_size=(2, 3), native=native, resume=state))
        weights = resumed.weights()
        for name, value in straight.weights().items():
            same = torch.equal(weights[name], value)
            expect(same, f"after a resume, {name!r} differs: state_dict() lacks something that training goes on from")


def check_precision(make: Make) -> None:
    """A training step evaluates every network through ``run``, which is where precision and compilation come in."""
    for native in (False, True):
        method = make().accelerate(Acceleration(precision="bf16"))
        if not isinstance(method, NetworkMethod):
            return  # without a shared loop there is no runner to pass over
        with without_autocast() as direct_calls:
            method.train(PracticeSession(2, lr_size=(2, 3), native=native))
        names = ", ".join(sorted(set(direct_calls)))
        expect(not direct_calls, f"training calls {names} directly: call self.run(network, images) instead")


@contextmanager
def without_autocast() -> Iterator[list[str]]:
    """Names of the networks that are called outside autocast.

    Layers inside another network do not count, nor does what makes a parametrised weight: its registration calls it.
    """
    names: list[str] = []
    depth = 0

    def enter(module: nn.Module, _: Any) -> None:
        nonlocal depth
        depth += 1
        counts = not isinstance(module, ParametrizationList) and next(module.parameters(), None) is not None
        if depth == 1 and counts and not torch.is_autocast_enabled("cpu"):
            names.append(type(module).__name__)

    def leave(*_: Any) -> None:
        nonlocal depth
        depth -= 1

    hooks = [register_module_forward_pre_hook(enter), register_module_forward_hook(leave, always_call=True)]
    try:
        yield names
    finally:
        for hook in hooks:
            hook.remove()


CHECKS: dict[str, Callable[[Make], None]] = {
    "sizes": check_sizes,
    "refusals": check_refusals,
    "training": check_training,
    "weights": check_weights,
    "resume": check_resume,
    "precision": check_precision,
}


def through_file(state: Any) -> Any:
    """``state`` after a round trip through a checkpoint file, read as checkpoints are."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)
