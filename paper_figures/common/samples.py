"""The pictures that a run keeps: of its first test plates (LR, the method's output, HR), and of training data.

``<run>/<method>/seed<k>/samples/NNNN.png`` holds the three side by side, the LR plate enlarged ×8 by repeating
pixels; NNNN is the plate's ``index`` in ``plates.csv``. ``<run>/hr/seed0/exhibits/`` is as
:mod:`benchmark.data.training_examples` writes it. A picture that is missing or broken, or not what the benchmark
writes, raises :class:`NothingToDraw` with its name and the reason.
"""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from struct import error as StructError
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from benchmark.results.text_format import read_table
from benchmark.util.files import open_plain
from paper_figures.common.drawing import NothingToDraw
from paper_figures.common.results import HR, Results, Row

FOLDER = "samples"
TRAINING_EXAMPLES = "exhibits"
SCALE = 8
MAX_PIXELS = 24_000_000
"""A picture whose header gives more is not decoded (three whole CCPD photographs have 2.5 million pixels)."""

_EXHIBIT = re.compile(r"[a-z0-9-]{1,40}\.png")
_NAME = re.compile(r"(\d{4,9})\.png")


@dataclass(frozen=True)
class Sample:
    """One test plate: uint8 arrays, RGB. ``lr`` h×w×3; ``sr`` and ``hr`` 8h×8w×3."""

    lr: np.ndarray
    sr: np.ndarray
    hr: np.ndarray


@dataclass(frozen=True)
class Score:
    """What ``plates.csv`` says of one output. A reading is "" if the OCR engine read nothing, None without an engine.

    ``psnr`` and ``psnr_y`` are in dB (infinite for an exact copy, NaN if unknown), confidences are in [0, 1],
    ``truth`` is the plate.
    """

    psnr: float
    psnr_y: float
    truth: str
    read: str | None
    confidence: float
    read_second: str | None
    confidence_second: float

    @property
    def readings(self) -> list[str]:
        """Texts read by the first and the second OCR engine, if there were any."""
        return [read for read in (self.read, self.read_second) if read is not None]


def indices(results: Results) -> list[int]:
    """Numbers of the test plates that at least one method of the run has a picture of, in order."""
    return sorted({index for row in results.rows for seed in row.seeds for index in of_method(results, row.name, seed)})


def of_method(results: Results, name: str, seed: int = 0) -> list[int]:
    """Numbers of the test plates that this method and seed have a picture of, in order."""
    folder = _folder(results, name, seed)
    if folder is None or not folder.is_dir():
        return []
    return sorted(int(match[1]) for file in folder.iterdir() if (match := _NAME.fullmatch(file.name)))


def first_seed(results: Results, row: Row) -> int:
    """The seed whose pictures stand for a method: the run's first seed, if the method has it."""
    return results.seeds[0] if results.seeds[0] in row.seeds else row.seeds[0]


def load(results: Results, name: str, index: int, seed: int = 0) -> Sample:
    """LR, output and HR of one test plate. Raises NothingToDraw with the reason if a picture is missing or unusable."""
    folder = _folder(results, name, seed)
    file = None if folder is None else folder / f"{index:04}.png"
    if file is None or not file.is_file():
        raise NothingToDraw(f"{name} seed {seed} has no picture of test plate {index}")
    pixels = read_picture(file)
    height, width = pixels.shape[0], pixels.shape[1] // 3
    if pixels.shape[1] % 3 or height % SCALE or width % SCALE:
        raise NothingToDraw(f"{_short(file)} is not LR, output and HR side by side (it is {pixels.shape[1]}×{height})")
    line = _line(results, name, index, seed)
    if line is not None and not _agrees(line, height, width):
        raise NothingToDraw(f"{_short(file)} is not of the size that plates.csv gives for plate {index}")
    blocks, sr, hr = (np.ascontiguousarray(pixels[:, i * width : (i + 1) * width]) for i in range(3))
    lr = np.ascontiguousarray(blocks[::SCALE, ::SCALE])
    if not np.array_equal(blocks, enlarge(lr)):
        raise NothingToDraw(f"the LR plate in {_short(file)} is not enlarged by repeating pixels")
    return Sample(lr, sr, hr)


def enlarge(lr: np.ndarray, times: int = SCALE) -> np.ndarray:
    """Enlarge by repeating every pixel ``times`` × ``times`` times."""
    return lr.repeat(times, axis=0).repeat(times, axis=1)


