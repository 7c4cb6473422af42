"""Pictures of a CCPD folder: what is decoded, what is refused, and what is not even opened."""

from __future__ import annotations

import io
import os
import struct
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import plate_name
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmark.data import pictures
from benchmark.data.ccpd import parse_name
from benchmark.data.picture_files import damage
from benchmark.data.pictures import Source, load_crop, scan
from benchmark.results.trained import read_picture
from benchmark.util.errors import UserError

BOX = (12, 12, 140, 76)
NAME = plate_name("皖A00001", BOX)


def photograph(mode: str = "RGB", size: tuple[int, int] = (160, 96)) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def crop(folder: Path, content: bytes) -> np.ndarray:
    folder.mkdir(exist_ok=True)
    (folder / NAME).write_bytes(content)
    return load_crop(folder, Source(NAME, parse_name(NAME)))[0]


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "LA", "1"])
def test_pictures_of_eight_bits_are_converted_pixel_by_pixel(tmp_path: Path, mode: str) -> None:
    image = photograph(mode)
    expected = np.asarray(image.convert("RGB"))[12:76, 12:140]
    np.testing.assert_array_equal(crop(tmp_path, encoded(image)), expected)


def test_cmyk_is_converted_and_exif_rotation_ignored(tmp_path: Path) -> None:
    content = encoded(photograph("CMYK"), "JPEG")
    expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))[12:76, 12:140]
    np.testing.assert_array_equal(crop(tmp_path, content), expected)
    turned = Image.Exif()
    turned[0x0112] = 6
    plain, rotated = encoded(photograph(), "JPEG"), encoded(photograph(), "JPEG", exif=turned)
    np.testing.assert_array_equal(crop(tmp_path, rotated), crop(tmp_path, plain))


