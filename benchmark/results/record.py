"""The record of a result: the content of ``result.json``."""

from __future__ import annotations

SCHEMA = 4
"""Version of ``result.json`` as it is written now; all from 1 on can be read."""
UPPER_BOUND = "hr"
"""Name under which the HR plates themselves are scored: what a perfect method would reach."""
