"""The version of the scoring."""

from __future__ import annotations

SCORING_VERSION = 1
"""Part of every scoring's identity. It rises when the same weights and OCR engines get other scores: upscaling,
rectification, metrics. ``tests/golden_scores.py`` guards it; a refactor leaves it alone."""
