"""Networks against their publications: parameters, layers, and libraries that have the same network."""

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
from methods.blocks.critics import at_least, relativistic, vgg_critic
from methods.blocks.pretrained import vgg19_conv5_4
from methods.blocks.resize import upsample_bicubic
from methods.contract import PracticeSession, make_batch
from methods.engine.tiles import pad_to_multiple
from methods.esrgan import ESRGAN
from methods.tbsrn import position_code

PARAMETERS = {
    "bicubic": 0,
    "srcnn": 57_281,
    "espcn": 78_816,
    "msrn": 6_225_731,
    "esrgan": 16_734_915,
    "tbsrn": 1_421_124,
    "swinir": 12_047_911,
    "pecl": 1_971_919,
    "pecl-release": 9_008_234,
    "bilinear": 0,
    "lanczos": 0,
    "vdsr": 665_921,
    "edsr": 1_665_283,
    "edsr-large": 45_450_243,
    "rcan": 15_740_067,
    "rdn-a": 5_911_939,
    "rdn-b": 22_418_819,
    "a2n": 1_058_475,
    "tsrn": 1_111_684,
    "hat-s": 9_568_159,
    "srgan": 1_695_063,
    "real-esrgan": 16_734_915,
    "lpsrgan-style": 2_070_723,
    "scsr": 64_000,
}


def network(name: str) -> nn.Module:
    torch.manual_seed(0)
    method = methods.get(name).create()
    assert isinstance(method, NetworkMethod)
    return method.network.eval()


def shapes(module: nn.Module) -> list[tuple[int, ...]]:
    """Weight shapes of the convolutions and linear layers, in the order they are made."""
    kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
    return [tuple(m.weight.shape) for m in module.modules() if isinstance(m, kinds)]


@pytest.mark.parametrize("name", methods.names())
def test_parameter_counts(name: str) -> None:
    with torch.device("meta"):  # counting needs no memory
        entry = methods.get(name)
        assert entry.create().num_parameters() == PARAMETERS[name if name in PARAMETERS else entry.family]


# -- layers of the networks that no library has ----------------------------------------------------

UPSAMPLER = [(256, 64, 3, 3)] * 3


def test_srcnn_layers() -> None:
    assert shapes(network("srcnn")) == [(64, 1, 9, 9), (32, 64, 5, 5), (1, 32, 5, 5)]


def test_espcn_layers() -> None:
    assert shapes(network("espcn")) == [(64, 3, 5, 5), (32, 64, 3, 3), (192, 32, 3, 3)]


def test_msrn_layers() -> None:
    block = [(64, 64, 3, 3), (64, 64, 5, 5), (128, 128, 3, 3), (128, 128, 5, 5), (64, 256, 1, 1)]
    assert shapes(network("msrn")) == [
        (64, 3, 3, 3),
        *block * 8,
        (64, 576, 1, 1),
        (64, 64, 3, 3),
        *UPSAMPLER,
        (3, 64, 3, 3),
    ]


def test_tbsrn_layers() -> None:
    block = [(64, 64, 3, 3)] * 2 + [(128, 128)] * 6 + [(64, 128)]
    assert shapes(network("tbsrn")) == [(64, 3, 9, 9), *block * 5, (64, 64, 3, 3), *UPSAMPLER, (3, 64, 9, 9)]


def test_pecl_layers() -> None:
    block = [(64, 64, 3, 3), (64, 128, 3, 3), (64, 192, 3, 3)]
    assert shapes(network("pecl")) == [
        (64, 3, 3, 3),
        *block * 8,
        (4, 64),
        (64, 4),
        *[(64, 64, 4, 4)] * 3,
        (3, 64, 3, 3),
    ]


def test_no_parameter_is_dead() -> None:
    """The authors' TBSRN has 229,875 that no gradient reaches."""
    tbsrn = network("tbsrn").train()
    tbsrn(torch.rand(2, 3, 4, 4)).sum().backward()
    assert all(p.grad is not None for p in tbsrn.parameters())


# -- initialisation --------------------------------------------------------------------------------


def deviation(layer: Any) -> float:
    return float(layer.weight.detach().std())


def test_published_initialisations() -> None:
    srcnn: Any = network("srcnn")
    assert deviation(srcnn.map) == pytest.approx(1 / math.sqrt(3 * 64 * 25), rel=0.05)  # PyTorch's, for Adam
    srcnn.initialise_as_published()
    assert deviation(srcnn.map) == pytest.approx(0.001, rel=0.05) and not srcnn.map.bias.any()
    espcn: Any = network("espcn")
    assert deviation(espcn.map) == pytest.approx(math.sqrt(2 / (32 * 9)), rel=0.05)
    assert deviation(espcn.reconstruct) == pytest.approx(0.001, rel=0.05)
    esrgan: Any = network("esrgan")
    dense = esrgan.blocks[3].blocks[1].fuse
    assert deviation(dense) == pytest.approx(0.1 * math.sqrt(2 / (192 * 9)), rel=0.05)
    assert not dense.bias.any()
    assert deviation(esrgan.body) == pytest.approx(1 / math.sqrt(3 * 64 * 9), rel=0.05)
    swinir: Any = network("swinir")
    assert deviation(swinir.groups[2].blocks[1].mlp.fc1) == pytest.approx(0.02, rel=0.05)
    tbsrn: Any = network("tbsrn")
    assert deviation(tbsrn.blocks[0].enhance.query) == pytest.approx(math.sqrt(2 / 256), rel=0.05)
    pecl: Any = network("pecl")
    assert pecl[1].alpha.item() == pytest.approx(0.2)


