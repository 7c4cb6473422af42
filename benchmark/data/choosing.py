"""Which plates of a folder are used, and in which split, with the reason of each that is left out."""

from __future__ import annotations

import hashlib

from benchmark.data.ccpd import MINIMUM_SIDE
from benchmark.data.source import Source
from benchmark.data.splits import Counts, Protocol, Split, assign
from benchmark.util.errors import UserError


def split_sources(sources: list[Source], protocol: Protocol, counts: Counts, seed: int) -> dict[int, Split]:
    """:func:`assign` for the plates of a folder."""
    listed = [source.listed for source in sources]
    return assign(
        [source.label for source in sources],
        [source.annotation.text for source in sources],
        protocol,
        counts,
        seed,
        [plate.sequence if plate else "" for plate in listed],
        [plate.split if plate else None for plate in listed],
    )


def against_given(sources: list[Source], chosen: dict[int, Split]) -> list[tuple[str, str]]:
    """Plates with a given split that are left out, with the reason."""
    elsewhere: dict[str, set[tuple[str, str]]] = {split: set() for split in ("train", "val", "test")}
    for i, split in chosen.items():
        elsewhere[split] |= _keys(sources[i])
    reasons = []
    for i, source in enumerate(sources):
        own = source.listed.split if source.listed else None
        if own and i not in chosen:
            kept = [split for split in ("test", "val") if split != own and _keys(source) & elsewhere[split]]
            other = kept[0] if kept else ""
            why = f"its text or sequence is in {other}, too" if other else "there are enough others"
            reasons.append(source.told(f"left out of the given split {own}: {why}"))
    return reasons


def _keys(source: Source) -> set[tuple[str, str]]:
    """What may not be in two splits: text and sequence, as far as they are known."""
    sequence = source.listed.sequence if source.listed else ""
    return {(kind, key) for kind, key in (("text", source.annotation.text), ("sequence", sequence)) if key}


def test_sources(sources: list[Source], limit: int | None) -> list[Source]:
    """The plates of a folder to test on. Raises UserError where its list has splits and none of them is test."""
    given = [source for source in sources if source.listed and source.listed.split]
    tested = [source for source in given if source.listed and source.listed.split == "test"] if given else sources
    if not tested:
        raise UserError("no plate to test on: the column split has test nowhere")
    return sorted(tested, key=lambda source: hashlib.sha256(source.label.encode()).digest())[:limit]


def pairs_or_none(sources: list[Source], odd: list[tuple[str, str]]) -> list[Source]:
    """The pairs of a list that has some, else all its plates; those without an LR picture are added to ``odd``."""
    pairs = [source for source in sources if source.listed and source.listed.lr]
    if pairs and len(pairs) < len(sources):
        lone = [source for source in sources if not (source.listed and source.listed.lr)]
        odd += [source.told("it has no LR picture, and others have one") for source in lone]
    return pairs or sources


def is_small(source: Source) -> bool:
    """Whether a plate's box is under 64 px; a picture that is the plate is not grown."""
    left, top, right, bottom = source.annotation.bbox or (0, 0, MINIMUM_SIDE, MINIMUM_SIDE)
    return right - left < MINIMUM_SIDE or bottom - top < MINIMUM_SIDE
