"""The committed reference run: whole, as its checksums say, and what the README shows of it."""

from __future__ import annotations

import reference_table
import torch

from benchmark.results import shipped, verify
from benchmark.results.store import find_runs, read_result
from benchmark.util.files import checksum


def test_every_result_fits_its_checksums_and_its_scores_their_rows() -> None:
    (run,) = find_runs(reference_table.REFERENCE, None)
    verified = verify.verify_run(run)
    assert not verified.faults and len(verified.results) > 20


def test_the_readme_shows_the_reference_run() -> None:
    readme = (reference_table.ROOT / "README.md").read_text(encoding="utf-8")
    assert reference_table.written(readme) == reference_table.table()


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