# -- bicubic and SRCNN's colours -------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(1, 1), (8, 8), (3, 17), (40, 11)])
def test_bicubic_is_pillows(height: int, width: int) -> None:
    pixels = np.random.default_rng(0).random((height, width), dtype=np.float32)
    ours = upsample_bicubic(torch.from_numpy(pixels)[None, None])[0, 0].numpy()
    theirs = Image.fromarray(pixels).resize((8 * width, 8 * height), Image.Resampling.BICUBIC)
    np.testing.assert_allclose(ours, np.asarray(theirs), atol=2e-6)


def test_bicubic_method_is_pillows_on_bytes() -> None:
    # Of middling brightness: Pillow also clips to bytes between the two directions, we at the end only.
    pixels = np.random.default_rng(0).integers(80, 176, (9, 21, 3), dtype=np.uint8)
    lr = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
    ours = (methods.get("bicubic").create().upscale(lr)[0] * 255).round().permute(1, 2, 0).numpy()
    theirs = np.asarray(Image.fromarray(pixels).resize((168, 72), Image.Resampling.BICUBIC), dtype=np.float32)
    assert np.abs(ours - theirs).max() <= 1  # Pillow rounds twice, once a direction


def test_srcnn_keeps_the_chroma_of_bicubic() -> None:
    lr = make_batch(1, (4, 6)).lr
    sr = network("srcnn")(lr).detach()
    bicubic = upsample_bicubic(lr).clamp(0, 1)
    for channel in (0, 2):  # Cr and Cb are multiples of R − Y and B − Y
        torch.testing.assert_close((sr - luma(sr))[:, channel], (bicubic - luma(bicubic))[:, channel])
    rgb = (np.random.default_rng(0).random((5, 7, 3)) * 255).astype(np.uint8)
    y = np.asarray(Image.fromarray(rgb).convert("YCbCr"))[..., 0]
    ours = luma(torch.from_numpy(rgb).permute(2, 0, 1)[None].double())[0, 0].numpy()
    assert np.abs(ours - 0.5 - y).max() <= 0.51  # Pillow truncates


# -- parity with spandrel --------------------------------------------------------------------------


def take_over(ours: nn.Module, theirs: nn.Module) -> None:
    """Copy parameters in their order, which is the order of the publication in both."""
    mine, others = list(ours.parameters()), list(theirs.parameters())
    assert [p.shape for p in mine] == [p.shape for p in others]
    with torch.no_grad():
        for p, q in zip(mine, others, strict=True):
            p.copy_(q)


def test_esrgan_generator_equals_spandrels() -> None:
    spandrel = pytest.importorskip("spandrel.architectures.ESRGAN")
    theirs = spandrel.ESRGAN(num_blocks=23, scale=8).eval()
    ours = network("esrgan")
    take_over(ours, theirs)
    lr = torch.rand(1, 3, 5, 9)
    with torch.no_grad():
        torch.testing.assert_close(ours(lr), theirs(lr))


def test_swinir_equals_spandrels() -> None:
    spandrel = pytest.importorskip("spandrel.architectures.SwinIR")
    theirs = spandrel.SwinIR(
        upscale=8, in_chans=3, img_size=48, window_size=8, depths=[6] * 6, embed_dim=180, num_heads=[6] * 6,
        mlp_ratio=2, upsampler="pixelshuffle", resi_connection="1conv",
    ).eval()  # fmt: skip
    ours = network("swinir")
    take_over(ours, theirs)
    for size in [(8, 8), (16, 24)]:
        lr = torch.rand(1, 3, *size)
        with torch.no_grad():
            torch.testing.assert_close(ours(lr), theirs(lr))


def test_swinir_windows_are_shifted() -> None:
    """A pixel must be felt beyond its own window of 8×8, which convolutions alone do not carry far."""
    group: Any = network("swinir").groups[0]  # type: ignore[index]
    x = torch.rand(1, 16, 16, 180)
    nudged = x.clone()
    nudged[0, 7, 7] += torch.randn(180)
    with torch.no_grad():
        moved = (group.blocks[1](nudged) - group.blocks[1](x)).abs().sum(-1)[0]
    assert moved[10, 10] > 0 and moved[0, 0] == 0


# -- ESRGAN's critics, TBSRN's positions, padding --------------------------------------------------


def test_discriminator() -> None:
    critic = vgg_critic(halving_kernel=4, hidden=100)
    assert sum(p.numel() for p in critic.parameters()) == 7_943_753
    assert shapes(critic) == [
        (64, 3, 3, 3), (64, 64, 4, 4), (128, 64, 3, 3), (128, 128, 4, 4), (256, 128, 3, 3), (256, 256, 4, 4),
        (512, 256, 3, 3), (512, 512, 4, 4), (100, 8192), (1, 100),
    ]  # fmt: skip
    pooling = next(i for i, m in enumerate(critic) if isinstance(m, nn.AdaptiveAvgPool2d))
    features = critic[:pooling](torch.rand(2, 3, 64, 64))
    assert torch.equal(critic[pooling](features), features)


