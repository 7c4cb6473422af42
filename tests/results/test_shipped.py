"""Weights that are handed on: exported with what they score, used without training, refused where they do not fit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import Call, exported
from PIL import Image
from safetensors.torch import load_file, save_file

import methods
from benchmark.results import export, shipped
from benchmark.results.store import read_result


def picture(path: Path) -> Path:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 17, 3), dtype=np.uint8)).save(path)
    return path


def edit(folder: Path, **changes: Any) -> None:
    """Change what the index says of its first method."""
    index = json.loads((folder / shipped.INDEX).read_text())
    index["methods"][0] |= changes
    (folder / shipped.INDEX).write_text(json.dumps(index))


def test_exported_weights_upscale_as_those_of_the_result_do(trained: Path, call: Call, tmp_path: Path) -> None:
    folder, said = exported(call)
    assert "espcn" in said and "fp16" in said and "median PSNR moved by 0.0" in said
    assert {value.dtype for value in load_file(folder / "espcn.safetensors").values()} == {torch.float16}

    lr = picture(tmp_path / "lr.png")
    code, out, err = call("upscale", "--method", "espcn", lr, "--out", tmp_path / "a", "--device", "cpu")
    assert code == 0 and out == f"{tmp_path}/a/lr.png\n"
    assert err.startswith("ESPCN, 2 iterations × 2 patches of ccpd, weights in ") and "no evidence: of its test" in err
    assert call("upscale", trained / "tiny/espcn/seed0", lr, "--out", tmp_path / "b", "--device", "cpu")[0] == 0
    a, b = (np.asarray(Image.open(tmp_path / side / "lr.png")).astype(int) for side in "ab")
    assert a.shape == (48, 136, 3) and np.abs(a - b).max() <= 1


def test_the_index_says_what_the_weights_are(trained: Path, call: Call) -> None:
    folder, _ = exported(call)
    index = shipped.read_index(folder)
    result = read_result(trained / "tiny" / "espcn" / "seed0")
    assert result is not None
    (facts,) = index.methods  # bicubic has none
    assert (facts.method, facts.version, facts.identity) == ("espcn", 1, result.record.identity)
    assert facts.scores == result.record.scores.best and facts.data == result.record.data
    assert facts.file is not None and facts.file.moved_db <= export.MOVED_DB
    assert facts.trained_sha256 == result.record.files["weights.safetensors"].sha256
    assert "--methods bicubic,espcn" in facts.command


def test_the_model_card_says_what_the_weights_are_not_for(trained: Path, call: Call) -> None:
    folder, _ = exported(call)
    card = (folder / "README.md").read_text()
    assert "**Not for evidence**" in card and "rate of confident mistakes of crnn: ESPCN" in card
    assert "2 iterations of 2 patches" in card and "| Bicubic, for comparison |" in card
    assert shipped.read_index(folder).methods[0].file.sha256 in card  # type: ignore[union-attr]


def test_what_is_too_large_has_its_hash_and_its_command(trained: Path, call: Call) -> None:
    folder, said = exported(call, "--limit", 0.1)
    assert "not shipped: more than 100 kB" in said and not list(folder.glob("*.safetensors"))
    card = (folder / "README.md").read_text()
    assert "espcn: not shipped" in card and "benchmark run --run tiny" in card
    code, _, err = call("upscale", "--method", "espcn", "picture.png")
    assert code == 2 and "too large to be shipped: train them with `python -m benchmark run" in err


def test_only_the_methods_that_are_named_are_exported(trained: Path, call: Call) -> None:
    folder, _ = exported(call, "--methods", "table1")
    assert [facts.method for facts in shipped.read_index(folder).methods] == ["espcn"]
    code, _, err = call("weights", "export", "--run", "tiny", "--methods", "srcnn", "--device", "cpu")
    assert code == 2 and "holds no weights of srcnn of seed 0 that can be exported" in err


def test_without_the_plates_weights_are_exported_as_they_are(trained: Path, call: Call) -> None:
    (trained / "packs").rename(trained / "elsewhere")
    folder, said = exported(call)
    assert "is neither beside it nor in its data.cache: no weights can be tested in half precision" in said
    assert {value.dtype for value in load_file(folder / "espcn.safetensors").values()} == {torch.float32}


def test_half_precision_that_moves_scores_is_not_taken(
    trained: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_halved", lambda value: (value * 1.5).half())
    folder, said = exported(call)
    assert "fp32" in said and "fp16" not in said
    stored = load_file(trained / "tiny" / "espcn" / "seed0" / "weights.safetensors")
    for name, value in load_file(folder / "espcn.safetensors").items():
        assert torch.equal(value, stored[name])


def test_weights_that_are_not_at_hand_are_refused_with_both_ways_on(trained: Path, call: Call) -> None:
    code, _, err = call("upscale", "--method", "srcnn", "picture.png")
    assert code == 2 and err.count("\n") == 1
    assert "no weights of srcnn at hand (there are: none): train it (python -m benchmark run --methods srcnn)" in err
    assert "or fetch results/reference/NAME/weights of the repository, to the same place below" in err
    assert "did you mean espcn" in call("upscale", "--method", "esspcn", "picture.png")[2]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": 2}, "are of version 2 of the method, and this is version 1: train it"),
        ({"options": {"depth": 3}}, "option depth: the method has none of that name"),
        ({"version": "1"}, "is not an index of weights: methods.0.version: "),
        ({"method": "vdsr"}, "unknown to the method"),
    ],
)
def test_weights_that_do_not_fit_are_refused_in_one_line(
    trained: Path, call: Call, changes: dict[str, Any], reason: str
) -> None:
    folder, _ = exported(call)
    edit(folder, **changes)
    code, _, err = call("upscale", "--method", changes.get("method", "espcn"), picture(folder / "lr.png"))
    assert code == 2 and reason in err and err.count("\n") == 1


def test_a_file_of_another_hash_is_refused(trained: Path, call: Call) -> None:
    folder, _ = exported(call)
    weights = load_file(folder / "espcn.safetensors")
    save_file({name: value + 1 for name, value in weights.items()}, folder / "espcn.safetensors")
    code, _, err = call("upscale", "--method", "espcn", picture(folder / "lr.png"))
    assert code == 2 and "the hash of espcn.safetensors is not the one in weights.json" in err
    (folder / "espcn.safetensors").unlink()
    assert "espcn.safetensors is not there" in call("upscale", "--method", "espcn", folder / "lr.png")[2]


def test_an_index_that_is_none_is_refused_in_one_line(trained: Path, call: Call) -> None:
    folder, _ = exported(call)
    for content in ("{", "[]", "[" * 100_000, '{"schema": 9, "run": "x", "commit": null, "methods": []}'):
        (folder / shipped.INDEX).write_text(content)
        code, _, err = call("upscale", "--method", "espcn", picture(folder / "lr.png"))
        assert code == 2 and "is not an index of weights: " in err and err.count("\n") == 1


def test_the_reference_trained_longest_on_real_plates_is_taken(trained: Path, call: Call) -> None:
    folder, _ = exported(call)
    others = {"long": ("real", 9), "drawn": ("synthetic", 99)}
    index = json.loads((folder / shipped.INDEX).read_text())
    for name, (data, iterations) in others.items():
        place = folder.parents[1] / name / "weights"
        place.mkdir(parents=True)
        entry = index["methods"][0]
        entry |= {"data": {**entry["data"], "name": data}, "iterations": iterations}
        (place / shipped.INDEX).write_text(json.dumps({**index, "run": name}))
    assert shipped.find("espcn").run == "long"
    assert shipped.find("espcn", folder).run == "tiny"
    assert methods.get("espcn").version == shipped.find("espcn").facts.version


def test_the_report_shows_what_shipped_weights_make_of_drawn_plates(trained: Path, call: Call) -> None:
    asked = ("report", "--only", "shipped_weights")
    assert "the run ships no weights" in call(*asked)[1]
    folder, _ = exported(call)
    place = trained / "tiny" / "weights"
    shutil.copytree(folder, place, dirs_exist_ok=True)
    code, _, err = call(*asked)
    assert code == 0 and not err
    data = pd.read_csv(trained / "tiny/report/shipped_weights.csv")
    assert list(data["title"].unique()) == ["Bicubic", "ESPCN"] and data["index"].nunique() == 3
    first = (trained / "tiny/report/shipped_weights.png").read_bytes()
    call(*asked)
    assert (trained / "tiny/report/shipped_weights.png").read_bytes() == first

    (place / "espcn.safetensors").write_bytes(b"of another hash")
    code, out, _ = call(*asked)
    assert code == 0 and "the hash of espcn.safetensors is not the one in weights.json" in " ".join(out.split())

    edit(place, method="of-a-plug-in")
    code, out, _ = call(*asked)
    assert code == 0 and "no method 'of-a-plug-in'" in " ".join(out.split())
