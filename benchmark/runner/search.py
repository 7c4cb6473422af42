"""Choose a method's options on validation plates; test plates are not used.

Every combination of the values to try is trained with every seed under the same budget, and its best validation
PSNR is recorded. Trainings are kept: the same command goes on where it stopped, and repeats none.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.config import Config, load
from benchmark.data.plates import Plates
from benchmark.results.identity import training_identity
from benchmark.results.provenance import provenance
from benchmark.runner import warm_start
from benchmark.runner.context import configure_torch, prepare_plates, resolve_device
from benchmark.scoring import upscaling
from benchmark.training import checkpoint, trainer
from benchmark.training.progress import Progress
from benchmark.util.errors import UserError
from benchmark.util.files import without_home, write_text
from benchmark.util.stop import Stop
from methods import Registration

RECORD = "search.csv"
"""One line a (combination, seed): the values tried, validation PSNR in dB, its iteration, identity."""


def combinations(trials: Iterable[str]) -> list[dict[str, str]]:
    """``["a.x=1,2", "a.y=u,v"]`` → every combination, by field. Raises UserError for another form."""
    fields: dict[str, list[str]] = {}
    for trial in trials:
        field, equals, values = trial.partition("=")
        if not equals or "." not in field or not all(values.split(",")):
            raise UserError(f"--try takes family.option=value,value,…, not {trial!r}")
        if field in fields:
            raise UserError(f"--try {field} is given twice")
        fields[field] = values.split(",")
    if not fields:
        raise UserError("nothing to search: name values with --try family.option=value,value,…")
    return [dict(zip(fields, values)) for values in itertools.product(*fields.values())]


def search(
    entry: Registration,
    preset: str,
    assignments: list[str],
    trials: list[str],
    folder: Path,
    say: Callable[[str], None] = print,
) -> pd.DataFrame:
    """Train all combinations and write ``search.csv`` and ``search.json`` (conditions) into ``folder``.

    Returns the record. Raises UserError for a field that does not exist or that no search may try.
    """
    tried = combinations(trials)
    for field in tried[0]:
        if field.split(".")[0] != entry.family:
            raise UserError(f"only options of {entry.family} can be searched for {entry.name}, not {field}")
        if field.split(".")[1] in entry.fixed:
            raise UserError(f"{entry.name} fixes {field} itself")
    configs = [load(preset, [*assignments, *(f"{k}={v}" for k, v in values.items())]) for values in tried]
    base = configs[0]
    if base.data.protocol == "paper":
        raise UserError("the paper's protocol selects on test plates: search with --set data.protocol=disjoint")
    configure_torch(base)
    plates, name = prepare_plates(base, folder.parent, say)
    validation = upscaling.PlateBatches(
        plates.split("val"), resolve_device(base.train.device), base.scoring.inference == "patches"
    )
    conditions = {
        "method": entry.name,
        "tried": trials,
        "config": base.model_dump(mode="json"),
        "data": {"name": name, "fingerprint": plates.fingerprint, "val": validation.count},
        "criterion": "mean validation PSNR (dB), best of the training",
        "provenance": provenance(validation.device),
    }
    rows: list[dict[str, Any]] = []
    with Stop().installed() as stop:
        for seed in range(base.train.seeds):  # outermost: cut short, everything has been tried once
            for values, config in zip(tried, configs):
                outcome = _outcome(entry, config, plates, validation, seed, folder, stop)
                rows.append({**values, "seed": seed, **outcome})
                write_text(folder / RECORD, pd.DataFrame(rows).to_csv(index=False))
                record = without_home(json.dumps(conditions, indent=1, ensure_ascii=False))
                write_text(folder / "search.json", record + "\n")
    return pd.DataFrame(rows)


def _outcome(
    entry: Registration,
    config: Config,
    plates: Plates,
    validation: upscaling.PlateBatches,
    seed: int,
    folder: Path,
    stop: Stop,
) -> dict[str, Any]:
    """Best validation PSNR and its iteration, trained or read from what was trained before.

    A training's folder is named after its identity, so that a wider search finds it again.
    """
    external_weights = warm_start.external_weights(config, entry)
    identity = training_identity(entry, seed, config, plates.fingerprint, external_weights)
    place = folder / "trainings" / identity[:16]
    done = place / "outcome.json"
    if done.is_file():
        return dict(json.loads(done.read_text(encoding="utf-8")))
    place.mkdir(parents=True, exist_ok=True)
    progress = Progress(f"{entry.name} {identity[:6]} seed {seed}")
    with stop.between_iterations():
        _, session = trainer.train(
            lambda: warm_start.create(config, entry),
            config.train,
            plates.split("train"),
            validation,
            seed,
            place,
            identity,
            report=progress.update,
            should_stop=stop,
        )
    outcome = {"val_psnr": session.best_psnr, "best_iteration": session.best_iteration, "identity": identity}
    write_text(done, json.dumps(outcome) + "\n")
    checkpoint.remove(place)
    for leftover in (trainer.BEST, trainer.LAST):
        (place / leftover).unlink(missing_ok=True)
    progress.note(f"{session.best_psnr:.3f} dB on validation plates")
    return outcome


def summary(record: pd.DataFrame) -> pd.DataFrame:
    """Mean over seeds of the validation PSNR of every combination, best first, with the seeds' range."""
    fields = [c for c in record.columns if c not in ("seed", "val_psnr", "best_iteration", "identity")]
    grouped = record.groupby(fields, sort=False)["val_psnr"].agg(["mean", "min", "max", "count"])
    return grouped.sort_values("mean", ascending=False, kind="stable").reset_index()
