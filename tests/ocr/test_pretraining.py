"""The readers of this project: CTC decoding, the engine `crnn`, and how they are trained and stored.

Real plates are read only with CCPD_ROOT naming a folder of them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torchvision.models import resnet18
from typer.testing import CliRunner

from benchmark.cli.main import app
from benchmark.data.pack import load_crop, scan
from benchmark.data.synthetic.camera import View
from benchmark.data.synthetic.plate_face import cells
from benchmark.data.texts import normalise
from benchmark.ocr import crnn, ctc
from benchmark.ocr.crnn import CrnnEngine
from benchmark.ocr.crnn_network import CLASSES, Crnn
from benchmark.ocr.pretraining import dataset, patches, trainer
from benchmark.ocr.pretraining.dataset import COLUMNS, ROWS, augment, draw_held_out, draw_windows, random_text
from benchmark.ocr.pretraining.learning import PretrainingRecipe, accuracy, learn
from benchmark.ocr.pretraining.trainer import (
    EMBEDDER,
    PATCH_READER,
    READER,
    Kind,
    fingerprint,
    stored_facts,
    stored_fingerprint,
    train,
)
from benchmark.ocr.reading import ALPHABET, HEIGHT, WIDTH, OcrEngine, Reading, rectify
from benchmark.util.errors import UserError
from methods.blocks.pretrained import patch_reader

CPU = torch.device("cpu")
KINDS = [READER, EMBEDDER, PATCH_READER]
TINY = PretrainingRecipe(
    seed=5, plates=6, iterations=2, batch_size=3, learning_rate=1e-3, weight_decay=1e-4, held_out=4
)


@pytest.fixture(scope="module")
def held_out() -> tuple[np.ndarray, list[str]]:
    return draw_held_out(41, 40, workers=1)


@pytest.fixture(scope="module")
def engine() -> CrnnEngine:
    return CrnnEngine()


# -- decoding --------------------------------------------------------------------------------------


def columns(*rows: dict[str, float]) -> torch.Tensor:
    """Logits of one picture whose columns have these probabilities ("" is the blank; the rest is spread evenly)."""
    probabilities = torch.zeros(1, len(rows), 1 + len(ALPHABET))
    for row, chances in zip(probabilities[0], rows):
        row[:] = (1 - sum(chances.values())) / (len(row) - len(chances))
        for character, chance in chances.items():
            row[1 + ALPHABET.index(character) if character else 0] = chance
    return probabilities.log()


def decode(logits: torch.Tensor) -> list[Reading]:
    return ctc.decode(logits.softmax(dim=2).numpy(), CLASSES)


def test_runs_are_merged_and_blanks_dropped() -> None:
    [reading] = decode(
        columns({"": 0.9}, {"皖": 0.8}, {"皖": 0.6}, {"": 0.7}, {"A": 0.5}, {"A": 0.9}, {"": 0.6}, {"A": 0.7})
    )
    assert reading.text == "皖AA"
    # The first column of each run, as PP-OCR counts.
    assert reading.confidence == pytest.approx((0.8 + 0.5 + 0.7) / 3, abs=1e-6)


def test_another_character_ends_a_run_without_a_blank() -> None:
    [reading] = decode(columns({"0": 0.9}, {"1": 0.7}, {"0": 0.8}))
    assert (reading.text, reading.confidence) == ("010", pytest.approx(0.8, abs=1e-6))


def test_nothing_but_blanks_is_nothing_read() -> None:
    assert decode(columns({"": 0.5}, {"": 0.99})) == [Reading("", 0.0)]


def test_pictures_are_decoded_one_by_one() -> None:
    both = torch.cat([columns({"7": 0.9}, {"": 0.9}), columns({"": 0.9}, {"学": 0.6})])
    assert [r.text for r in decode(both)] == ["7", "学"]


def test_the_alphabet_is_what_plates_bear() -> None:
    assert len(ALPHABET) == len(set(ALPHABET)) == 33 + 24 + 10
    assert not {"I", "O"} & set(ALPHABET)


# -- the engine -------------------------------------------------------------------------------------


def test_it_reads_synthetic_plates(engine: OcrEngine, held_out: tuple[np.ndarray, list[str]]) -> None:
    pictures, texts = held_out
    readings = engine.read(list(pictures))
    assert sum(r.text == t for r, t in zip(readings, texts)) >= 36  # of 40
    assert all(0 < r.confidence <= 1 for r in readings)


def test_a_reading_depends_on_its_own_picture_only(engine: OcrEngine, held_out: tuple[np.ndarray, list[str]]) -> None:
    pictures = list(held_out[0][:12])
    together = engine.read(pictures)
    assert [engine.read([picture])[0] for picture in pictures] == together
    assert engine.read(pictures[::-1]) == together[::-1]
    assert CrnnEngine(threads=5).read(pictures) == together
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert engine.read(pictures) == together
    finally:
        torch.set_num_threads(before)


def test_torch_is_left_as_it_was(held_out: tuple[np.ndarray, list[str]]) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    state = torch.get_rng_state()
    try:
        CrnnEngine(threads=3).read(list(held_out[0][:6]))
        assert torch.get_num_threads() == 2
        seen: list[int] = []
        thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert seen == [2]  # what threads of others will use
    finally:
        torch.set_num_threads(before)
    assert torch.equal(torch.get_rng_state(), state)


def test_pictures_without_a_plate(engine: OcrEngine) -> None:
    flat = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, flat.shape, dtype=np.uint8)
    mirrored = noise[:, ::-1]  # not contiguous
    for reading in engine.read([flat, flat + 255, noise, mirrored]):
        assert isinstance(reading.text, str)
        assert 0 <= reading.confidence <= 1
        assert (reading.text == "") == (reading.confidence == 0)
    assert engine.read([]) == []


@pytest.mark.parametrize("picture", [np.zeros((48, 160, 3), np.uint8), np.zeros((48, 168, 3), np.float32)])
def test_other_pictures_are_refused(engine: OcrEngine, picture: np.ndarray) -> None:
    with pytest.raises(ValueError, match="48×168×3"):
        engine.read([picture])


def test_it_says_what_it_is(engine: OcrEngine) -> None:
    sha256 = hashlib.sha256(crnn.WEIGHTS.read_bytes()).hexdigest()
    assert engine.describe() == {
        "name": "crnn",
        "version": "1",
        "model": "crnn.safetensors",
        "sha256": sha256,
        "input": [168, 48],
    }


def test_the_shipped_weights_are_those_of_the_recipe() -> None:
    """Fails where recipe, data or network have changed: `python -m benchmark data reader
    benchmark/ocr/crnn.safetensors` trains them anew."""
    facts = stored_facts(crnn.WEIGHTS)
    assert stored_fingerprint(crnn.WEIGHTS) == fingerprint(READER, READER.recipe)
    assert int(facts["plates"]) == READER.recipe.iterations * READER.recipe.batch_size
    assert float(facts["accuracy"]) >= 0.95
    assert crnn.WEIGHTS.stat().st_size < 3e6


def test_real_plates(ccpd_root: Path, engine: OcrEngine) -> None:
    sources, _ = scan(ccpd_root)
    right = tail = 0
    chosen = sources[:: max(1, len(sources) // 200)][:200]
    for source in chosen:
        pixels, box = load_crop(ccpd_root, source)
        plate = rectify(pixels, np.array(source.annotation.vertices) - box[:2])
        text = normalise(engine.read([plate])[0].text)
        right += text == source.annotation.text
        tail += text[-len(source.annotation.text) + 1 :] == source.annotation.text[1:]
    assert right / len(chosen) >= 0.68
    assert tail / len(chosen) >= 0.84


# -- weights that cannot be used -------------------------------------------------------------------


def refused(file: Path) -> str:
    with pytest.raises(UserError) as caught:
        CrnnEngine(weights=file)
    message = str(caught.value)
    assert "\n" not in message and str(file) in message and "data reader" in message
    return message


def test_missing_weights(tmp_path: Path) -> None:
    refused(tmp_path / "none.safetensors")


@pytest.mark.parametrize("kept", [0, 7, 300, -1])
def test_truncated_weights(tmp_path: Path, kept: int) -> None:
    file = tmp_path / "a_b$&%<script>车牌.safetensors"
    file.write_bytes(crnn.WEIGHTS.read_bytes()[:kept])
    refused(file)


def test_weights_of_another_network(tmp_path: Path) -> None:
    weights = load_file(crnn.WEIGHTS)
    file = tmp_path / "w.safetensors"
    for wrong in (
        {k: v for k, v in weights.items() if k != "classify.bias"},
        {**weights, "more": torch.zeros(1)},
        {**weights, "classify.bias": torch.zeros(5)},
    ):
        save_file(wrong, file)
        assert "another network" in refused(file)


def test_weights_that_are_not_finite(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    save_file({**load_file(crnn.WEIGHTS), "classify.bias": torch.full((1 + len(ALPHABET),), torch.nan).half()}, file)
    assert "not finite" in refused(file)


# -- plates to learn from --------------------------------------------------------------------------


def test_texts_are_those_of_plates() -> None:
    rng = np.random.default_rng(0)
    texts = [random_text(rng) for _ in range(3000)]
    assert {len(text) for text in texts} == {7, 8}
    assert set("".join(texts)) == set(ALPHABET)
    assert max(sum(text[0] == sign for text in texts) for sign in ALPHABET[:31]) < 200  # 97 on average


def test_a_window_depends_on_seed_and_number_alone() -> None:
    few, texts = draw_windows(3, 2, workers=1)
    more, more_texts = draw_windows(3, 3, workers=1)
    other, other_texts = draw_windows(4, 2, workers=1)
    assert few.shape == (2, HEIGHT + 2 * ROWS, WIDTH + 2 * COLUMNS, 3)
    assert np.array_equal(few, more[:2]) and texts == more_texts[:2]
    assert texts != other_texts and not np.array_equal(few, other)


def test_windows_are_plates_with_a_margin() -> None:
    coarse = np.random.default_rng(0).integers(0, 256, (6, 12, 3), dtype=np.uint8)
    photo = np.asarray(Image.fromarray(coarse).resize((240, 90), Image.Resampling.BICUBIC))
    vertices = np.array([[200, 70], [20, 72], [22, 14], [205, 10]], np.float32)
    window = dataset._window(photo, vertices)
    difference = window[ROWS:-ROWS, COLUMNS:-COLUMNS].astype(int) - rectify(photo, vertices)
    assert np.abs(difference).max() <= 4  # OpenCV rounds positions to 1/32 px


def test_augmentation_varies_what_is_seen() -> None:
    windows = torch.from_numpy(draw_windows(3, 2, workers=1)[0])
    first, again, later = (augment(windows, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert first.shape == (2, 3, HEIGHT, WIDTH) and first.dtype == torch.float32
    assert first.min() >= 0 and first.max() <= 1
    assert torch.equal(first, again)
    assert (first - later).abs().mean() > 0.01


# -- training --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_same_recipe_gives_the_same_bytes(tmp_path: Path, kind: Kind) -> None:
    state = torch.get_rng_state()
    files = []
    for name in "ab":
        torch.manual_seed(ord(name))  # the global random state is of no influence
        files.append(train(kind, tmp_path / f"{name}.safetensors", CPU, recipe=TINY, workers=1, say=lambda text: None))
    assert files[0].read_bytes() == files[1].read_bytes()
    assert stored_facts(files[0])["fingerprint"] == fingerprint(kind, TINY)
    assert not torch.are_deterministic_algorithms_enabled()
    torch.set_rng_state(state)


def test_a_trained_network_is_found_by_its_fingerprint(tmp_path: Path) -> None:
    file = tmp_path / "new folder" / "reader.safetensors"
    said: list[str] = []

    def ask(recipe: PretrainingRecipe, force: bool = False) -> int:
        train(READER, file, CPU, recipe=recipe, workers=1, force=force, say=said.append)
        return file.stat().st_mtime_ns

    first = ask(TINY)
    assert ask(TINY) == first
    assert "already" in said[-1]
    assert ask(TINY, force=True) > first
    changed = dataclasses.replace(TINY, learning_rate=2e-3)
    assert ask(changed) > first
    assert any("another recipe" in line for line in said)
    facts = stored_facts(file)
    assert facts["fingerprint"] == fingerprint(READER, changed)
    assert (facts["iterations"], facts["plates"]) == ("2", "6")
    assert 0 <= float(facts["accuracy"]) <= 1
    assert list(file.parent.iterdir()) == [file]


def test_a_damaged_file_is_trained_anew(tmp_path: Path) -> None:
    file = tmp_path / "reader.safetensors"
    file.write_bytes(b"not weights")
    assert stored_facts(file) == {}
    train(READER, file, CPU, recipe=TINY, workers=1, say=lambda text: None)
    assert CrnnEngine(weights=file).describe()["model"] == "reader.safetensors"


def test_a_place_that_cannot_be_written_is_found_before_the_training(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for out in (tmp_path / "file" / "reader.safetensors", tmp_path):
        with pytest.raises(UserError, match="cannot write"):
            train(READER, out, CPU, recipe=TINY, workers=1, say=lambda text: None)


def test_a_network_in_a_loss_is_no_ocr_engine() -> None:
    assert len({kind.recipe.seed for kind in KINDS}) == len({kind.build for kind in KINDS}) == len(KINDS)
    assert len({fingerprint(kind, TINY) for kind in KINDS}) == len(KINDS)


def test_an_embedder_trained_before_versions_were_declared_is_found(tmp_path: Path) -> None:
    """As `data embedder` stored it at commit d552f07: its fingerprint is a hash of the source of that commit."""
    file = tmp_path / "embedder.safetensors"
    old = "d022234589fd24cd2d99afc85420624b7a0b288124f06fb5b13ac082b019a2b8"
    save_file({"conv1.weight": torch.zeros(1)}, file, {"fingerprint": old})
    said: list[str] = []
    train(EMBEDDER, file, CPU, recipe=dataclasses.replace(EMBEDDER.recipe, iterations=12_000), say=said.append)
    assert len(said) == 1 and "is there already" in said[0]


@pytest.mark.parametrize("name", ["PRETRAINING_VERSION", "GENERATOR_VERSION"])
def test_a_raised_version_is_another_fingerprint(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(READER, READER.recipe)
    monkeypatch.setattr(trainer, name, getattr(trainer, name) + 1)
    assert fingerprint(READER, READER.recipe) != before
    assert stored_fingerprint(crnn.WEIGHTS) == before


def test_training_lowers_the_loss() -> None:
    windows, texts = draw_windows(8, 2, workers=1)
    recipe = dataclasses.replace(TINY, iterations=20)
    losses: list[float] = []
    network = learn(READER.build, recipe, windows, texts, CPU, lambda iteration, loss: losses.append(loss))
    assert len(losses) == 20 and losses[-1] < 0.8 * losses[0]
    assert not network.training


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_bf16_learns_other_weights_under_a_fingerprint_of_its_own(kind: Kind) -> None:
    windows, texts = kind.draw(8, 2, 1, lambda done: None)
    recipe = dataclasses.replace(TINY, iterations=3)
    losses: dict[str, list[float]] = {"fp32": [], "bf16": []}
    for precision, values in losses.items():
        changed = dataclasses.replace(recipe, precision=precision)
        note = lambda iteration, loss, v=values: v.append(loss)  # noqa: E731
        network = learn(kind.build, changed, windows, texts, CPU, note, kind.vary)
        assert all(p.dtype == torch.float32 for p in network.parameters())
    assert losses["bf16"] != losses["fp32"] and np.allclose(losses["bf16"], losses["fp32"], rtol=0.2)
    assert fingerprint(kind, dataclasses.replace(recipe, precision="bf16")) != fingerprint(kind, recipe)


def test_a_training_that_breaks_down_says_so() -> None:
    windows, texts = draw_windows(8, 2, workers=1)
    with pytest.raises(UserError, match="broke down at iteration"):
        learn(READER.build, dataclasses.replace(TINY, learning_rate=1e30, iterations=9), windows, texts, CPU)


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name in ("READER", "EMBEDDER", "PATCH_READER"):
        monkeypatch.setattr(trainer, name, dataclasses.replace(getattr(trainer, name), recipe=TINY))
    reader = tmp_path / "my reader.safetensors"
    for command in (["reader", str(reader)], ["embedder"], ["patch-reader"]):
        result = CliRunner().invoke(app, ["data", *command, "--device", "cpu", "--iterations", "1", "--plates", "3"])
        assert result.exit_code == 0, result.output
        assert "held-out synthetic plates" in result.output
    embedder = tmp_path / "torch" / "hub" / "checkpoints" / "resnet18-synthetic-plates.safetensors"
    for file in (reader, embedder, embedder.with_name("resnet18-synthetic-patches.safetensors")):
        assert (stored_facts(file)["iterations"], stored_facts(file)["plates"]) == ("1", "3")
        assert {"fingerprint", "accuracy"} <= set(stored_facts(file))
    absent, unknown = resnet18(weights=None).load_state_dict(load_file(embedder), strict=False)
    assert set(absent) == {"fc.weight", "fc.bias"} and not unknown
    assert patch_reader("")(torch.rand(1, 3, 64, 64)).shape == (1, patches.CLASSES, 4, 4)
    result = CliRunner().invoke(app, ["data", "reader", str(reader), "--device", "abacus"])
    assert isinstance(result.exception, UserError)


def test_accuracy_counts_plates_and_characters() -> None:
    class Fixed:
        def read(self, rgb: torch.Tensor) -> list[Reading]:
            assert rgb.shape == (2, 3, HEIGHT, WIDTH)
            return [Reading("皖A12345", 0.9), Reading("皖A1234", 0.2)]

    pictures = np.zeros((2, HEIGHT, WIDTH, 3), np.uint8)
    assert accuracy(Fixed(), pictures, ["皖A12345", "皖A12346"], CPU) == (0.5, (1 + 6 / 7) / 2)  # type: ignore[arg-type]


def test_logits_have_the_documented_shape() -> None:
    with torch.inference_mode():
        assert Crnn().eval()(torch.rand(2, 3, HEIGHT, WIDTH)).shape == (2, 42, 68)
        assert EMBEDDER.build().eval()(torch.rand(2, 3, HEIGHT, WIDTH)).shape == (2, 8, 68)


# -- patches ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["皖A12345", "粤BD12345"])
def test_the_class_of_a_pixel_is_what_lies_there(text: str) -> None:
    """A plate seen from the front, a pixel a millimetre."""
    width, margin = (440, 30) if len(text) == 7 else (480, 30)
    right, bottom = margin + width, margin + 140
    view = View(width + 60, 200, ((right, bottom), (margin, bottom), (margin, margin), (right, margin)))
    classes = patches.class_map(text, view)
    assert classes.shape == (200, width + 60)
    for character, (left, wide) in zip(text, cells(text)):
        cell = classes[margin + 26 : margin + 114, margin + int(left) + 1 : margin + int(left + wide) - 1]
        assert (cell == patches.FIRST_CHARACTER + ALPHABET.index(character)).all()
    assert classes[margin + 70, margin + 134] == patches.BETWEEN  # the dot, or the gap without it
    assert (classes[margin + 5, margin:right] == patches.BETWEEN).all()
    outside = classes.copy()
    outside[margin:bottom, margin:right] = patches.BACKGROUND
    assert not outside.any() and (classes[margin:bottom, margin:right] > 0).all()


def test_patches_are_a_function_of_seed_and_number() -> None:
    three, texts = patches.draw_patches(9, 3, workers=1)
    assert three.shape == (12, 96, 96, 4) and three.dtype == np.uint8 and len(texts) == 12
    assert np.array_equal(patches.draw_patches(9, 2, workers=1)[0], three[:8])
    assert not np.array_equal(patches.draw_patches(10, 2, workers=1)[0], three[:8])
    for window, text in zip(three, texts):
        characters = {ALPHABET[k - patches.FIRST_CHARACTER] for k in np.unique(window[..., 3]) if k > patches.BETWEEN}
        assert characters and characters <= set(text)


def test_varied_patches_keep_their_classes() -> None:
    windows = torch.from_numpy(patches.draw_patches(9, 2, workers=1)[0])
    one, other = (patches.vary(windows, torch.Generator().manual_seed(seed)) for seed in (1, 2))
    assert one.shape == (8, 4, 64, 64) and not torch.equal(one, other)
    assert torch.equal(one, patches.vary(windows, torch.Generator().manual_seed(1)))
    assert one[:, :3].min() >= 0 and one[:, :3].max() <= 1
    for patch, window in zip(one, windows):
        assert set(patch[3].unique().tolist()) <= set(window[..., 3].unique().tolist())


def test_a_reader_of_patches_learns_to_tell_what_stands_where() -> None:
    windows, texts = patches.draw_patches(8, 1, workers=1)
    recipe = dataclasses.replace(TINY, iterations=40, batch_size=6)
    untrained = learn(PATCH_READER.build, dataclasses.replace(recipe, learning_rate=0.0, iterations=1), windows, texts,
                      CPU, vary=patches.vary)  # fmt: skip
    network = learn(PATCH_READER.build, recipe, windows, texts, CPU, vary=patches.vary)
    before, after = (patches.accuracy(n, windows, CPU) for n in (untrained, network))
    assert set(after) == {"all", "characters", "between", "background"}
    assert before["all"] < 0.5 and after["all"] > 0.8 and after["characters"] > 0.5
