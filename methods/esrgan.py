"""ESRGAN: 23 residual-in-residual dense blocks, trained for pixels first, against a critic then.

The budget is split as the published one is (1,000k iterations for pixels, 400k for the rest). The
first phase minimises the absolute error; the second adds a perceptual loss on VGG-19 features and
a relativistic average GAN.
"""

from __future__ import annotations

from typing import Literal

from torch import nn

from methods import register
from methods.adversarial import AdversarialMethod
from methods.base import Recipe
from methods.blocks.critics import vgg_critic
from methods.blocks.pretrained import vgg19_conv5_4
from methods.blocks.rrdb import Generator


@register
class ESRGAN(AdversarialMethod):
    name = "esrgan"
    title = "ESRGAN"
    citation = (
        "X. Wang, K. Yu, S. Wu, J. Gu, Y. Liu, C. Dong, Y. Qiao, C. C. Loy, “ESRGAN: Enhanced Super-Resolution "
        "Generative Adversarial Networks”, ECCV Workshops 2018, arXiv:1809.00219"
    )
    groups = ("table1",)
    paper_parameters = 16_000_000
    version = 2  # 2: each phase has a schedule of its own
    # Halved every 200k of the 1,000k iterations for pixels, then after 50k, 100k, 200k and 300k of the 400k others.
    # Each phase has a schedule of its own, under the common recipe too.
    native_recipe = Recipe(learning_rate=2e-4, schedule="steps", milestones=(0.2, 0.4, 0.6, 0.8), gamma=0.5)
    adversarial_recipe = Recipe(learning_rate=1e-4, schedule="steps", milestones=(0.125, 0.25, 0.5, 0.75), gamma=0.5)

    pixel_weight, perceptual_weight, gan_weight = 1e-2, 1.0, 5e-3  # in the second phase
    relativistic_gan = True
    critic_notes = ("ESRGAN's discriminator halves four times, not five, as patches are 64×64.",)

    def build(self) -> nn.Module:
        return Generator()

    def critic(self) -> nn.Module:
        # The published one takes 128×128; here the last halving goes, as in the size-specific variants in use.
        return vgg_critic(halving_kernel=4, hidden=100)

    def perceptual_network(self, init: Literal["imagenet", "random"], alternative: str) -> nn.Module:
        return vgg19_conv5_4(init, alternative)
