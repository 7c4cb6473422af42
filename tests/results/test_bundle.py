"""A run in one file: the same bytes every time, scores as they were, and nothing that says which plates they are of."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hostile.bundles import members_of, pack, record
from typer.testing import CliRunner

from benchmark.cli import main
from benchmark.results.bundle import KEPT, MANIFEST, protocol_of
from benchmark.results.bundle_reading import opened
from benchmark.results.bundle_writing import write_bundle
from benchmark.results.store import Run
from benchmark.results.verify import verify_run
from benchmark.util.errors import UserError
from paper_figures.common.loading import load
from paper_figures.report import compare

REFERENCE = Path(__file__).parents[2] / "results" / "reference" / "quick-synthetic"
TAKEN = ("hr/seed0", "bicubic/seed0", "espcn/seed0", "espcn/seed1")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("results") / "demo"
    for place in TAKEN:
        shutil.copytree(REFERENCE / place, folder / place)
    return Run(folder)


@pytest.fixture(scope="module")
def file(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundles") / "demo.bundle.zip"
    assert write_bundle(run, path, by="Somebody") == []
    return path


def test_a_bundle_holds_records_and_tables_and_nothing_else(file: Path) -> None:
    with zipfile.ZipFile(file) as members:
        names = members.namelist()
        manifest = json.loads(members.read(MANIFEST))
    tables = {place: ("plates.csv",) if place.startswith("hr") else ("history.csv", "plates.csv") for place in TAKEN}
    wanted = {f"{place}/{name}" for place in TAKEN for name in ("result.json", *tables[place])}
    assert set(names) == {MANIFEST, *wanted} == {MANIFEST, *manifest["members"]}
    assert (manifest["bundle"], manifest["run"], manifest["by"]) == (1, "demo", "Somebody")
    assert file.stat().st_size < 100_000


def test_nothing_says_which_plates_the_scores_are_of(run: Run, file: Path) -> None:
    plates = pd.read_csv(run.place("espcn", 0) / "plates.csv", dtype=str)
    with zipfile.ZipFile(file) as members:
        content = b"".join(members.read(name) for name in members.namelist()).decode()
    for text, name in zip(plates["text"], plates["name"], strict=True):
        assert text not in content and name not in content
    assert not any(read in content for read in plates["read"].dropna() if len(read) > 4)


def test_nothing_says_where_the_run_lay(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.folder, tmp_path / "run")
    path = tmp_path / "run" / "espcn" / "seed0" / "result.json"
    record = json.loads(path.read_text())
    record["provenance"]["command"] = (
        "python -m benchmark run --data '/home/somebody/my plates/CCPD' --results ~/out --set data.cache=/big/packs"
    )
    record["config"]["data"]["folder"] = "/home/somebody/my plates/CCPD"
    path.write_text(json.dumps(record))
    write_bundle(Run(tmp_path / "run"), tmp_path / "file.bundle.zip")
    with zipfile.ZipFile(tmp_path / "file.bundle.zip") as members:
        bundled = json.loads(members.read("espcn/seed0/result.json"))
    assert bundled["provenance"]["command"] == (
        "python -m benchmark run --data CCPD --results out --set data.cache=packs"
    )
    assert bundled["config"]["data"]["folder"] == "CCPD" and bundled["identity"] == record["identity"]


def test_scores_are_as_they_were_and_plates_of_one_text_stay_together(run: Run, file: Path) -> None:
    with opened(file) as (copy, manifest):
        for result in copy.results():
            own = run.result(result.method, result.seed)
            assert own is not None and protocol_of(own.record) == manifest.protocol
            assert result.record.scores == own.record.scores and result.record.identity == own.record.identity
            pd.testing.assert_frame_equal(result.history(), own.history())
            mine, theirs = result.plates(), own.plates()
            assert set(mine) <= set(KEPT)
            scores = [name for name in mine if name != "text"]
            pd.testing.assert_frame_equal(mine[scores], theirs[scores])
            assert np.array_equal(pd.factorize(mine["text"])[0], pd.factorize(theirs["text"])[0])
        assert verify_run(copy).faults == []
        folder = copy.folder
    assert not folder.exists()


def test_the_same_run_gives_the_same_bytes(run: Run, file: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere" / "demo"
    shutil.copytree(run.folder, moved)
    write_bundle(Run(moved), tmp_path / "again.zip", by="Somebody")
    assert (tmp_path / "again.zip").read_bytes() == file.read_bytes()


def test_results_that_do_not_fit_are_not_bundled(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.folder, tmp_path / "run")
    table = tmp_path / "run/espcn/seed0/plates.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("18.1", "28.1", 1), encoding="utf-8")
    with pytest.raises(
        UserError, match=r"nothing was bundled: espcn/seed0: .* and \d+ more \(python -m benchmark verify"
    ):
        write_bundle(Run(tmp_path / "run"), tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()


def test_a_run_of_two_protocols_is_not_bundled(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.results.bundle_writing.verify_result", lambda result: SimpleNamespace(problems=[]))
    shutil.copytree(run.folder, tmp_path / "run")
    record = tmp_path / "run/bicubic/seed0/result.json"
    info = json.loads(record.read_text(encoding="utf-8"))
    info["judge"]["sha256"] = "0" * 64
    record.write_text(json.dumps(info), encoding="utf-8")
    with pytest.raises(UserError, match="holds results of 2 protocols"):
        write_bundle(Run(tmp_path / "run"), tmp_path / "out.zip")


def test_failures_are_left_out_and_said(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.folder, tmp_path / "run")
    (tmp_path / "run/espcn/seed1/result.json").write_text("{")
    (left_out,) = write_bundle(Run(tmp_path / "run"), tmp_path / "out.zip")
    assert left_out.startswith("espcn/seed1/result.json: ")
    with pytest.raises(UserError, match="holds no finished result"):
        write_bundle(Run(tmp_path / "empty"), tmp_path / "none.zip")


def test_a_bundle_stands_in_for_a_run_in_a_comparison(run: Run, file: Path, tmp_path: Path) -> None:
    with opened(file) as (copy, _):
        pairs = compare.compare(copy, run), compare.compare(run, copy)
    for comparison in pairs:
        assert comparison.conditions == []
        compared = [each for each in comparison.differences if each.name != "hr"]  # of which PSNR is infinite
        assert compared and all(each.paired and each.interval and each.interval.value == 0 for each in compared)
        espcn = next(each.interval for each in compared if each.name == "espcn")
        assert espcn is not None and (espcn.plates, espcn.seeds) == (100, 2)
        assert espcn.clusters == load(run).plates["text"].nunique()
    called = CliRunner().invoke(main.app, ["report", "--compare", str(file), str(run.folder)])
    assert called.exit_code == 0 and (file.parent / "compare-demo.md").is_file(), called.output
    assert "bundle/demo" in (file.parent / "compare-demo.md").read_text(encoding="utf-8")


def test_a_bundle_can_be_verified_again(file: Path, tmp_path: Path) -> None:
    fits = CliRunner().invoke(main.app, ["verify", str(file)])
    assert fits.exit_code == 0 and fits.output.startswith(str(file)) and "4 results, all fit" in fits.output
    edited = record(members_of(file), "bicubic/seed0", lambda info: info["scores"]["best"]["psnr"].update(mean=99.0))
    odd = CliRunner().invoke(main.app, ["verify", str(pack(tmp_path / "odd.zip", edited))])
    assert odd.exit_code == 1 and "scores.best.psnr.mean is 99.0, but plates.csv gives" in odd.output


def test_the_command_names_the_file_and_its_size(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    called = CliRunner().invoke(main.app, ["bundle", "demo", "--results", str(run.folder.parent)])
    assert called.exit_code == 0 and called.output.startswith("written: demo.bundle.zip (")
    absent = CliRunner().invoke(main.app, ["bundle", "nothing", "--results", str(run.folder.parent)])
    assert isinstance(absent.exception, UserError) and "no run 'nothing'" in str(absent.exception)
