"""Short loss curves of every method, kept in ``loss_curves.json``: they guard the versions that identities hold.

``python tests/loss_curves.py [CASE …]`` prints how far curves are from the stored ones. ``--write`` stores new ones,
and those that have moved where ``TRAINING_VERSION``, ``Method.version`` or ``PRETRAINING_VERSION`` rose. It refuses
others: under the same version a moved curve would let stored results pass for what they no longer are.
``tests/training/test_determinism.py`` holds the curves against the file.

With the torch and the processor that the file names, the values are the same to the last bit (on one thread). With
others sums come out in another order. How far that moves a curve is measured when the file is written, by computing
it again with the instructions of older processors; :func:`allowed` takes ten times that.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import methods
from benchmark.config import Train
from benchmark.data.pack import Plate
from benchmark.data.synthetic.generator import GENERATOR_VERSION
from benchmark.ocr.pretraining.learning import PretrainingRecipe, learn
from benchmark.ocr.pretraining.trainer import EMBEDDER, PATCH_READER, PRETRAINING_VERSION, READER
from benchmark.scoring import upscaling
from benchmark.training import trainer
from benchmark.training.session import Interrupted
from benchmark.training.version import TRAINING_VERSION

FILE = Path(__file__).with_name("loss_curves.json")
VARIANTS = (
    {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "AVX"},
    {"ONEDNN_MAX_CPU_ISA": "SSE41"},
)
"""Environments that have torch add up in another order."""
FLOOR = 1e-4
"""Relative difference that is allowed anyhow on another machine: a grey level more or less in one pixel."""

Curve = dict[str, list[float]]
"""By name of a loss, and ``val_psnr``: the values of the history, in their order."""


@dataclass(frozen=True)
class Case:
    """One stored curve: a method, and what is set for it."""

    method: str
    options: dict[str, Any] = field(default_factory=dict)
    recipe: str = "common"
    iterations: int = 4
    batch: int = 2
    stop: int | None = None
    """Stopped after this iteration, and gone on with from the checkpoint."""

    @property
    def versions(self) -> dict[str, int]:
        return {"training": TRAINING_VERSION, "method": methods.get(self.method).version}


@dataclass(frozen=True)
class Pretraining:
    """A stored curve of a network that is trained beforehand: ``reader``, ``embedder`` or ``patch-reader``."""

    network: str

    @property
    def versions(self) -> dict[str, int]:
        return {"pretraining": PRETRAINING_VERSION, "generator": GENERATOR_VERSION}


RANDOM = {"embedder_init": "random"}
GAN = {"perceptual": "random", "gan_share": 0.5}
CASES: dict[str, Case] = {
    **{name: Case(name) for name in ("bicubic", "srcnn", "espcn", "msrn", "tbsrn")},
    # One iteration for pixels, two against a critic.
    "esrgan": Case("esrgan", {"perceptual": "random", "gan_share": 2 / 3}, iterations=3, batch=1),
    "swinir": Case("swinir", iterations=3, batch=1),
    **{
        # The last one stands for the cells of the ablation, which differ in a number.
        name: Case(name, RANDOM, iterations=3)
        for name in ("pecl", "pecl-printed", "pecl-learned", "pecl-renormalised", "pecl-release", "pecl-euclidean-64")
    },
    "pecl-mse": Case("pecl-mse", iterations=3),
    "pecl, embedder learns": Case("pecl", {**RANDOM, "embedder": "trained", "batch_norm": "batch"}, iterations=3),
    # Published recipes: layers with rates of their own, clipped gradients, a moving average.
    "espcn, native recipe": Case("espcn", recipe="native"),
    "tbsrn, native recipe": Case("tbsrn", recipe="native", iterations=3),
    "swinir, native recipe": Case("swinir", recipe="native", iterations=2, batch=1),
    # Long enough for an error that grows, and both phases with a moving average and two optimizers.
    "espcn, 50 iterations": Case("espcn", iterations=50),
    "esrgan, both phases": Case("esrgan", GAN, iterations=4, batch=1),
    # What a checkpoint restores gives the curve of a training that was never stopped.
    "espcn, resumed": Case("espcn", stop=2),
    "esrgan, both phases, resumed": Case("esrgan", GAN, iterations=4, batch=1, stop=3),
}
RELATED = {
    **{
        name: Case(name, recipe="native", iterations=2, batch=1)
        for name in ("a2n", "bilinear", "edsr", "hat-s", "lanczos", "rcan", "rdn-a", "tsrn", "tsrn-gradient", "vdsr")
    },
    **{name: Case(name, GAN, recipe="native", iterations=2, batch=1) for name in ("real-esrgan", "srgan")},
    "lpsrgan-style": Case("lpsrgan-style", {**GAN, "reader_features": 0.0}, recipe="native", iterations=2, batch=1),
    "scsr": Case("scsr", iterations=3, batch=1),
}
"""The related work, without the larger sizes of a class."""
CASES |= RELATED
RESUMED = {name: name.removesuffix(", resumed") for name, case in CASES.items() if case.stop}
"""Cases that were stopped, and those they must equal."""
PRETRAINED = {f"pretraining, {name}": Pretraining(name) for name in ("reader", "embedder", "patch-reader")}


# -- plates ----------------------------------------------------------------------------------------


class DrawnPlates:
    """Plates in memory, which neither a picture library nor the split has a say in; to those who ask, a pack."""

    paired = False

    def __init__(self, count: int, seed: int, sizes: tuple[tuple[int, int], ...]) -> None:
        random = np.random.Generator(np.random.Philox(seed))
        self.pictures = [draw(random, *sizes[i % len(sizes)]) for i in range(count)]
        height, width = np.array([picture.shape[:2] for picture in self.pictures]).T
        offset = np.cumsum([0, *(picture.size for picture in self.pictures[:-1])])
        self.table = pd.DataFrame({"offset": offset, "height": height, "width": width})
        self.pixels = np.concatenate([picture.ravel() for picture in self.pictures])

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> Plate:
        return Plate(index, f"{index}.jpg", "皖A12345", self.pictures[index], np.zeros((4, 2), np.float32))


def draw(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A picture H×W×3 uint8: two colours that blend along a slope, and dark or bright bars."""
    y, x = np.mgrid[:height, :width]
    first, second = random.integers(0, 256, (2, 3))
    blend = np.abs((x * random.random() + y * random.random()) % 64 / 32 - 1)[..., None]
    picture = first + (second - first) * blend
    for _ in range(6):
        left, top = random.integers(0, width - 8), random.integers(0, height - 24)
        picture[top : top + 24, left : left + random.integers(2, 8)] = random.integers(0, 2) * 255
    return picture.astype(np.uint8)


