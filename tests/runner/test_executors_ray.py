"""Ray: what is refused, and clusters on this machine, one of whose nodes dies."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import fake_results
import pytest
from executor_bench import RECORD_STEPS, ROOT, SLOWLY, Bench, wait_for
from kill_harness import fingerprint

from benchmark.config import load
from benchmark.data.synthetic.generator import synthesize
from benchmark.runner.activity import JobStatus
from benchmark.runner.executors import ray
from benchmark.runner.executors.order import WorkOrder
from benchmark.runner.executors.ray import Ray
from benchmark.runner.executors.ray_folders import Apart, refuse_second
from benchmark.runner.executors.remote import Remote, Unfit, pack, receive
from benchmark.runner.executors.storage import Storage, mirrored
from benchmark.runner.status import status_rows
from benchmark.training.session import Interrupted
from benchmark.util.errors import CannotWrite, UserError
from benchmark.util.live_line import LiveLine

HOST = socket.gethostname()


def order(folder: Path) -> WorkOrder:
    import methods

    return WorkOrder.make(load("quick"), [methods.get("bicubic")], [], folder, named=True)


def test_a_results_folder_that_is_not_shared_is_refused_with_that_reason(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the results folder is not shared"):
        order(tmp_path).take()


def test_another_version_of_the_project_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import methods

    given = order(tmp_path)
    given.place_marker()
    given.take()
    monkeypatch.setitem(methods._registry, "bicubic", replace(methods.get("bicubic"), version=99))
    with pytest.raises(UserError, match="install the same version of the project"):
        given.take()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    synthesize(tmp_path / "plates", 24, seed=5, workers=1)
    return Bench(tmp_path, tmp_path / "plates")


@pytest.fixture
def cluster(bench: Bench) -> Iterator[Any]:
    """A head without cores."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    bench.environment["RAY_ADDRESS"] = cluster.address
    yield cluster
    cluster.shutdown()


@pytest.mark.slow
@pytest.mark.ray
def test_a_job_whose_node_dies_goes_on_elsewhere_and_gives_the_numbers_of_one_process(
    bench: Bench, cluster: Any
) -> None:
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    (bench.folder / "first").write_text(SLOWLY)
    process = bench.start("cluster", "--executor", "ray")
    at_work, place = bench.folder / "first-at-work", bench.folder / "cluster" / "r" / "first" / "seed0"
    wait_for(lambda: at_work.exists() and (place / "checkpoint.pt").is_file(), 600)
    raylet = Path(f"/proc/{at_work.read_text()}/stat").read_text().rpartition(")")[2].split()[1]
    node = next(
        node for node in nodes
        if any(str(info.process.pid) == raylet for infos in node.all_processes.values() for info in infos)
    )  # fmt: skip
    cluster.remove_node(node, allow_graceful=False)
    (bench.folder / "first").unlink()  # not before: the rest takes no time
    output, _ = process.communicate(timeout=900)
    assert process.returncode == 0, output
    bench.environment.clear()
    code, output = bench.run("single", "--workers", "1")
    assert code == 0 and fingerprint(bench.folder / "cluster") == fingerprint(bench.folder / "single"), output


def test_ctrl_c_while_the_plates_are_prepared_is_answered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = mock.Mock()
    folders.prepare = lambda: os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(Interrupted):
        ray._work(None, order(tmp_path), folders, [], {})
    assert capsys.readouterr().out == "stopped; the same command goes on from here\n"


@pytest.mark.slow
@pytest.mark.ray
def test_ctrl_c_without_a_shared_folder_leaves_checkpoints_in_storage_alone(bench: Bench, cluster: Any) -> None:
    (bench.folder / "disk").mkdir()
    cluster.add_node(num_cpus=1, env_vars={"TMPDIR": str(bench.folder / "disk")})
    (bench.folder / "first").write_text(SLOWLY)
    storage = bench.folder / "storage"
    process = bench.start("stop", "--executor", "ray", "--set", f"ray.storage={storage}")
    wait_for(lambda: any(storage.glob("r-*/first-seed0/*.pt")), 600)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 130 and output.endswith("stopped; the same command goes on from here\n"), output
    assert any(storage.glob("r-*/first-seed0/*.pt"))
    assert [path.name for path in (bench.folder / "disk").glob("plate-sr-*/*")] == ["packs"]


