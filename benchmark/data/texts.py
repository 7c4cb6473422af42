"""Texts of plates: what of a text counts, and which alphabets there are."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable


def normalise(text: str) -> str:
    """Letters, with the vowel and tone signs that belong to them, and digits of ``text``: upper case, half width.

    The dot of a plate, spaces and punctuation go; nothing is put in the place of anything else.
    """
    return "".join(c for c in unicodedata.normalize("NFKC", text).upper() if c.isalnum() or _is_sign(c))


def _is_sign(character: str) -> bool:
    """Whether it is a vowel or tone sign, as Thai and Devanagari have them; a variation selector is none."""
    kind = unicodedata.category(character)
    return kind in ("Mn", "Mc") and not unicodedata.name(character, "").startswith("VARIATION SELECTOR")


def alphabet(text: str) -> str:
    """The scripts of a text's letters by their names in Unicode, as ``Latin`` or ``Cjk+Latin``; "" for digits alone."""
    scripts = {
        unicodedata.name(c, "Unnamed").split()[0].capitalize() for c in text if not c.isdigit() and not _is_sign(c)
    }
    return "+".join(sorted(scripts))


def alphabets(texts: Iterable[str]) -> dict[str, int]:
    """How many texts are of which :func:`alphabet`, the most frequent first. Digits alone fit all of them."""
    counts = Counter(alphabet(text) for text in texts if text)
    digits = counts.pop("", 0)
    return dict(counts.most_common()) or ({"digits": digits} if digits else {})
