"""LPIPS against its own package with made-up weights, and what is said where something is lacking."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.scoring import lpips
from benchmark.scoring.metrics import METRICS
from benchmark.util.errors import UserError
from benchmark.util.files import checksum


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_it_is_the_package_s_distance(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = pytest.importorskip("lpips")
    from torchvision.models import alexnet

    torch.manual_seed(0)
    backbone = alexnet()
    torch.save(backbone.state_dict(), hub / "made-up.pth")
    name = f"alexnet-owt-{str(checksum(hub / 'made-up.pth')['sha256'])[:8]}.pth"
    (hub / "made-up.pth").rename(hub / name)
    monkeypatch.setattr(lpips, "FILE", name)
    monkeypatch.setattr("torchvision.models.alexnet", lambda pretrained=False: backbone)
    expected = package.LPIPS(net="alex", pnet_rand=True, verbose=False)
    random = np.random.default_rng(0)
    sr, hr = (random.integers(0, 256, (64, 160, 3), dtype=np.uint8) for _ in range(2))
    planes = [torch.tensor(image).permute(2, 0, 1)[None].float() / 255 for image in (sr, hr)]
    ours = lpips.Lpips()
    assert ours(sr, hr) == pytest.approx(float(expected(*planes, normalize=True).detach()), rel=1e-5)
    assert ours(hr, hr) == 0.0 and ours(sr, hr) > 0.0 and not METRICS["lpips"].higher_is_better


def test_weights_that_are_not_there_or_not_torchvision_s_are_named(hub: Path) -> None:
    with pytest.raises(UserError, match=r"put https://download.pytorch.org/models/alexnet\S+ into .*checkpoints"):
        lpips.weights_file()
    (hub / lpips.FILE).write_bytes(b"something else")
    with pytest.raises(UserError, match="not torchvision's file"):
        lpips.weights_file()


def test_without_the_package_one_line_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[lpips\]'"):
        lpips.Lpips()