def declaring(width: int, height: int) -> bytes:
    """A PNG of 80 bytes that says how large it is."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    header = b"\x89PNG\r\n\x1a\n\0\0\0\x0d" + chunk + struct.pack(">I", zlib.crc32(chunk))
    return header + b"\0\0\0\0IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (declaring(10_000, 5_001), "declares 10000×5001 px, more than 50 megapixels"),
        (declaring(100_000, 100_000), "decompression bomb"),
        (declaring(20_000, 100), "."),
        (encoded(Image.new("RGB", (1, 1))), "picture of 1 px where at least 64 are needed"),
        (encoded(photograph().convert("I").convert("I;16")), "more than 8 bits a channel"),
        (encoded(photograph(), "JPEG")[:9000], "truncated"),
        (encoded(photograph(), "GIF"), "neither a JPEG nor a PNG picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n", "neither a JPEG nor a PNG picture"),
        (b"", "an empty file"),
    ],
)
def test_other_pictures_are_refused_with_the_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        crop(tmp_path, content)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"")
    os.truncate(tmp_path / NAME, pictures.MAX_BYTES + 1)
    with pytest.raises(ValueError, match="64000001 bytes"):
        load_crop(tmp_path, Source(NAME, parse_name(NAME)))


def test_links_pipes_and_odd_paths_are_listed_and_not_followed(tmp_path: Path) -> None:
    folder, outside = tmp_path / "ccpd", tmp_path / "outside"
    outside.mkdir()
    (folder / os.fsdecode(b"\xff")).mkdir(parents=True)
    (outside / NAME).write_bytes(encoded(photograph()))
    (folder / NAME).write_bytes(encoded(photograph()))
    (folder / f"1{NAME}").symlink_to(outside / NAME)
    (folder / f"2{NAME}").symlink_to(folder / NAME)
    (folder / f"3{NAME}").symlink_to("/dev/zero")
    (folder / "loop").symlink_to(folder)
    os.mkfifo(folder / f"4{NAME}")
    (folder / os.fsdecode(b"\xff") / NAME).write_bytes(encoded(photograph()))
    sources, odd = scan(folder)
    assert [source.path for source in sources] == [NAME, f"2{NAME}"]
    assert dict(odd) == {
        "loop": "a symbolic link to a folder: not followed",
        f"1{NAME}": "a symbolic link out of the data folder: not followed",
        f"3{NAME}": "a symbolic link out of the data folder: not followed",
        f"4{NAME}": "not a regular file",
        rf"\udcff/{NAME}": "the path is not valid UTF-8",
    }
    (tmp_path / "link").symlink_to(folder)
    assert scan(tmp_path / "link")[0] == sources


def png_of_depth(mode: str, depth: int, size: tuple[int, int] = (160, 96), interlaced: bool = False) -> bytes:
    """A PNG of noise with so many bits a channel."""
    colour, channels = {"L": (0, 1), "RGB": (2, 3), "LA": (4, 2), "RGBA": (6, 4)}[mode]
    line = size[0] * channels * depth // 8
    data = b"".join(b"\0" + np.random.default_rng(y).bytes(line) for y in range(size[1]))

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(["L", "LA", "RGB", "RGBA"]), st.integers(1, 300), st.integers(1, 300), st.booleans())
def test_every_picture_of_more_than_eight_bits_is_refused(mode: str, width: int, height: int, interlaced: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with pytest.raises(ValueError, match="more than 8 bits a channel: convert it to 8 bits"):
            crop(Path(folder), png_of_depth(mode, 16, (width, height), interlaced))
        with pytest.raises(UserError, match="more than 8 bits a channel: convert it to 8 bits"):
            read_picture(Path(folder) / NAME)
        assert crop(Path(folder), png_of_depth(mode, 8)).shape == (64, 128, 3)


@pytest.mark.parametrize("kind", ["WEBP", "TIFF", "JPEG2000", "AVIF", "BMP"])
def test_formats_that_may_be_deeper_are_not_opened(tmp_path: Path, kind: str) -> None:
    try:
        content = encoded(photograph(), kind)
    except (OSError, KeyError):
        pytest.skip(f"this Pillow writes no {kind}")
    with pytest.raises(ValueError, match="neither a JPEG nor a PNG picture"):
        crop(tmp_path, content)


@pytest.mark.parametrize("quality", [20, 75, 95])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("hole", [40, 300, 2000])
def test_a_hole_in_a_jpeg_is_seen_where_a_decoder_would_go_on(
    tmp_path: Path, quality: int, mode: str, hole: int
) -> None:
    whole = encoded(photograph(mode, (400, 300)), "JPEG", quality=quality)
    assert crop(tmp_path, whole).any()
    start = whole.index(b"\xff\xda") + 600
    with pytest.raises(ValueError, match="a damaged JPEG: "):
        crop(tmp_path, whole[:start] + bytes(hole) + whole[start + hole :])


@pytest.mark.parametrize(
    "options", [{}, {"optimize": True}, {"progressive": True}, {"subsampling": 0}, {"exif": bytes(99)}]
)
@pytest.mark.parametrize("level", [0, 1, 128, 255])
def test_a_sound_jpeg_of_one_colour_is_no_damaged_one(tmp_path: Path, options: dict[str, Any], level: int) -> None:
    for mode in ("L", "RGB"):
        flat = Image.new(mode, (720, 1000), level if mode == "L" else (level, level, level))
        content = encoded(flat, "JPEG", **options)
        assert (crop(tmp_path, content) == level).all()
        assert (crop(tmp_path, content + bytes(5000)) == level).all()  # what follows the picture is none of it


@pytest.mark.parametrize(
    "kind", [{}, {"optimize": True}, {"subsampling": 0}, {"progressive": True}, {"restart_marker_blocks": 2}]
)
@pytest.mark.parametrize("quality", [1, 30, 95])
@pytest.mark.parametrize("size", [(8, 8), (75, 101), (90, 64), (64, 200)])
def test_a_sound_jpeg_of_any_kind_is_no_damaged_one(kind: dict[str, Any], quality: int, size: tuple[int, int]) -> None:
    flat = Image.new("RGB", size, (7, 7, 7))
    for image in (photograph(size=size), photograph("L", size), photograph("CMYK", size), flat):
        assert damage(encoded(image, "JPEG", quality=quality, **kind)) is None


@pytest.mark.parametrize("kind", [{}, {"optimize": True}, {"progressive": True}, {"restart_marker_blocks": 2}])
def test_noise_in_a_scan_is_mostly_seen(kind: dict[str, Any]) -> None:
    whole = encoded(photograph("RGB", (400, 300)), "JPEG", quality=90, **kind)
    start = whole.index(b"\xff\xda") + 20
    places = range(start, len(whole) - 700, 997)
    noise = np.random.default_rng(0).integers(0, 255, 300, np.uint8).tobytes()
    assert sum(damage(whole[:at] + noise + whole[at + 300 :]) is not None for at in places) >= 0.5 * len(places)


def test_a_hole_is_seen_with_tables_of_the_files_own(tmp_path: Path) -> None:
    whole = encoded(photograph("RGB", (400, 300)), "JPEG", quality=90, optimize=True)
    assert crop(tmp_path, whole).any()
    start = whole.index(b"\xff\xda") + 20
    seen = 0
    for at in range(start, len(whole) - 700, 997):
        try:
            crop(tmp_path, whole[:at] + bytes(300) + whole[at + 300 :])
        except ValueError as error:
            seen += "a damaged JPEG" in str(error)
    assert seen >= 0.8 * len(range(start, len(whole) - 700, 997))
