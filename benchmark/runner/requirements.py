"""What a run needs besides this package, asked for before anything is prepared or trained."""

from __future__ import annotations

import importlib.util

import torch

from benchmark.runner import warm_start
from benchmark.runner.context import make_ocr_engines
from benchmark.runner.executors.order import WorkOrder
from benchmark.util.errors import UserError, few
from methods import Registration
from methods.blocks.pretrained import MissingWeights, imagenet_weights

_PATCHES_PER_DAY = 4_000_000
"""That PECL trains on with two CPU cores (results/throughput)."""
_LONGEST_DAYS = 3.0
"""A training that would take a CPU longer is not begun unless the user has named the CPU."""


def check(order: WorkOrder, here: bool = True) -> None:
    """Raise UserError, in one line that names the way on, where the order cannot be carried out as it is configured.

    ``here``: on this machine; elsewhere the device is not asked for. What can be downloaded is downloaded now.
    """
    missing = [job.entry for job in order.missing() if job.entry and not job.entry.method.deterministic]
    entries = list({entry.name: entry for entry in missing}.values())
    if here and entries:
        _check_device(order)
    for engine in make_ocr_engines(order.config):
        if engine is not None:
            engine.describe()
    if here:
        _check_packages(entries)
    _check_weights(order, entries)
    _check_warm_start(order, entries)


def _check_packages(entries: list[Registration]) -> None:
    """Raise UserError for a method that trains with a package that is not installed."""
    for entry in entries:
        for package, extra in entry.method.packages.items():
            if importlib.util.find_spec(package) is None:
                raise UserError(f"{entry.name} needs {package}: pip install 'plate-sr-benchmark[{extra}]'")


def _check_device(order: WorkOrder) -> None:
    train = order.config.train
    patches = train.iterations * train.batch_size
    days = patches / _PATCHES_PER_DAY
    if train.device == "auto" and days > _LONGEST_DAYS and not torch.cuda.is_available():
        raise UserError(
            f"no CUDA device, and one training of {patches:,} patches takes two CPU cores about {days:,.0f} days "
            "(PECL; see results/throughput): --device cpu trains on the CPU all the same, --preset quick is made for it"
        )


def _check_weights(order: WorkOrder, entries: list[Registration]) -> None:
    """Make sure of all weights from elsewhere, each file once however many methods start from it."""
    users: dict[str, dict[str, str]] = {}
    missing: list[str] = []
    for entry in entries:
        options = order.config.options_for(entry)
        try:
            method = entry.create(options)
            for network, alternative in method.imagenet_networks().items():
                users.setdefault(network, {})[entry.name] = alternative
            method.external_weights()
        except MissingWeights as error:
            missing.append(str(error))
        except (Exception, SystemExit):
            continue  # a method that cannot be made fails by itself, when its turn comes
    for network, alternatives in users.items():
        from torchvision import models  # takes seconds, in every process of a run

        try:
            imagenet_weights(
                models.get_model_weights(network)["IMAGENET1K_V1"], " ".join(dict.fromkeys(alternatives.values()))
            )
        except MissingWeights as error:
            missing.append(f"{few(list(alternatives))}: {error}")
    if missing:
        raise UserError("; ".join(dict.fromkeys(missing)))


def _check_warm_start(order: WorkOrder, entries: list[Registration]) -> None:
    """Refuse a warm start of methods without weights that fit, naming the methods that have some."""
    if order.config.train.warm_start == "none":
        return
    refused: dict[str, str] = {}
    for entry in entries:
        try:
            warm_start.create(order.config, entry)
        except UserError as error:
            refused[entry.name] = str(error)
    if refused:
        reason = next(iter(refused.values()))
        rest = [entry.name for entry in order.entries if entry.name not in refused]
        way_on = f"; take the others with --methods {','.join(rest)}" if rest else ""
        raise UserError(f"no warm start of {few(list(refused))}: {reason}{way_on}")
