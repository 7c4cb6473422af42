"""Same seed, same numbers: twice in a row, against stored curves, and with ``train.deterministic``."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import loss_curves
import numpy as np
import pandas as pd
import pytest
import torch
from conftest import plate_name
from loss_curves import CASES, PRETRAINED, RELATED, RESUMED, compute_pretraining
from PIL import Image
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import methods
from benchmark.config import load
from benchmark.results.store import Run
from benchmark.runner.scheduler import run_jobs
from benchmark.training import determinism
from benchmark.training.determinism import OPERATORS
from benchmark.util.errors import UserError


class Recorder(TorchDispatchMode):
    """Names of the operators that torch's dispatcher is asked for, forward and backward."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls.add(func._schema.name.removeprefix("aten::"))
        return func(*args, **(kwargs or {}))


class AttentionRecorder(TorchFunctionMode):
    """Whether attention is computed by torch's own function, which has another operator for every device."""

    def __init__(self) -> None:
        self.calls: set[str] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.nn.functional.scaled_dot_product_attention:
            self.calls.add("scaled_dot_product_attention")
        return func(*args, **(kwargs or {}))


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def switches() -> Iterator[None]:
    """What a test switches on for the whole process is off afterwards."""
    yield
    determinism.configure(False)
    torch.set_num_threads(1)


# -- training: twice, against stored curves, with the option ---------------------------------------

COMPUTED: dict[str, tuple[loss_curves.Curve, str]] = {}
CALLS: dict[str, set[str]] = {}


def computed(name: str, folder: Path) -> tuple[loss_curves.Curve, str]:
    """Curve and hash of the weights of a case; what it was computed with is on record afterwards."""
    if name not in COMPUTED:
        with AttentionRecorder() as attention, Recorder() as operators:
            COMPUTED[name] = loss_curves.compute(CASES[name], folder)
        CALLS[name] = attention.calls | operators.calls
    return COMPUTED[name]


def test_every_method_has_a_curve() -> None:
    cells = {n for n in methods.names("all") if set(methods.get(n).groups) == {"ablation"}} - {"pecl-mse"}
    expected = set(methods.names("all")) - cells | {"pecl-euclidean-64"} | set(methods.names("related"))
    assert {case.method for case in CASES.values()} == expected - {"rdn-b"}  # rdn-a is of its class
    assert list(loss_curves.stored()["curves"]) == list(loss_curves.versions())


@pytest.mark.parametrize("name", [*CASES, *PRETRAINED])
def test_curve(name: str, tmp_path: Path) -> None:
    known = loss_curves.stored()
    curve = compute_pretraining(PRETRAINED[name]) if name in PRETRAINED else computed(name, tmp_path)[0]
    moved = loss_curves.moved(name, curve, known)
    assert not moved, (
        f"losses of {name} have moved, by these parts of their values: {moved}. If numbers were meant to change, raise "
        "the version that they belong to; `python tests/loss_curves.py --write` then stores the curves anew"
    )
    assert known["versions"][name] == loss_curves.versions()[name], "--write stores the curves of a raised version"


@pytest.mark.parametrize(("name", "whole"), RESUMED.items())
def test_what_was_stopped_goes_on_as_if_it_had_not_been(name: str, whole: str, tmp_path: Path) -> None:
    assert computed(name, tmp_path / "resumed") == computed(whole, tmp_path / "whole")


def test_a_moved_curve_is_stored_only_under_a_raised_version(monkeypatch: pytest.MonkeyPatch) -> None:
    known = loss_curves.stored()
    curves = known["curves"] | {"srcnn": {name: [2 * v for v in vs] for name, vs in known["curves"]["srcnn"].items()}}
    assert loss_curves.refusals(known["curves"], known) == [] and loss_curves.refusals(curves, known) == ["srcnn"]
    assert loss_curves.refusals(curves | {"srcnn": {"val_psnr": [1.0]}}, known) == ["srcnn"]
    entry = methods.get("srcnn")
    monkeypatch.setitem(methods._registry, "srcnn", dataclasses.replace(entry, version=entry.version + 1))
    assert loss_curves.refusals(curves, known) == []
    monkeypatch.setitem(methods._registry, "srcnn", dataclasses.replace(entry, version=0))
    assert loss_curves.refusals(curves, known) == ["srcnn"]


