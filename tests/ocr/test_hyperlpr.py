"""HyperLPR's recognizer: the same numbers as OpenCV's Caffe reader gives, and what it makes of plates.

Real plates are read only with CCPD_ROOT naming a folder of them.
"""

from __future__ import annotations

import ast
import hashlib
from importlib import metadata
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from benchmark.data.pack import load_crop, scan
from benchmark.data.texts import normalise
from benchmark.ocr import hyperlpr
from benchmark.ocr.engines import make_engine
from benchmark.ocr.hyperlpr import MODEL, SHA256, HyperLprEngine
from benchmark.ocr.hyperlpr_network import CLASSES
from benchmark.ocr.pretraining.dataset import draw_held_out
from benchmark.ocr.reading import HEIGHT, WIDTH, rectify
from benchmark.util.errors import UserError


@pytest.fixture(scope="module")
def engine() -> HyperLprEngine:
    return HyperLprEngine()


def packaged(file: str) -> Path:
    return Path(str(metadata.distribution("hyperlpr").locate_file(file)))


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, HEIGHT, WIDTH, 3), dtype=np.uint8)


# -- the network -----------------------------------------------------------------------------------


def patterns() -> np.ndarray:
    """Three pictures of blocks of chance, float32 3×3×160×40 in [0, 1]."""
    random = np.random.default_rng(0)
    pictures = np.kron(random.random((3, 3, 20, 5)), np.ones((8, 8))).astype(np.float32)
    pictures[1] = np.kron(random.random((3, 40, 10)), np.ones((4, 4)))
    pictures[2] = np.kron(random.integers(0, 2, (1, 32, 8)), np.ones((5, 5)))
    return pictures


# Likeliest classes and their probabilities for `patterns`, by OpenCV 4.14's readNetFromCaffe of the package's files.
LIKELIEST = [
    [83, 83, 18, 52, 83, 61, 61, 83, 83, 83, 83, 45, 83, 83, 39, 83, 83, 83, 83, 83],
    [83, 83, 18, 52, 83, 39, 83, 83, 39, 83, 36, 37, 83, 33, 32, 83, 83, 40, 83, 83],
    [83, 83, 29, 42, 36, 83, 83, 83, 39, 83, 83, 83, 83, 83, 83, 83, 83, 34, 83, 49],
]
PROBABILITIES = [
    [1.0, 0.999736, 0.250297, 0.725370, 0.991765, 0.486095, 0.694136, 0.988141, 0.784463, 0.715366,
     0.914863, 0.774708, 0.998988, 0.998979, 0.479812, 0.816776, 0.978915, 0.666994, 0.707509, 0.996177],
    [1.0, 0.999266, 0.384494, 0.732917, 0.925054, 0.233771, 0.822288, 0.998957, 0.348064, 0.549783,
     0.442507, 0.449522, 0.917555, 0.541217, 0.428717, 0.998887, 0.988145, 0.332501, 0.943444, 0.885545],
    [1.0, 1.0, 0.819560, 0.478511, 0.256956, 0.722060, 0.966355, 0.789212, 0.185191, 0.995830,
     0.935503, 0.440076, 0.956529, 0.985536, 0.593574, 0.978996, 0.996676, 0.379227, 0.957550, 0.692541],
]  # fmt: skip


def test_the_network_computes_what_opencvs_caffe_reader_does(engine: HyperLprEngine) -> None:
    with torch.inference_mode():
        probabilities = engine._network(torch.from_numpy(patterns())).numpy()
    assert probabilities.shape == (3, 20, 84)
    assert probabilities.sum(axis=2) == pytest.approx(1.0, abs=1e-5)
    assert probabilities.argmax(axis=2).tolist() == LIKELIEST
    assert probabilities.max(axis=2) == pytest.approx(np.array(PROBABILITIES), abs=1e-4)


@pytest.mark.skipif(int(cv2.__version__.split(".")[0]) >= 5, reason="OpenCV 5 reads no Caffe models")
def test_every_probability_is_that_of_opencv(engine: HyperLprEngine) -> None:
    folder = packaged(MODEL).parent
    network = cv2.dnn.readNetFromCaffe(  # type: ignore[attr-defined,unused-ignore]
        str(folder / "SegmenationFree-Inception.prototxt"), str(folder / "SegmenationFree-Inception.caffemodel")
    )
    network.setInput(patterns())
    with torch.inference_mode():
        ours = engine._network(torch.from_numpy(patterns())).numpy()
    assert ours == pytest.approx(network.forward()[..., 0].transpose(0, 2, 1), abs=1e-4)


