"""PaddleOCR itself, in a process of its own: exported networks of known weights, no model, no network."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import math
import os
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmark.ocr import paddle as paddle_engine
from benchmark.ocr.paddle import PaddleEngine
from benchmark.ocr.reading import HEIGHT, WIDTH, Reading
from benchmark.util.errors import UserError

INSTALLED = all(importlib.util.find_spec(package) for package in ("paddleocr", "paddle"))


def paddle(test):  # type: ignore[no-untyped-def]
    """Mark a test that needs PaddleOCR."""
    return pytest.mark.paddle(pytest.mark.skipif(not INSTALLED, reason="the extra `paddle` is not installed")(test))


# -- a tiny recogniser -----------------------------------------------------------------------------

STRIDE = 8
"""Columns of a plate that the network looks at for one character; PP-OCR's own stride."""
CHARACTERS = "皖A12345B"

EXPORT = """
import sys
import numpy as np
import paddle

class Recogniser(paddle.nn.Layer):  # pictures N×3×48×W to probabilities N×W/8×classes
    def __init__(self, weight, bias):
        super().__init__()
        classes, channels, height, width = weight.shape
        self.look = paddle.nn.Conv2D(channels, classes, (height, width), stride=(height, width))
        self.look.weight.set_value(weight)
        self.look.bias.set_value(bias)

    def forward(self, pictures):
        logits = self.look(pictures).squeeze(2).transpose([0, 2, 1])
        return paddle.nn.functional.softmax(logits, axis=-1)

arrays = np.load(sys.argv[1])
network = Recogniser(arrays["weight"], arrays["bias"])
network.eval()
pictures = paddle.static.InputSpec([None, 3, 48, None], "float32", "x")
paddle.jit.save(network, sys.argv[2], input_spec=[pictures])
"""


def export(folder: Path, weight: np.ndarray, bias: np.ndarray, name: str = "PP-OCRv4_mobile_rec") -> Path:
    """Write the network with these weights as PaddleOCR's tools export a recognition model.

    ``weight``: float32 classes×3×48×8 (channels blue, green, red), ``bias``: float32 classes. The classes
    are the blank, CHARACTERS and the space, which PaddleOCR adds to every alphabet.
    """
    folder.mkdir(parents=True)
    np.savez(folder / "weights.npz", weight=weight, bias=bias)
    (folder / "export.py").write_text(EXPORT, encoding="utf-8")  # paddle reads the source of what it exports
    command = [sys.executable, str(folder / "export.py"), str(folder / "weights.npz"), str(folder / "inference")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    prepare = [
        {"DecodeImage": {"channel_first": False, "img_mode": "BGR"}},
        {"RecResizeImg": {"image_shape": [3, HEIGHT, 320]}},
    ]
    settings = {
        "Global": {"model_name": name},
        "PreProcess": {"transform_ops": prepare},
        "PostProcess": {"name": "CTCLabelDecode", "character_dict": list(CHARACTERS)},
    }
    (folder / "inference.yml").write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML
    return folder


COLOURS = np.array([[255 * (i >> 2 & 1), 255 * (i >> 1 & 1), 255 * (i & 1)] for i in range(8)], np.uint8)
"""One for every character: the corners of the RGB cube. The blank is grey."""


def colour_reader() -> tuple[np.ndarray, np.ndarray]:
    """Weights that read every 8 columns as the character whose colour they have.

    With x the mean colour, −1 to 1, and c that of a character, its logit is 4 (c·x − |c|²/2); 0 for the
    blank. On a pure colour: 6 for its character, −2, −10, −18 for those 1, 2, 3 channels away.
    """
    weight = np.zeros((len(CHARACTERS) + 2, 3, HEIGHT, STRIDE), np.float32)
    bias = np.zeros(len(weight), np.float32)
    signs = COLOURS[:, ::-1].astype(np.float32) / 127.5 - 1  # blue, green, red
    weight[1:9] = 4 * signs[:, :, None, None] / (HEIGHT * STRIDE)
    bias[1:9] = -6
    bias[9] = -1e4  # never a space
    return weight, bias


CONFIDENCE = 1 / (1 + math.exp(-6) + 3 * math.exp(-8) + 3 * math.exp(-16) + math.exp(-24))


def painted(text: str) -> np.ndarray:
    """A plate on which the colour reader reads ``text``, at most ten characters."""
    plate = np.full((HEIGHT, WIDTH, 3), 127, np.uint8)
    for place, character in enumerate(text):
        start = 2 * STRIDE * place
        plate[:, start : start + STRIDE] = COLOURS[CHARACTERS.index(character)]
    return plate


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tmp_path_factory.mktemp("paddle") / "colours", *colour_reader())