@pytest.mark.slow
@pytest.mark.ray
def test_ctrl_c_stops_the_tasks_with_checkpoints(bench: Bench) -> None:
    for name in ("first", "second"):
        (bench.folder / name).write_text(SLOWLY)
    process = bench.start("stop", "--executor", "ray", "--set", "train.checkpoint_iterations=1000")
    wait_for((bench.folder / "first-at-work").exists, 600)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 130 and "16 training, 4 validation, 4 test plates" in output, output
    assert (bench.folder / "stop" / "r" / "first" / "seed0" / "checkpoint.pt").is_file(), output


@pytest.mark.slow
@pytest.mark.ray
def test_a_task_that_fits_no_node_and_a_cluster_that_is_not_there_are_refused(bench: Bench) -> None:
    code, output = bench.run("big", "--executor", "ray", "--set", "ray.cpus=999")
    assert code == 2 and "lower it with --set ray.cpus=N" in output, output
    assert not (bench.folder / "big").exists()
    bench.environment["RAY_ADDRESS"] = "127.0.0.1:1"
    code, output = bench.run("nowhere", "--executor", "ray")
    assert code == 2 and "no Ray cluster at 127.0.0.1:1" in output, output
    assert not (bench.folder / "nowhere").exists()


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.parametrize("address", ["auto", "garbage"])
def test_an_address_that_is_none_is_refused_in_a_line(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(UserError, match=f"no Ray cluster at {address} ") as refused:
        Ray().check(load("quick"))
    assert "\n" not in str(refused.value)


def test_a_port_where_nobody_speaks_as_ray_does_is_refused_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "_PROBE", "import time; time.sleep(60)")
    monkeypatch.setattr(ray, "_PROBE_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(UserError, match=f"no Ray cluster at {address} .no answer in 1 s"):
            Ray().check(load("quick"))


def test_an_empty_address_is_none_and_one_of_ray_client_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "_no_cluster", mock.Mock(side_effect=AssertionError))
    monkeypatch.setenv("RAY_ADDRESS", "")
    Ray().check(load("quick"))
    monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
    with pytest.raises(UserError, match="name the head itself"):
        Ray().check(load("quick"))


# -- machines that share no folder ---------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.ray
def test_without_a_shared_folder_a_job_goes_on_from_storage_when_its_node_dies(bench: Bench, cluster: Any) -> None:
    disks = [bench.folder / "disks" / name for name in ("one", "two")]
    for disk in disks:
        disk.mkdir(parents=True)
    nodes = {disk: cluster.add_node(num_cpus=1, env_vars={"TMPDIR": str(disk)}) for disk in disks}
    (bench.folder / "first").write_text(SLOWLY + RECORD_STEPS)
    storage = bench.folder / "storage"
    process = bench.start("cluster", "--executor", "ray", "--set", f"ray.storage=file://{storage}")
    wait_for(lambda: any(storage.glob("r-*/first-seed0/*.pt")), 600)
    rows = json.loads(
        bench.call("status", "--results", str(bench.folder / "cluster"), "--json").communicate(timeout=600)[0]
    )
    assert {"first"} <= {row["method"] for row in rows if row["status"] == "running"}, rows
    assert not (bench.folder / "cluster" / "r" / "first").exists()
    (disk,) = (disk for disk in disks if any(disk.glob("*/*/first/seed0/checkpoint.pt")))
    cluster.remove_node(nodes[disk], allow_graceful=False)
    (bench.folder / "first").write_text(RECORD_STEPS)
    output, _ = process.communicate(timeout=900)
    assert process.returncode == 0, output
    steps = [line.split() for line in (bench.folder / "first-steps").read_text().splitlines()]
    pids = list(dict.fromkeys(pid for pid, _ in steps))
    assert len(pids) == 2
    assert next(int(iteration) for pid, iteration in steps if pid == pids[1]) >= 2, "the first checkpoint is after two"
    assert not any(storage.glob("r-*/*")) and not any(storage.glob("command-*"))
    bench.environment.clear()
    (bench.folder / "first").unlink()
    code, output = bench.run("single", "--workers", "1")
    assert code == 0 and fingerprint(bench.folder / "cluster") == fingerprint(bench.folder / "single"), output


