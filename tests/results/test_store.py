"""Results on disk: what counts as there, and who may write."""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from whole_results import whole

from benchmark.cli.main import status
from benchmark.results.find_runs import find_run, find_runs, run_folder
from benchmark.results.record import SCHEMA
from benchmark.results.store import Run, check_writable, clear, write_result
from benchmark.runner.activity import Activity, differences, working
from benchmark.runner.status import status_rows
from benchmark.util.errors import UserError
from benchmark.util.files import write_text


def put(run: Path, method: str = "srcnn", seed: int = 0, **changes: Any) -> Path:
    folder = Run(run).place(method, seed)
    folder.mkdir(parents=True)
    write_result(folder, {**whole(), "method": method, "seed": seed, **changes})
    return folder


def test_a_result_is_there_once_its_json_is(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.place("srcnn", 0).mkdir(parents=True)
    assert run.result("srcnn", 0) is None and run.results() == []
    put(tmp_path / "run", seed=1)
    assert [(r.method, r.seed, r.complete) for r in run.results()] == [("srcnn", 1, True)]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "Expecting value"),
        ("{", "Expecting property name"),
        ("[]", "is not an object"),
        ("null", "is not an object"),
        ('{"schema": 1}', "lacks 'status', 'method', 'seed'"),
        (json.dumps(whole(schema=3) | {"schema": SCHEMA + 1}), "a newer version of this benchmark wrote it (schema 5)"),
        (json.dumps(whole(seed=1)), "it says srcnn seed 1, which is not the folder it is in"),
        (json.dumps(whole(method="espcn")), "it says espcn seed 0"),
        (json.dumps(whole(1, provenance="?")), "provenance: is not an object"),
        (json.dumps(whole(1)).replace("23.7", '"soon"'), "clocks.training: is not a number"),
        (json.dumps(whole()).replace("23.7", "NaN"), "NaN is not a number"),
        (json.dumps(whole()).replace("23.7", "-Infinity"), "-Infinity is not a number"),
        (json.dumps(whole()).replace("23.7", "1e999"), "1e999 is not a number"),
        (json.dumps(whole()).replace("57281", "1" * 5000), "1111111111111111111… is not a number"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        (b"\xff\xfe", "can't decode byte"),
        (" " * 8_000_001, "longer than 8,000,000 bytes"),
    ],
)
def test_what_cannot_be_read_is_no_result_but_is_named(tmp_path: Path, content: str | bytes, reason: str) -> None:
    folder = tmp_path / "run" / "srcnn" / "seed0"
    folder.mkdir(parents=True)
    (folder / "result.json").write_bytes(content.encode() if isinstance(content, str) else content)
    run = Run(tmp_path / "run")
    assert run.results() == [] and run.result("srcnn", 0) is None
    ((path, why),) = run.unreadable().items()
    assert path == folder / "result.json" and reason in why and len(why) < 250 and why.isprintable()
    assert [(row["status"], row["detail"]) for row in status_rows(run)] == [("unreadable", why)]


@pytest.mark.parametrize("schema", [1, 2])
def test_results_of_earlier_schemas_are_read(tmp_path: Path, schema: int) -> None:
    folder = tmp_path / "srcnn" / "seed0"
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps(whole(schema)))
    (found,) = Run(tmp_path).results()
    assert found.complete and found.record.as_dict() == whole(schema) and found.changed() == []
    assert status_rows(Run(tmp_path))[0]["detail"] == "16.32 dB"


def test_what_a_terminal_would_obey_is_shown_instead(tmp_path: Path) -> None:
    put(tmp_path, title="a\x1b[2Jb\u202ec\ud800", notes=["line\nline"])
    (found,) = Run(tmp_path).results()
    assert found.record.title == r"a\u001b[2Jb\u202ec\ud800" and found.record.notes == ["line\nline"]


def test_infinite_numbers_are_never_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        put(tmp_path / "run", clocks={"training": float("inf")})
    assert not (tmp_path / "run" / "srcnn" / "seed0" / "result.json").exists()


def test_readings_stay_text(tmp_path: Path) -> None:
    folder = put(tmp_path / "run")
    rows = {"text": ["皖A00012", "皖A00013"], "read": ["0012", ""], "confidence": [0.5, 0.0], "psnr": [18.0, "inf"]}
    pd.DataFrame(rows).to_csv(folder / "plates.csv", index=False)
    frame = Run(tmp_path / "run").results()[0].plates()
    assert frame["read"].to_list() == ["0012", ""] and frame["psnr"].to_list() == [18.0, float("inf")]


def test_status_of_complete_failed_and_unfinished(tmp_path: Path) -> None:
    run = tmp_path / "run"
    put(run)
    put(run, "espcn", status="failed", error={"type": "X", "message": "no luck"})
    (run / "espcn" / "seedling").mkdir()  # nobody's
    (run / "pecl" / "seed2").mkdir(parents=True)
    rows = {row["method"]: (row["seed"], row["status"], row["detail"]) for row in status_rows(Run(run))}
    assert rows == {
        "srcnn": (0, "complete", "16.32 dB"),
        "espcn": (0, "failed", "no luck"),
        "pecl": (2, "unfinished", ""),
    }


