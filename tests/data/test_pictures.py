"""Pictures of a CCPD folder: what is decoded, what is refused, and what is not even opened."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import plate_name
from PIL import Image

from benchmark.data import pictures
from benchmark.data.ccpd import parse_name
from benchmark.data.pictures import Source, load_crop, scan

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
