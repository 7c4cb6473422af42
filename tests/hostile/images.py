"""Pictures as strangers hand them in: whole ones of every kind, broken ones, and files that are no pictures."""

from __future__ import annotations

import csv
import io
import os
import random
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from benchmark.data.ccpd import LETTERS, PROVINCES, PlateName, format_name
from benchmark.data.pack import prepare
from benchmark.data.splits import Counts
from benchmark.data.verify import verify
from benchmark.results.trained import read_picture
from benchmark.util.errors import UserError
from hostile.mutations import mutate

SIZE = (112, 88)
BOX = (12, 12, 92, 76)
GOOD_FILES = 24
COUNTS = Counts(1000, 500, 500)


def picture(source: random.Random, mode: str = "RGB") -> Image.Image:
    """A picture that is like no other (packs leave near-duplicates out)."""
    coarse = np.random.default_rng(source.getrandbits(32)).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(SIZE, Image.Resampling.BICUBIC).convert(mode)


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(width: int, height: int, data: bytes = b"", depth: int = 8, colour: int = 2) -> bytes:
    """A PNG that says it is so large, whatever it holds."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def jpeg_of_size(content: bytes, width: int, height: int) -> bytes:
    """The same JPEG with another size in its header."""
    start = content.index(b"\xff\xc0") + 5
    return content[:start] + struct.pack(">HH", height, width) + content[start + 4 :]


def kinds(source: random.Random) -> dict[str, bytes]:
    """One file of every kind; some are pictures."""
    rgb, jpeg = picture(source), encode(picture(source), "JPEG")
    rotated = Image.Exif()
    rotated[0x0112] = 6
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("x.jpg", jpeg)
    palette = picture(source, "P")
    return {
        "JPEG": jpeg,
        "progressive JPEG": encode(picture(source), "JPEG", progressive=True),
        "CMYK JPEG": encode(picture(source, "CMYK"), "JPEG"),
        "grey JPEG": encode(picture(source, "L"), "JPEG"),
        "rotated by EXIF": encode(picture(source), "JPEG", exif=rotated),
        "EXIF of noise": encode(picture(source), "JPEG", exif=b"Exif\0\0" + source.randbytes(200)),
        "PNG": encode(rgb),
        "palette": encode(palette),
        "palette with transparency": encode(picture(source, "P"), transparency=3),
        "palette of no colours": encode(palette).replace(b"PLTE", b"PLTF"),
        "transparent PNG": encode(picture(source, "RGBA")),
        "LA": encode(picture(source, "LA")),
        "1 bit": encode(picture(source, "1")),
        "16 bits": encode(Image.fromarray(np.asarray(picture(source, "L")).astype(np.uint16) * 257)),
        "16 bits of colour": png(*SIZE, zlib.compress(bytes((6 * SIZE[0] + 1) * SIZE[1])), depth=16),
        **{name: encode(rgb, name) for name in ("GIF", "BMP", "TIFF", "WEBP", "ICO", "PPM", "TGA", "PDF", "EPS")},
        "SVG": b'<svg xmlns="http://www.w3.org/2000/svg" onload="x()"><image href="file:///etc/passwd"/></svg>',
        "text": "not a picture 车牌".encode(),
        "zip": archive.getvalue(),
        "noise": source.randbytes(4000),
        "zeros": bytes(4000),
        "nothing": b"",
        "one byte": b"\xff",
        "1×1 PNG": encode(Image.new("RGB", (1, 1))),
        "1×1 JPEG": encode(Image.new("RGB", (1, 1)), "JPEG"),
        "0×0": png(0, 0),
        "63 px": encode(Image.new("RGB", (200, 63))),
        "20,000 px wide, 3 kB": png(20_000, 2_000, zlib.compress(bytes(10**6))),
        "a bomb": png(30_000, 30_000, zlib.compress(bytes(10**6))),
        "a larger bomb": png(2**31 - 1, 2**31 - 1, zlib.compress(bytes(10**4))),
        "a bomb of 1 bit": png(60_000, 60_000, zlib.compress(bytes(10**6)), depth=1, colour=0),
        "JPEG of 65,535 px": jpeg_of_size(jpeg, 65_535, 65_535),
        "JPEG of 20,000×300": jpeg_of_size(jpeg, 20_000, 300),
        "JPEG of 0 px": jpeg_of_size(jpeg, 0, 0),
        "two pictures": jpeg + encode(rgb),
        "PNG without its end": encode(rgb)[:-12],
        "half a JPEG": jpeg[: len(jpeg) // 2],
        "text bomb": encode(rgb).replace(b"IDAT", b"zTXt", 1) + bytes(100),
    }


GOOD_KINDS = {
    "JPEG", "progressive JPEG", "CMYK JPEG", "grey JPEG", "rotated by EXIF", "PNG", "palette", "transparent PNG",
    "palette with transparency", "LA", "1 bit",
}  # fmt: skip
BAD_KINDS = {
    "GIF", "BMP", "TIFF", "WEBP", "ICO", "PPM", "TGA", "PDF", "EPS", "SVG", "text", "zip", "noise", "zeros", "nothing",
    "one byte", "1×1 PNG", "1×1 JPEG", "0×0", "63 px", "a bomb", "a larger bomb", "a bomb of 1 bit", "16 bits",
    "JPEG of 65,535 px", "JPEG of 0 px", "half a JPEG", "20,000 px wide, 3 kB",
}  # fmt: skip


def mutants(source: random.Random) -> Iterator[bytes]:
    """Pictures with flipped, missing and added bytes; without end."""
    while True:
        whole = list(kinds(source).values())
        for _ in range(len(whole)):
            yield mutate(source.choice(whole[:15] if source.random() < 0.8 else whole), source)


def name(number: int, suffix: str = ".jpg") -> str:
    """A CCPD name with a plate number of its own."""
    digits = f"{number:05}"
    corners = ((BOX[2], BOX[3]), (BOX[0], BOX[3]), (BOX[0], BOX[1]), (BOX[2], BOX[1]))
    letter = LETTERS[number // 100_000 % 24]
    plate = PlateName("025", (90, 90), BOX, corners, f"{PROVINCES[0]}{letter}{digits[-5:]}", 100, 50)
    return format_name(plate).removesuffix(".jpg") + suffix


def write(folder: Path, contents: list[bytes]) -> list[str]:
    """Every content as a picture of a CCPD folder, beside enough good ones for three splits. Returns their paths."""
    source = random.Random(1)
    (folder / "sub").mkdir(parents=True)
    for i in range(GOOD_FILES):
        (folder / name(90_000 + i, ".png")).write_bytes(encode(picture(source)))
    paths = [f"sub/{name(i, source.choice(('.jpg', '.png', '.JPEG')))}" for i in range(len(contents))]
    for path, content in zip(paths, contents):
        (folder / path).write_bytes(content)
    return paths


def odd_files(folder: Path) -> set[str]:
    """Pipes, links, folders named like pictures, and names that are no text; their paths. None can be used."""
    outside = folder.parent / "outside"
    outside.mkdir()
    (outside / "secret.png").write_bytes(encode(picture(random.Random(2))))
    (outside / name(80_010)).write_bytes(encode(picture(random.Random(3))))
    os.mkfifo(folder / name(80_001))
    (folder / name(80_002)).symlink_to(outside / "secret.png")
    (folder / name(80_003)).symlink_to(folder / name(80_003))
    (folder / name(80_004)).symlink_to(folder / "not there")
    (folder / name(80_005)).symlink_to("/dev/zero")
    (folder / "up").symlink_to(folder.parent)
    (folder / "round").symlink_to(folder)
    (folder / "out").symlink_to(outside)
    (folder / name(80_006)).mkdir()  # a folder: nothing in it, nothing to say
    (folder / "no ccpd name.jpg").write_bytes(encode(picture(random.Random(4))))
    latin = os.fsdecode(b"f\xfcr")
    (folder / latin).mkdir()
    (folder / latin / name(80_007)).write_bytes(encode(picture(random.Random(5))))
    (folder / os.fsdecode(b"\xd4\xc1A.jpg")).write_bytes(b"")
    (folder / "\x1b[31m=cmd|x.jpg").write_bytes(b"")
    (folder / "two\nlines.jpg").write_bytes(b"")
    (folder / "over\rwritten").mkdir()
    (folder / "over\rwritten" / name(80_008)).write_bytes(encode(picture(random.Random(6))))
    return (
        {name(80_000 + i) for i in range(1, 6)}
        | {f"over\rwritten/{name(80_008)}"}
        | {"up", "round", "out", "no ccpd name.jpg", "two\nlines.jpg"}
    )


def check(folder: Path, cache: Path, workers: int = 1) -> Counter[str]:
    """Make a pack: every file is a plate in it or has a reason why not. Returns how many of each."""
    files = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and not p.is_symlink()}
    plates = prepare(folder, cache, counts=COUNTS, workers=workers, say=lambda line: None)
    with open(plates.folder / "skipped.csv", newline="", encoding="utf-8") as file:
        skipped = {row["file"]: row["reason"] for row in csv.DictReader(file)}
    with open(plates.folder / "dropped.csv", newline="", encoding="utf-8") as file:
        dropped = {row["file"] for row in csv.DictReader(file)}
    used = set(plates.table["name"])
    assert not used & set(skipped) and not used & dropped
    untold = {path for path in files - used - dropped if as_text(path) not in skipped}
    assert not untold, untold
    for path, reason in skipped.items():
        assert reason.strip() and "\n" not in reason and len(reason) < 1000, (path, reason)
    for plate in plates:
        assert plate.hr.dtype == np.uint8 and plate.hr.shape == (64, 80, 3) and plate.hr.size
    assert not plates.damaged()
    return Counter({"accepted": len(used) + len(dropped & files), "refused": len(skipped)})


def as_text(path: str) -> str:
    """A path as it is written where bytes that are no UTF-8 cannot be."""
    return path.encode("utf-8", "backslashreplace").decode()


def reasons(folder: Path) -> dict[str, str]:
    """What ``data verify`` says of every file that cannot be used."""
    facts = verify(folder, COUNTS)
    return {row["file"]: row["reason"] for key in ("unreadable", "unparsable") for row in facts[key]}


def check_upscaling(file: Path) -> str:
    """Read a picture as ``upscale`` does: ``accepted`` or ``refused``."""
    try:
        pixels = read_picture(file)
    except UserError as error:
        assert "\n" not in str(error)
        return "refused"
    assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.size
    return "accepted"
