"""What a picture's file says of itself that Pillow keeps quiet about: bit depth, damage, and who wrote it."""

from __future__ import annotations

import re

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from benchmark.data.jpeg_scan import is_whole

TOO_DEEP = "more than 8 bits a channel: convert it to 8 bits"
UPSCALED = "upscaled by this program: no photograph"

_SOFTWARE = b"license-plate super-resolution benchmark: upscale"
_EIGHT_BITS = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"}
_USUAL_CODES = bytes.fromhex("0002010303020403050504040000017d01020300041105122131410613516107")
"""Beginning of the Huffman table of luma in nearly all JPEG files (ITU-T T.81, table K.5): lengths, then symbols."""
_GAP = 32
"""Zero bytes in a row that scans with this table do not have: all coefficients of a block of luma would be −1."""

_LONG_GAP = 64
"""The same for tables of a file's own, which may have a flat surface in zeros: such a scan is followed to its end."""
_LARGEST_SCAN = 2_000_000  # bytes: following it takes seconds


def is_deep(image: Image.Image) -> bool:
    """Whether an opened, not yet decoded picture has more than 8 bits a channel.

    Pillow's mode does not tell: it is RGB, RGBA or LA for 16-bit colour, of which it keeps the upper half. How it will
    unpack the file does (``RGB;16B``), in all of its formats.
    """
    unpacked = [str(argument) for tile in getattr(image, "tile", []) for argument in _arguments(tile[3])]
    return image.mode not in _EIGHT_BITS or any(re.search(r";(9|1[0-9]|32|64)[A-Z]", mode) for mode in unpacked)


def _arguments(of_tile: object) -> tuple[object, ...]:
    return of_tile if isinstance(of_tile, tuple) else (of_tile,)


def has_gap(jpeg: bytes) -> bool:
    """Whether zeros stand where a JPEG's pixels should be (a lost sector, a download with a hole).

    The decoder would go on with something else, and Pillow does not pass on its warning. With Huffman tables of the
    file's own, zeros can be a flat surface: then the codes must lead to the end of the picture. Other damage that can
    be decoded is not found, nor is any in progressive files.
    """
    at, usual = 2, False
    while (marker := jpeg[at : at + 2]) and marker[0] == 0xFF and marker != b"\xff\xda":  # segments before the scan
        length = int.from_bytes(jpeg[at + 2 : at + 4], "big")
        usual |= marker == b"\xff\xc4" and _USUAL_CODES in jpeg[at : at + 2 + length]
        at += 2 + length
    end = jpeg.find(b"\xff\xd9", at)
    end = end if end >= 0 else len(jpeg)
    if usual:
        return jpeg.find(bytes(_GAP), at, end) >= 0
    suspicious = jpeg.find(bytes(_LONG_GAP), at, end) >= 0
    return suspicious and end - at <= _LARGEST_SCAN and not is_whole(jpeg)


def upscaled_mark() -> PngInfo:
    """What is written into an upscaled PNG, so that it is never taken for a photograph."""
    mark = PngInfo()
    mark.add_text("Software", _SOFTWARE.decode())
    return mark


def is_upscaled(path: str) -> bool:
    """Whether a file carries :func:`upscaled_mark`, which stands before the pixels."""
    try:
        with open(path, "rb", buffering=0) as file:
            return b"tEXtSoftware\0" + _SOFTWARE in file.read(256)
    except OSError:
        return False
