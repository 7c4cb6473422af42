"""SRGAN: SRResNet, trained for pixels first, against a critic then.

The budget is split as the published one is: a million iterations for pixels, 200k for the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from methods import register
from methods.adversarial import AdversarialMethod
from methods.base import Recipe
from methods.blocks.critics import vgg_critic
from methods.blocks.layers import Residual, SRResNetFrame
from methods.blocks.pretrained import vgg19_conv5_4


def srresnet(channels: int = 64, blocks: int = 16) -> SRResNetFrame:
    """Convolutions drawn as He et al. (ICCV 2015) do, biases 0."""

    def convolution() -> nn.Module:
        return nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def block() -> nn.Module:
        first, second = (nn.Sequential(convolution(), nn.BatchNorm2d(channels)) for _ in range(2))
        return Residual(first, nn.PReLU(), second)

    body = nn.Sequential(*(block() for _ in range(blocks)), convolution(), nn.BatchNorm2d(channels))
    network = SRResNetFrame(channels, body, nn.PReLU)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return network


@register(in_all=False)
class SRGAN(AdversarialMethod):
    name = "srgan"
    title = "SRGAN"
    citation = (
        "C. Ledig, L. Theis, F. Huszár, J. Caballero, A. Cunningham, A. Acosta, A. Aitken, A. Tejani, J. Totz, "
        "Z. Wang, W. Shi, “Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network”, "
        "CVPR 2017, pp. 105–114, doi:10.1109/CVPR.2017.19, arXiv:1609.04802"
    )
    groups = ("related",)
    version = 2  # 2: pixels are compared in the second phase, unless features are those of the published VGG-19
    native_recipe = Recipe(learning_rate=1e-4, schedule="constant")
    adversarial_recipe = Recipe(learning_rate=1e-4, schedule="steps", milestones=(0.5,), gamma=0.1)
    # The publication divides features by 12.75, which makes their squared error 0.006 of what it is.
    perceptual_weight, gan_weight = 0.006, 1e-3
    critic_notes = ("SRGAN has no official code; its layers and weights are those of its text.",)

    @dataclass(frozen=True)
    class Options(AdversarialMethod.Options):
        gan_share: float = 1 / 6
        """Share of the budget spent on the second phase; 0 trains for pixels only, which is SRResNet."""

    options: Options

    def __init__(self, options: Any = None) -> None:
        super().__init__(options)
        # The published weight of the features is made for VGG-19's as ImageNet trained them. Nothing else holds what a
        # pixel is: with features of a stand-in the critic drove them out of range (5 dB). So with one, or with none,
        # the second phase has the pixel term of the publication's SRGAN-MSE.
        self.pixel_weight = 0.0 if self.options.perceptual == "imagenet" else 1.0

    def build(self) -> nn.Module:
        return srresnet()

    def critic(self) -> nn.Module:
        return vgg_critic(halving_kernel=3, hidden=1024)

    def notes(self) -> list[str]:
        if self.options.gan_share == 0.0 or self.options.perceptual == "imagenet":
            return super().notes()
        return [*super().notes(), "SRGAN compares pixels in its second phase, too, as its variant SRGAN-MSE does."]

    def perceptual_network(self, init: Literal["imagenet", "random"], alternative: str) -> nn.Module:
        return nn.Sequential(vgg19_conv5_4(init, alternative), nn.ReLU())

    def pixel_loss(self, sr: Tensor, hr: Tensor) -> Tensor:
        return F.mse_loss(sr, hr)

    def perceptual_loss(self, sr: Tensor, hr: Tensor) -> Tensor:
        return F.mse_loss(sr, hr)
