"""The committed reference run: whole, as its checksums say, and what the README shows of it."""

from __future__ import annotations

import reference_table

from benchmark.results import verify
from benchmark.results.store import find_runs


def test_every_result_fits_its_checksums_and_its_scores_their_rows() -> None:
    (run,) = find_runs(reference_table.REFERENCE, None)
    verified = verify.verify_run(run)
    assert not verified.faults and len(verified.results) > 20


def test_the_readme_shows_the_reference_run() -> None:
    readme = (reference_table.ROOT / "README.md").read_text(encoding="utf-8")
    assert reference_table.written(readme) == reference_table.table()


def test_it_holds_no_weights_and_no_pictures_of_plates() -> None:
    kinds = {path.suffix for path in reference_table.REFERENCE.rglob("*") if path.is_file()}
    assert kinds == {".json", ".csv", ".md", ".tex", ".png"}
    inside = {path.parent.name for path in reference_table.REFERENCE.rglob("*.png")}
    assert inside == {"report"}
