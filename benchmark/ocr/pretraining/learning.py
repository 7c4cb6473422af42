"""How a network learns to read: one loop for the OCR engine ``crnn`` and for the embedder's ResNet-18.

All randomness comes from the recipe's seed: first weights, order of the plates, what varies them. The
same recipe gives the same weights on the same machine with the same number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from benchmark.ocr.pretraining.dataset import augment
from benchmark.ocr.reading import Reading, character_accuracy
from benchmark.util.errors import UserError


class Reader(Protocol):
    """A network that reads: RGB in [0, 1], N×3×48×168."""

    def loss(self, rgb: Tensor, texts: Sequence[str]) -> Tensor:
        """What training minimises, a scalar."""

    def read(self, rgb: Tensor) -> list[Reading]:
        """What the pictures say."""


@dataclass(frozen=True)
class PretrainingRecipe:
    """Everything a training depends on, but for the source."""

    seed: int
    """Of the plates, the first weights and the order. No two networks share one."""
    plates: int
    """Plates drawn; each is seen several times, never twice alike."""
    iterations: int
    batch_size: int
    learning_rate: float
    """Highest; reached after a linear warm-up of a twentieth, then falling as a cosine to 0."""
    weight_decay: float
    held_out: int
    """Plates drawn to measure the accuracy, of another seed."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Of the forward pass. bf16 halves the time on processors with bf16 units; weights and loss stay fp32."""


HELD_OUT_SEED = 900_003


def learn(
    build: Callable[[], torch.nn.Module],
    recipe: PretrainingRecipe,
    windows: np.ndarray,
    texts: Sequence[str],
    device: torch.device,
    report: Callable[[int, float], None] = lambda iteration, loss: None,
    vary: Callable[[Tensor, torch.Generator], Tensor] = augment,
) -> torch.nn.Module:
    """``build()``, trained on uint8 windows and their texts, on ``device``, in eval mode.

    ``vary`` makes of some windows what the network sees of them this time (default: of N×56×184×3 ones). ``report``
    is told iteration and loss after each iteration. Leaves torch's global random state alone.
    Raises UserError for a loss that is not finite.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(recipe.seed)  # the CPU's only
        network = build().to(device).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    warmup = max(1, recipe.iterations // 20)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda i: min(1.0, (i + 1) / warmup) * 0.5 * (1 + math.cos(math.pi * i / recipe.iterations)),
    )
    order = torch.Generator().manual_seed(recipe.seed)
    varied = torch.Generator(device).manual_seed(recipe.seed + 1)
    pool = torch.from_numpy(windows).to(device)
    for iteration in range(1, recipe.iterations + 1):
        chosen = torch.randint(len(texts), (recipe.batch_size,), generator=order)
        pictures = vary(pool[chosen.to(device)], varied)
        with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
            loss = network.loss(pictures, [texts[int(i)] for i in chosen])  # type: ignore[operator]
        value = float(loss.detach())
        if not math.isfinite(value):
            raise UserError(f"the training broke down at iteration {iteration} (loss {value}): lower the learning rate")
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        report(iteration, value)
    return network.eval()


@torch.inference_mode()
def accuracy(reader: Reader, pictures: np.ndarray, texts: Sequence[str], device: torch.device) -> tuple[float, float]:
    """Share of plates read without a mistake, and mean character accuracy. ``pictures``: uint8 N×48×168×3."""
    right, characters = 0, 0.0
    for start in range(0, len(texts), 64):
        batch = torch.from_numpy(pictures[start : start + 64]).to(device).permute(0, 3, 1, 2).float() / 255.0
        for reading, text in zip(reader.read(batch), texts[start : start + 64]):
            right += reading.text == text
            characters += character_accuracy(reading.text, text)
    return right / len(texts), characters / len(texts)
