"""Which plates train, which validate, which are tested on.

Both protocols are functions of the file names and a seed alone, so that they are the same on
every machine and need not decode a picture.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
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


def assign(names: list[str], texts: list[str], protocol: Protocol, counts: Counts, seed: int) -> dict[int, Split]:
    """Split of each plate used, by its position in ``names``.

    ``disjoint``: a plate number never appears in two splits; pictures of a number that would do so
    are left out. ``paper``: pictures are drawn at random whatever they show, and there is no
    validation split: weights are selected on the test set. The paper states neither.
    Raises UserError where there are too few plates for three splits.
    """
    if protocol == "paper":
        counts = Counts(counts.train, 0, counts.test)
    shares = counts.available(len(names))
    groups: dict[str, list[int]] = defaultdict(list)
    for i, (name, text) in enumerate(zip(names, texts)):
        groups[text if protocol == "disjoint" else name].append(i)
    if shares.train < 1 or len(groups) < 3:
        raise UserError(f"{len(names)} pictures of {len(groups)} different plates are too few to train and test on")

    ordered = sorted(groups, key=lambda key: hashlib.sha256(f"{seed}/{key}".encode()).digest())
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


def number_leaks(texts: list[str], chosen: dict[int, Split]) -> dict[str, Any]:
    """How far the splits know each other's plate numbers.

    ``chosen`` as :func:`assign` returns it. ``pictures`` and ``plates`` (distinct numbers) per split;
    ``shared_plates``: numbers that are in two splits, by pair of splits; ``test_plates_seen``: pictures of the
    test split whose number is in the training split.
    """
    numbers: dict[Split, set[str]] = {"train": set(), "val": set(), "test": set()}
    pictures = dict.fromkeys(numbers, 0)
    for i, split in chosen.items():
        numbers[split].add(texts[i])
        pictures[split] += 1
    return {
        "pictures": pictures,
        "plates": {split: len(texts_in_split) for split, texts_in_split in numbers.items()},
        "shared_plates": {f"{a}-{b}": len(numbers[a] & numbers[b]) for a, b in combinations(numbers, 2)},
        "test_plates_seen": sum(split == "test" and texts[i] in numbers["train"] for i, split in chosen.items()),
    }
