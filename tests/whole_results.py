"""``result.json`` as each version of the schema had it: what was written of an SRCNN of 40 iterations."""

from __future__ import annotations

import copy
from typing import Any

_SUMMARY = {"median": 16.321, "sd": 2.355, "mean": 16.805, "n": 4}
_FINGERPRINT = "0cd7e02a169ebd6bbc779839c9825334a965f3193ea13ff47cc5b025ecf00fc9"
_JUDGE = {
    "name": "rapid", "version": "rapidocr 3.8.4, onnxruntime 1.32.0", "model": "ch_PP-OCRv4_rec_mobile.onnx",
    "sha256": "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b", "input": [168, 48],
}  # fmt: skip

_FIRST: dict[str, Any] = {
    "schema": 1, "status": "complete", "method": "srcnn", "seed": 0, "title": "SRCNN", "groups": ["table1"],
    "config": {
        "preset": "quick",
        "data": {"folder": "ccpd", "protocol": "disjoint", "train_plates": 16, "val_plates": 4, "test_plates": 4,
                 "seed": 0, "cache": None},
        "train": {"iterations": 40, "batch_size": 4, "learning_rate": 0.001, "recipe": "common", "seeds": 1,
                  "device": "auto", "precision": "fp32", "deterministic": False, "threads": 0, "validations": 16,
                  "checkpoint_seconds": 120.0},
        "scoring": {"ocr": "rapid", "paddle_model": None, "samples": 8},
        "methods": {"pecl": {"embedder_init": "random"}},
    },
    "data": {"name": "ccpd", "fingerprint": _FINGERPRINT, "train": 16, "val": 4, "test": 4, "protocol": "disjoint",
             "grown": 3, "skipped": 0},
    "judge": _JUDGE,
    "provenance": {
        "commit": None, "dirty": None, "command": "python -m benchmark run --methods srcnn",
        "versions": {"python": "3.11.7", "torch": "2.15.0"},
        "hardware": {"machine": "x86_64", "system": "Linux 6", "cores": 2, "threads": 2, "device": "cpu"},
        "date": "2026-11-22T15:54:35+00:00",
    },
    "notes": ["SRCNN learns the luma only; its Cb and Cr are bicubic."], "family": "srcnn",
    "citation": "C. Dong et al., “Image Super-Resolution Using Deep Convolutional Networks”, 2016", "options": {},
    "parameters": 57281, "paper_parameters": 57000, "identity": "5" * 64, "source": "d" * 64, "iterations": 40,
    "best_iteration": 40, "scores": {name: {"psnr": _SUMMARY, "plate_correct": _SUMMARY} for name in ("last", "best")},
    "clocks": {"training": 23.7, "validation": 74.4, "checkpoint": 0.01, "scoring": 34.0},
}  # fmt: skip

_SECOND: dict[str, Any] = {
    **_FIRST, "schema": 2, "second_judge": {**_JUDGE, "name": "crnn"}, "ingredients": {"embedder": "f" * 64},
    "source": {"training": "a" * 64, "scoring": "b" * 64}, "scoring_identity": "c" * 64,
    "cost": {"macs": 821_000_000, "milliseconds": 3.25, "device": "cpu"},
}  # fmt: skip

_THIRD: dict[str, Any] = {
    **_SECOND, "schema": 3, "clocks": {**_FIRST["clocks"], "total": 133.0},
    "files": {"plates.csv": {"size": 12, "sha256": "0" * 64}, "samples/0001.png": {"size": 3, "sha256": "1" * 64}},
}  # fmt: skip

_FOURTH: dict[str, Any] = {**_THIRD, "schema": 4, "versions": {"training": 1, "method": 1, "scoring": 1}}


def whole(schema: int = 4, **changes: Any) -> dict[str, Any]:
    """A result of this version of the schema; ``changes`` replace fields."""
    return {**copy.deepcopy({1: _FIRST, 2: _SECOND, 3: _THIRD, 4: _FOURTH}[schema]), **changes}


def failed(schema: int = 4, **changes: Any) -> dict[str, Any]:
    """A failure, as it is stored."""
    kept = ("schema", "method", "seed", "title", "groups", "config", "data", "judge", "provenance", "notes", "identity")
    both = (*kept, "second_judge", "files")
    info = {key: value for key, value in whole(schema).items() if key in both}
    return {**info, "status": "failed", "error": {"type": "RuntimeError", "message": "no luck"}, **changes}
