"""The parts of a record: every object in ``result.json`` with type, unit and meaning of its fields.

A field that a file lacks (older schemas have fewer) has an empty value here; :mod:`benchmark.results.record` says which
fields a schema must have. Fields that are not described are let through.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(max_length=20_000)]
Count = Annotated[int, Field(ge=0, le=2**53)]
Version = Annotated[int, Field(ge=1, le=2**53)]
NonNegative = Annotated[float, Field(ge=0)]
FileName = Annotated[str, Field(pattern=r"^((samples|samples_last|exhibits)/)?[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Part(BaseModel):
    """An object of ``result.json``: values of exactly the types that are said, nothing infinite, never changed."""

    model_config = ConfigDict(
        strict=True, frozen=True, extra="allow", allow_inf_nan=False, use_attribute_docstrings=True,
        protected_namespaces=(),
    )  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """The content as JSON has it: what was given, and nothing more."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


# -- configuration and data ------------------------------------------------------------------------


class ConfigData(Part):
    """Which plates, and how they are shared out."""

    folder: Text | None = None
    """Folder of the plates, the user's home directory written ~; null: synthetic plates."""
    protocol: Text = ""
    """disjoint: no plate number in two splits; paper: random split, weights chosen on the test plates."""
    follow_links: bool = False
    """Whether symbolic links below the folder were followed."""
    train_plates: Count = 0
    """Training plates asked for."""
    val_plates: Count = 0
    """Validation plates asked for."""
    test_plates: Count = 0
    """Test plates asked for."""
    seed: int = 0
    """Seed of the split and of synthetic plates."""
    cache: Text | None = None
    """Folder of packs; null: packs beside the run."""


class ConfigTrain(Part):
    """Budget and recipe, the same for every method."""

    iterations: Count = 0
    """Optimiser iterations."""
    batch_size: Count = 0
    """Patches per iteration."""
    learning_rate: float = 0.0
    """Adam's rate in the common recipe."""
    warmup: Count = 0
    """Iterations over which the rate rises."""
    recipe: Text = ""
    """common or native."""
    warm_start: Text = ""
    """none, or reference: training started from weights that the project ships."""
    seeds: Count = 0
    """Trainings per method."""
    device: Text = ""
    """Device asked for."""
    precision: Text = ""
    """Arithmetic of matrix products and convolutions: fp32, tf32 or bf16."""
    memory_format: Text = ""
    """Layout of images in memory: auto, contiguous or channels_last."""
    compile: Text = ""
    """Whether networks were compiled in training: none, default or cudagraphs."""
    deterministic: bool = False
    """Whether only deterministic operators were allowed."""
    threads: int = 0
    """CPU threads asked for; 0: PyTorch's choice."""
    validations: Count = 0
    """Validations per training."""
    checkpoint_seconds: float = 0.0
    """Longest time between two checkpoints, seconds."""
    checkpoint_iterations: Count = 0
    """Iterations between two checkpoints; 0: by time alone."""


class ConfigScoring(Part):
    """How upscaled plates are scored."""

    ocr: Text = ""
    """The OCR engine asked for."""
    second: Text = ""
    """The second OCR engine asked for."""
    paddle_model: Text | None = None
    """Folder of PaddleOCR's model."""
    paddle_device: Text = ""
    """Where PaddleOCR reads."""
    inference: Text = ""
    """What plates were upscaled in: plate, patches or both; lacking: plate."""
    lpips: bool = False
    """Whether LPIPS was scored."""
    samples: Count = 0
    """Plates kept as pictures."""


class StoredConfig(Part):
    """The whole configuration of the run, as python -m benchmark run --set names its fields."""

    preset: Text = ""
    """Preset it started from."""
    data: ConfigData = ConfigData()
    """Which plates, and how they are shared out."""
    train: ConfigTrain = ConfigTrain()
    """Budget and recipe, the same for every method."""
    scoring: ConfigScoring = ConfigScoring()
    """How upscaled plates are scored."""
    methods: dict[str, dict[str, Any]] = {}
    """Options set for families of methods."""


class Leaks(Part):
    """How far the splits know each other."""

    test_plates: Count = 0
    """Pictures in the test split."""
    test_plates_seen: Count = 0
    """Of these, pictures with a plate number that is in the training split."""
    near_duplicates: Count = 0
    """Pairs of near-duplicate pictures across splits."""
    dropped: Count = 0
    """Pictures left out because of them."""
    method: Text = ""
    """How near-duplicates are told."""


