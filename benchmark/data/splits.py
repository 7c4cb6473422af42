"""Which plates train, which validate, which are tested on.

Both protocols are functions of the file names and a seed alone, so that they are the same on
every machine and need not decode a picture.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

from benchmark.util.errors import UserError

Protocol = Literal["disjoint", "paper"]
Split = Literal["train", "val", "test"]


@dataclass(frozen=True)
class Counts:
    """How many plates each split should have."""

    train: int
    val: int
    test: int

    def available(self, total: int) -> Counts:
        """These counts where ``total`` allows them, otherwise ``total`` shared out in proportion."""
        wanted = self.train + self.val + self.test
        if total >= wanted:
            return self
        val = max(1, round(total * self.val / wanted)) if self.val else 0
        test = max(1, round(total * self.test / wanted))
        return Counts(total - val - test, val, test)


def assign(
    names: list[str],
    texts: list[str],
    protocol: Protocol,
    counts: Counts,
    seed: int,
    sequences: Sequence[str] = (),
    given: Sequence[Split | None] = (),
) -> dict[int, Split]:
    """Split of each plate used, by its position in ``names``.

    ``disjoint``: a plate number never appears in two splits; pictures of a number that would do so
    are left out. ``paper``: pictures are drawn at random whatever they show, and there is no
    validation split: weights are selected on the test set. The paper states neither.

    A sequence is never shared out, and a plate without text is a number of its own. Where plates have a split
    ``given``, that is theirs, as far as the protocol and ``counts`` let it be. Raises UserError where there are too few
    plates for three splits.
    """
    if protocol == "paper":
        counts = Counts(counts.train, 0, counts.test)
    groups = _groups(names, texts if protocol == "disjoint" else [""] * len(names), sequences)
    ordered = sorted(groups, key=lambda key: hashlib.sha256(f"{seed}/{key}".encode()).digest())
    if any(given):
        return _as_given([groups[key] for key in ordered], names, given, counts)
    shares = counts.available(len(names))
    if shares.train < 1 or len(groups) < 3:
        raise UserError(f"{len(names)} pictures of {len(groups)} different plates are too few to train and test on")

    result: dict[int, Split] = {}
    wanted: list[tuple[Split, int]] = [("test", shares.test), ("val", shares.val), ("train", shares.train)]
    for key in ordered:
        while wanted and wanted[0][1] <= 0:
            wanted.pop(0)
        if not wanted:
            break
        split, room = wanted[0]
        members = sorted(groups[key], key=lambda i: names[i])[:room]
        result.update(dict.fromkeys(members, split))
        wanted[0] = (split, room - len(members))
    return result


def _groups(names: list[str], texts: list[str], sequences: Sequence[str]) -> dict[str, list[int]]:
    """Plates that belong together, by their text (or, without one, by name), and through sequences they share."""
    keys = [text or name for text, name in zip(texts, names)]
    first: dict[str, str] = {}
    joined: dict[str, str] = {}  # a key that a sequence joins to another, and that one

    def root(key: str) -> str:
        while key in joined:
            key = joined[key]
        return key

    for key, sequence in zip(keys, sequences):
        if sequence and (other := root(first.setdefault(sequence, key))) != (own := root(key)):
            joined[max(own, other)] = min(own, other)
    groups: dict[str, list[int]] = defaultdict(list)
    for i, key in enumerate(keys):
        groups[root(key)].append(i)
    return groups


def _as_given(
    groups: list[list[int]], names: list[str], given: Sequence[Split | None], counts: Counts
) -> dict[int, Split]:
    """The given splits, of every group the one that comes first of test, val and train, up to the counts.

    Where no validation plates are given, training plates become them: at most a tenth.
    """
    order: tuple[Split, ...] = ("test", "val", "train")
    room: dict[Split, int] = {"test": counts.test, "val": counts.val, "train": counts.train}
    from_train = 0 if "val" in given else min(counts.val, given.count("train") // 10)
    result: dict[int, Split] = {}
    for group in groups:
        own = next((split for split in order if any(given[i] == split for i in group)), None)
        if own is None:
            continue
        members = sorted((i for i in group if given[i] == own), key=lambda i: names[i])
        split: Split = own
        if own == "train" and from_train > 0:
            split, from_train = "val", from_train - len(members)
        result.update(dict.fromkeys(members[: room[split]], split))
        room[split] -= len(members[: room[split]])
    used = set(result.values())
    if lacking := [split for split in order if split not in used and (split != "val" or counts.val)]:
        raise UserError(f"the column split leaves no plate to {' and '.join(lacking)}")
    return result


def number_leaks(texts: list[str], chosen: dict[int, Split]) -> dict[str, Any]:
    """How far the splits know each other's plate numbers.

    ``chosen`` as :func:`assign` returns it. ``pictures`` and ``plates`` (distinct numbers) per split;
    ``shared_plates``: numbers that are in two splits, by pair of splits; ``test_plates_seen``: pictures of the
    test split whose number is in the training split.
    """
    numbers: dict[Split, set[str]] = {"train": set(), "val": set(), "test": set()}
    pictures = dict.fromkeys(numbers, 0)
    for i, split in chosen.items():
        if texts[i]:
            numbers[split].add(texts[i])
        pictures[split] += 1
    return {
        "pictures": pictures,
        "plates": {split: len(texts_in_split) for split, texts_in_split in numbers.items()},
        "shared_plates": {f"{a}-{b}": len(numbers[a] & numbers[b]) for a, b in combinations(numbers, 2)},
        "test_plates_seen": sum(split == "test" and texts[i] in numbers["train"] for i, split in chosen.items()),
    }
