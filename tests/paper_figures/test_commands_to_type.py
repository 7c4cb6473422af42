"""The commands that a report suggests: what makes results like the stored ones, as short as that can be said."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_results import METHODS, make_run

from benchmark import config
from paper_figures.common import commands
from paper_figures.common.loading import load
from paper_figures.common.results import Results

START = "python -m benchmark run"
FEW = tuple(fake for fake in METHODS if fake.name in ("espcn", "pecl", "esrgan"))


def stored(folder: Path, command: str | None, *changes: str) -> Results:
    """Results of the fakes' budget, or of today's ``quick`` with these changes, and the command they record."""
    content = {"config": config.load("quick", changes).model_dump(mode="json")} if changes else {}
    return load(make_run(folder, FEW, provenance={"command": command} if command else {}, **content))


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [
        (f"{START} --preset quick --methods=espcn --data '/my data' --batch-size=4 --set train.iterations=1000",
         "--methods pecl --preset quick --data '/my data' --batch-size=4 --set train.iterations=1000"),
        (START, "--methods pecl --iterations 1000 --batch-size 4"),
        ("python train.py --methods all", "--methods pecl --iterations 1000 --batch-size 4"),
        (f"{START} 'unbalanced", "--methods pecl --iterations 1000 --batch-size 4"),
        (None, "--methods pecl --iterations 1000 --batch-size 4"),
    ],
)  # fmt: skip
def test_commands_repeat_the_recorded_one(tmp_path: Path, recorded: str | None, expected: str) -> None:
    assert commands.run_command(stored(tmp_path, recorded), ["pecl"]) == f"{START} {expected}"


def test_commands_name_what_the_preset_once_said_otherwise_and_nothing_else(tmp_path: Path) -> None:
    """Budget, second engine and embedder have moved since; ESRGAN's options have, too, and PECL does not have them."""
    moved = ("train.iterations=600", "scoring.second=crnn", "pecl.embedder_init=plates", "esrgan.gan_share=0.5")
    results = stored(tmp_path, f"{START} --methods all --set train.threads=1", *moved, "train.threads=1")
    assert commands.run_command(results, ["pecl"]) == (
        f"{START} --methods pecl --set train.threads=1 --iterations 600 --set scoring.second=crnn"
        " --set pecl.embedder_init=plates"
    )


def test_a_larger_preset_brings_its_own_iterations_where_nobody_set_them_by_hand(tmp_path: Path) -> None:
    """The stored run made fewer iterations than its preset makes today, which is no larger preset for that."""
    results = stored(tmp_path, f"{START} --methods all --set train.threads=1", "train.iterations=600")
    larger = commands.larger_budget(results)
    assert larger == {"--preset": "standard"}
    expected = f"{START} --preset standard --methods pecl --set train.threads=1"
    assert commands.run_command(results, ["pecl"], larger) == expected


@pytest.mark.parametrize("by_hand", ["--iterations 9", "--iterations=9", "--set train.iterations=9",
                                     "--set=train.iterations=9"])  # fmt: skip
def test_iterations_set_by_hand_give_way_to_a_larger_budget(tmp_path: Path, by_hand: str) -> None:
    results = stored(tmp_path, f"{START} --methods all {by_hand} --set train.threads=1", "train.iterations=9")
    larger = commands.run_command(results, ["espcn"], commands.preset(results, "standard"))
    assert larger == f"{START} --iterations 50000 --preset standard --methods espcn --set train.threads=1"
