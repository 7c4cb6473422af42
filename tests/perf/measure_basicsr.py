"""A training step of ours beside one of BasicSR: the same network, loss and plates, its loop and its data loader.

    python tests/perf/measure_basicsr.py --data ../shared/ccpd-mini --methods espcn,edsr,esrgan,swinir

Blocks of iterations alternate in one process, so that what else the machine does slows both alike. BasicSR runs its
own SRModel, PairedImageDataset (PNG files of the same plates, and their LR made by the one degradation), sampler,
loader and prefetcher, called as its train.py calls them; the network is ours on both sides. No validation, no
checkpoint, no moving average on either. Needs the extra ``parity``. Run by name; not part of the suite.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import pandas as pd
import torch
import torchvision.transforms.functional
from PIL import Image

import methods
from benchmark.config import Config, load
from benchmark.data.plates import Plates
from benchmark.perf.plates import noise_plates
from benchmark.perf.steps import steps_for
from benchmark.perf.suite import train_probed
from benchmark.runner.context import configure_torch, prepare_plates, resolve_device
from benchmark.scoring.upscaling import low_resolution
from benchmark.training.session import TrainingSession, synchronize
from methods import Batch, Method, NetworkMethod

LOSSES = {"espcn": "MSELoss", "edsr": "L1Loss", "esrgan": "L1Loss", "swinir": "L1Loss"}
"""The methods that can be measured, and what they minimise as BasicSR calls it. ESRGAN's is the first phase: RRDB."""
SETTINGS = ["esrgan.gan_share=0", "esrgan.perceptual=none"]
RATE, PRINT_EVERY = 1e-4, 100


class BasicSR:
    """BasicSR's training of a network, as far as one iteration after another goes."""

    def __init__(self, name: str, config: Config, folder: Path, device: torch.device, workers: int) -> None:
        sys.modules.setdefault("torchvision.transforms.functional_tensor", torchvision.transforms.functional)
        from basicsr.data import build_dataloader, build_dataset
        from basicsr.data.data_sampler import EnlargedSampler
        from basicsr.data.prefetch_dataloader import CPUPrefetcher
        from basicsr.models.sr_model import SRModel
        from basicsr.utils.logger import AvgTimer
        from basicsr.utils.registry import ARCH_REGISTRY

        network = f"Ours-{name}-{time.monotonic_ns()}"  # a registry takes a name once
        entry = methods.get(name)
        ARCH_REGISTRY._do_register(network, lambda: _method(entry.create(config.options_for(entry))).build())
        data = {
            "name": "plates", "type": "PairedImageDataset", "phase": "train", "scale": 8, "gt_size": 64,
            "dataroot_gt": str(folder / "hr"), "dataroot_lq": str(folder / "lr"), "io_backend": {"type": "disk"},
            "use_hflip": False, "use_rot": False, "num_worker_per_gpu": workers,
            "batch_size_per_gpu": config.train.batch_size, "dataset_enlarge_ratio": 100, "prefetch_mode": None,
            "pin_memory": device.type == "cuda",
        }  # fmt: skip
        train = {
            "optim_g": {"type": "Adam", "lr": RATE, "weight_decay": 0, "betas": [0.9, 0.999]},
            "scheduler": {"type": "CosineAnnealingRestartLR", "periods": [10**6], "restart_weights": [1],
                          "eta_min": 0.0},
            "pixel_opt": {"type": LOSSES[name], "loss_weight": 1.0, "reduction": "mean"},
        }  # fmt: skip
        gpus = int(device.type == "cuda")
        options = {"num_gpu": gpus, "dist": False, "rank": 0, "is_train": True, "path": {}, "train": train,
                   "network_g": {"type": network}}  # fmt: skip
        dataset = build_dataset(data)
        self.sampler = EnlargedSampler(dataset, 1, 0, data["dataset_enlarge_ratio"])
        loader = build_dataloader(dataset, data, num_gpu=gpus, dist=False, sampler=self.sampler, seed=0)
        self.prefetcher = CPUPrefetcher(loader)
        self.model = SRModel(options)
        self.timers = AvgTimer(), AvgTimer()
        self.iteration = 0
        self.sampler.set_epoch(0)
        self.prefetcher.reset()
        self.batch = self.prefetcher.next()

    def run(self, iterations: int) -> None:
        """Iterations with everything that its training loop does in each."""
        data_timer, iteration_timer = self.timers
        for _ in range(iterations):
            data_timer.record()
            self.iteration += 1
            self.model.update_learning_rate(self.iteration, warmup_iter=-1)
            self.model.feed_data(self.batch)
            self.model.optimize_parameters(self.iteration)
            iteration_timer.record()
            if self.iteration % PRINT_EVERY == 0:
                self.model.get_current_learning_rate()
                self.model.get_current_log()
            data_timer.start()
            iteration_timer.start()
            self.batch = self.prefetcher.next()


