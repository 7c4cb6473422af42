"""Sparse coding: what is coded, learnt and put together."""

from __future__ import annotations

import sys

import pytest
import torch
from torch.nn import functional as F

import methods
from methods.blocks.resize import upsample_bicubic
from methods.contract import PracticeSession, make_batch
from methods.scsr import ScSR, gradients, lasso, matching_pursuit, project_back, resize, unit


def test_matching_pursuit_finds_the_atoms_a_signal_is_made_of() -> None:
    torch.manual_seed(0)
    atoms = unit(torch.randn(40, 100))
    codes = torch.zeros(6, 40)
    for row in codes:
        row[torch.randperm(40)[:3]] = torch.tensor([2.0, -1.5, 1.0])
    torch.testing.assert_close(matching_pursuit(codes @ atoms, atoms, 3), codes, rtol=1e-3, atol=1e-3)


def test_lasso_is_the_publications_problem() -> None:
    pytest.importorskip("sklearn")
    atoms, signals = torch.eye(4), torch.tensor([[1.0, -0.5, 0.1, 0.0]])
    torch.testing.assert_close(lasso(signals, atoms, 0.2), torch.tensor([[0.8, -0.3, 0.0, 0.0]]), atol=1e-4, rtol=0)


def test_gradients_of_a_ramp() -> None:
    ramp = torch.arange(8.0).expand(1, 1, 7, 8)
    inner = gradients(ramp)[0, :, 2:-2, 2:-2]
    assert inner[0].eq(2).all() and not inner[1:].any()
    assert gradients(ramp.mT)[0, 1, 2:-2, 2:-2].eq(2).all()


def test_learning_lowers_what_it_minimises_and_keeps_atoms_short() -> None:
    pytest.importorskip("sklearn")
    torch.manual_seed(0)
    method = ScSR()
    rows = method.pairs(255 * make_batch(3, (8, 8), 4).hr[:, :1])
    assert rows.shape[1] == 125 and torch.allclose(rows.norm(dim=1), torch.ones(len(rows)))
    losses = [float(method.learn(rows)) for _ in range(3)]
    assert losses[-1] < losses[0] and method.dictionary.norm(dim=1).max() < 1 + 1e-5


def test_the_border_stays_bicubic_and_the_result_shrinks_to_the_plate() -> None:
    torch.manual_seed(0)
    method, low = ScSR(), 255 * make_batch(1, (6, 8)).lr[:, :1]
    enlarged, bicubic = method.double(low), resize(low, 2.0)
    made = (enlarged != bicubic)[:, 0].any(dim=0)
    rows, columns = (made.any(dim=dim).nonzero().flatten() for dim in (1, 0))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (2, 12 - 4, 2, 16 - 4)
    assert torch.equal(method.double(low[..., :3, :]), resize(low[..., :3, :], 2.0))  # too small for a patch
    noisy = resize(low, 8.0) + 20 * torch.randn(low.shape[0], 1, 48, 64)
    before, after = (F.mse_loss(resize(y, 1 / 8), low) for y in (noisy, project_back(noisy, low)))
    assert after < 0.2 * before


def test_it_learns_luma_only_and_says_what_an_iteration_is() -> None:
    method = methods.get("scsr").create()
    lr = make_batch(2, (4, 6)).lr * 0.5 + 0.25
    change = method.upscale(lr) - upsample_bicubic(lr)
    torch.testing.assert_close(change[:, 0], change[:, 2], atol=1e-5, rtol=0)
    assert "iteration of ScSR" in method.notes()[0]


def test_without_its_extra_training_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.decomposition", None)
    with pytest.raises(ImportError, match=r"plate-sr-benchmark\[sparse\]"):
        methods.get("scsr").create().train(PracticeSession())
