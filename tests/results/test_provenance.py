"""Where a number comes from: the command as a shell takes it, and nothing of the user's."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest
import torch

from benchmark.cli.options import path_option
from benchmark.config import load
from benchmark.results import provenance

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/al")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run", "--data", "/home/al/ccpd"], "run --data ~/ccpd"),
        (
            ["run", "--results=/home/al/out", "--set", "data.cache=/home/al/x"],
            "run --results=~/out --set data.cache=~/x",
        ),
        (["--data", "/home/al/my plates"], "--data '~/my plates'"),
        (["/home/alice/x", "/mnt/home/al/x", "home/al"], "/home/alice/x /mnt/home/al/x home/al"),
        (["a;b", "$(x)", "it's", ""], """'a;b' '$(x)' 'it'"'"'s' ''"""),
    ],
)
def test_a_command_is_stored_as_a_shell_takes_it_without_the_home_directory(words: list[str], expected: str) -> None:
    assert provenance.command(words) == expected
    assert [word.replace("~", "/home/al") for word in shlex.split(expected)] == words


def test_what_is_stored_with_a_tilde_is_understood_again() -> None:
    config = load("quick", ["data.folder=~/ccpd", "data.cache=~/x", "scoring.paddle_model=~/m"])
    assert config.data.folder == Path("/home/al/ccpd") and config.data.cache == Path("/home/al/x")
    assert config.scoring.paddle_model == Path("/home/al/m")
    assert path_option("~/out") == Path("/home/al/out") and path_option("a~") == Path("a~")


def test_only_variables_that_matter_are_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {"OMP_NUM_THREADS": "1", "CUBLAS_WORKSPACE_CONFIG": ":4096:8", "PYTORCH_CUDA_ALLOC_CONF": "x",
            "MKL_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": "0", "NVIDIA_TF32_OVERRIDE": "0"}  # fmt: skip
    secret = {"AWS_SECRET_ACCESS_KEY": "s", "HF_TOKEN": "s", "TORCH_HOME": "/x/al", "TORCHINDUCTOR_CACHE_DIR": "/x/al",
              "MY_OMP_NUM_THREADS": "s", "USER": "al", "HOSTNAME": "s", "CUDNN_PATH": "/x/al"}  # fmt: skip
    for name in list(provenance.provenance(CPU)["environment"]):
        monkeypatch.delenv(name)
    for name, value in {**kept, **secret}.items():
        monkeypatch.setenv(name, value)
    assert provenance.provenance(CPU)["environment"] == kept


def test_the_commit_is_that_of_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        here = str(Path(provenance.__file__).resolve().parents[2])
        answers = {"--show-toplevel": here, "HEAD": "abc", "--untracked-files=no": " M a.py\n M b.py\n"}
        return subprocess.CompletedProcess(command, 0, answers[command[-1]], "")

    monkeypatch.setattr(subprocess, "run", fake)
    provenance.read_source.cache_clear()
    assert provenance._source() == {"commit": "abc", "dirty": True, "changed_files": 2}

    def absent(*_: object, **__: object) -> None:
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", absent)
    provenance.read_source.cache_clear()
    assert provenance._source() == {"commit": None, "dirty": None, "changed_files": None}
    provenance.read_source.cache_clear()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to another user")
def test_a_checkout_that_another_user_owns_is_read_and_one_that_git_refuses_is_named(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    me = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", tmp_path, *me, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    os.chown(tmp_path, 12345, 12345)
    os.chown(tmp_path / ".git", 12345, 12345)
    source, reason = provenance.read_source(tmp_path)
    assert len(source["commit"]) == 40 and reason == ""
    (tmp_path / ".git" / "config").write_text("[core\n")
    provenance.read_source.cache_clear()
    source, reason = provenance.read_source(tmp_path)
    provenance.read_source.cache_clear()
    assert source["commit"] is None and str(tmp_path) in reason and "config" in reason
