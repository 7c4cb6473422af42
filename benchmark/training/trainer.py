"""Train one method with one seed, and keep the weights that are scored."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import load, save
from torch import Tensor

from benchmark.config import Train
from benchmark.data.patches import PatchSampler
from benchmark.data.plates import Plates
from benchmark.scoring import upscaling
from benchmark.training import checkpoint
from benchmark.training.session import CheckpointMismatch, TrainingSession
from benchmark.util.files import write_bytes, write_text
from methods import Method

BEST, LAST = "weights.safetensors", "last.safetensors"
"""The weights best on validation plates, and the last ones if they differ."""
HISTORY = "history.csv"


def train(
    create: Callable[[], Method],
    config: Train,
    plates: Plates,
    validation: upscaling.PlateBatches,
    seed: int,
    folder: Path,
    identity: str,
    *,
    report: Callable[[TrainingSession], None],
    should_stop: Callable[[], bool],
) -> tuple[Method, TrainingSession]:
    """Train the method that ``create`` makes on ``plates``; ``validation`` chooses its weights, and its device is used.

    Resumes from the checkpoint in ``folder`` if it is of this ``identity``; a finished training is not repeated.
    Leaves there :data:`HISTORY`, the weights (:data:`BEST`, :data:`LAST`) and checkpoints, which
    :func:`checkpoint.remove` removes once the weights are scored. Raises
    :class:`benchmark.training.session.Interrupted`, and whatever the method raises: history and best weights
    so far are stored then.
    """
    sampler = PatchSampler(plates, config.batch_size, seed, validation.device)
    while True:
        torch.manual_seed(seed)
        method = create().accelerate(config.acceleration).to(validation.device)
        session = TrainingSession(
            config,
            sampler,
            lambda method: upscaling.validate(method.upscale, validation),
            folder,
            identity,
            report=report,
            should_stop=should_stop,
        )
        try:
            if _finished_before(method, session):
                return method, session
            _remove_partial_files(folder)
            method.train(session)
            if not session.history:
                session.record(method)  # a method without training has a validation score all the same
        except CheckpointMismatch:
            continue  # with the checkpoint before that one, or anew
        except Exception:
            _store_best(session)
            raise
        _finish(method, session)
        return method, session


def _finished_before(method: Method, session: TrainingSession) -> bool:
    """Load what a finished training of the same identity left; False if there is none."""
    folder = session.folder
    state = checkpoint.finished(folder, session.identity)
    if state is None:
        return False
    try:
        session.restore(state)
        load_weights(method, folder / (LAST if LAST in state["files"] else BEST))
        method.facts = json.loads(state["facts"])
    except Exception as error:  # a forged one
        checkpoint.reject(folder / checkpoint.FINISHED, error)
        raise CheckpointMismatch from None
    return True


def _remove_partial_files(folder: Path) -> None:
    """Remove what a killed run left half written."""
    for partial in folder.glob("*.partial"):
        if partial.is_dir() and not partial.is_symlink():
            shutil.rmtree(partial)
        else:
            partial.unlink()


def _finish(method: Method, session: TrainingSession) -> None:
    """Store what a training leaves, and that it has ended."""
    _store_best(session)
    files = [HISTORY, BEST]
    if session.best_iteration != session.iteration:
        _save_weights(session.folder / LAST, method.weights())
        files.append(LAST)
    checkpoint.finish(session.folder, {**session.outcome(), "facts": json.dumps(method.facts)}, files)


def _store_best(session: TrainingSession) -> None:
    """Store the history and the best weights so far, in place of those of another training."""
    if session.history:
        (session.folder / LAST).unlink(missing_ok=True)
        write_text(session.folder / HISTORY, pd.DataFrame(session.history).to_csv(index=False))
        _save_weights(session.folder / BEST, session.best_weights)


def load_weights(method: Method, file: Path) -> None:
    """Give ``method`` the weights in a file that :func:`train` wrote."""
    # Not load_file: it takes no path that is not UTF-8.
    method.load_weights({name: value.to(method.device) for name, value in load(file.read_bytes()).items()})


def _save_weights(file: Path, weights: dict[str, Tensor]) -> None:
    tensors = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    # Not save_file: its files are for their owner's eyes alone, whatever the umask.
    write_bytes(file, save(tensors))