@pytest.mark.slow
@pytest.mark.ray
def test_a_node_without_room_is_named_and_costs_its_jobs_alone(bench: Bench, cluster: Any) -> None:
    disk = bench.folder / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)], check=False).returncode:
        pytest.skip("not allowed to mount a small disk")
    try:
        cluster.add_node(num_cpus=1, env_vars={"TMPDIR": str(disk)})
        storage = ["--set", f"ray.storage={bench.folder / 'storage'}", "--set", "ray.retries=0"]
        code, output = bench.run("full", "--executor", "ray", *storage)
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=False)
    assert code == 1 and f"lost by the cluster ({HOST}: the pack needs" in output, output
    assert "first seed 0: lost by the cluster" in output and "second seed 0: lost by the cluster" in output


def test_a_second_command_in_a_run_is_refused(tmp_path: Path) -> None:
    given, storage = order(tmp_path / "results" / "run"), Storage(str(tmp_path / "storage"))
    with Apart(None, given, storage).opened():
        assert storage.has_marker(given.marker.name)
        with pytest.raises(UserError, match="is being computed by another command"):
            refuse_second(given)
        with (
            pytest.raises(UserError, match="is being computed by another command"),
            Apart(None, given, storage).opened(),
        ):
            pass
    refuse_second(given)
    assert not storage.has_marker(given.marker.name)


def test_status_knows_what_tasks_elsewhere_compute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = order(tmp_path / "results" / "run")
    driver = Apart(None, given, Storage(str(tmp_path / "storage")))
    told = {("first", 0): JobStatus("pid 7 on node2 since now", "2026-01-02 03:04:05", 3, 12)}
    monkeypatch.setattr(driver, "at_work", lambda: told)
    with driver.opened():
        driver.publish([("first", 0), ("second", 0)])
        rows = {row["method"]: row for row in status_rows(given.run)}
    assert rows["first"]["status"] == "running" and rows["first"]["host"] == "node2"
    assert "iteration 3 of 12" in rows["first"]["detail"] and rows["second"]["status"] == "pending"


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("nonsense://bucket/x", "Protocol not known: nonsense"),
        ("", "ray.storage is empty"),
        ("memory://x", "is seen by one process alone"),
        ("/proc/nowhere", "cannot write to file:///proc/nowhere"),
    ],
)
def test_storage_that_cannot_be_used_is_refused_before_anything_is_prepared(
    uri: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=message) as refused:
        Ray().check(load("quick", [f"ray.storage={uri}"]))
    assert "\n" not in str(refused.value)


def test_checking_a_storage_leaves_no_folder_behind(tmp_path: Path) -> None:
    Ray().check(load("quick", [f"ray.storage={tmp_path / 'new' / 'storage'}"]))
    assert not any(tmp_path.iterdir())
    (tmp_path / "old").mkdir()
    Ray().check(load("quick", [f"ray.storage={tmp_path / 'old'}"]))
    assert (tmp_path / "old").is_dir()


def test_storage_whose_package_is_missing_is_refused_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(UserError, match="Install s3fs"):
        Storage("s3://bucket/folder")
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(UserError, match=r"pip install 'plate-sr-benchmark\[ray\]'"):
        Storage("/tmp")


