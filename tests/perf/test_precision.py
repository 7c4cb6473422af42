"""Whether bf16 is worth it here: measured in turn, said in a line."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from benchmark.perf import precision
from methods.engine.acceleration import Acceleration

CPU = torch.device("cpu")


class Machine:
    """A clock, and steps that take ``seconds`` by precision."""

    def __init__(self, **seconds: float) -> None:
        self.now, self.seconds, self.made = 0.0, seconds, []

    def clock(self) -> float:
        return self.now

    def step(self, acceleration: Acceleration, *_: object) -> Callable[[], None]:
        def step() -> None:
            self.made.append(acceleration.precision)
            self.now += self.seconds[acceleration.precision]

        return step


def compared(monkeypatch: pytest.MonkeyPatch, machine: Machine, seconds: float = 2.0) -> precision.Comparison:
    monkeypatch.setattr(precision, "_step", machine.step)
    return precision.compare(CPU, seconds, machine.clock)


def test_steps_are_timed_in_turn_for_about_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(fp32=0.15, bf16=0.10)
    found = compared(monkeypatch, machine)
    assert found.ratio == pytest.approx(1.5) and found.pairs == 7
    assert machine.made[:4] == ["fp32", "bf16", "fp32", "bf16"] and machine.now == pytest.approx(2.0)


def test_a_slow_machine_is_measured_twice_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    assert compared(monkeypatch, Machine(fp32=5.0, bf16=20.0)).pairs == 2


@pytest.mark.parametrize(
    ("bf16", "line"),
    [
        (1 / 16, "2.0 times as fast as in fp32 (pecl-mse, 8 patches, 10 pairs of steps): --set train.precision=bf16"),
        (1 / 4, "takes 2.0 times as long as in fp32 (pecl-mse, 8 patches, 5 pairs of steps): stay with fp32"),
        (1 / 8, "takes about as long as in fp32 (pecl-mse, 8 patches, 7 pairs of steps): stay with fp32"),
    ],
)
def test_the_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch, bf16: float, line: str) -> None:
    found = compared(monkeypatch, Machine(fp32=1 / 8, bf16=bf16))
    monkeypatch.setattr(precision, "compare", lambda device: found)
    assert line in precision.advice(CPU)


def test_a_device_without_bf16_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Acceleration, device: torch.device) -> None:
        raise ValueError("cuda does not compute in bf16")

    monkeypatch.setattr(Acceleration, "require", refuse)
    assert precision.advice(CPU) == "cuda does not compute in bf16"


def test_real_steps_train(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "PATCHES", 1)
    assert precision.compare(CPU, 0.0).ratio > 0
