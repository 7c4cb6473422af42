"""The training session: budget, schedule, validation, checkpoints, and what happens when loss goes wrong."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import nn

from benchmark.config import Train
from benchmark.data import pack
from benchmark.data.patches import PatchSampler
from benchmark.data.splits import Counts
from benchmark.scoring.upscaling import PlateBatches
from benchmark.training import checkpoint, optimizer, trainer
from benchmark.training.session import (
    CheckpointMismatch,
    Interrupted,
    NonFiniteLoss,
    TrainingSession,
    validation_points,
)
from methods import Batch, NetworkMethod, Recipe, Session


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


class TwoPhases(Tiny):
    """The second half of the budget has an optimiser of its own."""

    def prepare(self, session: Session) -> None:
        self.phase = (0.0, 0.5)
        super().prepare(session)
        self.late = session.optimizer(self.parameter_groups(), self.recipe, (0.5, 1.0))
        self.made = 0

    def step(self, batch: Batch, session: Session) -> None:
        self.made += 1
        if self.made > 10:
            self.optimizer = self.late
        super().step(batch, session)


def test_each_phase_has_a_schedule_and_a_warm_up_of_its_own(plates: pack.Plates, tmp_path: Path) -> None:
    rates: dict[int, float] = {}
    run = session(
        plates,
        tmp_path / "a",
        report=lambda s: rates.__setitem__(s.iteration, s.learning_rate),
        validations=1,
        warmup=4,
    )
    TwoPhases().train(run)
    cosine = [0.5 * (1 + math.cos(math.pi * i / 10)) for i in range(10)]
    phase = [1e-2 * c * w for c, w in zip(cosine, [1 / 3, 2 / 3, *[1.0] * 8])]
    assert [rates[i] for i in range(1, 21)] == pytest.approx([*phase, *phase])


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
def test_a_broken_checkpoint_is_not_taken_up(
    plates: pack.Plates, tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "checkpoint.pt").write_bytes(content)
    run = session(plates, tmp_path / "a")
    train(run)
    assert run.iteration == 20
    assert capsys.readouterr().out.count("checkpoint.pt is not used") == 1


def test_a_damaged_checkpoint_falls_back_to_the_one_before(plates: pack.Plates, tmp_path: Path) -> None:
    expected = train(session(plates, tmp_path / "whole"))
    folder = tmp_path / "cut"
    stopped = session(plates, folder, should_stop=lambda: stopped.iteration >= 13, checkpoint_iterations=3)
    with pytest.raises(Interrupted):
        train(stopped)
    with open(folder / "checkpoint.pt", "r+b") as file:
        file.truncate(1000)
    seen: list[int] = []
    actual = train(session(plates, folder, report=lambda s: seen.append(s.iteration)), seed=99)
    assert seen[0] == 13  # the first after the checkpoint at 12
    for name, value in expected.weights().items():
        assert torch.equal(value, actual.weights()[name])


def test_checkpoints_are_due_by_iterations_and_by_time(plates: pack.Plates, tmp_path: Path) -> None:
    def saved(**options: object) -> list[int]:
        run = session(plates, tmp_path / "a", iterations=12, validations=1, identity=str(options), **options)
        made: list[int] = []
        save = run.checkpoint

        def noted(method: Tiny) -> None:
            save(method)
            made.append(run.iteration)

        run.checkpoint = noted  # type: ignore[method-assign, assignment]
        train(run)
        return made

    assert saved() == []
    assert saved(checkpoint_iterations=5) == [5, 10]
    # Of no wait between them, the first is due at once; it takes more than a hundredth of what the others take.
    assert saved(checkpoint_seconds=1e-9) == [1]


Forge = Callable[[dict[str, Any]], object]
FORGED: dict[str, Forge] = {
    "no method": lambda s: s.pop("method"),
    "method of text": lambda s: s.update(method="weights"),
    "another network": lambda s: s["method"]["network"].update({"0.weight": torch.zeros(3, 3)}),
    "small moments": lambda s: s["method"]["optimizer"]["state"][0].update(exp_avg=torch.zeros(1)),
    "half moments": lambda s: s["method"]["optimizer"]["state"][0].pop("exp_avg_sq"),
    "many steps": lambda s: s["method"]["optimizer"]["state"][0].update(step=torch.zeros(4)),
    "another optimiser": lambda s: s["method"]["optimizer"]["param_groups"][0].update(betas=(0.0, "x")),
    "beyond the end": lambda s: s.update(iteration=21),
    "before the start": lambda s: s.update(iteration=-1),
    "a fraction": lambda s: s.update(iteration=1.5),
    "no history": lambda s: s.update(history=[]),
    "history of text": lambda s: s.update(history=[{"iteration": "0"}]),
    "best of another": lambda s: s["best_weights"].update({"0.weight": torch.zeros(1)}),
    "best of nothing": lambda s: s.update(best_psnr=math.nan),
    "no clocks": lambda s: s.update(clocks={}),
    "negative clocks": lambda s: s["clocks"].update(training=-1.0),
    "short random state": lambda s: s["random"].update(cpu=torch.zeros(3, dtype=torch.uint8)),
    "no random state": lambda s: s.pop("random"),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_checkpoint_does_not_fit(plates: pack.Plates, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "a"
    stopped = session(plates, folder, should_stop=lambda: stopped.iteration >= 5)
    with pytest.raises(Interrupted):
        train(stopped)
    ((_, state),) = checkpoint.states(folder, "same")
    FORGED[name](state)
    checkpoint.save(folder, state)
    with pytest.raises(CheckpointMismatch):
        train(session(plates, folder))
    assert [state["iteration"] for _, state in checkpoint.states(folder, "same")] == [5]  # the one before


def test_a_stop_asked_for_at_any_moment_leaves_a_checkpoint(plates: pack.Plates, tmp_path: Path) -> None:
    for moment in range(1, 9):  # two questions an iteration that has something due after it, one after others
        questions = iter(range(moment))
        stopped = session(
            plates, tmp_path / str(moment), should_stop=lambda left=questions: next(left, None) is None, validations=8
        )
        with pytest.raises(Interrupted):
            train(stopped)
        ((_, state),) = checkpoint.states(tmp_path / str(moment), "same")
        assert state["iteration"] == stopped.iteration > 0


class Exploding(Tiny):
    """A loss of it is no number in iteration 12."""

    bad = "total"

    def train(self, session: Any) -> None:
        self.session = session
        self.seen: dict[str, torch.Tensor] = {}
        super().train(session)

    def loss(self, sr: torch.Tensor, batch: Any) -> dict[str, torch.Tensor]:
        if self.session.iteration == 11:
            self.seen = {name: value.clone() for name, value in self.network.state_dict().items()}
        total = (sr - batch.hr).square().mean()
        losses = {"total": total, "another": total.detach()}
        if self.session.iteration == 11:
            losses[self.bad] = losses[self.bad] * float("nan")
        return losses


@pytest.mark.parametrize("bad", ["total", "another"])
@pytest.mark.parametrize("deferred", [False, True])
def test_a_loss_that_is_not_finite_stops_before_the_optimiser_steps(
    plates: pack.Plates, tmp_path: Path, deferred: bool, bad: str
) -> None:
    run = session(plates, tmp_path / "a", validations=2)
    if deferred:  # as on CUDA: it is noticed on the device, and asked for at the validation in iteration 20
        run._guard = optimizer.NonFiniteGuard(torch.device("cpu"))
    method = Exploding()
    method.bad = bad
    with pytest.raises(NonFiniteLoss, match="at iteration 12"):
        method.train(run)
    assert run.iteration == (20 if deferred else 11)
    for name, value in method.network.state_dict().items():
        assert torch.equal(value, method.seen[name])
    adam = method.optimizer
    assert adam is not None and {int(state["step"]) for state in adam.state.values()} == {11}


def test_watching_a_device_changes_no_number(plates: pack.Plates, tmp_path: Path) -> None:
    straight, watched = session(plates, tmp_path / "a"), session(plates, tmp_path / "b")
    watched._guard = optimizer.NonFiniteGuard(torch.device("cpu"))
    for first, second in zip(train(straight).weights().values(), train(watched).weights().values()):
        assert torch.equal(first, second)
    assert without_clock(straight.history).equals(without_clock(watched.history))


def test_a_device_is_asked_every_so_often(plates: pack.Plates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.training.session.CHECK_EVERY", 4)
    run = session(plates, tmp_path / "a", iterations=1000, validations=1)
    run._guard = optimizer.NonFiniteGuard(torch.device("cpu"))
    with pytest.raises(NonFiniteLoss, match="at iteration 12"):
        Exploding().train(run)
    assert run.iteration == 12


# -- what a training leaves ------------------------------------------------------------------------------


@pytest.fixture
def run_training(plates: pack.Plates, tmp_path: Path) -> Callable[..., TrainingSession]:
    """Returns a function that trains in ``tmp_path/out`` with everything around a session."""
    (tmp_path / "out").mkdir()

    def run(make: Callable[[], Tiny] = Tiny, should_stop: Callable[[], bool] = lambda: False) -> TrainingSession:
        config = Train(iterations=20, batch_size=2, validations=4, learning_rate=1e-2)
        return trainer.train(
            make, config, plates.split("train"), PlateBatches(plates.split("val"), "cpu"), 0, tmp_path / "out", "same",
            report=lambda _: None, should_stop=should_stop,
        )[1]  # fmt: skip

    return run


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix == ".safetensors"}


def test_a_finished_training_is_not_repeated(run_training: Callable[..., TrainingSession], tmp_path: Path) -> None:
    first, out = run_training(), tmp_path / "out"
    left = files(out)
    never = Exploding  # would fail

    again = run_training(never)
    assert repr(again.outcome()) == repr(first.outcome())  # as text: history has gaps, which equal nothing
    assert files(out) == left

    (out / trainer.BEST).write_bytes(b"damaged")
    (out / "last.safetensors.partial").write_bytes(b"stale")
    (out / "samples.partial").mkdir()
    (out / "samples.partial" / "0000.png").write_bytes(b"stale")
    run_training()
    assert files(out) == left and not list(out.glob("*.partial"))


def test_a_finished_training_that_is_forged_is_made_anew(
    run_training: Callable[..., TrainingSession], tmp_path: Path
) -> None:
    run_training()
    out = tmp_path / "out"
    left = files(out)
    for change in ({"iteration": 99}, {"clocks": 3}, {"best_psnr": "high"}):
        state = checkpoint.finished(out, "same")
        assert state is not None
        checkpoint.finish(out, {**state, **change}, list(state["files"]))
        run_training()
        assert files(out) == left


def test_forged_checkpoints_cost_time_and_nothing_else(
    run_training: Callable[..., TrainingSession], tmp_path: Path
) -> None:
    run_training()
    out = tmp_path / "out"
    left = files(out)
    checkpoint.remove(out)
    asked = iter([False] * 15 + [True] * 10)
    with pytest.raises(Interrupted):
        run_training(should_stop=lambda: next(asked))
    ((_, state),) = checkpoint.states(out, "same")
    for forge in ("small moments", "short random state"):
        forged = copy.deepcopy(state)
        FORGED[forge](forged)
        checkpoint.save(out, forged)  # newest and previous: neither fits
    run_training()
    assert files(out) == left


def test_a_failing_training_leaves_its_best_weights(
    run_training: Callable[..., TrainingSession], tmp_path: Path
) -> None:
    with pytest.raises(NonFiniteLoss, match="iteration 12"):
        run_training(Exploding)
    history = pd.read_csv(tmp_path / "out" / trainer.HISTORY)
    assert history["iteration"].max() <= 11 and len(history) > 1
    method = Tiny()
    trainer.load_weights(method, tmp_path / "out" / trainer.BEST)
    assert not (tmp_path / "out" / checkpoint.FINISHED).exists()


def test_the_best_weights_are_those_of_the_best_validation(plates: pack.Plates, tmp_path: Path) -> None:
    scores = iter([1.0, 2.0, 9.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
    run = session(plates, tmp_path / "a", validate=lambda _: next(scores))
    train(run)
    assert run.best_psnr == 9.0 and run.best_iteration == run.history[2]["iteration"]
