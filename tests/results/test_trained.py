"""A stranger's result used for upscaling, and strangers' pictures: upscaled, or one clear line."""

from __future__ import annotations

import io
import json
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from whole_results import whole

import methods
from benchmark.data.pictures import scan
from benchmark.results.store import write_result
from benchmark.results.trained import load_method, pictures_in, read_picture, targets
from benchmark.util.errors import UserError

CPU = torch.device("cpu")


def put(folder: Path, method: str = "espcn", weights: dict[str, torch.Tensor] | None = None, **changes: Any) -> Path:
    """A finished result with these weights, or the method's own untrained ones."""
    folder.mkdir(parents=True)
    weights = methods.get(method).create().weights() if weights is None else weights
    save_file(weights, folder / "weights.safetensors")
    write_result(folder, whole(method=method, **changes))
    return folder


def test_what_holds_no_method_is_said_with_the_way_on(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no finished result in .*: name a folder RESULTS/RUN/METHOD/seedK"):
        load_method(tmp_path, CPU)
    bound = tmp_path / "hr"
    bound.mkdir()
    write_result(bound, whole(method="hr"))
    with pytest.raises(UserError, match="the HR plates' own scores, not a method: name the folder of a method"):
        load_method(bound, CPU)


# -- weights ---------------------------------------------------------------------------------------


def test_a_result_is_found_by_its_folder_wherever_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = put(tmp_path / "downloaded")
    assert load_method(folder, CPU).name == "espcn"
    monkeypatch.chdir(folder)
    assert load_method(Path("."), CPU).num_parameters() == 78_816


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"options": {"dimension": 10**9}}, "option dimension: "),
        ({"options": {"dimension": "128; import os"}}, "option dimension: "),
        ({"options": {"__class__": 1}}, "option __class__: the method has none of that name"),
        ({"options": {"embedder_init": "https://evil.example/x"}}, "option embedder_init: "),
    ],
)
def test_options_are_checked_before_anything_is_built(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    folder = put(tmp_path / "r", "pecl", {"x": torch.zeros(1)}, **changes)
    with pytest.raises(UserError, match=reason):
        load_method(folder, CPU)


def test_options_that_contradict_what_the_method_fixes_are_refused(tmp_path: Path) -> None:
    folder = put(tmp_path / "r", "pecl-printed", {"x": torch.zeros(1)}, options={"term": "attract"})
    with pytest.raises(UserError, match="pecl-printed fixes term=printed, so term=attract cannot"):
        load_method(folder, CPU)


def test_weights_that_are_not_those_of_the_result_are_refused(tmp_path: Path) -> None:
    folder = put(tmp_path / "r")
    other = {name: value + 1 for name, value in methods.get("espcn").create().weights().items()}
    save_file(other, folder / "weights.safetensors")
    with pytest.raises(UserError, match="not those that were scored"):
        load_method(folder, CPU)
    (folder / "weights.safetensors").unlink()
    with pytest.raises(UserError, match=r"weights\.safetensors is not there"):
        load_method(folder, CPU)


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 8, struct.pack("<Q", 1 << 62), b"PK\x03\x04" + b"\0" * 60, b"\x80\x04."]
)
def test_what_is_no_safetensors_file_is_refused(tmp_path: Path, content: bytes) -> None:
    folder = put(tmp_path / "r")
    (folder / "weights.safetensors").write_bytes(content)
    write_result(folder, whole(method="espcn"))
    with pytest.raises(UserError, match=r"weights\.safetensors is damaged"):
        load_method(folder, CPU)


