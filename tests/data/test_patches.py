"""Batches: the very numbers, on a device, and from host memory where a device has no room."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from benchmark.data import patches
from benchmark.data.patches import PatchSampler

CPU = torch.device("cpu")
META = torch.device("meta")  # a device that is not the CPU and is everywhere


def noise() -> Any:
    """Twenty plates of random pixels; what a sampler needs of a pack, and no more."""
    random = np.random.default_rng(0)
    sizes = [(64 + 8 * (i % 4), 64 + 8 * (i % 7)) for i in range(20)]
    ends = np.cumsum([21] + [h * w * 3 for h, w in sizes])
    table = pd.DataFrame({"offset": ends[:-1], "height": [h for h, _ in sizes], "width": [w for _, w in sizes]})
    return SimpleNamespace(table=table, pixels=random.integers(0, 256, ends[-1], dtype=np.uint8), paired=False)


def test_batches_are_the_numbers_they_have_always_been() -> None:
    sampler, digest = PatchSampler(noise(), 5, 3, CPU), hashlib.sha256()
    for iteration in (1, 2, 17, 1_000_000):
        batch = sampler.batch(iteration)
        assert batch.lr.is_contiguous() and batch.hr.is_contiguous()
        digest.update(batch.lr.numpy().tobytes())
        digest.update(batch.hr.numpy().tobytes())
    # Of the first version of this sampler; results made with another cannot be compared with older ones.
    assert digest.hexdigest() == "0f518acbd4df657f2604da2e9f8fa5f14b4bbc8187f070f97968a4dfb7f7abcf"


def test_a_gather_on_the_device_and_copies_in_host_memory_are_the_same() -> None:
    sampler = PatchSampler(noise(), 9, 0, CPU)
    for iteration in range(1, 20):
        windows = sampler.windows(iteration)
        assert torch.equal(sampler._gathered(*windows), sampler._copied(*windows))


def test_batches_do_not_depend_on_how_many_are_made_at_a_time() -> None:
    single, blocks = (PatchSampler(noise(), 5, 3, CPU, together=count) for count in (1, 4))
    for iteration in (1, 2, 3, 4, 5, 12, 7, 8, 1_000_000):
        one, other = single.batch(iteration), blocks.batch(iteration)
        assert torch.equal(one.lr, other.lr) and torch.equal(one.hr, other.hr)
        assert other.lr.is_contiguous() and other.hr.is_contiguous()


def test_plates_that_do_not_fit_on_the_device_stay_in_host_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    plates, lines = noise(), []  # type: tuple[Any, list[str]]
    monkeypatch.setattr(patches, "_sent", lambda host, device: host)
    small = PatchSampler(plates, 4, 1, META, free_memory=lambda _: len(plates.pixels), say=lines.append)
    assert len(lines) == 1 and "do not fit on meta" in lines[0] and "ms per iteration" in lines[0]
    assert torch.equal(small.patches(3), PatchSampler(plates, 4, 1, CPU).patches(3))
    large = PatchSampler(plates, 4, 1, META, free_memory=lambda _: 10 * len(plates.pixels), say=lines.append)
    assert large._pixels.device == META and len(lines) == 1


def test_a_device_that_has_less_room_than_it_said(monkeypatch: pytest.MonkeyPatch) -> None:
    plates, lines = noise(), []  # type: tuple[Any, list[str]]
    monkeypatch.setattr(patches, "_sent", lambda host, device: host)

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(torch.Tensor, "to", full)
    sampler = PatchSampler(plates, 4, 1, META, free_memory=lambda _: 10**12, say=lines.append)
    assert len(lines) == 1 and sampler.patches(1).shape == (4, 3, 64, 64)
