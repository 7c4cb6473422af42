"""Annotations that a picture contradicts: property tests over sizes, orientations, depths of the damage."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import plate_name
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmark.data import pack
from benchmark.data.annotation import CONTRADICTION, name_fault, picture_fault
from benchmark.data.ccpd import PlateName, format_name, parse_name
from benchmark.data.splits import Counts
from benchmark.data.synthetic.generator import plate_pose
from benchmark.data.verify import describe, verify
from benchmark.runner.scheduler import overview
from benchmark.util.errors import UserError

sides = st.integers(64, 3000)


def plate(box: tuple[int, int, int, int], tilt: int = 90, area: str = "02", text: str = "皖A12345") -> PlateName:
    x0, y0, x1, y1 = box
    return PlateName(area, (tilt, tilt), box, ((x1, y1), (x0, y1), (x0, y0), (x1, y0)), text, 100, 50)


@settings(max_examples=200, deadline=None)
@given(sides, sides, st.data())
def test_a_box_mostly_inside_fits_and_one_mostly_outside_does_not(width: int, height: int, data: st.DataObject) -> None:
    if width == round(height * 720 / 1160):
        return  # the shape of a whole photograph is judged by more
    w, h = data.draw(st.integers(20, width)), data.draw(st.integers(10, height))
    x, y = data.draw(st.integers(-w, width)), data.draw(st.integers(-h, height))
    inside = max(0, min(x + w, width) - max(x, 0)) * max(0, min(y + h, height) - max(y, 0))
    fault = picture_fault(plate((x, y, x + w, y + h)), width, height)
    assert (fault is not None) == (inside < w * h / 2)
    if fault is not None:
        assert fault.startswith(CONTRADICTION) and f"outside the picture of {width}×{height} px" in fault


@pytest.mark.parametrize("factor", [0.25, 0.5, 0.7, 1.5, 2.0, 3.0])
@pytest.mark.parametrize(("tilt", "text", "share"), [(0, "皖A12345", 1.0), (90, "皖A12345", 1.4)])
def test_a_resized_photograph_with_the_names_of_the_original_is_found(
    factor: float, tilt: int, text: str, share: float
) -> None:
    width, height = round(720 * factor), round(1160 * factor)
    area = f"{200 * 60 / (720 * 1160) / share:.9f}"[2:]
    name = plate((20, 30, 220, 90), tilt, area, text)
    assert picture_fault(name, 720, 1160) is None
    found = picture_fault(name, width, height)
    if 1 / factor**2 * share > 3.4 or factor > 1.3 or tilt == 0:
        assert found is not None and "fit" in found
    scaled = replace(name, bbox=tuple(round(v * factor) for v in name.bbox),
                     vertices=tuple((round(x * factor), round(y * factor)) for x, y in name.vertices))  # fmt: skip
    assert picture_fault(scaled, width, height) is None  # whose names were scaled along


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 3), st.integers(1, 3), st.floats(0, 1))
def test_corners_that_coincide_or_lie_on_a_line_are_no_plate(
    index: int, corner: int, further: int, between: float
) -> None:
    _, name = plate_pose(0, index)
    assert name_fault(name) is None
    corners = list(name.vertices)
    corners[corner] = corners[(corner + further) % 4]
    assert name_fault(replace(name, vertices=tuple(corners))) == f"{CONTRADICTION}corners coincide"
    (ax, ay), (bx, by) = corners[(corner + 1) % 4], corners[(corner + 3) % 4]
    corners = list(name.vertices)
    corners[corner] = (round(ax + between * (bx - ax)), round(ay + between * (by - ay)))
    assert name_fault(replace(name, vertices=tuple(corners))) is not None


def test_mirrored_crossed_and_distant_corners_are_no_plate() -> None:
    good = plate((20, 30, 220, 90))
    a, b, c, d = good.vertices
    for corners in ((b, a, d, c), (a, c, b, d)):
        assert "corners on a line, crossed, or not clockwise" in (name_fault(replace(good, vertices=corners)) or "")
    away = tuple((x + 500, y) for x, y in good.vertices)
    assert name_fault(replace(good, vertices=away)) == f"{CONTRADICTION}corners beside the box"
    assert name_fault(replace(good, vertices=((230, 95), (15, 92), (12, 25), (222, 28)))) is None  # marked by hand


def test_real_plates_fit_their_pictures(ccpd_root: Path) -> None:
    sources, odd = pack.scan(ccpd_root)
    assert not odd
    for source in sources:
        assert picture_fault(source.annotation, *Image.open(ccpd_root / source.path).size) is None


def write(folder: Path, name: str, size: tuple[int, int] = (160, 96), kind: str = "JPEG") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(list(folder.iterdir()))).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / name, kind)


def test_misfits_are_listed_counted_and_named_by_run_and_verify(make_ccpd: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_ccpd(60)
    files = sorted((folder / "ccpd_base").iterdir())
    outside = files[5].with_name(plate_name("皖A00777", (140, 12, 300, 76), 900))
    files[5].rename(outside)
    name = parse_name(files[9].name)
    flat = files[9].with_name(format_name(replace(name, vertices=(name.vertices[0],) * 4)))
    files[9].rename(flat)
    said: list[str] = []
    plates = pack.prepare(folder, tmp_path / "packs", counts=Counts(50, 4, 4), say=said.append)
    with open(plates.folder / "skipped.csv", encoding="utf-8") as file:
        reasons = {row["file"].rsplit("/", 1)[-1]: row["reason"] for row in csv.DictReader(file)}
    assert "of the box outside the picture" in reasons[outside.name] and "coincide" in reasons[flat.name]
    assert plates.info["misfits"] == 2 == plates.info["skipped"]
    assert "2 skipped (2 of them: ANNOTATION DOES NOT FIT THE PICTURE)" in overview(plates, "x")
    assert any("1 pictures that their names' annotations do not fit skipped" in line for line in said)
    facts = verify(folder, Counts(50, 4, 4))
    assert facts["misfits"] == 2 and "annotation misfits   2" in describe(facts)
    json.dumps(facts)


def test_a_folder_of_nothing_but_misfits_says_so(tmp_path: Path) -> None:
    for i in range(20):
        write(tmp_path / "ccpd", plate_name(f"皖A{i:05}", (500, 300, 640, 364), i))
    with pytest.raises(
        UserError, match=r"no plate of the split 'train' can be read \(\d+ of 20 names have annotations"
    ):
        pack.prepare(tmp_path / "ccpd", tmp_path / "packs", counts=Counts(14, 3, 3), say=lambda line: None)


def test_a_pack_that_an_older_version_made_has_no_count_and_opens(
    make_ccpd: Callable[..., Path], tmp_path: Path
) -> None:
    plates = pack.prepare(make_ccpd(), tmp_path / "packs", counts=Counts(16, 4, 4), say=lambda line: None)
    info = json.loads((plates.folder / "pack.json").read_text())
    del info["misfits"]
    (plates.folder / "pack.json").write_text(json.dumps(info))
    opened = pack.open_pack(plates.folder)
    assert opened.fingerprint == plates.fingerprint and "MISFIT" not in overview(opened, "x").upper()
