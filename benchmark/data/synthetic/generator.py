"""Synthetic plates: a CCPD-named folder drawn from scratch, the embedded default data.

Plate ``i`` of a seed is a function of (seed, i) alone: the same bytes whatever the number of plates
or workers, so a folder of N plates is the beginning of one of N + 1. The plate is drawn in
``plate_face``, the car around it in ``scene``, the photograph made in ``camera``; here are the
characters on the plates, their sizes and poses, and the folder. The numbers that shape them (sizes, tilts, shares)
are those of CCPD, measured on its file names. Bytes depend on the version of Pillow (its JPEG
encoder, its font renderer) and not on the processor.
"""

from __future__ import annotations

import dataclasses
import io
import json
import math
import multiprocessing
import signal
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from benchmark.data.ccpd import ALPHANUMERICS, LETTERS, PROVINCES, PlateName, Point, format_name, parse_name
from benchmark.data.folders import MANIFEST
from benchmark.data.pictures import cores
from benchmark.data.synthetic.camera import View
from benchmark.data.synthetic.scene import draw_photo
from benchmark.util.errors import CannotWrite, UserError, writing
from benchmark.util.files import write_bytes, write_text

GENERATOR_VERSION = 1
"""Goes up with every change that alters a byte of a picture."""

HOME_PROVINCE, HOME_SHARE = "皖", 0.90
_NEIGHBOURS = "苏苏苏浙浙沪京豫鲁鄂赣粤"
GREEN_SHARE = 0.02
REPEAT_SHARE = 0.05
"""Share of pictures that show a plate seen before."""
_DIGIT_SHARES = (0.29, 0.63, 0.79, 0.92, 0.80)
"""Share of digits at each of the last five places (measured on CCPD)."""
_JPEG_QUALITY = 95
_FRAME_AREA = 720 * 1160
"""Pixels of a CCPD photograph, of which the name gives the plate's share."""


