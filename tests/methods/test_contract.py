"""What every registered method promises, tested for every registered method; and the registry."""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest
import torch
from slim_networks import slim_generators, slim_judges
from torch import nn

import methods
from methods import Batch, Method, NetworkMethod, Recipe, Session, contract
from methods.contract import PracticeSession
from methods.engine.tiles import blend_tiles

# Options that let a method run here: no ImageNet weights, and both phases of a GAN's training.
OFFLINE: dict[str, dict[str, Any]] = {
    **{name: {"perceptual": "random", "gan_share": 2 / 3} for name in ("esrgan", "srgan", "real-esrgan")},
    "lpsrgan-style": {"perceptual": "random", "gan_share": 2 / 3, "reader_features": 0.0},
    "pecl": {"embedder_init": "random"},
}
# Those of the ablation and of the sweep differ in numbers; three of them stand for the rest.
_CELLS = {
    n
    for n in methods.names()
    if methods.get(n).groups and set(methods.get(n).groups) <= {"ablation", "ablation-printed", "sweep"}
} - {"pecl-mse", "pecl-euclidean-512", "pecl-weight-1e-1"}
# A network of more parameters than this is left out if a smaller registration of its class is tested.
LARGE = 20_000_000


def _is_large_variant(name: str) -> bool:
    entry = methods.get(name)
    with torch.device("meta"):
        return entry.name != entry.family and entry.num_parameters() > LARGE


NAMES = [name for name in methods.names() if name not in _CELLS and not _is_large_variant(name)]
NETWORKS = [name for name in NAMES if issubclass(methods.get(name).method, NetworkMethod)]


def create(name: str, **options: Any) -> Method:
    torch.manual_seed(0)
    entry = methods.get(name)
    return entry.create({**OFFLINE.get(entry.family, {}), **options})


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def slim(monkeypatch: pytest.MonkeyPatch) -> None:
    """For promises that are kept by a network's kinds of blocks, however many there are of each. Whole networks are
    enlarged with below, take a step, and have loss curves."""
    slim_generators(monkeypatch)
    slim_judges(monkeypatch)


@pytest.mark.parametrize("name", NAMES)
def test_metadata(name: str) -> None:
    entry = methods.get(name)
    method = create(name)
    assert entry.name == name and entry.title and entry.groups
    assert len(method.citation) > 40 and any(c.isdigit() for c in method.citation)
    assert all(note.endswith(".") and "\n" not in note for note in method.notes())
    assert method.deterministic == (method.num_parameters() == 0)


@pytest.mark.parametrize("name", NAMES)
def test_whole_networks_take_any_size(name: str) -> None:
    contract.check_sizes(lambda: create(name))


@pytest.mark.usefixtures("slim")
@pytest.mark.parametrize("check", [check for check in contract.CHECKS if check != "sizes"])
@pytest.mark.parametrize("name", NAMES)
def test_contract(name: str, check: str) -> None:
    contract.CHECKS[check](lambda: create(name))


@pytest.mark.parametrize("name", NETWORKS)
def test_one_step_reaches_every_parameter(name: str) -> None:
    method = create(name)
    assert isinstance(method, NetworkMethod)
    method.train(PracticeSession())
    for key, parameter in method.network.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), key
    assert not method.network.training


@pytest.mark.usefixtures("slim")
@pytest.mark.parametrize("name", NETWORKS)
def test_weights_that_do_not_fit_are_refused(name: str) -> None:
    method = create(name)
    with pytest.raises(RuntimeError):
        method.load_weights(dict(list(method.weights().items())[1:]))


class Forgetful(NetworkMethod):
    """A method that keeps its optimiser out of its state: what the contract is there to notice."""

    name, title, citation = "forgetful", "Forgetful", "nobody"

    def build(self) -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 192, 1), nn.PixelShuffle(8))

    def state_dict(self) -> dict[str, Any]:
        return {"network": self.network.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])


class Direct(NetworkMethod):
    """A method whose step passes over ``run``: bf16 and compilation are lost without a word."""

    name, title, citation = "direct", "Direct", "nobody"

    def build(self) -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 192, 1), nn.PixelShuffle(8))

    def step(self, batch: Batch, session: Session) -> None:
        losses = self.loss(self.network(batch.lr), batch)
        session.check(losses)
        self.optimizer_step(losses["total"])


class Bright(Method):
    name, title, citation = "bright", "Bright", "nobody"

    def upscale(self, lr: torch.Tensor) -> torch.Tensor:
        return 2 * lr.repeat_interleave(8, -1).repeat_interleave(8, -2) + 0.5


@pytest.mark.parametrize(
    ("method", "check", "complaint"),
    [
        (Forgetful, "resume", "after a resume"),
        (Direct, "precision", r"training calls Sequential directly: call self\.run"),
        (Bright, "sizes", r"leaves \[0, 1\]"),
        (Bright, "refusals", "without a ValueError"),
        (Bright, "training", "deterministic"),
    ],
)
def test_the_contract_notices(method: type[Method], check: str, complaint: str) -> None:
    with pytest.raises(contract.ContractBroken, match=complaint):
        contract.CHECKS[check](method)


