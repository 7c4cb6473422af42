"""CUDA on paper: tensors on a CUDA device that is not there. They know device, type, shape and layout, but no numbers.

PyTorch's fake tensors refuse operators that mix devices, and work out what each operator returns as CUDA's kernels
would. What is added here: modules and ``.data`` that move as on a real device, a backward pass (PyTorch's engine wants
a driver), what ``torch.cuda`` answers, and a guard that names the place where the host would wait for the device.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.utils._pytree import tree_leaves, tree_map

from benchmark.data import degradation
from benchmark.training import checkpoint, trainer
from benchmark.training.session import TrainingSession
from methods import esrgan
from methods.blocks import pretrained, swin

HERE = Path(__file__).resolve().parent.parent
CUDA = torch.device("cuda", 0)
CAPABILITY, MEMORY = (9, 0), 80 * 10**9
MOVES = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)
READS = (torch.ops.aten._local_scalar_dense.default,)
FUSED_ADAM = torch.ops.aten._fused_adam_.default


class HostWaits(AssertionError):
    """The host would wait for the device where it must run ahead of it; the message says where."""


class FakeCuda(FakeTensorMode):
    """Everything computed under it is fake. While ``running_ahead``, what makes the host wait is refused."""

    def __init__(self) -> None:
        super().__init__(allow_non_fake_inputs=True)
        self.running_ahead = False
        self.iterations_ahead = 0
        self.stepped: list[Tensor] = []  # parameters that fused Adam has stepped

    @property
    def avoid_device_init(self) -> bool:
        return True

    def may_turn_const(self, t: Tensor) -> bool:
        """No number is kept, not even one that was written out. (PyTorch 2.15 holds weak references to the storage of
        those that are, and now and then crashed when it was freed.)"""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        on_device = any(tensor.device == CUDA for tensor in tensors)
        if func in READS and isinstance(args[0], FakeTensor):
            if on_device:
                self.would_wait(f"{func} reads a number")
            return on_device if args[0].dtype == torch.bool else 0.0  # all is well there, and nothing to repeat here
        if func in MOVES:
            self._check_move(func, args, kwargs)
        elif on_device and any(tensor.device != CUDA for tensor in tensors):
            self.would_wait(f"{func} takes a number that lies in host memory")
        if func is FUSED_ADAM:
            check_fused(*args[:4], found_inf=kwargs.get("found_inf"))
            self.stepped += args[0]
        return super().__torch_dispatch__(func, types, args, kwargs)

    def _check_move(self, func: Any, args: Any, kwargs: Any) -> None:
        source = args[0] if func is MOVES[0] else args[1]
        target = torch.device(kwargs.get("device") or source.device) if func is MOVES[0] else args[0].device
        if source.device.type == target.type:
            return
        quick = kwargs.get("non_blocking", False) or (func is MOVES[1] and len(args) > 2 and args[2])
        if not (quick and getattr(source, "pinned", False)):
            self.would_wait(f"a copy from {source.device} to {target} that is not asynchronous")

    def would_wait(self, why: str) -> None:
        """Raise HostWaits if the host must not wait now."""
        if not self.running_ahead:
            return
        self.running_ahead = False  # what is raised must get out
        ours = [
            f for f in traceback.extract_stack() if Path(f.filename).is_relative_to(HERE) and f.filename != __file__
        ]
        place = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "nowhere of ours"
        raise HostWaits(f"{place}: {why}")


def check_fused(*lists: list[Tensor], found_inf: Tensor | None) -> None:
    """What CUDA's fused Adam asks of parameters, gradients and moments: one type, device and layout."""
    assert found_inf is not None and found_inf.device == CUDA and found_inf.dtype == torch.float32
    for parameter, *others in zip(*lists):
        assert parameter.device == CUDA and parameter.dtype == torch.float32
        for other in others:
            found = (other.device, other.dtype, other.shape)
            assert found == (CUDA, torch.float32, parameter.shape), f"{found} beside {tuple(parameter.shape)}"
            strides = zip(parameter.shape, parameter.stride(), other.stride())
            assert all(size == 1 or ours == theirs for size, ours, theirs in strides)


def backward(loss: Tensor) -> None:
    """``loss.backward()``, node by node: every formula of autograd is run, without PyTorch's engine around it."""
    order = _from_loss_to_leaves(loss.grad_fn)
    arrived: dict[Any, dict[int, Tensor]] = {order[0]: {0: torch.ones_like(loss)}}
    with torch.no_grad():
        for node in order:
            slots = arrived.pop(node, None)
            if slots is None:
                continue
            if hasattr(node, "variable"):
                _accumulate(node.variable, slots[0])
                continue
            gradients = node(*(slots.get(i) for i in range(len(node._input_metadata))))
            gradients = gradients if isinstance(gradients, tuple) else (gradients,)
            for (below, slot), gradient in zip(node.next_functions, gradients):
                if below is None or gradient is None:
                    continue
                meta = below._input_metadata[slot]
                gradient = gradient.sum_to_size(meta.shape).to(meta.dtype)  # as the engine does between two nodes
                waiting = arrived.setdefault(below, {})
                waiting[slot] = waiting[slot] + gradient if slot in waiting else gradient


