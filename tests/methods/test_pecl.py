"""PECL's losses, worked out by hand, and what becomes of its weights."""

from __future__ import annotations

import hashlib
import math
import socket
from pathlib import Path
from typing import Any

import pytest
import torch

import methods
from methods.blocks.pecl_networks import EfficientChannelAttention, ResidualDenseBlock, release_network
from methods.blocks.pretrained import (
    PLATES_FILE,
    ImageNetNormalise,
    MissingWeights,
    plates_weights_hash,
    resnet18,
    resnet18_plates_features,
    vgg19_conv5_4,
)
from methods.contract import PracticeSession, make_batch
from methods.pecl import Embedder, Pecl, contrastive_term, embedding_distance


def prepared(iterations: int = 1, **options: Any) -> tuple[Pecl, PracticeSession]:
    torch.manual_seed(0)
    method, session = Pecl(Pecl.Options(**{"embedder_init": "random", **options})), PracticeSession(iterations)
    method.prepare(session)
    return method, session


# -- the formulas ----------------------------------------------------------------------------------


def test_distances_by_hand() -> None:
    a = torch.tensor([[0.6, 0.8], [1.0, 0.0]])
    b = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    assert embedding_distance(a, b, "manhattan").tolist() == pytest.approx([0.8, 0.0])
    assert embedding_distance(a, b, "euclidean").tolist() == pytest.approx([math.sqrt(0.4), 0.0])


def test_terms_by_hand() -> None:
    distance = torch.tensor([0.5, 3.0])
    assert contrastive_term(distance, "attract", 2.0).item() == pytest.approx((0.25 + 9.0) / 2)
    assert contrastive_term(distance, "printed", 2.0).item() == pytest.approx(1.5**2 / 2)
    assert contrastive_term(distance, "printed", 4.0).item() == pytest.approx((3.5**2 + 1) / 2)


def test_the_terms_pull_in_opposite_directions() -> None:
    for term, sign in (("attract", 1.0), ("printed", -1.0)):
        distance = torch.tensor([0.5, 1.5], requires_grad=True)
        contrastive_term(distance, term, 2.0).backward()  # type: ignore[arg-type]
        assert distance.grad is not None and (distance.grad.sign() == sign).all()


def test_printed_term_is_silent_beyond_the_margin() -> None:
    distance = torch.tensor([2.0, 7.5], requires_grad=True)
    loss = contrastive_term(distance, "printed", 2.0)
    loss.backward()
    assert loss == 0 and distance.grad is not None and not distance.grad.any()


def test_embeddings_have_unit_length() -> None:
    torch.manual_seed(0)
    embeddings = Embedder(64, "random").eval()(torch.rand(3, 3, 8, 24))
    assert embeddings.shape == (3, 64)
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(3))
    grey = ImageNetNormalise()(torch.full((1, 3, 1, 1), 0.485))
    assert grey[0, 0] == 0 and grey[0, 1, 0, 0] == pytest.approx((0.485 - 0.456) / 0.224)


def test_identical_pictures_have_no_distance_and_finite_gradients() -> None:
    for kind in ("manhattan", "euclidean"):
        method, _ = prepared(distance=kind)
        batch = make_batch(1, (2, 2))
        sr = batch.hr.clone().requires_grad_()
        losses = method.loss(sr, batch)
        losses["total"].backward()
        assert losses["distance"] == 0 and sr.grad is not None and torch.isfinite(sr.grad).all()


# -- losses and weights in training ----------------------------------------------------------------


def test_fixed_weights_add_up() -> None:
    method, session = prepared(w_contrastive=0.25)
    method.step(make_batch(1, (2, 2)), session)
    row = session.history[0]
    assert (row["w_pixel"], row["w_contrastive"]) == (0.75, 0.25) and row["dead_gradient"] == 0
    assert row["total"] == pytest.approx(0.75 * row["pixel"] + 0.25 * row["contrastive"])
    assert row["contrastive"] >= row["distance"] ** 2 > 0
    assert row["contrastive_share"] == pytest.approx(0.25 * row["contrastive"] / row["total"])


