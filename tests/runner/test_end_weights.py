"""A method whose last weights are the method as published: each set of weights has abstention thresholds of its own."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from fake_results import METHODS, make_run, plates

from benchmark.config import load
from benchmark.results.store import Run
from benchmark.runner import job
from benchmark.runner import test_sets as other_plates
from benchmark.training import trainer

(ESRGAN,) = (fake for fake in METHODS if fake.name == "esrgan")
LEVELS = {trainer.LAST: 0.9, trainer.BEST: 0.5}
"""The threshold that would be chosen with the weights of each file."""


def chosen(level: float) -> dict[str, Any]:
    return {"judge": {"threshold": level, "plates": 8}}


def store(run: Run, monkeypatch: pytest.MonkeyPatch, selected_as: str) -> dict[str, Any]:
    """Score the last and the best weights of ESRGAN's result again, without a network."""
    folder = run.place("esrgan", 0)
    for name in LEVELS:
        (folder / name).write_bytes(b"")
    method = SimpleNamespace(options=None, level=0.0, selected_as=lambda *_: selected_as)
    frame = plates(ESRGAN, 0, ocr=True)
    monkeypatch.setattr(trainer, "load_weights", lambda method, file: setattr(method, "level", LEVELS[file.name]))
    monkeypatch.setattr(job, "score", lambda *_: job.Scored([], frame, 1.0))
    monkeypatch.setattr(job, "_thresholds", lambda _, method: chosen(method.level))
    monkeypatch.setattr(job, "save_samples", lambda *_: None)
    monkeypatch.setattr(job, "create", lambda *_: None)
    monkeypatch.setattr(job, "macs", lambda _: 1)
    scoring = SimpleNamespace(inference="plate", samples=0)
    context: Any = SimpleNamespace(config=SimpleNamespace(scoring=scoring), device=torch.device("cpu"), test=None,
                                   scoring_identity="5" * 64)  # fmt: skip
    result = run.result("esrgan", 0)
    assert result is not None
    arguments: Any = (context, None, method, folder, result.record.as_dict(), {}, 0.0, 0.0)
    return job.store_scores(*arguments)


def test_the_last_weights_have_thresholds_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path, (ESRGAN,))
    info = store(run, monkeypatch, "pixel phase")
    assert (info["abstention"], info["abstention_last"]) == (chosen(0.5), chosen(0.9))
    info = store(run, monkeypatch, "")  # scored again, by a version that knows no phases
    assert info["abstention"] == chosen(0.5) and not {"abstention_last", "selected_as"} & set(info)


@pytest.mark.parametrize(("selected_as", "threshold"), [("pixel phase", 0.9), ("", 0.5)])
def test_other_plates_take_the_threshold_of_the_weights_they_are_scored_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, selected_as: str, threshold: float
) -> None:
    run = make_run(tmp_path / "run", (ESRGAN,))
    store(run, monkeypatch, selected_as)
    result = run.result("esrgan", 0)
    assert result is not None
    method = SimpleNamespace(accelerate=lambda _: None)
    monkeypatch.setattr(other_plates, "load_result", lambda *_, **__: method)
    facts = {"name": "far", "fingerprint": "0" * 16, "test": 10, "task": "restore"}
    scored = job.Scored([], plates(ESRGAN, 0, ocr=True), 1.0)
    test_set = other_plates.TestSet(facts, Run(tmp_path / "far"), lambda _: scored, [])
    info = other_plates._score(result, test_set, load("quick"), torch.device("cpu"), [None, None], "5" * 64, seen=set())
    assert info["abstention"] == chosen(threshold) and "abstention_last" not in info
