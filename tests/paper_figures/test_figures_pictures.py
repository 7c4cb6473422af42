"""The figures that show plates: which pictures they take, what they say of them, and what they do without."""

from __future__ import annotations

import math
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fake_results import ABLATION, METHODS, PATTERN, PLATES, Fake, make_run
from matplotlib.figure import Figure
from PIL import Image

from benchmark.data.ccpd import ALPHANUMERICS, LETTERS, PROVINCES
from benchmark.ocr.reading import edit_distance
from benchmark.results.store import Run
from paper_figures import patches, qualitative, qualitative_ablation
from paper_figures import training_plates as training
from paper_figures.common import pictures, samples, side_by_side, style
from paper_figures.common.drawing import NothingToDraw
from paper_figures.common.loading import load
from paper_figures.common.results import Results
from paper_figures.report import builder

BY_NAME = {method.name: method for method in METHODS}
FEW = tuple(BY_NAME[name] for name in ("hr", "bicubic", "srcnn", "pecl", "pecl-printed"))
SIZES = [(64, 168) if i < 6 else (104, 168) for i in range(PLATES)]
"""Height and width of the fake plates."""


def make_sample(folder: Path, index: int, colour: int = 90, size: tuple[int, int] | None = None) -> np.ndarray:
    """Write a sample; returns its output. The plate is the same for every method, the output is of one colour."""
    height, width = size or SIZES[index]
    lr = np.random.default_rng(index).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    hr = np.random.default_rng(100 + index).integers(0, 256, (height, width, 3), dtype=np.uint8)
    sr = np.full_like(hr, colour)
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate([lr.repeat(8, 0).repeat(8, 1), sr, hr], axis=1)).save(folder / f"{index:04}.png")
    return sr


def with_samples(run: Run, indices: tuple[int, ...] = (0, 3, 7)) -> Run:
    for number, folder in enumerate(sorted(run.folder.glob("*/seed*"))):
        if folder.parent.name != "hr":
            for index in indices:
                make_sample(folder / "samples", index, 10 * number)
    return run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return with_samples(make_run(tmp_path / "run", FEW))


