"""Packs, splits and patches."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import plate_name
from PIL import Image

from benchmark.data import pack, pictures
from benchmark.data.degradation import degrade
from benchmark.data.patches import PatchSampler
from benchmark.data.splits import Counts, assign
from benchmark.data.verify import verify
from benchmark.util.errors import UserError

COUNTS = Counts(16, 4, 4)


def prepare(folder: Path, cache: Path, **options: object) -> tuple[pack.Plates, list[str]]:
    said: list[str] = []
    plates = pack.prepare(folder, cache, counts=COUNTS, say=said.append, **options)  # type: ignore[arg-type]
    return plates, said


# -- splits ------------------------------------------------------------------------------------


def test_disjoint_split_keeps_every_plate_number_on_one_side() -> None:
    texts = [f"皖A{i // 3:05}" for i in range(300)]
    chosen = assign([f"{i}.jpg" for i in range(300)], texts, "disjoint", Counts(100, 20, 30), seed=3)
    sides = {s: {texts[i] for i, side in chosen.items() if side == s} for s in ("train", "val", "test")}
    assert [sum(side == s for side in chosen.values()) for s in sides] == [100, 20, 30]
    assert not sides["train"] & sides["val"] and not sides["train"] & sides["test"] and not sides["val"] & sides["test"]


def test_paper_split_is_random_and_has_no_validation_plates() -> None:
    texts = ["皖A00001"] * 50
    chosen = assign([f"{i}.jpg" for i in range(50)], texts, "paper", Counts(30, 10, 10), seed=0)
    assert sorted(set(chosen.values())) == ["test", "train"]
    assert sum(side == "test" for side in chosen.values()) == 10


def test_split_depends_on_names_and_seed_only() -> None:
    names, texts = [f"{i}.jpg" for i in range(60)], [f"皖A{i:05}" for i in range(60)]
    once = assign(names, texts, "disjoint", COUNTS, seed=1)
    turned = assign(names[::-1], texts[::-1], "disjoint", COUNTS, seed=1)
    assert {names[i]: s for i, s in once.items()} == {names[::-1][i]: s for i, s in turned.items()}
    assert once != assign(names, texts, "disjoint", COUNTS, seed=2)


def test_few_plates_are_shared_out_in_proportion() -> None:
    assert Counts(100_000, 1_000, 1_000).available(6_120) == Counts(6_000, 60, 60)


def test_too_few_plates_are_one_clear_line() -> None:
    with pytest.raises(UserError, match="too few"):
        assign(["a", "b"], ["皖A00001", "皖A00001"], "disjoint", COUNTS, seed=0)


# -- packs -------------------------------------------------------------------------------------


def test_pack_holds_the_cropped_pixels_and_vertices(make_ccpd: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_ccpd()
    plates, _ = prepare(folder, tmp_path / "packs")
    assert len(plates) == 24 and plates.info["splits"] == {"train": 16, "val": 4, "test": 4}
    for plate in plates:
        source = np.asarray(Image.open(folder / plate.name))
        np.testing.assert_array_equal(plate.hr, source[12:76, 12:140])
        np.testing.assert_array_equal(plate.vertices, [(128, 64), (0, 64), (0, 0), (128, 0)])


def test_a_pack_is_found_again_and_its_fingerprint_is_of_its_content(
    make_ccpd: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_ccpd()
    first, _ = prepare(folder, tmp_path / "packs")
    stamp = (first.folder / "plates.u8").stat().st_mtime_ns
    again, _ = prepare(folder, tmp_path / "packs")
    assert (again.folder / "plates.u8").stat().st_mtime_ns == stamp
    elsewhere, _ = prepare(Path(shutil.copytree(folder, tmp_path / "copy")), tmp_path / "other")
    assert elsewhere.fingerprint == first.fingerprint


def test_unreadable_files_are_skipped_and_listed(make_ccpd: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_ccpd(60)
    files = sorted((folder / "ccpd_base").iterdir())
    files[3].write_bytes(files[3].read_bytes()[:80])
    files[7].write_text("this is no picture")
    files[9].write_bytes(b"")
    (folder / "holiday.jpg").write_bytes(files[0].read_bytes())
    said: list[str] = []
    plates = pack.prepare(folder, tmp_path / "packs", counts=Counts(52, 4, 4), say=said.append)
    listed = (plates.folder / "skipped.csv").read_text(encoding="utf-8")
    assert all(files[i].name in listed for i in (3, 7, 9)) and "holiday.jpg" in listed
    assert len(plates) == 57 and "3 unreadable files skipped" in said[0]
    facts = verify(folder, COUNTS)
    assert len(facts["unreadable"]) == 3 and len(facts["unparsable"]) == 1
    assert (facts["images"], facts["plates"], facts["repeated_plates"]) == (61, 30, 30)


@pytest.mark.parametrize("damage", ["cut", "version", "json", "table"])
def test_a_damaged_pack_is_made_anew_and_said(make_ccpd: Callable[..., Path], tmp_path: Path, damage: str) -> None:
    folder = make_ccpd()
    plates, _ = prepare(folder, tmp_path / "packs")
    fingerprint, place = plates.fingerprint, plates.folder
    del plates
    info = json.loads((place / "pack.json").read_text())
    if damage == "cut":
        (place / "plates.u8").write_bytes((place / "plates.u8").read_bytes()[:-1])
    elif damage == "version":
        (place / "pack.json").write_text(json.dumps({**info, "version": 0}))
    elif damage == "json":
        (place / "pack.json").write_text("{")
    else:
        (place / "plates.parquet").write_bytes(b"PAR1")
    again, said = prepare(folder, tmp_path / "packs")
    assert again.fingerprint == fingerprint and "anew" in said[0]


def test_an_interrupted_pack_goes_on(
    make_ccpd: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_ccpd()
    monkeypatch.setattr(pictures, "CHUNK", 5)
    whole, _ = prepare(folder, tmp_path / "whole")
    decoded: list[str] = []
    cut = pack.cut_pair

    def dying(root: Path, source: pack.Source) -> tuple:
        decoded.append(source.path)
        if len(decoded) > 12:
            raise KeyboardInterrupt
        return cut(root, source)

    monkeypatch.setattr(pack, "cut_pair", dying)
    with pytest.raises(KeyboardInterrupt):
        prepare(folder, tmp_path / "packs", workers=1)
    journal = next((tmp_path / "packs").glob("*/journal.jsonl"))
    with open(journal, "a") as file:
        file.write('{"rows": [{"na')  # what a kill leaves of a line
    with open(journal.parent / "plates.u8", "ab") as file:
        file.write(b"half a plate")
    monkeypatch.setattr(pack, "cut_pair", cut)
    resumed, said = prepare(folder, tmp_path / "packs")
    assert "going on" in said[0] and resumed.fingerprint == whole.fingerprint


def test_no_room_is_noticed_before_writing(
    make_ccpd: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))  # type: ignore[attr-defined]
    with pytest.raises(UserError, match=r"needs [\d.]+ kB but .* has 0 bytes free: make room"):
        prepare(make_ccpd(), tmp_path / "packs")


@pytest.mark.parametrize("content", ["missing", "empty", "nameless"])
def test_a_folder_that_is_no_ccpd_folder(tmp_path: Path, content: str) -> None:
    folder = tmp_path / "x"
    if content != "missing":
        folder.mkdir()
    if content == "nameless":
        Image.new("RGB", (90, 90)).save(folder / "a.jpg")
    with pytest.raises(UserError, match=r"no folder|no picture in it|not a CCPD name"):
        prepare(folder, tmp_path / "packs")


def test_the_real_folder(ccpd_root: Path) -> None:
    facts = verify(ccpd_root, COUNTS)
    assert facts["images"] == 6_945 and facts["styles"]["green"] == 11
    assert facts["subsets"] == {"ccpd_base": 6_934, "ccpd_green": 11}
    assert not facts["unreadable"] and not facts["unparsable"]
    assert facts["plates"] < 6_945 and facts["under_64_px"] > 4_000


# -- patches -----------------------------------------------------------------------------------


@pytest.fixture
def noisy(tmp_path: Path) -> pack.Plates:
    """Plates of several sizes whose every pixel differs."""
    folder = tmp_path / "noisy"
    folder.mkdir()
    random = np.random.default_rng(1)
    for i in range(30):
        width, height = 64 + 8 * (i % 5), 64 + 8 * (i % 3)
        pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / plate_name(f"皖A{i:05}", (0, 0, width, height), i), format="PNG")
    return prepare(folder, tmp_path / "packs")[0].split("train")


def test_patches_are_windows_of_plates_with_their_degradation(noisy: pack.Plates) -> None:
    sampler = PatchSampler(noisy, 8, seed=0, device=torch.device("cpu"))
    batch = sampler.batch(5)
    assert batch.hr.shape == (8, 3, 64, 64) and batch.lr.shape == (8, 3, 8, 8)
    plates = [plate.hr for plate in noisy]
    for hr in (batch.hr * 255).round().byte().permute(0, 2, 3, 1).numpy():
        windows = (np.lib.stride_tricks.sliding_window_view(p, (64, 64, 3)).reshape(-1, 64, 64, 3) for p in plates)
        assert any((w == hr).all(axis=(1, 2, 3)).any() for w in windows)
    torch.testing.assert_close(batch.lr, degrade((batch.hr * 255).round().byte()).float() / 255)


def test_a_batch_is_a_function_of_seed_and_iteration(noisy: pack.Plates) -> None:
    sampler = PatchSampler(noisy, 4, seed=1, device=torch.device("cpu"))
    later, earlier = sampler.patches(9), sampler.patches(3)
    fresh = PatchSampler(noisy, 4, seed=1, device=torch.device("cpu"))
    assert torch.equal(fresh.patches(3), earlier) and torch.equal(fresh.patches(9), later)
    other = PatchSampler(noisy, 4, seed=2, device=torch.device("cpu"))
    assert not torch.equal(other.patches(3), earlier) and not torch.equal(later, earlier)


def test_all_plates_and_all_positions_are_drawn(noisy: pack.Plates) -> None:
    sampler = PatchSampler(noisy, 256, seed=0, device=torch.device("cpu"))
    first, stride = sampler.windows(1)
    ends = first + 63 * stride + 64 * 3
    assert first.min() >= 0 and ends.max() <= len(sampler._pixels)
    sizes = (noisy.table["height"] * noisy.table["width"] * 3).to_numpy()
    plate = np.searchsorted(np.cumsum(sizes), first, side="right")
    assert set(plate) == set(range(len(noisy)))