def esrgan(**options: Any) -> ESRGAN:
    torch.manual_seed(0)
    method = ESRGAN(ESRGAN.Options(**options))
    method.prepare(PracticeSession(4))
    return method


def test_three_passes_of_the_discriminator_equal_five() -> None:
    method = esrgan(perceptual="none", gan_share=1.0)
    critic = method.discriminator
    assert critic is not None
    hr = make_batch(1, (2, 2)).hr
    sr = hr.flip(-1).requires_grad_()

    loss, real = method.critic_loss(sr.detach(), hr)
    loss.backward()
    ours = [p.grad.clone() for p in critic.parameters() if p.grad is not None]
    total = method.adversarial_losses(sr, hr, real)["total"]
    (our_gradient,) = torch.autograd.grad(total, sr)
    for mine, p in zip(ours, critic.parameters(), strict=True):  # the generator's turn left them alone
        torch.testing.assert_close(mine, p.grad, rtol=0, atol=0)

    critic.requires_grad_(True)
    critic.zero_grad()
    fake = critic(sr)
    real = critic(hr).detach()
    gan = 0.5 * (relativistic(real, fake, real=False) + relativistic(fake, real, real=True))
    (gradient,) = torch.autograd.grad(5e-3 * gan + 1e-2 * (sr - hr).abs().mean(), sr)
    torch.testing.assert_close(our_gradient, gradient)
    (0.5 * relativistic(critic(hr), critic(sr).detach(), real=True)).backward()
    (0.5 * relativistic(critic(sr.detach()), critic(hr).detach(), real=False)).backward()
    for mine, p in zip(ours, critic.parameters(), strict=True):
        torch.testing.assert_close(mine, p.grad, rtol=1e-3, atol=1e-6)


def test_phases_share_the_budget() -> None:
    torch.manual_seed(0)
    method = ESRGAN(ESRGAN.Options(gan_share=0.5, perceptual="none"))
    session = PracticeSession(2, lr_size=(1, 2), native=True)
    method.train(session)
    assert ["gan" in row for row in session.history] == [False, True]
    assert [recipe.learning_rate for _, recipe in session.optimizers] == [2e-4, 1e-4, 1e-4]
    assert method.optimizer is method.gan_optimizer
    assert set(session.history[-1]) == {"total", "pixel", "gan", "discriminator"}
    assert all("gan_share" not in key and "discriminator" not in key for key in method.weights())


def test_pixels_only() -> None:
    method = esrgan(gan_share=0.0)
    assert method.discriminator is None and method.features is None and "pixels only" in method.notes()[0]
    with pytest.raises(ValueError, match="gan_share"):
        ESRGAN.Options(gan_share=1.5)


def test_random_perceptual_network_is_always_the_same() -> None:
    torch.manual_seed(1)
    first = vgg19_conv5_4("random", "")
    torch.manual_seed(2)
    x = torch.rand(1, 3, 64, 64)
    features = first(x)
    assert features.shape == (1, 512, 4, 4) and features.min() < 0
    assert torch.equal(vgg19_conv5_4("random", "")(x), features)
    assert sum(p.numel() for p in first.parameters()) == 20_024_384
    assert not any(p.requires_grad for p in first.parameters())


def test_small_patches_are_extended_for_the_critics() -> None:
    x = torch.rand(1, 3, 8, 24)
    assert at_least(x, 16).shape == (1, 3, 16, 24)
    assert torch.equal(at_least(x, 16)[..., :8, :], x)
    big = torch.rand(1, 3, 64, 64)
    assert at_least(big, 16) is big


def test_position_code() -> None:
    code = position_code(64, 3, 5, torch.device("cpu"))
    assert code.shape == (64, 3, 5)
    assert torch.equal(code[:32, 0], code[:32, 2]) and torch.equal(code[32:, :, 0], code[32:, :, 4])
    assert code[0, 0, 3] == pytest.approx(math.sin(3)) and code[1, 0, 3] == pytest.approx(math.cos(3))
    rate = 10_000 ** (-2 / 32)
    assert code[34, 2, 0] == pytest.approx(math.sin(2 * rate), abs=1e-6)


def test_padding_goes_on_where_reflection_ends() -> None:
    row = torch.arange(6.0).view(1, 1, 1, 6)
    assert pad_to_multiple(row, 8)[0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5, 4, 3]
    assert pad_to_multiple(row, 8).shape == (1, 1, 8, 8)
    assert pad_to_multiple(row[..., :3], 8)[0, 0, 0].tolist() == [0, 1, 2, 1, 0, 1, 2, 1]
    assert pad_to_multiple(row[..., :1], 8)[0, 0].eq(0).all()
    square = torch.rand(1, 3, 8, 8)
    assert pad_to_multiple(square, 8) is square
