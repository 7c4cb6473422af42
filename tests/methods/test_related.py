"""Methods of the group ``related`` against their publications, and libraries that have the same network."""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import torchvision.transforms.functional
from PIL import Image
from torch import nn

import methods
from methods import NetworkMethod
from methods.blocks.colour import luma
from methods.blocks.critics import UNetCritic
from methods.blocks.losses import gradient_profile, gradient_profile_loss
from methods.blocks.pretrained import vgg19_pyramid
from methods.blocks.resize import upsample_bicubic, upsample_bilinear, upsample_lanczos
from methods.blocks.sharpen import sharpen
from methods.contract import PracticeSession, make_batch
from methods.hat import OverlappingAttention, hat_network
from methods.rcan import rcan_network
from methods.srgan import SRGAN


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


def deviation(layer: Any) -> float:
    return float(layer.weight.detach().std())


def assert_same(ours: nn.Module, theirs: Any, *sizes: tuple[int, int]) -> None:
    for size in sizes:
        lr = torch.rand(1, 3, *size)
        with torch.no_grad():
            torch.testing.assert_close(ours(lr), theirs(lr), rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def basicsr() -> ModuleType:
    """BasicSR 1.4.2, which imports a torchvision module that no longer exists."""
    sys.modules.setdefault("torchvision.transforms.functional_tensor", torchvision.transforms.functional)
    return pytest.importorskip("basicsr.archs", exc_type=ImportError)


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
    assert deviation(vdsr.layers[4]) == pytest.approx(math.sqrt(2 / (64 * 9)), rel=0.05)
    assert not vdsr.layers[4].bias.any()


def test_edsr_scales_residuals_in_the_large_size_only() -> None:
    assert [{block.scale for block in network(name).body[:-1]} for name in ("edsr", "edsr-large")] == [{1.0}, {0.1}]


@pytest.mark.usefixtures("basicsr")
def test_edsr_equals_basicsrs() -> None:
    from basicsr.archs.edsr_arch import EDSR

    theirs = EDSR(3, 3, num_feat=64, num_block=16, upscale=8, img_range=1.0)
    ours = network("edsr")
    take_over(ours, theirs)
    assert_same(ours, theirs, (5, 9))
    assert deviation(ours.body[3].layers[2]) == pytest.approx(1 / math.sqrt(3 * 64 * 9), rel=0.05)


# -- RCAN, RDN, A2N --------------------------------------------------------------------------------


def test_rcan_equals_spandrels() -> None:
    spandrel = pytest.importorskip("spandrel.architectures.RCAN")
    theirs = spandrel.RCAN(scale=8, rgb_range=1, n_resgroups=2, n_resblocks=3)
    ours = rcan_network(groups=2, blocks=3)
    take_over(ours, nn.ModuleList([theirs.head, theirs.body, theirs.tail]))  # without its two shifts by the mean
    assert_same(ours, lambda lr: theirs(lr.clone()), (5, 9))


def test_rdn_blocks_and_fusion() -> None:
    """No library has RDN: the layers in their order, and what enters and leaves a block."""
    for name, blocks, growth, layers in (("rdn-a", 20, 32, 6), ("rdn-b", 16, 64, 8)):
        rdn = network(name)
        dense = [(growth, 64 + i * growth, 3, 3) for i in range(layers)] + [(64, 64 + layers * growth, 1, 1)]
        shapes = [tuple(m.weight.shape) for m in rdn.modules() if isinstance(m, nn.Conv2d)]
        assert shapes == [
            (64, 3, 3, 3), (64, 64, 3, 3), *dense * blocks, (64, 64 * blocks, 1, 1), (64, 64, 3, 3),
            *[(256, 64, 3, 3)] * 3, (3, 64, 3, 3),
        ]  # fmt: skip
    block = rdn.body.blocks[0]
    nn.init.zeros_(block.fuse.weight)
    x = torch.rand(1, 64, 3, 4)
    torch.testing.assert_close(block(x), x + block.fuse.bias[:, None, None])


def test_a2n_starts_as_the_mean_of_its_branches_on_top_of_bilinear() -> None:
    a2n = network("a2n")
    block, x = a2n.blocks[3], torch.rand(1, 40, 5, 6)
    y = nn.functional.leaky_relu(block.enter(x), 0.2)
    branches = block.attended(block.gated(y) * block.gate(y)), block.plain(y)
    mean = block.leave(nn.functional.leaky_relu((branches[0] + branches[1]) / 2, 0.2))
    torch.testing.assert_close(block(x), x + mean, rtol=0, atol=2e-3)
    for parameter in a2n.tail.parameters():
        nn.init.zeros_(parameter)
    lr = torch.rand(1, 3, 4, 5)
    torch.testing.assert_close(a2n(lr), upsample_bilinear(lr))


# -- TSRN ------------------------------------------------------------------------------------------


def test_tsrn_reads_whole_rows_and_columns_in_both_directions() -> None:
    block = network("tsrn")[0].body[0]
    x = torch.rand(1, 64, 12, 14)
    nudged = x.clone()
    nudged[..., 5, 6] += 1.0
    with torch.no_grad():
        moved = (block(nudged) - block(x)).abs().sum(dim=1)[0]
    assert (moved[[0, -1], 6] > 0).all() and (moved[5, [0, -1]] > 0).all()


def test_gradient_profile_of_a_ramp() -> None:
    ramp = torch.arange(6.0).expand(1, 1, 4, 6) / 10 + 0.2
    profile = gradient_profile(ramp)[0, 0]
    torch.testing.assert_close(profile[1:-1, 1:-1], torch.full((2, 4), math.sqrt(0.01 + 1e-6)))
    assert profile[1, 0] == pytest.approx(0.15, abs=1e-4)  # zeros beyond the border: an edge
    assert gradient_profile_loss(ramp, ramp) == 0 and gradient_profile_loss(ramp, ramp.flip(-1)) > 0
    flat = torch.full((1, 1, 3, 3), 0.5, requires_grad=True)
    gradient_profile_loss(flat, ramp[..., :3, :3]).backward()
    assert flat.grad is not None and torch.isfinite(flat.grad).all()


# -- HAT -------------------------------------------------------------------------------------------


def test_hat_equals_spandrels() -> None:
    spandrel = pytest.importorskip("spandrel.architectures.HAT")
    theirs = spandrel.HAT(
        upscale=8, in_chans=3, img_size=64, window_size=8, compress_ratio=24, squeeze_factor=24, conv_scale=0.01,
        overlap_ratio=0.5, img_range=1.0, depths=[3, 3], embed_dim=96, num_heads=[6, 6], mlp_ratio=2,
        upsampler="pixelshuffle", resi_connection="1conv",
    ).eval()  # fmt: skip
    ours = hat_network(dim=96, groups=2, depth=3).eval()
    for block in (m for m in theirs.modules() if type(m).__name__ == "HAB"):
        block.conv_block = block._modules.pop("conv_block")  # the last of its layers, as in ours
    for block in (m for m in theirs.modules() if type(m).__name__ == "OCAB"):
        # Its indices begin at −200, and count from the end of the table there.
        block.relative_position_bias_table.data = block.relative_position_bias_table.data.roll(200, dims=0)
    take_over(ours, theirs)
    for block in (m for m in theirs.modules() if type(m).__name__ == "OCAB"):
        block.relative_position_bias_table.data = block.relative_position_bias_table.data.roll(-200, dims=0)
    assert_same(ours, theirs, (8, 8), (16, 24))
    assert deviation(ours.body.groups[1].blocks[1].swin.mlp.fc1) == pytest.approx(0.02, rel=0.05)
    squeeze = ours.body.groups[1].blocks[1].channels[3].squeeze
    assert deviation(squeeze) == pytest.approx(1 / math.sqrt(3 * 96), rel=0.15)  # not drawn as linear layers are


@pytest.fixture
def eight_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(8)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("eight_threads")
def test_hat_has_the_same_gradients_every_time_on_several_threads() -> None:
    torch.manual_seed(0)
    attention, x = OverlappingAttention(36), torch.rand(2, 1, 8, 8, 36)

    def gradient() -> torch.Tensor:
        attention.zero_grad()
        (attention(x[0]) * x[1]).sum().backward()
        assert attention.bias.grad is not None
        return attention.bias.grad.clone()

    first = gradient()
    assert first.any() and all(torch.equal(gradient(), first) for _ in range(12))


# -- SRGAN and Real-ESRGAN -------------------------------------------------------------------------


def gan(name: str, **options: Any) -> Any:
    torch.manual_seed(0)
    method = methods.get(name).create({"gan_share": 1.0, "perceptual": "none", **options})
    method.prepare(PracticeSession(4))
    return method


def test_srgan_layers_and_initialisation() -> None:
    srgan = network("srgan")
    kernels = [(m.kernel_size[0], m.out_channels, m.bias is None) for m in srgan.modules() if isinstance(m, nn.Conv2d)]
    assert kernels == [(9, 64, False), *[(3, 64, True)] * 33, *[(3, 256, False)] * 3, (9, 3, False)]
    assert sum(isinstance(m, nn.PReLU) for m in srgan.modules()) == 1 + 16 + 3
    assert deviation(srgan.body[-2]) == pytest.approx(math.sqrt(2 / (64 * 9)), rel=0.05)
    assert not srgan.tail.bias.any()


def test_critics() -> None:
    assert sum(p.numel() for p in gan("srgan").discriminator.parameters()) == 13_077_889
    critic = gan("real-esrgan").discriminator
    assert sum(p.numel() for p in critic.parameters()) == 4_376_897
    assert critic(torch.rand(1, 3, 24, 40)).shape == (1, 1, 24, 40)
    critic.train()
    for _ in range(20):  # a pass in training improves the estimate of the norm by one iteration
        critic(torch.rand(1, 3, 16, 16))
    assert float(torch.linalg.matrix_norm(critic.body[0].weight.detach().flatten(1), 2)) == pytest.approx(1, rel=0.05)


@pytest.mark.usefixtures("basicsr")
def test_critic_that_judges_pixels_equals_basicsrs() -> None:
    from basicsr.archs.discriminator_arch import UNetDiscriminatorSN

    theirs, ours = UNetDiscriminatorSN(3).eval(), UNetCritic().eval()
    torch.nn.init.normal_(theirs.conv9.weight)
    for mine, other in zip(
        [ours.head, *ours.down, *ours.up, *ours.body, ours.tail], [getattr(theirs, f"conv{i}") for i in range(10)]
    ):
        if hasattr(other, "weight_orig"):
            mine.parametrizations.weight.original.data = other.weight_orig.data
            mine.parametrizations.weight[0]._u, mine.parametrizations.weight[0]._v = other.weight_u, other.weight_v
        else:
            mine.load_state_dict(other.state_dict())
    assert_same(ours, theirs, (64, 64), (16, 24))


def test_a_plain_critic_judges_each_picture_alone() -> None:
    method = gan("real-esrgan")
    hr = make_batch(1, (2, 2)).hr
    sr = hr.flip(-1).requires_grad_()
    loss, real = method.critic_loss(sr.detach(), hr)
    critic = method.discriminator.eval()  # its estimates of norms stay
    softplus = nn.functional.softplus
    torch.testing.assert_close(loss, softplus(-real).mean() + softplus(critic(sr)).mean(), rtol=0.05, atol=0)
    losses = method.adversarial_losses(sr, hr, real)
    gan_loss = softplus(-critic(sr)).mean()
    torch.testing.assert_close(losses["gan"], gan_loss.detach())
    torch.testing.assert_close(losses["total"], (sr - hr).abs().mean() + 0.1 * gan_loss)


def test_srgan_compares_pixels_in_its_second_phase_unless_imagenets_features_do() -> None:
    sr, hr = (make_batch(i, (2, 2)).hr for i in (1, 2))
    assert SRGAN(SRGAN.Options(perceptual="imagenet")).pixel_weight == 0.0
    for perceptual in ("none", "random"):
        method = gan("srgan", perceptual=perceptual)
        losses = method.adversarial_losses(sr, hr, torch.zeros(2, 1))
        expected = losses["pixel"] + 1e-3 * losses["gan"] + 0.006 * losses.get("perceptual", torch.tensor(0.0))
        torch.testing.assert_close(losses["total"], expected)
        torch.testing.assert_close(losses["pixel"], (sr - hr).square().mean())


def test_five_depths_of_vgg_are_weighed_as_published() -> None:
    sr, hr = torch.rand(2, 1, 3, 32, 48)
    pyramid: Any = vgg19_pyramid("random", "")
    x, y = pyramid[0](sr), pyramid[0](hr)
    expected = torch.zeros(())
    for i, layer in enumerate(pyramid[1].layers):
        x, y = layer(x.clone()), layer(y.clone())
        expected += {2: 0.1, 7: 0.1, 16: 1.0, 25: 1.0, 34: 1.0}.get(i, 0.0) * (x - y).abs().mean()
    torch.testing.assert_close((pyramid(sr) - pyramid(hr)).abs().mean(), expected)


def test_sharpening_is_opencvs_unsharp_mask() -> None:
    cv2 = pytest.importorskip("cv2")
    hr = make_batch(3, (8, 12)).hr[:1]
    blur = lambda picture: cv2.GaussianBlur(picture, (51, 51), 0, borderType=cv2.BORDER_REFLECT_101)  # noqa: E731
    picture = hr[0].permute(1, 2, 0).numpy()
    residual = picture - blur(picture)
    mask = blur((np.abs(residual) * 255 > 10).astype(np.float32))
    expected = mask * np.clip(picture + 0.5 * residual, 0, 1) + (1 - mask) * picture
    np.testing.assert_allclose(sharpen(hr)[0].permute(1, 2, 0).numpy(), expected, atol=2e-6)
    assert np.abs(expected - picture).max() > 0.01
    assert sharpen(torch.rand(1, 3, 1, 8)).isfinite().all()  # a picture too small to be reflected once


def test_real_esrgan_learns_sharpened_plates_where_asked_and_its_critic_sees_real_ones() -> None:
    batch = make_batch(1, (2, 2))
    sr = batch.hr.flip(-1)
    plain, sharpened = (gan("real-esrgan", sharpened_targets=on) for on in (False, True))
    assert plain.loss(sr, batch)["total"] == (sr - batch.hr).abs().mean()
    assert sharpened.loss(sr, batch)["total"] == (sr - sharpen(batch.hr)).abs().mean()
    (_, real), (_, seen) = (method.critic_loss(sr, batch.hr) for method in (plain, sharpened))
    assert torch.equal(real, seen)
    losses = [method.adversarial_losses(sr, batch.hr, real) for method in (plain, sharpened)]
    assert losses[1]["pixel"] == (sr - sharpen(batch.hr)).abs().mean() != losses[0]["pixel"]
    assert "sharpened" in sharpened.notes()[-1] and "as they are" in plain.notes()[-1]


# -- who is missing --------------------------------------------------------------------------------


def test_who_is_missing_is_said_with_the_reason() -> None:
    with (Path(methods.__file__).parent / "missing.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows and list(rows[0]) == ["method", "year", "kind", "why", "facts"]
    assert all(all(row.values()) and row["year"].isdigit() and row["facts"].endswith(".") for row in rows)
    assert not {row["method"] for row in rows} & {methods.get(name).title for name in methods.names()}