def score(results: Results, name: str, index: int, seed: int = 0) -> Score | None:
    """Scores of this output; None if ``plates.csv`` has no such plate."""
    line = _line(results, name, index, seed)
    if line is None:
        return None
    confidence, second = _number(line.get("confidence")), _number(line.get("confidence_second"))
    return Score(
        psnr=_number(line.get("psnr")),
        psnr_y=_number(line.get("psnr_y")),
        truth=_text(line.get("text"), 0.0) or "",
        read=_text(line.get("read"), confidence),
        confidence=confidence,
        read_second=_text(line.get("read_second"), second),
        confidence_second=second,
    )


def training_examples(results: Results, table: str, columns: tuple[str, ...]) -> pd.DataFrame:
    """A table of training examples, all cells text. Raises NothingToDraw if it is missing or lacks ``columns``."""
    file = results.folder / HR / "seed0" / TRAINING_EXAMPLES / table
    if results.row(HR) is None or not file.is_file():
        raise NothingToDraw("the run keeps no pictures of training data (made by an older version, or not finished)")
    examples = read_table(file, dtype=str, keep_default_na=False)
    if examples.columns.empty or file.parent.is_symlink():
        raise NothingToDraw(f"{_short(file)} cannot be read")
    lacking = [column for column in columns if column not in examples]
    if lacking or examples.empty:
        raise NothingToDraw(f"{_short(file)} " + (f"lacks {', '.join(lacking)}" if lacking else "lists no picture"))
    return examples


def training_example(results: Results, file: str) -> np.ndarray:
    """A training example by the name that their table gives: uint8 H×W×3. Raises NothingToDraw."""
    path = results.folder / HR / "seed0" / TRAINING_EXAMPLES / file
    if not _EXHIBIT.fullmatch(file) or not path.is_file():
        raise NothingToDraw(f"there is no training example {file[:60]!r}")
    return read_picture(path)


def read_picture(file: Path) -> np.ndarray:
    """A PNG of the results folder: uint8 H×W×3. Raises NothingToDraw for anything else or if too large."""
    if file.parent.is_symlink():
        raise NothingToDraw(f"{_short(file.parent)} is a symbolic link, which is not followed")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the size is looked at below
            with open_plain(file) as content, Image.open(content, formats=["PNG"]) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise NothingToDraw(f"{_short(file)} is too large a picture ({width}×{height})")
                if image.mode != "RGB":
                    raise NothingToDraw(f"{_short(file)} is not an RGB picture")
                return np.array(image)
    except Image.DecompressionBombError:
        raise NothingToDraw(f"{_short(file)} is too large a picture") from None
    except (OSError, SyntaxError, ValueError, EOFError, StructError):
        raise NothingToDraw(f"{_short(file)} is not a readable PNG") from None


def _folder(results: Results, name: str, seed: int) -> Path | None:
    """Where a method's pictures are; None for a name that is no folder's name (names come from files)."""
    if name in ("", ".", "..") or re.search(r"[/\\\x00]", name):
        return None
    row = results.row(name)
    if row is not None and row.of:
        return results.folder / row.of / f"seed{seed}" / FOLDER
    folder = results.folder / name / f"seed{seed}"
    last = folder / f"{FOLDER}_last"  # which a seed lacks that was best at its end
    return last if results.is_end(name) and last.is_dir() else folder / FOLDER


def _short(file: Path) -> str:
    return "/".join(file.parts[-4:])


def _line(results: Results, name: str, index: int, seed: int) -> dict[str, Any] | None:
    plates = results.plates
    matches = plates[(plates["method"] == name) & (plates["seed"] == seed) & (plates["index"] == index)]
    return None if matches.empty else {str(key): value for key, value in matches.iloc[0].items()}


def _agrees(line: dict[str, Any], height: int, width: int) -> bool:
    said = _number(line.get("height")), _number(line.get("width"))
    return all(math.isnan(a) or a == b for a, b in zip(said, (height, width)))


def _number(value: Any) -> float:
    return float(pd.to_numeric(value, errors="coerce")) if value is not None else math.nan


def _text(value: Any, confidence: float) -> str | None:
    """Text of a cell. Empty text of a plate that has a confidence means that nothing was read."""
    if isinstance(value, str) and value:
        return value
    return None if math.isnan(confidence) else ""
