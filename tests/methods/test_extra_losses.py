"""Losses that any network can be trained with beside its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

import methods
from methods import NetworkMethod, contract
from methods.blocks.losses import gradient_profile_loss
from methods.blocks.pretrained import PLATES_FILE, MissingWeights, plates_weights_hash, resnet18
from methods.contract import PracticeSession, make_batch
from methods.extra_losses import NAMES

NETWORKS = [
    name for name in methods.names() if issubclass(methods.get(name).method, NetworkMethod) and not name.endswith("0")
]


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a ResNet-18 in torch's cache."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    file = tmp_path / "checkpoints" / PLATES_FILE
    file.parent.mkdir()
    torch.manual_seed(5)
    save_file({k: v for k, v in resnet18("random", "").state_dict().items() if not k.startswith("fc.")}, file)
    return file


def create(name: str, **options: Any) -> Any:
    torch.manual_seed(0)
    return methods.get(name).create(options)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_takes_them(name: str) -> None:
    assert set(NAMES) <= set(methods.get(name).effective_options())


@pytest.mark.parametrize("name", ["srcnn", "espcn", "tsrn"])
@pytest.mark.usefixtures("reader")
def test_what_is_minimised_is_the_methods_own_loss_and_theirs(name: str) -> None:
    plain, method = create(name), create(name, reader_features=0.5, gradient_profile=2.0)
    method.prepare(PracticeSession())
    batch = make_batch(1, (3, 4))
    sr = batch.hr.flip(-1).requires_grad_()
    losses = method.with_extra_losses(method.loss(sr, batch), sr, batch.hr)
    reader = method.extra_losses.reader
    features, profile = F.l1_loss(reader(sr), reader(batch.hr)), gradient_profile_loss(sr, batch.hr)
    torch.testing.assert_close(losses["total"], plain.loss(sr, batch)["total"] + 0.5 * features + 2.0 * profile)
    torch.testing.assert_close(losses["reader_features"], features.detach())
    torch.testing.assert_close(losses["gradient_profile"], profile.detach())
    losses["total"].backward()
    assert sr.grad is not None and sr.grad.any() and not any(p.requires_grad for p in reader.parameters())


@pytest.mark.parametrize("check", contract.CHECKS)
@pytest.mark.usefixtures("reader")
def test_the_contract_holds_with_all_of_them(check: str) -> None:
    contract.CHECKS[check](lambda: create("espcn", reader_features=0.1, gradient_profile=0.1))


@pytest.mark.usefixtures("reader")
def test_a_gan_has_them_in_both_phases() -> None:
    method, session = create("srgan", perceptual="none", gan_share=0.5, gradient_profile=1.0), PracticeSession(2)
    method.train(session)
    pixels, against_critic = session.history
    assert "gan" not in pixels and "gan" in against_critic
    assert pixels["gradient_profile"] > 0 and against_critic["gradient_profile"] > 0


def test_the_readers_file_is_part_of_the_identity_and_of_the_footnotes(reader: Path) -> None:
    digest = plates_weights_hash("")
    method = create("esrgan", reader_features=0.1, perceptual="plates")
    assert method.external_weights() == {"reader_features": digest, "perceptual": digest}
    assert create("pecl", reader_features=0.1, embedder_init="random").external_weights() == {"reader_features": digest}
    assert create("edsr", gradient_profile=0.1).external_weights() == {}
    assert digest[:12] in method.footnotes()[-1] and "weight 0.1" in method.footnotes()[-1]
    assert create("edsr").footnotes() == create("edsr").notes()
    assert create("tsrn").footnotes() == create("tsrn").notes()
    assert "weight 5" in create("tsrn-gradient").footnotes()[-1]


def test_a_reader_that_nobody_trained_is_missed_in_one_line(reader: Path) -> None:
    reader.unlink()
    method = create("edsr", reader_features=0.1)
    for ask in (method.external_weights, lambda: method.prepare(PracticeSession())):
        with pytest.raises(MissingWeights) as caught:
            ask()
        assert "data embedder" in str(caught.value) and "--set edsr.reader_features=0" in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["espcn", "esrgan", "pecl"])
def test_a_negative_weight_is_refused(name: str) -> None:
    for value in (-0.1, float("nan")):
        with pytest.raises(ValueError, match="gradient_profile must not be negative"):
            create(name, gradient_profile=value)


def test_options_of_a_plug_in_that_does_not_inherit_them_go_without() -> None:
    class Plain(NetworkMethod):
        name, title, citation = "plain", "Plain", "nobody"
        Options = methods.MethodOptions  # type: ignore[assignment]

        def build(self) -> nn.Module:
            return nn.Sequential(nn.Conv2d(3, 192, 1), nn.PixelShuffle(8))

    method = Plain()
    method.train(PracticeSession())
    assert method.external_weights() == {} and method.footnotes() == []
