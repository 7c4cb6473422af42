"""Pictures of a data folder: which plates they show, by their CCPD names or by a list, and the HR plate of each.

Pictures come from strangers. A file is decoded only if it is a regular file inside the data folder, a
JPEG or PNG by its content, and declares a size below :data:`MAX_PIXELS`; everything else is skipped with
its reason. Greyscale, palette and CMYK pictures are converted to RGB; those of more than 8 bits a channel
are refused, because cutting them to 8 bits would make up a contrast. EXIF orientation is ignored: CCPD
annotates the pixels as they are stored. A picture that its annotation does not fit is refused, too.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, UnidentifiedImageError

from benchmark.data.annotation import name_fault, picture_fault
from benchmark.data.ccpd import MULTIPLE, crop_box, parse_name
from benchmark.data.folders import NOTE, Reasons, walk
from benchmark.data.manifest import NAME, STRAY, first_line_of, read_manifest
from benchmark.data.picture_files import TOO_DEEP, UPSCALED, damage, is_deep, is_upscaled
from benchmark.data.source import Box, Source
from benchmark.util.errors import UserError, first_line

PICTURES = (".jpg", ".jpeg", ".png")
MAX_PIXELS = 50_000_000
"""Largest declared size that is decoded: sixty times a CCPD photograph, half of what Pillow only warns of."""
MAX_BYTES = 64_000_000
"""Largest file that is read."""
CHUNK = 64
"""Pictures a worker takes at a time."""
_FORMATS = ("JPEG", "PNG")  # told by content; Pillow's other decoders stay out of reach
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

Done = TypeVar("Done")


def scan(folder: Path, follow_links: bool = False) -> tuple[list[Source], Reasons]:
    """All plates of ``folder``, and (path, reason) of pictures and folders that are left out.

    Plates are those of the folder's list (:mod:`benchmark.data.manifest`), if it has one, else all pictures below it
    with a CCPD name. What is left out as a whole says :mod:`benchmark.data.folders`. Raises UserError if the folder is
    missing, empty, or holds no plate that can be used. Symbolic links to files outside ``folder`` and to folders are
    followed with ``follow_links`` alone, and so are listed paths out of it.
    """
    if not folder.is_dir():
        raise UserError(f"no folder {folder}")
    base, root = os.fspath(folder), None if follow_links else os.path.realpath(folder)
    listed = read_manifest(folder, lambda path: _file_fault(root, f"{base}/{path}", path, listed=True))
    sources, odd = _named(base, root, follow_links) if listed is None else listed
    if listed is not None:
        odd += _unlisted(base, follow_links, sources)
    elif (folder / NAME).is_file():
        odd.append((NAME, STRAY))
    odd = [(_shown(path), _shown(reason)) for path, reason in odd]
    if not sources:
        raise UserError(_nothing(folder, odd, listed is not None))
    return sources, odd


def _nothing(folder: Path, odd: Reasons, by_list: bool) -> str:
    """Why there is no plate; for a list, everything that is wrong with it."""
    faults = [f"{path}: {reason}" for path, reason in odd if not reason.startswith(NOTE)]
    if by_list:
        lines = "".join(f"\n  {fault}" for fault in faults)
        return f"no line of {folder / NAME} can be used{':' if faults else ' (it has none)'}{lines}"
    reason = f"{len(faults)} files, none that can be used ({faults[0]})" if faults else "no picture in it"
    if (NAME, STRAY) in odd:
        reason = f"its columns are separated by commas, and the first line is {first_line_of(folder)}; {reason}"
    return f"{folder} is not a CCPD folder, and has no {NAME} with columns file and text: {reason}"


def _named(base: str, root: str | None, follow_links: bool) -> tuple[list[Source], Reasons]:
    """The pictures with CCPD names."""
    sources: list[Source] = []
    odd: Reasons = []
    for prefix, files in walk(base, follow_links, odd):
        for file in filter(is_picture, files):
            source = _source(root, f"{base}/{prefix}{file}", prefix + file)
            if isinstance(source, Source):
                sources.append(source)
            else:
                odd.append((prefix + file, source))
    return sources, odd


def _unlisted(base: str, follow_links: bool, sources: list[Source]) -> Reasons:
    """How many pictures of the folder its list does not name, as a note."""
    named = {path for s in sources if s.listed for path in (s.path, s.listed.lr)}
    pictures = [prefix + file for prefix, files in walk(base, follow_links, []) for file in filter(is_picture, files)]
    others = [path for path in pictures if path not in named]
    return (
        [(NAME, f"{NOTE}{len(others):,} pictures of the folder are not in it, {others[0]} the first")] if others else []
    )


def is_picture(name: str) -> bool:
    """Whether a file's name is that of a picture."""
    return name.lower().endswith(PICTURES)


def _source(root: str | None, full: str, path: str) -> Source | str:
    """What a picture's path says of it, or the reason why it is not used; a link must stay in ``root``, if given."""
    if (fault := _path_fault(path)) is not None:
        return fault
    try:
        name = parse_name(path.rsplit("/", 1)[-1])
    except ValueError as error:
        return str(error)
    fault = name_fault(name) or _file_fault(root, full, path)
    return Source(path, name) if fault is None else fault


def _path_fault(path: str) -> str | None:
    try:
        path.encode()
    except UnicodeEncodeError:
        return "the path is not valid UTF-8"
    if _CONTROL.search(path):  # a carriage return would break the line of every table
        return "the path has control characters: rename it"
    return None