# -- curves ----------------------------------------------------------------------------------------


def compute(case: Case, folder: Path) -> tuple[Curve, str]:
    """The curve of ``case`` and the hash of the weights it leads to. ``folder`` takes the files of the training."""
    if case.stop is not None:
        try:
            _train(case, folder, case.stop)
        except Interrupted:
            pass
        else:
            raise RuntimeError("the training was not stopped")
    session = _train(case, folder)
    names = [name for name in session.history[-1] if name not in ("iteration", "seconds", "learning_rate")]
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.safetensors")):
        digest.update(file.read_bytes())
    return {name: [row[name] for row in session.history if name in row] for name in names}, digest.hexdigest()


def _train(case: Case, folder: Path, stop: int | None = None) -> trainer.TrainingSession:
    entry = methods.get(case.method)
    config = Train(
        iterations=case.iterations, batch_size=case.batch, learning_rate=1e-3, warmup=1,
        validations=2 * case.iterations, recipe=case.recipe,
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    reached = 0

    def report(session: trainer.TrainingSession) -> None:
        nonlocal reached
        reached = session.iteration

    _, session = trainer.train(
        lambda: entry.create(case.options), config, DrawnPlates(12, 1, ((64, 64), (72, 136), (64, 96))),
        upscaling.PlateBatches(DrawnPlates(2, 2, ((32, 32),)), "cpu"), 0, folder, "curve",
        report=report, should_stop=lambda: reached == stop,
    )  # fmt: skip
    return session


def compute_pretraining(case: Pretraining) -> Curve:
    """Losses of the first iterations, on three drawn plates."""
    recipe = PretrainingRecipe(
        seed=5, plates=3, iterations=4, batch_size=2, learning_rate=1e-3, weight_decay=1e-4, held_out=1
    )
    losses: list[float] = []
    kind = {kind.name: kind for kind in (READER, EMBEDDER, PATCH_READER)}[case.network]
    windows, texts = kind.draw(recipe.seed, recipe.plates, 1, lambda done: None)
    learn(kind.build, recipe, windows, texts, torch.device("cpu"), lambda _, loss: losses.append(loss), kind.vary)
    return {"total": losses}


def environment() -> dict[str, str]:
    """What the last bits of a curve depend on beside the source."""
    return {
        "torch": torch.__version__,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "processor": processor(),
    }


def processor() -> str:
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text(encoding="utf-8").splitlines() if facts.is_file() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def distances(curve: Curve, known: Curve) -> dict[str, float]:
    """Largest relative difference of each stored loss. Raises ValueError where one is missing, or has other values in
    number. A loss that is logged anew moves no number."""
    if {name: len(curve.get(name, ())) for name in known} != {name: len(values) for name, values in known.items()}:
        raise ValueError(f"losses or their number are others: {list(curve)} and {list(known)}")
    return {name: max(map(_difference, curve[name], values)) for name, values in known.items()}


def _difference(a: float, b: float) -> float:
    return 0.0 if a == b else abs(a - b) / max(abs(a), abs(b))


# -- the file --------------------------------------------------------------------------------------


def stored() -> dict[str, Any]:
    """Content of the file: ``made_with``, ``versions`` and ``curves`` by case, and how far each loss of each ``moves``
    with the arithmetic."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def allowed(known: dict[str, Any], name: str) -> dict[str, float]:
    """By loss, how far the curve ``name`` may be from the stored one in this environment."""
    if known["made_with"] == environment():
        return dict.fromkeys(known["curves"][name], 0.0)
    return {loss: max(10.0 * moves, FLOOR) for loss, moves in known["moves"][name].items()}


def moved(name: str, curve: Curve, known: dict[str, Any]) -> dict[str, float]:
    """By loss, how far a curve is from the stored one; empty where it is as near as it must be."""
    limits = allowed(known, name)
    return {loss: most for loss, most in distances(curve, known["curves"][name]).items() if most > limits[loss]}


def risen(before: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether some version rose and none fell: numbers may be others."""
    return before != now and before.keys() == now.keys() and all(now[name] >= before[name] for name in now)


def refusals(curves: dict[str, Curve], known: dict[str, Any]) -> list[str]:
    """The cases whose curves have moved although their versions have not risen."""

    def same(name: str) -> bool:
        try:
            return not moved(name, curves[name], known)
        except ValueError:
            return False

    stored = [name for name in curves if name in known["curves"]]
    return [name for name in stored if not same(name) and not risen(known["versions"][name], versions()[name])]


def versions() -> dict[str, dict[str, int]]:
    """By case, the versions its curve depends on."""
    return {name: case.versions for name, case in {**CASES, **PRETRAINED}.items()}


def all_curves(names: Iterable[str]) -> dict[str, Curve]:
    with tempfile.TemporaryDirectory() as folder:
        return {
            name: compute_pretraining(PRETRAINED[name])
            if name in PRETRAINED
            else compute(CASES[name], Path(folder) / name)[0]
            for name in names
        }


def measure(curves: dict[str, Curve]) -> dict[str, dict[str, float]]:
    """How far the curves move in :data:`VARIANTS`, each in a process of its own."""
    moves: dict[str, dict[str, float]] = {name: dict.fromkeys(curve, 0.0) for name, curve in curves.items()}
    for variant in VARIANTS if curves else ():
        command = [sys.executable, str(Path(__file__).resolve()), "--print", *curves]
        done = subprocess.run(command, env={**os.environ, **variant}, check=True, stdout=subprocess.PIPE, text=True)
        for name, curve in json.loads(done.stdout.splitlines()[-1]).items():
            found = distances(curve, curves[name])
            moves[name] = {loss: float(f"{max(most, found[loss]):.2g}") for loss, most in moves[name].items()}
    return moves


def write(curves: dict[str, Curve], known: dict[str, Any]) -> None:
    """One line a loss, so that a change shows which ones moved. How far an unmoved one moves is not measured again."""

    def table(rows: dict[str, dict[str, Any]]) -> str:
        blocks = [
            f"  {json.dumps(name)}: {{\n" + ",\n".join(f"   {json.dumps(k)}: {json.dumps(v)}" for k, v in row.items())
            for name, row in rows.items()
        ]
        return "{\n" + "\n  },\n".join(blocks) + "\n  }\n }"

    kept = {name for name in curves if curves[name] == known["curves"].get(name)}
    measured = measure({name: curve for name, curve in curves.items() if name not in kept})
    moves = {name: known["moves"][name] if name in kept else measured[name] for name in curves}
    parts = {
        "made_with": json.dumps(environment()),
        "versions": table(versions()),
        "curves": table(curves),
        "moves": table(moves),
    }
    FILE.write_text("{\n" + ",\n".join(f' "{k}": {v}' for k, v in parts.items()) + "\n}\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"store the curves in {FILE.name}")
    parser.add_argument("--print", action="store_true", help="print them as JSON")
    parser.add_argument("names", nargs="*", help="cases to compute; all by default")
    wanted = parser.parse_args()
    if unknown := set(wanted.names) - set(versions()):
        parser.error(f"no case {', '.join(sorted(unknown))}: CASES in this file has {', '.join(versions())}")
    torch.set_num_threads(1)
    curves = all_curves(wanted.names or versions())
    if wanted.print:
        print(json.dumps(curves))
        return
    known = stored()
    for name, curve in curves.items():
        try:
            far = max(distances(curve, known["curves"][name]).values())
        except (KeyError, ValueError):
            far = float("nan")
        print(f"{name:28} {'as stored' if far == 0 else f'moved by {far:.2g}' if far == far else 'new'}")
    if wanted.write:
        if wanted.names and known["made_with"] != environment():
            sys.exit(f"not written: the others were made with {known['made_with']}; name no case to store all anew")
        if refused := refusals(curves, known):
            sys.exit(
                f"not written: {'; '.join(refused)} moved, but no version rose (TRAINING_VERSION, Method.version …)"
            )
        write({name: curves.get(name, known["curves"].get(name)) for name in versions()}, known)
        print(f"written to {FILE}")


if __name__ == "__main__":
    main()
