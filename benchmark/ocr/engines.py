"""The OCR engines by name."""

from __future__ import annotations

import os
from pathlib import Path

from benchmark.ocr.reading import OcrEngine
from benchmark.util.errors import UserError

NAMES = ("rapid", "hyperlpr", "paddle", "crnn")


def make_engine(
    name: str, *, model_dir: Path | None = None, paddle_device: str = "cpu", threads: int | None = None
) -> OcrEngine | None:
    """The OCR engine called ``name``, one of NAMES; None for ``none``.

    ``threads``: CPU threads to read with, all of them when None. ``model_dir``: folder of a
    PaddleOCR recognition model; without one PaddleOCR downloads PP-OCRv4_mobile_rec on first use.
    ``paddle_device``: cpu, gpu or gpu:N. Raises UserError, naming the remedy, where the engine cannot work.
    """
    threads = threads or os.cpu_count() or 1
    if name == "none":
        return None
    if name not in NAMES:
        raise UserError(f"no OCR engine {name!r} (known: {', '.join(NAMES)}, none)")
    _check_opencv()
    if name == "hyperlpr":
        from benchmark.ocr.hyperlpr import HyperLprEngine

        return HyperLprEngine(threads)
    if name == "crnn":
        from benchmark.ocr.crnn import CrnnEngine

        return CrnnEngine(threads)
    if name == "paddle":
        from benchmark.ocr.paddle import PaddleEngine

        return PaddleEngine(model_dir, threads, device=paddle_device)
    from benchmark.ocr.rapid import RapidEngine

    return RapidEngine(threads)


def _check_opencv() -> None:
    """Find out before a long training whether plates can be rectified after it."""
    try:
        import cv2  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"OpenCV, which rectifies the plates, cannot be loaded ({error}): `pip install opencv-python`; "
            "a missing lib….so is in the system's packages (Debian: libgl1, libglib2.0-0)"
        ) from error