LONG = ("espcn, 50 iterations", "esrgan, both phases", *RESUMED)
# The same network is trained a second time by its published recipe, or with another number.
ONCE_MORE = [name for name in CASES if name not in ("swinir", "tbsrn", "pecl-euclidean-64", *LONG, *RELATED)]


@pytest.mark.usefixtures("switches")
@pytest.mark.parametrize("name", ONCE_MORE)
def test_same_seed_same_weights_and_losses_and_the_option_changes_none(name: str, tmp_path: Path) -> None:
    first = computed(name, tmp_path / "first")
    determinism.configure(True)
    assert loss_curves.compute(CASES[name], tmp_path / "again") == first


# -- the whole way: weights, history, scores -------------------------------------------------------


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two dozen plates of colours and bars."""
    folder = tmp_path_factory.mktemp("plates")
    random = np.random.Generator(np.random.Philox(3))
    for i in range(24):
        height, width = ((64, 64), (64, 72))[i % 2]
        name = plate_name(f"皖A{i:05}", (0, 0, width, height), i)
        Image.fromarray(loss_curves.draw(random, height, width)).save(folder / name, format="PNG")
    return folder


def run(data: Path, results: Path, names: list[str], *assignments: str) -> Run:
    """Train and score methods from nothing, two iterations each (ESRGAN: one in either phase)."""
    settings = [
        f"data.folder={data}", f"data.cache={data.parent / 'packs'}", "data.train_plates=16", "data.val_plates=2",
        "data.test_plates=2", "train.iterations=2", "train.validations=1", "train.warmup=0", "train.threads=1",
        "train.device=cpu", "scoring.ocr=none", "scoring.samples=0", "esrgan.gan_share=0.5", *assignments,
    ]  # fmt: skip
    made = Run(results / "run")
    assert run_jobs(load("quick", settings), [methods.get(name) for name in names], made, say=lambda _: None) == []
    return made


def fingerprint(made: Run, name: str, seed: int = 0) -> str:
    """Hash of weights, losses and scores; clocks are left out."""
    result = made.result(name, seed)
    assert result is not None and result.complete
    facts = {key: result.record.as_dict()[key] for key in ("scores", "best_iteration", "iterations", "parameters")}
    digest = hashlib.sha256(repr(facts).encode())
    history = pd.read_csv(result.folder / "history.csv", dtype=str).drop(columns="seconds")
    digest.update(history.to_csv(index=False).encode())
    for file in ("weights.safetensors", "last.safetensors", "plates.csv"):
        if (result.folder / file).is_file():
            digest.update((result.folder / file).read_bytes())
    return digest.hexdigest()


def check_twice(data: Path, tmp_path: Path, names: list[str], *assignments: str) -> None:
    one, two = (run(data, tmp_path / place, names, *assignments) for place in ("one", "two"))
    assert {name: fingerprint(one, name) for name in names} == {name: fingerprint(two, name) for name in names}


@pytest.mark.usefixtures("switches")
def test_same_seed_same_scores(data: Path, tmp_path: Path) -> None:
    check_twice(data, tmp_path, ["bicubic", "espcn", "pecl-learned"])


@pytest.mark.slow
@pytest.mark.usefixtures("switches")
@pytest.mark.parametrize("recipe", ["common", "native"])
def test_same_seed_same_scores_of_every_method(data: Path, tmp_path: Path, recipe: str) -> None:
    check_twice(data, tmp_path, sorted({case.method for case in CASES.values()}), f"train.recipe={recipe}")


@pytest.mark.usefixtures("switches")
def test_another_seed_has_other_scores(data: Path, tmp_path: Path) -> None:
    made = run(data, tmp_path, ["espcn"], "train.seeds=2", "train.deterministic=true")
    assert fingerprint(made, "espcn") != fingerprint(made, "espcn", seed=1)


@pytest.mark.usefixtures("switches")
@pytest.mark.parametrize("threads", [1, 2])
def test_the_number_of_threads_is_in_the_provenance(data: Path, tmp_path: Path, threads: int) -> None:
    result = run(data, tmp_path, ["bicubic"], f"train.threads={threads}").result("bicubic", 0)
    assert result is not None
    made_with = result.record.as_dict()["provenance"]
    assert made_with["hardware"]["threads"] == threads
    assert made_with["versions"]["torch"].startswith(torch.__version__.split("+")[0])


# -- operators -------------------------------------------------------------------------------------

ALL_CALLS = {call for operator in OPERATORS for call in operator.calls}
# Under which names the dispatcher knows what torch's documentation names otherwise.
_CONVOLUTION = {"convolution", "convolution_backward"}
_UPSAMPLE = {
    f"{prefix}upsample_{kind}{suffix}_backward"
    for prefix in ("", "_")
    for kind in ("linear1d", "bilinear2d", "bicubic2d", "trilinear3d")
    for suffix in ("", "_aa")
}
ALIASES = {
    "conv": _CONVOLUTION,
    "__getitem__": {"index_put", "index_put_", "_index_put_impl_"},
    "interpolate": _UPSAMPLE,
    "index_select": {"index_select_backward", "index_add", "index_add_"},
    "gather": {"gather_backward"},
    "nll_loss": {"nll_loss_forward", "nll_loss2d_forward", "nll_loss_backward", "nll_loss2d_backward"},
    "embedding": {"embedding_dense_backward", "embedding_backward"},
    "repeat_interleave": {"index_add", "index_add_"},
}


def documented() -> set[str]:
    """What the documentation of the torch that is installed lists as not deterministic, as the dispatcher calls it."""
    found: set[str] = set()
    bullets = re.split(r"\n +\* ", torch.use_deterministic_algorithms.__doc__ or "")[1:]
    for bullet in bullets:
        first = bullet.split("\n\n")[0]
        if re.search(r"\b(MPS|sparse|quantized)\b", first) and "CUDA" not in first.replace("sparse-dense CUDA", ""):
            continue
        for name in re.findall(r":(?:class|func):`torch\.([\w.]+)`", first):
            found |= calls(name.rpartition(".")[2], backward="differentiate" in first)
    return found


def calls(name: str, backward: bool) -> set[str]:
    """``AdaptiveAvgPool2d`` → ``adaptive_avg_pool2d_backward``, ``_adaptive_avg_pool2d_backward``, …"""
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
    alias = "conv" if snake.startswith("conv") else snake
    if alias in ALIASES:
        return ALIASES[alias]
    plain = snake.strip("_")
    stems = {plain, f"{plain}_backward"} if not backward else {f"{plain}_backward", f"{plain}_with_indices_backward"}
    return {form for stem in stems for form in (stem, f"_{stem}", f"{stem}_")}


def test_the_documentation_is_understood() -> None:
    known = documented()
    assert {"convolution_backward", "_adaptive_avg_pool2d_backward", "reflection_pad2d_backward", "index_put",
            "scatter_add_", "_upsample_bicubic2d_aa_backward", "_ctc_loss_backward", "cumsum"} <= known  # fmt: skip
    assert not known & {"max_pool2d_with_indices_backward", "mm", "upsample_nearest2d_backward"}


def test_the_table_has_every_operator_that_training_uses_and_no_other(tmp_path: Path) -> None:
    for name in CASES:
        computed(name, tmp_path / name)
    called = set().union(*CALLS.values())
    missing = called & documented() - ALL_CALLS
    assert not missing, f"not in benchmark.training.determinism.OPERATORS: {sorted(missing)}"
    assert not [operator.name for operator in OPERATORS if not called & set(operator.calls)]


def test_the_table_names_every_method_that_uses_an_operator(tmp_path: Path) -> None:
    for name in CASES:
        computed(name, tmp_path / name)
    for operator in [operator for operator in OPERATORS if not operator.where.startswith("every network")]:
        users = {methods.get(CASES[name].method).title for name in CASES if CALLS[name] & set(operator.calls)}
        assert not {title for title in users if title not in operator.where}, operator.name


def test_the_recorder_sees_backward_passes() -> None:
    with Recorder() as recorder:
        x = torch.ones(1, 1, 6, 6, requires_grad=True)
        torch.nn.functional.adaptive_avg_pool2d(x, 4).sum().backward()
    assert recorder.calls & documented() == {"_adaptive_avg_pool2d_backward"}


# -- switches ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("switches")
def test_the_option_is_switched_on_and_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    determinism.configure(False)
    assert torch.backends.cudnn.benchmark and not torch.are_deterministic_algorithms_enabled()
    determinism.configure(True)
    assert torch.are_deterministic_algorithms_enabled() and not torch.backends.cudnn.benchmark
    determinism.configure(False)
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.usefixtures("switches")
def test_a_workspace_that_is_not_deterministic_is_refused_where_it_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":0:0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    determinism.configure(True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(UserError, match=r":4096:8.*':0:0'"):
        determinism.configure(True)
