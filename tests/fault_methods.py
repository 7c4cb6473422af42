"""Faults of methods, memory and OCR engines, as :mod:`fault_scenarios` has those of the machine."""

from __future__ import annotations

from functools import partial
from unittest import mock

import torch
from fault_bench import BUDGET, STEPS, Bench, Seen
from fault_scenarios import SCENARIOS, scenario

from benchmark.scoring import plate_scores

# -- the method --------------------------------------------------------------------------------------------------------


@scenario("loss not finite")
def loss_not_finite(bench: Bench) -> Seen:
    bench.add(BROKEN_LOSS)
    ran = bench.run("explodes,second")
    assert bench.info("second")["status"] == "complete"
    assert (bench.place("explodes") / "weights.safetensors").is_file()
    return Seen(ran.code, ran.line("^explodes.*FAILED"), "nothing: weights and history up to there are kept")


BROKEN_LOSS = """
@register
class Explodes(Net):
    name = "explodes"

    def loss(self, sr, batch):
        total = super().loss(sr, batch)["total"]
        return {"total": total / 0 if fault_bench.STEPS.count(self.name) == 9 else total}
"""

# How a method can go wrong: what it does, and in which of its functions.
_WRONG = {
    "does not start": ("__init__(self, options=None)", 'raise ValueError("no such option")', "no such option"),
    "lacks a file": ("external_weights(self)", 'raise FileNotFoundError(2, "No such file", "w.pth")', "w.pth"),
    "calls sys.exit": ("train(self, session)", "raise SystemExit(0)", "SystemExit"),
    "raises KeyboardInterrupt itself": ("train(self, session)", "raise KeyboardInterrupt", "KeyboardInterrupt"),
    "has no memory to validate": ("upscale(self, lr)", "raise MemoryError", "out of memory while validating"),
    "recurses for ever": ("train(self, session)", "self.train(session)", "recursion"),
    "returns NaN": ("upscale(self, lr)", "return lr.repeat_interleave(8, -1).repeat_interleave(8, -2) * float('nan')",
                    "not finite"),
    "returns another size": ("upscale(self, lr)", "return lr", "must enlarge"),
    "returns no picture": ("upscale(self, lr)", "return None", "FAILED"),
    "says what cannot be printed": ("train(self, session)", r'raise RuntimeError("\x1b[2J\udcff a\nb")', r"1b\[2J"),
    "says nothing, not even when asked": ("train(self, session)", "raise Mute()", "Mute"),
    "prints to the standard output": ("train(self, session)", 'print("hello"); raise RuntimeError("oh")', "oh"),
}  # fmt: skip


def _wrong(function: str, body: str, said: str, bench: Bench) -> Seen:
    bench.add(f"""
class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no")

@register
class Wrong(Method):
    name, title, citation = "wrong", "Wrong", "none"

    def upscale(self, lr):
        return lr.repeat_interleave(8, -1).repeat_interleave(8, -2)

    def {function}:
        {body}
""")
    ran = bench.run("wrong,second")
    assert bench.info("wrong")["status"] == "failed" and bench.info("second")["status"] == "complete"
    line = ran.line("^wrong.*FAILED")
    assert line.isprintable()
    ran.line(f"^wrong.*FAILED.*{said}|^wrong.*{said}")
    return Seen(ran.code, line, "nothing of the other methods")


for _what, _how in _WRONG.items():
    SCENARIOS[f"a method {_what}"] = partial(_wrong, *_how)


# -- memory ------------------------------------------------------------------------------------------------------------


def _allocate() -> None:
    torch.zeros(10**14)


@scenario("out of memory: in training")
def no_memory_for_training(bench: Bench) -> Seen:
    ran = bench.run("first,second", at={6: _allocate})
    assert bench.info("second")["status"] == "complete"
    line = ran.line("^first.*FAILED: out of memory in training: ")
    assert "try --batch-size 1 instead of 2" in line
    return Seen(ran.code, line, bench.goes_on("first,second", trained=5))


@scenario("out of memory: in training with one patch")
def no_memory_for_a_patch(bench: Bench) -> Seen:
    bench.add(HUNGRY)
    ran = bench.run("hungry,second", train__batch_size=1)
    return Seen(ran.code, ran.line("^hungry.*with one patch per iteration"))


HUNGRY = """
@register
class Hungry(Net):
    name = "hungry"

    def step(self, batch, session):
        raise MemoryError
"""


@scenario("out of memory: in scoring")
def no_memory_for_scoring(bench: Bench) -> Seen:
    with mock.patch("benchmark.scoring.plate_scores.score_plates", side_effect=MemoryError):
        ran = bench.run("first")
    return Seen(ran.code, ran.line("^first.*out of memory in scoring"), bench.goes_on("first", trained=BUDGET))


# -- OCR ---------------------------------------------------------------------------------------------------------------


@scenario("the OCR engine dies while scoring")
def engine_dies(bench: Bench) -> Seen:
    score = plate_scores.score_plates
    calls: list[int] = []

    def dying(*arguments: object) -> object:
        calls.append(1)
        if len(calls) == 2:  # of the first method; the upper bound is scored before
            raise RuntimeError("the process ended with code -9: it said nothing")
        return score(*arguments)

    with mock.patch("benchmark.scoring.plate_scores.score_plates", dying):
        ran = bench.run("first,second")
    assert bench.info("second")["status"] == "complete"
    return Seen(ran.code, ran.line("^first.*code -9"), bench.goes_on("first,second", trained=BUDGET))


@scenario("the OCR engine is dead from the start")
def engine_is_dead(bench: Bench) -> Seen:
    with mock.patch("benchmark.scoring.plate_scores.score_plates", side_effect=RuntimeError("the engine is ill")):
        ran = bench.run("first,second")
    assert bench.info("hr")["status"] == "failed" and STEPS.count("first") == BUDGET
    return Seen(ran.code, ran.line("^first.*ill"), bench.goes_on("first,second", trained=BUDGET))
