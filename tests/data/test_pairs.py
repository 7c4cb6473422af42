"""Pairs of LR and HR pictures: LR is given, and not made."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from plate_lists import draw_plate, make_pairs
from typer.testing import CliRunner

from benchmark.cli.main import app
from benchmark.data import pack
from benchmark.data.degradation import degrade
from benchmark.data.patches import PatchSampler
from benchmark.data.plates import BadPack, Plates, open_pack
from benchmark.data.splits import Counts
from benchmark.data.training_examples import first_patches
from benchmark.results.store import Run
from benchmark.scoring.upscaling import PlateBatches, upscale_plates
from benchmark.util.errors import UserError

COUNTS = Counts(16, 4, 4)
CPU = torch.device("cpu")


def prepare(folder: Path, cache: Path) -> Plates:
    return pack.prepare(folder, cache, counts=COUNTS, say=lambda text: None)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Plates]:
    base = tmp_path_factory.mktemp("pairs")
    folder = make_pairs(base / "pairs")
    return folder, prepare(folder, base / "packs")


def test_a_pack_of_pairs_holds_both_pictures(pairs: tuple[Path, Plates]) -> None:
    folder, plates = pairs
    assert plates.paired and len(plates) == 24 and not plates.damaged()
    for plate in plates:
        np.testing.assert_array_equal(plate.hr, np.asarray(Image.open(folder / plate.name)))
        lr = np.asarray(Image.open(folder / plate.name.replace("hr.png", "lr.png")))
        np.testing.assert_array_equal(plate.lr, lr)


def test_a_changed_pixel_of_an_lr_picture_is_found(tmp_path: Path) -> None:
    plates = prepare(make_pairs(tmp_path / "pairs"), tmp_path / "packs")
    place = plates.folder / "plates.u8"
    del plates
    content = bytearray(place.read_bytes())
    content[-1] ^= 1
    place.write_bytes(content)
    with pytest.raises(BadPack, match="pixels"):
        open_pack(place.parent)


def test_a_pack_of_pairs_that_was_broken_off_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_pairs(tmp_path / "pairs", 150)
    whole = pack.prepare(folder, tmp_path / "whole", counts=Counts(100, 10, 10), say=lambda text: None)
    cut, calls = pack.cut_pair, [0]

    def dying(*arguments: object) -> object:
        calls[0] += 1
        if calls[0] > 100:
            raise KeyboardInterrupt
        return cut(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(pack, "cut_pair", dying)
    with pytest.raises(KeyboardInterrupt):
        pack.prepare(folder, tmp_path / "packs", counts=Counts(100, 10, 10), workers=1, say=lambda text: None)
    monkeypatch.setattr(pack, "cut_pair", cut)
    said: list[str] = []
    again = pack.prepare(folder, tmp_path / "packs", counts=Counts(100, 10, 10), say=said.append)
    assert again.fingerprint == whole.fingerprint and any("64 of 120 pictures are done" in line for line in said)


@pytest.mark.parametrize("together", [1, 4])
def test_training_patches_are_windows_of_both_pictures(pairs: tuple[Path, Plates], together: int) -> None:
    plates = pairs[1].split("train")
    sampler = PatchSampler(plates, 8, 0, CPU, together=together)
    both = [(plate.hr, plate.lr) for plate in plates]
    for iteration in (1, 2, 9):
        batch = sampler.batch(iteration)
        hr, lr = ((256 * x).floor().clamp(0, 255) for x in (batch.hr, batch.lr))
        for big, small in zip((255 * batch.hr).round(), (255 * batch.lr).round()):
            window = big.permute(1, 2, 0).byte().numpy(), small.permute(1, 2, 0).byte().numpy()
            assert any(_at(*pair, *window) for pair in both if pair[1] is not None)
        assert hr.shape == (8, 3, 64, 64) and lr.shape == (8, 3, 8, 8)
        assert not torch.equal(degrade((255 * batch.hr).round().byte()), (255 * batch.lr).round().byte())


def _at(hr: np.ndarray, lr: np.ndarray, big: np.ndarray, small: np.ndarray) -> bool:
    """Whether two windows are of the same place of a pair."""
    places = [(y, x) for y in range(lr.shape[0] - 7) for x in range(lr.shape[1] - 7)]
    return any(
        np.array_equal(lr[y : y + 8, x : x + 8], small)
        and np.array_equal(hr[8 * y : 8 * y + 64, 8 * x : 8 * x + 64], big)
        for y, x in places
    )


def test_a_device_gathers_the_windows_that_a_processor_copies(pairs: tuple[Path, Plates]) -> None:
    sampler = PatchSampler(pairs[1].split("train"), 8, 0, CPU)
    for lr, side in ((False, 64), (True, 8)):
        first, stride = sampler._windows(3, lr)
        assert torch.equal(sampler._copied(first, stride, side), sampler._gathered(first, stride, side))


def test_scoring_and_examples_use_the_given_pictures(pairs: tuple[Path, Plates]) -> None:
    plates = pairs[1].split("test")
    seen: list[torch.Tensor] = []

    def upscale(lr: torch.Tensor) -> torch.Tensor:
        seen.append(lr)
        return lr.repeat_interleave(8, 2).repeat_interleave(8, 3)

    images = upscale_plates(upscale, PlateBatches(plates, CPU))
    for plate, image in zip(plates, images):
        assert plate.lr is not None
        np.testing.assert_array_equal(image[::8, ::8], plate.lr)
    hr, lr = first_patches(pairs[1].split("train"), 2)[0][2:]
    assert hr.shape == (64, 64, 3) and lr.mean() < 0.7 * hr.mean()  # the given ones are darker


def test_a_pair_of_another_scale_is_refused_with_its_sizes(tmp_path: Path) -> None:
    folder = make_pairs(tmp_path / "pairs", 30)
    draw_plate("AB", size=(96, 32)).save(folder / "track 003" / "lr.png")
    result = CliRunner().invoke(app, ["data", "verify", str(folder)])
    assert "track 003/hr.png: the pair is not ×8: LR of 96×32 px, HR of 192×64 px" in result.stdout
    with pytest.raises(UserError, match=r"the pair is not ×8: LR of 96×32 px, HR of 192×64 px"):
        prepare(make_pairs(tmp_path / "twice", scale=2), tmp_path / "packs")


def test_a_plate_without_lr_beside_pairs_is_left_out_and_listed(tmp_path: Path) -> None:
    folder = make_pairs(tmp_path / "pairs", 30)
    with open(folder / "plates.csv", "a", encoding="utf-8") as file:
        file.write("track 001/lr.png,AB-123-CD,\n")
    plates = pack.prepare(folder, tmp_path / "packs", counts=Counts(100, 4, 4), say=lambda text: None)
    assert len(plates) == 30
    reason = "track 001/lr.png: it has no LR picture, and others have one"
    assert f'plates.csv:32,"{reason}"' in (plates.folder / "skipped.csv").read_text()
    facts = json.loads(CliRunner().invoke(app, ["data", "verify", str(folder), "--json"]).stdout)
    assert facts["images"] == 31 and {"file": "plates.csv:32", "reason": reason} in facts["unparsable"]


def test_other_lr_pictures_make_another_pack(tmp_path: Path) -> None:
    folder = make_pairs(tmp_path / "pairs")
    first = prepare(folder, tmp_path / "packs")
    assert prepare(folder, tmp_path / "packs").folder == first.folder
    for lr in folder.glob("*/lr.png"):
        Image.open(lr).point([255 - value for value in range(256)] * 3).save(lr)
    assert prepare(folder, tmp_path / "packs").fingerprint != first.fingerprint


@pytest.mark.parametrize(
    ("column", "corners", "reason"),
    [
        ("corners", "5000,10 5100,10 5100,60 5000,60", "outside the picture"),
        ("lr_corners", "1,1 1,1 1,1 1,1", "plates.csv:4"),
        ("lr_corners", "1,1 20,7 20,1 1,7", "crossed, or not clockwise"),
    ],
)
def test_corners_of_a_pair_are_held_against_its_pictures(
    tmp_path: Path, column: str, corners: str, reason: str
) -> None:
    folder = make_pairs(tmp_path, **{column: lambda i: corners if i == 2 else ""})
    said = CliRunner().invoke(app, ["data", "verify", str(folder)]).stdout
    assert any("plates.csv:4" in line and reason in line for line in said.splitlines()), said


def test_a_pair_takes_no_box_and_both_pictures_must_be_there(tmp_path: Path) -> None:
    make_pairs(tmp_path, 24, box=lambda i: "0 0 99 64" if i == 5 else "")
    (tmp_path / "track 007" / "lr.png").unlink()
    result = CliRunner().invoke(app, ["data", "verify", str(tmp_path)])
    assert "plates.csv:7: a pair of LR and HR pictures takes no box" in result.stdout
    assert "plates.csv:9: 'track 007/lr.png': there is no such file" in result.stdout


def test_a_run_on_pairs_says_that_nothing_was_degraded(tmp_path: Path) -> None:
    folder = make_pairs(tmp_path / "pairs", 40)
    command = [
        *("run", "--methods", "bicubic,espcn", "--data", str(folder), "--results", str(tmp_path / "results")),
        *("--run", "pairs", "--iterations", "2", "--device", "cpu", "--ocr", "none"),
        *("--set", "data.train_plates=24", "--set", "data.val_plates=4", "--set", "data.test_plates=8"),
    ]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0 and "LR pictures are given, not made" in result.output, result.output
    stored = Run(tmp_path / "results" / "pairs").results()
    assert len(stored) == 3 and {one.record.data.lr for one in stored} == {"given"}
    assert (
        CliRunner().invoke(app, ["report", "--results", str(tmp_path / "results"), "--only", "table1_full"]).exit_code
        == 0
    )
    assert "nothing was degraded" in (tmp_path / "results" / "pairs" / "report" / "table1_full.md").read_text()
