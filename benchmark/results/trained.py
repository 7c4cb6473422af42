"""A trained method, taken from its result folder, and pictures upscaled with it. Both may come from strangers."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

import methods
from benchmark.data.picture_files import TOO_DEEP, damage, is_deep, upscaled_mark
from benchmark.results.record import UPPER_BOUND
from benchmark.results.store import WEIGHTS, Result, read_result
from benchmark.util.errors import UserError, first_line, out_of_memory
from benchmark.util.files import open_plain, write_bytes
from benchmark.util.names import fit_name
from methods import Method, Registration

LARGEST = 1_000_000
"""Pixels of the largest picture that is upscaled: 64 million afterwards. A plate has some hundreds."""
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP")  # told by content; Pillow's other decoders stay out of reach
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
# What Pillow raises for files that are no picture, or a broken one.
_UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning)


class BadWeights(Exception):
    """Weights that do not fit their method: a single line that says why."""


def load_method(folder: Path, device: torch.device) -> Method:
    """The method of a finished result, with its best weights. Raises UserError if there is none."""
    result = read_result(folder)
    if result is None or not result.complete:
        raise UserError(f"no finished result in {folder}: name a folder RESULTS/RUN/METHOD/seedK")
    return load_result(result, device)


def load_result(result: Result, device: torch.device, published: bool = False) -> Method:
    """The method of a stored result with its best weights; if ``published``, with those that are the method as it was
    published, which for some are the last. Raises UserError if its class or its weights do not fit."""
    if result.method == UPPER_BOUND:
        raise UserError(f"{result.folder} holds the HR plates' own scores, not a method: name the folder of a method")
    best, last = WEIGHTS
    file = result.folder / (last if published and result.record.selected_as else best)
    try:
        entry = methods.get(result.method)
        if file.exists() and result.changed(file.name):
            raise BadWeights("they are not those that were scored (other checksum)")
        method = make(entry, result.record.options)
        method.load_weights(read_weights(method, file))
    except methods.UnknownMethod as error:
        raise UserError(f"{error}; a plug-in must be named again with --plugin") from None
    except (BadWeights, KeyError, TypeError, RuntimeError, ValueError) as error:
        raise UserError(f"the weights in {result.folder} cannot be used: {first_line(error)}") from None
    return method.to(device)


def make(entry: Registration, options: dict[str, Any]) -> Method:
    """A method with stored options. Raises BadWeights for options that it does not take."""
    if unknown := sorted(set(options) - {field.name for field in fields(entry.method.Options)}):
        raise BadWeights(f"option {unknown[0]}: the method has none of that name")
    try:
        checked = TypeAdapter(entry.method.Options).validate_python(options)
        entry.effective_options({name: getattr(checked, name) for name in options})
        return entry.method(checked)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadWeights(f"option {'.'.join(map(str, first['loc']))}: {first['msg'].lower()}") from None
    except methods.FixedOption as error:
        raise BadWeights(str(error)) from None


def read_weights(method: Method, file: Path, half: bool = False) -> dict[str, Tensor]:
    """The weights in a file, if they are what ``method`` takes: same names, shapes and types, all finite. With ``half``
    they may be stored in half precision, and are returned in that of the method.

    Only safetensors is read, which can hold nothing that is executed; nothing is loaded before names and shapes
    have been compared. Raises BadWeights.
    """
    wanted = {name: (list(value.shape), value.dtype) for name, value in method.weights().items()}
    try:
        # By its descriptor: safetensors follows links and takes no path that is not UTF-8.
        with open_plain(file) as opened, safe_open(f"/proc/self/fd/{opened.fileno()}", framework="pt") as stored:
            names = set(stored.keys())
            if odd := sorted(names ^ set(wanted)):
                raise BadWeights(f"{odd[0]!r} is {'not in them' if odd[0] in wanted else 'unknown to the method'}")
            for name, (shape, _) in wanted.items():
                stored_shape = stored.get_slice(name).get_shape()
                if stored_shape != shape:
                    raise BadWeights(f"{name!r} has shape {stored_shape} instead of {shape}")
            weights = {name: stored.get_tensor(name) for name in wanted}
    except FileNotFoundError:
        raise BadWeights(f"{file.name} is not there") from None
    except OSError as error:
        raise BadWeights(f"{file.name} {error.strerror}") from None
    except SafetensorError as error:
        raise BadWeights(f"{file.name} is damaged: {first_line(error)}") from None
    for name, value in weights.items():
        if half and value.dtype is torch.float16 and wanted[name][1] is torch.float32:
            weights[name] = value = value.float()
        if value.dtype != wanted[name][1]:
            raise BadWeights(f"{name!r} is {value.dtype} instead of {wanted[name][1]}")
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise BadWeights(f"{name!r} holds values that are not numbers")
    return weights


# -- pictures --------------------------------------------------------------------------------------


def pictures_in(places: Iterable[Path]) -> list[Path]:
    """The pictures named, and for a folder those that lie in it (not in its sub-folders), by name.

    Raises UserError for a folder without any.
    """
    pictures: list[Path] = []
    for place in places:
        if not place.is_dir():
            pictures.append(place)
            continue
        try:
            inside = sorted(path for path in place.iterdir() if path.suffix.lower() in _SUFFIXES and path.is_file())
        except OSError as error:
            raise UserError(f"cannot read {place}: {error.strerror}") from None
        if not inside:
            raise UserError(
                f"no picture in the folder {place} (of {', '.join(_SUFFIXES)}; its sub-folders are not read)"
            )
        pictures += inside
    return pictures


def targets(pictures: Iterable[Path], out: Path) -> dict[Path, Path]:
    """Where each picture goes: a PNG of its name in ``out``.

    Raises UserError where two would go to one place, or one would replace itself.
    """
    places: dict[Path, Path] = {}
    for path in pictures:
        target = out / fit_name(path.stem, out, ".png")
        other = next((p for p, place in places.items() if place == target and p != path), None)
        if other is not None:
            raise UserError(f"{other} and {path} would both become {target}: upscale them with another --out each")
        if os.path.realpath(target) == os.path.realpath(path):
            raise UserError(f"{path} would be replaced by its upscaled self: choose another folder with --out")
        places[path] = target
    return places


def upscale_file(method: Method, path: Path, target: Path) -> None:
    """Upscale one picture eight times into the PNG ``target``. Raises UserError where that cannot be done."""
    pixels = read_picture(path)
    lr = torch.from_numpy(pixels).permute(2, 0, 1)[None].to(method.device).float() / 255.0
    try:
        sr = (method.upscale(lr)[0] * 255.0).round().byte().permute(1, 2, 0).cpu().numpy()
    except Exception as error:
        if not out_of_memory(error):
            raise
        raise UserError(f"out of memory in upscaling {path}: cut the picture, or take another --device") from None
    png = io.BytesIO()
    Image.fromarray(sr).save(png, format="PNG", pnginfo=upscaled_mark())
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(target, png.getvalue())
    except OSError as error:
        raise UserError(f"cannot write {target}: {error.strerror or error} (choose a folder with --out)") from None


def read_picture(path: Path) -> np.ndarray:
    """A picture as uint8 H×W×3, upright as its EXIF data say, transparency dropped.

    Raises UserError for what is no picture, a broken one, one of more than 8 bits a channel (cutting them off
    would make up a contrast), or one of more than :data:`LARGEST` pixels; its size is asked before it is decoded.
    """
    if not path.is_file():
        raise UserError(f"no picture {path}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=_FORMATS) as image:
                width, height = image.size
                if width * height > LARGEST:
                    raise ValueError(f"{width}×{height} pixels are more than {LARGEST:,}: cut out the plate")
                if is_deep(image):
                    raise ValueError(TOO_DEEP)
                pixels = np.array(ImageOps.exif_transpose(image).convert("RGB"))
                if image.format in ("JPEG", "MPO") and (warning := damage(path.read_bytes())) is not None:
                    raise ValueError(f"a damaged JPEG: {warning}")
                return pixels
    except _UNREADABLE as error:
        raise UserError(f"cannot read {path}: {first_line(error)}") from None
