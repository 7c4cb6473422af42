"""Methods of the group ``related`` against their publications, and libraries that have the same network."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import methods
from methods import NetworkMethod
from methods.blocks.colour import luma
from methods.blocks.resize import upsample_bicubic, upsample_bilinear, upsample_lanczos
from methods.contract import make_batch


def network(name: str) -> Any:
    torch.manual_seed(0)
    method = methods.get(name).create()
    assert isinstance(method, NetworkMethod)
    return method.network.eval()


def take_over(ours: nn.Module, theirs: nn.Module) -> None:
    """Copy parameters in their order; a linear layer takes over a 1×1 convolution."""
    mine, others = list(ours.parameters()), list(theirs.parameters())
    assert [p.squeeze().shape for p in mine] == [p.squeeze().shape for p in others]
    with torch.no_grad():
        for p, q in zip(mine, others, strict=True):
            p.copy_(q.reshape(p.shape))


def assert_same(ours: nn.Module, theirs: nn.Module, *sizes: tuple[int, int]) -> None:
    for size in sizes:
        lr = torch.rand(1, 3, *size)
        with torch.no_grad():
            torch.testing.assert_close(ours.eval()(lr), theirs.eval()(lr), rtol=1e-4, atol=1e-5)


# -- interpolation ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(1, 1), (8, 8), (3, 17), (40, 11)])
@pytest.mark.parametrize(
    ("enlarge", "filter_"),
    [(upsample_bilinear, Image.Resampling.BILINEAR), (upsample_lanczos, Image.Resampling.LANCZOS)],
)
def test_interpolation_is_pillows(enlarge: Any, filter_: Image.Resampling, height: int, width: int) -> None:
    pixels = np.random.default_rng(0).random((height, width), dtype=np.float32)
    ours = enlarge(torch.from_numpy(pixels)[None, None])[0, 0].numpy()
    theirs = Image.fromarray(pixels).resize((8 * width, 8 * height), filter_)
    np.testing.assert_allclose(ours, np.asarray(theirs), atol=2e-6)


# -- VDSR and EDSR ---------------------------------------------------------------------------------


def test_vdsr_adds_to_the_luma_alone_and_starts_as_he_et_al() -> None:
    vdsr = network("vdsr")
    lr = make_batch(1, (4, 6)).lr
    sr, bicubic = vdsr(lr).detach(), upsample_bicubic(lr).clamp(0, 1)
    torch.testing.assert_close(sr - bicubic, (luma(sr) - luma(bicubic)).expand(-1, 3, -1, -1))
    assert float(vdsr.layers[4].weight.detach().std()) == pytest.approx(math.sqrt(2 / (64 * 9)), rel=0.05)
    assert not vdsr.layers[4].bias.any()


def test_edsr_scales_residuals_in_the_large_size_only() -> None:
    assert [{block.scale for block in network(name).body[:-1]} for name in ("edsr", "edsr-large")] == [{1.0}, {0.1}]
