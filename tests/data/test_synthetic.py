"""Synthetic plates: the same bytes every time, names that say what is drawn, and the look of CCPD.

The tests at the end are the calibration: run them after every change to what is drawn, with
CCPD_ROOT naming a folder of real plates.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.data.ccpd import LETTERS, crop_box, parse_name
from benchmark.data.synthetic import generator
from benchmark.data.synthetic.generator import MANIFEST, plate_pose, plate_text, synthesize
from benchmark.data.synthetic.plate_face import SIGNS, glyph_mask, plate_font
from benchmark.data.texts import normalise
from benchmark.ocr.engines import make_engine
from benchmark.ocr.reading import rectify
from benchmark.util.errors import UserError

PLATES = 200


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthesize(tmp_path_factory.mktemp("synthetic") / "plates", PLATES, seed=0)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.glob("ccpd_*/*"))}


# -- the folder --------------------------------------------------------------------------------


def test_plates_depend_on_seed_and_index_only(drawn: Path, tmp_path: Path) -> None:
    alone = contents(synthesize(tmp_path / "alone", 20, seed=0, workers=1))
    assert len(alone) == 20
    assert alone.items() <= contents(drawn).items()  # more plates, drawn by several workers
    other = contents(synthesize(tmp_path / "other", 5, seed=1))
    assert len(set(other.values()) | set(alone.values())) == 25


def test_an_interrupted_folder_is_finished_and_a_finished_one_left_alone(drawn: Path, tmp_path: Path) -> None:
    out = synthesize(tmp_path / "out", 6, seed=0)
    first, second, *others = sorted(out.glob("ccpd_*/*.jpg"))
    first.unlink()
    second.rename(second.with_name(f"{second.name}.partial"))
    times = {file: file.stat().st_mtime_ns for file in others}
    synthesize(out, 12, seed=0)
    assert {file: file.stat().st_mtime_ns for file in others} == times
    assert contents(out) == contents(synthesize(tmp_path / "again", 12, seed=0))


def test_other_contents_are_never_touched(tmp_path: Path) -> None:
    out = synthesize(tmp_path / "out", 3, seed=0)
    for plates, seed in ((3, 1), (2, 0), (0, 0), (1, -1)):
        with pytest.raises(UserError):
            synthesize(out, plates, seed)
    (out / "ccpd_base" / "holiday.jpg").write_bytes(b"mine")
    with pytest.raises(UserError, match=r"holiday\.jpg"):
        synthesize(out, 3, seed=0)
    (out / MANIFEST).write_text("{")
    with pytest.raises(UserError, match="unreadable"):
        synthesize(out, 3, seed=0)
    (out / MANIFEST).unlink()
    with pytest.raises(UserError, match="other files"):
        synthesize(out, 3, seed=0)
    with pytest.raises(UserError, match="cannot write"):
        synthesize(out / "ccpd_base" / "holiday.jpg" / "below", 3, seed=0)
    assert (out / "ccpd_base" / "holiday.jpg").read_bytes() == b"mine"


def test_plates_of_another_generator_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = synthesize(tmp_path / "out", 1, seed=0)
    monkeypatch.setattr(generator, "GENERATOR_VERSION", generator.GENERATOR_VERSION + 1)
    with pytest.raises(UserError, match="another folder"):
        synthesize(out, 1, seed=0)


# -- what is drawn -----------------------------------------------------------------------------


def test_names_say_what_is_drawn(drawn: Path) -> None:
    files = sorted(drawn.glob("ccpd_*/*.jpg"))
    assert len(files) == PLATES
    for file in files:
        name = parse_name(file.name)
        width, height = Image.open(file).size
        left, top, right, bottom = name.bbox
        assert 0 <= left < right <= width and 0 <= top < bottom <= height
        crop_box(name.bbox, width, height)
        assert all(-12 <= x <= width + 12 and -12 <= y <= height + 12 for x, y in name.vertices)
        assert all(60 <= angle <= 120 for angle in name.tilt) and 0 < name.brightness < 256
        assert file.parent.name == ("ccpd_green" if name.style == "green" else "ccpd_base")
        assert name.style != "2018"


def test_sizes_are_those_of_ccpd() -> None:
    boxes = np.array([plate_pose(0, index)[1].bbox for index in range(2000)])
    for sizes, expected in ((boxes[:, 2] - boxes[:, 0], (100, 225, 420)), (boxes[:, 3] - boxes[:, 1], (38, 93, 146))):
        assert np.percentile(sizes, (5, 50, 95)) == pytest.approx(expected, rel=0.05)


def test_numbers_resemble_those_of_ccpd() -> None:
    texts = [plate_text(0, index) for index in range(3000)]
    assert 0.85 < np.mean([text.startswith("皖") for text in texts]) < 0.95
    assert 0.01 < np.mean([len(text) == 8 for text in texts]) < 0.03
    assert 0.03 < 1 - len(set(texts)) / len(texts) < 0.07
    assert not any(letter in text for text in texts for letter in "IO")


def test_every_character_of_a_plate_can_be_drawn() -> None:
    characters = [*SIGNS, *LETTERS[:-1], *"0123456789"]
    drawings = [np.asarray(glyph_mask(character, 45, 90)) for character in characters]
    assert len({drawing.tobytes() for drawing in drawings}) == len(characters) == 67
    assert all(0.15 < (drawing > 127).mean() < 0.75 for drawing in drawings)


def test_the_font_holds_what_stands_on_plates_and_their_frames() -> None:
    font = plate_font(40)
    missing = bytes(font.getmask("\ufffe"))
    for character in [*SIGNS, *"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"]:
        assert bytes(font.getmask(character)) not in (b"", missing)


# -- calibration -------------------------------------------------------------------------------


def hr_plate(file: Path) -> Image.Image:
    picture = Image.open(file).convert("RGB")
    return picture.crop(crop_box(parse_name(file.name).bbox, *picture.size))


def bicubic_psnr(files: list[Path]) -> np.ndarray:
    """PSNR of each plate after ×8 down and up again."""
    scores = []
    for file in files:
        hr = hr_plate(file)
        lr = hr.resize((hr.width // 8, hr.height // 8), Image.Resampling.BICUBIC)
        sr = lr.resize(hr.size, Image.Resampling.BICUBIC)
        error = np.mean((np.asarray(hr, float) - np.asarray(sr, float)) ** 2)
        scores.append(10 * np.log10(255**2 / error))
    return np.array(scores)


def test_bicubic_scores_as_on_real_plates(drawn: Path, ccpd_root: Path) -> None:
    everything = sorted(ccpd_root.glob("ccpd_*/*.jpg"))
    real = bicubic_psnr(random.Random(0).sample(everything, min(400, len(everything))))
    ours = bicubic_psnr(sorted(drawn.glob("ccpd_*/*.jpg")))
    assert np.median(ours) == pytest.approx(np.median(real), abs=1.0)
    assert ours.std() == pytest.approx(real.std(), abs=0.5)


def test_colours_and_contrast_are_those_of_real_plates(drawn: Path, ccpd_root: Path) -> None:
    everything = sorted(ccpd_root.glob("ccpd_*/*.jpg"))

    def look(files: list[Path]) -> np.ndarray:
        """Medians over plates of mean red, green, blue and of the spread of brightness."""
        rows = []
        for file in files:
            pixels = np.asarray(hr_plate(file), float)
            rows.append([*pixels.mean(axis=(0, 1)), pixels.mean(axis=2).std()])
        return np.median(rows, axis=0)

    real = look(random.Random(0).sample(everything, min(400, len(everything))))
    assert look(sorted(drawn.glob("ccpd_*/*.jpg"))) == pytest.approx(real, abs=15)


def test_the_judge_reads_the_plates(drawn: Path) -> None:
    judge = make_engine("rapid", threads=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None)
    assert judge is not None
    names, rectified = [], []
    for file in sorted(drawn.glob("ccpd_*/*.jpg")):
        name, (width, height) = parse_name(file.name), Image.open(file).size
        corners = np.array(name.vertices) - crop_box(name.bbox, width, height)[:2]
        names.append(name)
        rectified.append(rectify(np.asarray(hr_plate(file)), corners))
    exact = [normalise(reading.text) == name.text for reading, name in zip(judge.read(rectified), names)]
    assert np.mean(exact) >= 0.98
