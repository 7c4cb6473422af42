"""Our metrics and losses against BasicSR's (extra ``parity``; skipped where it is not installed).

BasicSR 1.4.2 imports a torchvision module that no longer exists; a shim of one line stands in for it.
"""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest
import torch
import torchvision.transforms.functional

from benchmark.scoring import metrics
from methods.blocks.critics import relativistic
from methods.blocks.rrdb import DenseBlock


@pytest.fixture(scope="module")
def basicsr() -> ModuleType:
    sys.modules.setdefault("torchvision.transforms.functional_tensor", torchvision.transforms.functional)
    return pytest.importorskip("basicsr", exc_type=ImportError)


@pytest.fixture
def pictures() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    hr = random.integers(0, 256, (64, 160, 3), dtype=np.uint8)
    return np.clip(hr + random.normal(0, 20, hr.shape), 0, 255).astype(np.uint8), hr


def test_metrics(basicsr: ModuleType, pictures: tuple[np.ndarray, np.ndarray]) -> None:
    from basicsr.metrics import calculate_psnr, calculate_ssim

    sr, hr = (picture[..., ::-1] for picture in pictures)  # BasicSR reads BGR
    assert metrics.psnr(*pictures) == pytest.approx(calculate_psnr(sr, hr, crop_border=0), abs=1e-9)
    assert metrics.ssim(*pictures) == pytest.approx(calculate_ssim(sr, hr, crop_border=0), abs=1e-9)
    studio = calculate_psnr(sr, hr, crop_border=0, test_y_channel=True)
    assert metrics.psnr_y_studio(*pictures) == pytest.approx(studio, abs=1e-3)


def test_relativistic_loss(basicsr: ModuleType) -> None:
    from basicsr.losses.gan_loss import GANLoss

    theirs = GANLoss("vanilla", loss_weight=1.0)
    logits, others = torch.randn(5, 1), torch.randn(5, 1)
    for real in (True, False):
        expected = theirs(logits - others.mean(), real, is_disc=True)
        torch.testing.assert_close(relativistic(logits, others, real=real), expected)


def test_dense_blocks_start_as_theirs(basicsr: ModuleType) -> None:
    from basicsr.archs.rrdbnet_arch import ResidualDenseBlock

    torch.manual_seed(0)
    theirs = ResidualDenseBlock(64, 32)
    torch.manual_seed(0)
    ours = DenseBlock(64, 32)
    spread = [layer.weight.std() for layer in [*ours.grow, ours.fuse]]
    expected = [getattr(theirs, f"conv{i}").weight.std() for i in range(1, 6)]
    torch.testing.assert_close(torch.stack(spread), torch.stack(expected), rtol=0.05, atol=0)
    for i, layer in enumerate([*ours.grow, ours.fuse], start=1):
        layer.load_state_dict(getattr(theirs, f"conv{i}").state_dict())
    x = torch.rand(1, 64, 6, 7)
    torch.testing.assert_close(ours(x), theirs(x))