@pytest.fixture
def results(run: Run) -> Results:
    return load(run)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Results that a test must leave as they were."""
    return load(with_samples(make_run(tmp_path_factory.mktemp("runs") / "run", FEW)))


def words(figure: Figure | None) -> list[str]:
    assert figure is not None
    return [text.get_text() for text in figure.texts]


# -- samples ---------------------------------------------------------------------------------------


def test_a_sample_is_taken_apart_into_what_was_put_together(results: Results) -> None:
    sr = make_sample(results.folder / "pecl" / "seed0" / "samples", 7, 33)
    sample = samples.load(results, "pecl", 7)
    assert np.array_equal(sample.sr, sr)
    assert np.array_equal(sample.lr, np.random.default_rng(7).integers(0, 256, (13, 21, 3), dtype=np.uint8))
    assert np.array_equal(sample.hr, np.random.default_rng(107).integers(0, 256, (104, 168, 3), dtype=np.uint8))
    assert samples.indices(results) == samples.of_method(results, "pecl") == [0, 3, 7]
    assert samples.of_method(results, "hr") == []


def test_the_score_of_a_sample_is_its_line_of_plates_csv(shared: Results) -> None:
    score = samples.score(shared, "pecl", 3)
    assert score is not None
    assert (score.psnr, score.truth) == (pytest.approx(20.12 + PATTERN[3]), "皖A12345")
    assert (score.read, score.confidence) == ("皖A12345", 0.9)
    unread, bound = samples.score(shared, "bicubic", 3), samples.score(shared, "hr", 3)
    assert unread is not None and (unread.read, unread.confidence) == ("", 0.1)
    assert bound is not None and bound.psnr == math.inf
    assert samples.score(shared, "pecl", 99) is None and samples.score(shared, "nobody", 3) is None


def test_without_an_ocr_engine_a_score_has_no_reading(tmp_path: Path) -> None:
    score = samples.score(load(make_run(tmp_path / "run", FEW, ocr=False)), "pecl", 3)
    assert score is not None and (score.read, score.read_second) == (None, None) and math.isnan(score.confidence)


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return start + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


def spoil(file: Path, how: str) -> None:
    pixels = np.asarray(Image.open(file)).copy()
    height, width = pixels.shape[0], pixels.shape[1]
    if how == "missing":
        file.unlink()
    elif how == "empty":
        file.write_bytes(b"")
    elif how == "cut short":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    elif how == "noise":
        file.write_bytes(np.random.default_rng(0).bytes(5000))
    elif how == "jpeg":
        Image.fromarray(pixels).save(file, format="JPEG")
    elif how in ("large", "enormous"):
        file.write_bytes(png_header(30_000, 3_000 if how == "large" else 30_000))
    elif how == "grey":
        Image.fromarray(pixels[..., 0]).save(file)
    elif how == "odd width":
        Image.fromarray(pixels[:, : width - 1]).save(file)
    elif how == "other size":
        Image.fromarray(pixels[: height - 8]).save(file)
    elif how == "smooth lr":
        pixels[0, 0] ^= 255
        Image.fromarray(pixels).save(file)


BROKEN = {
    "missing": "no picture of test plate 3", "empty": "not a readable PNG", "cut short": "not a readable PNG",
    "noise": "not a readable PNG", "jpeg": "not a readable PNG", "large": "too large", "enormous": "too large",
    "grey": "not an RGB picture", "odd width": "side by side", "other size": "not of the size",
    "smooth lr": "not enlarged by repeating",
}  # fmt: skip


@pytest.mark.parametrize("how", BROKEN)
def test_a_picture_that_is_not_what_the_benchmark_writes_says_so(shared: Results, how: str) -> None:
    folder = shared.folder / "pecl" / "seed0" / "samples"
    before = (folder / "0003.png").read_bytes()
    spoil(folder / "0003.png", how)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(NothingToDraw, match=BROKEN[how]):
            samples.load(shared, "pecl", 3)
    (folder / "0003.png").write_bytes(before)


@pytest.mark.parametrize("name", ["", "..", "../run/pecl", "/etc", "a\\b", "a\0b"])
def test_a_name_that_is_no_folder_leads_nowhere(shared: Results, name: str) -> None:
    assert samples.of_method(shared, name) == []
    with pytest.raises(NothingToDraw):
        samples.load(shared, name, 3)


# -- readings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("read", "truth", "marked"),
    [
        ("皖A1", "皖A1", "皖+ A+ 1+"),
        ("皖B1", "皖A1", "皖+ B- 1+"),
        ("A1", "皖A1", "- A+ 1+"),
        ("皖A", "皖A1", "皖+ A+ -"),
        ("皖AX1", "皖A1", "皖+ A+ X- 1+"),
        ("", "皖", "-"),
        ("X", "", "X-"),
        ("", "", ""),
    ],
)
def test_wrong_and_missing_characters_are_found(read: str, truth: str, marked: str) -> None:
    assert " ".join(c + ("+" if right else "-") for c, right in pictures.align(read, truth)) == marked


def test_as_many_marks_as_edits() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        read, truth = ("".join(random.choice(list("ABC"), random.integers(0, 8))) for _ in range(2))
        found = pictures.align(read, truth)
        assert "".join(c for c, _ in found) == read
        assert sum(not right for _, right in found) == edit_distance(read, truth)


def test_the_fonts_have_every_character_of_a_plate() -> None:
    _, characters = pictures._chinese()
    assert not {c for c in (*PROVINCES, *LETTERS, *ALPHANUMERICS) if ord(c) not in characters}
    unknown = pictures._glyph(pictures.UNKNOWN)
    assert len(unknown[0]) and all(pictures._glyph(c) == unknown for c in "𠮷🚗ट")
    assert not any(pictures._glyph(c) == unknown for c in "皖AZ09✓…É挂龍한の")


# -- test plates -----------------------------------------------------------------------------------


def test_all_methods_stand_between_lr_and_hr_with_their_scores(shared: Results) -> None:
    drawing = qualitative.draw(shared)
    data = drawing.data
    assert data["method"].tolist() == ["bicubic", "srcnn", "pecl", "hr"] * 3
    mine = data[data["method"] == "pecl"].set_index("index")
    assert mine.loc[7, "psnr"] == pytest.approx(20.12 + PATTERN[7]) and mine.loc[7, "read"] == ""
    assert mine.loc[3, "read"] == "皖A12345"
    assert set(data["not_shown"].dropna()) == {""}
    found = words(drawing.figure)
    mine = found[found.index("Test plate 3") + 1 : found.index("Test plate 7")]
    decibels = [f"{centre + PATTERN[3]:.2f} dB" for centre in (18.02, 18.61, 20.12)]
    nothing = ["nothing read"] * 2  # by two OCR engines
    assert mine == [
        "21×8 px", "LR", decibels[0], "Bicubic", *nothing, decibels[1], "SRCNN", *nothing, decibels[2], "PECL",
        "168×64 px", "HR",
    ]  # fmt: skip
    assert "This figure contains pictures of the data set." in drawing.words
    assert "first line rapid, second crnn" in drawing.words
    assert "(0, 0 and 60 % of all test plates have fewer pixels)" in drawing.words


def test_plates_are_chosen_by_size_alone(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", FEW)
    sizes = {index: (64 + 8 * index, 168) for index in range(PLATES)}
    for file in run.folder.glob("*/seed*/plates.csv"):
        pd.read_csv(file).assign(height=[h for h, _ in sizes.values()]).to_csv(file, index=False)
    for name in ("bicubic", "srcnn", "pecl"):
        for index in (1, 2, 4, 6, 9):
            make_sample(run.folder / name / "seed0" / "samples", index, size=sizes[index])
    make_sample(run.folder / "pecl" / "seed0" / "samples", 8, size=sizes[8])
    choice = side_by_side.choose(load(run), load(run).competitors[:3])
    assert choice.shares == {1: 0.1, 4: 0.4, 9: 0.9} and choice.kept == 5  # plate 8 is shown by one method only


def test_one_broken_picture_is_a_marked_gap(results: Results) -> None:
    spoil(results.folder / "srcnn" / "seed0" / "samples" / "0003.png", "cut short")
    make_sample(results.folder / "pecl" / "seed0" / "samples", 7)
    file = results.folder / "pecl" / "seed0" / "samples" / "0007.png"
    pixels = np.asarray(Image.open(file)).copy()
    pixels[:, -1] = 0
    Image.fromarray(pixels).save(file)
    drawing = qualitative.draw(results)
    assert words(drawing.figure).count("no picture") == 2
    assert "Not shown: srcnn/seed0/samples/0003.png is not a readable PNG; pecl shows another plate 7" in drawing.words
    assert drawing.data["not_shown"].fillna("").ne("").sum() == 2


def test_without_pictures_nothing_is_drawn(tmp_path: Path) -> None:
    results = load(make_run(tmp_path / "run", FEW))
    with pytest.raises(NothingToDraw, match="no pictures of test plates"):
        qualitative.draw(results)
    for module in (training, patches):
        with pytest.raises(NothingToDraw, match="keeps no pictures of training data"):
            module.draw(results)


@pytest.mark.parametrize("ocr", [True, False])
def test_hostile_names_and_readings_are_shown_as_they_are(tmp_path: Path, ocr: bool) -> None:
    odd = [
        Fake("evil", "<script>alert(1)</script>", 5, 18.0, groups=()),
        Fake("sign", "车牌 a_b$&%", 5, 18.5),
        Fake("blank", " \u200b\u2800 ", 5, 18.6),
    ]
    run = with_samples(make_run(tmp_path / "run", (*FEW[:2], *odd), ocr=ocr), (3,))
    file = run.folder / "sign" / "seed0" / "plates.csv"
    table = pd.read_csv(file, dtype={"read": str}, keep_default_na=False)
    reads = ["$\\frac{1}{2}$<b>", "龍" * 2000, "A\u2800\u200b"]
    table.assign(read=[reads[i % 3] for i in range(PLATES)], psnr=np.nan).to_csv(file, index=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawing = qualitative.draw(load(run))
        assert drawing.figure is not None
        style.encode(drawing.figure, "png")
    found = words(drawing.figure)
    assert any(word.startswith("车牌 a_b$&%") for word in found) and any(word.startswith("<script>") for word in found)
    assert "—" in found
    assert ("No plate was read" in drawing.words) is not ocr


def test_only_one_plate_with_pictures_is_enough(tmp_path: Path) -> None:
    run = with_samples(make_run(tmp_path / "run", FEW[:2]), (4,))
    drawing = qualitative.draw(load(run))
    assert drawing.data["index"].unique().tolist() == [4] and "Of the 1 test plate with pictures" in drawing.words


def test_seeds_are_named_where_there_are_several(tmp_path: Path) -> None:
    drawing = qualitative.draw(load(with_samples(make_run(tmp_path / "run", FEW[:3], seeds=2), (4,))))
    assert "Outputs are those of seed 0." in drawing.words and set(drawing.data["seed"]) == {0}


# -- the ablation ----------------------------------------------------------------------------------


def test_the_dimension_is_chosen_on_validation_plates(tmp_path: Path) -> None:
    run = with_samples(make_run(tmp_path / "run", (*FEW, *ABLATION)), (3,))
    file = run.folder / "pecl-manhattan-64" / "seed0" / "history.csv"  # the worst of its kind on the test plates
    history = pd.read_csv(file)
    history.loc[3, "val_psnr"] = 40.0
    history.loc[4, "val_psnr"] = math.inf
    history.to_csv(file, index=False)
    drawing = qualitative_ablation.draw(load(run))
    assert drawing.data["method"].tolist() == [
        "pecl-mse",
        "pecl-manhattan-64",
        "pecl-euclidean-512",
        "hr",
        *["paper"] * 3,
    ]
    found = words(drawing.figure)
    titles = [word.rstrip("†") for word in found if word.rstrip("†").split(" ")[0] in
              ("HR", "LR", "MSE", "Man", "Euc")]  # fmt: skip
    assert titles == ["HR", "LR", "MSE", "Man 64", "Euc 512"]
    theirs = drawing.data[drawing.data["method"] == "paper"]
    assert theirs[["psnr", "psnr_y"]].iloc[0].tolist() == [29.08, 29.79]
    assert "29.08 / 29.79; 26.14 / 26.45; 25.53 / 26.78 dB" in drawing.words
    mse = drawing.data.set_index("method").loc["pecl-mse"]
    assert f"{mse['psnr']:.2f} / {mse['psnr_y']:.2f}" in found


def test_what_the_ablation_lacks_is_said(tmp_path: Path) -> None:
    drawing = qualitative_ablation.draw(load(with_samples(make_run(tmp_path / "run", FEW), (3,))))
    assert drawing.data["method"].tolist() == ["pecl", "hr", *["paper"] * 3]
    assert "No result yet of: MSE, Euclidean." in drawing.words
    with pytest.raises(NothingToDraw, match="no method of the ablation"):
        qualitative_ablation.draw(load(make_run(tmp_path / "other", FEW[:3])))


# -- training data ---------------------------------------------------------------------------------


def make_exhibits(run: Run, **changes: Any) -> Path:
    folder = run.folder / "hr" / "seed0" / "exhibits"
    folder.mkdir()
    conditions = ["typical", "darkest", "smallest", "tilted clockwise"]
    rows = []
    for i, condition in enumerate(conditions):
        pixels = np.full((64, 96, 3), 50 * i, np.uint8)
        Image.fromarray(pixels).save(folder / f"plate{i:02}.png")
        rows.append({
            "file": f"plate{i:02}.png", "name": "x.jpg", "text": "皖A12345", "condition": condition, "brightness": 9,
            "blur": 30, "tilt": 12.4, "skew": -3.2, "area": 0.01, "box_height": 30, "box_width": 90, "height": 64,
            "width": 96, **changes,
        })  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "exhibits.csv", index=False)
    pairs = []
    for i in range(3):
        for kind, side in (("hr", 64), ("lr", 8)):
            Image.fromarray(np.full((side, side, 3), 60 * i, np.uint8)).save(folder / f"patch{i:02}-{kind}.png")
        pairs.append({"hr": f"patch{i:02}-hr.png", "lr": f"patch{i:02}-lr.png", "iteration": 1, "position": i})
    pd.DataFrame(pairs).to_csv(folder / "patches.csv", index=False)
    return folder


def test_training_plates_are_labelled_with_what_they_were_chosen_by(run: Run) -> None:
    make_exhibits(run)
    drawing = training.draw(load(run))
    assert words(drawing.figure) == [
        "typical", "brightness 9", "darkest", "90×30 px", "smallest", "+12°", "tilted clockwise",
    ]  # fmt: skip
    assert drawing.data["tilt"].tolist() == [12.4] * 4 and "contains pictures" in drawing.words


def test_patches_stand_in_two_rows(run: Run) -> None:
    make_exhibits(run)
    drawing = patches.draw(load(run))
    assert words(drawing.figure) == ["HR, 64×64 px", "LR, 8×8 px, pixels enlarged"]
    assert drawing.figure is not None and len(drawing.figure.axes) == 6 and len(drawing.data) == 3


def test_an_exhibit_that_cannot_be_shown_is_marked(run: Run) -> None:
    folder = make_exhibits(run, brightness="<b>", text="京" * 50)
    spoil(folder / "plate01.png", "noise")
    spoil(folder / "patch02-lr.png", "missing")
    drawing = training.draw(load(run))
    assert "no picture" in words(drawing.figure) and "brightness —" in words(drawing.figure)
    assert "Not shown: hr/seed0/exhibits/plate01.png" in drawing.words
    assert "there is no training example 'patch02-lr.png'" in patches.draw(load(run)).words


@pytest.mark.parametrize("file", ["../../../pecl/seed0/samples/0003.png", "/etc/passwd", ""])
def test_a_table_of_exhibits_cannot_point_elsewhere(run: Run, file: str) -> None:
    make_exhibits(run, file=file)
    with pytest.raises(NothingToDraw, match="there is no training example"):
        training.draw(load(run))


@pytest.mark.parametrize("content", ["", "file,text\nplate00.png,x\n", 'file\n\0"\n'])
def test_a_broken_table_of_exhibits_says_so(run: Run, content: str) -> None:
    folder = make_exhibits(run)
    for table in ("exhibits.csv", "patches.csv"):
        (folder / table).write_text(content, encoding="utf-8")
    for module in (training, patches):
        with pytest.raises(NothingToDraw, match=r"cannot be read|lacks"):
            module.draw(load(run))


def test_the_report_can_do_without_pictures(run: Run) -> None:
    modules = builder._modules()
    showing = {name for name, module in modules.items() if getattr(module, "PICTURES", False)}
    assert {"training_plates", "patches", "qualitative", "qualitative_ablation"} <= showing


def test_the_same_results_give_the_same_bytes(run: Run) -> None:
    make_exhibits(run)
    results = load(run)
    for suffix in ("png", "pdf"):
        first, second = (style.encode(training.draw(results).figure, suffix) for _ in range(2))  # type: ignore[arg-type]
        assert first == second
