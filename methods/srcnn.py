"""SRCNN 9-5-5: three convolutions that sharpen the luma of a bicubic enlargement."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from methods import register
from methods.base import Batch, Losses, Recipe, Session
from methods.blocks.colour import luma, luma_mse
from methods.blocks.resize import upsample_bicubic
from methods.network import NetworkMethod


class SRCNNNetwork(nn.Module):
    """Convolutions 9×9 1→64, 5×5 64→32, 5×5 32→1, zero-padded to keep the size."""

    def __init__(self) -> None:
        super().__init__()
        self.extract = nn.Conv2d(1, 64, 9, padding=4)
        self.map = nn.Conv2d(64, 32, 5, padding=2)
        self.reconstruct = nn.Conv2d(32, 1, 5, padding=2)

    def initialise_as_published(self) -> None:
        """Draw weights from N(0, 0.001) and set biases to 0, as the publication does for its small SGD steps."""
        for layer in (self.extract, self.map, self.reconstruct):
            nn.init.normal_(layer.weight, std=0.001)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    def forward(self, lr: Tensor) -> Tensor:
        enlarged = upsample_bicubic(lr).clamp(0.0, 1.0)
        y = luma(enlarged)
        features = F.relu(self.map(F.relu(self.extract(y))))
        # This equals converting to YCbCr, replacing Y and converting back.
        return enlarged + (self.reconstruct(features) - y)


@register
class SRCNN(NetworkMethod):
    name = "srcnn"
    title = "SRCNN"
    citation = (
        "C. Dong, C. C. Loy, K. He, X. Tang, “Image Super-Resolution Using Deep Convolutional Networks”, IEEE "
        "Transactions on Pattern Analysis and Machine Intelligence 38(2):295–307, 2016, "
        "doi:10.1109/TPAMI.2015.2439281, arXiv:1501.00092"
    )
    groups = ("table1",)
    paper_parameters = 57_000
    version = 2  # 2: starts from PyTorch's default under the common recipe
    # The publication descends with momentum from N(0, 0.001); Adam at the same two rates is the usual retraining. Under
    # the common recipe Adam starts from PyTorch's default, as those retrainings do.
    native_recipe = Recipe(learning_rate=1e-4, schedule="constant", layer_rates=(("reconstruct.", 0.1),))
    halo = 8  # it reaches 8 pixels at full size, and bicubic interpolation 2 at the LR's

    def build(self) -> SRCNNNetwork:
        return SRCNNNetwork()

    def prepare(self, session: Session) -> None:
        if session.recipe(self.native_recipe) is self.native_recipe:
            assert isinstance(self.network, SRCNNNetwork)
            self.network.initialise_as_published()
        super().prepare(session)

    def loss(self, sr: Tensor, batch: Batch) -> Losses:
        return {"total": luma_mse(sr, batch.hr)}

    def notes(self) -> list[str]:
        return [
            "SRCNN learns the luma (full-range BT.601 Y) only; its Cb and Cr are bicubic.",
            "SRCNN starts from PyTorch's default under the common recipe, from N(0, 0.001) under its own.",
        ]
