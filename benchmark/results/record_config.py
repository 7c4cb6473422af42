"""What a result was made with, as its record has it: the configuration of the run, and the plates."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from benchmark.results.record_fields import Count, Part, Text


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
    methods: dict[str, dict[str, Any]] = Field(default_factory=dict)
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
