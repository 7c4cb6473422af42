"""Whether the scan of a JPEG decodes to the blocks of its picture, no more and no less.

Pillow drops libjpeg's warnings, so that a file with a lost sector is decoded to a picture with other content. Here the
Huffman codes of a scan are followed without decoding pixels: after damage they end early, late or in no code at all.
Slow (tens of milliseconds for a plate, as this is Python), so only for files that look suspicious.
"""

from __future__ import annotations

from dataclasses import dataclass, field

_END = b"\xff\xd9"
_CODE = 16  # longest code in bits

Table = list[tuple[int, int]]
"""Length of the code that 16 bits begin with (0: none), and its symbol, by the value of the bits."""


@dataclass
class _Header:
    """What stands before the scan of a baseline JPEG with one scan."""

    tables: dict[int, Table] = field(default_factory=dict)
    height: int = 0
    width: int = 0
    sampling: dict[int, tuple[int, int]] = field(default_factory=dict)
    components: list[tuple[int, int, int]] = field(default_factory=list)
    """Identifier, DC table and AC table of each component in the scan."""


def is_whole(jpeg: bytes) -> bool:
    """False where the scan does not fit the picture; True where it does, or where that cannot be told: progressive
    files, several scans, restart markers."""
    header = _Header()
    try:
        start = _read_header(jpeg, header)
    except (LookupError, ValueError, StopIteration):
        return True  # the decoder has more to say of a broken header
    if start is None or not all(min(factors) for factors in header.sampling.values()):
        return True
    end = jpeg.find(_END, start)
    data = jpeg[start : end if end >= 0 else len(jpeg)].replace(b"\xff\x00", b"\xff")
    return _left_over(data, header) in range(8)


def _read_header(jpeg: bytes, header: _Header) -> int | None:
    """Where the scan's codes begin; None for a kind of file that is not followed."""
    at = 2
    while True:
        marker, length = jpeg[at + 1], int.from_bytes(jpeg[at + 2 : at + 4], "big")
        segment = jpeg[at + 4 : at + 2 + length]
        if jpeg[at] != 0xFF or marker == 0xDD or (0xC2 <= marker <= 0xCF and marker != 0xC4):
            return None
        if marker == 0xC4:
            _read_tables(segment, header.tables)
        elif marker in (0xC0, 0xC1):
            header.height, header.width = int.from_bytes(segment[1:3], "big"), int.from_bytes(segment[3:5], "big")
            for i in range(segment[5]):
                identifier, factors = segment[6 + 3 * i], segment[7 + 3 * i]
                header.sampling[identifier] = factors >> 4, factors & 15
        elif marker == 0xDA:
            for i in range(segment[0]):
                identifier, tables = segment[1 + 2 * i], segment[2 + 2 * i]
                header.components.append((identifier, tables >> 4, 16 + (tables & 15)))
            whole = len(header.components) == len(header.sampling) and all(
                identifier in header.sampling and {dc, ac} <= set(header.tables)
                for identifier, dc, ac in header.components
            )
            return at + 2 + length if whole else None
        at += 2 + length


def _read_tables(segment: bytes, tables: dict[int, Table]) -> None:
    """Huffman tables by class and number, of a DHT segment."""
    at = 0
    while at < len(segment):
        lengths, symbols = segment[at + 1 : at + 17], iter(segment[at + 17 :])
        table: Table = []
        for bits, count in enumerate(lengths, 1):
            for _ in range(count):
                table += [(bits, next(symbols))] * (1 << (_CODE - bits))
        if len(table) > 1 << _CODE:
            raise ValueError("more codes than there are")
        tables[segment[at]] = table + [(0, 0)] * ((1 << _CODE) - len(table))
        at += 17 + sum(lengths)


def _left_over(data: bytes, header: _Header) -> int:
    """Bits behind the last block: 0 to 7 in a whole scan; negative where the codes end early or are none."""
    largest = [max(factors[i] for factors in header.sampling.values()) for i in (0, 1)]
    units = -(-header.width // (8 * largest[0])) * -(-header.height // (8 * largest[1]))
    single = len(header.components) == 1  # not interleaved: its sampling does not count
    if single:
        units = -(-header.width // 8) * -(-header.height // 8)
    blocks = [
        (header.tables[dc], header.tables[ac])
        for identifier, dc, ac in header.components
        for _ in range(1 if single else header.sampling[identifier][0] * header.sampling[identifier][1])
    ]
    size, at, buffer, held = len(data), 0, 0, 0
    for _ in range(units):
        for dc, ac in blocks:
            place, table = 0, dc
            while place < 64:
                if held < 48:
                    chunk = data[at : at + 8]
                    at += 8
                    buffer = (buffer & ((1 << held) - 1)) << 64 | int.from_bytes(chunk.ljust(8, b"\0"), "big")
                    held += 64
                bits, symbol = table[buffer >> (held - _CODE) & 0xFFFF]
                if not bits:
                    return -1
                if place == 0:
                    if symbol > _CODE:
                        return -1
                    table, run, extra = ac, 0, symbol
                else:
                    run, extra = symbol >> 4, symbol & 15
                    if not extra and run != 15:
                        held -= bits
                        break
                held -= bits + extra
                place += run + 1
            if place > 64:
                return -1
        if (at * 8 - held) > size * 8:
            return -1
    return size * 8 - (at * 8 - held)