@pytest.mark.parametrize("weight", [0.0, 1e-8, 1e-7, 1e-5, 1.0])
def test_a_fixed_weight_is_used_as_given(weight: float) -> None:
    method, session = prepared(w_contrastive=weight)
    method.step(make_batch(1, (2, 2)), session)
    row = session.history[0]
    assert row["w_contrastive"] == torch.tensor(weight) and row["w_pixel"] == torch.tensor(1.0 - weight)
    assert f"weight of {weight:g}" in " ".join(method.notes())


def test_without_a_term_there_is_no_embedder() -> None:
    method, session = prepared(term="none", weights="learned", embedder_init="imagenet")
    method.step(make_batch(1, (2, 2)), session)
    assert method.embedder is None and set(session.history[0]) == {"total"}
    assert sum(len(g["params"]) for o, _ in session.optimizers for g in o.param_groups) == len(
        list(method.network.parameters())
    )


def test_same_network_whatever_the_loss() -> None:
    first = {key: value.clone() for key, value in prepared()[0].weights().items()}
    for options in ({"term": "none"}, {"term": "printed", "weights": "learned", "dimension": 512}):
        other = prepared(**options)[0].weights()
        assert all(torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize(("embedder", "batch_norm"), [("frozen", "eval"), ("frozen", "batch"), ("trained", "eval")])
def test_embedder(embedder: str, batch_norm: str) -> None:
    method, session = prepared(embedder=embedder, batch_norm=batch_norm)
    assert method.embedder is not None
    before = {k: v.clone() for k, v in method.embedder.state_dict().items()}
    method.step(make_batch(1, (4, 4)), session)
    changed = {k for k, v in method.embedder.state_dict().items() if not torch.equal(v, before[k])}
    weights = {k for k, _ in method.embedder.named_parameters()}
    assert bool(changed & weights) == (embedder == "trained")
    assert bool(changed - weights) == (batch_norm == "batch")
    assert method.num_parameters() == 1_971_919  # the upscaling network's, whatever else is trained
    assert set(method.weights()) == set(method.network.state_dict())


@pytest.mark.parametrize("larger", ["pixel", "contrastive"])
def test_learned_weight_flows_to_the_smaller_term(larger: str) -> None:
    method, session = prepared(weights="learned", term="printed", margin=9.0 if larger == "contrastive" else 0.0)
    start = method.w_pixel.item()
    for _ in range(3):
        method.step(make_batch(1, (2, 2)), session)
    assert start == 0.5 and session.history[0]["w_pixel"] == 0.5
    row = session.history[-1]
    assert (row["pixel"] > row["contrastive"]) == (larger == "pixel")
    assert method.w_pixel.item() == pytest.approx(0.5 - 3e-4 if larger == "pixel" else 0.5 + 3e-4, abs=1e-5)


def test_a_weight_stops_at_zero_and_the_gradient_is_reported_dead() -> None:
    method, session = prepared(weights="learned", term="printed", margin=0.0)
    method.w_pixel.data.fill_(0.5e-4)
    for _ in range(2):
        method.step(make_batch(1, (2, 2)), session)
    assert [row["dead_gradient"] for row in session.history] == [0.0, 1.0]
    assert method.w_pixel.item() == 0.0 and session.history[1]["total"] == 0.0
    assert all(p.grad is not None and not p.grad.any() for p in method.network.parameters())


def test_fixed_options() -> None:
    assert methods.get("pecl-printed").fixed == {"term": "printed", "weights": "learned"}
    assert methods.get("pecl-learned").fixed == {"term": "attract", "weights": "learned"}  # a default, too
    assert methods.get("pecl").fixed == {}
    printed: Any = methods.get("pecl-printed").create({"embedder_init": "random", "dimension": 256}).options
    assert (printed.term, printed.weights, printed.margin, printed.dimension) == ("printed", "learned", 2.0, 256)
    plain: Any = methods.get("pecl").create().options
    assert (plain.term, plain.weights, plain.distance, plain.dimension) == ("attract", "fixed", "manhattan", 128)
    with pytest.raises(ValueError, match="w_contrastive"):
        methods.get("pecl").create({"w_contrastive": 2.0})


# -- the readings and the ablation -----------------------------------------------------------------


def test_the_ablation_has_nine_cells_of_one_class() -> None:
    cells = [methods.get(name) for name in methods.names("ablation")]
    assert len(cells) == 9 and {cell.method for cell in cells} == {Pecl}
    options: list[Any] = [cell.create().options for cell in cells]
    assert [o.term for o in options].count("none") == 1
    grid = {(o.distance, o.dimension) for o in options if o.term == "attract"}
    assert grid == {(d, n) for d in ("euclidean", "manhattan") for n in (64, 128, 256, 512)}
    assert {(o.network, o.weights, o.embedder, o.w_contrastive) for o in options} == {
        ("paper", "fixed", "frozen", options[0].w_contrastive)
    }


def test_the_printed_grid_is_trained_on_request_only() -> None:
    printed: list[Any] = [methods.get(name).create().options for name in methods.names("ablation-printed")]
    assert len({(o.distance, o.dimension) for o in printed}) == len(printed) == 8
    assert {(o.term, o.weights, o.network) for o in printed} == {("printed", "learned", "paper")}
    assert set(methods.names("ablation-printed")) & set(methods.names("all")) == {"pecl-printed"}
    assert set(methods.names("ablation")) | set(methods.names("readings")) <= set(methods.names("all"))


def test_the_readings() -> None:
    readings: dict[str, Any] = {name: methods.get(name).create().options for name in methods.names("readings")}
    kinds = {name: (o.network, o.term, o.weights) for name, o in readings.items()}
    assert kinds == {
        "pecl": ("paper", "attract", "fixed"),
        "pecl-printed": ("paper", "printed", "learned"),
        "pecl-learned": ("paper", "attract", "learned"),
        "pecl-renormalised": ("paper", "attract", "renormalised"),
        "pecl-release": ("release", "attract", "fixed"),
    }


def test_the_sweep_goes_from_no_contrastive_term_to_a_tenth() -> None:
    options: list[Any] = [methods.get(name).create().options for name in methods.names("sweep")]
    weights = {0.0 if o.term == "none" else o.w_contrastive for o in options}
    assert weights == {0.0, 1e-4, 1e-3, 1e-2, 1e-1}
    assert {(o.network, o.weights, o.distance, o.dimension) for o in options} == {("paper", "fixed", "manhattan", 128)}
    assert set(methods.names("sweep")) & set(methods.names("all")) == {"pecl-mse"}


def test_two_weights_are_clipped_and_divided_by_their_sum() -> None:
    """Both terms are positive, so Adam takes the same step off both weights, and their ratio stays."""
    method, session = prepared(weights="renormalised")
    for _ in range(3):
        method.step(make_batch(1, (2, 2)), session)
    last = session.history[-1]
    assert last["w_pixel"] + last["w_contrastive"] == pytest.approx(1.0)
    assert last["w_pixel"] == pytest.approx(0.5, abs=1e-4)
    with torch.no_grad():  # a weight that is clipped
        method.w_pixel.fill_(0.5e-6)
        method.w_contrastive.fill_(1.0)
    method.step(make_batch(1, (2, 2)), session)
    assert (method.w_pixel.item(), method.w_contrastive.item()) == (0.0, 1.0)


def test_two_weights_are_restored() -> None:
    method, _ = prepared(weights="renormalised")
    with torch.no_grad():
        method.w_pixel.fill_(0.25)
        method.w_contrastive.fill_(0.75)
    other, _ = prepared(weights="renormalised")
    other.load_state_dict(method.state_dict())
    assert [w.item() for w in other.loss_weights()] == [0.25, 0.75]


# Parameter counts of the published code for other depths and widths (METHOD_FACTS 7.2).
@pytest.mark.parametrize(
    ("channels", "blocks", "count"),
    [(64, 1, 3_473_804), (64, 6, 9_008_234), (48, 1, 1_955_628), (32, 5, 1_978_468), (32, 6, 2_255_434)],
)
def test_release_network_counts(channels: int, blocks: int, count: int) -> None:
    with torch.device("meta"):
        network = release_network(channels, blocks)
    assert sum(p.numel() for p in network.parameters()) == count


def test_release_blocks_are_rectified_and_attention_sees_neighbours() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 8, 4, 4)
    block = ResidualDenseBlock(8, rectified=True)
    assert ((block(x) - x) >= 0).all() and (block(x) > x).any()
    assert ((ResidualDenseBlock(8)(x) - x) < 0).any()
    attention = EfficientChannelAttention()
    with torch.no_grad():
        attention.neighbours.weight.copy_(torch.tensor([[[1.0, 2.0, -1.0]]]))
        factors = attention(torch.ones(1, 3, 2, 2) * torch.tensor([1.0, 2.0, 3.0])[None, :, None, None])
    expected = torch.sigmoid(torch.tensor([0 + 2 - 2.0, 1 + 4 - 3.0, 2 + 6.0])) * torch.tensor([1.0, 2.0, 3.0])
    torch.testing.assert_close(factors[0, :, 0, 0], expected)


