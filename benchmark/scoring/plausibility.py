"""Signs that scores mean nothing because the plates do not: HR plates that nobody can read, or of one colour."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from benchmark.data.texts import alphabets
from benchmark.ocr.reading import ALPHABET, OcrEngine, can_write
from benchmark.scoring.upscaling import PlateSequence

LEAST_READ = 0.5
"""Share of HR plates that an OCR engine must read. On real and synthetic plates PP-OCRv4 reads 98 %, and the weakest of
our engines 79 %. Where most originals are misread, misreadings say nothing of a method."""


def unread_plates(read: float | None) -> str | None:
    """What to say if the HR plates themselves are hardly read; None if they are, or if nothing reads.

    ``read``: the share of HR plates that the OCR engine reads, 0 to 1.
    """
    if read is None or read >= LEAST_READ:
        return None
    return (
        f"WARNING: the OCR engine reads only {read:.0%} of the HR plates themselves (at least {LEAST_READ:.0%} are"
        " expected): names, pictures and engine do not fit each other, and scores on such data mean nothing"
    )


def not_read(texts: Iterable[str], engines: Callable[[], Iterable[OcrEngine | None]]) -> list[str]:
    """What to say of plates whose text is unknown, or that one of the OCR engines cannot write: a line each, and none
    on Chinese plates. ``engines`` makes them, if they are needed."""
    foreign = [text for text in texts if not text or not set(text) <= set(ALPHABET)]
    legible = [text for text in foreign if text]
    lines = [f"{len(foreign) - len(legible)} plates have no text: they are not scored by reading"]
    lines = lines if len(legible) < len(foreign) else []
    for engine in filter(None, engines() if legible else ()):
        if others := [text for text in legible if not can_write(engine, text)]:
            kinds = ", ".join(alphabets(others))
            lines.append(
                f"{len(others)} plates have texts that the OCR engine {engine.describe()['name']} has no alphabet for"
                f" ({kinds}; {others[0]} the first): they are not scored by its reading"
            )
    return lines


def flat_plates(plates: PlateSequence) -> str | None:
    """What to say of plates to score on that are of one colour, and come out exact; None if there are none."""
    flat = sum(bool((plates[i].hr == plates[i].hr[0, 0]).all()) for i in range(len(plates)))
    if not flat:
        return None
    return f"WARNING: {flat} of {len(plates)} plates are of one colour: their PSNR is infinite"
