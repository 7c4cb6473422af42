"""Score rows of a few drawn plates, kept in ``golden_scores.json``: they guard ``SCORING_VERSION``.

``python tests/golden_scores.py`` says which scores are not as stored. ``--write`` stores them anew; it refuses where
some have moved and neither ``SCORING_VERSION`` nor an OCR engine (which identities hold, too) is another.
``tests/scoring/test_golden_scores.py`` holds the rows against the file.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from loss_curves import processor

from benchmark.data.ccpd import crop_box
from benchmark.data.plates import Plate
from benchmark.data.synthetic import generator
from benchmark.data.synthetic.scene import draw_photo
from benchmark.ocr.engines import make_engine
from benchmark.scoring import plate_scores, upscaling
from benchmark.scoring.version import SCORING_VERSION

FILE = Path(__file__).with_name("golden_scores.json")
ENGINES = ("rapid", "crnn")
"""The engines of the rows' columns."""
THIRD = "hyperlpr"
"""Another one, whose readings are columns that end in its name."""
SHARES = (0.0, 0.35, 0.5, 1.0)
"""How much of the picture is bicubic instead of the HR plate: from what every engine reads to what none does."""
PLATES = 3
TOLERANCE = 1e-4
"""Relative difference that is allowed with other libraries or another processor; readings must be the same."""

Row = dict[str, Any]


def plates() -> list[Plate]:
    """Plates as synthetic data has them, without the JPEG file between."""
    drawn = []
    for index in range(PLATES):
        view, name = generator.plate_pose(11, index)
        photo = draw_photo(name.text, view, np.random.default_rng([11, index]))
        box = crop_box(name.bbox, photo.width, photo.height)
        vertices = np.array(name.vertices, np.float32) - box[:2]
        drawn.append(Plate(index, f"{index}.jpg", name.text, np.asarray(photo.crop(box)), vertices))
    return drawn


def rows() -> list[Row]:
    """All scores of the plates as they are, and of what bicubic upscaling leaves of them."""
    pairs = [(mixed(plate, share), plate) for share in SHARES for plate in plates()]
    engines = [make_engine(name) for name in ENGINES]
    images, originals = [image for image, _ in pairs], [plate for _, plate in pairs]
    frame = plate_scores.score_plates(images, originals, *engines)
    third = plate_scores.score_plates(images, originals, make_engine(THIRD))
    for name in (*plate_scores.READING_COLUMNS, plate_scores.CHARACTERS):
        frame[f"{name}_{THIRD}"] = third[name]
    frame.insert(0, "bicubic", np.repeat(SHARES, PLATES))
    return [{name: _plain(value) for name, value in row.items()} for row in frame.to_dict("records")]


def mixed(plate: Plate, share: float) -> np.ndarray:
    """A plate that is bicubic upscaling to this share."""
    import methods

    lr = torch.from_numpy(upscaling.low_resolution(plate.hr)).permute(2, 0, 1)[None].float() / 255
    sr = methods.get("bicubic").create().upscale(lr)[0].permute(1, 2, 0).numpy() * 255
    return (share * sr + (1 - share) * plate.hr).round().astype(np.uint8)


def _plain(value: Any) -> Any:
    """A value as JSON has it; an infinite PSNR is text."""
    value = value.item() if isinstance(value, np.generic) else value
    return "inf" if isinstance(value, float) and math.isinf(value) else value


def environment() -> dict[str, str]:
    """What the last bits of a score depend on beside the source."""
    names = ("torch", "numpy", "scipy", "pillow", "opencv-python", "onnxruntime")
    capability = torch.backends.cpu.get_cpu_capability()
    return {"processor": processor(), "capability": capability, **{name: version(name) for name in names}}


def versions() -> dict[str, Any]:
    """What identities hold of the scoring, and the version of the plates that are scored here."""
    engines = {name: make_engine(name) for name in (*ENGINES, THIRD)}
    return {
        "scoring": SCORING_VERSION,
        "generator": generator.GENERATOR_VERSION,
        **{name: engine.describe()["version"] for name, engine in engines.items() if engine is not None},
    }


def stored() -> dict[str, Any]:
    """Content of the file: ``made_with``, ``versions``, ``rows``."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def moved(rows: list[Row], known: dict[str, Any]) -> list[str]:
    """The scores that are not as stored, as ``plate, share: column``."""
    allowed = 0.0 if known["made_with"] == environment() else TOLERANCE
    if len(rows) != len(known["rows"]):
        return ["the number of rows"]
    return [
        f"{row['name']} {row['bicubic']:g}: {name}"
        for row, old in zip(rows, known["rows"])
        for name in {**old, **row}
        if not _same(row.get(name), old.get(name), allowed)
    ]


def _same(value: Any, old: Any, allowed: float) -> bool:
    if isinstance(value, float) and isinstance(old, float):
        return value == old or math.isclose(value, old, rel_tol=allowed, abs_tol=allowed)
    if type(value) is type(old) is str and " " in old:  # confidences of characters
        parts = value.split(), old.split()
        return len(parts[0]) == len(parts[1]) and all(abs(float(a) - float(b)) <= 2 * allowed for a, b in zip(*parts))
    return type(value) is type(old) and value == old


def refusal(rows: list[Row], known: dict[str, Any]) -> str:
    """Why the rows must not be stored; empty where they may."""
    faults, now = moved(rows, known), versions()
    lowered = now["scoring"] < known["versions"]["scoring"]
    if faults and (now == known["versions"] or lowered):
        return f"{len(faults)} scores moved ({'; '.join(faults[:4])}), but SCORING_VERSION did not rise"
    return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"store the rows in {FILE.name}")
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    scored, known = rows(), stored() if FILE.is_file() else None
    if known is not None:
        print("\n".join(moved(scored, known)) or "as stored")
        if wanted.write and (reason := refusal(scored, known)):
            sys.exit(f"not written: {reason}")
    if wanted.write:
        lines = ",\n".join(f"  {json.dumps(row, ensure_ascii=False)}" for row in scored)
        head = f' "made_with": {json.dumps(environment())},\n "versions": {json.dumps(versions())},'
        FILE.write_text(f'{{\n{head}\n "rows": [\n{lines}\n ]\n}}\n', encoding="utf-8")
        print(f"written to {FILE}")


if __name__ == "__main__":
    main()