def _from_loss_to_leaves(root: Any) -> list[Any]:
    """The graph's nodes, each before those that it hands gradients to."""
    order, seen, stack = [], set(), [(root, False)]
    while stack:
        node, finished = stack.pop()
        if finished:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack += [(below, False) for below, _ in node.next_functions if below is not None]
    return order[::-1]


def _accumulate(leaf: Tensor, gradient: Tensor) -> None:
    assert gradient.device == leaf.device and gradient.shape == leaf.shape
    if leaf.grad is not None:
        leaf.grad += gradient
    else:  # the gradient of a weight has the weight's layout
        leaf.grad = gradient.clone() if gradient.stride() == leaf.stride() else torch.empty_like(leaf).copy_(gradient)


def pinned(tensor: Tensor) -> Tensor:
    """What ``pin_memory`` returns."""
    assert tensor.device.type == "cpu"
    result = tensor.clone()
    result.pinned = True  # type: ignore[attr-defined]
    return result


def real(state: Any) -> Any:
    """Fake tensors anywhere in ``state`` as tensors of zeros in host memory, in the same layout."""

    def one(value: Any) -> Any:
        if not isinstance(value, FakeTensor):
            return value
        return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype).zero_()

    with unset_fake_temporarily():
        return tree_map(one, state)


def outside(call: Callable[..., Any]) -> Callable[..., Any]:
    """``call`` with real tensors in place of fake ones, outside the fake world: what goes to and from files."""

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        args = real(args)
        with unset_fake_temporarily():
            return call(*args, **kwargs)

    return wrapped


def _faked(network: nn.Module) -> nn.Module:
    """``network`` with fake tensors in place of its real ones."""
    for module in network.modules():
        for name, buffer in module.named_buffers(recurse=False):
            module._buffers[name] = buffer.clone()
        for name, value in list(module.named_parameters(recurse=False)):
            module._parameters[name] = nn.Parameter(value.detach().clone(), value.requires_grad)
    return network


_data: Any = torch.Tensor.data


def _set_data(tensor: FakeTensor, value: FakeTensor) -> None:
    _data.__set__(tensor, value)
    tensor.fake_device = value.fake_device


def _exchange(parameter: Any, moved: Any) -> None:
    parameter.data = moved


def _patches(world: FakeCuda) -> list[tuple[Any, str, Any]]:
    properties = SimpleNamespace(name="fake", total_memory=MEMORY, major=CAPABILITY[0], minor=CAPABILITY[1])
    set_rate, ask_watch = TrainingSession._set_learning_rate, TrainingSession._raise_if_non_finite

    def begin_iteration(session: TrainingSession) -> None:
        set_rate(session)
        world.running_ahead = session.iteration > 0  # what is kept for all iterations is made in the first
        world.iterations_ahead += world.running_ahead

    def end_block(session: TrainingSession) -> None:
        world.running_ahead = False
        ask_watch(session)

    answers = {
        "is_available": True,
        "is_bf16_supported": True,
        "device_count": 1,
        "current_device": 0,
        "mem_get_info": (MEMORY, MEMORY),
        "get_device_capability": CAPABILITY,
        "get_device_name": "fake",
        "get_device_properties": properties,
        "empty_cache": None,
        "get_rng_state": torch.zeros(16, dtype=torch.uint8),
        "set_rng_state": None,
    }
    return [
        *((torch.cuda, name, lambda *_, answer=answer, **__: answer) for name, answer in answers.items()),
        (torch.cuda, "synchronize", lambda *_: world.would_wait("torch.cuda.synchronize")),
        (torch.utils, "swap_tensors", _exchange),  # how modules move fake parameters
        (FakeTensor, "data", property(_data.__get__, _set_data)),
        (FakeTensor, "numpy", lambda tensor: real(tensor).numpy()),
        (torch.Tensor, "backward", backward),
        (torch.Tensor, "pin_memory", pinned),
        (degradation, "_weights", _weights),
        (esrgan, "vgg19_conv5_4", lambda *given: _faked(outside(pretrained.vgg19_conv5_4)(*given))),
        (checkpoint, "_write", outside(checkpoint._write)),
        (checkpoint, "_read", outside(checkpoint._read)),
        (trainer, "save", outside(trainer.save)),
        (trainer, "load", outside(trainer.load)),
        (TrainingSession, "_set_learning_rate", begin_iteration),
        (TrainingSession, "_raise_if_non_finite", end_block),
    ]


@lru_cache
def _weights(size: int, device: torch.device) -> Tensor:
    """The degradation's, computed as real numbers: element by element, that is slow with fake ones."""
    with unset_fake_temporarily():
        matrix = _real_weights(size, torch.device("cpu"))
    return matrix.to(device)


_real_weights = degradation._weights


def _forget() -> None:
    """No tensor of one world may be found in the other."""
    for kept in (_weights, degradation._halves, swin._shift_mask):
        kept.cache_clear()


@contextmanager
def fake_cuda() -> Iterator[FakeCuda]:
    """A CUDA device on paper. In a training, ``running_ahead`` is set from the second iteration on, between two of
    the moments at which the session asks the device how it stands."""
    _forget()
    world = FakeCuda()
    try:
        with pytest.MonkeyPatch.context() as patch:
            for owner, name, value in _patches(world):
                patch.setattr(owner, name, value, raising=owner is not FakeTensor)
            with world:
                yield world
    finally:
        _forget()
