"""The moving average of a network's weights."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class MovingAverage:
    """A copy of a network that follows it: average ← decay · average + (1 − decay) · weights, from the initial
    weights on, as in BasicSR. Buffers that belong to the state are copied.

    torch's AveragedModel counts its updates in a tensor, and takes the first weights it sees as they are.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False)
        self._average = get_ema_multi_avg_fn(decay)
        self._weights = list(self.network.parameters()), list(network.parameters())
        stored = network.state_dict()
        self._buffers = [(self.network.get_buffer(n), b) for n, b in network.named_buffers() if n in stored]

    @torch.no_grad()
    def update(self) -> None:
        """Take in the network's weights of now."""
        self._average(*self._weights, None)
        for ours, theirs in self._buffers:
            ours.copy_(theirs)
