"""Trained weights that the project ships: a folder of safetensors files, and ``weights.json``, which describes them.

They lie in ``results/reference/<run>/weights``, of the checkout or below the working folder; a wheel holds none. Both
index and files may come from strangers: nothing in them is executed, and a file is used only if it has the hash, and
is of the version and shapes, that are wanted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, ValidationError

import methods
from benchmark.results.record_config import ConfigTrain, DataFacts
from benchmark.results.record_fields import Count, NonNegative, Part, Sha256, Text, Version
from benchmark.results.record_parts import ScoreSet
from benchmark.results.trained import BadWeights, make, read_weights
from benchmark.util.errors import UserError, first_line
from benchmark.util.files import checksum, read_plain
from benchmark.util.terminal import cell
from methods import Method

INDEX = "weights.json"
REFERENCES = Path("results") / "reference"
_CHECKOUT = Path(__file__).resolve().parents[2]
_LONGEST_INDEX = 8_000_000


class Rate(Part):
    """A share of the test plates, 0 to 1, with its 95 % interval (Wilson)."""

    value: NonNegative
    low: NonNegative
    high: NonNegative


class WeightsFile(Part):
    """The file of a method's weights."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}\.safetensors$")]
    size: Count
    sha256: Sha256
    precision: Literal["fp16", "fp32"]
    """Of the stored numbers. Methods compute in fp32 with both."""
    moved_db: NonNegative
    """How far the median PSNR of the test plates is from that of the weights as they were trained, dB."""


class ShippedWeights(Part):
    """One method: how its weights were trained, what they score, and where they are."""

    method: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$")]
    title: Text
    seed: Count
    version: Version
    """Of the method (``Method.version``): weights of another one are refused."""
    options: dict[str, Any]
    """Options of the method, all of them."""
    parameters: Count
    citation: Text
    identity: Text
    """Training identity of the result they come from."""
    trained_sha256: Sha256
    """SHA-256 of the weights as they were trained, in fp32."""
    data: DataFacts
    train: ConfigTrain
    iterations: Count
    best_iteration: Count
    selected_as: Text = ""
    """As in ``result.json``: where the weights best on validation plates are not the method as published."""
    scores: ScoreSet
    """On the test plates, of the weights as they were trained."""
    confidently_wrong: dict[str, Rate]
    """By OCR engine: plates that it misreads at a confidence of 0.9 or more."""
    command: Text
    """Trains them anew."""
    file: WeightsFile | None
    """null: too large to be shipped."""

    @property
    def patches(self) -> int:
        """Patches that the training saw."""
        return self.iterations * self.train.batch_size

    @property
    def budget(self) -> str:
        """The training in a few words."""
        return f"{self.iterations:,} iterations × {self.train.batch_size} patches of {cell(self.data.name)}"


class Index(Part):
    """What ``weights.json`` holds."""

    schema_: Annotated[int, Field(alias="schema", ge=1, le=1)]
    run: Text
    """Name of the run that trained them."""
    commit: Text | None
    """Of the checkout that trained them."""
    methods: list[ShippedWeights]


@dataclass(frozen=True)
class Shipped:
    """The weights of one method in a folder."""

    folder: Path
    run: str
    facts: ShippedWeights

    @property
    def where(self) -> str:
        return f"the weights of {self.facts.method} in {self.folder}"


def read_index(folder: Path) -> Index:
    """The index of a folder of weights. Raises UserError for one that cannot be used."""
    path = folder / INDEX
    try:
        return Index.model_validate(json.loads(read_plain(path, _LONGEST_INDEX)))
    except FileNotFoundError:
        raise UserError(f"no {INDEX} in {folder}: name a folder of weights that this project ships") from None
    except OSError as error:
        raise UserError(f"{path} {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(f"{path} is not an index of weights: {cell(place)}: {first['msg'].lower()}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not an index of weights: {first_line(error)}") from None


def folders() -> list[Path]:
    """Folders of weights of the reference runs: those of this checkout, then those below the working folder."""
    places = dict.fromkeys((_CHECKOUT / REFERENCES, REFERENCES.resolve()))
    return [index.parent for place in places for index in sorted(place.glob(f"*/weights/{INDEX}"))]


def find(name: str, folder: Path | None = None) -> Shipped:
    """The shipped weights of a method: of ``folder``, or of the reference run that trained it longest (on real plates
    rather than on synthetic ones). Raises UserError where there are none."""
    try:
        methods.get(name)
    except methods.UnknownMethod as error:
        raise UserError(str(error)) from None
    indices = {place: read_index(place) for place in ([folder] if folder else folders())}
    listed = [
        Shipped(place, index.run, facts)
        for place, index in indices.items()
        for facts in index.methods
        if facts.method == name
    ]
    usable = [shipped for shipped in listed if shipped.facts.file]
    if usable:
        return max(usable, key=lambda shipped: (shipped.facts.data.name != "synthetic", shipped.facts.patches))
    if listed:
        facts = listed[0].facts
        raise UserError(f"the weights of {name} are too large to be shipped: train them with `{cell(facts.command)}`")
    at_hand = sorted({facts.method for index in indices.values() for facts in index.methods if facts.file})
    raise UserError(
        f"no weights of {name} at hand (there are: {', '.join(at_hand) or 'none'}): train it (python -m benchmark run "
        f"--methods {name}) and upscale with its result, or fetch {REFERENCES}/NAME/weights of the repository, to the"
        " same place below the working folder"
    )


def caution(shipped: Shipped) -> str:
    """Where the weights come from, and how often what they draw is misread: a line for whoever upscales with them."""
    rates = [f"{rate.value:.1%} by {cell(name)}" for name, rate in shipped.facts.confidently_wrong.items()]
    wrong = f": of its test plates {' and '.join(rates)} were misread with confidence" if rates else ""
    return (
        f"{cell(shipped.facts.title)}, {shipped.facts.budget}, weights in {shipped.folder}; what it draws is no"
        f" evidence{wrong}"
    )


def load(shipped: Shipped, method: Method) -> None:
    """Give ``method`` the shipped weights. Raises UserError for a file that is not there or of another hash, weights of
    another version of the method, and of other names or shapes."""
    facts, entry = shipped.facts, methods.get(shipped.facts.method)
    assert facts.file is not None, "find() returns what has a file"
    if facts.version != entry.version:
        raise UserError(
            f"{shipped.where} are of version {facts.version} of the method, and this is version {entry.version}: train"
            f" it (python -m benchmark run --methods {entry.name}), or use the version they are of"
        )
    path = shipped.folder / facts.file.name
    try:
        if checksum(path)["sha256"] != facts.file.sha256:
            raise BadWeights(f"the hash of {path.name} is not the one in {INDEX}: fetch it again")
        method.load_weights({name: value.to(method.device) for name, value in read_weights(method, path, True).items()})
    except FileNotFoundError:
        raise UserError(f"{shipped.where} cannot be used: {path.name} is not there: fetch it, too") from None
    except OSError as error:
        raise UserError(f"{shipped.where} cannot be used: {path.name} {error.strerror}") from None
    except BadWeights as error:
        raise UserError(f"{shipped.where} cannot be used: {error}") from None


def create(shipped: Shipped, device: torch.device) -> Method:
    """The method as it was trained, with its weights. Raises UserError as :func:`load` does."""
    try:
        method = make(methods.get(shipped.facts.method), shipped.facts.options)
    except BadWeights as error:
        raise UserError(f"{shipped.where} cannot be used: {error}") from None
    load(shipped, method)
    return method.to(device)
