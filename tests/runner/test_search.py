"""The search for options: combinations, what it refuses, what it keeps, and that test plates stay out of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import methods
from benchmark.runner.search import combinations, search, summary
from benchmark.scoring import upscaling
from benchmark.util.errors import UserError

SMALL = ["train.iterations=2", "train.batch_size=1", "train.validations=1", "train.warmup=0", "data.train_plates=16",
         "data.val_plates=4", "data.test_plates=4"]  # fmt: skip


def test_combinations() -> None:
    assert combinations(["a.x=1,2", "a.y=u,v"]) == [
        {"a.x": "1", "a.y": "u"},
        {"a.x": "1", "a.y": "v"},
        {"a.x": "2", "a.y": "u"},
        {"a.x": "2", "a.y": "v"},
    ]


@pytest.mark.parametrize("trial", [[], ["a.x"], ["x=1"], ["a.x="], ["a.x=1,,2"], ["a.x=1", "a.x=2"]])
def test_other_forms_are_refused(trial: list[str]) -> None:
    with pytest.raises(UserError, match="--try"):
        combinations(trial)


@pytest.mark.parametrize(
    ("method", "trial", "reason"),
    [
        ("pecl", "esrgan.gan_share=0.1,0.2", "only options of pecl"),
        ("pecl", "train.batch_size=1,2", "only options of pecl"),
        ("pecl-mse", "pecl.term=attract,none", "fixes pecl.term itself"),
        ("pecl", "pecl.w_contrastve=1,2", "did you mean pecl.w_contrastive"),
        ("pecl", "pecl.w_contrastive=0.1,many", "w_contrastive"),
    ],
)
def test_fields_that_cannot_be_searched(tmp_path: Path, method: str, trial: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        search(methods.get(method), "quick", [], [trial], tmp_path)


def test_the_test_plates_decide_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="test plates"):
        search(methods.get("pecl"), "quick", ["data.protocol=paper"], ["pecl.w_contrastive=0.1"], tmp_path)


def test_a_search(make_ccpd: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry, trials = methods.get("pecl-mse"), ["pecl.w_contrastive=0.001,0.5"]
    given = [*SMALL, f"data.folder={make_ccpd()}", "train.seeds=2"]
    seen: list[int] = []
    make = upscaling.PlateBatches.__init__

    def watched(self: upscaling.PlateBatches, plates: upscaling.PlateSequence, device: str, patches: bool) -> None:
        make(self, plates, device, patches)
        seen.append(self.count)

    monkeypatch.setattr(upscaling.PlateBatches, "__init__", watched)
    record = search(entry, "quick", given, trials, tmp_path / "found", say=lambda line: None)
    assert seen == [4]  # one set of plates was put on the device: the four that validate
    assert list(record["seed"]) == [0, 0, 1, 1] and list(record["pecl.w_contrastive"]) == ["0.001", "0.5"] * 2
    assert record["identity"].nunique() == 4 and (tmp_path / "found" / "search.json").is_file()
    # MSE alone does not know the weight: equal seeds give equal numbers.
    by_seed = record.groupby("seed")["val_psnr"]
    assert (by_seed.nunique() == 1).all()
    means = summary(record)
    assert list(means["count"]) == [2, 2] and means["mean"].tolist() == pytest.approx([record["val_psnr"].mean()] * 2)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr("benchmark.training.trainer.train", never)
    again = search(entry, "quick", given, trials, tmp_path / "found", say=lambda line: None)
    pd.testing.assert_frame_equal(again, record)
