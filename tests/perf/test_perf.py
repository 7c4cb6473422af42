"""The performance suite: what it computes from times, with a clock that is told what time it is."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

import methods
from benchmark.cli import main
from benchmark.config import load
from benchmark.data.patches import PatchSampler
from benchmark.perf import page, suite, tables
from benchmark.perf.counts import Traffic
from benchmark.perf.plates import noise_plates
from benchmark.perf.steps import BLOCK_SECONDS, Pair, Probe, steps_for, summarise
from benchmark.util.errors import UserError
from methods import Batch

CPU = torch.device("cpu")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class FakeSession:
    """A batch takes 2 s, a check 1 s and a report 0.5 s; iterations from ``turn`` on have other losses."""

    device = CPU

    def __init__(self, clock: Clock) -> None:
        self.clock, self.iteration, self.checked = clock, 0, 0
        self.sampler = SimpleNamespace(batch=self.batch)

    def batch(self, iteration: int) -> Batch:
        self.clock.now += 2.0
        return Batch(lr=torch.zeros(1, 3, 8, 8), hr=torch.zeros(1, 3, 64, 64))

    def report(self, session: FakeSession) -> None:
        self.clock.now += 0.5

    def check(self, losses: dict[str, torch.Tensor]) -> None:
        self.clock.now += 1.0
        self.checked += 1

    def batches(self, method: Any) -> Iterator[tuple[int, Batch]]:
        while True:
            yield self.iteration + 1, self.batch(self.iteration + 1)
            self.iteration += 1
            self.report(self)


def learn(probe: Probe, clock: Clock, turn: int = 10**9) -> list[Batch]:
    """A step takes 10 s, from iteration ``turn`` on 30 s and with another loss."""
    seen = []
    for number, (_, batch) in enumerate(probe.batches(None)):  # type: ignore[arg-type]
        clock.now += 10.0 if number < turn else 30.0
        probe.check({"total": batch.lr} if number < turn else {"total": batch.lr, "gan": batch.lr})
        seen.append(batch)
    return seen


def test_a_step_is_measured_against_its_floor() -> None:
    clock = Clock()
    session = FakeSession(clock)
    probe = Probe(session, count=3, steps=2, clock=clock)  # type: ignore[arg-type]
    seen = learn(probe, clock)
    assert session.iteration == 5 and session.checked == 6  # the floor draws no batch and checks nothing
    bare = [batch for batch in seen if batch.lr.any()]
    assert len(bare) == 6 and all(batch is bare[0] for batch in bare)  # one random batch, made once
    assert [pair.floor for pair in probe.pairs] == [10.0] * 3
    assert {pair.data for pair in probe.pairs} == {2.0} and {pair.report for pair in probe.pairs} == {0.5}
    found = summarise(probe.pairs)
    # 2 s batch + 10 s step + 1 s check + 0.5 s report of the one before.
    assert found["step_ms"] == pytest.approx(13_500) and found["floor_ms"] == pytest.approx(10_000)
    assert found["ratio"] == pytest.approx(1.35) and found["iterations_per_s"] == pytest.approx(1 / 13.5)
    assert found["data_share"] == pytest.approx(2 / 13.5) and found["logging_share"] == pytest.approx(0.5 / 13.5)
    assert found["unmeasured"] == 0.0


def test_a_second_phase_counts_by_its_share_of_the_budget() -> None:
    clock = Clock()
    probe = Probe(FakeSession(clock), count=7, steps=2, clock=clock)  # type: ignore[arg-type]
    learn(probe, clock, turn=20)  # of 28 iterations
    found = summarise(probe.pairs)
    assert [kind["losses"] for kind in found["kinds"]] == [["total"], ["total", "gan"]]
    assert [kind["share"] for kind in found["kinds"]] == [pytest.approx(5 / 7), pytest.approx(2 / 7)]
    assert found["floor_ms"] == pytest.approx((5 * 10_000 + 2 * 30_000) / 7)
    assert found["step_ms"] - found["floor_ms"] == pytest.approx(3_500)
    assert found["ratio"] == pytest.approx(found["step_ms"] / found["floor_ms"])


def pair(real: float, floor: float, **kinds: int) -> Pair:
    return Pair(Counter({(name,): count for name, count in kinds.items()}), real, floor, 0.1, 0.01)


def test_the_first_pair_warms_up_and_a_disturbed_one_does_not_move_the_ratio() -> None:
    pairs = [pair(9.0, 1.0, a=2), pair(1.1, 1.0, a=2), pair(11.0, 10.0, a=2), pair(1.1, 1.0, a=2)]
    found = summarise(pairs)
    assert found["ratio"] == pytest.approx(1.1) and found["step_ms"] == pytest.approx(1100)
    assert summarise(pairs[:1])["ratio"] == 9.0  # better than nothing


def test_what_was_not_measured_is_said() -> None:
    found = summarise([pair(1.0, 1.0, a=4), pair(1.0, 1.0, a=4), pair(5.0, 5.0, a=2, b=2)])
    assert found["step_ms"] == pytest.approx(1000) and found["unmeasured"] == pytest.approx(2 / 12)
    text = tables.steps_table([{**row("m"), "unmeasured": 1 / 6}])
    assert "17% of the iterations do other work" in text


def test_a_captured_step_is_of_the_kind_before_it() -> None:
    clock = Clock()
    probe = Probe(FakeSession(clock), count=2, steps=1, clock=clock)  # type: ignore[arg-type]
    for number, _ in enumerate(probe.batches(None)):  # type: ignore[arg-type]
        if number < 2:
            probe.check({"total": torch.zeros(())})
    assert [set(pair.kinds) for pair in probe.pairs] == [{("total",)}] * 2


def test_blocks_are_long_enough_to_time() -> None:
    assert steps_for(BLOCK_SECONDS / 10) == 10 and steps_for(1000.0) == 1 and steps_for(0.0) == 500


def test_plates_of_noise(tmp_path: Path) -> None:
    plates = noise_plates(tmp_path / "plates", 5000)
    assert len(plates) == 5000 and plates.pixels.size == (plates.table["height"] * plates.table["width"] * 3).sum()
    assert (plates.table[["height", "width"]] % 8 == 0).all(axis=None) and plates.table["height"].min() >= 64
    last = plates[4999]
    assert last.hr.shape == (*plates.table.loc[4999, ["height", "width"]], 3) and last.hr.std() > 60
    assert PatchSampler(plates, 4, 0, CPU).batch(1).hr.shape == (4, 3, 64, 64)


def test_operators_and_bytes() -> None:
    x = torch.zeros(10, 10)
    with Traffic() as traffic:
        (x.view(100) + 1.0).t()
    assert (traffic.operators, traffic.bytes) == (1, 2 * 400)


# -- a real method -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def espcn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("perf")
    config = load("quick", ["train.device=cpu", "train.batch_size=3"])
    request = suite.Request("espcn", config, repeats=1)
    return suite.measure(methods.get("espcn"), request, noise_plates(folder / "plates", 20), folder)


def test_a_method_is_measured(espcn: dict[str, Any]) -> None:
    assert espcn["step_ms"] > 0 and espcn["floor_ms"] > 0 and espcn["ratio"] > 0
    assert espcn["memory_mb"] > 0 and espcn["checkpoint_ms"] > 0 and espcn["validation_ms_per_plate"] > 0
    assert [kind["losses"] for kind in espcn["kinds"]] == [["total"]]
    for preset, hours in espcn["hours"].items():
        assert hours == pytest.approx(load(preset).train.iterations * espcn["step_ms"] / 3.6e6)
    quick = load("quick")
    validations = (1 + quick.train.validations) * quick.data.val_plates * espcn["validation_ms_per_plate"]
    assert espcn["validation_share"] == pytest.approx(validations / (quick.train.iterations * espcn["step_ms"]))


def test_operations_of_a_step_by_hand(espcn: dict[str, Any]) -> None:
    # Forward, and back to the weights and to the input of every layer but the first.
    layers = [64 * 64 * 3 * 25, 64 * 32 * 64 * 9, 64 * 192 * 32 * 9]
    assert espcn["gflop"] == pytest.approx(3 * 2 * (3 * sum(layers) - layers[0]) / 1e9)


def test_a_method_that_does_not_train_has_no_times(tmp_path: Path) -> None:
    request = suite.Request("bicubic", load("quick", ["train.device=cpu"]))
    assert suite.measure(methods.get("bicubic"), request, noise_plates(tmp_path / "plates", 4), tmp_path) == {}


@pytest.mark.slow
def test_every_method_has_a_process_of_its_own_and_may_die_in_it(tmp_path: Path) -> None:
    plugin = tmp_path / "dying.py"
    plugin.write_text(
        "import os\nfrom methods import Method, register\n\n@register\nclass Dying(Method):\n"
        "    name, title, citation = 'dying', 'Dying', 'none'\n"
        "    def train(self, session): os._exit(9)\n    def upscale(self, lr): return lr\n"
    )
    config = load("quick", ["train.device=cpu", "train.batch_size=1"])
    requests = [suite.Request(name, config, (plugin,), repeats=1) for name in ("dying", "espcn")]
    died, fine = suite.measure_methods(requests)
    assert died["method"] == "dying" and "smaller --batch-size" in died["error"]
    assert fine["ratio"] > 0 and fine["device"] == "cpu" and fine["threads"] >= 1


# -- tables, files, page -----------------------------------------------------------------------------


def row(method: str, batch_size: int = 128, step_ms: float = 36.0, **more: Any) -> dict[str, Any]:
    facts = {
        "method": method, "batch_size": batch_size, "device": "cpu", "device_name": "Test CPU @ 1 GHz, 2 cores",
        "torch": "2.99.0+x", "threads": 1, "precision": "fp32", "memory_format": "auto", "compile": "none",
        "step_ms": step_ms, "floor_ms": step_ms / 1.02, "ratio": 1.02, "iterations_per_s": 1e3 / step_ms,
        "unmeasured": 0.0, "data_share": 0.01, "logging_share": 0.0, "validation_share": 0.02,
        "checkpoint_share": 0.001, "memory_mb": 100.0, "memory_is": "what it is", "gflop": 1.0, "operators": 100,
        "gigabytes": 0.01, "peak_gflops": 100.0, "bandwidth_gbs": 10.0, "operator_us": 2.0,
        "hours": {"quick": 0.5, "paper": 10.0}, "preset_batch": {"quick": 2, "paper": 128},
        "date": "2026-01-02T03:04:05+00:00",
    }  # fmt: skip
    return {**facts, **more}


def test_the_table_says_at_which_batch_hours_are() -> None:
    text = tables.steps_table([row("a"), {"method": "b"}, {"method": "c", "error": "no luck"}])
    assert "0.5*" in text and " 10\n" in text
    assert "* that preset's iterations at batch 128" in text and "MB: what it is." in text
    assert "b: nothing to train." in text and "c: FAILED: no luck" in text
    assert tables.steps_table([{"method": "b"}]) == "b: nothing to train."


def test_contributed_files_are_added_to_and_lines_replaced(tmp_path: Path) -> None:
    path = tables.save([row("pecl"), row("espcn", 16)], tmp_path)
    assert path is not None and path.name == "test-cpu-1-ghz-2-cores-torch2.99.0.csv"
    assert tables.save([row("espcn", 16, step_ms=7.0), row("espcn", 128)], tmp_path) == path
    table = pd.read_csv(path)
    assert list(table.columns) == list(tables.COLUMNS)
    found = {(line["method"], line["batch_size"]): line["step_ms"] for line in table.to_dict("records")}
    assert found == {("pecl", 128): 36.0, ("espcn", 16): 7.0, ("espcn", 128): 36.0}
    assert tables.save([{"method": "bicubic"}], tmp_path / "none") is None and not (tmp_path / "none").exists()


@pytest.mark.parametrize("content", ["", "method,step_ms\n", "method,step_ms\nespcn,3\n", "\x00\xff"])
def test_a_foreign_file_is_one_clear_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "other.csv").write_text(content)
    with pytest.raises(UserError, match=r"other\.csv (cannot be read|is not a throughput table).*remove it") as caught:
        page.page(tmp_path)
    assert "\n" not in str(caught.value)


def test_the_campaign_is_projected_from_the_best_line_there_is() -> None:
    lines = pd.DataFrame([row("pecl", 16, 36.0), row("pecl", 4, 36.0), row("espcn", 16, 9.0), row("espcn", 128, 36.0)])
    hours = page.campaign_hours(lines)
    assert hours["espcn"] == (pytest.approx(10.0), "")  # a million times 36 ms
    assert hours["pecl"] == (pytest.approx(80.0), "8 × batch 16")
    assert hours["pecl-euclidean-64"] == (pytest.approx(80.0), "8 × batch 16, as pecl")
    assert "srcnn" not in hours and "bicubic" not in hours
    assert len(page.campaign()) == 15


def test_the_page_is_made_from_the_files(tmp_path: Path) -> None:
    tables.save([row("pecl"), row("espcn")], tmp_path)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "No CUDA device has been measured yet" in text and "measured on 2026-01-02. " in text
    assert "| **all** | **100.0** | 4.2 days |" in text  # PECL, its eight ablations and ESPCN, ten hours each
    assert "Not measured: srcnn, msrn, esrgan, tbsrn, swinir." in text
    # 1 GFLOP at 100 GFLOP/s: 10 ms; 0.01 GB at 10 GB/s: 1 ms; 100 operators of 2 µs: 0.2 ms.
    assert "| 10.00 | 1.00 | 0.20 | 35.29 | arithmetic (28%) |" in text
    tables.save([row("espcn", device="cuda", device_name="GPU", operators=100_000)], tmp_path)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "No CUDA device" not in text and "## GPU, torch 2.99.0" in text and "number of operators (567%)" in text


# -- the command -------------------------------------------------------------------------------------


def run(*arguments: str) -> Any:
    return CliRunner().invoke(main.app, ["perf", *arguments])


@pytest.fixture
def faked(monkeypatch: pytest.MonkeyPatch) -> list[suite.Request]:
    """Measuring is left out; returns what was asked for."""
    asked: list[suite.Request] = []

    def measure(requests: list[suite.Request]) -> Iterator[dict[str, Any]]:
        for request in requests:
            asked.append(request)
            yield {"method": "x", "error": "no luck"} if request.method == "srcnn" else row(request.method)

    monkeypatch.setattr(suite, "measure_methods", measure)
    return asked


def test_rows_as_json_and_saved(faked: list[suite.Request], tmp_path: Path) -> None:
    out, folder = tmp_path / "rows.json", tmp_path / "throughput"
    done = run(
        "--methods", "espcn,pecl", "--device", "cpu", "--json", "--out", str(out), "--save", "--throughput", str(folder)
    )
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert [found["method"] for found in rows] == ["espcn", "pecl"] and json.loads(out.read_text()) == rows
    assert all({"method", "device", "step_ms", "floor_ms", "ratio"} <= set(found) for found in rows)
    assert len(pd.read_csv(next(folder.glob("*.csv")))) == 2 and (folder / "README.md").is_file()


def test_what_is_asked_for(faked: list[suite.Request]) -> None:
    assert run("--methods", "pecl", "--device", "cpu").exit_code == 0
    assert run(
        "--methods", "pecl", "--device", "cpu", "--batch-size", "5", "--plates", "9", "--repeats", "3", "--preset",
        "quick", "--set", "pecl.dimension=64",
    ).exit_code == 0  # fmt: skip
    usual, special = faked
    assert usual.config.train.batch_size == 16 and usual.config.train.iterations == 50_000
    assert usual.config.options("pecl")["embedder_init"] == "random"  # nothing is downloaded to measure time
    assert (special.config.train.batch_size, special.plates, special.repeats) == (5, 9, 3)
    assert special.config.options("pecl")["dimension"] == 64
    assert special.config.train.iterations == load("quick").train.iterations


def test_a_method_that_fails_is_said_and_the_others_are_shown(faked: list[suite.Request]) -> None:
    done = run("--methods", "srcnn,espcn", "--device", "cpu")
    assert done.exit_code == 1 and "FAILED: no luck" in done.stdout and "espcn" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--methods", "espcm"), "did you mean espcn"),
        (("--out", "missing/rows.json"), "cannot write missing/rows.json: name a file in a folder that is there"),
        (("--set", "train.batch_sise=1"), "did you mean train.batch_size"),
    ],
)
def test_bad_input_is_one_clear_line(faked: list[suite.Request], arguments: tuple[str, ...], words: str) -> None:
    error = run(*arguments).exception
    assert isinstance(error, UserError) and words in str(error) and "\n" not in str(error)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_cuda_device(faked: list[suite.Request]) -> None:
    error = run("--device", "cuda").exception
    assert isinstance(error, UserError) and "no CUDA device" in str(error) and not faked


def test_the_help_fits_a_terminal() -> None:
    assert max(map(len, run("--help").stdout.splitlines())) <= 80
