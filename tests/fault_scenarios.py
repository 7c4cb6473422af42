"""Faults of the machine that a run meets, one function each: what the user is told, and whether anything is lost.

Each brings a fault about, checks what must not have suffered, has the same command run again without the fault, and
returns what was seen. Those of methods and OCR engines are in ``fault_methods.py``. ``test_faults.py`` runs them as
tests, ``soak/faults.py`` prints them as a table.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from unittest import mock

from fault_bench import BUDGET, OPTIONS, ROOT, STEPS, Bench, Seen, failing_disk, small_disk

from benchmark.config import load
from benchmark.runner.scheduler import shared_settings
from benchmark.training import checkpoint
from benchmark.training.progress import Progress
from benchmark.util.locks import hold, join_run

Scenario = Callable[[Bench], Seen]
SCENARIOS: dict[str, Scenario] = {}


def scenario(name: str) -> Callable[[Scenario], Scenario]:
    def add(function: Scenario) -> Scenario:
        SCENARIOS[name] = function
        return function

    return add


def last_checkpoint(bench: Bench) -> int:
    """Iteration of the checkpoint that is there."""
    states = checkpoint.states(bench.place(), checkpoint._read(bench.place() / checkpoint.CURRENT)["identity"])
    return int(next(states)[1]["iteration"])


# -- the disk ----------------------------------------------------------------------------------------------------------


@scenario("disk full: at a checkpoint")
def full_at_a_checkpoint(bench: Bench) -> Seen:
    full = failing_disk(r"checkpoint\.pt")
    ran = bench.run("first,second", at={6: full.__enter__})
    full.__exit__(None, None, None)
    assert bench.info()["status"] == "failed" and last_checkpoint(bench) == 4
    assert bench.info("second")["status"] == "failed"  # its first checkpoint did not fit either
    return Seen(ran.code, ran.line("^first.*No space left"), bench.goes_on("first,second", trained=8))


@scenario("disk full: a real one of 1 MB")
def a_small_disk(bench: Bench) -> Seen:
    bench.add(LARGE)
    with small_disk(bench.results, "1M") as change:
        ran = bench.run("large,first")
        assert bench.info("large")["status"] == "failed" and bench.info("first")["status"] == "complete"
        assert not list(bench.run_folder.rglob("*.partial"))
        change("size=64M")
        again = bench.run("large,first")
        assert again.code == 0 and again.text.count("is there already") == 1, again.text
        assert bench.info("large")["status"] == "complete"
        return Seen(ran.code, ran.line("^large.*No space left"))


LARGE = """
import torch

@register
class Large(Net):
    name = "large"

    def build(self):
        network = super().build()
        network.register_buffer("ballast", torch.zeros(400_000))
        return network
