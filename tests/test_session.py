"""The training session: budget, schedule, validation, checkpoints, and what happens when loss goes wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

from benchmark.config import Train
from benchmark.data import pack
from benchmark.data.patches import PatchSampler
from benchmark.data.splits import Counts
from benchmark.session import Interrupted, NonFiniteLoss, TrainingSession, validation_points
from methods import NetworkMethod, Recipe


class Tiny(NetworkMethod):
    """One convolution with dropout, so that the random state matters."""

    name, title, citation = "tiny", "Tiny", "none"

    def build(self) -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 3 * 64, 1), nn.Dropout(0.2), nn.PixelShuffle(8))


@pytest.fixture
def plates(make_ccpd: Callable[..., Path], tmp_path: Path) -> pack.Plates:
    return pack.prepare(make_ccpd(), tmp_path / "packs", counts=Counts(16, 4, 4), say=lambda _: None)


def session(plates: pack.Plates, folder: Path, **options: object) -> TrainingSession:
    stop = options.pop("should_stop", lambda: False)
    report = options.pop("report", lambda _: None)
    validate = options.pop("validate", lambda method: float(method.upscale(torch.full((1, 3, 2, 2), 0.5)).mean()))
    identity = str(options.pop("identity", "same"))
    config = Train(**{"iterations": 20, "batch_size": 2, "validations": 6, "learning_rate": 1e-2, **options})  # type: ignore[arg-type]
    sampler = PatchSampler(plates.split("train"), config.batch_size, 0, torch.device("cpu"))
    folder.mkdir(exist_ok=True)
    return TrainingSession(config, sampler, validate, folder, identity, report=report, should_stop=stop)  # type: ignore[arg-type]


def train(run: TrainingSession, seed: int = 0) -> Tiny:
    torch.manual_seed(seed)
    method = Tiny()
    method.train(run)
    return method


def without_clock(history: list[dict[str, float]]) -> pd.DataFrame:
    return pd.DataFrame(history).drop(columns="seconds")


def test_validation_points_have_early_ones_and_always_the_last() -> None:
    points = validation_points(1_000_000, 40)
    assert points[-1] == 1_000_000 and points[0] < 10 and len(points) <= 41
    assert sum(p < 1000 for p in points) > 0 and sum(p > 500_000 for p in points) >= 10
    assert validation_points(1, 40) == [1]


def test_the_budget_is_spent_and_every_validation_is_in_the_history(plates: pack.Plates, tmp_path: Path) -> None:
    run = session(plates, tmp_path / "a")
    train(run)
    assert run.iteration == 20
    assert [row["iteration"] for row in run.history] == [0, *validation_points(20, 6)]
    assert {"learning_rate", "val_psnr", "total", "seconds"} <= set(run.history[-1])


def test_the_rate_falls_along_half_a_cosine(plates: pack.Plates, tmp_path: Path) -> None:
    rates: list[float] = []
    train(session(plates, tmp_path / "a", report=lambda s: rates.append(s.learning_rate), validations=1))
    assert rates[1] == pytest.approx(1e-2)
    assert rates[10] == pytest.approx(1e-2 * 0.5 * (1 + math.cos(math.pi * 9 / 20)))


def test_warming_up_raises_the_rate_from_nothing(plates: pack.Plates, tmp_path: Path) -> None:
    rates: list[float] = []
    run = session(plates, tmp_path / "a", report=lambda s: rates.append(s.learning_rate), validations=1, warmup=4)
    train(run)
    cosine = [0.5 * (1 + math.cos(math.pi * i / 20)) for i in range(6)]
    expected = [1e-2 * c * w for c, w in zip(cosine, [0.2, 0.4, 0.6, 0.8, 1.0, 1.0])]
    assert rates[2:7] == pytest.approx(expected[1:])


def test_the_native_recipe_is_the_methods_own(plates: pack.Plates, tmp_path: Path) -> None:
    native = Recipe(learning_rate=5e-3, betas=(0.5, 0.9), schedule="constant")
    assert session(plates, tmp_path / "a", recipe="native").recipe(native) is native
    assert session(plates, tmp_path / "a").recipe(native) == Recipe(learning_rate=1e-2)


@pytest.mark.parametrize("stop_at", [1, 7, 19])
def test_a_stopped_training_goes_on_bit_for_bit(plates: pack.Plates, tmp_path: Path, stop_at: int) -> None:
    whole = session(plates, tmp_path / "whole")
    expected = train(whole)

    stopped = session(plates, tmp_path / "cut", should_stop=lambda: stopped.iteration >= stop_at)
    with pytest.raises(Interrupted):
        train(stopped)
    assert (tmp_path / "cut" / "checkpoint.pt").is_file()
    resumed = session(plates, tmp_path / "cut")
    actual = train(resumed, seed=99)  # the checkpoint, not the seed, must decide

    for name, value in expected.weights().items():
        assert torch.equal(value, actual.weights()[name])
    pd.testing.assert_frame_equal(without_clock(resumed.history), without_clock(whole.history))
    assert resumed.best_iteration == whole.best_iteration
    assert resumed.clocks["training"] > 0


def test_a_checkpoint_of_another_identity_is_not_taken_up(plates: pack.Plates, tmp_path: Path) -> None:
    stopped = session(plates, tmp_path / "a", should_stop=lambda: stopped.iteration >= 5)
    with pytest.raises(Interrupted):
        train(stopped)
    seen: list[int] = []
    train(session(plates, tmp_path / "a", identity="other", report=lambda s: seen.append(s.iteration)))
    assert seen[0] == 0


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"\x80\x04."])
def test_a_broken_checkpoint_is_not_taken_up(plates: pack.Plates, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "checkpoint.pt").write_bytes(content)
    run = session(plates, tmp_path / "a")
    train(run)
    assert run.iteration == 20


def test_a_loss_that_is_not_finite_stops_before_the_optimiser_steps(plates: pack.Plates, tmp_path: Path) -> None:
    class Exploding(Tiny):
        def loss(self, sr, batch):  # type: ignore[no-untyped-def]
            total = (sr - batch.hr).square().mean()
            return {"total": total * (float("nan") if run.iteration == 11 else 1.0)}

    run = session(plates, tmp_path / "a")
    method = Exploding()
    with pytest.raises(NonFiniteLoss, match="nan at iteration 12"):
        method.train(run)
    assert all(torch.isfinite(p).all() for p in method.network.parameters())


def test_the_best_weights_are_those_of_the_best_validation(plates: pack.Plates, tmp_path: Path) -> None:
    scores = iter([1.0, 2.0, 9.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
    run = session(plates, tmp_path / "a", validate=lambda _: next(scores))
    train(run)
    assert run.best_psnr == 9.0 and run.best_iteration == run.history[2]["iteration"]
