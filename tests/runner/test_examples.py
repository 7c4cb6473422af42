"""The example files for clusters: they parse, and name commands, options and files that there are."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_references import ROOT, take

from benchmark.config import load

EXAMPLES = ROOT / "benchmark" / "runner" / "examples"


def documents(name: str) -> list[Any]:
    return list(yaml.safe_load_all((EXAMPLES / name).read_text(encoding="utf-8")))


def check(words: list[str]) -> None:
    """A command of ours is one that the program takes, and its settings are ones that there are."""
    take(words)
    sets = [value for option, value in pairwise(words) if option == "--set"]
    preset = dict(pairwise(words)).get("--preset", "quick")
    load(preset, sets)


def test_skypilot_names_commands_and_settings_that_there_are() -> None:
    (task,) = documents("skypilot.yaml")
    script = task["run"].replace("\\\n", " ")
    for name, value in task["envs"].items():
        script = script.replace(f"${name}", value)
    commands = re.findall(r"python -m benchmark (.*)", script)
    assert len(commands) == 2
    for command in commands:
        check(shlex.split(command.partition("||")[0]))
    assert "'.[ray]' s3fs" in task["setup"] and task["num_nodes"] > 1


def test_kubernetes_names_a_command_that_there_is_and_mounts_what_it_claims() -> None:
    claim, job = documents("kubernetes.yaml")
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    check(container["args"])
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts["results"] == container["args"][container["args"].index("--results") + 1]
    assert set(mounts) == {volume["name"] for volume in pod["volumes"]}
    assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]


@pytest.mark.parametrize("example", sorted(EXAMPLES.iterdir()), ids=lambda path: path.name)
def test_an_example_says_at_its_head_how_it_is_started(example: Path) -> None:
    head = "".join(line for line in example.read_text(encoding="utf-8").splitlines(True) if line.startswith("#"))
    assert str(example.relative_to(ROOT)) in head
