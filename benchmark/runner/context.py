"""What all jobs of a run share: configuration, device, plates and OCR engines."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from benchmark.config import Config
from benchmark.data import pack
from benchmark.data.plates import Plate, Plates
from benchmark.data.splits import Counts
from benchmark.data.synthetic import generator
from benchmark.ocr.engines import make_engine
from benchmark.ocr.reading import OcrEngine
from benchmark.results.identity import scoring_identity, scoring_settings
from benchmark.results.store import Run
from benchmark.runner.activity import Activity
from benchmark.scoring import upscaling
from benchmark.scoring.lpips import Lpips
from benchmark.training import determinism
from benchmark.util.errors import CannotWrite, UserError, fault_of_place
from benchmark.util.locks import hold, use
from benchmark.util.stop import Stop

ABSTENTION_PLATES = 200
"""At most so many validation plates are read to choose a threshold."""


@dataclass
class ScoringContext:
    """What scoring needs beside a method: configuration, plates and OCR engines."""

    config: Config
    device: torch.device
    plates: Plates
    data_name: str
    ocr_engine: OcrEngine | None
    second_engine: OcrEngine | None

    @cached_property
    def ocr_facts(self) -> list[dict[str, Any] | None]:
        """What both OCR engines say of themselves: name, version, hashes."""
        return [engine.describe() if engine else None for engine in (self.ocr_engine, self.second_engine)]

    @cached_property
    def lpips(self) -> Lpips | None:
        """The metric, where it is asked for."""
        return Lpips(self.device) if self.config.scoring.lpips else None

    @property
    def scoring_identity(self) -> str:
        return scoring_identity(self.plates.fingerprint, self.ocr_facts, scoring_settings(self.config))

    @property
    def in_patches(self) -> bool:
        """Whether plates are upscaled patch by patch."""
        return self.config.scoring.inference == "patches"

    @cached_property
    def test(self) -> Plates:
        """The plates that are scored."""
        return self.plates.split("test")

    @cached_property
    def test_batches(self) -> upscaling.PlateBatches:
        """The same on the device, degraded once for all methods."""
        return upscaling.PlateBatches(self.test, self.device, self.in_patches)


@dataclass
class RunContext(ScoringContext):
    """What all jobs of a run share: what scoring needs, their folder, and what is going on."""

    run: Run
    stop: Stop
    started: int
    """When this process began, by the clock of the file system (nanoseconds)."""
    activity: Activity

    @cached_property
    def validation_batches(self) -> upscaling.PlateBatches:
        """The plates that choose the weights: the test plates under the paper's protocol."""
        if self.config.data.protocol == "paper":
            return self.test_batches
        return upscaling.PlateBatches(self.plates.split("val"), self.device, self.in_patches)

    @cached_property
    def abstention_plates(self) -> list[Plate]:
        """Validation plates that choose abstention thresholds, evenly spread; none under the paper's protocol, where
        they would be test plates."""
        if self.config.data.protocol == "paper":
            return []
        plates = self.plates.split("val")
        count = min(len(plates), ABSTENTION_PLATES)
        return [plates[int((i + 0.5) * len(plates) / count)] for i in range(count)]

    @cached_property
    def abstention_batches(self) -> upscaling.PlateBatches:
        """The same on the device."""
        return upscaling.PlateBatches(self.abstention_plates, self.device, self.in_patches)


def prepare_plates(config: Config, results: Path, say: Callable[[str], None]) -> tuple[Plates, str]:
    """The pack of the configured plates, and the name of the data. Synthetic plates are drawn first."""
    data = config.data
    cache = data.cache or results / "packs"
    if cache.is_symlink():
        raise UserError(
            f"{cache} is a symbolic link, which is not followed: name the folder it leads to, "
            f"--set data.cache={cache.resolve()}"
        )
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot make {cache} ({error.strerror}): choose another place with --set data.cache=FOLDER"
        ) from None
    try:
        folder, name = data.folder, data.folder.resolve().name if data.folder else "synthetic"
        if folder is None:
            folder = _draw_plates(config, cache, say)
        counts = Counts(data.train_plates, data.val_plates, data.test_plates)
        plates = pack.prepare(
            folder,
            cache,
            counts=counts,
            protocol=data.protocol,
            seed=data.seed,
            follow_links=data.follow_links,
            say=say,
        )
    except CannotWrite:
        raise
    except OSError as error:
        number, place = fault_of_place(error), Path(getattr(error, "filename", None) or cache)
        if number is None:
            raise
        raise CannotWrite(place, number, option="--set data.cache=FOLDER") from error
    weakref.finalize(plates, use(plates.folder / "pack.json"))  # `data packs` is not to remove it meanwhile
    return plates, name


def _draw_plates(config: Config, cache: Path, say: Callable[[str], None]) -> Path:
    """The folder of synthetic plates under ``cache``, drawn by one process at a time."""
    total = config.data.train_plates + config.data.val_plates + config.data.test_plates
    folder = cache / f"synthetic-v{generator.GENERATOR_VERSION}-{total}-seed{config.data.seed}"
    say(f"synthetic plates: {total} in {folder}")
    with hold(cache / f".{folder.name}.lock", wait=lambda by: say(f"waiting for {by}, which is drawing them")):
        return generator.synthesize(folder, total, config.data.seed)


def resolve_device(name: str) -> torch.device:
    """The device of ``--device``. Raises UserError for one that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    shown = name if len(name) <= 40 else f"{name[:40]}…"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"no device {shown!r}: use auto, cpu, cuda or cuda:N") from None
    if device.type == "cuda" and (not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count()):
        raise UserError(f"no CUDA device for --device {name}: use --device cpu, or auto to take what there is")
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"device {name!r} is not supported: use auto, cpu, cuda or cuda:N")
    return device


def make_ocr_engines(config: Config) -> tuple[OcrEngine | None, OcrEngine | None]:
    """Both OCR engines of a configuration. No second engine if OCR is off, or if it would be the first one again."""

    def make(name: str) -> OcrEngine | None:
        return make_engine(
            name,
            model_dir=config.scoring.paddle_model,
            paddle_device=config.scoring.paddle_device,
            threads=config.train.threads or None,
        )

    first = make(config.scoring.ocr)
    second = config.scoring.second if config.scoring.second != config.scoring.ocr else "none"
    return first, make(second) if first is not None else None


def configure_torch(config: Config) -> None:
    """Set torch's process-wide switches: threads, precision, determinism.

    Raises UserError where the device cannot compute as configured.
    """
    try:
        config.train.acceleration.require(resolve_device(config.train.device))
    except ValueError as error:
        raise UserError(str(error)) from None
    if config.train.threads:
        torch.set_num_threads(config.train.threads)
    torch.backends.cuda.matmul.allow_tf32 = config.train.precision == "tf32"
    torch.backends.cudnn.allow_tf32 = config.train.precision == "tf32"
    determinism.configure(config.train.deterministic)
