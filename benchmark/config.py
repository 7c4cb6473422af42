"""The typed configuration: what it may hold, the presets, and ``--set section.field=value``.

Precedence, lowest first: the defaults below, the preset, the command line. Every field can be set
with ``--set``; an unknown one is refused with the nearest valid name.
"""

from __future__ import annotations

import difflib
import json
import math
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict, fields
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

import methods
from benchmark.util.errors import UserError
from methods import FixedOption, Registration
from methods.engine.acceleration import Acceleration

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DEFAULT_PRESET = "quick"


def _named(path: Any) -> Any:
    """Refuse a path that is empty (an unset shell variable), and one that no system takes. ``~`` is the home directory:
    commands of a result have it so."""
    if path == "" or "\0" in str(path):
        raise ValueError("not a path")
    return os.path.expanduser(path) if isinstance(path, str) else path


# Upper bounds are far beyond use: they keep a slip of the keyboard from filling memory or disk.
Positive = Annotated[int, Field(ge=1, le=10**9)]
Place = Annotated[Path, BeforeValidator(_named)]
_LONGEST_SHOWN = 120


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


class Data(_Section):
    """Which plates, and how they are shared out."""

    folder: Place | None = None
    """A CCPD folder; unset: synthetic plates, drawn on first use."""
    protocol: Literal["disjoint", "paper"] = "disjoint"
    """disjoint: no plate number in two splits; paper: random split, weights selected on the test set."""
    train_plates: Positive = 100_000
    val_plates: Positive = 1_000
    test_plates: Positive = 1_000
    """Plates per split. A folder with fewer is shared out in the same proportion."""
    follow_links: bool = False
    """Whether symbolic links below the folder are followed (to other disks, or into a hub's cache)."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seed of the split, and of the synthetic plates. Training seeds are counted from 0 apart from it."""
    cache: Place | None = None
    """Where packs and synthetic plates are kept; unset: ``packs`` in the results folder."""


class Train(_Section):
    """The budget and the recipe, the same for every method."""

    iterations: Positive = 1_000_000
    """Optimiser iterations of every method."""
    batch_size: Annotated[int, Field(ge=1, le=10**6)] = 128
    """Patches per iteration."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    """Adam's rate in the common recipe; it falls to 0 along half a cosine."""
    warmup: Annotated[int, Field(ge=0, le=10**9)] = 0
    """Iterations over which the rate of the common recipe rises from 0; 0: none (the paper mentions none)."""
    recipe: Literal["common", "native"] = "common"
    """common: this section's Adam for all methods; native: each method's published optimiser settings."""
    warm_start: Literal["none", "reference"] = "none"
    """none: training starts from random weights; reference: from those that the project ships. The budget comes on top
    of theirs then, and the results are not compared with others."""
    seeds: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Number of trainings per method, with seeds 0, 1, and so on."""
    device: str = "auto"
    """auto (CUDA if there is one), cpu, cuda or cuda:N."""
    precision: Literal["fp32", "tf32", "bf16"] = "fp32"
    """Arithmetic of matrix products and convolutions. tf32: on CUDA, of training and upscaling; bf16: of the networks
    in training, while weights, losses and all upscaling stay in fp32."""
    memory_format: Literal["auto", "contiguous", "channels_last"] = "auto"
    """Layout of networks and images in memory; auto: channels_last, but contiguous on CUDA in fp32."""
    compile: Literal["none", "default", "cudagraphs"] = "none"
    """default: networks through torch.compile in training; cudagraphs: and replayed as CUDA graphs. Each is first
    compared with itself uncompiled; where that fails, it goes on uncompiled. The result records both."""
    deterministic: bool = False
    """Use only deterministic CUDA operators, at some cost in speed. CPUs always do."""
    threads: Annotated[int, Field(ge=0, le=1024)] = 0
    """CPU threads; 0: as many as torch takes by itself. With another number last bits differ. A result records the
    number, and is reused whatever it is."""
    validations: Annotated[int, Field(ge=1, le=100_000)] = 40
    """Validations per training, half of them evenly spaced and half evenly on a log scale."""
    checkpoint_seconds: Annotated[float, Field(gt=0)] = 120.0
    """Time between two checkpoints; longer where writing one takes more than a hundredth of it."""
    checkpoint_iterations: Annotated[int, Field(ge=0, le=10**9)] = 0
    """Iterations between two checkpoints, whatever writing one takes; 0: by time alone."""

    @property
    def acceleration(self) -> Acceleration:
        """How training is to compute, as methods take it."""
        return Acceleration(self.precision, self.memory_format, self.compile)


class Scoring(_Section):
    """How upscaled plates are judged."""

    ocr: Literal["rapid", "hyperlpr", "paddle", "crnn", "none"] = "rapid"
    """The OCR engine: PP-OCRv4 through RapidOCR, HyperLPR's recognizer, PaddleOCR itself, our CRNN, or none."""
    second: Literal["rapid", "hyperlpr", "paddle", "crnn", "none"] = "hyperlpr"
    """A second OCR engine, so that no verdict hangs on one; none where ``ocr`` is none."""
    paddle_model: Place | None = None
    """Folder of a recognition model for ``ocr=paddle``; unset: the one PaddleOCR downloads."""
    paddle_device: str = "cpu"
    """Where PaddleOCR reads, as it calls devices: cpu, gpu or gpu:N."""
    inference: Literal["plate", "patches", "both"] = "plate"
    """plate: whole plates are upscaled; patches: 8×8 LR windows of them, half overlapping and blended, also where
    weights are chosen; both: as plate, and what patches of the same weights score beside it."""
    lpips: bool = False
    """Whether LPIPS is scored too: needs the extra ``lpips`` and AlexNet's weights in torch hub's folder."""
    samples: Annotated[int, Field(ge=0, le=100_000)] = 8
    """Plates per method kept as pictures (LR enlarged, SR and HR side by side)."""