@pytest.fixture(scope="module")
def engine(model: Path) -> Iterator[PaddleEngine]:
    engine = PaddleEngine(model)
    yield engine
    engine.close()


# -- PaddleOCR reads -------------------------------------------------------------------------------


@paddle
def test_paddleocr_reads_what_is_painted(engine: PaddleEngine) -> None:
    texts = ["皖A12345", "皖B54321", "1122BBAA", "A"] * 5  # more than one batch
    readings = engine.read([painted(text) for text in texts])
    assert [reading.text for reading in readings] == texts
    assert [reading.confidence for reading in readings] == pytest.approx([CONFIDENCE] * len(texts), abs=1e-6)
    assert engine.read([painted("")]) == [Reading("", 0.0)]
    assert engine.read([]) == []


@paddle
def test_paddleocr_says_what_it_is(engine: PaddleEngine, model: Path) -> None:
    about = engine.describe()
    version, model_name = about.pop("version"), about.pop("model")
    assert version.startswith("paddleocr 3.") and ", paddlepaddle" in version
    assert model_name == "PP-OCRv4_mobile_rec"
    sha256 = hashlib.sha256((model / "inference.pdiparams").read_bytes()).hexdigest()
    assert about == {"name": "paddle", "sha256": sha256, "device": "cpu", "input": [WIDTH, HEIGHT]}