"""


def _full_while_storing(pattern: str, bench: Bench) -> Seen:
    with failing_disk(f"/first/.*{pattern}"):
        ran = bench.run("first,second")
    assert bench.info("second")["status"] == "complete" and not list(bench.run_folder.rglob("*.partial"))
    return Seen(
        ran.code, ran.line("^first.*No space left"), bench.goes_on("first,second", trained=STEPS.count("first"))
    )


for _file in ("history.csv", "weights.safetensors", "finished.pt", "plates.csv", "samples"):
    SCENARIOS[f"disk full: storing {_file}"] = partial(_full_while_storing, _file)


@scenario("disk full: nothing can be stored at all")
def full_for_everything(bench: Bench) -> Seen:
    with failing_disk("/first/"):
        ran = bench.run("first,second")
    assert not bench.place("second").exists()  # would have been trained in vain
    return Seen(ran.code, ran.line("^error: cannot write"), bench.goes_on("first,second", trained=4))


@scenario("disk full: scoring anew what is there")
def full_while_rescoring(bench: Bench) -> Seen:
    assert bench.run("first").code == 0
    before = bench.info()
    (bench.place() / "plates.csv").write_text("")
    with failing_disk(r"/first/.*plates\.csv"):
        ran = bench.run("first")
    assert bench.info() == before
    return Seen(ran.code, ran.line("^first.*No space left"), bench.goes_on("first", trained=BUDGET))


@scenario("disk full: while packing plates")
def full_while_packing(bench: Bench) -> Seen:
    with small_disk(bench.results, "300k") as change:
        ran = bench.run("first")
        assert ran.code == 1, ran.text
        change("size=64M")
        return Seen(ran.code, ran.line("^error: "), bench.goes_on("first"))


def fill(file: Path) -> None:
    """Leave no room on the disk of ``file``."""
    with contextlib.suppress(OSError), open(file, "wb", buffering=0) as filling:
        while filling.write(bytes(4096)):
            pass


@scenario("disk full: writing the report")
def full_in_the_report(bench: Bench) -> Seen:
    with small_disk(bench.results, "8M"):
        assert bench.run("first").code == 0
        digest = bench.digest()
        fill(bench.results / "filling")
        ran = bench.call("report", "--results", str(bench.results))
        assert ran.code == 1 and bench.digest() == digest
        (bench.results / "filling").unlink()
        assert bench.call("report", "--results", str(bench.results)).code == 0
        return Seen(ran.code, ran.line("No space left"))


@scenario("results read-only: in mid-run")
def read_only(bench: Bench) -> Seen:
    broken = failing_disk("/r/", errno.EROFS)
    ran = bench.run("first,second", at={6: broken.__enter__})
    broken.__exit__(None, None, None)
    assert last_checkpoint(bench) == 4 and not bench.place("second").exists()
    return Seen(ran.code, ran.line("^error: cannot write"), bench.goes_on("first,second", trained=8))


@scenario("results read-only: no permission")
def no_permission(bench: Bench) -> Seen:
    with failing_disk("/first/", errno.EACCES):
        ran = bench.run("first,second")
    return Seen(ran.code, ran.line("^error: cannot write"), bench.goes_on("first,second", trained=4))


# -- the data ----------------------------------------------------------------------------------------------------------


@scenario("data folder gone: in mid-run")
def no_data_any_more(bench: Bench) -> Seen:
    away = bench.folder / "away"
    ran = bench.run("first,second", at={6: lambda: bench.data.rename(away)})
    away.rename(bench.data)
    assert ran.code == 0, ran.text
    return Seen(ran.code, "(not needed any more)", bench.goes_on("first,second", trained=BUDGET))


@scenario("pack gone: in mid-run")
def no_pack_any_more(bench: Bench) -> Seen:
    ran = bench.run("first,second", at={6: lambda: shutil.rmtree(bench.results / "packs")})
    assert ran.code == 0, ran.text
    return Seen(ran.code, "(mapped into memory until the end)", bench.goes_on("first,second", trained=BUDGET))


@scenario("pack cut short by somebody: in mid-run")
def pack_cut_short(bench: Bench) -> Seen:
    """The one fault that ends the process: on a CPU the plates are read where they lie, and the system kills it."""
    bench.add(CUTTING)
    run = bench.start("cutting,second")
    text = run.communicate(timeout=120)[0]
    assert run.returncode == -signal.SIGBUS, text
    again = bench.run("cutting,second")
    assert again.code == 0 and "cannot be used" in again.text, again.text
    assert STEPS.count("cutting") == BUDGET - 8  # from its last checkpoint
    return Seen(run.returncode, "(killed by the system)", "nothing: goes on from the last checkpoint")


CUTTING = """
import os
from pathlib import Path

@register
class Cutting(Net):
    name = "cutting"

    def step(self, batch, session):
        if fault_bench.STEPS.count("cutting") == 9 and session.iteration == 9:
            for path in (session.folder.parents[2] / "packs").glob("*/plates.u8"):
                os.truncate(path, 0)
        super().step(batch, session)
"""


@scenario("data folder gone: while packing plates")
def no_data_to_pack(bench: Bench) -> Seen:
    away = bench.folder / "away"
    with mock.patch("benchmark.data.pack._check_room", side_effect=lambda *_: bench.data.rename(away)):
        ran = bench.run("first")
    away.rename(bench.data)
    return Seen(ran.code, ran.line("^error: "), bench.goes_on("first"))


# -- signals -----------------------------------------------------------------------------------------------------------


def _terminate(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@scenario("SIGTERM: in training")
def stopped_in_training(bench: Bench) -> Seen:
    ran = bench.run("first", at={6: _terminate})
    assert ran.code == 143 and last_checkpoint(bench) == 6
    return Seen(ran.code, ran.line("stopped"), bench.goes_on("first", trained=6))


@scenario("SIGTERM: in a method that does not look")
def stopped_in_a_method_that_does_not_look(bench: Bench) -> Seen:
    bench.add(HEEDLESS)
    ran = bench.run("heedless,second", at={1: _terminate})
    assert ran.code == 143 and not bench.place("second").exists()
    again = bench.run("heedless,second")
    assert again.code == 0 and "heedless" not in STEPS, "its training had ended"
    return Seen(ran.code, ran.line("stopped"))


HEEDLESS = """
@register
class Heedless(Method):
    name, title, citation = "heedless", "Heedless", "none"

    def train(self, session):
        fault_bench.STEPS.append(self.name)
        fault_bench.AT.get(1, lambda: None)()

    def upscale(self, lr):
        return lr.repeat_interleave(8, -1).repeat_interleave(8, -2)
