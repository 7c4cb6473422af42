"""Deep networks with one narrow block of each kind, for tests of what depends on neither depth nor width."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models import resnet, vgg

from methods import a2n, edsr, esrgan, hat, lpsrgan_style, msrn, pecl, rcan, rdn, realesrgan, srgan, swinir, tbsrn, vdsr
from methods.blocks import critics, pretrained
from methods.blocks.layers import EDSRFrame
from methods.blocks.pecl_networks import paper_network, release_network
from methods.blocks.rrdb import Generator

VGG19 = [8, 8, "M", 16, 16, "M", 32, 32, 32, 32, "M", 64, 64, 64, 64, "M", 64, 64, 64, 64]
"""Widths up to conv5_4, an eighth of the real ones."""


def slim_generators(patch: pytest.MonkeyPatch) -> None:
    """Whatever enlarges, of every deep method."""
    patch.setattr(pecl, "paper_network", partial(paper_network, channels=16, blocks=1))
    patch.setattr(pecl, "release_network", partial(release_network, channels=16, blocks=1))
    patch.setattr(a2n.A2N, "build", lambda self: a2n.A2NNetwork(blocks=1))
    patch.setattr(edsr.EDSR, "build", lambda self: edsr.edsr_network(16, 1, 0.1))
    patch.setattr(esrgan.ESRGAN, "build", lambda self: Generator(channels=16, blocks=1))
    patch.setattr(hat.HAT, "build", lambda self: hat.hat_network(dim=24, groups=1, depth=2))
    patch.setattr(lpsrgan_style.LPSRGANStyle, "build", lambda self: lpsrgan_style.LPSRGANNetwork(1, channels=16))
    patch.setattr(msrn.MSRN, "build", lambda self: msrn.MSRNNetwork(channels=16, blocks=1))
    patch.setattr(rcan.RCAN, "build", lambda self: rcan.rcan_network(channels=16, groups=1, blocks=1))
    patch.setattr(rdn.RDN, "build", lambda self: EDSRFrame(16, rdn.RDNBody(16, 2, 8, 2)))
    patch.setattr(realesrgan.RealESRGAN, "build", lambda self: Generator(channels=16, blocks=1))
    patch.setattr(srgan, "srresnet", partial(srgan.srresnet, channels=16, blocks=1))
    patch.setattr(swinir.SwinIR, "build", lambda self: swinir.SwinIRNetwork(dim=24, groups=1, depth=2))
    patch.setattr(tbsrn.TBSRN, "build", lambda self: tbsrn.TBSRNNetwork(channels=16, blocks=1))
    patch.setattr(vdsr.VDSR, "build", lambda self: vdsr.VDSRNetwork(channels=16, depth=4))


def slim_judges(patch: pytest.MonkeyPatch) -> None:
    """Whatever judges in training: critics, VGG-19 and the embedder, the last two with random weights."""
    for module in (esrgan, srgan):
        patch.setattr(module, "vgg_critic", partial(critics.vgg_critic, channels=8))
    for other in (realesrgan, lpsrgan_style):
        patch.setattr(other, "UNetCritic", partial(critics.UNetCritic, channels=8))
    patch.setattr(pretrained, "_vgg19", _narrow_vgg19)
    patch.setattr(pecl, "resnet18", lambda init, alternative: resnet.ResNet(resnet.BasicBlock, [1, 1, 1, 1]))


def _narrow_vgg19(init: Any, alternative: str) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(19)  # always the same one, as the real one is
        return vgg.make_layers(VGG19)[:35]  # type: ignore[arg-type]
