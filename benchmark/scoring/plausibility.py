"""Signs that scores mean nothing because the plates do not: HR plates that nobody can read, or of one colour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmark.scoring.upscaling import PlateSequence

LEAST_READ = 0.5
"""Share of HR plates that an OCR engine must read. On real and synthetic plates PP-OCRv4 reads 98 %, and the weakest of
our engines 79 %. Where most originals are misread, misreadings say nothing of a method."""


def unread_plates(scores: Mapping[str, Any]) -> str | None:
    """What to say if the HR plates themselves are hardly read; None if they are, or if nothing reads.

    ``scores``: the summary of the HR plates' scores, as :func:`benchmark.scoring.plate_scores.summarise` makes it.
    """
    read = scores.get("plate_correct", {}).get("mean")
    if read is None or read >= LEAST_READ:
        return None
    return (
        f"WARNING: the OCR engine reads only {read:.0%} of the HR plates themselves (at least {LEAST_READ:.0%} are"
        " expected): names, pictures and engine do not fit each other, and scores on such data mean nothing"
    )


def flat_plates(plates: PlateSequence) -> str | None:
    """What to say of plates to score on that are of one colour, and come out exact; None if there are none."""
    flat = sum(bool((plates[i].hr == plates[i].hr[0, 0]).all()) for i in range(len(plates)))
    if not flat:
        return None
    return f"WARNING: {flat} of {len(plates)} plates are of one colour: their PSNR is infinite"