def expected(plate: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> Reading:
    """What a network of these weights reads: PP-OCR's preparation, greedy CTC decoding, mean probability."""
    prepared = np.zeros((HEIGHT, 320, 3))
    prepared[:, :WIDTH] = plate[..., ::-1] / 127.5 - 1  # padded on the right with grey
    patches = prepared.reshape(HEIGHT, 40, STRIDE, 3).transpose(1, 3, 0, 2).reshape(40, -1)
    logits = patches @ weight.reshape(len(weight), -1).T.astype(np.float64) + bias
    shares = np.exp(logits - logits.max(1, keepdims=True))
    best, certainty = logits.argmax(1), (shares / shares.sum(1, keepdims=True)).max(1)
    kept = [i for i in range(40) if best[i] != 0 and (i == 0 or best[i] != best[i - 1])]
    text = "".join((CHARACTERS + " ")[best[i] - 1] for i in kept)
    return Reading(text, float(np.mean([certainty[i] for i in kept])) if kept else 0.0)


@paddle
def test_paddleocr_reads_with_random_weights_what_numpy_does(tmp_path: Path) -> None:
    random = np.random.default_rng(7)
    weight = random.normal(0, 0.02, (len(CHARACTERS) + 2, 3, HEIGHT, STRIDE)).astype(np.float32)
    bias = random.normal(0, 0.1, len(weight)).astype(np.float32)
    plates = list(random.integers(0, 256, (21, HEIGHT, WIDTH, 3), dtype=np.uint8))
    first = PaddleEngine(export(tmp_path / "random", weight, bias))
    readings = first.read(plates)
    known = [expected(plate, weight, bias) for plate in plates]
    assert [reading.text for reading in readings] == [reading.text for reading in known]
    assert [reading.confidence for reading in readings] == pytest.approx([k.confidence for k in known], abs=1e-5)
    assert len({reading.text for reading in readings}) == len(plates)  # they tell something
    assert all(isinstance(reading.text, str) and 0 < reading.confidence < 1 for reading in readings)

    assert [first.read([plate])[0] for plate in plates] == readings  # whatever batch a plate is in
    first.close()
    assert first.read(plates) == readings  # another process
    first.close()


@paddle
def test_torch_stays_out_of_the_process(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = tmp_path / "imported"
    (tmp_path / "torch.py").write_text(f"open({str(trace)!r}, 'w').close()\n__version__ = '2.0'\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    engine = PaddleEngine(model)
    assert engine.read([painted("B")])[0].text == "B"
    engine.close()
    assert not trace.exists()


# -- no model, no network, no GPU ------------------------------------------------------------------


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """PaddleOCR's cache, empty, on a machine whose way out swallows everything. Returns the cache."""
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never answers
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            for variable in (name, name.upper()):
                monkeypatch.setenv(variable, f"http://127.0.0.1:{silent.getsockname()[1]}")
        for variable in ("no_proxy", "NO_PROXY", "PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK"):
            monkeypatch.delenv(variable, raising=False)
        monkeypatch.setenv("PADDLE_PDX_CACHE_HOME", str(tmp_path / "cache"))
        yield tmp_path / "cache"


@paddle
def test_no_model_and_no_network_is_one_clear_line(offline: Path) -> None:
    start = time.monotonic()
    with pytest.raises(UserError, match=r"network.*inference\.yml.*`--set scoring\.paddle_model=DIR`") as caught:
        PaddleEngine().describe()
    assert "\n" not in str(caught.value)
    assert time.monotonic() - start < 60


@paddle
def test_a_model_in_the_cache_needs_no_network(offline: Path, model: Path) -> None:
    (offline / "official_models").mkdir(parents=True)
    (offline / "official_models" / "PP-OCRv4_mobile_rec").symlink_to(model)
    engine = PaddleEngine()
    assert engine.read([painted("皖A12345")])[0].text == "皖A12345"
    assert engine.describe()["sha256"] == hashlib.sha256((model / "inference.pdiparams").read_bytes()).hexdigest()
    engine.close()


@paddle
def test_a_model_that_cannot_be_used_is_one_clear_line(model: Path, tmp_path: Path) -> None:
    broken = {
        "unknown": ('{"Global": {"model_name": "my_rec"}}', "my_rec"),
        "nameless": ("{}", r"no Global\.model_name"),
        "garbled": ("a: [", "parsing"),
    }
    for name, (settings, complaint) in broken.items():
        folder = tmp_path / name
        folder.mkdir()
        for file in ("inference.json", "inference.pdiparams"):
            os.link(model / file, folder / file)
        (folder / "inference.yml").write_text(settings, encoding="utf-8")
        with pytest.raises(UserError, match=rf"model in .*{name}.*{complaint}") as caught:
            PaddleEngine(folder).describe()
        assert "\n" not in str(caught.value)


@paddle
def test_a_gpu_that_is_not_there_is_one_clear_line(model: Path) -> None:
    for device in ("gpu:99", "cuda"):
        with pytest.raises(UserError, match=f"no device '{device}'"):
            PaddleEngine(model, device=device).describe()


@paddle
def test_a_gpu_reads_the_same(model: Path) -> None:
    code = "import sys, paddle; sys.exit(not paddle.device.cuda.device_count())"
    if subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode:
        pytest.skip("no GPU that PaddlePaddle can use")
    engine = PaddleEngine(model, device="gpu")
    assert engine.read([painted("皖A12345")])[0].text == "皖A12345"
    assert engine.describe()["device"] == "gpu"
    engine.close()


# -- without PaddleOCR -----------------------------------------------------------------------------


def test_a_start_that_hangs_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paddle_engine, "_START", 1.0)
    engine = PaddleEngine(command=[sys.executable, "-c", "import time; time.sleep(600)"])
    start = time.monotonic()
    with pytest.raises(UserError, match=r"no answer within 1 s.*scoring\.paddle_model=DIR"):
        engine.describe()
    assert time.monotonic() - start < 10


def test_a_slow_reading_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paddle_engine, "_START", 2.0)
    worker = """
        import json, sys, time
        print("{}", flush=True)
        sys.stdin.buffer.read(12 + 48 * 168 * 3)
        time.sleep(3)
        print(json.dumps({"readings": [["A", 0.5]]}), flush=True)
    """
    engine = PaddleEngine(command=[sys.executable, "-c", textwrap.dedent(worker)])
    assert engine.read([painted("A")]) == [Reading("A", 0.5)]
    engine.close()


def test_a_folder_without_weights_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "inference.yml").write_text("Global:\n  model_name: m\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"no inference\.pdiparams in .*scoring\.paddle_model=DIR"):
        PaddleEngine(tmp_path)


def test_last_words_have_no_colour() -> None:
    dying = "import sys; sys.exit('\\x1b[31mno memory\\x1b[0m')"
    with pytest.raises(UserError, match=r"ended with code 1: no memory\)"):
        PaddleEngine(command=[sys.executable, "-c", dying]).describe()