def test_weights_are_not_read_through_links_or_pipes(tmp_path: Path) -> None:
    folder = put(tmp_path / "r", schema=2)  # which lists no files
    info = json.loads((folder / "result.json").read_text())
    del info["files"]
    (folder / "result.json").write_text(json.dumps(info))
    (folder / "weights.safetensors").rename(tmp_path / "w")
    (folder / "weights.safetensors").symlink_to(tmp_path / "w")
    with pytest.raises(UserError, match="is a symbolic link"):
        load_method(folder, CPU)
    (folder / "weights.safetensors").unlink()
    os.mkfifo(folder / "weights.safetensors")
    with pytest.raises(UserError, match="is not an ordinary file"):
        load_method(folder, CPU)


# -- pictures --------------------------------------------------------------------------------------


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


COLOURS = np.arange(6 * 4 * 3, dtype=np.uint8).reshape(6, 4, 3) * 3
RGB = Image.fromarray(COLOURS)


def declared(width: int, height: int) -> bytes:
    """A PNG that says it has this size, and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "cannot identify image file"),
        (b"not a picture", "cannot identify image file"),
        (encoded(RGB)[:50], "truncated|broken|cannot"),
        (declared(20_000, 20_000), "are more than|decompression bomb"),
        (declared(1_001, 1_000), "1001×1000 pixels are more than 1,000,000: cut out the plate"),
        (declared(4, 0), "cannot|tile|size"),
        (encoded(Image.fromarray(np.zeros((4, 4), np.uint16))), "more than 8 bits a channel"),
        (encoded(Image.fromarray(np.zeros((4, 4), np.float32)), "TIFF"), "cannot identify"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run\n", "cannot identify"),
    ],
)
def test_what_cannot_be_upscaled_is_one_clear_line(tmp_path: Path, content: bytes, reason: str) -> None:
    file = tmp_path / "x.png"
    file.write_bytes(content)
    with pytest.raises(UserError, match=reason) as caught:
        read_picture(file)
    assert str(file) in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_pictures_of_every_kind_become_rgb(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    kinds = {
        "palette.png": (encoded(RGB.quantize(256)), COLOURS),
        "grey.png": (encoded(RGB.convert("L")), np.asarray(RGB.convert("L").convert("RGB"))),
        "alpha.png": (encoded(RGB.convert("RGBA")), COLOURS),
        "turned.png": (encoded(RGB, exif=exif), np.rot90(COLOURS, -1)),
        "lossless.webp": (encoded(RGB, "WEBP", lossless=True), COLOURS),
        "plain.bmp": (encoded(RGB, "BMP"), COLOURS),
    }
    for name, (content, expected) in kinds.items():
        (tmp_path / name).write_bytes(content)
        assert np.array_equal(read_picture(tmp_path / name), expected), name
    (tmp_path / "print.jpg").write_bytes(encoded(RGB.convert("CMYK"), "JPEG"))
    assert read_picture(tmp_path / "print.jpg").shape == (6, 4, 3)


def test_nothing_but_files_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path, tmp_path / "pipe.png", tmp_path / "nowhere.png"):
        with pytest.raises(UserError, match="no picture"):
            read_picture(path)


def test_output_stays_in_its_folder_and_replaces_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert targets([Path("/a/../b/x.jpg"), Path("..x.png")], out) == {
        Path("/a/../b/x.jpg"): out / "x.png", Path("..x.png"): out / "..x.png",
    }  # fmt: skip
    with pytest.raises(UserError, match=r"would both become .*out/x\.png"):
        targets([Path("a/x.png"), Path("b/x.jpg")], out)
    with pytest.raises(UserError, match="would be replaced by its upscaled self"):
        targets([out / "x.png"], out)
    (tmp_path / "same").symlink_to(out)
    with pytest.raises(UserError, match="would be replaced by its upscaled self"):
        targets([tmp_path / "same" / "x.png"], out)


def test_one_bad_picture_does_not_cost_the_others(call: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    folder, out = put(tmp_path / "r"), tmp_path / "out"
    good, bad = tmp_path / "good.png", tmp_path / "bad\x1b[2J.png"
    good.write_bytes(encoded(RGB))
    bad.write_bytes(b"")
    out.mkdir()
    (tmp_path / "victim").write_text("precious")
    (out / "good.png").symlink_to(tmp_path / "victim")
    code, said, errors = call("upscale", folder, bad, good, "--out", out, "--device", "cpu")
    assert code == 2 and said.strip() == str(out / "good.png")
    assert errors.count("\n") == 1 and "cannot read" in errors and "\x1b" not in errors
    assert Image.open(out / "good.png").size == (32, 48) and (tmp_path / "victim").read_text() == "precious"


@pytest.mark.parametrize("colour", [0, 2, 4, 6])
def test_sixteen_bits_of_any_colour_are_refused_with_the_way_on(tmp_path: Path, colour: int) -> None:
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    rows = b"".join(b"\0" + bytes(range(16 * channels * 2)) for _ in range(16))

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 16, 16, 16, colour, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    with pytest.raises(UserError, match="more than 8 bits a channel: convert it to 8 bits"):
        read_picture(tmp_path / "x.png")


@pytest.mark.parametrize("hole", [0, 40, 300])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_damaged_jpeg_is_refused(tmp_path: Path, mode: str, hole: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    whole = encoded(Image.fromarray(noise).convert(mode), "JPEG")
    start = whole.index(b"\xff\xda") + 200
    (tmp_path / "x.jpg").write_bytes(whole[:start] + bytes(hole) + whole[start + hole :])
    if hole:
        with pytest.raises(UserError, match=r"cannot read .*x\.jpg: a damaged JPEG: "):
            read_picture(tmp_path / "x.jpg")
    else:
        assert read_picture(tmp_path / "x.jpg").shape == (64, 96, 3)


@pytest.mark.parametrize("kind", ["TIFF", "JPEG2000", "AVIF"])
def test_formats_that_may_be_deeper_are_refused(tmp_path: Path, kind: str) -> None:
    try:
        Image.new("RGB", (32, 32)).save(tmp_path / "x", kind)
    except (OSError, KeyError):
        pytest.skip(f"this Pillow writes no {kind}")
    with pytest.raises(UserError, match="cannot read"):
        read_picture(tmp_path / "x")


def test_a_folder_stands_for_the_pictures_in_it(tmp_path: Path, call: Callable[..., tuple[int, str, str]]) -> None:
    folder = tmp_path / "pictures"
    (folder / "sub").mkdir(parents=True)
    for name in ("b.png", "a.JPG", "sub/c.png"):
        Image.new("RGB", (16, 8), (9, 99, 199)).save(folder / name)
    (folder / "notes.txt").write_text("x")
    single = tmp_path / "single.bmp"
    Image.new("RGB", (8, 8)).save(single)
    assert pictures_in([single, folder]) == [single, folder / "a.JPG", folder / "b.png"]
    result, out = put(tmp_path / "r" / "espcn" / "seed0"), tmp_path / "out"
    code, said, _ = call("upscale", result, folder, single, "--out", out, "--device", "cpu")
    assert code == 0 and sorted(path.name for path in out.iterdir()) == ["a.png", "b.png", "single.png"]
    assert Image.open(out / "a.png").size == (128, 64) and len(said.splitlines()) == 3
    (tmp_path / "empty").mkdir()
    code, _, error = call("upscale", result, tmp_path / "empty", "--out", out)
    assert code == 2 and "no picture in the folder" in error and "its sub-folders are not read" in error


def test_what_was_upscaled_is_not_taken_for_a_photograph(
    tmp_path: Path, call: Callable[..., tuple[int, str, str]], make_ccpd: Callable[..., Path]
) -> None:
    folder = make_ccpd()
    result = put(tmp_path / "r" / "espcn" / "seed0")
    assert call("upscale", result, folder / "ccpd_base", "--out", folder / "upscaled", "--device", "cpu")[0] == 0
    sources, odd = scan(folder)
    assert len(list((folder / "upscaled").iterdir())) == len(sources) == len(odd) == 24
