"""Good bytes and good JSON made bad: at random, and the same for the same generator."""

from __future__ import annotations

import copy
import random
from typing import Any

from hostile.words import WORDS

VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 7, 2**31, 2**63, -(2**64), 10**30, 10**400, 0.5, -0.0, 1e308, float("nan"),
    float("inf"), -float("inf"), [], {}, [[]], {"": None}, [None] * 3, "", "0", "-1", "nan", "皖A12345", *WORDS,
)  # fmt: skip
"""What may stand where something else belongs."""


def mutate(content: bytes, source: random.Random) -> bytes:
    """``content`` with a few bytes flipped, lost, doubled or added, or cut short."""
    changed = bytearray(content)
    for _ in range(source.choice((1, 1, 1, 2, 5, 30))):
        start = source.randrange(len(changed) + 1)
        size = source.choice((1, 1, 2, 8, 64, 1024))
        piece = bytes(changed[start : start + size])
        match source.choice(("flip", "flip", "flip", "set", "lose", "double", "add", "zero", "cut", "head")):
            case "flip" if piece:
                changed[start] ^= 1 << source.randrange(8)
            case "set" if piece:
                changed[start] = source.choice((0, 255, 127, 128))
            case "lose":
                del changed[start : start + size]
            case "double":
                changed[start:start] = piece
            case "add":
                changed[start:start] = source.randbytes(size)
            case "zero":
                changed[start : start + size] = bytes(len(piece))
            case "cut" if source.random() < 0.3:
                del changed[start:]
            case "head" if source.random() < 0.1:
                del changed[:start]
    return bytes(changed)


def mutate_json(tree: Any, source: random.Random) -> Any:
    """A copy of parsed JSON in which some values are others, gone, or in places that are not theirs."""
    changed = copy.deepcopy(tree)
    for _ in range(source.choice((1, 1, 1, 2, 6))):
        places = list(_places(changed))
        if not places:
            return source.choice(VALUES)
        holder, key = source.choice(places)
        match source.choice(("value", "value", "value", "gone", "other", "key")):
            case "value":
                holder[key] = copy.deepcopy(source.choice(VALUES))
            case "gone":
                del holder[key]
            case "other":
                other, its = source.choice(places)
                holder[key] = copy.deepcopy(other[its])
            case "key" if isinstance(holder, dict):
                holder[source.choice(WORDS)] = holder.pop(key)
    return changed


def _places(tree: Any) -> Any:
    """(container, key) of every value in it."""
    entries = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in entries:
        yield tree, key
        yield from _places(value)
