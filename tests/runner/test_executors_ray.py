"""Ray: what is refused, and clusters on this machine, one of whose nodes dies."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from executor_bench import ROOT, SLOWLY, Bench, wait_for
from kill_harness import fingerprint

from benchmark.config import load
from benchmark.data.synthetic.generator import synthesize
from benchmark.runner.executors.order import WorkOrder
from benchmark.util.errors import UserError


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
    wait_for(lambda: at_work.exists() and (place / "checkpoint.pt").is_file(), 240)
    raylet = Path(f"/proc/{at_work.read_text()}/stat").read_text().rpartition(")")[2].split()[1]
    (bench.folder / "first").unlink()
    node = next(
        node for node in nodes
        if any(str(info.process.pid) == raylet for infos in node.all_processes.values() for info in infos)
    )  # fmt: skip
    cluster.remove_node(node, allow_graceful=False)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    bench.environment.clear()
    code, output = bench.run("single", "--workers", "1")
    assert code == 0 and fingerprint(bench.folder / "cluster") == fingerprint(bench.folder / "single"), output


@pytest.mark.slow
@pytest.mark.ray
def test_ctrl_c_stops_the_tasks_with_checkpoints(bench: Bench) -> None:
    for name in ("first", "second"):
        (bench.folder / name).write_text(SLOWLY)
    process = bench.start("stop", "--executor", "ray", "--set", "train.checkpoint_iterations=1000")
    wait_for((bench.folder / "first-at-work").exists, 240)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 130, output
    assert (bench.folder / "stop" / "r" / "first" / "seed0" / "checkpoint.pt").is_file(), output


@pytest.mark.slow
@pytest.mark.ray
def test_a_task_that_fits_no_node_and_a_cluster_that_is_not_there_are_refused(bench: Bench) -> None:
    code, output = bench.run("big", "--executor", "ray", "--set", "ray.cpus=999")
    assert code == 2 and "lower it with --set ray.cpus=N" in output, output
    bench.environment["RAY_ADDRESS"] = "127.0.0.1:1"
    code, output = bench.run("nowhere", "--executor", "ray")
    assert code == 2 and "no Ray cluster at 127.0.0.1:1" in output, output
    assert not (bench.folder / "nowhere").exists()
