"""A run killed anywhere gives, after the same command again, what the undisturbed run gave, bit for bit."""

from __future__ import annotations

import random
import shutil
import signal
from pathlib import Path

import kill_harness
import pytest
from kill_harness import PHASES, Kill, Outcome, fingerprint

from benchmark.data.synthetic.generator import synthesize

KILLED = -signal.SIGKILL

# Dropout: a resume that forgot the random state would show. Its best weights are not its last ones.
NET = """
from torch import nn
from methods import NetworkMethod, register

@register
class Net(NetworkMethod):
    name, title, citation = "net", "Net", "none"

    def build(self):
        return nn.Sequential(nn.Conv2d(3, 192, 3, padding=1), nn.Dropout(0.2), nn.PixelShuffle(8))
"""


class KillableRun:
    """A small run that can be killed and repeated; ``expected`` is what the undisturbed one left."""

    def __init__(self, folder: Path, data: Path) -> None:
        self.folder = folder
        plugin = folder / "net_plugin.py"
        plugin.write_text(NET)
        self.arguments = [
            "run", "--methods", "net", "--plugin", str(plugin), "--data", str(data), "--device", "cpu", "--ocr", "none",
            "--iterations", "12", "--batch-size", "2", "--set", "train.validations=4", "--set", "train.threads=1",
            "--set", "train.checkpoint_iterations=2", "--set", "train.learning_rate=0.05", "--set", "train.warmup=0",
            "--set", "scoring.samples=2",
            "--set", "data.train_plates=16", "--set", "data.val_plates=4", "--set", "data.test_plates=4",
        ]  # fmt: skip
        self.undisturbed = self.run("undisturbed")
        assert self.undisturbed.code == 0, self.log()
        self.expected = fingerprint(folder / "undisturbed")

    def run(self, name: str, kill: Kill | None = None) -> Outcome:
        return kill_harness.run([*self.arguments, "--results", str(self.folder / name)], self.folder / "log", kill)

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def killed(self, *kills: Kill) -> list[Outcome]:
        """Start and kill a run once for each of ``kills``, then let it end; what it leaves must be as expected."""
        results = self.folder / "killed"
        shutil.rmtree(results, ignore_errors=True)
        ends = [self.run("killed", kill) for kill in kills]
        assert self.run("killed").code == 0, self.log()
        left = fingerprint(results)
        assert {name for name in left if left[name] != self.expected.get(name)} == set(), (kills, ends)
        assert left.keys() == self.expected.keys(), (kills, ends)
        return ends


@pytest.fixture(scope="module")
def killable(tmp_path_factory: pytest.TempPathFactory) -> KillableRun:
    folder = tmp_path_factory.mktemp("kill")
    synthesize(folder / "plates", 24, seed=5, workers=1)
    return KillableRun(folder, folder / "plates")


def test_the_undisturbed_run_is_worth_killing(killable: KillableRun) -> None:
    assert {name for name, _ in killable.undisturbed.spans} == set(PHASES)
    names = {name.rsplit("/", 1)[-1] for name in killable.expected}
    assert {"weights.safetensors", "last.safetensors", "history.csv", "plates.csv", "result.json", "plates.u8"} <= names
    assert not any("checkpoint" in name or "finished" in name or "partial" in name for name in killable.expected)


@pytest.mark.parametrize("phase", PHASES)
def test_killed_at_a_random_moment_of(killable: KillableRun, phase: str) -> None:
    ends = killable.killed(kill_harness.draw(killable.undisturbed.spans, phase, random.Random(phase)))
    assert ends[0].code in (KILLED, 0)  # 0: it had ended before the blow fell


def test_killed_before_a_random_file_is_opened_renamed_or_removed(killable: KillableRun) -> None:
    chance = random.Random(1)
    for event in sorted(chance.sample(range(killable.undisturbed.events), 5)):
        (end,) = killable.killed(Kill(event=event))
        assert end.code == KILLED, event


def test_killed_again_and_again(killable: KillableRun) -> None:
    kills = [Kill(event=event) for event in (9, 60, 70, 75)]  # of what was left to do each time
    assert sum(end.code == KILLED for end in killable.killed(*kills)) >= 3


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_asked_to_stop_it_says_so_by_its_exit_code(killable: KillableRun, number: signal.Signals, code: int) -> None:
    (end,) = killable.killed(Kill("training", 5, 0.0, number=number))
    assert end.code == code and 0 < end.iteration < 12
    assert "stopped; the same command goes on from here" in killable.log()
