"""Trains the readers and stores them: ``data reader`` and ``data embedder``.

A stored network carries a fingerprint of what it depends on: recipe, version of the generator and version of the
training. The same request finds it again, a changed recipe trains it anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from benchmark.data.synthetic.generator import GENERATOR_VERSION
from benchmark.ocr.crnn_network import Crnn
from benchmark.ocr.pretraining import patches
from benchmark.ocr.pretraining.dataset import augment, draw_held_out, draw_windows
from benchmark.ocr.pretraining.embedder import PlateResNet
from benchmark.ocr.pretraining.learning import HELD_OUT_SEED, PretrainingRecipe, accuracy, learn
from benchmark.util.errors import UserError
from benchmark.util.files import write_bytes
from benchmark.util.live_line import LiveLine
from benchmark.util.names import partial_path
from methods.blocks.pretrained import PATCHES_FILE, PLATES_FILE, MissingWeights, weights_folder

PRETRAINING_VERSION = 1
"""Rises when a network trained here comes out different: plates, augmentation, network or loop (learning.py)."""

# Until version 1 was declared a fingerprint was a hash of the source. Those of the published recipes at the last such
# commit (d552f07), and what version 1 makes of them: the source has moved since, its numbers have not.
_OF_VERSION_1 = {
    "89cbaf8cd0b9afab0758e2e278c59c27d2309b0dc71dc391acf5f7f060285a72":
        "4751042cacfb1e0722566b89e7553f26314eb1c5abcbb55c5023587c9b53fdf5",
    "d022234589fd24cd2d99afc85420624b7a0b288124f06fb5b13ac082b019a2b8":
        "bf9e871f205046b8923ed07f3e45c4cdfc34a233951b3103ab978c28598619c4",
}  # fmt: skip


def _measure_reading(
    network: nn.Module, count: int, workers: int | None, device: torch.device
) -> tuple[str, dict[str, float]]:
    """How well held-out plates are read, in words and as facts for the file."""
    plates, characters = accuracy(network, *draw_held_out(HELD_OUT_SEED, count, workers), device)  # type: ignore[arg-type]
    said = f"reads {plates:.1%} of {count} held-out synthetic plates, {characters:.1%} of characters"
    return said, {"accuracy": plates, "character_accuracy": characters}


def _measure_patches(
    network: nn.Module, count: int, workers: int | None, device: torch.device
) -> tuple[str, dict[str, float]]:
    """How often held-out places are told right, in words and as facts for the file."""
    shares = patches.accuracy(network, patches.draw_patches(HELD_OUT_SEED, count, workers)[0], device)
    said = ", ".join(f"{share:.1%} of {what}" for what, share in shares.items())
    facts = {f"accuracy_{what}": share for what, share in shares.items() if what != "all"}
    return f"patches of {count} held-out synthetic plates: tells {said} right", {"accuracy": shares["all"], **facts}


@dataclass(frozen=True)
class Kind:
    """A network that can be trained: its name, how it is made, what it learns from, and what of it is stored."""

    name: str
    build: Callable[[], nn.Module]
    stored: str
    """Weights whose names begin so are stored, without this beginning."""
    recipe: PretrainingRecipe
    half: bool
    """Stored as float16; the accuracy is that of the stored weights."""
    draw: Callable[[int, int, int | None, Callable[[int], None]], tuple[np.ndarray, list[str]]] = draw_windows
    vary: Callable[[Tensor, torch.Generator], Tensor] = augment
    measure: Callable[[nn.Module, int, int | None, torch.device], tuple[str, dict[str, float]]] = _measure_reading


READER = Kind(
    name="reader",
    build=Crnn,
    stored="",
    recipe=PretrainingRecipe(
        seed=7001, plates=20_480, iterations=4_200, batch_size=32, learning_rate=2e-3, weight_decay=1e-4, held_out=1_000
    ),
    half=True,
)
EMBEDDER = Kind(
    name="embedder",
    build=PlateResNet,
    stored="resnet.",
    recipe=PretrainingRecipe(
        seed=7002,
        plates=20_480,
        iterations=4_000,  # read 99.6 % of the held-out plates
        batch_size=32,
        learning_rate=1e-3,
        weight_decay=1e-4,
        held_out=1_000,
    ),
    half=False,
)
PATCH_READER = Kind(
    name="patch-reader",
    build=patches.PatchReading,
    stored="reader.",
    recipe=PretrainingRecipe(
        seed=7003,
        plates=2_560,
        iterations=1_500,  # tells 87 % of the held-out places, 78 % of those on a character
        batch_size=32,
        learning_rate=1e-3,
        weight_decay=1e-4,
        held_out=500,
    ),
    half=False,
    draw=patches.draw_patches,
    vary=patches.vary,
    measure=_measure_patches,
)


def embedder_path() -> Path:
    """Where methods look for the embedder's weights: in torch's cache. Raises UserError without a home directory."""
    return _path(PLATES_FILE)


def patch_reader_path() -> Path:
    """The same for the reader of patches."""
    return _path(PATCHES_FILE)


def _path(name: str) -> Path:
    try:
        return weights_folder() / name
    except MissingWeights as error:
        raise UserError(str(error)) from None


def fingerprint(kind: Kind, recipe: PretrainingRecipe) -> str:
    """SHA-256 over everything the weights depend on but hardware and versions of libraries."""
    settings = asdict(recipe)
    if recipe.precision == "fp32":
        del settings["precision"]  # the option came later: fp32 keeps the fingerprint it had
    parts = {
        "network": kind.name,
        "recipe": settings,
        "generator": GENERATOR_VERSION,
        "pretraining": PRETRAINING_VERSION,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def stored_fingerprint(file: Path) -> str | None:
    """The fingerprint that a stored network carries; None where there is none."""
    stored = stored_facts(file).get("fingerprint")
    return None if stored is None else _OF_VERSION_1.get(stored, stored)


def stored_facts(file: Path) -> dict[str, str]:
    """What a stored network says of itself: fingerprint, iterations, plates, accuracy …; {} where there is none."""
    try:
        with safe_open(file, "pt") as opened:
            return opened.metadata() or {}
    except (OSError, SafetensorError):
        return {}


def train(
    kind: Kind,
    out: Path,
    device: torch.device,
    *,
    recipe: PretrainingRecipe | None = None,
    workers: int | None = None,
    force: bool = False,
    say: Callable[[str], None] = print,
) -> Path:
    """The network of ``recipe`` (default: the kind's own) in ``out``, trained if it is not there yet.

    ``workers`` processes draw the plates (default: one per core). Raises UserError where ``out`` cannot be
    written. Deterministic given the recipe, on one machine.
    """
    recipe = recipe or kind.recipe
    wanted = fingerprint(kind, recipe)
    stored = stored_fingerprint(out)
    if stored == wanted and not force:
        say(f"{out} is there already (recipe {wanted[:12]})")
        return out
    if stored is not None:
        say(f"{out} was trained by another recipe ({stored[:12]}); training it anew")
    _check_place(out)
    with _progress("drawing plates", recipe.plates) as report:
        windows, texts = kind.draw(recipe.seed, recipe.plates, workers, lambda done: report(done, ""))
    with _deterministic(), _progress(f"training on {device}", recipe.iterations) as report:
        network = learn(
            kind.build, recipe, windows, texts, device, lambda done, loss: report(done, f"loss {loss:.4f}"), kind.vary
        )
    if kind.half:
        network.half().float()
    said, measured = kind.measure(network, recipe.held_out, workers, device)
    seen = recipe.iterations * recipe.batch_size
    facts = {
        "fingerprint": wanted,
        "recipe": json.dumps(asdict(recipe), sort_keys=True),
        "iterations": str(recipe.iterations),
        "plates": str(seen),
        **{name: f"{share:.4f}" for name, share in measured.items()},
        "torch": torch.__version__,
    }
    named = network.state_dict().items()
    tensors = {name.removeprefix(kind.stored): tensor for name, tensor in named if name.startswith(kind.stored)}
    if kind.half:
        tensors = {name: t.half() if t.is_floating_point() else t for name, t in tensors.items()}
    _write(out, tensors, facts)
    say(f"{out}: {said}")
    return out


def _write(out: Path, tensors: dict[str, Tensor], facts: dict[str, str]) -> None:
    """A safetensors file under its final name; the same content gives the same bytes."""
    content = save({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, facts)
    # safetensors writes the facts in an order of chance: sort the header.
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    write_bytes(out, len(header).to_bytes(8, "little") + header + content[end:])


def _check_place(out: Path) -> None:
    """Find out before the training whether its result can be stored."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        partial_path(out).touch()
        partial_path(out).unlink()
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror}") from None


@contextmanager
def _deterministic() -> Iterator[None]:
    """Only algorithms that give the same result every time; the settings come back."""
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]


@contextmanager
def _progress(task: str, total: int) -> Iterator[Callable[[int, str], None]]:
    """A function to be told how many of ``total`` are done, and a note; it draws a line, or prints one a tenth."""
    line, start, tenths = LiveLine(), time.monotonic(), 0

    def report(done: int, note: str) -> None:
        nonlocal tenths
        if line.due or done * 10 // total > tenths:
            tenths = done * 10 // total
            left = (time.monotonic() - start) / done * (total - done)
            line.draw(f"{task:<20}{done:>8,}/{total:,}  {left:.0f} s left  {note}")

    yield report
    line.end()
