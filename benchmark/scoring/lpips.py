"""LPIPS (Zhang et al., CVPR 2018): a distance of two pictures in AlexNet's features, 0 for equal ones, lower is better.

The package ``lpips`` (extra ``lpips``) brings its linear layers; AlexNet's ImageNet weights are torchvision's and are
looked for in torch hub's folder. Nothing is downloaded while scoring.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmark.util.errors import UserError
from benchmark.util.files import checksum

FILE = "alexnet-owt-7be5be79.pth"
"""torchvision's AlexNet; the digits begin the file's SHA-256."""
URL = f"https://download.pytorch.org/models/{FILE}"


class Lpips:
    """The metric, version 0.1 on AlexNet. Raises UserError, naming the way on, where package or weights are lacking."""

    def __init__(self, device: torch.device | str = "cpu") -> None:
        try:
            import lpips
        except ImportError:
            raise UserError(
                "scoring.lpips needs the package lpips: `pip install -e '.[lpips]'`, or leave that setting out"
            ) from None
        state = torch.load(weights_file(), map_location="cpu", weights_only=True)
        self.network = lpips.LPIPS(net="alex", version="0.1", pnet_rand=True, verbose=False)
        backbone = self.network.net
        backbone.load_state_dict({name: state["features." + name.partition(".")[2]] for name in backbone.state_dict()})
        self.network.to(device).requires_grad_(False)
        self.device = device

    def __call__(self, sr: np.ndarray, hr: np.ndarray) -> float:
        """The distance of two uint8 H×W×3 pictures of one size."""
        with torch.inference_mode():
            return float(self.network(self._signed(sr), self._signed(hr)))

    def _signed(self, image: np.ndarray) -> Tensor:
        """1×3×H×W from −1 to 1."""
        planes = torch.tensor(image, device=self.device).permute(2, 0, 1).unsqueeze(0)
        return planes.float() / 127.5 - 1.0


def weights_file() -> Path:
    """AlexNet's weights in torch hub's folder. Raises UserError where they are not, or are others."""
    file = Path(torch.hub.get_dir()) / "checkpoints" / FILE
    if not file.is_file():
        raise UserError(
            f"scoring.lpips needs AlexNet's weights: put {URL} into {file.parent}, or leave that setting out"
        )
    if not str(checksum(file)["sha256"]).startswith(FILE.removesuffix(".pth").rpartition("-")[2]):
        raise UserError(f"{file} is not torchvision's file: put {URL} there anew")
    return file
