"""Near-duplicates, and what splits know of each other."""

from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
from pathlib import Path

import imagehash
import numpy as np
import pytest
from conftest import plate_name
from PIL import Image
from typer.testing import CliRunner

from benchmark.cli.main import app
from benchmark.data import duplicates, pack
from benchmark.data.duplicates import coarse_hashes, near_duplicates, thumbnail
from benchmark.data.splits import Counts, assign, number_leaks
from benchmark.data.verify import describe, verify, verify_names
from benchmark.util.errors import UserError

BOX = (8, 8, 136, 72)
COUNTS = Counts(40, 10, 10)


def picture(seed: int, size: tuple[int, int] = (144, 80)) -> Image.Image:
    """A picture with structure of its own."""
    coarse = np.random.default_rng(seed).integers(0, 256, (10, 18, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def search(images: list[Image.Image], left: list[int], right: list[int] | None = None) -> duplicates.Pairs:
    coarse = coarse_hashes(np.stack([thumbnail(image) for image in images]))
    load = [np.asarray(image) for image in images].__getitem__
    return near_duplicates(coarse, load, np.array(left, np.int64), None if right is None else np.array(right, np.int64))


# -- hashes ------------------------------------------------------------------------------------


def test_coarse_hashes_are_those_of_the_library() -> None:
    images = [picture(seed, (64 + 8 * seed, 200 - 8 * seed)) for seed in range(12)]
    thumbnails = np.stack([thumbnail(image) for image in images])
    expected = [imagehash.phash(Image.fromarray(t), 16, 2).hash.ravel() for t in thumbnails]
    np.testing.assert_array_equal(coarse_hashes(thumbnails), expected)


def test_copies_are_found_and_other_pictures_are_not() -> None:
    images = [picture(seed, (128, 64)) for seed in range(6)]
    images += [jpeg(images[0], 30), images[1].resize((96, 48)), images[2].point(lambda v: int(v * 0.8 + 20)), images[3]]
    found = search(images, list(range(10)))
    assert list(zip(found.first, found.second)) == [(0, 6), (1, 7), (2, 8), (3, 9)] and found.total == 4
    distances = [
        imagehash.phash(images[a], 16) - imagehash.phash(images[b], 16) for a, b in zip(found.first, found.second)
    ]
    assert found.distance.tolist() == distances and distances[3] == 0
    assert found.partner[9] == (3, 0) and 4 not in found.partner


def test_only_pairs_between_the_sides_are_reported() -> None:
    images = [picture(seed) for seed in (1, 2, 1, 1, 2)]
    found = search(images, [0, 1], [2, 3])
    assert list(zip(found.first, found.second)) == [(0, 2), (0, 3)] and set(found.partner) == {0, 2, 3}
    assert not search(images, [0, 1], []).total and not search(images, [], [2]).total and not search(images, []).total


def test_plates_of_one_colour_are_not_compared() -> None:
    images = [Image.new("RGB", (128, 64), colour) for colour in ("red", "red", "blue")]
    assert search(images, [0, 1, 2]).total == 0


@pytest.mark.parametrize("block", [3, 7, 100])
def test_blocks_find_what_comparing_all_with_all_finds(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(duplicates, "_BLOCK", block)
    random = np.random.default_rng(0)
    hashes = random.random((20, 256)) < 0.5
    hashes[10:] = hashes[:10] ^ (random.random((10, 256)) < 0.17)  # about 43 bits from another
    apart = (hashes[:, None] != hashes[None]).sum(axis=2)
    everything = np.arange(20)
    within = duplicates._search(hashes, everything, everything, 48, within=True)
    expected = [(i, j, apart[i, j]) for i in range(20) for j in range(i + 1, 20) if apart[i, j] <= 48]
    assert list(zip(within.first, within.second, within.distance)) == expected and within.total == len(expected) > 4
    across = duplicates._search(hashes, everything[12:], everything[:12], 48, within=False)
    assert list(zip(across.first, across.second)) == [
        (j, i) for i, j, _ in sorted(expected, key=lambda e: e[1]) if i < 12 <= j
    ]


# -- splits ------------------------------------------------------------------------------------


def test_leaks_by_plate_number_are_counted() -> None:
    leaks = number_leaks(list("AABBCD"), {0: "train", 1: "test", 2: "train", 3: "val", 4: "test", 5: "test"})
    assert leaks == {
        "pictures": {"train": 2, "val": 1, "test": 3},
        "plates": {"train": 2, "val": 1, "test": 3},
        "shared_plates": {"train-val": 1, "train-test": 1, "val-test": 0},
        "test_plates_seen": 1,
    }


def leaky_folder(folder: Path) -> dict[str, str]:
    """Thirty plates and re-encoded copies of three under other numbers; returns copy: original.

    Under ``disjoint`` the copies fall into train, train and val, their originals into test, val and test.
    """
    folder.mkdir()
    texts = [f"皖A{i:05}" for i in range(30)]
    for serial in range(1000):
        names = [plate_name(text, BOX, i) for i, text in enumerate(texts)]
        strange = [f"皖B{serial + 300 * k:05}" for k in range(3)]
        names += [plate_name(text, BOX, 100 + k) for k, text in enumerate(strange)]
        chosen = assign(names, texts + strange, "disjoint", COUNTS, 0)
        if [chosen[i] for i in (30, 31, 32)] == ["train", "train", "val"]:
            break
    for i, name in enumerate(names[:30]):
        picture(i).save(folder / name, "PNG")
    tests = [i for i in range(30) if chosen[i] == "test"]
    originals = [tests[0], next(i for i in range(30) if chosen[i] == "val"), tests[1]]
    for k, original in enumerate(originals):
        jpeg(picture(original), 70).save(folder / names[30 + k], "PNG")
    return {names[30 + k]: names[original] for k, original in enumerate(originals)}


def test_disjoint_leaves_near_duplicates_out(tmp_path: Path) -> None:
    copies = leaky_folder(tmp_path / "ccpd")
    plates = pack.prepare(tmp_path / "ccpd", tmp_path / "packs", counts=COUNTS, say=lambda _: None)
    names = set(plates.table["name"])
    assert not names & set(copies) and names >= set(copies.values()) and len(plates) == 30
    assert plates.info["leaks"] == {
        "test_plates_seen": 0,
        "test_plates": len(plates.split("test")),
        "near_duplicates": 3,
        "dropped": 3,
        "method": duplicates.METHOD,
    }
    assert plates.info["splits"] == {s: len(plates.split(s)) for s in ("train", "val", "test")}  # type: ignore[arg-type]
    assert not plates.table["seen"].any()
    with open(plates.folder / "dropped.csv", newline="", encoding="utf-8") as file:
        dropped = {row["file"]: row for row in csv.DictReader(file)}
    assert {file: row["split"] for file, row in dropped.items()} == dict(zip(copies, ["train", "train", "val"]))
    assert all(copies[file] in row["reason"] for file, row in dropped.items())


def test_paper_counts_them_and_says_which_test_plates_were_seen(tmp_path: Path) -> None:
    folder = tmp_path / "ccpd"
    copies = leaky_folder(folder)
    others = [i for i in range(30) if plate_name(f"皖A{i:05}", BOX, i) not in copies.values()]
    for i in others[:8]:  # other pictures of plates that are there
        picture(500 + i).save(folder / plate_name(f"皖A{i:05}", BOX, 200 + i), "PNG")
    names = sorted(file.name for file in folder.iterdir())
    for seed in range(100):
        chosen = assign(names, names, "paper", COUNTS, seed)
        sides = [{chosen[names.index(name)] for name in pair} for pair in copies.items()]
        if sides.count({"train", "test"}) == 1:
            break
    options = {"counts": COUNTS, "protocol": "paper", "seed": seed, "say": lambda _: None}
    plates = pack.prepare(folder, tmp_path / "packs", **options)  # type: ignore[arg-type]
    train, test = plates.split("train").table, plates.split("test").table
    by_number = set(test["name"][test["text"].isin(set(train["text"]))])
    pairs = [{copy, original} for copy, original in copies.items()]
    by_copy = {n for n in test["name"] for pair in pairs if n in pair and (pair - {n}) <= set(train["name"])}
    assert set(test["name"][test["seen"]]) == by_number | by_copy and by_number and len(by_copy - by_number) == 1
    leaks = plates.info["leaks"]
    assert len(plates) == 41 and leaks["dropped"] == 0 and leaks["near_duplicates"] == len(by_copy)
    assert leaks["test_plates_seen"] == len(by_number) and leaks["test_plates"] == len(test)
    assert not train["seen"].any()


def test_nothing_but_copies_leaves_nothing_to_train_on(tmp_path: Path) -> None:
    (tmp_path / "ccpd").mkdir()
    for i in range(12):
        picture(1).save(tmp_path / "ccpd" / plate_name(f"皖A{i:05}", BOX, i), "PNG")
    with pytest.raises(UserError, match=r"no plate of the split 'train' is left without near-duplicates.*dropped\.csv"):
        pack.prepare(tmp_path / "ccpd", tmp_path / "packs", counts=COUNTS, say=lambda _: None)


# -- data verify -------------------------------------------------------------------------------


def test_verify_reports_pairs_and_identical_files(tmp_path: Path) -> None:
    folder = tmp_path / "ccpd"
    copies = leaky_folder(folder)
    original = next(file for file in sorted(folder.iterdir()) if file.name not in {*copies, *copies.values()})
    (folder / "again").mkdir()
    shutil.copy(original, folder / "again" / original.name)
    facts = verify(folder, COUNTS)
    assert facts["identical_files"] == [[original.name, f"again/{original.name}"]]
    assert facts["near_duplicates"]["pairs"] == 4 and facts["near_duplicates"]["other_number"] == 3
    pairs = [{row["first"], row["second"]} for row in facts["near_duplicates"]["listed"]]
    assert all({copy, of} in pairs for copy, of in copies.items())
    disjoint, paper = facts["splits"]["disjoint"], facts["splits"]["paper"]
    assert sum(disjoint["near_duplicates_across"].values()) == disjoint["dropped"] > 0 and paper["dropped"] == 0
    assert sum(disjoint["near_duplicates_within"].values()) == 4 - disjoint["dropped"]
    assert facts["images_of_repeated_names"] == 2 and facts["repeated_plates"] == 1
    text = describe(facts)
    assert "near-duplicate pairs 4" in text and "of other plate number: 3" in text


def test_names_alone_tell_of_plates_in_two_splits(tmp_path: Path) -> None:
    texts = [f"皖A{i % 40:05}" for i in range(60)]
    names = [f"ccpd_base/{plate_name(text, BOX, i)}" for i, text in enumerate(texts)]
    names += [f"ccpd_tilt/{names[0].split('/')[1]}", "ccpd_tilt/holiday.jpg"]
    with gzip.open(tmp_path / "a.txt.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(names[:31]))
    (tmp_path / "b.txt").write_text("\n".join(names[31:]) + "\n", encoding="utf-8")
    facts = verify_names(tmp_path, COUNTS, seed=1)
    assert (facts["images"], facts["plates"], len(facts["unparsable"])) == (62, 40, 1)
    assert facts["images_of_repeated_names"] == 2 and facts["subsets"] == {"ccpd_base": 60, "ccpd_tilt": 1}
    chosen = assign(names[:61], [*texts, texts[0]], "paper", COUNTS, 1)
    assert facts["splits"]["paper"]["test_plates_seen"] == number_leaks([*texts, texts[0]], chosen)["test_plates_seen"]
    assert set(facts["splits"]["disjoint"]["shared_plates"].values()) == {0}
    assert "dropped" not in facts["splits"]["paper"] and "train: pictures" in describe(facts)


def test_the_command_reports_both_protocols_or_the_one_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "\x1b[2Jccpd"
    folder.mkdir()
    for i in range(9):
        picture(i).save(folder / plate_name(f"皖A{i:05}", BOX, i), "PNG")
    (folder / "\x1b[31m.jpg").write_bytes(b"")
    run = CliRunner().invoke
    both = json.loads(run(app, ["data", "verify", str(folder), "--json"]).stdout)
    assert list(both["splits"]) == ["disjoint", "paper"] and both["images"] == 10
    one = ["data", "verify", str(folder), "--names", "--json", "--protocol", "paper", "--set", "data.test_plates=50000"]
    paper = json.loads(run(app, one).stdout)["splits"]
    assert list(paper) == ["paper"] and paper["paper"]["pictures"] == {"train": 6, "val": 0, "test": 3}
    assert "\x1b" not in run(app, ["data", "verify", str(folder)]).stdout


@pytest.mark.parametrize("content", [b"", b"holiday.jpg\n", b"\x1f\x8b nothing"])
def test_a_list_without_names_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    for name in ("names.txt", "names.txt.gz"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=r"names\.txt"):
            verify_names(tmp_path / name, COUNTS)
    with pytest.raises(UserError, match="absent"):
        verify_names(tmp_path / "absent.txt", COUNTS)
