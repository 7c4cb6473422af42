"""CCPD names and the HR plate rule."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from benchmark.data.ccpd import crop_box, format_name, parse_name

NAMES_2019 = "025-95_113-154&383_386&473-386&473_177&454_154&383_363&402-0_0_22_27_27_33_16-37-15.jpg"
NAMES_2018 = "0359-5_21-151&285_417&398-417&398_179&377_151&285_389&306-0_0_4_33_32_25_12-59-4.jpg"
NAMES_GREEN = "0075-88_270-34&34_178&87-178&81_35&87_34&42_177&34-0_0_3_24_28_26_25_33-87-37.jpg"


def test_every_field_of_a_name_is_read() -> None:
    plate = parse_name(NAMES_2019)
    assert plate.text == "皖AY339S"
    assert plate.bbox == (154, 383, 386, 473)
    assert plate.vertices == ((386, 473), (177, 454), (154, 383), (363, 402))
    assert (plate.tilt, plate.brightness, plate.blur, plate.area) == ((95, 113), 37, 15, "025")


@pytest.mark.parametrize(
    ("name", "style", "length"), [(NAMES_2019, "2019", 7), (NAMES_2018, "2018", 7), (NAMES_GREEN, "green", 8)]
)
def test_styles(name: str, style: str, length: int) -> None:
    plate = parse_name(name)
    assert (plate.style, len(plate.text)) == (style, length)
    assert format_name(plate) == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("plate.jpg", "not a CCPD name"),
        (NAMES_2019.replace("0_0_22", "0_0_99"), "out of range"),
        (NAMES_2019.replace("0_0_22_27_27_33_16", "0_0_22"), "3 plate characters"),
        (NAMES_2019.replace("154&383_386&473-", "386&473_154&383-"), "empty bounding box"),
        (NAMES_2019 + "/..", "not a CCPD name"),
        ("", "not a CCPD name"),
    ],
)
def test_other_names_are_refused_with_the_reason(name: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_name(name)


@pytest.mark.parametrize("bbox", [(10, 10, 13, 12), (0, 0, 100, 50), (90, 70, 160, 120), (-5, -5, 170, 130)])
def test_crop_is_at_least_64_a_multiple_of_8_and_inside(bbox: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = crop_box(bbox, 160, 120)
    assert 0 <= left < right <= 160 and 0 <= top < bottom <= 120
    for size in (right - left, bottom - top):
        assert size >= 64 and size % 8 == 0


def test_crop_keeps_a_box_that_fits_and_centres_one_that_grows() -> None:
    assert crop_box((40, 32, 168, 96), 300, 200) == (40, 32, 168, 96)
    assert crop_box((40, 50, 168, 90), 300, 200) == (40, 38, 168, 102)


def test_crop_refuses_a_picture_under_64_pixels() -> None:
    with pytest.raises(ValueError, match="at least 64"):
        crop_box((0, 0, 60, 30), 100, 63)


def test_all_published_names_parse() -> None:
    """The official split lists, in the folder beside the real plates."""
    folder = Path(__file__).resolve().parents[3] / "shared" / "ccpd-names"
    files = sorted(folder.glob("*.txt.gz"))
    if not files:
        pytest.skip("the lists of CCPD names are not here")
    lines = [line for f in files for line in gzip.decompress(f.read_bytes()).decode().splitlines()]
    names = [line.rsplit("/", 1)[-1] for line in lines]
    assert len(names) == 91_979
    assert all(format_name(parse_name(name)) == name for name in names)