"""


@scenario("SIGTERM: while scoring")
def stopped_in_scoring(bench: Bench) -> Seen:
    with mock.patch("benchmark.runner.job.plate_scores.summarise", side_effect=_terminate):
        ran = bench.run("first")
    assert ran.code == 143
    return Seen(ran.code, ran.line("stopped"), bench.goes_on("first"))


@scenario("SIGTERM: while packing plates")
def stopped_in_packing(bench: Bench) -> Seen:
    with mock.patch("benchmark.data.pack._check_room", _terminate):
        ran = bench.run("first")
    assert ran.code == 143
    return Seen(ran.code, ran.line("stopped"), bench.goes_on("first"))


@scenario("SIGTERM: while waiting for another process")
def stopped_while_waiting(bench: Bench) -> Seen:
    with hold(bench.run_folder / ".locks" / "job-first-seed0"), once_waiting(_terminate):
        ran = bench.run("first,second")
    assert ran.code == 143 and bench.info("second")["status"] == "complete"
    return Seen(ran.code, ran.line("waiting for pid"), bench.goes_on("first,second"))


@scenario("Ctrl-C: while waiting for another process")
def interrupted_while_waiting(bench: Bench) -> Seen:
    with hold(bench.run_folder / ".locks" / "job-first-seed0"), once_waiting(_interrupt):
        ran = bench.run("first")
    assert ran.code == 130 and ran.text.count("pid") == 1, ran.text
    return Seen(ran.code, ran.line("waiting for pid"), bench.goes_on("first"))


@contextlib.contextmanager
def once_waiting(act: Callable[[], object]) -> Iterator[None]:
    """Have ``act`` called from another thread as soon as a run says that it is waiting."""
    note = Progress.note

    def noticing(progress: Progress, text: str) -> None:
        note(progress, text)
        if text.startswith("waiting for"):
            threading.Timer(0.2, act).start()

    with mock.patch.object(Progress, "note", noticing):
        yield


# -- two processes -----------------------------------------------------------------------------------------------------


@scenario("two runs at once: the same command")
def two_at_once(bench: Bench) -> Seen:
    runs = [bench.start("first,second") for _ in range(2)]
    texts = [run.communicate(timeout=120)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], texts
    assert not (bench.goes_on("first,second") != "nothing" or STEPS), texts
    both = "".join(texts)
    trained = [both.count(f"{name:<27}     {BUDGET}/") for name in ("first", "second")]
    line = next((line for line in both.splitlines() if "is being computed by" in line), "(took turns)")
    assert max(trained) == 1, both
    return Seen(0, line)


@scenario("two runs at once: one is killed")
def one_of_two_is_killed(bench: Bench) -> Seen:
    """The other waits for the job that the killed one held, and takes it over."""
    lock = bench.run_folder / ".locks" / "job-first-seed0"
    other = subprocess.Popen([sys.executable, "-c", HOLDING.format(str(lock))], cwd=ROOT, stdout=subprocess.PIPE)
    assert other.stdout is not None and other.stdout.readline() == b"held\n"
    with once_waiting(other.kill):
        ran = bench.run("first,second")
    other.communicate()
    assert ran.code == 0 and f"waiting for pid {other.pid} on" in ran.text, ran.text
    return Seen(ran.code, ran.line("is being computed by"), bench.goes_on("first,second", trained=BUDGET))


HOLDING = """
import time
from pathlib import Path
from benchmark.util.locks import hold
with hold(Path({!r})):
    print("held", flush=True)
    time.sleep(600)
"""


@scenario("two runs at once: another configuration")
def two_configurations(bench: Bench) -> Seen:
    assert bench.run("second").code == 0
    digest = bench.digest("second")
    other = {
        **OPTIONS,
        "data.folder": bench.data,
        "scoring.ocr": "none",
        "train.iterations": 999,
        "train.batch_size": 2,
    }
    work, _ = shared_settings(load("quick", [f"{field}={value}" for field, value in other.items()]))
    with join_run(bench.run_folder / ".locks" / "processes", work):
        ran = bench.run("first,second")
    assert ran.code == 2 and bench.digest("second") == digest and not bench.place("first").exists()
    assert "): train.iterations is 999 there, 12 here: give" in ran.text and "train.threads may differ)" in ran.text
    return Seen(ran.code, ran.line("another configuration"), bench.goes_on("first,second"))
