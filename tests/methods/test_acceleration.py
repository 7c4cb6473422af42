"""How training computes: what is promised of precision, memory layout, compilation, and of pictures in pieces."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

import methods
from benchmark.config import load
from benchmark.runner.context import configure_torch
from benchmark.util.errors import UserError
from methods import Losses, NetworkMethod, Recipe, contract
from methods.base import Phase
from methods.blocks.rrdb import Generator
from methods.blocks.swin import shift_mask, swin_block
from methods.contract import PracticeSession, make_batch
from methods.engine.acceleration import Acceleration, Runner, load_optimizer
from methods.engine.average import MovingAverage
from methods.engine.tiles import forward_in_tiles
from methods.esrgan import ESRGAN
from methods.swinir import SwinIR, SwinIRNetwork
from methods.tbsrn import TBSRN, TBSRNNetwork

CPU = torch.device("cpu")
OPTIONS: dict[str, dict[str, Any]] = {
    "esrgan": {"perceptual": "random", "gan_share": 2 / 3},
    "pecl": {"embedder_init": "random"},
}
NETWORKS = ["srcnn", "espcn", "msrn", "esrgan", "tbsrn", "swinir", "pecl-learned", "pecl-release"]


@pytest.fixture(autouse=True)
def slim(monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread, and of the slowest networks one narrow block of each kind."""
    torch.set_num_threads(1)
    monkeypatch.setattr(ESRGAN, "build", lambda self: Generator(channels=16, blocks=1))
    monkeypatch.setattr(TBSRN, "build", lambda self: TBSRNNetwork(channels=16, blocks=1))
    monkeypatch.setattr(SwinIR, "build", lambda self: SwinIRNetwork(dim=24, groups=1, depth=2))


def create(name: str, acceleration: Acceleration | None = None, **options: Any) -> NetworkMethod:
    torch.manual_seed(0)
    entry = methods.get(name)
    method = entry.create({**OPTIONS.get(entry.family, {}), **options})
    assert isinstance(method, NetworkMethod)
    method.accelerate(acceleration or Acceleration()).to(CPU)
    return method


def trained(name: str, acceleration: Acceleration, iterations: int = 2) -> tuple[NetworkMethod, PracticeSession]:
    method, session = create(name, acceleration), PracticeSession(iterations, lr_size=(2, 3))
    method.train(session)
    return method, session


# -- nothing waits for the device ----------------------------------------------------------------------


class NoWaiting(TorchDispatchMode):
    """Fails where the host would wait for the device: values read, sizes that depend on values, uploads."""

    WAITING = ("_local_scalar_dense", "nonzero", "lift_fresh", "equal", "masked_select", "unique")

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func.overloadpacket.__name__ not in self.WAITING, f"{func} waits for the device"
        return func(*args, **(kwargs or {}))


class Unwatched(PracticeSession):
    """Reads no loss, and takes Adam as the real session does."""

    def optimizer(
        self, groups: list[dict[str, Any]], recipe: Recipe, phase: Phase = (0.0, 1.0)
    ) -> torch.optim.Optimizer:
        return torch.optim.Adam(groups, lr=recipe.learning_rate, betas=recipe.betas, fused=True)

    def check(self, losses: Losses) -> None:
        assert losses["total"].requires_grad


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_never_waits_for_the_device(name: str, native: bool) -> None:
    method, session = create(name), Unwatched(4, native=native)
    method.prepare(session)
    for iteration in (1, 2, 3):  # ESRGAN is adversarial from the second on
        batch = make_batch(iteration, (2, 2))
        if iteration == 1:  # what is made once
            method.step(batch, session)
            continue
        with NoWaiting():
            method.step(batch, session)
    with pytest.raises(AssertionError, match="waits for the device"), NoWaiting():
        batch.lr.sum().item()