class Slurm(_Section):
    """What a job of ``--executor slurm`` asks its cluster for; no result depends on it."""

    partition: str | None = None
    account: str | None = None
    gpus: Annotated[int, Field(ge=0, le=64)] = 1
    """GPUs of a job; 0: it computes on the CPU."""
    cpus: Annotated[int, Field(ge=1, le=1024)] = 4
    """CPU cores of a job, and its threads where ``train.threads`` is 0."""
    memory_gb: Annotated[int, Field(ge=1, le=10_000)] = 16
    minutes: Annotated[int, Field(ge=1, le=10**6)] = 240
    """Time limit of a job. One that needs longer writes a checkpoint, goes back to the queue and goes on."""
    parallel: Annotated[int, Field(ge=1, le=100_000)] = 64
    """Jobs of the array that run at a time."""
    signal_seconds: Annotated[int, Field(ge=10, le=3600)] = 120
    """How long before its time limit a job is told to write a checkpoint."""
    directives: str = ""
    """More options of sbatch, separated by spaces: ``qos=high constraint=a100``."""
    setup: str = ""
    """A line of shell before each job: ``module load cuda``."""
    python: str | None = None
    """What runs Python on the nodes, such as ``apptainer exec --nv plate-sr.sif python``; none: this interpreter."""
    cluster: Literal["slurm", "local"] = "slurm"
    """local: the same jobs as processes of this machine, all at once, to try them out."""


class Ray(_Section):
    """What a task of ``--executor ray`` asks its cluster for; no result depends on it."""

    gpus: Annotated[float, Field(ge=0, le=64)] | None = None
    """GPUs of a task, also part of one (0.5: two share it); none: 1 where ``--device`` is CUDA, or auto and CUDA is
    on this machine and RAY_ADDRESS is not set, else 0."""
    cpus: Annotated[int, Field(ge=1, le=1024)] = 1
    """CPU cores of a task, and its threads where ``train.threads`` is 0."""
    retries: Annotated[int, Field(ge=0, le=1000)] = 5
    """How often a task is run again if its machine dies."""
    storage: str | None = None
    """Where checkpoints go if the machines share no folder of results: a URI that all of them reach, such as
    ``s3://bucket/folder``, or a path. Results then travel back to the command."""


class Config(_Section):
    """A whole configuration. ``methods`` maps a family of methods to its options."""

    preset: str = DEFAULT_PRESET
    data: Data = Data()
    train: Train = Train()
    scoring: Scoring = Scoring()
    methods: dict[str, dict[str, Any]] = {}
    slurm: Slurm = Field(default=Slurm(), exclude=True)  # where jobs run is no part of a result
    ray: Ray = Field(default=Ray(), exclude=True)

    def options(self, family: str) -> dict[str, Any]:
        """Options set for a family of methods (what is not set keeps the method's default)."""
        return self.methods.get(family, {})

    def options_for(self, entry: Registration) -> dict[str, Any]:
        """Every option of a method as it will be used; what the preset sets gives way to what the method fixes.

        Raises UserError where ``--set`` contradicts what the method fixes.
        """
        preset = _preset_sections(self.preset).get(entry.family, {})
        requested = {
            name: value
            for name, value in self.options(entry.family).items()
            if name not in entry.fixed or name not in preset or value != preset[name]
        }
        try:
            return entry.effective_options(requested)
        except FixedOption as error:
            raise UserError(str(error)) from None


