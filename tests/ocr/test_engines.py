"""Reading plates: rectification, comparison of texts, and the OCR engines."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmark.data.texts import normalise
from benchmark.ocr import paddle, rapid
from benchmark.ocr.crnn import CrnnEngine
from benchmark.ocr.engines import make_engine
from benchmark.ocr.paddle import PaddleEngine
from benchmark.ocr.rapid import RapidEngine
from benchmark.ocr.reading import (
    HEIGHT,
    WIDTH,
    Reading,
    character_accuracy,
    edit_distance,
    rectify,
)
from benchmark.util.errors import UserError

ROOT = Path(__file__).parents[2]
MODEL_SHA256 = "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b"


# -- rectification ---------------------------------------------------------------------------------


def corners(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    """Of an upright plate, in CCPD's order: bottom right, bottom left, top left, top right."""
    return np.array([[x1, y1], [x0, y1], [x0, y0], [x1, y0]], dtype=np.float32)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_a_plate_that_is_rectified_already_stays_as_it_is() -> None:
    image = noise(HEIGHT, WIDTH)
    assert np.array_equal(rectify(image, corners(0, 0, WIDTH, HEIGHT)), image)


def test_whole_pixels_are_cut_out_exactly() -> None:
    image = noise(96, 256)
    assert np.array_equal(rectify(image, corners(30, 20, 30 + WIDTH, 20 + HEIGHT)), image[20:68, 30:198])


def test_the_order_of_the_corners_is_ccpds() -> None:
    image = np.zeros((100, 200, 3), np.uint8)
    image[:50, :100], image[:50, 100:], image[50:, :100], image[50:, 100:] = 10, 60, 120, 250
    plate = rectify(image, corners(20, 10, 180, 90))
    assert [plate[y, x, 0] for y in (5, 42) for x in (10, 157)] == [10, 60, 120, 250]


def test_a_slanted_plate_is_straightened() -> None:
    straight = np.kron(noise(4, 7), np.ones((12, 24, 1), np.uint8))
    slanted = np.array([[190, 95], [22, 118], [12, 40], [170, 12]], dtype=np.float32)
    flat = np.array([[WIDTH, HEIGHT], [0, HEIGHT], [0, 0], [WIDTH, 0]], dtype=np.float32)
    transform = cv2.getPerspectiveTransform(flat - 0.5, slanted - 0.5)
    picture = cv2.warpPerspective(straight, transform, (210, 130), flags=cv2.INTER_LINEAR)
    back = rectify(picture, slanted)
    centres = (slice(6, None, 12), slice(12, None, 24))
    assert np.abs(back[centres].astype(int) - straight[centres]).max() <= 6


def test_corners_outside_the_picture_continue_its_edge() -> None:
    image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    assert (rectify(image, corners(-20, -9, WIDTH + 30, HEIGHT + 5)) == 90).all()


def test_rectify_refuses_what_is_no_picture_or_no_plate() -> None:
    image = noise(64, 64)
    for bad in (image.astype(np.float32), image[..., 0]):
        with pytest.raises(ValueError, match="expected uint8"):
            rectify(bad, corners(0, 0, 9, 9))
    with pytest.raises(ValueError, match="four corners"):
        rectify(image, np.zeros((3, 2), np.float32))


# -- texts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("皖A·12345", "皖A12345"),
        (" 皖A.123-45 ", "皖A12345"),
        ("皖A•1 2_3・4:5", "皖A12345"),
        ("皖a12b4z", "皖A12B4Z"),
        ("皖Ａ１２３４５", "皖A12345"),
        ("粤AD12345", "粤AD12345"),
        ("·-. ", ""),
        ("", ""),
    ],
)
def test_normalise(raw: str, clean: str) -> None:
    assert normalise(raw) == clean


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [
        ("", "", 0),
        ("", "ABC", 3),
        ("ABC", "", 3),
        ("ABC", "ABC", 0),
        ("KITTEN", "SITTING", 3),
        ("FLAW", "LAWN", 2),
        ("皖A12345", "苏A12345", 1),
        ("皖A12345", "A12345", 1),
        ("皖A12345", "皖A1234S5", 1),
        ("AB", "BA", 2),
    ],
)
def test_edit_distance(a: str, b: str, distance: int) -> None:
    assert edit_distance(a, b) == distance