class SideBySide:
    """A session around a real one that lets BasicSR train between its own blocks of iterations."""

    def __init__(self, session: TrainingSession, other: BasicSR, pairs: int, steps: int) -> None:
        self._session, self._other, self._pairs, self._steps = session, other, pairs, steps
        self.seconds: list[tuple[float, float]] = []
        """Of an iteration, ours and theirs, one pair of blocks after another."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def batches(self, method: Method) -> Iterator[tuple[int, Batch]]:
        real = self._session.batches(method)
        for number in range(self._pairs):
            ours = theirs = 0.0
            for turn in (0, 1):
                start = self._now()
                if (number + turn) % 2:
                    self._other.run(self._steps)
                    theirs = (self._now() - start) / self._steps
                else:
                    for _ in range(self._steps):
                        yield next(real)
                    ours = (self._now() - start) / self._steps
            self.seconds.append((ours, theirs))
        real.close()  # type: ignore[attr-defined]

    def _now(self) -> float:
        synchronize(self._session.device)
        return time.perf_counter()


def measure(name: str, config: Config, plates: Plates, workers: int, pairs: int, block: int = 0) -> dict[str, Any]:
    """A row for one method: patches a second of both loops (medians over pairs of blocks), and the median of the
    pairs' ratios. ``block``: iterations of a block; 0: about a quarter of a second."""
    device, entry = resolve_device(config.train.device), methods.get(name)
    with tempfile.TemporaryDirectory() as scratch:
        _write_pictures(plates, Path(scratch))
        other = BasicSR(name, config, Path(scratch), device, workers)

        def seconds(count: int, steps: int) -> list[tuple[float, float]]:
            budget = 2 * count * steps
            probe = train_probed(
                entry, config, plates, Path(scratch), lambda session: SideBySide(session, other, count, steps), budget
            )
            return list(probe.seconds)

        steps = block or steps_for(min(seconds(2, 1)[-1]))
        found = seconds(pairs + 1, steps)[1:]  # the first one warms up
    size = config.train.batch_size
    return {
        "method": name,
        "batch": size,
        "precision": config.train.precision,
        "threads": torch.get_num_threads(),
        "steps": steps,
        "pairs": len(found),
        "ours_patches_per_s": size / median(ours for ours, _ in found),
        "basicsr_patches_per_s": size / median(theirs for _, theirs in found),
        "ratio": median(theirs / ours for ours, theirs in found),
        "lowest": min(theirs / ours for ours, theirs in found),
        "highest": max(theirs / ours for ours, theirs in found),
    }


def _method(method: Method) -> NetworkMethod:
    assert isinstance(method, NetworkMethod)
    return method


def _write_pictures(plates: Plates, folder: Path) -> None:
    """The plates as BasicSR wants them: a folder of HR and one of LR pictures, of the same names."""
    for kind in ("hr", "lr"):
        (folder / kind).mkdir()
    for number in range(len(plates)):
        hr = plates[number].hr
        Image.fromarray(hr).save(folder / "hr" / f"{number:06}.png")
        Image.fromarray(low_resolution(hr)).save(folder / "lr" / f"{number:06}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", default=",".join(LOSSES), help=f"of {', '.join(LOSSES)}")
    parser.add_argument("--data", type=Path, help="a CCPD folder; without it plates of noise")
    parser.add_argument("--plates", type=int, default=512, help="plates to draw patches from")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--pairs", type=int, default=8, help="pairs of blocks that medians are over")
    parser.add_argument("--steps", type=int, default=0, help="iterations of a block; default: a quarter of a second")
    parser.add_argument("--workers", type=int, default=2, help="processes of BasicSR's data loader")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=0, help="0: as torch does by itself")
    asked = parser.parse_args()
    sizes = [f"data.train_plates={asked.plates}", "data.val_plates=8", "data.test_plates=8"]
    train = [f"train.{key}={value}" for key, value in (
        ("batch_size", asked.batch_size), ("device", asked.device), ("threads", asked.threads), ("learning_rate", RATE),
        ("warmup", 0))]  # fmt: skip
    place = [f"data.folder={asked.data}"] if asked.data else []
    config = load("standard", [*sizes, *train, *place, *SETTINGS])
    configure_torch(config)
    with tempfile.TemporaryDirectory() as scratch:
        if asked.data:
            plates = prepare_plates(config, Path(scratch), lambda line: None)[0].split("train")
        else:
            plates = noise_plates(Path(scratch) / "plates", asked.plates)
        rows = []
        for name in asked.methods.split(","):
            print(f"{name} …", file=sys.stderr)
            rows.append(measure(name, config, plates, asked.workers, asked.pairs, asked.steps))
    print(pd.DataFrame(rows).to_string(index=False, float_format="%.3f"))
    print("ratio: seconds of BasicSR's iteration over ours, median (lowest, highest) of pairs of neighbouring blocks")


if __name__ == "__main__":
    main()
