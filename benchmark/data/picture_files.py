"""What a picture's file says of itself that Pillow keeps quiet about: bit depth, damage, and who wrote it."""

from __future__ import annotations

import re

import simplejpeg
from PIL import Image
from PIL.PngImagePlugin import PngInfo

TOO_DEEP = "more than 8 bits a channel: convert it to 8 bits"
UPSCALED = "upscaled by this program: no photograph"

_SOFTWARE = b"license-plate super-resolution benchmark: upscale"
_EIGHT_BITS = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"}


def is_deep(image: Image.Image) -> bool:
    """Whether an opened, not yet decoded picture has more than 8 bits a channel.

    Pillow's mode does not tell: it is RGB, RGBA or LA for 16-bit colour, of which it keeps the upper half. How it will
    unpack the file does (``RGB;16B``), in all of its formats.
    """
    unpacked = [str(argument) for tile in getattr(image, "tile", []) for argument in _arguments(tile[3])]
    return image.mode not in _EIGHT_BITS or any(re.search(r";(9|1[0-9]|32|64)[A-Z]", mode) for mode in unpacked)


def _arguments(of_tile: object) -> tuple[object, ...]:
    return of_tile if isinstance(of_tile, tuple) else (of_tile,)


def damage(jpeg: bytes) -> str | None:
    """What libjpeg warns of while it decodes a JPEG, None where it is content.

    After a warning it goes on with something else in place of the pixels, and Pillow keeps the warning to itself. Of
    302 real plates with 300 bytes of their scan zeroed 293 are warned of: where a file's own tables code a flat area as
    zeros, a hole is one.
    """
    try:
        colours = "CMYK" if simplejpeg.decode_jpeg_header(jpeg)[2] == "CMYK" else "GRAY"
        simplejpeg.decode_jpeg(jpeg, colours, min_factor=8, min_height=1, min_width=1, strict=True)
    except ValueError as warning:
        return str(warning)
    return None


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
