"""Networks, losses, updates and metrics against BasicSR's (extra ``parity``; skipped where it is not installed).

BasicSR 1.4.2 imports a torchvision module that no longer exists; a shim of one line stands in for it. `.ci/run` runs
this file in an environment of its own. BasicSR's own code makes every step here; only its configuration files and data
loaders are left out.
"""

from __future__ import annotations

import copy
import importlib.util
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torchvision.transforms.functional
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.scoring import metrics
from methods.base import Batch
from methods.blocks import rrdb
from methods.blocks.critics import relativistic
from methods.contract import PracticeSession, make_batch
from methods.engine.average import MovingAverage
from methods.esrgan import ESRGAN
from methods.swinir import SwinIRNetwork


@pytest.fixture(scope="module", autouse=True)
def basicsr() -> None:
    if importlib.util.find_spec("basicsr") is None:
        pytest.skip("the extra `parity` is not installed")
    sys.modules.setdefault("torchvision.transforms.functional_tensor", torchvision.transforms.functional)


# -- metrics ---------------------------------------------------------------------------------------


@pytest.fixture(params=[(64, 160), (93, 225)])
def pictures(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    hr = random.integers(0, 256, (*request.param, 3), dtype=np.uint8)
    return np.clip(hr + random.normal(0, 20, hr.shape), 0, 255).astype(np.uint8), hr


def test_psnr_and_ssim_of_rgb(pictures: tuple[np.ndarray, np.ndarray]) -> None:
    from basicsr.metrics import calculate_psnr, calculate_ssim

    sr, hr = (picture[..., ::-1] for picture in pictures)  # BasicSR reads BGR
    assert metrics.psnr(*pictures) == pytest.approx(calculate_psnr(sr, hr, crop_border=0), abs=1e-9)
    assert metrics.ssim(*pictures) == pytest.approx(calculate_ssim(sr, hr, crop_border=0), abs=1e-9)


def test_psnr_of_luma_in_both_conventions(pictures: tuple[np.ndarray, np.ndarray]) -> None:
    from basicsr.metrics import calculate_psnr

    sr, hr = (picture[..., ::-1] for picture in pictures)
    studio = calculate_psnr(sr, hr, crop_border=0, test_y_channel=True)
    assert metrics.psnr_y_studio(*pictures) == pytest.approx(studio, abs=1e-3)  # theirs is in fp32

    full = [np.asarray(Image.fromarray(picture).convert("YCbCr"))[..., :1] for picture in pictures]
    assert metrics.psnr_y(*pictures) == pytest.approx(calculate_psnr(*full, crop_border=0), abs=1e-9)
    gain = 20 * np.log10(255 / 219)
    assert studio - metrics.psnr_y(*pictures) == pytest.approx(gain, abs=0.01)  # the rounding of luma


# -- networks --------------------------------------------------------------------------------------


def eightfold_rrdbnet(blocks: int) -> nn.Module:
    """BasicSR's RRDBNet with a third enlargement, which it does not have: asked for ×8 it silently gives ×4."""
    from basicsr.archs.rrdbnet_arch import RRDBNet

    class Eightfold(RRDBNet):
        def __init__(self) -> None:
            super().__init__(3, 3, scale=4, num_block=blocks)
            self.conv_up3 = nn.Conv2d(64, 64, 3, 1, 1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv_first(x)
            x = x + self.conv_body(self.body(x))
            for layer in (self.conv_up1, self.conv_up2, self.conv_up3):
                x = self.lrelu(layer(F.interpolate(x, scale_factor=2, mode="nearest")))
            return self.conv_last(self.lrelu(self.conv_hr(x)))

    return Eightfold()


RRDB_NAMES = {"head": "conv_first", "blocks": "body", "body": "conv_body", "refine": "conv_hr", "tail": "conv_last"}


def rrdb_name(name: str) -> str:
    """What BasicSR calls a parameter of our generator."""
    first, *rest = name.split(".")
    if first == "enlarge":
        return ".".join([f"conv_up{int(rest[0]) + 1}", *rest[1:]])
    if first == "blocks":  # blocks.3.blocks.1.grow.0.weight → body.3.rdb2.conv1.weight
        block, _, dense, *layer = rest
        conv = f"conv{int(layer[1]) + 1}" if layer[0] == "grow" else "conv5"
        rest = [block, f"rdb{int(dense) + 1}", conv, layer[-1]]
    return ".".join([RRDB_NAMES[first], *rest])


def copy_rrdb(theirs: nn.Module, ours: nn.Module) -> None:
    """Copy all weights of BasicSR's RRDBNet into our generator."""
    state = theirs.state_dict()
    renamed = {name: state.pop(rrdb_name(name)) for name in ours.state_dict()}
    assert not state
    ours.load_state_dict(renamed)


@pytest.mark.parametrize("scale", [4, 8])
def test_rrdbnet(scale: int) -> None:
    from basicsr.archs.rrdbnet_arch import RRDBNet

    ours = rrdb.Generator()
    if scale == 4:
        ours.enlarge = ours.enlarge[:2]
    theirs = RRDBNet(3, 3, scale=4, num_block=23) if scale == 4 else eightfold_rrdbnet(23)
    copy_rrdb(theirs, ours)
    lr = torch.rand(1, 3, 5, 9)
    with torch.no_grad():
        expected = theirs(lr)
        assert expected.shape[-2:] == (5 * scale, 9 * scale)
        torch.testing.assert_close(ours(lr), expected)


def test_dense_blocks_start_as_theirs() -> None:
    from basicsr.archs.rrdbnet_arch import ResidualDenseBlock

    torch.manual_seed(0)
    theirs = ResidualDenseBlock(64, 32)
    torch.manual_seed(0)
    ours = rrdb.DenseBlock(64, 32)
    spread = [layer.weight.std() for layer in [*ours.grow, ours.fuse]]
    expected = [getattr(theirs, f"conv{i}").weight.std() for i in range(1, 6)]
    torch.testing.assert_close(torch.stack(spread), torch.stack(expected), rtol=0.05, atol=0)


def swinir(**changes: Any) -> nn.Module:
    """BasicSR's SwinIR-M for ×8."""
    from basicsr.archs.swinir_arch import SwinIR

    options: dict[str, Any] = {"depths": [6] * 6, "embed_dim": 180, "num_heads": [6] * 6} | changes
    return SwinIR(
        upscale=8, in_chans=3, img_size=48, window_size=8, mlp_ratio=2, upsampler="pixelshuffle",
        resi_connection="1conv", **options,
    )  # fmt: skip


def copy_in_order(theirs: nn.Module, ours: nn.Module) -> None:
    """Copy parameters in their order, which is the order of the publication in both."""
    mine, others = list(ours.parameters()), list(theirs.parameters())
    assert [p.shape for p in mine] == [p.shape for p in others]
    with torch.no_grad():
        for p, q in zip(mine, others):
            p.copy_(q)


@pytest.mark.parametrize("size", [(8, 8), (16, 24)])
def test_swinir(size: tuple[int, int]) -> None:
    theirs, ours = swinir().eval(), SwinIRNetwork().eval()
    copy_in_order(theirs, ours)
    lr = torch.rand(1, 3, *size)
    with torch.no_grad():
        torch.testing.assert_close(ours(lr), theirs(lr))


# -- losses and updates ----------------------------------------------------------------------------


def test_relativistic_loss() -> None:
    from basicsr.losses.gan_loss import GANLoss

    theirs = GANLoss("vanilla", loss_weight=1.0)
    logits, others = torch.randn(5, 1), torch.randn(5, 1)
    for real in (True, False):
        expected = theirs(logits - others.mean(), real, is_disc=True)
        torch.testing.assert_close(relativistic(logits, others, real=real), expected)


def model(kind: type[Any], network: nn.Module, batch: Batch, **parts: Any) -> Any:
    """One of BasicSR's models, without the configuration that it would build its ``parts`` from."""
    made = kind.__new__(kind)
    made.opt = {"dist": False}
    made.ema_decay, made.cri_perceptual = 0, None
    made.net_g, made.lq, made.gt = network, batch.lr, batch.hr
    made.optimizer_g = torch.optim.Adam(network.parameters(), lr=1e-4, betas=(0.9, 0.99))
    vars(made).update(parts)
    return made


def same_step(ours: nn.Module, theirs: nn.Module, name: Any = lambda name: name) -> None:
    """Compare gradients and weights after a step."""
    other = dict(theirs.named_parameters())
    for key, parameter in ours.named_parameters():
        expected = other[name(key)]
        for mine, other_ in ((parameter.grad, expected.grad), (parameter, expected)):
            torch.testing.assert_close(mine, other_, rtol=1e-6, atol=1e-9, msg=key)


def perceptual_loss(features: nn.Module, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """BasicSR's perceptual loss of ESRGAN with the weights of our VGG-19."""
    from basicsr.archs import vgg_arch
    from basicsr.losses.basic_loss import PerceptualLoss

    vgg19 = SimpleNamespace(features=copy.deepcopy(features[1]))
    monkeypatch.setattr(vgg_arch.vgg, "vgg19", lambda pretrained: vgg19)
    return PerceptualLoss({"conv5_4": 1.0}, use_input_norm=True, perceptual_weight=1.0)


def test_a_step_of_the_second_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pixel, perceptual and relativistic losses, and the update of generator and discriminator by them.

    In float64: Adam's first step is rate · g / (|g| + ε), so in float32 rounding shows where gradients are small.
    """
    from basicsr.losses.basic_loss import L1Loss
    from basicsr.losses.gan_loss import GANLoss
    from basicsr.models.esrgan_model import ESRGANModel

    torch.manual_seed(0)
    monkeypatch.setattr(ESRGAN, "build", lambda self: rrdb.Generator(blocks=2))
    monkeypatch.setattr(ESRGAN, "run", lambda self, network, images: network(images))  # which would cast to float32
    ours = ESRGAN(ESRGAN.Options(perceptual="random", gan_share=1.0))
    session = PracticeSession(native=True)
    ours.prepare(session)
    assert ours.discriminator is not None and ours.features is not None
    for module in (ours.network, ours.discriminator, ours.features):
        module.double()
    generator = eightfold_rrdbnet(2).double()
    copy_rrdb(generator, ours.network)
    critic, small = copy.deepcopy(ours.discriminator), make_batch(1, (8, 8))
    batch = Batch(small.lr.double(), small.hr.double())
    theirs = model(
        ESRGANModel, generator, batch, net_d=critic, net_d_iters=1, net_d_init_iters=0,
        optimizer_d=torch.optim.Adam(critic.parameters(), lr=1e-4, betas=(0.9, 0.99)),
        cri_pix=L1Loss(loss_weight=1e-2), cri_gan=GANLoss("vanilla", loss_weight=5e-3),
        cri_perceptual=perceptual_loss(ours.features, monkeypatch).double(),
    )  # fmt: skip
    theirs.optimize_parameters(1)
    ours.step(batch, session)

    (losses,) = session.history
    log = theirs.log_dict
    assert losses["pixel"] * 1e-2 == pytest.approx(log["l_g_pix"], rel=1e-6)
    assert losses["perceptual"] == pytest.approx(log["l_g_percep"], rel=1e-6)
    assert losses["gan"] * 5e-3 == pytest.approx(log["l_g_gan"], rel=1e-6)
    assert losses["total"] == pytest.approx(log["l_g_pix"] + log["l_g_percep"] + log["l_g_gan"], rel=1e-6)
    assert losses["discriminator"] == pytest.approx(log["l_d_real"] + log["l_d_fake"], rel=1e-6)
    same_step(ours.network, generator, rrdb_name)
    same_step(ours.discriminator, critic)


def test_a_step_for_pixels_and_its_moving_average() -> None:
    """SwinIR's native recipe: absolute error, and a moving average of the weights with 0.999."""
    from basicsr.losses.basic_loss import L1Loss
    from basicsr.models.sr_model import SRModel

    torch.manual_seed(0)
    network = swinir(depths=[2], embed_dim=24, num_heads=[6], drop_path_rate=0.0)
    ours = SwinIRNetwork(dim=24, groups=1, depth=2, drop_path=0.0)
    copy_in_order(network, ours)
    adam, average = torch.optim.Adam(ours.parameters(), lr=1e-4, betas=(0.9, 0.99)), MovingAverage(ours, 0.999)
    batch = make_batch(1, (8, 8))
    theirs = model(SRModel, network, batch, cri_pix=L1Loss(), ema_decay=0.999, net_g_ema=copy.deepcopy(network))
    for iteration in range(1, 4):
        theirs.optimize_parameters(iteration)
        adam.zero_grad()
        F.l1_loss(ours(batch.lr), batch.hr).backward()
        adam.step()
        average.update()
    for ours_, theirs_ in ((ours, network), (average.network, theirs.net_g_ema)):
        for p, q in zip(ours_.parameters(), theirs_.parameters()):
            torch.testing.assert_close(p, q, rtol=0, atol=2e-6)
