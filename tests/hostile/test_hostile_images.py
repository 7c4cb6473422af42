"""Pictures from strangers: every file is a plate or is listed with a reason; only what was handed in is read."""

from __future__ import annotations

import os
import random
import resource
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from benchmark.data.pack import prepare
from benchmark.util.errors import UserError
from hostile import images
from hostile.limits import within


def test_every_kind_of_file(tmp_path: Path) -> None:
    kinds = images.kinds(random.Random(0))
    paths = images.write(tmp_path / "data", list(kinds.values()))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with within(60):
        found = images.check(tmp_path / "data", tmp_path / "packs")
        reasons = images.reasons(tmp_path / "data")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 700_000  # kB: no bomb was unpacked
    bad = {kind for kind, path in zip(kinds, paths, strict=True) if path in reasons}
    assert bad >= images.BAD_KINDS and not bad & images.GOOD_KINDS
    assert found["refused"] == len(reasons)


def test_pictures_are_what_they_were(tmp_path: Path) -> None:
    source = random.Random(7)
    grey = images.picture(source, "L")
    clear = images.picture(source)
    contents = [images.encode(grey), images.encode(clear), images.encode(clear, "BMP")]
    paths = images.write(tmp_path / "data", contents)
    plates = prepare(tmp_path / "data", tmp_path / "packs", counts=images.COUNTS, workers=1, say=lambda _: None)
    found = {plate.name: plate.hr for plate in plates}
    for path, image in zip(paths, (grey, clear)):
        assert np.array_equal(found[path], np.asarray(image.convert("RGB").crop(images.BOX)))
    assert paths[2] not in found


def test_mutated_pictures(tmp_path: Path) -> None:
    images.write(tmp_path / "data", list(islice(images.mutants(random.Random(0)), 150)))
    with within(60):
        found = images.check(tmp_path / "data", tmp_path / "packs")
    assert found["accepted"] > 20 and found["refused"] > 50


def test_pipes_links_and_names_that_are_no_text(tmp_path: Path) -> None:
    images.write(tmp_path / "data", [])
    odd = images.odd_files(tmp_path / "data")
    with within(60):
        found = images.check(tmp_path / "data", tmp_path / "packs")
        reasons = images.reasons(tmp_path / "data")
    assert found["accepted"] == images.GOOD_FILES and odd <= set(reasons)
    assert "link" in reasons["out"] and "link" in reasons[images.name(80_002)]


def test_a_folder_of_nothing_but_rubbish(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for i, (kind, content) in enumerate(images.kinds(random.Random(0)).items()):
        if kind in images.BAD_KINDS:
            (tmp_path / "data" / images.name(i)).write_bytes(content)
    with pytest.raises(UserError, match="can be read"), within(60):
        prepare(tmp_path / "data", tmp_path / "packs", counts=images.COUNTS, workers=1, say=lambda _: None)


def test_pictures_to_upscale(tmp_path: Path) -> None:
    taken = set()
    for i, (kind, content) in enumerate(images.kinds(random.Random(0)).items()):
        (tmp_path / f"{i}.png").write_bytes(content)
        with within(60):
            taken |= {kind} if images.check_upscaling(tmp_path / f"{i}.png") == "accepted" else set()
    assert taken >= images.GOOD_KINDS and not taken & {"a bomb", "text", "zip", "EPS", "PDF", "16 bits", "half a JPEG"}
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    for name in ("pipe.png", "absent.png", "folder.png"):
        with within(20):
            assert images.check_upscaling(tmp_path / name) == "refused"
    for content in islice(images.mutants(random.Random(3)), 60):
        (tmp_path / "mutant.png").write_bytes(content)
        with within(60):
            images.check_upscaling(tmp_path / "mutant.png")
