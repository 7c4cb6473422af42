"""File names that are nearly CCPD's, and what must come of reading one."""

from __future__ import annotations

import math
import string

from hypothesis import strategies as st

from benchmark.data.ccpd import crop_box, format_name, parse_name

_SCRAPS = (
    "", "-", "_", "&", "--", ".", "..", "/", "\\", "\x00", "\n", "\x1b[31m", "-0", "+1", " 1", "1e9", "0x10", "1_0",
    "NaN", "٣", "²", "９", "\u202e", "\ud800", "\udcff", "皖", "A", "9" * 19, "9" * 5000, "%s", "{0}",
    ".jpg", ".JPG.exe", "=1+1", "'", '"',
)  # fmt: skip

_likely = st.integers(-20, 1200).map(str)
_wild = st.one_of(
    st.integers(-3000, 3000).map(str),
    st.integers(-(10**12), 10**12).map(str),
    st.sampled_from(
        ["-1", "63", "64", "65", "65536", "999999", "1000000", "9" * 19, "9" * 30, "9" * 5000, "-" + "9" * 5000]
    ),
)


@st.composite
def _nearly(draw: st.DrawFn) -> str:
    """The grammar of CCPD; in every other name numbers are often out of range."""
    wild = draw(st.booleans())
    number = _likely | _wild if wild else _likely
    point = st.tuples(number, number).map("&".join)
    length = draw(st.sampled_from([7, 7, 8, 1, 6, 9, 40] if wild else [7, 8]))
    code = (st.integers(0, 33) | st.integers(0, 10**6) if wild else st.integers(0, 24)).map(str)
    left, top = draw(st.integers(-50, 600)), draw(st.integers(-50, 600))
    box = f"{left}&{top}_{left + draw(st.integers(-1, 500))}&{top + draw(st.integers(-1, 300))}"
    fields = [
        draw(st.text(string.digits, min_size=1, max_size=30)),
        f"{draw(st.integers(-200, 200))}_{draw(number)}",
        draw(st.just(box) | st.tuples(point, point).map("_".join)) if wild else box,
        draw(st.lists(point, min_size=4, max_size=4).map("_".join)),
        "_".join(draw(st.lists(code, min_size=length, max_size=length))),
        draw(number).lstrip("-"),
        draw(number).lstrip("-"),
    ]
    return "-".join(fields) + draw(st.sampled_from([".jpg", ".png", "", ".JPEG", ".jpg.jpg", "."]))


GOOD = "025-95_113-154&383_386&473-386&473_177&454_154&383_363&402-0_0_22_27_27_33_16-37-15.jpg"


@st.composite
def _mutated(draw: st.DrawFn) -> str:
    """A good name, or nearly one, with pieces cut out and others put in."""
    name = draw(st.just(GOOD) | _nearly())
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(name)))
        end = start + draw(st.integers(0, 4))
        scrap = draw(st.sampled_from(_SCRAPS) | st.text(max_size=3) | st.text(string.digits + "-_&", max_size=4))
        name = name[:start] + scrap + name[end:]
    return name


names = st.one_of(_nearly(), _mutated(), _mutated(), st.text(max_size=80))
"""Names that are CCPD's, nearly so, or not at all."""

_LARGEST = 10**9


def check(name: str) -> str:
    """``accepted`` or ``refused``; AssertionError (or whatever is raised) where it is neither."""
    try:
        plate = parse_name(name)
    except ValueError as error:
        assert str(error)
        return "refused"
    assert parse_name(format_name(plate)) == plate
    numbers = [*plate.tilt, *plate.bbox, *(v for xy in plate.vertices for v in xy), plate.brightness, plate.blur]
    assert max(map(abs, numbers)) < _LARGEST, "a number that is no coordinate of any picture"
    assert len(plate.text) in (7, 8) and plate.style in ("2018", "2019", "green")
    assert math.isfinite(float(f"0.{plate.area}"))
    left, top, right, bottom = crop_box(plate.bbox, 720, 1160)
    assert 0 <= left < right <= 720 and 0 <= top < bottom <= 1160 and right - left >= 64 and bottom - top >= 64
    return "accepted"
