"""Real-ESRGAN: ESRGAN's generator against a critic that judges every pixel.

The degradation that the publication is known for is left out: the benchmark has exactly one. What is trained is
the publication's configuration for pairs of pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from methods import register
from methods.adversarial import AdversarialMethod
from methods.base import Recipe
from methods.blocks.critics import UNetCritic
from methods.blocks.pretrained import vgg19_pyramid
from methods.blocks.rrdb import Generator
from methods.blocks.sharpen import sharpen


@register(in_all=False)
class RealESRGAN(AdversarialMethod):
    name = "real-esrgan"
    title = "Real-ESRGAN"
    citation = (
        "X. Wang, L. Xie, C. Dong, Y. Shan, “Real-ESRGAN: Training Real-World Blind Super-Resolution with Pure "
        "Synthetic Data”, ICCV Workshops 2021, pp. 1905–1914, doi:10.1109/ICCVW54120.2021.00217, arXiv:2107.10833"
    )
    groups = ("related",)
    # 1,000k iterations for pixels and 400k for the rest, as ESRGAN.
    native_recipe = Recipe(learning_rate=2e-4, betas=(0.9, 0.99), schedule="constant", ema=0.999)
    adversarial_recipe = Recipe(learning_rate=1e-4, betas=(0.9, 0.99), schedule="constant")
    pixel_weight, perceptual_weight, gan_weight = 1.0, 1.0, 0.1  # in the second phase
    critic_notes = ("Real-ESRGAN is its critic and losses on ESRGAN's generator; its degradation is not used.",)

    @dataclass(frozen=True)
    class Options(AdversarialMethod.Options):
        sharpened_targets: bool = False
        """Whether pixel and perceptual loss compare with sharpened HR plates, as the publication does in both phases.
        Off by default: all methods then learn the plates that they are scored on."""

    options: Options

    def build(self) -> nn.Module:
        return Generator()

    def critic(self) -> nn.Module:
        return UNetCritic()

    def target(self, hr: Tensor) -> Tensor:
        return sharpen(hr) if self.options.sharpened_targets else hr

    def notes(self) -> list[str]:
        if self.options.sharpened_targets:
            return [
                *super().notes(),
                "Real-ESRGAN learns sharpened plates, as published, and is scored on the real ones.",
            ]
        return [
            *super().notes(),
            "Real-ESRGAN is compared with the plates as they are; the publication sharpens them first.",
        ]

    def perceptual_network(self, init: Literal["imagenet", "random"], alternative: str) -> nn.Module:
        return vgg19_pyramid(init, alternative)
