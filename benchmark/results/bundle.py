"""A run in one small file that can be handed on: records, scores by plate, histories, provenance.

A bundle is a ZIP file of ``manifest.json`` and, of every finished result, ``result.json`` and its tables. There are no
pictures, no weights, and nothing that says which plate it was. Names of files and what was read are left out of
``plates.csv``, and texts of plates are replaced by numbers: the first text is 1, and the same text has the same number.
That is what paired tests need. Of absolute paths only the last part is kept.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

from pydantic import Field

from benchmark.data.degradation import KERNEL, SCALE
from benchmark.results.record import Record
from benchmark.results.record_fields import Count, Part, Sha256, Text
from benchmark.results.record_parts import StoredFile
from benchmark.scoring.metrics import METRICS
from benchmark.scoring.plate_scores import BY_PATCHES, PATCH_SCORES

FORMAT = 1
"""Version of bundles as they are written now."""
SUFFIX = ".bundle.zip"
MANIFEST = "manifest.json"
KEPT = ("index", "text", "seen", "height", "width", *METRICS, *(name + BY_PATCHES for name in PATCH_SCORES))
"""Columns of ``plates.csv`` that a bundle has, as far as the result has them."""
OLDEST = 3
"""Schema of ``result.json`` before which results say too little of how they were made."""
LONGEST_MEMBER = 64_000_000
"""Bytes of the largest member."""


class Engine(Part):
    """An OCR engine, as far as its readings depend on it."""

    name: Text
    sha256: Text


class Protocol(Part):
    """What must be the same for the scores of two results to be compared. The budget is not part of it."""

    data: Text
    """Fingerprint of the plates and of their splits."""
    split: Text
    """disjoint or paper."""
    test_plates: Count
    degradation: Text
    scoring_version: Annotated[int, Field(ge=1)]
    inference: Text
    """plate, patches or both."""
    engines: list[Engine | None]

    @property
    def identity(self) -> str:
        """Hash of all of it (64 hexadecimal digits)."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


class Manifest(Part):
    """What a bundle holds."""

    bundle: int
    run: Text
    by: Annotated[str, Field(max_length=200)] = ""
    """Who made the run, as they want to be named."""
    protocol: Protocol
    protocol_identity: Sha256
    members: dict[str, StoredFile]


def protocol_of(record: Record) -> Protocol:
    """The protocol that a result was scored under."""
    engines = [Engine(name=e.name, sha256=e.sha256) if e else None for e in (record.judge, record.second_judge)]
    plates = record.test_data or record.data
    degraded = record.test_data is None or record.test_data.task == "restore"
    return Protocol(
        data=plates.fingerprint,
        split=plates.protocol,
        test_plates=plates.test,
        degradation=f"x{SCALE}, {KERNEL}" if degraded else "none: LR pictures as they are",
        scoring_version=record.versions.scoring if record.versions else 1,  # schema 3 is version 1 of everything
        inference=record.config.scoring.inference or "plate",
        engines=engines,
    )


def checksum(content: bytes) -> dict[str, Any]:
    """What the manifest and ``result.json`` say of a member."""
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
