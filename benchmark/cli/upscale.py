"""The command that upscales pictures with a trained method."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from benchmark.cli.options import Device, Plugins, need_plugins
from benchmark.util.errors import UserError, exit_code
from benchmark.util.terminal import say


def upscale(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATHS",
            help="A finished result (results/RUN/METHOD/seedK), then low-resolution pictures, or folders of them."
            " With --method there is no result to name.",
        ),
    ],
    method: Annotated[
        Optional[str], typer.Option(help="Take the weights that the project ships of this method.")
    ] = None,
    weights: Annotated[Optional[Path], typer.Option(help="Where they are, instead of results/reference.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the upscaled pictures.")] = Path("upscaled"),
    device: Device = "auto",
    plugin: Plugins = None,
) -> None:
    """Upscale pictures eight times with a trained method. One that cannot be read does not cost the others."""
    need_plugins(plugin)
    from benchmark.results import shipped
    from benchmark.results.trained import load_method, pictures_in, targets, upscale_file
    from benchmark.runner.context import resolve_device

    pictures = paths if method else paths[1:]
    if not pictures:
        raise UserError("name the pictures behind the result, or a method whose weights are shipped: --method NAME")
    if weights and not method:
        raise UserError("--weights goes with --method, which says whose weights to take from there")
    places = targets(pictures_in(pictures), out)
    if method:
        weights_file = shipped.find(method, weights)
        network = shipped.create(weights_file, resolve_device(device))
        say(shipped.caution(weights_file), error=True)
    else:
        network = load_method(paths[0], resolve_device(device))
    codes = []
    for path, target in places.items():
        try:
            upscale_file(network, path, target)
        except UserError as error:
            codes.append(exit_code(error))
            say(f"error: {error}", error=True)
        else:
            say(target)
    if codes:
        sys.exit(min(codes))