def test_storage_keeps_the_last_two_checkpoints_and_gives_them_to_another_machine(tmp_path: Path) -> None:
    job = Storage(str(tmp_path / "storage")).job("run", ("first", 0))
    job.fetch(tmp_path / "empty", tmp_path / "empty.json")
    assert list((tmp_path / "empty").iterdir()) == []
    (tmp_path / "here").mkdir()
    said: list[str] = []
    with mirrored(job, tmp_path / "here", tmp_path / "starts", said.append, lambda: None):
        for content in ("a", "b", "c"):
            (tmp_path / "here" / "checkpoint.pt").write_text(content)
            job.keep(tmp_path / "here" / "checkpoint.pt")
        (tmp_path / "starts").write_text("1")
        (tmp_path / "here" / "checkpoint.pt").write_text("d")
    job.fetch(tmp_path / "there", tmp_path / "there.json")
    assert (tmp_path / "there" / "checkpoint.pt").read_text() == "d"
    assert (tmp_path / "there" / "checkpoint.previous.pt").read_text() in ("c", "d")
    assert (tmp_path / "there.json").read_text() == "1" and said == []
    job.forget()
    job.forget()
    assert not any((tmp_path / "storage" / "run").iterdir())


def test_runs_of_one_name_that_train_otherwise_have_places_of_their_own_in_storage(tmp_path: Path) -> None:
    given, storage = order(tmp_path / "run"), Storage(str(tmp_path / "storage"))
    other = replace(given, versions={"bicubic": "2"})
    remotes = [Remote(storage.uri, settings, plates, None) for settings in "ab" for plates in "cd"]
    places = [remote.job(storage, each, ("bicubic", 0)).folder for remote in remotes for each in (given, other)]
    assert len(set(places)) == 8 and all(f"{storage.root}/run-" in place for place in places)
    longer = replace(given, versions={**given.versions, "srcnn": "1"})  # other methods of the command do not matter
    assert remotes[0].job(storage, longer, ("bicubic", 0)).folder == places[0]


def test_storage_that_fails_is_told_of_once_and_stops_nothing(tmp_path: Path) -> None:
    job = Storage(str(tmp_path / "storage")).job("run", ("first", 0))
    (tmp_path / "storage").write_text("a file where a folder should be")
    said: list[str] = []
    with mirrored(job, tmp_path, tmp_path / "starts", said.append, lambda: None):
        (tmp_path / "checkpoint.pt").write_text("a")
        (tmp_path / "starts").write_text("1")
    assert len(said) == 1 and "could not be copied" in said[0]


def test_what_another_machine_cannot_compute_alike_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "machine"))
    config = load("quick", ["data.train_plates=4", "data.val_plates=2", "data.test_plates=2"])
    given = WorkOrder.make(config, [], [], tmp_path / "results" / "run", named=True)
    storage = Storage(str(tmp_path / "storage"))
    remote = Remote(storage.uri, "", "0" * 64, None)
    with pytest.raises(UserError, match="choose a place that all machines reach"):
        remote.carry_out(given, ("bicubic", 0), {}, LiveLine())
    storage.place_marker(given.marker.name)
    with pytest.raises(UserError, match="other plates than the command"):
        remote.carry_out(given, ("bicubic", 0), {}, LiveLine())
    monkeypatch.setattr("benchmark.runner.executors.remote.prepare_plates", mock.Mock(side_effect=UserError("no room")))
    with pytest.raises(Unfit, match=f"{HOST}: no room"):
        remote.carry_out(given, ("bicubic", 0), {}, LiveLine())
    full = CannotWrite(tmp_path, errno.ENOSPC)
    monkeypatch.setattr("benchmark.runner.executors.remote.prepare_plates", mock.Mock(side_effect=full))
    with pytest.raises(CannotWrite, match=f"choose another place with TMPDIR on {HOST}"):
        remote.carry_out(given, ("bicubic", 0), {}, LiveLine())
    scratch = tmp_path / "machine" / f"plate-sr-{os.getuid()}"
    assert [path.name for path in scratch.iterdir()] == ["packs"]


def test_files_that_arrive_replace_what_is_there_only_when_they_are_complete(tmp_path: Path) -> None:
    run = fake_results.make_run(tmp_path)
    key = run.results()[0].method, 0
    place = run.place(*key)
    result = pack(place)
    failure = {"result.json": result["result.json"].replace(b'"status": "complete"', b'"status": "failed"')}
    receive(run, key, failure)
    assert pack(place) == failure and pack(place.with_name("replaced-seed0")) == result
    receive(run, key, result)
    assert pack(place) == result and sorted(path.name for path in place.parent.iterdir()) == ["seed0"]