class DataFacts(Part):
    """The plates."""

    name: Text
    """Name of the data set: its folder's, or synthetic."""
    fingerprint: Text
    """SHA-256 over pixels and table of the pack."""
    train: Count = 0
    """Training plates."""
    val: Count = 0
    """Validation plates."""
    test: Count
    """Test plates."""
    protocol: Text = ""
    """disjoint or paper."""
    grown: Count = 0
    """Plates whose box was grown to 64 pixels."""
    skipped: Count = 0
    """Files that could not be used."""
    misfits: Count = 0
    """Of those, pictures that their name's annotation does not fit."""
    leaks: Leaks = Leaks()
    """How far the splits know each other."""
    lr: Text = ""
    """given: LR pictures were taken with the HR ones, and nothing was degraded; lacking: they were made of them."""

    @property
    def leaks_counted(self) -> bool:
        """Whether ``leaks`` was counted: older results do not have it."""
        return "leaks" in self.model_fields_set


class TestData(DataFacts):
    """Other plates than the run's own, on which its stored weights were scored."""

    task: Text = "restore"
    """restore: HR plates were degraded and upscaled again; read: LR pictures without originals, upscaled and read."""
    seen_unknown: bool = False
    """Whether it could not be told which of them training had shown (the pack of the training plates was gone)."""


# -- what was computed -----------------------------------------------------------------------------


class Versions(Part):
    """Declared versions of what computed a result; they are part of its identities."""

    training: Version | None = None
    """Of the training engine; hr has none."""
    method: Version | None = None
    """Of the method; hr has none."""
    plugin: Text | None = None
    """SHA-256 over the source of a plug-in and of its helpers; other methods have none."""
    scoring: Version
    """Of the scoring."""


class Source(Part):
    """Hashes of the source that computed a result. They are provenance: the identities hold versions."""

    training: Text = ""
    """Of the method and the engine; hr has none."""
    scoring: Text
    """Of the scoring."""


class Facts(Part):
    """What training found out about compiled networks."""

    output_difference: float = 0.0
    """Largest difference between the outputs of a compiled network and the same uncompiled, relative."""
    gradient_difference: float = 0.0
    """The same of gradients."""
    not_compiled: list[Text] = []
    """Why networks were not compiled."""


class OcrEngineFacts(Part):
    """Who read the plates."""

    name: Text
    """rapid, paddle or crnn."""
    version: Text = ""
    """Versions of what it runs on."""
    model: Text = ""
    """File name of the model."""
    sha256: Text = ""
    """SHA-256 of the model file."""
    input: Annotated[list[int], Field(min_length=2, max_length=2)] = [0, 0]
    """Width and height of the picture that is read, pixels."""


class Summary(Part):
    """One score over the test plates."""

    median: float | None = None
    """Median, in the score's unit; null where it is infinite (n above 0) or nothing was measured (n = 0)."""
    sd: float | None = None
    """Sample standard deviation (n - 1); null for fewer than two plates or infinite values."""
    mean: float | None = None
    """Mean; null as for median."""
    n: Count = 0
    """Number of plates measured."""


_SCORES = {
    "psnr": "PSNR over RGB, dB, higher is better.",
    "psnr_y": "PSNR of the full-range BT.601 luma rounded to 8 bits, dB, higher is better.",
    "psnr_y_studio": "PSNR of the studio-range (16-235) BT.601 luma, dB, higher is better.",
    "ssim": "SSIM, -1 to 1, Gaussian window 11x11, mean of the RGB channels, higher is better.",
    "noise": "Estimated noise of the upscaled plate, 8-bit levels, lower is better.",
    "blur": "Blur of the upscaled plate, 0 to 1, lower is better.",
    "compression": "Blockiness of the upscaled plate, lower is better.",
    "lpips": "LPIPS 0.1 with AlexNet, 0 and up, lower is better; there only where it was asked for.",
    "confidence": "Confidence of the OCR engine, 0 to 1; 0 where nothing was read.",
    "plate_correct": "Share of plates read without a mistake, 0 to 1.",
    "character_accuracy": "1 minus the normalised edit distance, 0 to 1.",
    "tail_correct": "Share of plates read without a mistake after the province sign, 0 to 1.",
}
_SUMMARY = {"$ref": "#/$defs/Summary"}
SCORES_SCHEMA = {
    "properties": {name: {**_SUMMARY, "description": meaning} for name, meaning in _SCORES.items()},
    "patternProperties": {"_second$": {**_SUMMARY, "description": "The same by the second OCR engine."}},
}
ScoreSet = dict[str, Summary]
"""Scores of one set of weights, by metric; the published schema names the metrics, too."""