def _file_fault(root: str | None, full: str, path: str, listed: bool = False) -> str | None:
    """Why a file cannot be a plate's picture, before it is opened; None where it can.

    It must stay in ``root``, if given; a path that was ``listed`` may leave it without being a link.
    """
    if (fault := _path_fault(path)) is not None:
        return fault
    try:
        mode = os.lstat(full).st_mode
        if root is not None and (listed or stat.S_ISLNK(mode)):
            real = os.path.realpath(full)
            if os.path.commonpath([root, real]) != root:
                link = "a symbolic link out of the data folder: not followed"
                return link if stat.S_ISLNK(mode) else "outside the data folder: --follow-links takes it in"
        mode = os.stat(full).st_mode
    except FileNotFoundError:
        return "there is no such file"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except ValueError as error:
        return str(error)
    if not stat.S_ISREG(mode):
        return "not a regular file"
    return UPSCALED if full.lower().endswith(".png") and is_upscaled(full) else None


def _shown(path: str) -> str:
    """A path that any file and terminal can take."""
    return path.encode("utf-8", "backslashreplace").decode()


def load_crop(folder: Path, source: Source) -> tuple[np.ndarray, Box]:
    """Decode one picture and cut its HR plate. Returns H×W×3 uint8 and the box cut.

    Raises ValueError, with the reason, if the picture cannot be used, and UserError if the data folder went away.
    """
    image, box = cut(folder, source)
    return np.asarray(image), box


def cut(folder: Path, source: Source) -> tuple[Image.Image, Box]:
    """As :func:`load_crop`, as a Pillow image."""

    def box_of(width: int, height: int) -> Box:
        box = crop_box(source.annotation.bbox or (0, 0, width, height), width, height)
        if (fault := picture_fault(source.annotation, width, height)) is not None:
            raise ValueError(fault)
        return box

    return open_part(folder, source.path, box_of)


def cut_pair(folder: Path, source: Source) -> tuple[Image.Image, Box, Image.Image | None]:
    """As :func:`cut`, with the LR picture of a pair behind it. Raises ValueError for a pair of other than ×8."""
    lr = source.listed.lr if source.listed else ""
    if not lr:
        return *cut(folder, source), None
    small, (_, _, width, height) = open_part(folder, lr, lambda width, height: (0, 0, width, height))

    def box_of(hr_width: int, hr_height: int) -> Box:
        if (hr_width, hr_height) != (MULTIPLE * width, MULTIPLE * height):
            raise ValueError(f"the pair is not ×{MULTIPLE}: LR of {width}×{height} px, HR of {hr_width}×{hr_height} px")
        if (fault := picture_fault(source.annotation, hr_width, hr_height)) is not None:
            raise ValueError(fault)
        return crop_box((0, 0, hr_width, hr_height), hr_width, hr_height)

    return *open_part(folder, source.path, box_of), small


def open_part(folder: Path, path: str, box_of: Callable[[int, int], Box]) -> tuple[Image.Image, Box]:
    """Decode a picture of a data folder as RGB and cut out what ``box_of`` gives for its width and height.

    Raises ValueError, with the reason, if the picture cannot be used, and UserError if the data folder went away.
    """
    content = _read(folder, path)
    try:
        with Image.open(content, formats=_FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise ValueError(f"declares {width}×{height} px, more than {MAX_PIXELS // 1_000_000} megapixels")
            if is_deep(image):
                raise ValueError(TOO_DEEP)
            box = box_of(width, height)
            # Cut first: converting pixel by pixel gives the same, and a photograph is thirty times its plate.
            plate = image.crop(box)
            if image.format != "PNG" and (warning := damage(content.getvalue())) is not None:
                raise ValueError(f"a damaged JPEG: {warning}")
            return plate if plate.mode == "RGB" else plate.convert("RGB"), box
    except UnidentifiedImageError:
        raise ValueError("neither a JPEG nor a PNG picture") from None
    except MemoryError:
        raise
    except Exception as error:  # Pillow's decoders raise whatever a broken file leads them to
        raise ValueError(first_line(error)) from None


def _read(folder: Path, path: str) -> BytesIO:
    try:
        with open(f"{folder}/{path}", "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            if not 0 < size <= MAX_BYTES:
                raise ValueError(f"a file of {size} bytes" if size else "an empty file")
            return BytesIO(file.read())
    except OSError as error:
        try:
            readable = any(os.scandir((folder / path).parent))
        except OSError:
            readable = False
        if not readable:
            raise UserError(
                f"the data folder {folder} went away while it was read: once it is back, the same command goes on"
            ) from None
        raise ValueError(f"cannot be read: {error.strerror}") from None


def in_chunks(
    work: Callable[[Sequence[Source]], list[Done]], sources: Sequence[Source], workers: int | None
) -> Iterator[list[Done]]:
    """``work`` on :data:`CHUNK` sources at a time by ``workers`` threads (default: one per core), in order.

    Few chunks are under way at once, so that memory does not grow where the consumer is slower. Threads
    do: Pillow decodes, and hashlib digests, outside the interpreter's lock.
    """
    workers = workers or cores()
    chunks = (sources[start : start + CHUNK] for start in range(0, len(sources), CHUNK))
    pool = ThreadPoolExecutor(workers)
    try:
        waiting: list[Future[list[Done]]] = [pool.submit(work, chunk) for chunk in islice(chunks, workers + 2)]
        while waiting:
            done = waiting.pop(0).result()
            waiting += [pool.submit(work, chunk) for chunk in islice(chunks, 1)]
            yield done
    finally:
        pool.shutdown(cancel_futures=True)


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
