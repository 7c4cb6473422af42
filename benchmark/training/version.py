"""The version of the training engine."""

from __future__ import annotations

TRAINING_VERSION = 1
"""Part of every training's identity. It rises when the engine trains the same method to other weights: batches, losses,
optimizer, precision, choice of the best weights. ``tests/loss_curves.py`` guards it; a refactor leaves it alone."""
