"""Short loss curves of every method, kept in ``loss_curves.json``: a refactor must not move them.

``python tests/loss_curves.py`` prints how far the curves are from the stored ones, ``--write`` stores them anew,
which is for changes that are meant to change numbers. ``tests/training/test_determinism.py`` compares them with the
file.

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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import methods
from benchmark.config import Train
from benchmark.data.pack import Plate
from benchmark.scoring import upscaling
from benchmark.training import trainer

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


RANDOM = {"embedder_init": "random"}
CASES = {
    **{name: Case(name) for name in ("bicubic", "srcnn", "espcn", "msrn", "tbsrn")},
    # One iteration for pixels, two against a critic.
    "esrgan": Case("esrgan", {"perceptual": "random", "gan_share": 2 / 3}, iterations=3, batch=1),
    "swinir": Case("swinir", iterations=3, batch=1),
    **{
        # The last one stands for the cells of the ablation, which differ in a number.
        name: Case(name, RANDOM, iterations=3)
        for name in ("pecl", "pecl-printed", "pecl-learned", "pecl-release", "pecl-euclidean-64")
    },
    "pecl-mse": Case("pecl-mse", iterations=3),
    "pecl, embedder learns": Case("pecl", {**RANDOM, "embedder": "trained", "batch_norm": "batch"}, iterations=3),
    # Published recipes: layers with rates of their own, clipped gradients, a moving average.
    "espcn, native recipe": Case("espcn", recipe="native"),
    "tbsrn, native recipe": Case("tbsrn", recipe="native", iterations=3),
    "swinir, native recipe": Case("swinir", recipe="native", iterations=2, batch=1),
}


# -- plates ----------------------------------------------------------------------------------------


class DrawnPlates:
    """Plates in memory, which neither a picture library nor the split has a say in; to those who ask, a pack."""

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
    entry = methods.get(case.method)
    config = Train(
        iterations=case.iterations, batch_size=case.batch, learning_rate=1e-3, warmup=1,
        validations=2 * case.iterations, recipe=case.recipe,
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    _, session = trainer.train(
        lambda: entry.create(case.options), config, DrawnPlates(12, 1, ((64, 64), (72, 136), (64, 96))),
        upscaling.PlateBatches(DrawnPlates(2, 2, ((32, 32),)), "cpu"), 0, folder, "curve",
        report=lambda _: None, should_stop=lambda: False,
    )  # fmt: skip
    names = [name for name in session.history[-1] if name not in ("iteration", "seconds", "learning_rate")]
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.safetensors")):
        digest.update(file.read_bytes())
    return {name: [row[name] for row in session.history if name in row] for name in names}, digest.hexdigest()


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
    """Largest relative difference of each loss. Raises ValueError where the two do not have the same values."""
    if {name: len(values) for name, values in curve.items()} != {name: len(values) for name, values in known.items()}:
        raise ValueError(f"losses or their number are others: {list(curve)} and {list(known)}")
    return {name: max(map(_difference, values, known[name])) for name, values in curve.items()}


def _difference(a: float, b: float) -> float:
    return 0.0 if a == b else abs(a - b) / max(abs(a), abs(b))


# -- the file --------------------------------------------------------------------------------------


def stored() -> dict[str, Any]:
    """Content of the file: ``made_with``, ``curves``, and how far each loss of each ``moves`` with the arithmetic."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def allowed(known: dict[str, Any], name: str) -> dict[str, float]:
    """By loss, how far the curve ``name`` may be from the stored one in this environment."""
    if known["made_with"] == environment():
        return dict.fromkeys(known["curves"][name], 0.0)
    return {loss: max(10.0 * moves, FLOOR) for loss, moves in known["moves"][name].items()}


def all_curves() -> dict[str, Curve]:
    with tempfile.TemporaryDirectory() as folder:
        return {name: compute(case, Path(folder) / name)[0] for name, case in CASES.items()}


def measure(curves: dict[str, Curve]) -> dict[str, dict[str, float]]:
    """How far the curves move in :data:`VARIANTS`, each in a process of its own."""
    moves: dict[str, dict[str, float]] = {name: dict.fromkeys(curve, 0.0) for name, curve in curves.items()}
    for variant in VARIANTS:
        command = [sys.executable, str(Path(__file__).resolve()), "--print"]
        done = subprocess.run(command, env={**os.environ, **variant}, check=True, stdout=subprocess.PIPE, text=True)
        for name, curve in json.loads(done.stdout.splitlines()[-1]).items():
            found = distances(curve, curves[name])
            moves[name] = {loss: float(f"{max(most, found[loss]):.2g}") for loss, most in moves[name].items()}
    return moves


def write(curves: dict[str, Curve]) -> None:
    """One line a loss, so that a change shows which ones moved."""

    def table(rows: dict[str, dict[str, Any]]) -> str:
        blocks = [
            f"  {json.dumps(name)}: {{\n" + ",\n".join(f"   {json.dumps(k)}: {json.dumps(v)}" for k, v in row.items())
            for name, row in rows.items()
        ]
        return "{\n" + "\n  },\n".join(blocks) + "\n  }\n }"

    moves = measure(curves)
    parts = {"made_with": json.dumps(environment()), "curves": table(curves), "moves": table(moves)}
    FILE.write_text("{\n" + ",\n".join(f' "{k}": {v}' for k, v in parts.items()) + "\n}\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"store the curves in {FILE.name}")
    parser.add_argument("--print", action="store_true", help="print them as JSON")
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    curves = all_curves()
    if wanted.print:
        print(json.dumps(curves))
        return
    known = stored()["curves"] if FILE.is_file() else {}
    for name, curve in curves.items():
        try:
            moved = max(distances(curve, known[name]).values())
        except (KeyError, ValueError):
            moved = float("nan")
        print(f"{name:28} {'as stored' if moved == 0 else f'moved by {moved:.2g}' if moved == moved else 'new'}")
    if wanted.write:
        write(curves)
        print(f"written to {FILE}")


if __name__ == "__main__":
    main()
