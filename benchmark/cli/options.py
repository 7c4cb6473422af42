"""What several commands share: options that mean the same everywhere, and what they stand for."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional

import typer

from benchmark.util.errors import UserError
from benchmark.util.names import fit_name

if TYPE_CHECKING:
    from benchmark.config import Config
    from methods import Registration


def path_option(text: str) -> Path:
    """A path, in which ``~`` is the home directory even where no shell has seen it.

    Raises UserError where there is no home directory: a folder named ``~`` is never meant.
    """
    path = os.path.expanduser(text)
    if path.startswith("~") and path == text and not os.path.exists(path):
        raise UserError(f"no home directory for {text}: write the path without ~")
    return Path(path)


Results = Annotated[Path, typer.Option("--results", help="Folder of runs.", parser=path_option, metavar="<path>")]
RunName = Annotated[Optional[str], typer.Option("--run", help="Name of a run. Default: the one changed last.")]
NewRunName = Annotated[Optional[str], typer.Option("--run", help="Name of the run. Default: from preset and data.")]
Preset = Annotated[str, typer.Option("--preset", help="quick, standard or paper.")]
Folder = Annotated[
    Optional[Path], typer.Option("--data", help="A CCPD folder, or one with a plates.csv. Default: synthetic plates.")
]
FollowLinks = Annotated[bool, typer.Option("--follow-links", help="Follow symbolic links below the data folder.")]
Protocol = Annotated[Optional[str], typer.Option("--protocol", help="disjoint or paper.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
TrainingPrecision = Annotated[
    Literal["fp32", "bf16"], typer.Option("--precision", help="bf16 where the processor or GPU has units for it.")
]
PretrainingIterations = Annotated[Optional[int], typer.Option("--iterations", min=1, help="Optimiser iterations.")]
DrawnPlates = Annotated[Optional[int], typer.Option("--plates", min=1, help="Synthetic plates to draw.")]
Again = Annotated[bool, typer.Option("--force", help="Train again even if it exists.")]
Assignments = Annotated[
    Optional[list[str]],
    typer.Option("--set", metavar="SECTION.FIELD=VALUE", help="Any setting; a wrong name lists them."),
]
Plugins = Annotated[
    Optional[list[Path]],
    typer.Option("--plugin", help="A Python file that registers methods.", parser=path_option, metavar="<path>"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Names = Annotated[str, typer.Option("--methods", help="Names or groups (see `methods`), separated by commas.")]


def select_methods(
    names: str, plugins: list[Path] | None, without: Iterable[str] = ()
) -> tuple[list[Registration], list[str]]:
    """Registrations of a comma-separated list of names and groups; and what is unavailable of it, or of ``plugins``.

    The group ``all`` comes ``without`` these methods. Raises UserError for a name that nothing has, and where nothing
    is left.
    """
    import methods

    lost = load_plugins(plugins)
    entries: dict[str, Registration] = {}
    for token in filter(None, (t.strip() for t in names.split(","))):
        if token in methods.groups():
            left_out = set(without) if token == "all" else set()
            entries.update({name: methods.get(name) for name in methods.names(token) if name not in left_out})
            lost.update(methods.unavailable() if token in ("all", "everything") else {})
        elif token in methods.unavailable():
            lost[token] = methods.unavailable()[token]
        else:
            try:
                entries[token] = methods.get(token)
            except methods.UnknownMethod as error:
                raise UserError("; unavailable: ".join([str(error), *_reasons(lost)])) from None
    if not entries:
        raise UserError(": ".join(["no method to run", *_reasons(lost)]))
    return list(entries.values()), _reasons(lost)


def need_plugins(paths: list[Path] | None) -> None:
    """Load the plug-ins that a command cannot do without. Raises UserError for one that cannot be used."""
    if lost := load_plugins(paths):
        raise UserError(f"cannot use the plug-in {'; '.join(_reasons(lost))}")


def load_plugins(paths: list[Path] | None) -> dict[str, str]:
    """Load plug-ins; returns those that cannot be used, with the reason. Raises UserError where there is no file."""
    import methods

    lost: dict[str, str] = {}
    for path in paths or []:
        if not path.is_file():
            raise UserError(f"no plug-in file {path}")
        methods.load_plugin(path)
        broken = methods.unavailable()
        lost |= {name: broken[name] for name in (path.stem, str(path)) if name in broken}
    return lost


def _reasons(lost: dict[str, str]) -> list[str]:
    return [f"{name}: {reason}" for name, reason in lost.items()]


def make_config(
    preset: str, options: dict[str, Any], assignments: list[str] | None, entries: Iterable[Registration] = ()
) -> Config:
    """The configuration of a preset, of ``options`` by their fields where they are given, and of ``--set``.

    Raises UserError where it contradicts an option that one of the methods ``entries`` fixes.
    """
    from benchmark.config import load, refuse_contradictions

    config = load(preset, as_assignments(options, assignments))
    refuse_contradictions(config, list(entries))
    return config


def as_assignments(options: dict[str, Any], assignments: list[str] | None) -> list[str]:
    """What :func:`make_config` adds to the preset, all of it as ``--set`` takes it."""
    return [*(f"{field}={value}" for field, value in options.items() if value is not None), *(assignments or [])]


def default_run_name(config: Config, results: Path, before: str = "") -> str:
    """Default name of a run: preset, data and, if it is not the preset's, protocol; and whether it starts warm.

    What cannot be printed of the data folder's name is written as ``%B3``; a name that is too long is cut.
    """
    from benchmark.config import load

    data = config.data.folder.resolve().name if config.data.folder else "synthetic"
    shown = "".join(c if c.isprintable() else "".join(f"%{byte:02X}" for byte in os.fsencode(c)) for c in data)
    usual = load(config.preset).data.protocol
    protocol = "" if config.data.protocol == usual else f"-{config.data.protocol}"
    warm = "" if config.train.warm_start == "none" else "-warm"
    return fit_name(f"{before}{config.preset}-{shown}", results, protocol + warm)