class Scores(Part):
    """Scores on the test plates."""

    best: ScoreSet
    """Of the weights best on validation plates, which tables show."""
    last: ScoreSet = {}
    """Of the weights at the end of training; hr has none."""
    best_unseen: ScoreSet = {}
    """As best, on the test plates that training has not seen; there only where it has seen some."""
    last_unseen: ScoreSet = {}
    """As last, on those plates."""


class WarmStart(Part):
    """The weights that a training started from."""

    reference: Text
    """Run that trained them."""
    sha256: Sha256
    """SHA-256 of their file."""
    iterations: Count
    """Iterations they were trained for."""
    batch_size: Count
    """Patches per iteration."""
    data: Text
    """Name of the plates they were trained on."""
    fingerprint: Text
    """Of those plates."""


class Abstention(Part):
    """How sure of a character an OCR engine must be to read it out."""

    threshold: Annotated[float, Field(ge=0, le=1)]
    """Confidence of a character, 0 to 1."""
    plates: Count
    """Validation plates that chose it; 0: none (under the paper's protocol they are the test plates), it is 1/3."""


class Cost(Part):
    """What upscaling costs."""

    macs: Count = 0
    """Multiply-accumulates of upscaling one LR plate of 8x28 pixels."""
    milliseconds: NonNegative = 0.0
    """Milliseconds of upscaling one test plate, mean."""
    device: Text = ""
    """Where that was measured: cpu or cuda."""


_CLOCKS = {
    "training": "Forward, backward, optimizer and batches.",
    "validation": "Validating.",
    "checkpoint": "Writing checkpoints.",
    "scoring": "Upscaling, reading and storing the test plates.",
    "total": "The whole job.",
}
_SECONDS = {"type": "number", "minimum": 0}
CLOCKS_SCHEMA = {
    "properties": {name: {**_SECONDS, "description": f"{meaning} Seconds."} for name, meaning in _CLOCKS.items()}
}
Clocks = dict[str, NonNegative]
"""Wall times by part of a job, in seconds."""


class StoredFile(Part):
    """One file."""

    size: Count
    """Bytes."""
    sha256: Sha256
    """SHA-256 of the content."""


class Failure(Part):
    """Why the method failed."""

    type: Text
    """Kind of error."""
    message: Text
    """What it says, one line."""


# -- provenance ------------------------------------------------------------------------------------


class TorchBuild(Part):
    """How PyTorch was built, and what it computes with."""

    cuda: Text | None = None
    """CUDA version it was built for; null without."""
    cudnn: int | None = None
    """cuDNN version as PyTorch counts it; null without."""
    blas: Text | None = None
    """Library of matrix products."""
    onednn: Text | None = None
    """Version of oneDNN; null without."""
    cpu: Text = ""
    """Vector instructions used, such as AVX2."""


class Gpu(Part):
    """The GPU."""

    name: Text = ""
    """Model."""
    memory: Count = 0
    """Memory, bytes."""
    capability: Text = ""
    """Compute capability, such as 9.0."""
    driver: Text | None = None
    """Version of the driver; null where it cannot be told."""


class Hardware(Part):
    """The machine."""

    machine: Text = ""
    """Architecture, such as x86_64."""
    system: Text = ""
    """Operating system and the release of its kernel."""
    cpu: Text | None = None
    """Model of the processor."""
    cores: int | None = None
    """Logical processors of the machine."""
    usable_cores: int | None = None
    """Logical processors this process may use."""
    threads: Count = 0
    """Threads PyTorch computed with."""
    memory: int | None = None
    """Memory of the machine, bytes."""
    device: Text = ""
    """Model of the GPU trained on; cpu without."""
    gpu: Gpu | None = None
    """The GPU; null where the CPU computed."""


class Provenance(Part):
    """Where the numbers come from: source, command, environment, hardware."""

    commit: Text | None = None
    """Commit of the checkout; null outside one (an installed wheel)."""
    dirty: bool | None = None
    """Whether tracked files differed from the commit; null outside a checkout."""
    changed_files: Count | None = None
    """How many tracked files differed from the commit."""
    command: Text = ""
    """The command line, as a shell takes it; the user's home directory is ~ or $HOME."""
    versions: dict[str, Text] = {}
    """Versions of Python and of the packages that numbers depend on, by name."""
    torch: TorchBuild = TorchBuild()
    """How PyTorch was built, and what it computes with."""
    environment: dict[str, Text] = {}
    """Environment variables that change numbers or speed, as far as they were set."""
    hardware: Hardware = Hardware()
    """The machine."""
    date: Text = ""
    """When it was written, UTC, ISO 8601."""
