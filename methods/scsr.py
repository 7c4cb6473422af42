"""ScSR: pairs of patches as few atoms of two dictionaries, learnt together (Yang et al., 2010).

The luma of a bicubic enlargement by two is described by 5×5 patches of its gradients; what an atom of gradients looks
like at high resolution replaces it. Three passes make a factor of eight.

An iteration means less here than for a network: online dictionary learning (Mairal et al., ICML 2009) on some patches
of the batch. After as many patches as the publication visits, further iterations learn nothing.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from methods import register
from methods.base import SCALE, Method, Session, check_lr
from methods.blocks.colour import luma
from methods.blocks.resize import upsample_bicubic
from methods.engine.tiles import forward_in_tiles
from methods.options import MethodOptions

ATOMS, SIDE = 512, 5
PIXELS, FEATURES = SIDE**2, 4 * SIDE**2
PATCHES = 256
"""Patches an iteration learns from."""
LAST = 4_000_000 // PATCHES
"""The last iteration that learns: 100,000 patches 40 times, as published."""
_CHUNK = 8192
_TILE = 64  # larger pictures are upscaled in tiles of this side: memory


def resize(images: Tensor, factor: float) -> Tensor:
    """Antialiased bicubic, a = −0.5, of N×C×H×W."""
    size = [round(factor * side) for side in images.shape[-2:]]
    return F.interpolate(images, size=size, mode="bicubic", align_corners=False, antialias=True)


def gradients(y: Tensor) -> Tensor:
    """First and second differences along both axes: N×1×H×W → N×4×H×W. Zeros go on beyond the border."""
    first, second = torch.zeros(2, 1, 1, 1, 5).to(y)
    first[..., 1:4] = torch.tensor([-1.0, 0.0, 1.0])
    second[..., :] = torch.tensor([1.0, 0.0, -2.0, 0.0, 1.0])
    pairs = [(F.conv2d(y, k, padding=(0, 2)), F.conv2d(y, k.mT, padding=(2, 0))) for k in (first, second)]
    return torch.cat([part for pair in pairs for part in pair], dim=1)


def unit(rows: Tensor) -> Tensor:
    """Rows of length 1; those of length 0 stay."""
    return rows / torch.linalg.vector_norm(rows, dim=1, keepdim=True).clamp(min=1e-12)


def matching_pursuit(signals: Tensor, atoms: Tensor, count: int) -> Tensor:
    """Orthogonal matching pursuit: M×d signals as ``count`` of K×d unit atoms, M×K coefficients."""
    correlation, gram = signals @ atoms.T, atoms @ atoms.T
    chosen = torch.empty(len(signals), 0, dtype=torch.long)
    left = correlation
    for _ in range(count):
        free = left.abs().scatter(1, chosen, -1.0)
        chosen = torch.cat([chosen, free.argmax(dim=1, keepdim=True)], dim=1)
        among = gram[chosen[:, :, None], chosen[:, None, :]] + 1e-6 * torch.eye(chosen.shape[1])
        weights = torch.linalg.solve(among, correlation.gather(1, chosen)[..., None])
        left = correlation - (weights * gram[chosen]).sum(dim=1)
    return torch.zeros_like(correlation).scatter(1, chosen, weights[..., 0])


def lasso(signals: Tensor, atoms: Tensor, penalty: float) -> Tensor:
    """Coefficients M×K that minimise ½|s − aD|² + penalty·|a|₁. Raises ImportError without scikit-learn."""
    try:
        from sklearn.decomposition import sparse_encode
        from sklearn.exceptions import ConvergenceWarning
    except ImportError:
        raise ImportError("ScSR needs scikit-learn: pip install 'plate-sr-benchmark[sparse]'") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a thousand rounds are near enough
        codes = sparse_encode(signals.double().numpy(), atoms.double().numpy(), algorithm="lasso_cd", alpha=penalty)
    return torch.from_numpy(codes).to(signals)


@register(in_all=False)
class ScSR(Method):
    name = "scsr"
    title = "ScSR"
    citation = (
        "J. Yang, J. Wright, T. S. Huang, Y. Ma, “Image Super-Resolution via Sparse Representation”, IEEE Transactions "
        "on Image Processing 19(11):2861–2873, 2010, doi:10.1109/TIP.2010.2050625"
    )
    groups = ("related",)
    packages: ClassVar[dict[str, str]] = {"sklearn": "sparse"}

    @dataclass(frozen=True)
    class Options(MethodOptions):
        coding: Literal["omp", "lasso"] = "omp"
        """How a patch is coded when upscaling: three atoms by orthogonal matching pursuit, or the publication's LASSO,
        which takes some 14 seconds for a plate of 28×12 at its overlap of 4."""
        overlap: Literal[0, 1, 2, 3, 4] = 3
        """Pixels that neighbouring patches of 5×5 share; the publication's 4 takes four times as long as 3."""

    options: Options

    def __init__(self, options: Any = None) -> None:
        super().__init__(options)
        self.dictionary = unit(torch.randn(ATOMS, PIXELS + FEATURES))
        """A pair of atoms a row: 25 values of luma, 100 of gradients."""
        self.iteration = 0
        # Sums over all that was learnt from: of products of coefficients, and of coefficients with patches.
        self.coefficients = torch.zeros(ATOMS, ATOMS, dtype=torch.float64)
        self.products = torch.zeros(ATOMS, PIXELS + FEATURES, dtype=torch.float64)

    def num_parameters(self) -> int:
        return self.dictionary.numel()

    # -- learning ----------------------------------------------------------------------------------

    def train(self, session: Session) -> None:
        loss = torch.zeros(())
        for _, batch in session.batches(self):
            self.iteration += 1
            if self.iteration <= LAST:
                loss = self.learn(self.pairs(255.0 * luma(batch.hr.cpu())))
            session.check({"total": loss.to(self.device)})

    def pairs(self, hr: Tensor) -> Tensor:
        """Rows of patches of HR luma and of the gradients of its enlarged half, both of one length: at most PATCHES."""
        enlarged = resize(resize(hr, 0.5), 2.0)
        tall = F.unfold(torch.cat([hr, gradients(enlarged)], dim=1), SIDE).transpose(1, 2).flatten(0, 1)
        pixels, features = tall.split([PIXELS, FEATURES], dim=1)
        textured = pixels.var(dim=1) > 10.0
        pixels, features = pixels[textured], features[textured]
        some = torch.randint(max(len(pixels), 1), (PATCHES,))[: len(pixels)]
        pixels, features = pixels[some], features[some]
        pixels = pixels - pixels.mean(dim=1, keepdim=True)
        return unit(torch.cat([PIXELS**0.5 * unit(pixels), FEATURES**0.5 * unit(features)], dim=1))

    def learn(self, rows: Tensor, penalty: float = 0.15) -> Tensor:
        """One step of online dictionary learning; returns what it minimises, before the step."""
        if not len(rows):
            return torch.zeros(())
        unused = self.coefficients.diagonal() < 1e-6
        self.dictionary[unused] = rows[torch.randint(len(rows), (int(unused.sum()),))]
        codes = lasso(rows, self.dictionary, penalty)
        errors = rows - codes @ self.dictionary
        loss = 0.5 * errors.square().sum(dim=1).mean() + penalty * codes.abs().sum(dim=1).mean()
        codes = codes.double()
        self.coefficients += codes.T @ codes
        self.products += codes.T @ rows.double()
        atoms = self.dictionary.double()
        for k in torch.nonzero(self.coefficients.diagonal() >= 1e-6).flatten().tolist():
            atom = atoms[k] + (self.products[k] - self.coefficients[k] @ atoms) / self.coefficients[k, k]
            atoms[k] = atom / atom.norm().clamp(min=1.0)
        self.dictionary = atoms.float()
        return loss

    # -- upscaling ---------------------------------------------------------------------------------

    @torch.inference_mode()
    def upscale(self, lr: Tensor) -> Tensor:
        check_lr(lr)
        given = lr.detach().cpu().float()
        tiled = max(given.shape[-2:]) > _TILE
        sr = forward_in_tiles(self.forward, given, _TILE, 16, SCALE) if tiled else self.forward(given)
        return sr.clamp(0.0, 1.0).to(lr.device)

    def forward(self, lr: Tensor) -> Tensor:
        """N×3×h×w → N×3×8h×8w, unclamped."""
        bicubic, low = upsample_bicubic(lr), 255.0 * luma(lr)
        y = low
        for _ in range(3):
            y = self.double(y)
        y = project_back(y, low)
        return bicubic + y / 255.0 - luma(bicubic)

    def double(self, y: Tensor) -> Tensor:
        """N×1×h×w → N×1×2h×2w. Two pixels at the top and left and three at the bottom and right stay bicubic, as does
        what is too small for a patch."""
        enlarged = resize(y, 2.0)
        step = SIDE - self.options.overlap
        rows, columns = (_starts(side, step) for side in enlarged.shape[-2:])
        if not rows or not columns:
            return enlarged
        width = enlarged.shape[-1] - SIDE + 1
        places = torch.tensor([top * width + left for top in rows for left in columns])
        patches = F.unfold(torch.cat([enlarged, gradients(enlarged)], dim=1), SIDE)
        cut = patches[:, :, places].transpose(1, 2).flatten(0, 1)
        made = torch.cat([self.replace(part) for part in cut.split(_CHUNK)])
        laid, covered = torch.zeros(2, len(y), PIXELS, patches.shape[2])
        laid[:, :, places] = made.view(len(y), len(places), PIXELS).transpose(1, 2)
        covered[:, :, places] = 1.0
        total, count = (F.fold(part, enlarged.shape[-2:], SIDE) for part in (laid, covered))
        return torch.where(count > 0, total / count.clamp(min=1.0), enlarged)

    def replace(self, patches: Tensor) -> Tensor:
        """M×125 (pixels, gradients) → M×25: the pixels that the atoms of the gradients stand for."""
        pixels, features = patches.split([PIXELS, FEATURES], dim=1)
        high, low = self.dictionary.split([PIXELS, FEATURES], dim=1)
        features = features / torch.linalg.vector_norm(features, dim=1, keepdim=True).clamp(min=1.0)
        omp = self.options.coding == "omp"
        codes = matching_pursuit(features, unit(low), 3) if omp else lasso(features, unit(low), 0.2)
        mean = pixels.mean(dim=1, keepdim=True)
        contrast = torch.linalg.vector_norm(pixels - mean, dim=1, keepdim=True)
        return mean + 1.2 * contrast * unit(codes @ high)

    # -- state -------------------------------------------------------------------------------------

    def weights(self) -> dict[str, Tensor]:
        return {"dictionary": self.dictionary}

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        if set(weights) != {"dictionary"} or weights["dictionary"].shape != self.dictionary.shape:
            raise RuntimeError(f"expected a dictionary of {tuple(self.dictionary.shape)}")
        self.dictionary = weights["dictionary"].cpu().clone()

    def state_dict(self) -> dict[str, Any]:
        sums = {"coefficients": self.coefficients, "products": self.products}
        return {"dictionary": self.dictionary, "iteration": self.iteration, **sums}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.load_weights({"dictionary": state["dictionary"]})
        self.iteration = state["iteration"]
        self.coefficients, self.products = (state[name].cpu().clone() for name in ("coefficients", "products"))

    def notes(self) -> list[str]:
        coding = "LASSO" if self.options.coding == "lasso" else "three atoms by orthogonal matching pursuit (ours)"
        return [
            f"An iteration of ScSR is online dictionary learning on {PATCHES} patches, no step of Adam. "
            f"It learns in the first {LAST:,} at most, as many patches as its publication visits.",
            f"ScSR upscales by {coding}; its patches of 5×5 share {self.options.overlap} pixels (published: LASSO "
            "and 4), in three passes of ×2. It learns luma only; Cb and Cr are bicubic.",
        ]


def project_back(y: Tensor, low: Tensor) -> Tensor:
    """``y`` drawn towards what shrinks to ``low``, in twenty steps."""
    taps = torch.exp(-0.5 * torch.arange(-2.0, 3.0) ** 2) ** 2
    kernel = (torch.outer(taps, taps) / taps.sum() ** 2)[None, None]
    for _ in range(20):
        y = y + F.conv2d(resize(low - resize(y, 1 / SCALE), SCALE), kernel, padding=2)
    return y


def _starts(length: int, step: int) -> list[int]:
    last = length - SIDE - 3
    return [*range(2, last, step), last] if last >= 2 else []
