"""ESPCN: three convolutions at low resolution, then one pixel shuffle by eight."""

from __future__ import annotations

import math

from torch import nn

from methods import register
from methods.base import SCALE, Recipe
from methods.network import NetworkMethod


@register
class ESPCN(NetworkMethod):
    name = "espcn"
    title = "ESPCN"
    citation = (
        "W. Shi, J. Caballero, F. Huszár, J. Totz, A. P. Aitken, R. Bishop, D. Rueckert, Z. Wang, “Real-Time "
        "Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural Network”, "
        "CVPR 2016, pp. 1874–1883, doi:10.1109/CVPR.2016.207, arXiv:1609.05158"
    )
    groups = ("table1",)
    paper_parameters = 800_000
    native_recipe = Recipe(
        learning_rate=1e-3,
        schedule="steps",
        milestones=(0.8,),
        gamma=0.1,
        layer_rates=(("reconstruct.", 0.1),),
    )
    halo = 8  # it reaches 4

    def build(self) -> nn.Module:
        network = nn.Sequential()
        network.add_module("extract", nn.Conv2d(3, 64, 5, padding=2))
        network.add_module("extract_tanh", nn.Tanh())
        network.add_module("map", nn.Conv2d(64, 32, 3, padding=1))
        network.add_module("map_tanh", nn.Tanh())
        network.add_module("reconstruct", nn.Conv2d(32, 3 * SCALE**2, 3, padding=1))
        network.add_module("shuffle", nn.PixelShuffle(SCALE))
        for name, layer in network.named_children():
            if isinstance(layer, nn.Conv2d):
                fan = layer.out_channels * layer.weight[0, 0].numel()
                nn.init.normal_(layer.weight, std=0.001 if name == "reconstruct" else math.sqrt(2 / fan))
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)
        return network

    def notes(self) -> list[str]:
        return [
            "ESPCN works on RGB.",
            "No published configuration of ESPCN has the 800K parameters the paper prints.",
        ]
