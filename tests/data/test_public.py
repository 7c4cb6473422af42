"""Public data sets, on folders made in their formats."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import plate_name
from PIL import Image, ImageDraw
from plate_lists import draw_plate
from typer.testing import CliRunner

from benchmark.cli.main import app
from benchmark.data.pictures import scan
from benchmark.data.public.convert import READERS, choose, convert
from benchmark.data.public.reader import corners_of
from benchmark.data.source import ListedPlate
from benchmark.util.errors import UserError


def picture(path: Path, size: tuple[int, int] = (200, 120), kind: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    draw_plate("AB12", size=size).save(path, **({"quality": 90} if path.suffix == ".jpg" else {}))
    return path


def text(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def make_pku(folder: Path) -> None:
    boxes = {
        ("G1", 1): [(40, 50, 160, 90)], ("G3", 1): [(30, 60, 150, 95)], ("G4", 2): [(20, 20, 120, 60)],
        ("G5", 7): [(10, 10, 90, 40), (100, 70, 180, 110)], ("G5", 8): [],
    }  # fmt: skip
    for (group, number), plates in boxes.items():
        name = f"{group} ({number}).jpg"
        picture(folder / "images" / group / ("G3" if group == "G3" else "") / name)
        mask = Image.new("RGB", (200, 120), (1, 2, 0))
        for left, top, right, bottom in plates:
            ImageDraw.Draw(mask).rectangle((left, top, right - 1, bottom - 1), fill=(254, 255, 253))
        place = folder / "gt" / group / ("G4" if group == "G4" else "") / name
        place.parent.mkdir(parents=True, exist_ok=True)
        mask.save(place, quality=95)
    picture(folder / "images" / "G2" / "G2 (1).jpg")


def make_ufpr(folder: Path) -> None:
    sample = folder / "dataset_1920x1080" / "brazilian" / "plate-000001"
    release = folder / "1280_0960" / "plate-000002"
    for track in (sample, release):
        for kind, size in (("lr", (48, 20)), ("hr", (96, 40))):
            for i in (1, 2):
                picture(track / f"{kind}-00{i}.png", size)
                points = [[3, 2], [size[0] - 4, 3], [size[0] - 3, size[1] - 2], [2, size[1] - 3]]
                facts = {"plate": "ABC1D23", "layout": "Mercosur", "corners": points}
                if track is sample:
                    facts = {"shapes": [{"points": points}], "imageWidth": 999}
                text(track / f"{kind}-00{i}.json", facts)
    text(sample / "plate-000777_ABC1234.txt", "ABC1234")
    text(folder / "split.txt", "ABC1234;plate-000001;training\nABC1D23;plate-000002;testing\n")
    picture(folder / "1280_0960" / "plate-000003" / "lr-001.png", (40, 16))  # with neither text nor HR picture


def make_rodosol(folder: Path) -> None:
    orders = {1: "40,30 150,34 148,70 38,66", 2: "148,70 38,66 40,30 150,34"}
    for i, corners in orders.items():
        picture(folder / "images" / "cars-br" / f"img_00000{i}.jpg")
        lines = f"type: car\nplate: ABC123{i}\nlayout: Brazilian\ncorners: {corners}\n"
        text(folder / "images" / "cars-br" / f"img_00000{i}.txt", lines)
    picture(folder / "images" / "motorcycles-me" / "img_000003.jpg")
    lines = "type: motorcycle\nplate: ABC1D23\nlayout: Mercosur\ncorners: 1,1 50,1 50,40 1,40"
    text(folder / "images" / "motorcycles-me" / "img_000003.txt", lines)
    picture(folder / "images" / "cars-me" / "img_000004.jpg")
    text(folder / "split.txt", "./images/cars-br/img_000001.jpg;training\n./images/cars-br/img_000002.jpg;testing\n")


def make_lrlpr(folder: Path) -> None:
    both = folder / "train" / "Scenario-A" / "Brazilian" / "track_00001"
    alone = folder / "test" / "Scenario-B" / "Mercosur" / "track_00002"
    places = ("top-left", "top-right", "bottom-right", "bottom-left")
    points = dict(zip(places, [[2, 2], [44, 3], [45, 18], [1, 17]]))
    picture(both / "lr-001.png", (48, 20))
    picture(both / "hr-001.jpg", (96, 40))
    text(
        both / "annotations.json",
        {"plate_layout": "Brazilian", "plate_text": "ABC1234", "corners": {"lr-001.png": points}},
    )
    picture(alone / "lr-001.jpg", (48, 20))
    text(alone / "annotations.json", {"plate_layout": "Mercosur", "plate_text": "ABC1D23", "corners": {}})
    picture(folder / "test" / "Scenario-B" / "Mercosur" / "track_00003" / "lr-001.jpg", (48, 20))


def make_rlpr(folder: Path) -> None:
    for sample in (1, 2, 3):
        for i in (1, 16):
            picture(folder / "Dataset" / f"sample_{sample:03}" / "Plate_crop" / f"{i:02}.png", (90, 24))
        picture(folder / "Dataset" / f"sample_{sample:03}" / "Pseudo_GT.png", (360, 96))
    text(folder / "Label" / "Labels.txt", "A 12 345\nB 678 90\n")


def make_xlpsr(folder: Path) -> None:
    for sequence in ("seq_001", "seq_002"):
        base = folder / "development" / sequence
        for i in range(3):
            picture(base / f"{i:06}.png", (320, 200))
        entries = [{"frame": f"{i:06}.png", "license_plate_coordinates": [100, 90, 140, 102]} for i in range(2)]
        entries.append({"frame": 2, "license_plate_coordinates": [100.4, 90.2, 141.6, 102]})
        text(base / "detections.json", [*entries, {"frame": "000009.png", "license_plate_coordinates": [1, 2, 3, 4]}])
    text(folder / "development" / "ground_truth.csv", "folder,license_plate\nseq_001,AA-123-AA\n")


def make_green(folder: Path) -> None:
    for i, split in enumerate(("train", "train", "val", "test")):
        name = plate_name(f"皖AD0000{i}", (20, 20, 120, 60), i)
        picture(folder / "ccpd_green" / split / name, (200, 120))
    picture(folder / "ccpd_green" / "test" / "holiday.jpg")


MAKERS: dict[str, Callable[[Path], None]] = {
    "pku": make_pku, "ufpr-sr": make_ufpr, "rodosol": make_rodosol, "lrlpr-26": make_lrlpr, "rlpr": make_rlpr,
    "xlpsr": make_xlpsr, "ccpd-green": make_green,
}  # fmt: skip
COUNTS = {"pku": (5, 2), "ufpr-sr": (4, 1), "rodosol": (2, 2), "lrlpr-26": (2, 1), "rlpr": (4, 1), "xlpsr": (6, 3),
          "ccpd-green": (4, 1)}  # fmt: skip
"""Plates, and what is left out, of each."""


def read(tmp_path: Path, name: str) -> tuple[dict[str, ListedPlate], dict[str, str]]:
    """The plates of a data set made for the test, by their labels, and what is left out."""
    MAKERS[name](tmp_path)
    found = choose(tmp_path, None).read(tmp_path)
    plates = {source.label: source.listed for source in found.plates}
    assert len(plates) == len(found.plates)
    return {label: plate for label, plate in plates.items() if plate}, dict(found.odd)


@pytest.mark.parametrize("name", list(MAKERS))
def test_a_data_set_is_known_by_its_folder_and_its_list_is_read_again(tmp_path: Path, name: str) -> None:
    assert set(MAKERS) == set(READERS)
    folder = tmp_path / "set"
    MAKERS[name](folder)
    result = CliRunner().invoke(app, ["data", "convert", str(folder), "--out", str(tmp_path / "list"), "--json"])
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert (facts["format"], facts["plates"], len(facts["left_out"])) == (name, *COUNTS[name])
    sources, odd = scan(tmp_path / "list", follow_links=True)
    assert len(sources) == facts["plates"] and all(reason.startswith("note: ") for _, reason in odd)
    assert list((tmp_path / "list").iterdir()) == [tmp_path / "list" / "plates.csv"]
    copied, _ = convert(folder, READERS[name], tmp_path / "copy", copy=True)
    assert len(scan(tmp_path / "copy")[0]) == len(copied)


def test_a_list_beside_its_pictures_needs_no_links(tmp_path: Path) -> None:
    make_rodosol(tmp_path)
    convert(tmp_path, READERS["rodosol"], tmp_path)
    assert {source.path for source in scan(tmp_path)[0]} == {f"images/cars-br/img_00000{i}.jpg" for i in (1, 2)}


def test_pku_has_the_white_parts_of_its_masks_wherever_they_lie(tmp_path: Path) -> None:
    plates, odd = read(tmp_path, "pku")
    assert plates["images/G3/G3/G3 (1).jpg"].bbox == (30, 60, 150, 95)
    assert plates["images/G4/G4 (2).jpg"].bbox == (20, 20, 120, 60)
    assert plates["images/G5/G5 (7).jpg"].bbox == (10, 10, 90, 40)
    assert plates["images/G5/G5 (7).jpg#2"].bbox == (100, 70, 180, 110)
    assert odd == {"images/G2/G2 (1).jpg": "it has no mask", "images/G5/G5 (8).jpg": "no plate: its mask is empty"}
    assert {plate.text for plate in plates.values()} == {""}


def test_ufpr_has_pairs_in_sequences_with_texts_corners_and_splits(tmp_path: Path) -> None:
    plates, odd = read(tmp_path, "ufpr-sr")
    first = plates["dataset_1920x1080/brazilian/plate-000001/hr-001.png"]
    assert (first.text, first.split, first.lr) == (
        "ABC1234", "train", "dataset_1920x1080/brazilian/plate-000001/lr-001.png")  # fmt: skip
    assert first.vertices == ((93, 38), (2, 37), (3, 2), (92, 3))
    assert first.lr_vertices == ((45, 18), (2, 17), (3, 2), (44, 3))
    second = plates["1280_0960/plate-000002/hr-002.png"]
    assert (second.text, second.split, second.sequence) == ("ABC1D23", "test", "1280_0960/plate-000002")
    assert odd == {"1280_0960/plate-000003/lr-001.png": "it gives no text"}


def test_rodosol_has_corners_in_any_order_and_no_motorcycles(tmp_path: Path) -> None:
    plates, odd = read(tmp_path, "rodosol")
    for i, split in ((1, "train"), (2, "test")):
        plate = plates[f"images/cars-br/img_00000{i}.jpg"]
        assert (plate.text, plate.split, plate.bbox) == (f"ABC123{i}", split, (38, 30, 150, 70))
        assert plate.vertices == ((148, 70), (38, 66), (40, 30), (150, 34))
    assert "two lines" in odd["images/motorcycles-me/img_000003.jpg"]
    assert "cannot be read" in odd["images/cars-me/img_000004.jpg"]


def test_lrlpr_has_pairs_and_lr_pictures_alone(tmp_path: Path) -> None:
    plates, odd = read(tmp_path, "lrlpr-26")
    pair = plates["train/Scenario-A/Brazilian/track_00001/hr-001.jpg"]
    assert pair.lr.endswith("lr-001.png") and pair.lr_vertices == ((45, 18), (1, 17), (2, 2), (44, 3))
    alone = plates["test/Scenario-B/Mercosur/track_00002/lr-001.jpg"]
    assert (alone.text, alone.lr, alone.vertices) == ("ABC1D23", "", None)
    assert "annotations.json" in odd["test/Scenario-B/Mercosur/track_00003"]


def test_rlpr_has_a_text_a_sample(tmp_path: Path) -> None:
    plates, odd = read(tmp_path, "rlpr")
    assert plates["Dataset/sample_001/Plate_crop/16.png"].text == "A12345"
    assert {plate.sequence for plate in plates.values()} == {"Dataset/sample_001", "Dataset/sample_002"}
    assert odd == {"Dataset/sample_003": "Label/Labels.txt has no text in line 3"}


def test_xlpsr_has_the_box_of_every_frame_and_says_which_sequence_has_no_text(tmp_path: Path) -> None:
    plates, odd = read(tmp_path, "xlpsr")
    assert plates["development/seq_001/000000.png"].text == "AA123AA"
    assert plates["development/seq_001/000002.png"].bbox == (100, 90, 142, 102)
    assert plates["development/seq_002/000001.png"].text == ""
    assert odd["development/seq_002"] == "ground_truth.csv gives no text of it"
    assert "there is no frame" in odd["development/seq_001/detections.json"]


def test_green_ccpd_keeps_its_own_split(tmp_path: Path) -> None:
    plates, odd = read(tmp_path, "ccpd-green")
    assert sorted(str(plate.split) for plate in plates.values()) == ["test", "train", "train", "val"]
    assert "not a CCPD name" in odd["ccpd_green/test/holiday.jpg"]


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("flip", [False, True])
def test_corners_are_put_in_order(turn: int, flip: bool) -> None:
    corners = [(3.0, 2.0), (92.0, 13.0), (90.0, 40.0), (2.0, 30.0)]
    mixed = corners[turn:] + corners[:turn]
    assert corners_of(mixed[::-1] if flip else mixed) == (corners[2], corners[3], corners[0], corners[1])


@pytest.mark.parametrize("points", [None, [(1, 2)] * 3, [(1, "x")] * 4, [(1, float("nan"))] * 4, 7])
def test_what_is_no_corners_is_refused(points: object) -> None:
    with pytest.raises(ValueError, match="corners"):
        corners_of(points)


def test_an_unknown_folder_or_format_and_an_empty_data_set_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="like no data set known here: name one with --format"):
        choose(tmp_path, None)
    with pytest.raises(UserError, match="no format 'kitti'"):
        choose(tmp_path, "kitti")
    with pytest.raises(UserError, match="no folder "):
        choose(tmp_path / "nowhere", None)
    with pytest.raises(UserError, match=r"no plate in .* read as rlpr"):
        convert(tmp_path, READERS["rlpr"], tmp_path)
    make_rodosol(tmp_path / "both")
    make_rlpr(tmp_path / "both")
    with pytest.raises(UserError, match="looks like rodosol and rlpr"):
        choose(tmp_path / "both", None)


def test_a_list_of_the_user_is_not_replaced(tmp_path: Path) -> None:
    make_rlpr(tmp_path)
    (tmp_path / "plates.csv").write_text("file,text\n")
    with pytest.raises(UserError, match="is there already"):
        convert(tmp_path, READERS["rlpr"], tmp_path)


def test_what_a_data_set_holds_beside_its_plates_is_listed(tmp_path: Path) -> None:
    make_ufpr(tmp_path / "ufpr")
    picture(tmp_path / "ufpr" / "1280_0960" / "plate-000002" / "hr-009.png", (96, 40))
    make_lrlpr(tmp_path / "lrlpr")
    picture(tmp_path / "lrlpr" / "train" / "Scenario-A" / "Brazilian" / "track_00001" / "hr-009.png", (96, 40))
    make_xlpsr(tmp_path / "xlpsr")
    text(tmp_path / "xlpsr" / "development" / "seq_002" / "detections.json", [])
    (tmp_path / "xlpsr" / "development" / "seq_003").mkdir()
    with open(tmp_path / "xlpsr" / "development" / "ground_truth.csv", "a") as file:
        file.write("seq_009,AA-123-AA\n")
    make_pku(tmp_path / "pku")
    (tmp_path / "pku" / "images" / "G5" / "G5 (8).jpg").unlink()
    picture(tmp_path / "pku" / "images" / "G1" / "G1 (1).jpg", (100, 60))
    make_rodosol(tmp_path / "rodosol")
    with open(tmp_path / "rodosol" / "split.txt", "a") as file:
        file.write("./images/cars-br/img_000009.jpg;other\n")
    expected = {
        "ufpr": ["hr-009.png: it has no LR crop"],
        "lrlpr": ["hr-009.png: it has no LR crop"],
        "xlpsr": ["seq_002/detections.json: it lists no frame", "seq_003: it has no detections", "seq_009: ground_tr"],
        "pku": ["G5 (8).jpg: it is the mask of no picture", "the mask is of 200×120 px, its scene of 100×60 px"],
        "rodosol": ["split.txt:3: 'other' is not training"],
    }
    for name, reasons in expected.items():
        told = [f"{path}: {reason}" for path, reason in choose(tmp_path / name, None).read(tmp_path / name).odd]
        assert all(any(reason in line for line in told) for reason in reasons), told


def test_ufpr_tells_tracks_of_one_name_apart(tmp_path: Path) -> None:
    make_ufpr(tmp_path)
    picture(tmp_path / "1920_1080" / "plate-000002" / "lr-001.png", (48, 20))
    text(tmp_path / "1920_1080" / "plate-000002" / "lr-001.json", {"plate": "XYZ9876"})
    listed = "ABC1D23;1280_0960/plate-000002;testing\nXYZ9876;1920_1080/plate-000002;training\n"
    text(tmp_path / "split.txt", listed)
    found = READERS["ufpr-sr"].read(tmp_path).plates
    splits = {source.path: source.listed.split for source in found if source.listed}
    assert splits["1920_1080/plate-000002/lr-001.png"] == "train"
    assert splits["1280_0960/plate-000002/hr-001.png"] == "test"


@pytest.mark.parametrize("out", ["file", "/proc/nowhere"])
def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path, out: str) -> None:
    make_rlpr(tmp_path / "set")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError):
        convert(tmp_path / "set", READERS["rlpr"], tmp_path / out)


@pytest.mark.parametrize("content", ["", "[", "[1]", '{"plate": 7}', "[" * 5000, "\x00"])
def test_broken_annotations_cost_nothing_else(tmp_path: Path, content: str) -> None:
    make_ufpr(tmp_path)
    make_lrlpr(tmp_path)
    broken = [
        tmp_path / "1280_0960/plate-000002/lr-001.json",
        tmp_path / "train/Scenario-A/Brazilian/track_00001/annotations.json",
    ]
    for file in broken:
        file.write_text(content)
    ufpr, lrlpr = READERS["ufpr-sr"].read(tmp_path), READERS["lrlpr-26"].read(tmp_path)
    assert len(ufpr.plates) >= 3 and len(lrlpr.plates) >= 1
    assert len(ufpr.plates) + len(ufpr.odd) == 5 and len(lrlpr.plates) + len(lrlpr.odd) == 3


def test_the_written_list_has_paths_from_where_it_lies(tmp_path: Path) -> None:
    make_ufpr(tmp_path / "set")
    convert(tmp_path / "set", READERS["ufpr-sr"], tmp_path / "lists" / "ufpr")
    with open(tmp_path / "lists" / "ufpr" / "plates.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["file"] == "../../set/1280_0960/plate-000002/hr-001.png"
    assert np.array_equal([rows[0]["lr"]], ["../../set/1280_0960/plate-000002/lr-001.png"])
