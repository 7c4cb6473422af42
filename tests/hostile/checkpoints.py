"""Checkpoints that are damaged, foreign or forged, and what must come of the training that finds one."""

from __future__ import annotations

import hashlib
import io
import os
import random
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import methods
from benchmark.config import Train
from benchmark.data.pack import Plates
from benchmark.scoring.upscaling import PlateBatches
from benchmark.training import checkpoint, trainer
from benchmark.training.session import Interrupted
from hostile.mutations import VALUES, mutate
from hostile.packs import replace

CONFIG = Train(iterations=6, batch_size=1, validations=2, learning_rate=1e-3, checkpoint_iterations=2)


class Bomb:
    """Unpickled, it makes a folder: no test may find it."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.canary),)


@dataclass(frozen=True)
class Workshop:
    """A training that was stopped half way, and what it gives when nobody interferes."""

    plates: Plates
    validation: PlateBatches
    stopped: Path
    weights: bytes

    @classmethod
    def make(cls, folder: Path, plates: Plates) -> Workshop:
        validation = PlateBatches([plates[i] for i in (0, 1)], "cpu")
        shop = cls(plates, validation, folder / "stopped", b"")
        shop.train(folder / "whole")
        with suppress(Interrupted):
            shop.train(folder / "stopped", stop=5)
        weights = (folder / "whole" / trainer.BEST).read_bytes()
        return cls(plates, validation, folder / "stopped", weights)

    def train(self, folder: Path, stop: int = 99) -> None:
        """Train a small network in ``folder``, going on from what is there."""
        folder.mkdir(exist_ok=True)
        seen = [0]

        def should_stop() -> bool:
            return seen[0] >= stop

        def report(session: Any) -> None:
            seen[0] = session.iteration

        create, plates = methods.get("srcnn").create, self.plates.split("train")
        trainer.train(
            create, CONFIG, plates, self.validation, 0, folder, "same", report=report, should_stop=should_stop
        )


def sealed(content: bytes) -> bytes:
    """With the checksum that a checkpoint ends with."""
    return content + checkpoint._MARK + hashlib.sha256(content).digest()


def forge(state: Any, source: random.Random, canary: Path) -> bytes:
    """A checkpoint with a right checksum whose content is wrong somewhere."""
    for _ in range(source.choice((1, 1, 3))):
        holder: Any = state
        while True:
            key = source.choice(list(holder) if isinstance(holder, dict) else list(range(len(holder))))
            deeper = isinstance(holder[key], (dict, list)) and len(holder[key]) and source.random() < 0.7
            if not deeper:
                break
            holder = holder[key]
        value = source.choice((*VALUES, torch.zeros(3), torch.full((), float("nan")), torch.zeros(0, dtype=torch.int8)))
        holder[key] = Bomb(canary) if source.random() < 0.1 else value
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return sealed(buffer.getvalue())


def check(shop: Workshop, folder: Path, source: random.Random) -> str:
    """Spoil the checkpoints of a stopped training and train on: ``accepted``, ``made anew`` or ``refused``."""
    shutil.copytree(shop.stopped, folder)
    canary = folder.parent / "executed"
    forged = False
    for name in (checkpoint.CURRENT, checkpoint.PREVIOUS)[: source.choice((1, 2))]:
        file = folder / name
        match source.choice(("bytes", "bytes", "forged", "bomb", "place")):
            case "bytes":
                file.write_bytes(mutate(file.read_bytes(), source))
            case "forged":
                content = file.read_bytes()[: -checkpoint._TAIL]
                state = torch.load(io.BytesIO(content), weights_only=True)
                file.write_bytes(forge(state, source, canary))
                forged = True
            case "bomb":
                buffer = io.BytesIO()
                torch.save(Bomb(canary), buffer, _use_new_zipfile_serialization=source.random() < 0.5)
                file.write_bytes(sealed(buffer.getvalue()) if source.random() < 0.5 else buffer.getvalue())
            case "place":
                replace(file, source)
    try:
        shop.train(folder)
    except IsADirectoryError:  # a folder in the place of a checkpoint is left to the user
        return "refused"
    finally:
        assert not canary.exists(), "a checkpoint was executed"
    same = (folder / trainer.BEST).read_bytes() == shop.weights
    assert same or forged, "a damaged checkpoint changed the result"
    return "made anew" if same else "accepted"
