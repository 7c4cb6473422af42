"""The pictures of training data that a run keeps: which plates are chosen, and what is written."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from benchmark.data import pack
from benchmark.data.ccpd import PlateName, format_name, parse_name
from benchmark.data.pack import Plates
from benchmark.data.patches import PatchSampler
from benchmark.data.splits import Counts
from benchmark.data.training_examples import COLUMNS, PATCH_COLUMNS, choose, describe, save_training_examples

BOX = (20, 20, 180, 90)


def name(text: str, brightness: int = 120, blur: int = 30, box: tuple[int, int, int, int] = BOX,
         dx: int = 0, dy: int = 0) -> str:  # fmt: skip
    """A CCPD name: the right end ``dy`` px lower than the left, the top ``dx`` px further right than the bottom."""
    x0, y0, x1, y1 = box
    corners = ((x1, y1 + dy), (x0, y1), (x0 + dx, y0), (x1 + dx, y0 + dy))
    return format_name(PlateName("0250", (90, 90), box, corners, text, brightness, blur))


NAMES = [
    *(name(f"皖A0000{i}") for i in range(5)),
    name("皖ADARK1", brightness=9),
    name("皖ALAMP2", brightness=230),
    name("皖ABLUR3", blur=2),
    name("皖ASHARP", blur=900),
    name("皖ALEFT5", dy=-40),
    name("皖ARGHT6", dy=40),
    name("皖ASKEW7", dx=60),
    name("皖ATNY88", box=(20, 20, 100, 50)),
    name("皖ABGG99", box=(20, 20, 300, 140)),
    name("皖AD12345"),
    name("京Q55555"),
]


@pytest.fixture(scope="module")
def plates(tmp_path_factory: pytest.TempPathFactory) -> Plates:
    folder = tmp_path_factory.mktemp("data") / "ccpd"
    folder.mkdir()
    random = np.random.default_rng(1)
    for file in NAMES:
        Image.fromarray(random.integers(0, 256, (200, 360, 3), dtype=np.uint8)).save(folder / file, format="PNG")
    counts = Counts(train=len(NAMES), val=1, test=1)
    made = pack.prepare(folder, folder.parent / "packs", counts=counts, say=lambda _: None)
    return Plates(made.folder, made.table.assign(split="train"), made.info)


def test_each_condition_shows_the_plate_that_was_made_for_it(plates: Plates, tmp_path: Path) -> None:
    save_training_examples(tmp_path / "exhibits", plates, batch_size=2)
    found = pd.read_csv(tmp_path / "exhibits" / "exhibits.csv").set_index("condition")
    assert [found.index.name, *found.columns] == ["condition", *(c for c in COLUMNS if c != "condition")]
    texts = found["text"].to_dict()
    assert texts.pop("typical").startswith("皖A0000")
    assert texts == {
        "green plate": "皖AD12345", "rarest province": "京Q55555", "darkest": "皖ADARK1", "brightest": "皖ALAMP2",
        "blurriest": "皖ABLUR3", "sharpest": "皖ASHARP", "tilted counter-clockwise": "皖ALEFT5",
        "tilted clockwise": "皖ARGHT6", "most skewed": "皖ASKEW7", "smallest": "皖ATNY88", "largest": "皖ABGG99",
    }  # fmt: skip
    smallest = found.loc["smallest"]
    assert (smallest["box_height"], smallest["box_width"], smallest["height"], smallest["width"]) == (30, 80, 64, 80)
    assert (found.loc["darkest", "brightness"], found.loc["blurriest", "blur"]) == (9, 2)
    assert found["area"].unique().tolist() == [0.025]
    assert found.loc["tilted clockwise", "tilt"] == pytest.approx(math.degrees(math.atan2(40, 160)), abs=0.01)
    assert found.loc["most skewed", "skew"] == pytest.approx(-math.degrees(math.atan2(60, 70)), abs=0.01)


def test_the_pictures_are_the_hr_plates_of_the_pack(plates: Plates, tmp_path: Path) -> None:
    save_training_examples(tmp_path, plates, batch_size=2)
    by_text = {plate.text: plate.hr for plate in plates}
    for row in pd.read_csv(tmp_path / "exhibits.csv").to_dict("records"):
        with Image.open(tmp_path / row["file"]) as picture:
            assert np.array_equal(np.asarray(picture), by_text[row["text"]])


@pytest.mark.parametrize("batch_size", [2, 9])
def test_the_patches_are_what_methods_are_given_first(plates: Plates, tmp_path: Path, batch_size: int) -> None:
    save_training_examples(tmp_path, plates, batch_size)
    table = pd.read_csv(tmp_path / "patches.csv")
    assert tuple(table.columns) == PATCH_COLUMNS and len(table) == 6
    sampler = PatchSampler(plates, batch_size, seed=0, device=torch.device("cpu"))
    for row in table.to_dict("records"):
        batch = sampler.batch(row["iteration"])
        for kind, planes in (("hr", batch.hr), ("lr", batch.lr)):
            given = (planes[row["position"]] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
            with Image.open(tmp_path / row[kind]) as picture:
                assert np.array_equal(np.asarray(picture), given)
    assert table[["iteration", "position"]].drop_duplicates().shape[0] == 6
    assert table["iteration"].max() == (3 if batch_size == 2 else 1)


def test_the_same_plates_give_the_same_bytes(plates: Plates, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        save_training_examples(tmp_path / folder, plates, batch_size=2)
    files = sorted(file.name for file in (tmp_path / "a").iterdir())
    assert len(files) == 12 + 12 + 2
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in files)


def table(*names: str) -> pd.DataFrame:
    rows = []
    for file in names:
        parsed = parse_name(file)
        vertices = [float(v) for point in parsed.vertices for v in point]
        rows.append({"name": file, "text": parsed.text, "vertices": vertices, "height": 72, "width": 160})
    return pd.DataFrame(rows)


def test_plates_that_are_all_alike_have_no_extremes() -> None:
    chosen = choose(describe(table(*(name(f"皖A0000{i}") for i in range(4)))))
    assert chosen["condition"].tolist() == ["typical"] and chosen["text"].tolist() == ["皖A00000"]


def test_no_plate_number_is_shown_twice() -> None:
    same = [name("皖A11111", brightness=b) for b in (10, 60, 110, 160, 250)]
    chosen = choose(describe(table(*same, name("皖A22222", brightness=100), name("皖A33333", brightness=120))))
    assert chosen["text"].is_unique and "darkest" in set(chosen["condition"])


def test_a_plate_turned_in_its_plane_is_tilted_but_not_skewed() -> None:
    angle = math.radians(10)
    along, down = np.array([math.cos(angle), math.sin(angle)]) * 160, np.array([-math.sin(angle), math.cos(angle)]) * 50
    top_left = np.array([40.0, 20.0])
    corners = [top_left + along + down, top_left + down, top_left, top_left + along]
    made = table(name("皖A00000"))
    made["vertices"] = [[float(v) for corner in corners for v in corner]]
    found = describe(made).iloc[0]
    assert found["tilt"] == pytest.approx(10.0) and found["skew"] == pytest.approx(0.0, abs=1e-9)


def test_without_training_plates_nothing_is_written(plates: Plates, tmp_path: Path) -> None:
    save_training_examples(tmp_path / "exhibits", plates.split("val"), batch_size=2)
    assert not (tmp_path / "exhibits").exists()
