"""Lists of CCPD names: text files with one path a line, from any system."""

from __future__ import annotations

import codecs
import gzip
from pathlib import Path

from benchmark.data.annotation import name_fault
from benchmark.data.ccpd import parse_name
from benchmark.data.folders import Reasons
from benchmark.data.pictures import scan
from benchmark.data.source import Source
from benchmark.util.errors import UserError

_LONGEST = 1 << 30  # bytes, unpacked
_BYTE_ORDER_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_SHOWN = 80


def find_lists(place: Path) -> list[Path]:
    """The lists (.txt, .txt.gz) in a folder, none for a folder with CCPD pictures; a file is a list itself."""
    if not place.is_dir():
        return [place]
    lists = sorted(place.glob("*.txt")) + sorted(place.glob("*.txt.gz"))
    if lists:
        try:
            scan(place)
        except UserError:
            return lists
    return []  # a text file beside pictures is a readme, or a list of some of them


def read_lists(lists: list[Path]) -> tuple[list[Source], Reasons]:
    """The names in some lists, each once, and the lines that are none. Raises UserError where no line is a name.

    UTF-8 and UTF-16, with or without byte order mark; blanks around a name and ``./`` before it are dropped, and
    backslashes separate folders, too.
    """
    sources: dict[str, Source] = {}
    odd: Reasons = []
    for path in lists:
        for line in filter(None, map(_cleaned, _decoded(_content(path)).splitlines())):
            try:
                name = parse_name(line.rsplit("/", 1)[-1])
            except ValueError as error:
                odd.append((line, str(error)))
            else:
                fault = name_fault(name)
                if fault is None:
                    sources[line] = Source(line, name)
                else:
                    odd.append((line, fault))
    if not sources:
        first = f" (first line {odd[0][0][:_SHOWN]!r}: {odd[0][1][:_SHOWN]})" if odd else ": there is no line in it"
        raise UserError(f"no CCPD name in {', '.join(map(str, lists))}{first}")
    return list(sources.values()), odd


def _content(path: Path) -> bytes:
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            content = file.read(_LONGEST + 1)
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"cannot read the list of names {path}: {reason}") from None
    if len(content) > _LONGEST:
        raise UserError(f"{path} is not a list of names: it has more than {_LONGEST >> 30} GB")
    return content


def _decoded(content: bytes) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            return content.decode(encoding, "backslashreplace")
    # Names begin with a digit or the letter of a folder: in UTF-16 every other byte of it is 0.
    if content[1:2] == b"\0" or content[:1] == b"\0":
        return content.decode("utf-16-le" if content[1:2] == b"\0" else "utf-16-be", "backslashreplace")
    return content.decode("utf-8", "backslashreplace")


def _cleaned(line: str) -> str:
    return line.strip().strip('"').replace("\\", "/").removeprefix("./")
