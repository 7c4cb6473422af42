"""Connectionist temporal classification (Graves et al., ICML 2006): from probabilities to a text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmark.ocr.reading import Reading


def decode(probabilities: np.ndarray, classes: Sequence[str]) -> list[Reading]:
    """Greedy decoding of N×T×K probabilities: the likeliest class of each step, runs merged, blanks dropped.

    ``classes``: the character of each class, "" for the blank. A character's probability is that of the first step
    of its run, as PP-OCR counts. "" and 0 where every step is blank.
    """
    readings = []
    blank = classes.index("")
    for chosen, highest in zip(probabilities.argmax(axis=2), probabilities.max(axis=2)):
        kept = chosen != blank
        kept[1:] &= chosen[1:] != chosen[:-1]
        text = "".join(classes[k] for k in chosen[kept])
        characters = tuple(float(p) for p in highest[kept])
        readings.append(Reading(text, sum(characters) / len(characters) if text else 0.0, characters))
    return readings