plate_texts = st.text(alphabet="皖苏AB12", max_size=9)


@given(plate_texts, plate_texts, plate_texts)
def test_edit_distance_is_a_distance(a: str, b: str, c: str) -> None:
    assert edit_distance(a, b) == edit_distance(b, a)
    assert (edit_distance(a, b) == 0) == (a == b)
    assert abs(len(a) - len(b)) <= edit_distance(a, b) <= max(len(a), len(b))
    assert edit_distance(a, c) <= edit_distance(a, b) + edit_distance(b, c)


def test_character_accuracy() -> None:
    assert character_accuracy("皖A12345", "皖A12345") == 1.0
    assert character_accuracy("", "皖A12345") == 0.0
    assert character_accuracy("苏B67890", "皖A12345") == 0.0
    assert character_accuracy("皖A1234", "皖A12345") == pytest.approx(6 / 7)
    assert character_accuracy("皖A123456789012", "皖A12345") == 0.5
    assert character_accuracy("", "") == 1.0


# -- RapidOCR --------------------------------------------------------------------------------------


def drawn(text: str, seed: int = 0) -> np.ndarray:
    """A rectified plate with a text on it: white on blue, a little noise."""
    image = np.full((HEIGHT, WIDTH, 3), (20, 60, 170), np.uint8)
    cv2.putText(image, text, (10, 36), cv2.FONT_HERSHEY_DUPLEX, 1.0, (240, 240, 240), 2, cv2.LINE_AA)
    noisy = image + np.random.default_rng(seed).normal(0, 6, image.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


TEXTS = ["A12345", "B67890", "H3K7P2", "XYZ246", "W8M5T1", "C4D9E3", "770077"]


@pytest.fixture(scope="module")
def engine() -> RapidEngine:
    return RapidEngine(threads=2)


def test_rapid_reads_plates_in_order(engine: RapidEngine) -> None:
    readings = engine.read([drawn(text) for text in TEXTS])
    assert [normalise(reading.text) for reading in readings] == TEXTS
    assert all(0.7 < reading.confidence <= 1.0 for reading in readings)


def test_a_reading_does_not_depend_on_its_batch_nor_on_threads(engine: RapidEngine) -> None:
    images = [drawn(text, seed) for seed, text in enumerate(TEXTS)] + [noise(HEIGHT, WIDTH, 3)]
    together = engine.read(images)
    assert [engine.read([image])[0] for image in images] == together
    assert engine.read(images[::-1]) == together[::-1]
    assert RapidEngine(threads=1).read(images) == together


def test_nothing_read_has_no_confidence(engine: RapidEngine) -> None:
    assert engine.read([np.zeros((HEIGHT, WIDTH, 3), np.uint8)]) == [Reading("", 0.0)]
    assert engine.read([]) == []


def test_rapid_reads_what_rapidocr_itself_does(engine: RapidEngine) -> None:
    from rapidocr import RapidOCR

    own = RapidOCR(params={"Global.log_level": "critical"})
    for image in [drawn(text, seed) for seed, text in enumerate(TEXTS)]:
        result = own(np.ascontiguousarray(image[..., ::-1]), use_det=False, use_cls=False, use_rec=True)
        [reading] = engine.read([image])
        assert (reading.text,) == result.txts
        assert reading.confidence == pytest.approx(result.scores[0], abs=1e-4)


def test_every_character_has_a_probability(engine: RapidEngine) -> None:
    for reading in [*engine.read([drawn(text) for text in TEXTS]), *CrnnEngine().read([drawn("A12345")])]:
        assert len(reading.characters) == len(reading.text) > 0
        assert np.mean(reading.characters) == pytest.approx(reading.confidence)


def test_rapid_says_what_it_is(engine: RapidEngine) -> None:
    about = engine.describe()
    assert about["name"] == "rapid" and about["version"].startswith("rapidocr 3.8")
    assert about["model"] == "ch_PP-OCRv4_rec_mobile.onnx" and about["sha256"] == MODEL_SHA256
    assert about["input"] == [168, 48]


def test_rapid_is_offline_and_silent(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("tried to reach the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert normalise(RapidEngine().read([drawn("A12345")])[0].text) == "A12345"
    assert capfd.readouterr() == ("", "")


def test_a_missing_model_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rapid, "MODEL", "no_such_model.onnx")
    with pytest.raises(UserError, match=r"rapidocr 3\.8.*pip install 'rapidocr>=3\.8,<3\.9'") as caught:
        make_engine("rapid")
    assert "\n" not in str(caught.value)


def test_opencv_that_does_not_load_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(UserError, match=r"OpenCV.*libgl1"):
        make_engine("rapid")


def test_engines_refuse_what_is_not_rectified(engine: RapidEngine) -> None:
    with pytest.raises(ValueError, match="expected uint8 48×168×3"):
        engine.read([noise(64, 160)])


def test_make_engine() -> None:
    assert make_engine("none") is None
    assert isinstance(make_engine("rapid", threads=1), RapidEngine)
    with pytest.raises(UserError, match="rapid, hyperlpr, paddle, crnn, none"):
        make_engine("tesseract")


# -- PaddleOCR, in a process of its own ------------------------------------------------------------

WORKER = """
import json, struct, sys
print(json.dumps({"version": "fake 1", "model": "m", "sha256": "00"}), flush=True)
while len(header := sys.stdin.buffer.read(12)) == 12:
    count, height, width = struct.unpack("<3I", header)
    pixels = sys.stdin.buffer.read(count * height * width * 3)
    size = height * width * 3
    firsts = [pixels[i * size] for i in range(count)]
    if 13 in firsts:
        print(json.dumps({"error": "ValueError: 13"}), flush=True)
    elif 66 in firsts:
        sys.exit("MemoryError: all of it")
    else:
        print(json.dumps({"readings": [[f"皖{first}", first / 255] for first in firsts]}), flush=True)
"""


def fake_engine(tmp_path: Path, worker: str = WORKER) -> PaddleEngine:
    script = tmp_path / "worker.py"
    script.write_text(worker, encoding="utf-8")
    return PaddleEngine(command=[sys.executable, str(script)])


def filled(value: int) -> np.ndarray:
    return np.full((HEIGHT, WIDTH, 3), value, np.uint8)


def test_paddle_protocol(tmp_path: Path) -> None:
    engine = fake_engine(tmp_path)
    assert engine._worker is None  # nothing runs before it is needed
    values = [5 + i % 7 for i in range(150)]  # more than one message
    assert engine.read([filled(v) for v in values]) == [Reading(f"皖{v}", v / 255) for v in values]
    about = {"name": "paddle", "version": "fake 1", "model": "m", "sha256": "00", "input": [168, 48]}
    assert engine.describe() == about
    worker = engine._worker
    engine.close()
    assert worker is not None and worker.returncode == 0
    assert engine.read([filled(9)])[0].text == "皖9"  # starts again
    engine.close()


def test_paddle_worker_that_complains_or_dies(tmp_path: Path) -> None:
    engine = fake_engine(tmp_path)
    with pytest.raises(RuntimeError, match="ValueError: 13"):
        engine.read([filled(13)])
    assert engine.read([filled(4)])[0].text == "皖4"
    with pytest.raises(RuntimeError, match="ended with code 1: MemoryError: all of it"):
        engine.read([filled(66)])
    engine.close()


def test_paddle_that_cannot_start_is_one_clear_line(tmp_path: Path) -> None:
    offline = 'print(\'{"error": "Exception: no model hoster"}\')'
    for worker, reason in ((offline, "no model hoster"), ("import no_such_module", "no_such_module")):
        with pytest.raises(UserError, match=rf"{reason}.*scoring\.paddle_model=DIR") as caught:
            fake_engine(tmp_path, worker).describe()
        assert "\n" not in str(caught.value)


def test_paddle_missing_or_without_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"inference\.yml.*scoring\.paddle_model=DIR"):
        make_engine("paddle", model_dir=tmp_path)
    monkeypatch.setattr(paddle.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install '\.\[paddle\]'"):
        make_engine("paddle")


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_paddle_worker_ends_with_its_parent(tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text(WORKER, encoding="utf-8")
    parent = f"""
        import os, sys
        from benchmark.ocr.paddle import PaddleEngine
        engine = PaddleEngine(command=[sys.executable, {str(tmp_path / "worker.py")!r}])
        engine.describe()
        print(engine._worker.pid, flush=True)
        os.kill(os.getpid(), 9)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(parent)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == -9, done.stderr
    worker = Path("/proc") / done.stdout.strip() / "cmdline"
    deadline = time.monotonic() + 10
    while worker.exists() and b"worker.py" in worker.read_bytes():
        assert time.monotonic() < deadline, "the worker outlived its parent"
        time.sleep(0.05)


FAKE_PADDLE = """
import os, types
print("Creating model")                 # PaddleOCR talks on standard output,
os.system("echo from a C++ library")    # and so do its libraries

class TextRecognition:
    def __init__(self, *, model_name, model_dir, device, cpu_threads, enable_mkldnn):
        assert (model_name, device, cpu_threads, enable_mkldnn) == ("my_rec", "cpu", 3, False)
        self.paddlex_predictor = types.SimpleNamespace(model_dir=model_dir)

    def predict(self, pictures, batch_size):
        print("predicting")
        assert all(p.flags.c_contiguous and p.shape == (48, 168, 3) for p in pictures)
        return [{"rec_text": "-".join(map(str, p[0, 0])), "rec_score": p[0, 0, 0] / 255} for p in pictures]
"""


def test_worker_drives_paddleocr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "paddleocr.py").write_text(FAKE_PADDLE, encoding="utf-8")
    for package in ("paddleocr", "paddlepaddle"):
        facts = tmp_path / f"{package}-3.9.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 3.9\n")
    model = tmp_path / "model"
    model.mkdir()
    (model / "inference.yml").write_text("Global:\n  model_name: my_rec\n")
    (model / "inference.pdiparams").write_bytes(b"weights")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)

    engine = make_engine("paddle", model_dir=Path("model"), threads=3)
    assert isinstance(engine, PaddleEngine)
    about = engine.describe()
    assert about["version"] == "paddleocr 3.9, paddlepaddle 3.9" and about["model"] == "my_rec"
    assert about["sha256"] == hashlib.sha256(b"weights").hexdigest()
    image = filled(0)
    image[:] = (10, 20, 51)
    assert engine.read([image, filled(7)]) == [Reading("51-20-10", 0.2), Reading("7-7-7", 7 / 255)]
    engine.close()


def test_ocr_is_light_to_import() -> None:
    code = "import sys, benchmark.ocr.engines; sys.exit(any(m in sys.modules for m in ('torch', 'cv2', 'rapidocr')))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**os.environ}, check=False).returncode == 0


def test_reading_real_plates_imports_no_drawing_of_synthetic_ones() -> None:
    code = """
        import sys
        import benchmark.ocr.crnn, benchmark.scoring.plate_scores
        drawing = ("benchmark.data.synthetic", "benchmark.ocr.pretraining")
        sys.exit(any(name.startswith(drawing) for name in sys.modules))
    """
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, check=False).returncode == 0


def test_crnn_reads_what_its_network_was_trained_to() -> None:
    from benchmark.ocr.crnn import WEIGHTS, CrnnEngine, load_reader

    engine, (trained, _) = CrnnEngine(), load_reader(WEIGHTS)
    images = [drawn(text, seed) for seed, text in enumerate(TEXTS)] + [noise(HEIGHT, WIDTH, 3)]
    with torch.inference_mode():
        rgb = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) / 255.0
        assert [r.text for r in engine.read(images)] == [r.text for r in trained.read(rgb)]
        # Folding the normalisation into the convolutions moves nothing but rounding.
        assert (engine._network(rgb) - trained(rgb)).abs().max() < 1e-3