def test_status_of_what_processes_work_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    put(run)
    put(run, "espcn", status="failed", error={"type": "X", "message": "no luck"})
    me = f"process {os.getpid()} on {socket.gethostname()}"
    queue = [("srcnn", 0), ("espcn", 0), ("pecl", 2), ("msrn", 0)]
    with working(Run(run), {}, "") as (_, tell):
        activity = Activity(tell, queue)
        assert [row["status"] for row in status_rows(Run(run))] == ["failed", "pending", "pending", "complete"]
        with activity.job(("pecl", 2)):
            activity.update(SimpleNamespace(iteration=1200, iterations=50_000))  # type: ignore[arg-type]
            status(tmp_path)
            shown = capsys.readouterr().out.splitlines()
            since = re.search(r"since (\S+ \S+), iteration", shown[3])
            assert since and shown == [
                str(run),
                "espcn                       seed 0  failed      no luck",
                f"msrn                        seed 0  pending     in the queue of {me}",
                f"pecl                        seed 2  running     {me} since {since[1]}, iteration 1,200 of 50,000",
                "srcnn                       seed 0  complete    16.32 dB",
                "1 failed, 1 pending, 1 running, 1 complete",
            ]
            status(tmp_path, as_json=True)
            row = json.loads(capsys.readouterr().out)[2]
            assert row.pop("detail") == f"{me} since {since[1]}, iteration 1,200 of 50,000"
            assert row == {
                "method": "pecl", "seed": 2, "status": "running", "pid": os.getpid(), "host": socket.gethostname(),
                "since": since[1], "iteration": 1200, "iterations": 50_000,
            }  # fmt: skip
        with activity.job(("srcnn", 0)):
            assert [row["status"] for row in status_rows(Run(run))] == ["failed", "pending", "complete"]
        (file,) = (run / ".locks" / "processes").glob("*-*-*")
        left = file.read_text()
    file.write_text(left)  # as of a process that was killed
    assert [row["method"] for row in status_rows(Run(run))] == ["espcn", "srcnn"]


def test_a_run_that_has_only_begun_is_one(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    with working(Run(tmp_path / "run"), {}, "") as (_, tell):
        Activity(tell, [("srcnn", 0)])
        assert [run.folder.name for run in find_runs(tmp_path)] == ["run"]
    with pytest.raises(UserError, match="no run in"):
        find_runs(tmp_path)


def test_what_differs_between_two_configurations_is_named() -> None:
    there = {"train": {"iterations": 9, "recipe": "common"}, "pecl": {"dimension": 64}}
    here = {"train": {"iterations": 8, "recipe": "common"}, "espcn": {"x" * 9: "y" * 99}}
    assert differences(there, here) == (
        f"train.iterations is 9 there, 8 here; espcn.xxxxxxxxx is not set there, {'y' * 59}… here; "
        "pecl.dimension is 64 there, not set here: "
    )
    many = {str(i): i for i in range(9)}
    assert differences(many, {}).endswith("5 is 5 there, not set here; and 3 more: ")
    assert differences({}, here) == ""


def test_the_run_changed_last_is_found(tmp_path: Path) -> None:
    for age, name in enumerate(["new", "old"]):
        file = put(tmp_path / name) / "result.json"
        os.utime(file, (1_000_000 - age, 1_000_000 - age))
    (tmp_path / "packs" / "x").mkdir(parents=True)
    assert find_run(tmp_path).folder == tmp_path / "new"
    assert find_run(tmp_path, "old").folder == tmp_path / "old"
    assert find_run(tmp_path / "old").folder == tmp_path / "old"
    with pytest.raises(UserError, match=r"there are: new, old"):
        find_run(tmp_path, "other")
    with pytest.raises(UserError, match="no run in"):
        find_run(tmp_path / "packs")


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="--results"):
        check_writable(tmp_path / "file" / "run")


# -- checksums -------------------------------------------------------------------------------------