# -- an embedder that reads plates -----------------------------------------------------------------


def test_plates_weights_are_used_and_named_by_their_hash(offline: Path) -> None:
    from safetensors.torch import save_file

    folder = offline / "checkpoints"
    folder.mkdir()
    stored = {k: v + 1 for k, v in resnet18("random", "").state_dict().items() if not k.startswith("fc.")}
    save_file(stored, folder / PLATES_FILE)
    assert torch.equal(resnet18("plates", "").conv1.weight, stored["conv1.weight"])
    digest = hashlib.sha256((folder / PLATES_FILE).read_bytes()).hexdigest()
    assert plates_weights_hash("") == digest
    method = methods.get("pecl").create({"embedder_init": "plates"})
    assert method.external_weights() == {"embedder": digest} and digest[:12] in method.notes()[-1]
    assert methods.get("pecl-mse").create({"embedder_init": "plates"}).external_weights() == {}
    assert methods.get("esrgan").create({"perceptual": "plates"}).external_weights() == {"perceptual": digest}
    features = resnet18_plates_features("")
    assert features(torch.rand(2, 3, 64, 48)).shape == (2, 256, 4, 3)
    assert not any(p.requires_grad for p in features.parameters())


@pytest.mark.parametrize("content", [None, b"", b"junk", "other"])
def test_absent_or_broken_plates_weights_say_how_to_go_on(offline: Path, content: Any) -> None:
    from safetensors.torch import save_file

    path = offline / "checkpoints" / PLATES_FILE
    path.parent.mkdir()
    if content == "other":
        save_file({"conv1.weight": torch.zeros(64, 3, 7, 7)}, path)
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(MissingWeights) as caught:
        resnet18("plates", "--set pecl.embedder_init=random")
    message = str(caught.value)
    assert "\n" not in message and PLATES_FILE in message
    assert ("data embedder" in message) == (content is None) and ("remove it" in message) == (content is not None)


