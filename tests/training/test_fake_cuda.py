"""Training as on CUDA, without a CUDA device: devices, types, layouts, and when the host waits (see fake_cuda).

Run by name, ``pytest -m slow tests/training/test_fake_cuda.py``: they take minutes, and PyTorch's fake
tensors have crashed the process before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from fake_cuda import CUDA, FakeCuda, HostWaits, backward, fake_cuda
from torch import Tensor, nn

import methods
from benchmark.config import Train
from benchmark.data import patches
from benchmark.scoring.upscaling import PlateBatches
from benchmark.training import trainer
from benchmark.training.session import Interrupted, TrainingSession
from methods import Batch, Losses, Method, NetworkMethod, pecl
from methods.blocks.layers import EDSRFrame
from methods.blocks.pecl_networks import paper_network, release_network
from methods.blocks.rrdb import Generator
from methods.engine.acceleration import Acceleration
from methods.esrgan import ESRGAN
from methods.hat import HAT, hat_network
from methods.msrn import MSRN, MSRNNetwork
from methods.rcan import RCAN, rcan_network
from methods.rdn import RDN, RDNBody
from methods.realesrgan import RealESRGAN
from methods.swinir import SwinIR, SwinIRNetwork
from methods.tbsrn import TBSRN, TBSRNNetwork

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device: nothing to pretend"),
    pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor"),  # PyTorch's own Parameter does
]

ITERATIONS, STOP_AT = 3, 1
ANY_CUDA = torch.device("cuda")  # without a number, as the command line hands it over
OPTIONS: dict[str | None, dict[str, Any]] = {
    "esrgan": {"perceptual": "random", "gan_share": 2 / 3},  # adversarial from the second iteration on
    "pecl": {"embedder_init": "random"},
    **{name: {"perceptual": "none", "gan_share": 2 / 3} for name in ("srgan", "real-esrgan")},
    "lpsrgan-style": {"perceptual": "none", "gan_share": 2 / 3, "reader_features": 0.0},
}
TABLE1 = [name for name in methods.names("table1") if not methods.get(name).method.deterministic]
"""Methods that train."""
RELATED = [name for name in methods.names("related") if issubclass(methods.get(name).method, NetworkMethod)]


class Plugin(NetworkMethod):
    """As a user writes one: nothing in it knows of devices."""

    name, title, citation = "plugin", "Plug-in", "none"

    def build(self) -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Conv2d(8, 192, 1), nn.PixelShuffle(8))


@pytest.fixture(autouse=True)
def slim(monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread, and of every deep network one block of each kind."""
    torch.set_num_threads(1)
    monkeypatch.setattr(pecl, "paper_network", partial(paper_network, channels=16, blocks=1))
    monkeypatch.setattr(pecl, "release_network", partial(release_network, channels=16, blocks=1))
    monkeypatch.setattr(MSRN, "build", lambda self: MSRNNetwork(channels=16, blocks=1))
    monkeypatch.setattr(ESRGAN, "build", lambda self: Generator(channels=16, blocks=1))
    monkeypatch.setattr(RealESRGAN, "build", lambda self: Generator(channels=16, blocks=1))
    monkeypatch.setattr(RCAN, "build", lambda self: rcan_network(channels=16, groups=1, blocks=1))
    monkeypatch.setattr(RDN, "build", lambda self: EDSRFrame(16, RDNBody(16, 2, 8, 2)))
    monkeypatch.setattr(HAT, "build", lambda self: hat_network(dim=24, groups=1, depth=2))
    monkeypatch.setattr(TBSRN, "build", lambda self: TBSRNNetwork(channels=16, blocks=1))
    monkeypatch.setattr(SwinIR, "build", lambda self: SwinIRNetwork(dim=24, groups=1, depth=2))


@pytest.fixture
def world() -> Iterator[FakeCuda]:
    with fake_cuda() as made:
        yield made


def creator(name: str, **options: Any) -> Callable[[], Method]:
    if name == "plugin":
        return Plugin
    entry = methods.get(name)
    return lambda: entry.create({**OPTIONS.get(entry.family, {}), **options})