def files(folder: Path) -> None:
    """What a result may consist of, and what does not belong to it."""
    for name in ("plates.csv", "history.csv", "weights.safetensors", "samples/0001.png", "exhibits/patches.csv"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    for name in ("checkpoint.pt", "error.txt", "plates.csv.partial", "notes.txt"):
        (folder / name).write_text("")


def test_checksums_tell_what_has_changed(tmp_path: Path) -> None:
    folder = Run(tmp_path).place("srcnn", 0)
    files(folder)
    write_result(folder, whole())
    (found,) = Run(tmp_path).results()
    listed = ["weights.safetensors", "history.csv", "plates.csv", "exhibits/patches.csv", "samples/0001.png"]
    assert list(found.record.files) == listed and found.changed() == []
    digest = hashlib.sha256(b"plates.csv").hexdigest()
    assert found.record.files["plates.csv"].as_dict() == {"size": 10, "sha256": digest}
    (folder / "plates.csv").write_text("plates.csw")  # as long as before
    (folder / "weights.safetensors").unlink()
    assert found.changed() == ["weights.safetensors", "plates.csv"]
    assert found.changed("plates.csv", "last.safetensors") == ["plates.csv"] and found.changed("history.csv") == []


def test_a_kill_between_the_table_and_the_result_shows(tmp_path: Path) -> None:
    """Scored again and killed: the table is the new one, result.json the old."""
    folder = Run(tmp_path).place("srcnn", 0)
    files(folder)
    write_result(folder, whole())
    write_text(folder / "plates.csv", "psnr\n1.0\n")
    (found,) = Run(tmp_path).results()
    assert found.changed("plates.csv") == ["plates.csv"]
    write_result(folder, whole())
    (found,) = Run(tmp_path).results()
    assert found.changed() == []


def test_what_does_not_fit_the_schema_is_not_written(tmp_path: Path) -> None:
    put(tmp_path)
    with pytest.raises(ValueError, match=r"notes\.0: is not a string"):
        write_result(Run(tmp_path).place("srcnn", 0), whole(notes=[1]))
    assert Run(tmp_path).results()[0].record.notes == whole()["notes"]


def test_the_home_directory_is_not_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/al")
    config = whole()["config"]
    config["data"]["folder"], config["data"]["cache"] = "/home/al/ccpd", "/home/alice/packs"
    put(tmp_path, config=config, notes=["made of /home/al/x and /mnt/home/al/y"])
    text = (tmp_path / "srcnn" / "seed0" / "result.json").read_text()
    info = json.loads(text)
    assert info["config"]["data"]["folder"] == "~/ccpd" and info["config"]["data"]["cache"] == "/home/alice/packs"
    assert info["notes"] == ["made of ~/x and /mnt/home/al/y"]
    monkeypatch.setenv("HOME", "/")
    put(tmp_path / "b", notes=["a/b"])
    assert Run(tmp_path / "b").results()[0].record.notes == ["a/b"]


# -- links and other things in the place of files --------------------------------------------------


def test_links_in_a_run_are_not_followed(tmp_path: Path) -> None:
    elsewhere, run = tmp_path / "elsewhere", Run(tmp_path / "run")
    put(elsewhere)
    run.folder.mkdir()
    (run.folder / "srcnn").symlink_to(elsewhere / "srcnn")
    (run.folder / "espcn").mkdir()
    (run.folder / "espcn" / "seed0").symlink_to(elsewhere / "srcnn" / "seed0")
    folder = put(run.folder, "msrn")
    (folder / "result.json").rename(elsewhere / "moved.json")
    (folder / "result.json").symlink_to(elsewhere / "moved.json")
    assert run.results() == [] and len(run.unreadable()) == 3
    assert all("is a symbolic link, which is not followed" in why for why in run.unreadable().values())
    assert [row["method"] for row in status_rows(run)] == ["msrn"]
    for name, seed in (("srcnn", 0), ("espcn", 0)):
        with pytest.raises(UserError, match="is a symbolic link"):
            clear(run.place(name, seed))
    assert (elsewhere / "srcnn" / "seed0" / "result.json").is_file()


def test_tables_are_files_of_the_result(tmp_path: Path) -> None:
    folder = put(tmp_path / "run")
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    (folder / "history.csv").symlink_to(tmp_path / "secret.csv")
    os.mkfifo(folder / "plates.csv")  # opening it for reading would wait for a writer
    (found,) = Run(tmp_path / "run").results()
    assert found.history().empty and found.plates().empty


@pytest.mark.parametrize(
    "table",
    [
        b"",
        b"\x00" * 50,
        b"a,b\n1,2,3,4\n5\n",
        b"\xff\xfe,\n",
        b'"' * 999,
        b"psnr\nNaN\n\xe7",
        b"psnr\n1\n" + b"9" * 400,
    ],
)
def test_junk_in_a_table_is_no_crash(tmp_path: Path, table: bytes) -> None:
    folder = put(tmp_path)
    (folder / "plates.csv").write_bytes(table)
    (folder / "history.csv").write_bytes(table)
    (found,) = Run(tmp_path).results()
    assert isinstance(found.plates(), pd.DataFrame) and isinstance(found.history(), pd.DataFrame)


def test_numbers_are_read_as_they_were_written(tmp_path: Path) -> None:
    folder = put(tmp_path)
    values = np.random.default_rng(0).random(2000) * np.exp(np.random.default_rng(1).normal(0, 30, 2000))
    pd.DataFrame({"psnr": values}).to_csv(folder / "plates.csv", index=False)
    assert (Run(tmp_path).results()[0].plates()["psnr"].to_numpy() == values).all()


def test_a_planted_link_is_not_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for name in ("x", "x.partial"):
        (tmp_path / name).symlink_to(victim)
    write_text(tmp_path / "x", "new")
    assert victim.read_text() == "precious" and (tmp_path / "x").read_text() == "new"
    assert not (tmp_path / "x").is_symlink()


@pytest.mark.parametrize("name", ["../other", "a/b", "..", ".", "", "packs", "report", "a\nb"])
def test_the_name_of_a_run_is_no_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="--run takes the name of a folder"):
        run_folder(tmp_path, name)