def test_classes_are_those_of_the_package() -> None:
    [table] = ast.parse(packaged("hyperlpr/table_chs.py").read_text(encoding="utf-8")).body
    assert isinstance(table, ast.Assign)
    assert [*ast.literal_eval(table.value), ""] == list(CLASSES)


# -- the engine ------------------------------------------------------------------------------------


def test_it_reads_synthetic_plates(engine: HyperLprEngine) -> None:
    plates, texts = draw_held_out(41, 60, workers=1)
    readings = engine.read(list(plates))
    right = sum(a == b for r, text in zip(readings, texts) for a, b in zip(r.text, text))
    assert right / sum(map(len, texts)) > 0.9  # it takes the 3 of the drawn font for an 8
    for reading in readings:
        assert len(reading.characters) == len(reading.text)
        assert reading.confidence == pytest.approx(np.mean(reading.characters))


def test_a_reading_depends_neither_on_its_batch_nor_on_threads(engine: HyperLprEngine) -> None:
    images = [*draw_held_out(42, 12, workers=1)[0], *noise(9)]
    together = engine.read(images)
    alone = [engine.read([image])[0] for image in images]
    assert [reading.text for reading in alone] == [reading.text for reading in together]
    assert [reading.confidence for reading in alone] == pytest.approx([r.confidence for r in together], abs=1e-5)
    assert HyperLprEngine(threads=3).read(images) == together


def test_pictures_without_a_plate(engine: HyperLprEngine) -> None:
    flat = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for reading in engine.read([flat, flat + 255, *noise(2), noise(1)[0, :, ::-1]]):
        assert 0 <= reading.confidence <= 1
        assert (reading.text == "") == (reading.confidence == 0)
    assert engine.read([]) == []
    with pytest.raises(ValueError, match="48×168×3"):
        engine.read([np.zeros((40, 160, 3), np.uint8)])


def test_torch_is_left_as_it_was(engine: HyperLprEngine) -> None:
    before, state = torch.get_num_threads(), torch.get_rng_state()
    HyperLprEngine().read(list(noise(2)))
    assert torch.get_num_threads() == before
    assert torch.equal(torch.get_rng_state(), state)


def test_it_says_what_it_is(engine: HyperLprEngine) -> None:
    about = engine.describe()
    assert about["name"] == "hyperlpr" and about["version"] == "hyperlpr 0.0.2" and about["input"] == [168, 48]
    assert about["model"] == "SegmenationFree-Inception.caffemodel"
    assert about["sha256"] == hashlib.sha256(packaged(MODEL).read_bytes()).hexdigest() == SHA256
    assert "MIT" in about["license"] and "unknown" in about["training_data"]


def test_real_plates(ccpd_root: Path, engine: HyperLprEngine) -> None:
    sources, _ = scan(ccpd_root)
    chosen = sources[:: max(1, len(sources) // 200)][:200]
    texts = [source.annotation.text for source in chosen]
    plates = []
    for source in chosen:
        pixels, box = load_crop(ccpd_root, source)
        plates.append(rectify(pixels, np.array(source.annotation.vertices) - box[:2]))
    read = [normalise(reading.text) for reading in engine.read(plates)]
    assert sum(a == b for a, b in zip(read, texts)) / len(texts) >= 0.94
    assert sum(a[1:] == b[1:] for a, b in zip(read, texts)) / len(texts) >= 0.96


# -- a package that cannot be used -----------------------------------------------------------------


def refused() -> str:
    with pytest.raises(UserError) as caught:
        make_engine("hyperlpr")
    message = str(caught.value)
    assert "\n" not in message and "pip install hyperlpr==0.0.2" in message and "scoring.second=crnn" in message
    return message


def test_a_missing_package_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(hyperlpr.metadata, "distribution", missing)
    assert "not installed" in refused()


def test_another_or_a_damaged_model_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a_b$&%<script>车牌.caffemodel"
    monkeypatch.setattr(hyperlpr, "_model", lambda: file)
    assert "cannot be read" in refused()
    for content in (b"", b"no model", packaged(MODEL).read_bytes()[:-1]):
        file.write_bytes(content)
        assert "is not the recognizer of hyperlpr 0.0.2" in refused()