# -- precision and memory layout -----------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_bf16_trains_fp32_weights_through_every_network(name: str) -> None:
    kinds: set[torch.dtype] = set()
    method, session = create(name, Acceleration("bf16")), PracticeSession(2, lr_size=(2, 2))
    method.prepare(session)
    layers = [m for n in networks_of(method) for m in n.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    for layer in layers:
        layer.register_forward_hook(lambda _module, _inputs, output: kinds.add(output.dtype))
    for iteration in (1, 2):
        method.step(make_batch(iteration, (2, 2)), session)
    assert kinds == {torch.bfloat16}
    assert all(value.dtype == torch.float32 for value in method.weights().values() if value.is_floating_point())
    plain = create(name)
    reference = PracticeSession(2, lr_size=(2, 2))
    plain.prepare(reference)
    for iteration in (1, 2):
        plain.step(make_batch(iteration, (2, 2)), reference)
    for ours, theirs in zip(session.history, reference.history):
        assert ours["total"] == pytest.approx(theirs["total"], rel=0.05)
    kinds.clear()
    assert method.upscale(make_batch(1, (2, 2)).lr).dtype == torch.float32 and kinds == {torch.float32}


def networks_of(method: NetworkMethod) -> list[nn.Module]:
    return [value for value in vars(method).values() if isinstance(value, nn.Module)]


@pytest.mark.parametrize("name", ["espcn", "esrgan", "tbsrn", "swinir", "pecl-learned"])
def test_accelerated_trainings_resume_exactly(name: str) -> None:
    check_resume(name, Acceleration("bf16", "channels_last"))


def check_resume(name: str, acceleration: Acceleration) -> None:
    """Two iterations, with a checkpoint between them and without, by the published recipe."""
    options = {"perceptual": "none"} if name == "esrgan" else {}
    straight = create(name, acceleration, **options)
    straight.train(PracticeSession(2, lr_size=(2, 2), native=True))
    killed = create(name, acceleration, **options)
    killed.train(PracticeSession(2, stop=1, lr_size=(2, 2), native=True))
    state = contract.through_file(killed.state_dict())
    resumed = create(name, acceleration, **options)
    torch.nn.init.zeros_(next(resumed.network.parameters()))
    torch.manual_seed(1)  # not the seed, the state must decide
    resumed.train(PracticeSession(2, first=2, lr_size=(2, 2), native=True, resume=state))
    assert_equal_states(resumed, straight)
    assert all(torch.equal(value, straight.weights()[key]) for key, value in resumed.weights().items())


@pytest.mark.parametrize("name", NETWORKS)
def test_a_memory_layout_changes_rounding_only(name: str) -> None:
    (last, rows), (plain, others) = (
        trained(name, Acceleration(memory_format=f)) for f in ("channels_last", "contiguous")
    )
    for network in networks_of(last):
        assert all(p.is_contiguous(memory_format=torch.channels_last) for p in network.parameters() if p.ndim == 4)
    assert [row["total"] for row in rows.history] == pytest.approx([row["total"] for row in others.history], rel=1e-4)
    fresh = create(name)
    fresh.load_weights(contract.through_file(plain.weights()))
    lr = make_batch(3, (5, 9)).lr
    torch.testing.assert_close(fresh.upscale(lr), plain.upscale(lr), atol=1e-5, rtol=0)


def test_auto_layout_follows_device_and_precision() -> None:
    cuda = torch.device("cuda")
    assert Acceleration().layout(CPU) is Acceleration("tf32").layout(cuda) is torch.channels_last
    assert Acceleration("bf16").layout(cuda) is torch.channels_last
    assert Acceleration().layout(cuda) is torch.contiguous_format
    assert Acceleration(memory_format="contiguous").layout(CPU) is torch.contiguous_format


def test_moments_from_a_device_with_another_layout() -> None:
    """A fused step walks through memory: moments laid out otherwise would be those of other weights."""

    def make(layout: torch.memory_format) -> tuple[nn.Conv2d, torch.optim.Optimizer]:
        torch.manual_seed(0)
        layer = nn.Conv2d(3, 4, 3)
        layer.weight.data = layer.weight.data.contiguous(memory_format=layout)
        return layer, torch.optim.Adam(layer.parameters(), lr=0.1, fused=True)

    def step(layer: nn.Conv2d, adam: torch.optim.Optimizer) -> Tensor:
        adam.zero_grad()
        layer(make_batch(1, (1, 1)).hr).square().sum().backward()
        adam.step()
        return layer.weight.detach().clone()

    (plain, adam), (last, other) = make(torch.contiguous_format), make(torch.channels_last)
    step(plain, adam)
    last.load_state_dict(plain.state_dict())
    load_optimizer(other, contract.through_file(adam.state_dict()))
    assert other.state[last.weight]["exp_avg"].stride() == last.weight.stride()
    torch.testing.assert_close(step(last, other), step(plain, adam))


@pytest.mark.parametrize(
    ("asked", "capability", "complaint"),
    [
        (Acceleration("tf32"), None, "tf32"),
        (Acceleration("tf32"), (7, 5), "tf32"),
        (Acceleration("tf32"), (8, 0), None),
        (Acceleration("bf16"), None, None),
        (Acceleration("bf16"), (7, 5), "bf16"),
        (Acceleration("bf16"), (9, 0), None),
        (Acceleration(compile="cudagraphs"), None, "CUDA graphs"),
        (Acceleration(compile="cudagraphs"), (7, 5), None),
        (Acceleration(compile="default"), None, None),
    ],
)
def test_what_a_device_lacks_is_refused(
    monkeypatch: pytest.MonkeyPatch, asked: Acceleration, capability: tuple[int, int] | None, complaint: str | None
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    device = CPU if capability is None else torch.device("cuda")
    if complaint is None:
        asked.require(device)
    else:
        with pytest.raises(ValueError, match=complaint) as caught:
            asked.require(device)
        assert "take " in str(caught.value)


def test_a_run_refuses_before_it_begins() -> None:
    with pytest.raises(UserError, match="does not compute in tf32"):
        configure_torch(load("quick", ["train.precision=tf32", "train.device=cpu"]))
    configured = load("quick", ["train.precision=bf16", "train.memory_format=contiguous", "train.compile=default"])
    assert configured.train.acceleration == Acceleration("bf16", "contiguous", "default")
    assert load("quick").train.acceleration == Acceleration()


# -- compilation ---------------------------------------------------------------------------------------


@pytest.fixture
def forgotten() -> Iterator[None]:
    """Nothing compiled stays behind."""
    yield
    torch.compiler.reset()


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize("name", ["tbsrn", "esrgan", "pecl-learned"])
def test_comparing_compiled_and_not_leaves_no_trace(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Batch statistics, dropout, frozen and learning networks: a compiler that changes nothing, and nothing changes."""
    monkeypatch.setattr(torch, "compile", lambda network, **_: network)
    (ours, rows), (plain, others) = (trained(name, Acceleration(compile=c), 3) for c in ("default", "none"))
    assert ours.facts == {"output_difference": 0.0, "gradient_difference": 0.0} and plain.facts == {}
    assert rows.history == others.history
    assert_equal_states(ours, plain)


def assert_equal_states(ours: NetworkMethod, theirs: NetworkMethod) -> None:
    for one, other in zip(networks_of(ours), networks_of(theirs), strict=True):
        for key, value in one.state_dict().items():
            assert torch.equal(value, other.state_dict()[key]), key


def no_compiler(network: nn.Module, **_: Any) -> nn.Module:
    raise RuntimeError("there is no compiler\nand more about that")


def miscompiled(network: nn.Module, **_: Any) -> Any:
    return lambda images: 1.01 * network(images)


def broken(network: nn.Module, **_: Any) -> Any:
    return lambda images: network(images) / 0.0


@pytest.mark.parametrize(
    ("compiler", "reason"),
    [(no_compiler, "RuntimeError: there is no compiler"), (miscompiled, "off by 0.01"), (broken, "off by")],
)
def test_what_cannot_be_compiled_runs_as_it_is(monkeypatch: pytest.MonkeyPatch, compiler: Any, reason: str) -> None:
    monkeypatch.setattr(torch, "compile", compiler)
    with pytest.warns(UserWarning, match="does not work here"):
        ours, _ = trained("espcn", Acceleration(compile="default"))
    (said,) = ours.facts.pop("not_compiled")
    assert not ours.facts
    assert reason in said and "\n" not in said
    assert_equal_states(ours, trained("espcn", Acceleration())[0])


class Unit(nn.Linear):
    """Its results are unit vectors, as those of PECL's embedder are."""

    def forward(self, images: Tensor) -> Tensor:
        return F.normalize(super().forward(images.flatten(1)))


def test_unit_vectors_are_compared_by_more_than_their_length(monkeypatch: pytest.MonkeyPatch) -> None:
    def otherwise_rounded(network: nn.Module, **_: Any) -> Any:
        def run(images: Tensor) -> Tensor:
            doubles = {name: value.double() for name, value in network.named_parameters()}
            return torch.func.functional_call(network, doubles, images.double()).float()

        return run

    monkeypatch.setattr(torch, "compile", otherwise_rounded)
    facts: dict[str, Any] = {}
    Runner(Unit(3 * 4 * 4, 8), Acceleration(compile="default"), CPU, facts)(torch.rand(2, 3, 4, 4))
    assert set(facts) == {"output_difference", "gradient_difference"} and max(facts.values()) < 1e-5


def test_want_of_memory_is_no_want_of_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    def compiler(network: nn.Module, **_: Any) -> nn.Module:
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr(torch, "compile", compiler)
    with pytest.raises(torch.OutOfMemoryError):
        trained("espcn", Acceleration(compile="default"))


@pytest.mark.slow
@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize("name", ["espcn", "swinir", "tbsrn", "pecl-learned", "esrgan"])
def test_compiled_training_is_the_same_to_rounding(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, of its dependencies
        ours, rows = trained(name, Acceleration(compile="default"))
    plain, others = trained(name, Acceleration())
    assert set(ours.facts) == {"output_difference", "gradient_difference"} and max(ours.facts.values()) < 1e-4
    assert list(ours.weights()) == list(plain.weights())
    assert [row["total"] for row in rows.history] == pytest.approx([row["total"] for row in others.history], rel=1e-4)
    lr = make_batch(3, (5, 9)).lr
    torch.testing.assert_close(ours.upscale(lr), plain.upscale(lr), atol=1e-3, rtol=0)
    check_resume(name, Acceleration(compile="default"))


# -- moving average, SwinIR's masks --------------------------------------------------------------------


def test_moving_average_by_hand() -> None:
    network = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    network[0].weight.data.fill_(1.0)
    average = MovingAverage(network, 0.9)
    for value in (2.0, 3.0):
        network[0].weight.data.fill_(value)
        network[1].running_mean.fill_(value)
        average.update()
    assert average.network[0].weight.item() == pytest.approx(0.9 * (0.9 + 0.2) + 0.3)  # type: ignore[index]
    assert average.network[1].running_mean.item() == 3.0  # type: ignore[index]
    assert not any(p.requires_grad for p in average.network.parameters())


@pytest.mark.parametrize("size", [(8, 8), (16, 24), (8, 40)])
def test_shift_mask_is_timms(size: tuple[int, int]) -> None:
    block: Any = swin_block(180, 4, 0.0)
    x = torch.rand(2, *size, 180)
    assert torch.equal(shift_mask(x), type(block).get_attn_mask(block, x))
    assert shift_mask(x) is block.get_attn_mask(x)


# -- very large pictures -------------------------------------------------------------------------------


def reach(method: NetworkMethod) -> int:
    """How many LR pixels away from a pixel its enlargement is felt, along a row."""
    width = 2 * method.halo + 3
    lr = torch.rand(1, 3, 1, width, dtype=torch.float64, requires_grad=True)
    network = method.network.double().eval()
    middle = network(lr)[..., 8 * (width // 2) : 8 * (width // 2 + 1)]
    (gradient,) = torch.autograd.grad(middle.square().sum(), lr)
    felt = gradient[0].abs().sum(dim=(0, 1)).nonzero().flatten()
    assert width // 2 - felt.min() == felt.max() - width // 2
    return int(felt.max()) - width // 2


@pytest.mark.parametrize(("name", "pixels"), [("srcnn", 3), ("espcn", 4), ("msrn", 36)])
def test_the_halo_covers_the_measured_reach(name: str, pixels: int) -> None:
    method = create(name)
    assert reach(method) == pixels <= method.halo


@pytest.mark.parametrize(
    ("tile", "sizes"), [(32, [(70, 37), (33, 33), (1, 1100)]), (24, [(25, 24), (5, 120), (31, 30)])]
)
def test_tiles_of_a_local_network_are_one_pass(
    monkeypatch: pytest.MonkeyPatch, tile: int, sizes: list[tuple[int, int]]
) -> None:
    for name in ["srcnn", "espcn"] if tile == 32 else ["tbsrn"]:
        method = create(name)
        pictures = [torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0)) for size in sizes]
        wholes = [method.upscale(lr) for lr in pictures]
        pixels: list[int] = []
        method.network.register_forward_pre_hook(partial(note_pixels, pixels))
        with monkeypatch.context() as smaller:
            smaller.setattr("methods.network.TILE", tile)
            for lr, whole in zip(pictures, wholes):
                torch.testing.assert_close(method.upscale(lr), whole, atol=2e-6, rtol=0)
        assert len(pixels) > len(sizes) and max(pixels) <= tile**2


def note_pixels(seen: list[int], _: nn.Module, inputs: tuple[Tensor]) -> None:
    seen.append(inputs[0].numel() // 3)


@torch.inference_mode()
def test_tiles_keep_windows_where_they_were() -> None:
    """SwinIR's windows lie on a grid of 8; the two blocks here reach less than 24 pixels."""
    method = create("swinir")
    enlarge = partial(method.forward_padded, method.network.eval())
    for size in [(12, 70), (70, 5)]:
        lr = torch.rand(1, 3, *size)
        whole = enlarge(lr)
        tiled = forward_in_tiles(enlarge, lr, 64, 24, 8)
        torch.testing.assert_close(tiled, whole, atol=2e-6, rtol=0)


@pytest.mark.parametrize(
    ("member", "value", "reason"),
    [
        ("halo", 80, "halo = 80: a multiple of 8 from 0 to 72"),
        ("halo", 12, "halo = 12: a multiple of 8"),
        ("halo", -8, "halo = -8: a multiple of 8"),
        ("multiple_of", 0, "multiple_of = 0: a whole number from 1 to 160"),
        ("max_side", 2.5, "max_side = 2.5: a whole number"),
        ("context", 40, "context is called halo now"),
    ],
)
def test_sizes_that_a_method_declares_are_checked_when_it_is_defined(member: str, value: object, reason: str) -> None:
    with pytest.raises((ValueError, TypeError), match=reason):
        type("Mine", (NetworkMethod,), {member: value})


@pytest.mark.parametrize("halo", [-1, 80, 81])
def test_a_halo_that_leaves_nothing_of_a_tile_is_refused(halo: int) -> None:
    with pytest.raises(ValueError, match=f"a halo of {halo} pixels"):
        forward_in_tiles(lambda x: x, torch.rand(1, 3, 170, 165), 160, halo, 1)


def test_no_picture_is_too_large() -> None:
    """Of the default size of tiles, and every place of the picture exactly once."""
    method, lr = create("espcn"), torch.rand(1, 3, 170, 165)
    with torch.inference_mode():
        whole = method.network(lr).clamp(0, 1)
    torch.testing.assert_close(method.upscale(lr), whole, atol=2e-6, rtol=0)
    sizes: list[torch.Size] = []

    def nearest(x: Tensor) -> Tensor:
        sizes.append(x.shape)
        return F.interpolate(x, scale_factor=8.0, mode="nearest")

    lr = torch.arange(300.0 * 401).view(1, 1, 300, 401)
    assert torch.equal(forward_in_tiles(nearest, lr, 160, 32, 8), nearest(lr))
    assert max(size[-1] * size[-2] for size in sizes[:-1]) == 160**2
    assert not torch.equal(forward_in_tiles(partial(torch.roll, shifts=1, dims=-1), lr, 160, 32, 1), lr)