def synthesize(out: Path, plates: int, seed: int, workers: int | None = None) -> Path:
    """Draw ``plates`` license plates into ``out``/ccpd_base and ``out``/ccpd_green; returns ``out``.

    A plate already there is not drawn again, so an interrupted call is finished by the next one, and
    a folder grows when more are asked for. ``workers`` processes draw (default: one per core); a
    script that calls this needs the usual ``if __name__ == "__main__"``, or ``workers=1``.

    Raises UserError for a count below 1 or a seed below 0, and where ``out`` holds anything else: other files,
    or plates of another seed, generator or larger number; CannotWrite where there is no room or permission.
    """
    if plates < 1 or seed < 0:
        raise UserError(f"cannot draw {plates} plates with seed {seed}: at least 1 plate, and a seed of 0 or more")
    try:
        with writing(out):
            _claim(out, plates, seed)
            present = {_index(file) for file in out.glob("ccpd_*/*.jpg")}
            missing = [i for i in range(plates) if i not in present]
            _draw_all(out, seed, missing, min(workers or cores(), len(missing) // 32 + 1))
    except CannotWrite:
        raise
    except OSError as error:
        raise UserError(f"cannot write synthetic plates to {out}: {error.strerror or error}") from error
    return out


def _draw_all(out: Path, seed: int, missing: list[int], workers: int) -> None:
    if workers == 1:
        for index in missing:
            _draw(out, seed, index)
        return
    # Spawned, not forked: the caller may hold threads (PyTorch's) that a fork would break.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=_leave_interrupts_to_the_caller)
    try:
        for _ in pool.map(partial(_draw, out, seed), missing, chunksize=8):
            pass
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_interrupts_to_the_caller() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def plate_text(seed: int, index: int) -> str:
    """The characters of plate ``index``: its own, or now and then those of an earlier plate."""
    rng = np.random.default_rng([seed, index, 0])
    if rng.random() < REPEAT_SHARE and index:
        return plate_text(seed, int(rng.integers(index)))
    green = rng.random() < GREEN_SHARE
    home = rng.random() < HOME_SHARE
    strangers = _NEIGHBOURS if rng.random() < 0.6 else PROVINCES[:31]
    text = HOME_PROVINCE if home else str(rng.choice(list(strangers)))
    text += "A" if rng.random() < (0.93 if home else 0.4) else str(rng.choice(LETTERS[:-1]))
    letters, digits = ALPHANUMERICS[:24], ALPHANUMERICS[24:-1]
    if green:  # D: electric, F: hybrid; then digits
        return text + str(rng.choice(["D", "F"])) + "".join(rng.choice(digits, 5))
    return text + "".join(str(rng.choice(digits if rng.random() < share else letters)) for share in _DIGIT_SHARES)


def plate_pose(seed: int, index: int) -> tuple[View, PlateName]:
    """Where plate ``index`` lies in its picture, and the annotation of it (brightness and blur still 0)."""
    rng = np.random.default_rng([seed, index, 1])
    text = plate_text(seed, index)
    width, height = _plate_size(rng)
    quad = _quad(width, height, rng)
    margins = rng.integers(24, 41, 4).tolist()
    left, top = min(x for x, _ in quad), min(y for _, y in quad)
    right, bottom = max(x for x, _ in quad), max(y for _, y in quad)
    corners = tuple((x - left + margins[0], y - top + margins[1]) for x, y in quad)
    view = View(
        math.ceil(right - left) + margins[0] + margins[2],
        math.ceil(bottom - top) + margins[1] + margins[3],
        corners,
    )
    # People marked the corners and the box by hand.
    slips = np.clip(rng.normal(0, 1, (4, 2)) * [0.008 * width, 0.03 * height], -6, 6).tolist()
    marked: list[Point] = [(round(x + dx), round(y + dy)) for (x, y), (dx, dy) in zip(corners, slips)]
    edges = (margins[0], margins[1], margins[0] + right - left, margins[1] + bottom - top)
    slips = np.clip(rng.normal(0, 1, 4) * np.tile([0.012 * width, 0.035 * height], 2), -12, 12).tolist()
    box = [round(edge + slip) for edge, slip in zip(edges, slips)]
    tilt = math.degrees(math.atan2(marked[3][1] - marked[2][1], marked[3][0] - marked[2][0]))
    lean = math.degrees(math.atan2(marked[1][0] - marked[2][0], marked[1][1] - marked[2][1]))
    share = (box[2] - box[0]) * (box[3] - box[1]) / _FRAME_AREA
    return view, PlateName(
        # The last seven digits number the plate: names are unique, and say which plates are there.
        area=f"{share:.7f}"[2:] + f"{index:07d}",
        tilt=(round(90 + tilt), round(90 + lean)),
        bbox=(box[0], box[1], box[2], box[3]),
        vertices=(marked[0], marked[1], marked[2], marked[3]),
        text=text,
        brightness=0,
        blur=0,
    )


def _plate_size(rng: np.random.Generator) -> tuple[float, float]:
    """Width and height of a plate's box: CCPD's quantiles (100/225/420 × 38/93/146 px at 5/50/95 %)."""
    z = rng.normal(0, 1, 2)
    z_height = 0.92 * z[0] + math.sqrt(1 - 0.92**2) * z[1]
    width = _quantile(float(z[0]), (62, 100, 225, 420, 560))
    height = _quantile(float(z_height), (26, 38, 93, 146, 240))
    return width, min(max(height, width / 3.4), width / 1.2)


def _quantile(z: float, knots: tuple[float, ...]) -> float:
    """Value at the normal deviate ``z`` of a distribution with these 0.1/5/50/95/99.9 % quantiles."""
    at = np.interp(z, [-3.09, -1.645, 0, 1.645, 3.09], np.log(knots))
    return math.exp(float(at))


def _quad(width: float, height: float, rng: np.random.Generator) -> list[tuple[float, float]]:
    """Corners (from the bottom right, clockwise) of a plate seen so that its box is width×height.

    A box too high for a plate seen from the front is one seen aslant, tilted, or both.
    """
    ratio = width / height
    excess = max(0.0, 1 / ratio - 1 / 3.3)
    slope = excess * rng.beta(2, 2) + abs(rng.normal(0, 0.02))
    shear = rng.normal(0, 0.06) + rng.uniform(0, 1) * slope
    flat = min(max((1 / ratio - slope) / (1 - abs(shear) / ratio), 1 / 3.7), 1 / 2.1)
    slope = 1 / ratio - flat * (1 - abs(shear) / ratio)
    length = width / (1 + abs(shear) * flat)
    down, along = length * flat, length * slope
    if rng.random() < 0.5:
        along, shear = -along, -shear
    lean = -shear * down
    near = (1 + rng.normal(0, 0.02, 4)).tolist()
    return [
        (length + lean, (along + down) * near[0]),
        (lean, down * near[1]),
        (0.0, 0.0),
        (length * near[2], along),
    ]


def _draw(out: Path, seed: int, index: int) -> None:
    """Draw plate ``index`` and put it into its folder under its final name."""
    view, name = plate_pose(seed, index)
    picture = draw_photo(name.text, view, np.random.default_rng([seed, index, 2]))
    left, top, right, bottom = name.bbox
    grey = np.asarray(picture.convert("L"), np.int32)[max(top, 0) : bottom, max(left, 0) : right]
    edges = 4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    brightness, blur = int(grey.sum()) // grey.size, int((edges * edges).sum()) // edges.size // 32
    named = dataclasses.replace(name, brightness=brightness, blur=blur)
    folder = out / ("ccpd_green" if name.style == "green" else "ccpd_base")
    final = folder / format_name(named)
    jpeg = io.BytesIO()
    picture.save(jpeg, "JPEG", quality=_JPEG_QUALITY, subsampling="4:2:0")
    write_bytes(final, jpeg.getvalue(), durable=False)


def _claim(out: Path, plates: int, seed: int) -> None:
    """Make ``out`` ours, or find that it is: its manifest says what is in it."""
    manifest, wanted = out / MANIFEST, {"generator": GENERATOR_VERSION, "seed": seed, "plates": plates}
    if manifest.is_file():
        try:
            present = json.loads(manifest.read_text())
            fits = present | {"plates": plates} == wanted and present["plates"] <= plates
        except (ValueError, TypeError, KeyError):
            present, fits = "unreadable manifest", False
        if not fits:
            raise UserError(
                f"{out} holds other synthetic plates ({present}) than asked for ({wanted}): "
                "name another folder, or delete it"
            )
    elif out.is_dir() and any(out.iterdir()):
        raise UserError(f"{out} holds other files than synthetic plates: name another folder")
    for folder in ("ccpd_base", "ccpd_green"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    write_text(manifest, json.dumps(wanted) + "\n")


def _index(file: Path) -> int:
    """Which plate a file shows."""
    try:
        return int(parse_name(file.name).area[-7:])
    except ValueError as error:
        raise UserError(f"{file} is not one of the synthetic plates of its folder: move it elsewhere") from error