def test_methods_know_nothing_of_the_benchmark() -> None:
    folder = Path(methods.__file__).parent
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            imported = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            imported += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not [name for name in imported if name.split(".")[0] in ("benchmark", "paper_figures")]
    script = """
        import sys, torch, methods
        from methods.contract import PracticeSession
        method = methods.get("espcn").create()
        method.train(PracticeSession(2))
        assert method.upscale(torch.rand(1, 3, 2, 2)).shape == (1, 3, 16, 16)
        assert "benchmark" not in sys.modules
        # What takes seconds to import is imported by those who use it.
        assert not {"torchvision", "timm"} & set(sys.modules)
    """
    paths = f"import sys; sys.path[:0] = {[str(folder.parent)]!r}\n"
    done = subprocess.run(
        [sys.executable, "-c", paths + textwrap.dedent(script)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


# -- recipes -------------------------------------------------------------------------------------------


def test_schedules() -> None:
    assert Recipe().factor(0.0) == 1.0 and Recipe().factor(1.0) == pytest.approx(0.0)
    assert Recipe().factor(0.5) == pytest.approx(0.5)
    steps = Recipe(schedule="steps", milestones=(0.5, 0.8), gamma=0.1)
    assert [steps.factor(p) for p in (0.0, 0.49, 0.5, 0.9)] == pytest.approx([1, 1, 0.1, 0.01])
    assert Recipe(schedule="constant").factor(0.7) == 1.0


@pytest.mark.parametrize("name", ["srcnn", "espcn"])
def test_last_layer_learns_slowly_in_the_native_recipe_only(name: str) -> None:
    for native, rates in [(False, [1.0]), (True, [1.0, 0.1])]:
        method, session = create(name), PracticeSession(1, lr_size=(1, 1), native=native)
        method.train(session)
        groups = session.optimizers[0][0].param_groups
        assert [group["lr_scale"] for group in groups] == rates
    assert sum(p.numel() for p in groups[1]["params"]) < 100_000
    assert sum(len(group["params"]) for group in groups) == 6


def test_loss_scale_and_clipping() -> None:
    method = create("tbsrn")
    method.train(PracticeSession(1, lr_size=(2, 2), native=True))
    assert isinstance(method, NetworkMethod)
    norm = torch.stack([p.grad.norm() for p in method.network.parameters() if p.grad is not None]).norm()
    assert norm == pytest.approx(0.25, rel=1e-3)


def test_moving_average_is_what_upscales() -> None:
    method = create("swinir")
    first = {key: value.clone() for key, value in method.weights().items()}
    method.train(PracticeSession(4, lr_size=(1, 1), native=True))
    assert isinstance(method, NetworkMethod) and method.recipe.ema == 0.999
    live = method.network.state_dict()
    for key in ("tail.weight", "groups.3.blocks.1.attn.qkv.weight"):
        moved = (live[key] - first[key]).abs().mean()
        assert (method.weights()[key] - first[key]).abs().mean() < 0.5 * moved


# -- tiles ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(8, 8), (9, 8), (3, 20), (25, 31), (40, 11), (1, 9)])
def test_blended_tiles_of_a_local_function_are_the_function(size: tuple[int, int]) -> None:
    lr = torch.rand(2, 3, *size)
    seen: list[tuple[int, ...]] = []

    def nearest(x: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(x.shape[-2:]))
        return x.repeat_interleave(8, -1).repeat_interleave(8, -2)

    torch.testing.assert_close(blend_tiles(nearest, lr, 8, scale=8, at_once=100), nearest(lr))
    assert seen[0] == (min(8, size[0]), min(8, size[1]))


def test_tbsrn_never_attends_beyond_what_it_was_trained_on() -> None:
    method = create("tbsrn")
    assert isinstance(method, NetworkMethod)
    sizes: list[torch.Size] = []
    method.network.register_forward_pre_hook(lambda _, inputs: sizes.append(inputs[0].shape[-2:]))
    method.upscale(torch.rand(1, 3, 13, 21))
    assert sizes == [(8, 8)]


# -- registry ------------------------------------------------------------------------------------------

PLUGIN = """
    from torch import nn
    from methods import NetworkMethod, register

    @register
    class Tiny(NetworkMethod):
        name = "tiny"
        title = "Tiny"
        citation = "nobody"

        def build(self):
            return nn.Sequential(nn.Conv2d(3, 192, 1), nn.PixelShuffle(8))
"""


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a test registers is gone afterwards."""
    methods.names()
    monkeypatch.setattr(methods, "_registry", dict(methods._registry))
    monkeypatch.setattr(methods, "_unavailable", dict(methods._unavailable))


def test_order_and_groups() -> None:
    assert methods.names("table1") == [
        "bicubic", "srcnn", "msrn", "espcn", "esrgan", "tbsrn", "swinir", "pecl",
    ]  # fmt: skip
    assert "pecl-printed" in methods.names("readings")
    assert set(methods.groups()) >= {"all", "everything", "table1", "readings", "related"}
    assert methods.names("everything") == methods.names()
    assert not set(methods.names("related")) & set(methods.names("all"))
    assert methods.get("pecl-printed").family == "pecl"
    assert not methods.unavailable()


@pytest.mark.usefixtures("registry")
def test_a_method_of_ten_lines(tmp_path: Path) -> None:
    file = tmp_path / "my_method.py"
    file.write_text(textwrap.dedent(PLUGIN), encoding="utf-8")
    methods.load_plugin(file)
    assert not methods.unavailable() and methods.names()[-1] == "tiny"
    method = methods.get("tiny").create()
    session = PracticeSession(30, lr_size=(4, 4))
    method.train(session)
    assert method.num_parameters() == 768
    assert method.upscale(torch.rand(2, 3, 1, 5)).shape == (2, 3, 8, 40)


@pytest.mark.usefixtures("registry")
def test_a_broken_file_breaks_only_itself(tmp_path: Path) -> None:
    before = methods.names()
    for name, text in {
        "no_module": "import nothing_of_this_name",
        "no_syntax": "def",
        "name_taken": textwrap.dedent(PLUGIN).replace('"tiny"', '"srcnn"'),
        "late": textwrap.dedent(PLUGIN) + "\n1 / 0",
    }.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        methods.load_plugin(tmp_path / f"{name}.py")
    methods.load_plugin(tmp_path / "absent.py")
    assert methods.names() == before
    reasons = methods.unavailable()
    assert set(reasons) == {"no_module", "no_syntax", "name_taken", "late", "absent"}
    assert "nothing_of_this_name" in reasons["no_module"] and "srcnn" in reasons["name_taken"]
    assert all("\n" not in reason for reason in reasons.values())
    with pytest.raises(methods.UnknownMethod, match=r"unavailable.*division"):
        methods.get("late")


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(methods.UnknownMethod, match="did you mean swinir"):
        methods.get("swinr")
    with pytest.raises(methods.UnknownMethod, match="known: bicubic, srcnn"):
        methods.get("zzz")


@pytest.mark.usefixtures("registry")
def test_names_that_cannot_be_folders_are_refused() -> None:
    entry = methods.get("bicubic")
    for name in ("Upper", "a/b", "", "all", "hr"):
        with pytest.raises(ValueError, match="cannot name"):
            methods.register(entry.method, name=name or " ")


@pytest.mark.usefixtures("registry")
def test_options_that_a_method_does_not_take_are_refused() -> None:
    pecl: Any = methods.get("pecl").method
    with pytest.raises(TypeError, match="tern"):
        methods.register(pecl, name="typo", options=pecl.Options(tern="printed"))
    with pytest.raises(ValueError, match=r"option term: .*'attract', 'printed' or 'none'"):
        methods.register(pecl, name="typo", options=pecl.Options(term="prnted"))
    with pytest.raises(ValueError, match=r"option margin: .*number"):
        methods.register(pecl, name="typo", options=pecl.Options(margin="wide"))
    with pytest.raises(TypeError, match="its own Options"):
        methods.register(methods.get("srcnn").method, name="typo", options=pecl.Options(term="printed"))
    with pytest.raises(TypeError, match=r"no 'term'.* options=YourMethod\.Options\(term=\.\.\.\)"):
        methods.register(pecl, name="typo", term="printed")


def test_effective_options_are_defaults_requests_and_what_is_fixed() -> None:
    entry = methods.get("pecl-printed")
    options = entry.effective_options({"dimension": 64, "term": "printed"})
    assert (options["dimension"], options["term"], options["margin"]) == (64, "printed", 2.0)
    assert list(options) == [field.name for field in fields(entry.method.Options)]
    assert entry.effective_options() == entry.effective_options({"margin": 2.0})
    assert methods.get("bicubic").effective_options() == {}
    with pytest.raises(methods.FixedOption, match="pecl-printed fixes term=printed, so term=attract cannot"):
        entry.effective_options({"term": "attract"})
    with pytest.raises(methods.FixedOption, match="term=attract"):
        entry.create({"term": "attract"})


@pytest.mark.usefixtures("registry")
def test_a_plain_dataclass_of_options_fixes_what_differs_from_its_default() -> None:
    @dataclass(frozen=True)
    class Plain:
        depth: int = 3
        width: int = 64

    class Tiny(Method):
        name, title, citation, Options = "tiny", "Tiny", "none", Plain

        def upscale(self, lr: torch.Tensor) -> torch.Tensor:
            return lr

    methods.register(Tiny, options=Plain(depth=4, width=64))
    assert methods.get("tiny").fixed == {"depth": 4}
    assert methods.get("tiny").effective_options({"width": 8}) == {"depth": 4, "width": 8}
