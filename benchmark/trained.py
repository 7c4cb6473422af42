"""A trained method, taken from its result folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from safetensors.torch import load_file

import methods
from benchmark.errors import UserError, first_line
from benchmark.store import Result, read_result
from methods import Method


def load_method(folder: Path, device: torch.device) -> Method:
    """The method of a finished result, with its best weights. Raises UserError if there is none."""
    result = read_result(folder)
    if result is None or not result.complete:
        raise UserError(f"no finished result in {folder}")
    return load_result(result, device)


def load_result(result: Result, device: torch.device) -> Method:
    """The method of a stored result. Raises UserError if its class or its weights do not fit."""
    try:
        entry = methods.get(result.method)
        method = entry.method(entry.method.Options(**result.info["options"]))
        method.load_weights(load_file(result.folder / "weights.safetensors"))
    except methods.UnknownMethod as error:
        raise UserError(f"{error}; a plug-in must be named again with --plugin") from None
    except (OSError, KeyError, TypeError, RuntimeError, ValueError) as error:
        raise UserError(f"the weights in {result.folder} cannot be used: {first_line(error)}") from None
    return method.to(device)


def upscale_file(method: Method, path: Path, out: Path) -> Path:
    """Upscale one picture eight times; the PNG in ``out`` carries its name. Returns its path."""
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
    except (OSError, UnidentifiedImageError) as error:
        raise UserError(f"cannot read {path}: {error}") from None
    lr = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].to(method.device).float() / 255.0
    sr = (method.upscale(lr)[0] * 255.0).round().byte().permute(1, 2, 0).cpu().numpy()
    out.mkdir(parents=True, exist_ok=True)
    target = out / f"{path.stem}.png"
    Image.fromarray(sr).save(target)
    return target
