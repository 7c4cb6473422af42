"""Losses that any network can be trained with beside its own."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

import methods
from methods import NetworkMethod, contract
from methods.blocks.losses import gradient_profile_loss, posterior_distillation
from methods.blocks.pretrained import (
    PATCHES_FILE,
    PLATES_FILE,
    MissingWeights,
    PatchReader,
    patch_reader,
    patches_weights_hash,
    plates_weights_hash,
    resnet18,
)
from methods.contract import PracticeSession, make_batch
from methods.extra_losses import NAMES, TEMPERATURE

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


@pytest.fixture
def patches_file(reader: Path) -> Path:
    """The file of a reader of patches, beside the ResNet-18."""
    file = reader.with_name(PATCHES_FILE)
    torch.manual_seed(6)
    save_file(PatchReader(5).state_dict(), file)
    return file


def create(name: str, **options: Any) -> Any:
    torch.manual_seed(0)
    return methods.get(name).create(options)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_takes_them(name: str) -> None:
    assert set(NAMES) <= set(methods.get(name).effective_options())


@pytest.mark.parametrize("name", ["srcnn", "espcn", "tsrn"])
@pytest.mark.usefixtures("patches_file")
def test_what_is_minimised_is_the_methods_own_loss_and_theirs(name: str) -> None:
    plain = create(name)
    method = create(name, reader_features=0.5, reader_posteriors=0.3, gradient_profile=2.0)
    method.prepare(PracticeSession())
    batch = make_batch(1, (3, 4))
    sr = batch.hr.flip(-1).requires_grad_()
    losses = method.with_extra_losses(method.loss(sr, batch), sr, batch.hr)
    readers = method.extra_losses.readers
    features, patches = readers["reader_features"], readers["reader_posteriors"]
    terms = {
        "reader_features": F.l1_loss(features(sr), features(batch.hr)),
        "reader_posteriors": posterior_distillation(patches(sr), patches(batch.hr), TEMPERATURE),
        "gradient_profile": gradient_profile_loss(sr, batch.hr),
    }
    assert terms.keys() == set(NAMES) and all(term > 0 for term in terms.values())
    weighted = sum(weight * term for weight, term in zip((0.5, 0.3, 2.0), terms.values()))
    torch.testing.assert_close(losses["total"], plain.loss(sr, batch)["total"] + weighted)
    for name, term in terms.items():
        torch.testing.assert_close(losses[name], term.detach())
    losses["total"].backward()
    assert sr.grad is not None and sr.grad.any()
    assert not any(p.requires_grad for network in readers.values() for p in network.parameters())


@pytest.mark.parametrize("check", contract.CHECKS)
@pytest.mark.usefixtures("patches_file")
def test_the_contract_holds_with_all_of_them(check: str) -> None:
    contract.CHECKS[check](lambda: create("espcn", reader_features=0.1, reader_posteriors=0.1, gradient_profile=0.1))


def test_posterior_distillation_by_hand() -> None:
    """One place of two classes: HR says 0.8 and 0.2, SR says 0.5 and 0.5."""
    hr, sr = torch.tensor([0.8, 0.2]).log().view(1, 2, 1, 1), torch.zeros(1, 2, 1, 1)
    divergence = 0.8 * math.log(0.8 / 0.5) + 0.2 * math.log(0.2 / 0.5)
    assert float(posterior_distillation(sr, hr, 1.0)) == pytest.approx(0.8 * divergence, rel=1e-5)
    softer = 2 / 3  # of 0.8 and 0.2, whose square roots are as 2 to 1
    divergence = softer * math.log(2 * softer) + (1 - softer) * math.log(2 * (1 - softer))
    assert float(posterior_distillation(sr, hr, 2.0)) == pytest.approx(0.8 * divergence, rel=1e-5)


def test_posterior_distillation_is_0_for_the_original_alone(patches_file: Path) -> None:
    reader, hr = patch_reader(""), make_batch(2, (8, 8)).hr
    seen = reader(hr)
    assert seen.shape == (2, 5, 4, 4)
    assert abs(posterior_distillation(seen, seen, TEMPERATURE)) < 1e-6
    assert posterior_distillation(reader(hr.flip(-1)), seen, TEMPERATURE) > 1e-4


def test_a_place_that_the_reader_is_unsure_of_counts_less() -> None:
    sure, unsure = torch.tensor([4.0, 0.0]).view(1, 2, 1, 1), torch.tensor([0.4, 0.0]).view(1, 2, 1, 1)
    for hr in (sure, unsure):
        unweighted = F.kl_div((-hr).log_softmax(1), hr.log_softmax(1), reduction="sum", log_target=True)
        loss = posterior_distillation(-hr, hr, 1.0)
        torch.testing.assert_close(loss, hr.softmax(1).max() * unweighted)


@pytest.mark.usefixtures("reader")
def test_a_gan_has_them_in_both_phases() -> None:
    method, session = create("srgan", perceptual="none", gan_share=0.5, gradient_profile=1.0), PracticeSession(2)
    method.train(session)
    pixels, against_critic = session.history
    assert "gan" not in pixels and "gan" in against_critic
    assert pixels["gradient_profile"] > 0 and against_critic["gradient_profile"] > 0


@pytest.mark.usefixtures("patches_file")
def test_the_readers_file_is_part_of_the_identity_and_of_the_footnotes() -> None:
    digest = plates_weights_hash("")
    method = create("esrgan", reader_features=0.1, perceptual="plates")
    assert method.external_weights() == {"reader_features": digest, "perceptual": digest}
    assert create("pecl", reader_features=0.1, embedder_init="random").external_weights() == {"reader_features": digest}
    assert create("edsr", gradient_profile=0.1).external_weights() == {}
    posteriors = create("espcn", reader_posteriors=0.05)
    digest_of_patches = patches_weights_hash("")
    assert digest_of_patches != digest and posteriors.external_weights() == {"reader_posteriors": digest_of_patches}
    assert digest_of_patches[:12] in posteriors.footnotes()[-1] and "weight 0.05" in posteriors.footnotes()[-1]
    assert digest[:12] in method.footnotes()[-1] and "weight 0.1" in method.footnotes()[-1]
    assert create("edsr").footnotes() == create("edsr").notes()
    assert create("tsrn").footnotes() == create("tsrn").notes()
    assert "weight 5" in create("tsrn-gradient").footnotes()[-1]


@pytest.mark.parametrize(
    ("option", "command"), [("reader_features", "data embedder"), ("reader_posteriors", "data patch-reader")]
)
def test_a_reader_that_nobody_trained_is_missed_in_one_line(
    option: str, command: str, reader: Path, patches_file: Path
) -> None:
    (reader if option == "reader_features" else patches_file).unlink()
    method = create("edsr", **{option: 0.1})
    for ask in (method.external_weights, lambda: method.prepare(PracticeSession())):
        with pytest.raises(MissingWeights) as caught:
            ask()
        assert command in str(caught.value) and f"--set edsr.{option}=0" in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["junk", "another network", "another shape"])
def test_a_file_that_holds_no_reader_of_patches_is_refused_in_one_line(content: str, patches_file: Path) -> None:
    if content == "junk":
        patches_file.write_bytes(b"junk")
    elif content == "another network":
        save_file({"conv1.weight": torch.zeros(64, 3, 7, 7)}, patches_file)
    else:
        save_file({**PatchReader(5).state_dict(), "classify.bias": torch.zeros(6)}, patches_file)
    with pytest.raises(MissingWeights, match="remove it") as caught:
        patch_reader("")
    assert "\n" not in str(caught.value) and PATCHES_FILE in str(caught.value)


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
