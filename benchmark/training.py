"""Train one method with one seed, and keep the weights that are scored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmark import evaluation
from benchmark.config import Train
from benchmark.data.pack import Plates
from benchmark.data.patches import PatchSampler
from benchmark.session import TrainingSession, write_atomically
from methods import Method

BEST, LAST = "weights.safetensors", "last.safetensors"
"""The weights best on validation plates, and those at the end where they are others."""


def train(
    create: Callable[[], Method],
    config: Train,
    plates: Plates,
    validation: evaluation.PlateBatches,
    seed: int,
    folder: Path,
    identity: str,
    *,
    report: Callable[[TrainingSession], None],
    should_stop: Callable[[], bool],
) -> tuple[Method, TrainingSession]:
    """Train what ``create`` makes on ``plates``; ``validation`` chooses its weights and has the device.

    Goes on from the checkpoint in ``folder`` if it is of this ``identity``. Leaves there
    ``history.csv``, the weights (:data:`BEST`, :data:`LAST`) and the checkpoint of the finished training, which
    goes once the weights are scored. Raises whatever the method raises, and :class:`Interrupted`.
    """
    torch.manual_seed(seed)
    method = create().to(validation.device)
    session = TrainingSession(
        config,
        PatchSampler(plates, config.batch_size, seed, validation.device),
        lambda method: evaluation.validate(method.upscale, validation),
        folder,
        identity,
        report=report,
        should_stop=should_stop,
    )
    method.train(session)
    if not session.history:
        session.record(method)  # a method without training has a validation score all the same
    session.checkpoint(method)  # a finished training is not repeated because scoring was killed
    pd.DataFrame(session.history).to_csv(folder / "history.csv", index=False)
    _save(folder / BEST, session.best_weights)
    (folder / LAST).unlink(missing_ok=True)  # of a training that this one replaces
    if session.best_iteration != session.iteration:
        _save(folder / LAST, method.weights())
    return method, session


def load_weights(method: Method, file: Path) -> None:
    """Give ``method`` the weights in a file that :func:`train` wrote."""
    method.load_weights({name: value.to(method.device) for name, value in load_file(file).items()})


def _save(file: Path, weights: dict[str, Tensor]) -> None:
    tensors = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    write_atomically(file, lambda path: save_file(tensors, path))