# -- ImageNet weights ------------------------------------------------------------------------------


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache, and no way to fill it."""

    def refuse(*_: Any, **__: Any) -> None:
        assert socket.getdefaulttimeout() is not None
        raise OSError("no route to host\nmore about that")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("pecl", "--set pecl.embedder_init=random"),
        ("pecl-printed", "--set pecl.embedder_init=random"),
        ("esrgan", "--set esrgan.perceptual=random (or none)"),
    ],
)
def test_missing_weights_say_how_to_go_on(name: str, advice: str) -> None:
    method = methods.get(name).create()
    with pytest.raises(MissingWeights) as caught:
        method.train(PracticeSession(4))
    message = str(caught.value)
    assert message.endswith(advice) and "no route to host" in message and "\n" not in message
    assert socket.getdefaulttimeout() is None


def test_an_unreadable_file_counts_as_missing(offline: Path) -> None:
    (offline / "checkpoints").mkdir()
    (offline / "checkpoints" / "resnet18-f37072fd.pth").write_text("not a file of weights")
    with pytest.raises(MissingWeights, match=r"resnet18-f37072fd\.pth"):
        resnet18("imagenet", "go without")


def test_cached_weights_are_used(offline: Path) -> None:
    from torchvision import models

    (offline / "checkpoints").mkdir()
    stored = models.resnet18(weights=None)
    torch.save(stored.state_dict(), offline / "checkpoints" / "resnet18-f37072fd.pth")
    assert torch.equal(resnet18("imagenet", "").layer3[0].conv1.weight, stored.layer3[0].conv1.weight)

    features: Any = vgg19_conv5_4("random", "").get_submodule("1")
    state = {f"features.{key}": value + 1 for key, value in features.state_dict().items()}
    torch.save({**state, "classifier.0.weight": torch.zeros(1)}, offline / "checkpoints" / "vgg19-dcbb9e9d.pth")
    loaded: Any = vgg19_conv5_4("imagenet", "").get_submodule("1")
    assert torch.equal(loaded[34].weight, features[34].weight + 1)