def presets() -> list[str]:
    """Names of the presets in the package."""
    folder = resources.files("benchmark") / "presets"
    order = ["quick", "standard", "paper"]
    names = [file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml")]
    return sorted(names, key=lambda n: (order.index(n) if n in order else len(order), n))


def load(preset: str = DEFAULT_PRESET, assignments: Iterable[str] = ()) -> Config:
    """The configuration of a preset with ``section.field=value`` assignments applied in order.

    Raises UserError for an unknown preset, section or field (naming the nearest), and for a value
    of the wrong kind.
    """
    if preset not in presets():
        raise UserError(f"no preset {_shown(preset)}{_nearest(preset, presets())} (known: {', '.join(presets())})")
    tree: dict[str, dict[str, Any]] = {}
    for section, values in _preset_sections(preset).items():
        for key, value in values.items():
            _assign(tree, section, key, value)
    for assignment in assignments:
        path, equals, value = assignment.partition("=")
        section, dot, key = path.strip().partition(".")
        if not equals or not dot or not key:
            raise UserError(f"--set takes section.field=value, not {_shown(assignment)}")
        _assign(tree, section, key, value if section in SECTIONS else _literal(value))
    return build(tree, preset)


def all_without(preset: str) -> list[str]:
    """The methods that ``all`` leaves out under a preset, as its budget is too small for them."""
    patterns = _preset_file(preset).get("all_without", [])
    return [name for name in methods.names("all") if any(fnmatchcase(name, pattern) for pattern in patterns)]


def _preset_sections(preset: str) -> dict[str, dict[str, Any]]:
    """The sections of a preset; none where there is none of the name (a stored configuration has any)."""
    return {name: values for name, values in _preset_file(preset).items() if isinstance(values, dict)}


@cache
def _preset_file(preset: str) -> dict[str, Any]:
    """A preset's file as it is read."""
    if preset not in presets():
        return {}
    text = (resources.files("benchmark") / "presets" / f"{preset}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def refuse_contradictions(config: Config, entries: list[Registration]) -> None:
    """Raise UserError where a setting contradicts what some of the methods fix, naming these and the way on."""
    refused: dict[str, str] = {}
    for entry in entries:
        try:
            config.options_for(entry)
        except UserError as error:
            refused[entry.name] = str(error)
    if not refused:
        return
    first, *others = refused
    likewise = f" (nor of {', '.join(others)})" if others else ""
    rest = ",".join(entry.name for entry in entries if entry.name not in refused)
    way_on = f"take the others with --methods {rest}" if rest else "leave that --set out"
    raise UserError(f"{refused[first]}{likewise}: {way_on}")


def build(tree: dict[str, dict[str, Any]], preset: str) -> Config:
    """A checked configuration from sections of values. Raises UserError naming the field at fault."""
    families = method_options()
    options = {}
    for name, values in tree.items():
        if name in families:
            checked = asdict(_validate(families[name], values, name))
            options[name] = {key: checked[key] for key in values}
            for key, value in options[name].items():
                if isinstance(value, float) and not math.isfinite(value):
                    raise UserError(f"{name}.{key}: a finite number is needed, got {value}")
    try:
        sections = {name: values for name, values in tree.items() if name in SECTIONS}
        return Config.model_validate({**sections, "preset": preset, "methods": options})
    except ValidationError as error:
        raise UserError(_first_error(error, "")) from None


SECTIONS: dict[str, type[_Section]] = {"data": Data, "train": Train, "scoring": Scoring, "slurm": Slurm, "ray": Ray}


def method_options() -> dict[str, type[Any]]:
    """Method families and the dataclass of their options."""
    entries = [methods.get(name) for name in methods.names()]
    return {entry.family: entry.method.Options for entry in entries}


def _assign(tree: dict[str, dict[str, Any]], section: str, key: str, value: Any) -> None:
    families = method_options()
    if section in SECTIONS:
        valid = list(SECTIONS[section].model_fields)
    elif section in families:
        valid = [f.name for f in fields(families[section])]
    else:
        sections = [*SECTIONS, *families]
        raise UserError(f"no section {_shown(section)}{_nearest(section, sections)} (known: {', '.join(sections)})")
    if key not in valid:
        raise UserError(
            f"no field {section}.{_shown(key)[1:-1]}{_nearest(key, valid, section)} "
            f"(fields of {section}: {', '.join(valid) or 'none'})"
        )
    tree.setdefault(section, {})[key] = value


def _literal(text: str) -> Any:
    """A method's option as typed: number, true, false or null where it reads as one, else text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # not JSON, or nested deeper than any option
        return text


def _validate(kind: type[Any], values: dict[str, Any], section: str) -> Any:
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        raise UserError(_first_error(error, section)) from None
    except (TypeError, OverflowError, RecursionError) as error:  # from checks of a method's own, or pydantic's depth
        raise UserError(f"{section}: {_shown(error)[1:-1]}") from None


def _first_error(error: ValidationError, section: str) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in ([section] if section else []) + list(first["loc"]))
    return f"{_cut(place)}: {_cut(first['msg'].lower())}, got {_cut(repr(first['input']))}"


def _shown(words: object) -> str:
    """In quotes, escaped and not too long for a line."""
    return _cut(repr(str(words)))


def _cut(words: str) -> str:
    return words if len(words) <= _LONGEST_SHOWN else f"{words[: _LONGEST_SHOWN - 2]}…{words[-1]}"


def _nearest(name: str, valid: Iterable[str], section: str = "") -> str:
    near = difflib.get_close_matches(name[:_LONGEST_SHOWN], list(valid), n=1)
    return f"; did you mean {section + '.' if section else ''}{near[0]}?" if near else ""
