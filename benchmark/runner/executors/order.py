"""What is to be computed, in a form that another process or another machine can be handed."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import methods
from benchmark.config import Config
from benchmark.results.identity import current_versions, identity_fields, stored_versions
from benchmark.results.store import LOCKS, Key, Run
from benchmark.runner.job_runner import Job, Share
from benchmark.runner.scheduler import jobs, prepare, run_jobs
from benchmark.util.errors import UserError, writing
from benchmark.util.live_line import LiveLine
from benchmark.util.terminal import say
from methods import Registration


@dataclass(frozen=True)
class WorkOrder:
    """A command ``run``: its configuration, its methods by name, and where the results go."""

    config: Config
    names: tuple[str, ...]
    plugins: tuple[Path, ...]
    folder: Path
    """Folder of the run, absolute."""
    command: str
    """Names this very command."""
    versions: dict[str, Any]
    """Of the methods, where the command was given."""
    named: bool
    """Whether the user chose the name of the run."""

    @classmethod
    def make(
        cls, config: Config, entries: list[Registration], plugins: list[Path], folder: Path, named: bool
    ) -> WorkOrder:
        """The order of this process. Paths become absolute: other processes may work elsewhere."""
        data = config.data
        places = {"folder": data.folder and data.folder.absolute(), "cache": data.cache and data.cache.absolute()}
        return cls(
            config.model_copy(update={"data": data.model_copy(update=places)}),
            tuple(entry.name for entry in entries),
            tuple(path.absolute() for path in plugins),
            folder.absolute(),
            secrets.token_hex(4),
            {entry.name: current_versions(entry.name) for entry in entries},
            named,
        )

    @property
    def run(self) -> Run:
        return Run(self.folder)

    @property
    def entries(self) -> list[Registration]:
        return [methods.get(name) for name in self.names]

    @property
    def jobs(self) -> list[Job]:
        return jobs(self.config, self.entries)

    def missing(self) -> list[Job]:
        """The jobs that have no result yet, as far as this can be told before the plates are prepared."""
        settings, folder = identity_fields(self.config), self.config.data.folder

        def present(job: Job) -> bool:
            stored = self.run.result(*job.key)
            if stored is None or not stored.complete or stored_versions(stored.record) != current_versions(job.name):
                return False
            config = stored.record.config.as_dict()
            data_folder = config["data"]["folder"]
            return identity_fields(config) == settings and (data_folder and Path(data_folder).absolute()) == folder

        return [job for job in self.jobs if not present(job)]

    @property
    def marker(self) -> Path:
        """A file that the command writes: who does not see it has another folder of results."""
        return self.folder / LOCKS / f"command-{self.command}"

    def with_train(self, **settings: Any) -> WorkOrder:
        """The same with other settings of ``train``, such as the device of a worker."""
        return replace(
            self, config=self.config.model_copy(update={"train": self.config.train.model_copy(update=settings)})
        )

    def place_marker(self) -> None:
        """Let those who carry out the order see that they share the folder of results."""
        with writing(self.marker):
            self.marker.parent.mkdir(parents=True, exist_ok=True)
            self.marker.touch()

    def remove_marker(self) -> None:
        self.marker.unlink(missing_ok=True)

    def prepare(self, where: str, say: Callable[[str], None] = say) -> str:
        """Prepare the plates once, before there are workers that would wait for them. Returns their fingerprint."""
        return prepare(self.config, self.entries, self.run, say, self.named, where)[0].fingerprint

    def take(self) -> None:
        """Make sure that this process can carry out the order. Raises UserError where it cannot."""
        host = socket.gethostname()
        if not self.marker.is_file():
            raise UserError(
                f"{host} does not see {self.marker}, which the command wrote: the results folder is not shared"
                " (choose one that all machines see with --results)"
            )
        for path in self.plugins:
            methods.load_plugin(path)
        for name in self.names:
            try:
                methods.get(name)
            except methods.UnknownMethod:
                raise UserError(
                    f"{host} has no method {name}: {methods.unavailable().get(name, 'is the plug-in there?')}"
                ) from None
            if (here := current_versions(name)) != self.versions[name]:
                raise UserError(
                    f"{host} has {name} in another version ({here}) than the command ({self.versions[name]}):"
                    " install the same version of the project on all machines"
                )

    def carry_out(
        self,
        keys: frozenset[Key] | None = None,
        line: Callable[[], LiveLine] = LiveLine,
        began: Callable[[Key], object] = lambda key: None,
        ended: Callable[[Key, bool], object] = lambda key, complete: None,
    ) -> list[str]:
        """Compute what is missing of these jobs, or of all that nobody else computes. Returns the labels of those that
        failed; raises as :func:`run_jobs` does."""
        self.take()
        share = Share(self.command, self.marker.stat().st_mtime_ns, keys, line, began, ended)
        return run_jobs(self.config, self.entries, self.run, line().note, share=share)
