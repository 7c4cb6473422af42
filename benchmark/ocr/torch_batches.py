"""Reading with a torch network on several CPU threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch

from benchmark.ocr.reading import Reading, check_rectified

_BATCH = 8  # plates at a time: two thirds of the time of one by one


def read_in_threads(
    read: Callable[[Sequence[np.ndarray]], list[Reading]], images: Sequence[np.ndarray], threads: int
) -> list[Reading]:
    """``read`` of a few plates at a time, on one CPU thread each, ``threads`` at once; readings in order.

    A reading depends neither on ``threads`` nor on the plates beside it. Torch's settings are left as they were.
    Raises ValueError for pictures that are not uint8 48×168×3.
    """
    check_rectified(images)
    # Threads take over how many threads torch uses when they first use torch: they must be new.
    with _one_thread_each(), ThreadPoolExecutor(threads, thread_name_prefix="ocr") as pool:
        batches = [images[start : start + _BATCH] for start in range(0, len(images), _BATCH)]
        return [reading for readings in pool.map(read, batches) for reading in readings]


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Operations in threads started meanwhile take one thread each; the caller's setting comes back."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
