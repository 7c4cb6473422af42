"""PECL: residual dense blocks trained with a pixel loss and a contrastive loss on embeddings.

The publication's text says that the contrastive loss draws the embedding of the super-resolved
plate towards that of the true plate. Its Equation 17 does the opposite: it is the hinge that
Hadsell et al. (CVPR 2006) use to push *different* pictures apart. Both are offered:

``attract``  mean D², the positive branch of Hadsell et al.: what the text describes;
``printed``  mean max(m − D, 0)², Equation 17 to the letter: no gradient once D ≥ m;
``none``     the pixel loss alone.

Equation 19 has learnable weights in [0, 1] whose sum is 1, clipped during training. Two codes of it are offered:

``learned``       one parameter: w_c = 1 − w_p, clipped to [0, 1] after every step;
``renormalised``  two parameters, each clipped to [0, 1] after every step, then both divided by their sum.

Nothing holds learned weights in balance: minimised together with the network, weight flows to whichever term is
smaller (with one parameter within about 0.5 / learning rate iterations), and once the remaining term is zero nothing
is learnt any more. That is not repaired here, but recorded: the history holds both weights, both terms, D and the
contrastive term's share of the loss, and ``dead_gradient`` is 1 where the network receives no gradient at all.
``fixed`` weights are ours, not the publication's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods import register
from methods.base import Batch, Losses, Session
from methods.blocks.pecl_networks import paper_network, release_network
from methods.blocks.pretrained import ImageNetNormalise, plates_weights_hash, resnet18
from methods.network import NetworkMethod

Distance = Literal["manhattan", "euclidean"]
Dimension = Literal[64, 128, 256, 512]

# -- the embedding and the contrastive terms -----------------------------------------------------


class Embedder(nn.Module):
    """One branch of the Siamese pair: RGB in [0, 1], any size → unit vectors, N×dimension.

    ResNet-18 with its last layer replaced. That layer is random whatever the rest is. Inputs are
    normalised as ImageNet's are; the publication does not say whether they should be.
    """

    def __init__(self, dimension: int, init: Literal["imagenet", "plates", "random"]) -> None:
        super().__init__()
        self.normalise = ImageNetNormalise()
        self.resnet = resnet18(init, alternative="--set pecl.embedder_init=random")
        self.resnet.fc = nn.Linear(self.resnet.fc.in_features, dimension)

    def forward(self, rgb: Tensor) -> Tensor:
        return F.normalize(self.resnet(self.normalise(rgb)).float(), dim=1)


def embedding_distance(a: Tensor, b: Tensor, kind: Distance) -> Tensor:
    """Distance of the rows of two N×d tensors: N values ≥ 0."""
    return torch.linalg.vector_norm(a - b, ord=1 if kind == "manhattan" else 2, dim=1)


def contrastive_term(distance: Tensor, term: Literal["attract", "printed"], margin: float) -> Tensor:
    """Mean over the pairs of D² (``attract``) or of max(margin − D, 0)² (``printed``)."""
    if term == "attract":
        return distance.square().mean()
    return (margin - distance).clamp(min=0.0).square().mean()


# -- the method ------------------------------------------------------------------------------------


@register
class Pecl(NetworkMethod):
    name = "pecl"
    title = "PECL"
    citation = (
        "A. Sendjasni, M.-C. Larabi, “Embedding Similarity Guided License Plate Super Resolution”, "
        "Neurocomputing 651:130657, 2025, arXiv:2501.01483"
    )
    groups = ("table1", "readings", "ablation")
    family = "pecl"
    paper_parameters = 2_000_000
    version = 2  # 2: a fixed contrastive weight is used as given, not as 1 − (1 − w) in fp32
    # The publication's recipe (Adam 1e-4, cosine) is the benchmark's common one: Recipe's defaults.

    @dataclass(frozen=True)
    class Options(NetworkMethod.Options):
        network: Literal["paper", "release"] = "paper"
        """The network that the publication's text describes, or the one its authors published."""
        term: Literal["attract", "printed", "none"] = "attract"
        """Contrastive term. ``attract``: mean D², as the publication's text describes it; ``printed``: mean
        max(m − D, 0)², its Equation 17; ``none``: the pixel loss alone."""
        weights: Literal["fixed", "learned", "renormalised"] = "fixed"
        """Weights of the two loss terms. ``learned`` and ``renormalised``: Equation 19 with one parameter and with two,
        from 0.5 on."""
        w_contrastive: float = 1e-5
        """Weight of the contrastive term where weights are fixed; the pixel loss has the rest. Chosen on
        validation plates (results/reference/search-pecl-real-plates): the largest of the weights tried that
        costs less than 0.01 dB there. Search again where embedder, data or budget is another."""
        distance: Distance = "manhattan"
        """Distance between embeddings."""
        dimension: Dimension = 128
        """Length of an embedding."""
        margin: float = 2.0
        """m of Equation 17. D grows as the root of ``dimension``, the margin does not."""
        embedder: Literal["frozen", "trained"] = "frozen"
        """Whether the embedder learns, too. ``trained``: by the same Adam. With ``attract`` it then collapses to a
        constant: there are no negative pairs to keep embeddings apart."""
        batch_norm: Literal["eval", "batch"] = "eval"
        """Statistics of the embedder's batch normalisation: the stored ones, or the batch's."""
        embedder_init: Literal["imagenet", "plates", "random"] = "imagenet"
        """Weights the embedder starts from: ImageNet's, those of a ResNet-18 trained to read synthetic
        plates (``python -m benchmark data embedder``), or random ones."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if not 0.0 <= self.w_contrastive <= 1.0:
                raise ValueError(f"w_contrastive must lie in [0, 1], not {self.w_contrastive}")

    options: Options

    def __init__(self, options: Any = None) -> None:
        super().__init__(options)
        self.embedder: Embedder | None = None  # training needs it, upscaling does not
        kind = self.options.weights if self.options.term != "none" else "fixed"
        given = self.options.w_contrastive if kind == "fixed" else 0.5
        self.w_pixel = nn.Parameter(torch.tensor(1.0 - given), requires_grad=kind != "fixed")
        self.w_contrastive = nn.Parameter(torch.tensor(given), requires_grad=kind == "renormalised")

    def build(self) -> nn.Module:
        return paper_network() if self.options.network == "paper" else release_network()

    def external_weights(self) -> dict[str, str]:
        external = super().external_weights()
        if self.options.term != "none" and self.options.embedder_init == "plates":
            external["embedder"] = plates_weights_hash("--set pecl.embedder_init=random")
        return external

    def imagenet_networks(self) -> dict[str, str]:
        needed = self.options.term != "none" and self.options.embedder_init == "imagenet"
        return {"resnet18": "--set pecl.embedder_init=random"} if needed else {}

    def prepare(self, session: Session) -> None:
        for weight in (self.w_pixel, self.w_contrastive):
            weight.data = weight.data.to(self.device)
        if self.options.term != "none":
            self.embedder = Embedder(self.options.dimension, self.options.embedder_init)
            self.to_device(self.embedder)
            self.embedder.train(self.options.batch_norm == "batch")
            self.embedder.requires_grad_(self.options.embedder == "trained")
        super().prepare(session)

    def parameter_groups(self) -> list[dict[str, Any]]:
        groups = super().parameter_groups()
        learned = [weight for weight in (self.w_pixel, self.w_contrastive) if weight.requires_grad]
        if learned:
            groups.append({"params": learned})
        if self.embedder is not None and self.options.embedder == "trained":
            groups.append({"params": list(self.embedder.parameters())})
        return groups

    def loss(self, sr: Tensor, batch: Batch) -> Losses:
        pixel = F.mse_loss(sr, batch.hr)
        if self.embedder is None:
            return {"total": pixel}
        with torch.set_grad_enabled(self.options.embedder == "trained"):
            target = self.run(self.embedder, batch.hr)
        distance = embedding_distance(self.run(self.embedder, sr), target, self.options.distance)
        assert self.options.term != "none"
        contrastive = contrastive_term(distance, self.options.term, self.options.margin)
        w_pixel, w_contrastive = self.loss_weights()
        total = w_pixel * pixel + w_contrastive * contrastive
        silent = (w_pixel * pixel == 0.0) & (w_contrastive * contrastive == 0.0)
        logged = {
            "pixel": pixel,
            "contrastive": contrastive,
            "distance": distance.mean(),
            "w_pixel": w_pixel.clone(),
            "w_contrastive": w_contrastive.clone(),
            # 0 where there is no loss left to share.
            "contrastive_share": w_contrastive * contrastive / total.clamp(min=torch.finfo(total.dtype).tiny),
            "dead_gradient": silent.float(),
        }
        return {"total": total, **{name: value.detach() for name, value in logged.items()}}

    def loss_weights(self) -> tuple[Tensor, Tensor]:
        """w_pixel and w_contrastive of Equation 19. Fixed ones are as given: 1 − (1 − 1e-8) would be 0 in fp32."""
        one_parameter = self.w_pixel.requires_grad and not self.w_contrastive.requires_grad
        return self.w_pixel, 1.0 - self.w_pixel if one_parameter else self.w_contrastive

    def optimizer_step(self, total: Tensor) -> None:
        super().optimizer_step(total)
        with torch.no_grad():
            if self.w_pixel.requires_grad:
                self.w_pixel.clamp_(0.0, 1.0)
            if self.w_contrastive.requires_grad:
                both = self.w_pixel + self.w_contrastive.clamp_(0.0, 1.0)
                self.w_pixel.div_(both)
                self.w_contrastive.div_(both)

    def state_dict(self) -> dict[str, Any]:
        state = super().state_dict()
        state["w_pixel"] = self.w_pixel.detach()
        if self.w_contrastive.requires_grad:
            state["w_contrastive"] = self.w_contrastive.detach()
        if self.embedder is not None:  # frozen ones too: their last layer is random
            state["embedder"] = self.embedder.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.w_pixel.data.copy_(state["w_pixel"])
        if self.w_contrastive.requires_grad:
            self.w_contrastive.data.copy_(state["w_contrastive"])
        if self.embedder is not None:
            self.embedder.load_state_dict(state["embedder"])

    def notes(self) -> list[str]:
        options = self.options
        if options.network == "paper":
            notes = [
                "The network is the paper's (Sec. 3.2); the sizes it leaves open are ours. Eq. 12 prints one ReLU "
                "around the three transposed convolutions; one follows each of them here."
            ]
        else:
            notes = ["The network is the one its authors published, which differs from the paper's text."]
        if options.term == "none":
            return [*notes, "The loss is the mean squared error alone."]
        if options.term == "attract":
            notes.append(
                "The paper's: the contrastive term draws embeddings together, as its text says (Eq. 17 does not)."
            )
        else:
            notes.append("The paper's: the contrastive term is Eq. 17 as printed. It pushes embeddings apart.")
        if options.weights == "fixed":
            notes.append(
                f"Ours: a fixed contrastive weight of {options.w_contrastive:g} (the paper's are learned, Eq. 19)."
            )
        elif options.weights == "learned":
            notes.append("The paper's: learned weights (Eq. 19). Ours: one parameter, the other weight is 1 − w.")
        else:
            notes.append("The paper's: learned weights (Eq. 19). Ours: two parameters, clipped, divided by their sum.")
        notes.append(f"PECL's embedder: {options.embedder} ResNet-18 with {self._start()}, last layer random.")
        return notes

    def _start(self) -> str:
        if self.options.embedder_init == "plates":
            return f"weights that read synthetic plates (SHA-256 {self.external_weights()['embedder'][:12]})"
        return "ImageNet's weights" if self.options.embedder_init == "imagenet" else "random weights"


# -- readings of a text that contradicts itself, and the ablation --------------------------------------

register(
    Pecl,
    name="pecl-printed",
    title="PECL (as printed)",
    groups=("readings", "ablation-printed"),
    options=Pecl.Options(term="printed", weights="learned"),
    version=1,
)
register(
    Pecl,
    name="pecl-learned",
    title="PECL (learned weights)",
    groups=("readings",),
    options=Pecl.Options(term="attract", weights="learned"),
    version=1,
)
register(
    Pecl,
    name="pecl-renormalised",
    title="PECL (renormalised weights)",
    groups=("readings",),
    options=Pecl.Options(term="attract", weights="renormalised"),
)
register(
    Pecl,
    name="pecl-release",
    title="PECL (released network)",
    groups=("readings",),
    options=Pecl.Options(network="release", term="attract", weights="fixed"),
)

# The ablation: PECL's network with the pixel loss alone, and every distance × dimension. ``pecl`` itself
# is the cell Manhattan × 128, as ``pecl-printed`` is in the grid of Eq. 17–19 to the letter, which is
# trained when it is asked for.
_DISTANCES: tuple[Distance, ...] = ("euclidean", "manhattan")
_DIMENSIONS: tuple[Dimension, ...] = (64, 128, 256, 512)
_GRID = [(d, n) for d in _DISTANCES for n in _DIMENSIONS if (d, n) != ("manhattan", 128)]
register(
    Pecl,
    name="pecl-mse",
    title="PECL (MSE alone)",
    groups=("ablation", "sweep"),
    options=Pecl.Options(network="paper", term="none"),
    version=1,
)
for _distance, _dimension in _GRID:
    register(
        Pecl,
        name=f"pecl-{_distance}-{_dimension}",
        title=f"PECL {_distance.title()} {_dimension}",
        groups=("ablation",),
        options=Pecl.Options(
            network="paper", term="attract", weights="fixed", distance=_distance, dimension=_dimension
        ),
    )
for _distance, _dimension in _GRID:
    register(
        Pecl,
        name=f"pecl-printed-{_distance}-{_dimension}",
        title=f"PECL printed {_distance.title()} {_dimension}",
        groups=("ablation-printed",),
        in_all=False,
        options=Pecl.Options(
            network="paper", term="printed", weights="learned", distance=_distance, dimension=_dimension
        ),
        version=1,
    )

# What the contrastive term does: its weight from nothing (``pecl-mse``) to a tenth of the loss's weights.
for _weight in ("1e-4", "1e-3", "1e-2", "1e-1"):
    register(
        Pecl,
        name=f"pecl-weight-{_weight}",
        title=f"PECL, weight {_weight}",
        groups=("sweep",),
        in_all=False,
        options=Pecl.Options(network="paper", term="attract", weights="fixed", w_contrastive=float(_weight)),
    )
