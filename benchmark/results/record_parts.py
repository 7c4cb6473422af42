"""What was computed, as a record has it: scores, OCR engines, cost, clocks, files; or why it failed.

With :mod:`benchmark.results.record_config` and :mod:`benchmark.results.record_provenance` every object in
``result.json`` with type, unit and meaning of its fields. A field that a file lacks (older schemas have fewer) has an
empty value here; :mod:`benchmark.results.record` says which fields a schema must have. Fields that are not described
are let through.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from benchmark.results.record_fields import Count, NonNegative, Part, Sha256, Text


class Facts(Part):
    """What training found out about compiled networks."""

    output_difference: float = 0.0
    """Largest difference between the outputs of a compiled network and the same uncompiled, relative."""
    gradient_difference: float = 0.0
    """The same of gradients."""
    not_compiled: list[Text] = Field(default_factory=list)
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
    input: Annotated[list[int], Field(min_length=2, max_length=2)] = Field(default_factory=lambda: [0, 0])
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
    """Of the weights best on validation plates. Tables show these, and the last ones beside them under selected_as."""
    last: ScoreSet = Field(default_factory=dict)
    """Of the weights at the end of training; hr has none."""
    best_unseen: ScoreSet = Field(default_factory=dict)
    """As best, on the test plates that training has not seen; there only where it has seen some."""
    last_unseen: ScoreSet = Field(default_factory=dict)
    """As last, on those plates."""


class Abstention(Part):
    """How sure of a character an OCR engine must be to read it out."""

    threshold: Annotated[float, Field(ge=0, le=1)]
    """Confidence of a character, 0 to 1."""
    plates: Count
    """Validation plates that chose it; 0: none could be read (under the paper's protocol they are the test plates),
    it is 1/3."""


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
