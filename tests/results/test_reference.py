"""The committed reference runs: whole, as their checksums say, and what pages show of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import reference_table
import torch

from benchmark.results import shipped, verify
from benchmark.results.find_runs import find_runs
from benchmark.results.store import read_result
from benchmark.util.files import checksum


@pytest.mark.parametrize("folder", reference_table.RUNS, ids=lambda folder: folder.name)
def test_every_result_fits_its_checksums_and_its_scores_their_rows(folder: Path) -> None:
    (run,) = find_runs(folder, None)
    verified = verify.verify_run(run)
    assert not verified.faults and len(verified.results) > 8


@pytest.mark.parametrize("page", reference_table.PAGES, ids=lambda page: page.name)
def test_pages_show_what_the_reference_runs_hold(page: Path) -> None:
    written = reference_table.written(page.read_text(encoding="utf-8"))
    assert written == {name: reference_table.shown(name) for name in written} != {}


def test_the_references_hold_no_pictures_of_plates_and_weights_only_where_they_belong() -> None:
    files = [path for path in reference_table.REFERENCES.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".json", ".csv", ".md", ".tex", ".png", ".safetensors", ".sh"}
    assert {path.parent.name for path in files if path.suffix == ".png"} <= {"report"}
    assert {path.parent.name for path in files if path.suffix == ".safetensors"} <= {"weights"}
    assert max(path.stat().st_size for path in files) < 20_000_000


def test_shipped_weights_are_those_of_their_index_and_their_run() -> None:
    folders = shipped.folders()
    assert {path.parent for path in reference_table.REFERENCES.rglob("*.safetensors")} <= set(folders)
    for folder in folders:
        index = shipped.read_index(folder)
        named = {entry.file.name for entry in index.methods if entry.file}
        assert {path.name for path in folder.glob("*.safetensors")} == named
        for entry in index.methods:
            result = read_result(folder.parent / entry.method / "seed0")
            assert result is not None and result.record.identity == entry.identity
            assert result.record.files["weights.safetensors"].sha256 == entry.trained_sha256
            assert result.record.scores.best == entry.scores
            if entry.file:
                assert checksum(folder / entry.file.name)["sha256"] == entry.file.sha256
                shipped.create(shipped.find(entry.method, folder), torch.device("cpu"))
