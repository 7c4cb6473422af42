"""From a method to scores: batches, validation, rows and summaries."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from benchmark.data.ccpd import crop_box, parse_name
from benchmark.data.pack import Plate
from benchmark.ocr.rapid import RapidEngine
from benchmark.ocr.reading import Reading
from benchmark.runner.job import summaries
from benchmark.scoring import upscaling
from benchmark.scoring.metrics import METRICS, psnr
from benchmark.scoring.plate_scores import (
    PATCH_SCORES,
    PLATE_COLUMNS,
    READING_COLUMNS,
    beside,
    score_plates,
    summarise,
)
from benchmark.scoring.upscaling import PlateBatches, low_resolution, upscale_plates, validate

CORNERS = np.array([[120, 60], [4, 60], [4, 4], [120, 4]], dtype=np.float32)


def make_plates(*sizes: tuple[int, int], texts: Sequence[str] = ()) -> list[Plate]:
    random = np.random.default_rng(0)
    plates = []
    for i, (height, width) in enumerate(sizes):
        coarse = Image.fromarray(random.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8))
        hr = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).copy()
        text = texts[i] if texts else f"皖A{i:05}"
        plates.append(Plate(index=i, name=f"{i}.jpg", text=text, hr=hr, vertices=CORNERS))
    return plates


def nearest(lr: Tensor) -> Tensor:
    return F.interpolate(lr, scale_factor=8, mode="nearest")


class FakeJudge:
    """Reads what it is told to."""

    def __init__(self, *readings: Reading) -> None:
        self.readings = readings
        self.seen: list[tuple[int, ...]] = []

    alphabet = None

    def read(self, images: Sequence[np.ndarray]) -> list[Reading]:
        self.seen = [image.shape for image in images]
        return list(self.readings)

    def describe(self) -> dict[str, Any]:
        return {"name": "fake"}


def value(frame: pd.DataFrame, metric: str, statistic: str) -> float:
    number = summarise(frame)[metric][statistic]
    assert number is not None
    return number


# -- upscaling -------------------------------------------------------------------------------------

MIXED = [(64, 160), (72, 136), (64, 160), (64, 64), (72, 136), (64, 160)]


def test_plates_come_back_in_their_order_and_size() -> None:
    plates = make_plates(*MIXED)
    images = upscale_plates(nearest, plates, "cpu")
    for plate, image in zip(plates, images, strict=True):
        lr = np.asarray(Image.fromarray(plate.hr).resize((plate.hr.shape[1] // 8, plate.hr.shape[0] // 8), 3))
        assert image.dtype == np.uint8 and image.flags.c_contiguous
        assert np.array_equal(image, lr.repeat(8, axis=0).repeat(8, axis=1))
        assert np.array_equal(low_resolution(plate.hr), lr)


def test_plates_of_one_size_share_a_batch_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []

    def record(lr: Tensor) -> Tensor:
        assert lr.dtype == torch.float32 and lr.min() >= 0.0 and lr.max() <= 1.0
        seen.append(tuple(lr.shape))
        return nearest(lr)

    plates = make_plates(*MIXED)
    expected = upscale_plates(record, plates, "cpu")
    assert seen == [(3, 3, 8, 20), (2, 3, 9, 17), (1, 3, 8, 8)]
    seen.clear()
    monkeypatch.setitem(upscaling.MAX_PIXELS, "cpu", 2 * 64 * 160)
    assert all(map(np.array_equal, upscale_plates(record, plates, "cpu"), expected))
    assert seen == [(2, 3, 8, 20), (1, 3, 8, 20), (2, 3, 9, 17), (1, 3, 8, 8)]
    monkeypatch.setitem(upscaling.MAX_PIXELS, "cpu", 1)  # a plate above the limit goes alone
    assert len(PlateBatches(plates, "cpu").batches) == len(plates)


def test_values_are_rounded_and_clipped() -> None:
    plates = make_plates((64, 64))

    def constant(value: float) -> int:
        return int(upscale_plates(lambda lr: torch.full_like(nearest(lr), value), plates)[0].max())

    assert [constant(v) for v in (-0.5, 0.0, 99.6 / 255, 100.4 / 255, 1.0, 1.5)] == [0, 0, 100, 100, 255, 255]


def test_a_broken_contract_is_an_error() -> None:
    plates = make_plates((64, 64))
    with pytest.raises(RuntimeError, match="enlarge ×8"):
        upscale_plates(lambda lr: lr, plates)
    with pytest.raises(RuntimeError, match="not finite"):
        validate(lambda lr: nearest(lr) / 0.0 * 0.0, plates)


def test_validation_is_the_mean_psnr_of_the_scores() -> None:
    plates = make_plates(*MIXED)
    images = upscale_plates(nearest, plates)
    expected = np.mean([psnr(image, plate.hr) for image, plate in zip(images, plates)])
    assert validate(nearest, plates) == pytest.approx(expected, abs=1e-6)
    with pytest.raises(ValueError, match="no plates"):
        validate(nearest, [])


def test_batches_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    degrade = upscaling.degrade

    def counting(hr: Tensor) -> Tensor:
        calls.append(len(hr))
        return degrade(hr)

    monkeypatch.setattr(upscaling, "degrade", counting)
    plates = make_plates(*MIXED)
    batches = PlateBatches(plates, "cpu")
    first, again = validate(nearest, batches), validate(nearest, batches)
    assert first == again and sum(calls) == len(plates)
    assert all(map(np.array_equal, upscale_plates(nearest, batches), upscale_plates(nearest, plates)))


def test_patches_are_windows_of_8_pixels_that_overlap_by_half() -> None:
    seen: list[tuple[int, ...]] = []

    def record(lr: Tensor) -> Tensor:
        seen.append(tuple(lr.shape))
        return nearest(lr)

    plates = make_plates((64, 160), (72, 136))
    by_patches = upscale_plates(record, PlateBatches(plates, "cpu", patches=True))
    assert all(shape[1:] == (3, 8, 8) for shape in seen)
    assert [shape[0] for shape in seen] == [4, 2 * 4]  # steps of 4 pixels, the last window flush with the end
    # What looks at one pixel only is the same in patches: weights sum to 1.
    assert all(map(np.array_equal, by_patches, upscale_plates(nearest, plates)))


def test_patches_hide_what_lies_outside_of_them_and_count_for_validation_too() -> None:
    def mean_of_all(lr: Tensor) -> Tensor:
        return nearest(lr.mean(dim=(2, 3), keepdim=True).expand_as(lr))

    plates = make_plates((64, 160))
    whole, patches = PlateBatches(plates, "cpu"), PlateBatches(plates, "cpu", patches=True)
    assert len(np.unique(upscale_plates(mean_of_all, whole)[0].reshape(-1, 3), axis=0)) == 1
    image = upscale_plates(mean_of_all, patches)[0]
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 1
    assert validate(mean_of_all, patches) == pytest.approx(psnr(image, plates[0].hr), abs=1e-6)
    with pytest.raises(RuntimeError, match="not finite"):
        validate(lambda lr: nearest(lr) / 0.0 * 0.0, patches)


# -- scores ----------------------------------------------------------------------------------------


def test_rows_of_plates() -> None:
    plates = make_plates((64, 160), (72, 136))
    images = upscale_plates(nearest, plates)
    judge = FakeJudge(Reading("皖A·00000", 0.9), Reading("苏A0000l", 0.5))
    frame = score_plates(images, plates, judge)
    assert tuple(frame.columns) == PLATE_COLUMNS and len(frame) == 2
    assert judge.seen == [(48, 168, 3)] * 2
    first = frame.iloc[0]
    assert (first["index"], first["name"], first["text"]) == (0, "0.jpg", "皖A00000")
    assert (first["height"], first["width"], first["seen"]) == (64, 160, 0)
    for name, metric in METRICS.items():
        if metric.function is not None:
            assert first[name] == metric.function(images[0], plates[0].hr)
    assert (first["read"], first["confidence"]) == ("皖A00000", 0.9)
    assert (first["plate_correct"], first["character_accuracy"], first["tail_correct"]) == (1, 1.0, 1)
    second = frame.iloc[1]
    assert (second["read"], second["plate_correct"], second["tail_correct"]) == ("苏A0000L", 0, 0)
    assert second["character_accuracy"] == pytest.approx(5 / 7)


@pytest.mark.parametrize(
    ("raw", "plate", "tail", "confidence"),
    [
        ("皖A·12345", 1, 1, 0.8),
        ("苏A12345", 0, 1, 0.8),  # sign misread
        ("A12345", 0, 1, 0.8),  # sign missed
        ("EA12345", 0, 1, 0.8),
        ("皖A1234", 0, 0, 0.8),
        ("皖AA12345", 0, 0, 0.8),
        ("12345", 0, 0, 0.8),
        ("·", 0, 0, 0.0),  # nothing of a plate was read
        ("", 0, 0, 0.0),
    ],
)
def test_readings(raw: str, plate: int, tail: int, confidence: float) -> None:
    plates = make_plates((64, 160), texts=["皖A12345"])
    row = score_plates([plates[0].hr], plates, FakeJudge(Reading(raw, 0.8))).iloc[0]
    assert (row["plate_correct"], row["tail_correct"], row["confidence"]) == (plate, tail, confidence)


def test_a_second_judge_has_columns_of_its_own() -> None:
    plates = make_plates((64, 160), texts=["皖A12345"])
    first, second = FakeJudge(Reading("皖A12345", 0.9)), FakeJudge(Reading("皖A12346", 0.8))
    row = score_plates([plates[0].hr], plates, first, second).iloc[0]
    assert (row["read"], row["plate_correct"], row["confidence"]) == ("皖A12345", 1, 0.9)
    assert (row["read_second"], row["plate_correct_second"], row["confidence_second"]) == ("皖A12346", 0, 0.8)
    assert row["character_accuracy_second"] == pytest.approx(6 / 7) and row["tail_correct_second"] == 0


def test_without_judges_their_columns_are_empty() -> None:
    plates = make_plates((64, 64), (64, 72))
    frame = score_plates(upscale_plates(nearest, plates), plates, None)
    assert tuple(frame.columns) == PLATE_COLUMNS
    assert frame[[c + suffix for c in READING_COLUMNS for suffix in ("", "_second")]].isna().all(axis=None)
    assert summarise(frame)["confidence"] == {"median": None, "sd": None, "mean": None, "n": 0}
    assert frame.to_csv(index=False).splitlines()[1].endswith(",,,,,")


def test_scores_of_patches_stand_behind_the_others() -> None:
    plates = make_plates((64, 160), (72, 136))
    frame = score_plates(upscale_plates(nearest, plates), plates, FakeJudge(*[Reading("皖A00000", 0.9)] * 2))
    other = score_plates([plate.hr for plate in plates], plates, FakeJudge(*[Reading("皖A00001", 0.5)] * 2))
    both = beside(frame, other)
    assert tuple(both.columns) == (*PLATE_COLUMNS, *(f"{name}_patches" for name in PATCH_SCORES))
    pd.testing.assert_frame_equal(both[list(PLATE_COLUMNS)], frame)
    assert np.isinf(both["psnr_patches"]).all() and list(both["plate_correct_patches"]) == [0, 1]
    assert summarise(both) == summarise(frame)


def test_plates_that_were_seen_are_marked_and_summed_up_apart() -> None:
    plates = [replace(plate, seen=i < 2) for i, plate in enumerate(make_plates(*MIXED))]
    frame = score_plates(upscale_plates(nearest, plates), plates, None)
    assert frame["seen"].to_list() == [1, 1, 0, 0, 0, 0]
    scores = summaries(frame, frame.assign(psnr=frame["psnr"] + 1))
    assert list(scores) == ["best", "last", "best_unseen", "last_unseen"]
    assert scores["best_unseen"] == summarise(frame[2:]) and scores["best"] == summarise(frame)
    assert scores["last_unseen"]["psnr"]["mean"] == pytest.approx(value(frame[2:], "psnr", "mean") + 1)
    everything = json.loads(json.dumps(summaries(frame[:2], frame[:2])["best_unseen"], allow_nan=False))
    assert everything["psnr"] == {"median": None, "sd": None, "mean": None, "n": 0}
    assert list(summaries(frame[2:], frame[2:])) == ["best", "last"]


def test_pictures_that_do_not_fit_their_plates_are_refused() -> None:
    plates = make_plates((64, 64), (64, 72))
    with pytest.raises(ValueError, match="1 pictures for 2 plates"):
        score_plates([plates[0].hr], plates, None)
    with pytest.raises(ValueError, match="different sizes"):
        score_plates([plates[1].hr, plates[0].hr], plates, None)


def test_summary() -> None:
    frame = pd.DataFrame({"psnr": [10.0, 20.0, 60.0], "plate_correct": [0, 1, 1], "name": list("abc")})
    summary = summarise(frame)
    assert list(summary) == ["psnr", "plate_correct"]
    assert summary["psnr"] == pytest.approx({"median": 20.0, "sd": math.sqrt(700.0), "mean": 30.0, "n": 3})
    assert summary["plate_correct"]["mean"] == pytest.approx(2 / 3)
    assert summarise(frame[:1])["psnr"] == {"median": 10.0, "sd": None, "mean": 10.0, "n": 1}


def test_the_upper_bound_is_infinite_and_still_json() -> None:
    plates = make_plates(*MIXED)
    frame = score_plates([plate.hr for plate in plates], plates, None)
    summary = json.loads(json.dumps(summarise(frame), allow_nan=False))
    assert summary["psnr"] == {"median": None, "sd": None, "mean": None, "n": len(plates)}
    assert summary["ssim"]["median"] == pytest.approx(1.0)
    some = pd.concat([frame[:1], score_plates(upscale_plates(nearest, plates), plates, None)])
    assert summarise(some)["psnr"]["median"] is not None and summarise(some)["psnr"]["mean"] is None


def test_rows_survive_a_csv_file(tmp_path: Path) -> None:
    plates = make_plates(*[(64, 64)] * 5)
    texts = ("NA", "", "123E4", "0012", "皖A00004")  # what pandas takes for numbers or gaps if let
    judge = FakeJudge(*(Reading(text, 0.5) for text in texts))
    frame = score_plates([plate.hr for plate in plates], plates, judge)
    frame.to_csv(tmp_path / "plates.csv", index=False)
    words = dict.fromkeys(("name", "text", "read"), str)
    back = pd.read_csv(tmp_path / "plates.csv", dtype=words, keep_default_na=False, na_values={"psnr": [""]})
    assert list(back["read"]) == list(texts)
    assert np.isinf(back["psnr"]).all()


# -- real plates -----------------------------------------------------------------------------------


def test_real_plates(ccpd_root: Path) -> None:
    plates: list[Plate] = []
    for file in sorted(ccpd_root.rglob("*.jpg"))[::280][:24]:
        name = parse_name(file.name)
        with Image.open(file) as image:
            box = crop_box(name.bbox, *image.size)
            hr = np.asarray(image.convert("RGB").crop(box))
        vertices = np.array(name.vertices, np.float32) - np.array(box[:2], np.float32)
        plates.append(Plate(index=len(plates), name=file.name, text=name.text, hr=hr, vertices=vertices))
    judge = RapidEngine(threads=2)
    bound = score_plates([plate.hr for plate in plates], plates, judge)
    assert value(bound, "plate_correct", "mean") >= 0.9 and value(bound, "confidence", "mean") >= 0.95

    def bicubic(lr: Tensor) -> Tensor:
        return F.interpolate(lr, scale_factor=8, mode="bicubic").clamp(0.0, 1.0)

    scores = score_plates(upscale_plates(bicubic, plates), plates, judge)
    assert 16.0 < value(scores, "psnr", "median") < 21.0
    gain = value(scores, "psnr_y_studio", "median") - value(scores, "psnr_y", "median")
    assert gain == pytest.approx(1.32, abs=0.01)
    assert value(scores, "plate_correct", "mean") <= 0.4