def plates() -> Any:
    """What a sampler needs of a pack, and no more."""
    sizes = [(64 + 8 * (i % 2), 64 + 16 * (i % 3)) for i in range(6)]
    ends = np.cumsum([0] + [h * w * 3 for h, w in sizes])
    table = pd.DataFrame({"offset": ends[:-1], "height": [h for h, _ in sizes], "width": [w for _, w in sizes]})
    return SimpleNamespace(table=table, pixels=np.zeros(ends[-1], np.uint8), paired=False)


class Lab:
    """Trains with everything around a session, and looks at each iteration as the session sees it."""

    def __init__(self, world: FakeCuda, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world, self.folder = world, folder
        self.sessions: list[TrainingSession] = []
        self.losses: list[Losses] = []
        check = TrainingSession.check

        def look(session: TrainingSession, losses: Losses) -> None:
            self.losses.append(losses)
            check(session, losses)

        monkeypatch.setattr(TrainingSession, "check", look)

    def train(self, create: Callable[[], Method], *, stop_at: int | None = None, **options: Any) -> Any:
        """The method, trained; raises Interrupted after iteration ``stop_at``."""
        config = Train(**{"iterations": ITERATIONS, "batch_size": 2, "validations": 1, **options})
        validation = PlateBatches(
            [SimpleNamespace(hr=np.zeros((64, w, 3), np.uint8), lr=None) for w in (64, 96, 64)], ANY_CUDA
        )
        method, session = trainer.train(
            create, config, plates(), validation, 0, self.folder, "same",
            report=self.sessions.append,
            should_stop=lambda: bool(self.sessions) and self.sessions[-1].iteration == stop_at,
        )  # fmt: skip
        assert session.iteration == ITERATIONS and session.history[-1]["iteration"] == ITERATIONS
        return method


@pytest.fixture
def lab(world: FakeCuda, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    return Lab(world, tmp_path, monkeypatch)


# -- every method ------------------------------------------------------------------------------------------


def networks_of(method: Method) -> list[nn.Module]:
    return [value for value in vars(method).values() if isinstance(value, nn.Module)]


def note_types(create: Callable[[], Method], seen: set[torch.dtype]) -> Method:
    """A new method whose layers note what they return in training."""

    def note(_layer: nn.Module, _inputs: Any, output: Tensor) -> None:
        if torch.is_grad_enabled():  # not in upscaling, which is fp32
            seen.add(output.dtype)

    method = create()
    for layer in (layer for network in networks_of(method) for layer in network.modules()):
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.register_forward_hook(note)
    return method


def check_trained(lab: Lab, method: Method, acceleration: Acceleration) -> None:
    """Everything that learns was stepped on the device by fused Adam; nothing that is fp32 has become another type."""
    stepped = {id(parameter) for parameter in lab.world.stepped}
    learning = {id(p) for group in lab.sessions[-1]._optimizers for g in group[0].param_groups for p in g["params"]}
    for network in networks_of(method):
        for tensor in (*network.parameters(), *network.buffers()):
            assert tensor.device == CUDA
            assert tensor.dtype == torch.float32 or not tensor.is_floating_point()
            if tensor.ndim == 4:
                assert tensor.is_contiguous(memory_format=acceleration.layout(CUDA))
    assert stepped >= {id(p) for p in method.network.parameters()} and stepped <= learning
    for losses in lab.losses:
        assert losses["total"].requires_grad
        assert all((loss.device, loss.dtype, loss.ndim) == (CUDA, torch.float32, 0) for loss in losses.values())
    assert all(value.device == CUDA for value in method.weights().values())


WAYS: dict[str, dict[str, Any]] = {
    "fp32": {"precision": "fp32", "memory_format": "channels_last"},
    "tf32-native": {"precision": "tf32", "memory_format": "contiguous", "recipe": "native"},
    "bf16-native": {"precision": "bf16", "recipe": "native"},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", [*TABLE1, "pecl-learned", "plugin"])
def test_training_stays_on_the_device_and_ahead_of_it(lab: Lab, name: str, way: str) -> None:
    asked = WAYS[way]
    seen: set[torch.dtype] = set()
    method = lab.train(partial(note_types, creator(name), seen), **asked)
    assert seen == {torch.bfloat16 if asked["precision"] == "bf16" else torch.float32}
    assert lab.world.iterations_ahead == len(lab.losses) - 1 == ITERATIONS - 1
    check_trained(lab, method, Acceleration(asked["precision"], asked.get("memory_format", "auto")))
    assert method.upscale(torch.rand(1, 3, 3, 11, device=CUDA)).device == CUDA


@pytest.mark.parametrize(
    "name",
    sorted({*methods.names("ablation"), *methods.names("readings")} - {*TABLE1, "pecl-learned"}),
)
def test_every_reading_and_ablation(lab: Lab, name: str) -> None:
    check_trained(lab, lab.train(creator(name), precision="bf16"), Acceleration("bf16"))


@pytest.mark.parametrize("name", RELATED)
def test_every_related_work(lab: Lab, name: str) -> None:
    seen: set[torch.dtype] = set()
    method = lab.train(partial(note_types, creator(name), seen), recipe="native", precision="bf16")
    assert seen == {torch.bfloat16}
    assert lab.world.iterations_ahead == len(lab.losses) - 1
    check_trained(lab, method, Acceleration("bf16"))


@pytest.mark.parametrize("options", [{"embedder": "trained"}, {"batch_norm": "batch"}], ids=str)
def test_embedders_that_learn_or_look_at_the_batch(lab: Lab, options: dict[str, Any]) -> None:
    method = lab.train(creator("pecl", **options))
    check_trained(lab, method, Acceleration())
    learnt = {id(p) for p in lab.world.stepped} >= {id(p) for p in method.embedder.parameters()}
    assert learnt == (options.get("embedder") == "trained")


def test_esrgan_goes_through_both_phases(lab: Lab) -> None:
    method = lab.train(creator("esrgan"), recipe="native", precision="bf16")
    check_trained(lab, method, Acceleration("bf16"))
    assert [set(losses) for losses in lab.losses] == [{"total"}] + 2 * [
        {"total", "pixel", "gan", "perceptual", "discriminator"}
    ]
    stepped = {id(p) for p in lab.world.stepped}
    assert stepped >= {id(p) for p in method.discriminator.parameters()}
    assert not stepped & {id(p) for p in method.features.parameters()}


@pytest.mark.parametrize("name", [*TABLE1, "pecl-learned", "plugin"])
def test_a_checkpoint_goes_to_the_host_and_back(lab: Lab, name: str) -> None:
    with pytest.raises(Interrupted):
        lab.train(creator(name), stop_at=STOP_AT, recipe="native", precision="bf16")
    assert (lab.folder / "checkpoint.pt").is_file() and len(lab.losses) == STOP_AT
    lab.world.stepped.clear()
    method = lab.train(creator(name), recipe="native", precision="bf16")
    assert len(lab.losses) == ITERATIONS
    check_trained(lab, method, Acceleration("bf16"))
    again = lab.train(creator(name), recipe="native", precision="bf16")  # finished: its weights are read
    assert len(lab.losses) == ITERATIONS and all(value.device == CUDA for value in again.weights().values())


@pytest.mark.parametrize("free", [0, 10**9])
def test_batches_come_from_device_and_host_memory(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], free: int
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free, 10**9))
    batches: list[Batch] = []
    make = patches.PatchSampler.batch

    def keep(sampler: patches.PatchSampler, iteration: int) -> Batch:
        batches.append(make(sampler, iteration))
        assert (sampler._pixels.device == CUDA) == (free > 0)
        return batches[-1]

    monkeypatch.setattr(patches.PatchSampler, "batch", keep)
    check_trained(lab, lab.train(Plugin), Acceleration())
    assert ("do not fit on cuda" in capsys.readouterr().out) == (free == 0)
    for batch in batches:
        assert batch.lr.shape == (2, 3, 8, 8) and batch.hr.shape == (2, 3, 64, 64)
        assert all((x.device, x.dtype, x.is_contiguous()) == (CUDA, torch.float32, True) for x in (batch.lr, batch.hr))


# -- what is noticed: each of these trains on a CPU ------------------------------------------------------------


class Reading(Plugin):
    def loss(self, sr: Tensor, batch: Batch) -> Losses:
        losses = super().loss(sr, batch)
        self.facts["loss"] = losses["total"].item()
        return losses


class Branching(Plugin):
    def loss(self, sr: Tensor, batch: Batch) -> Losses:
        return super().loss(sr if sr.mean() > 0 else sr + 1.0, batch)


class Uploading(Plugin):
    def loss(self, sr: Tensor, batch: Batch) -> Losses:
        return {"total": (sr - batch.hr).square().mean() * torch.tensor(2.0, device=sr.device)}


class Copying(Plugin):
    def step(self, batch: Batch, session: Any) -> None:
        super().step(batch, session)
        self.facts["brightest"] = batch.hr.amax().cpu()


class Synchronising(Plugin):
    def loss(self, sr: Tensor, batch: Batch) -> Losses:
        torch.cuda.synchronize()
        return super().loss(sr, batch)


class Straying(Plugin):
    """A weight of its loss lies in host memory."""

    def loss(self, sr: Tensor, batch: Batch) -> Losses:
        return {"total": (sr - batch.hr).square().mean() * torch.tensor(2.0)}


@pytest.mark.parametrize("wrong", [Reading, Branching, Uploading, Copying, Synchronising, Straying])
def test_what_waits_for_the_device_is_named(lab: Lab, wrong: type[Plugin]) -> None:
    with pytest.raises(HostWaits, match=r"test_fake_cuda\.py:\d+: "):
        lab.train(wrong)
    assert len(lab.losses) == (2 if wrong is Copying else 1)


class Mixing(Plugin):
    def loss(self, sr: Tensor, batch: Batch) -> Losses:
        return {"total": (sr - batch.hr - torch.zeros(3, 1, 1)).square().mean()}


class Left(Plugin):
    """A network that nobody moves."""

    def prepare(self, session: Any) -> None:
        super().prepare(session)
        self.judge = nn.Conv2d(3, 1, 1)

    def loss(self, sr: Tensor, batch: Batch) -> Losses:
        return {"total": self.judge(sr).mean()}


@pytest.mark.parametrize("wrong", [Mixing, Left])
def test_mixed_devices_are_refused(lab: Lab, wrong: type[Plugin]) -> None:
    with pytest.raises(RuntimeError, match="cpu"):
        lab.train(wrong)


def test_gradients_node_by_node_are_those_of_the_engine() -> None:
    """Sums over broadcast axes, casts, leaves used twice, slots that get nothing."""
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.PReLU(), nn.Flatten(), nn.Linear(144, 5))
    scale = nn.Parameter(torch.rand(5))
    images = torch.rand(2, 3, 8, 8)

    def loss() -> Tensor:
        first, _, third = layers(images).mul(scale).chunk(3, dim=1)
        with torch.autocast("cpu", torch.bfloat16):
            last = layers[4](torch.rand(2, 144, generator=torch.Generator().manual_seed(1)))
        return first.square().mean() + third.exp().sum() + (last.float() * scale).std()

    leaves = [*layers.parameters(), scale]
    wanted = torch.autograd.grad(loss(), leaves)
    backward(loss())
    for leaf, gradient in zip(leaves, wanted):
        assert leaf.grad is not None
        torch.testing.assert_close(leaf.grad, gradient)


def test_nothing_of_the_fake_world_remains() -> None:
    with fake_cuda():
        assert torch.cuda.is_available() and torch.rand(3, device="cuda").device == CUDA
    assert not torch.cuda.is_available()
    moved = nn.Linear(2, 2).to(torch.float64)
    moved(torch.rand(1, 2, dtype=torch.float64)).sum().backward()
    assert moved.weight.grad is not None and float(moved.weight.grad.sum()) != 0.0
