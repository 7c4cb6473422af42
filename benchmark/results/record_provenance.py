"""Where a result comes from, as its record has it: versions, source, first weights, environment and hardware."""

from __future__ import annotations

from pydantic import Field

from benchmark.results.record_fields import Count, Part, Sha256, Text, Version


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
    versions: dict[str, Text] = Field(default_factory=dict)
    """Versions of Python and of the packages that numbers depend on, by name."""
    torch: TorchBuild = TorchBuild()
    """How PyTorch was built, and what it computes with."""
    environment: dict[str, Text] = Field(default_factory=dict)
    """Environment variables that change numbers or speed, as far as they were set."""
    hardware: Hardware = Hardware()
    """The machine."""
    date: Text = ""
    """When it was written, UTC, ISO 8601."""
