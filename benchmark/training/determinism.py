"""What could make two trainings with one seed differ, and what ``train.deterministic`` does about it.

Batches are a function of seed and iteration, initial weights and dropout of the seed. What is left is
arithmetic: floating-point sums depend on their order.

On a CPU the order is fixed for a number of threads: the same command gives the same bytes, whatever the option
says. Another number of threads, another processor or another torch adds up in another order; results of those
count as the same, and their provenance says what they were made with.

On CUDA some kernels add up in the order in which threads happen to finish: :data:`OPERATORS` lists those that the
methods of this project train with. ``train.deterministic`` has torch take others in their place, at some cost in
speed, and raise where there is none. It also switches off what is chosen by a stopwatch (cuDNN's autotuning, the
templates of ``torch.compile``), as the winner may be another one next time. Nothing is to be done about fused Adam
and CUDA graphs (every weight has one thread; the kernels are the same ones), nor about TF32 and bf16, which round
more, but alike every time. Numbers of one GPU model are not those of another, with or without the option.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from benchmark.util.errors import UserError

_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
_WORKSPACES = (":4096:8", ":16:8")


@dataclass(frozen=True)
class Operator:
    """An operator of a training step whose kernels on CUDA may add up in any order."""

    name: str
    """As users of torch know it."""
    calls: tuple[str, ...]
    """What torch's dispatcher calls it, forward or backward (without ``aten::``)."""
    where: str
    """Which methods train with it, what for."""
    otherwise: str
    """What ``train.deterministic`` has in its place."""


OPERATORS = (
    Operator(
        "convolutions, plain and transposed",
        ("convolution", "convolution_backward"),
        "every network",
        "cuDNN's algorithms that add up in a fixed order, chosen without a stopwatch",
    ),
    Operator(
        "matrix products",
        ("mm", "addmm", "bmm", "baddbmm"),
        "every network with linear layers or attention; the embedder of PECL; the critic of ESRGAN",
        f"cuBLAS with a workspace of fixed size ({_WORKSPACE}={_WORKSPACES[0]})",
    ),
    Operator(
        "scaled_dot_product_attention, backward",
        ("scaled_dot_product_attention",),
        "TBSRN; HAT-S in its attention over overlapping windows",
        "the deterministic backward passes of the memory-efficient and the flash kernel",
    ),
    Operator(
        "bilinear interpolation, backward",
        ("upsample_bilinear2d_backward",),
        "the critic of Real-ESRGAN and LPSRGAN-style; the generator of LPSRGAN-style",
        "PyTorch's decomposition of it, whose backward pass is indexing with a tensor",
    ),
    Operator(
        "indexing with a tensor, backward",
        ("index_put", "index_put_", "_index_put_impl_"),
        "SwinIR and HAT-S, whose pairs of pixels look up their relative position in a table; ScSR assigns with it, to "
        "places that are all different",
        "on CUDA it sorts before it adds, with or without the option; on CPUs one thread instead of several (which "
        "are used from 32,768 numbers on; here no lookup has more than 24,576)",
    ),
    Operator(
        "scatter",
        ("scatter",),
        "ScSR, whose pursuit marks the atoms it has chosen and lays out their weights",
        "indexing with a tensor; the places are all different, so nothing is added up either way",
    ),
)
"""What training uses of the operators that torch documents as not deterministic. Not in the list, as nothing trains
through them: antialiased bicubic (SRCNN starts from it, no gradient passes), the pooling of ESRGAN's critic (at
64×64 there is nothing to pool, and it is passed by: its backward pass has no deterministic kernel) and padding of
patches that are no multiple of a window."""


def configure(deterministic: bool) -> None:
    """Set torch's process-wide switches for ``train.deterministic``, before anything is computed.

    Raises UserError where the environment has cuBLAS work in a way that is not deterministic.
    """
    if deterministic:
        workspace = os.environ.setdefault(_WORKSPACE, _WORKSPACES[0])
        if workspace not in _WORKSPACES and torch.cuda.is_available():
            raise UserError(
                f"train.deterministic needs {_WORKSPACE} to be {' or '.join(_WORKSPACES)}, not {workspace!r}: "
                f"unset it, or go on with --set train.deterministic=false"
            )
        torch.backends.cudnn.benchmark = False
    if torch.are_deterministic_algorithms_enabled() != deterministic:  # the call imports torch's compiler: seconds
        torch.use_deterministic_algorithms(deterministic)  # cuDNN's and torch.compile's choices follow it
