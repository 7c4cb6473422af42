"""A results folder with exactly known scores, as the benchmark would have written it.

Every method's plates are its ``centre`` plus a fixed pattern of ten numbers whose median and mean are 0
and whose standard deviation (n − 1) is exactly 2, so that every number of a report can be worked out by hand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.results.identity import current_versions, stored_training_identity
from benchmark.results.record import SCHEMA
from benchmark.results.store import TEST_DATA, Run, write_result
from benchmark.scoring import plate_scores

_SHAPE = np.array([-3.0, -2.0, -2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 2.0, 3.0])
PATTERN = _SHAPE * 2.0 / _SHAPE.std(ddof=1)
PLATES = len(PATTERN)


@dataclass(frozen=True)
class Fake:
    """One method: ``psnr`` is the centre of its plates in dB, ``read`` the number of plates read right."""

    name: str
    title: str
    parameters: int | None
    psnr: float
    read: int = 0
    best: int = 0
    paper_parameters: int | None = None
    notes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ("table1",)
    family: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    blur: float = 0.5


def pecl_options(**changes: Any) -> dict[str, Any]:
    """The options of ``pecl`` as its result stores them."""
    return {
        "network": "paper", "term": "attract", "weights": "fixed", "w_contrastive": 1e-3, "distance": "manhattan",
        "dimension": 128, "margin": 2.0, "embedder": "frozen", "batch_norm": "eval", "embedder_init": "random",
        **changes,
    }  # fmt: skip


BUDGET = 1000
METHODS = (
    Fake("hr", "HR (upper bound)", None, math.inf, read=10),
    Fake("bicubic", "Bicubic", 0, 18.02),
    Fake("srcnn", "SRCNN", 57_281, 18.61, 0, 1000, 57_000),
    Fake("msrn", "MSRN", 6_225_731, 20.31, 4, 888, 6_000_000),
    Fake("espcn", "ESPCN", 78_816, 18.95, 1, 1000, 800_000),
    Fake("esrgan", "ESRGAN", 16_734_915, 17.44, 2, 555, 16_000_000, ("The perceptual network is random.",)),
    Fake("tbsrn", "TBSRN", 1_421_124, 20.02, 3, 1000, 12_000_000),
    Fake("swinir", "SwinIR", 12_047_911, 19.87, 3, 1000, 11_000_000),
    Fake("pecl", "PECL", 1_971_919, 20.12, 5, 1000, 2_000_000, ("The embedder is random.",),
         ("table1", "readings", "ablation"), "pecl", pecl_options(), 0.4),
    Fake("pecl-printed", "PECL (as printed)", 1_971_919, 18.31, 1, 777, 2_000_000,
         ("The embedder is random.", "Eq. 17 to the letter."), ("readings", "ablation-printed"), "pecl",
         pecl_options(term="printed", weights="learned"), 0.6),
)  # fmt: skip


def grid(term: str = "attract", weights: str = "fixed") -> tuple[Fake, ...]:
    """The ablation without the cell that is ``pecl`` (or ``pecl-printed``) itself: MSE, then quality rising
    with the dimension, Manhattan above Euclidean."""
    options = pecl_options(term=term, weights=weights)
    group, infix = ("ablation", "") if term == "attract" else ("ablation-printed", "printed-")
    cells = [
        Fake(
            f"pecl-{infix}{distance}-{dimension}", f"PECL {distance.title()} {dimension}", 1_971_919,
            19.5 + gain + 0.1 * i, 3 + i, 1000, None, (), (group,), "pecl",
            {**options, "distance": distance, "dimension": dimension}, 0.42,
        )
        for distance, gain in (("euclidean", 0.0), ("manhattan", 0.52))
        for i, dimension in enumerate((64, 128, 256, 512))
    ]  # fmt: skip
    cells = [cell for cell in cells if not cell.name.endswith("manhattan-128")]  # pecl, or pecl-printed
    if term != "attract":
        return tuple(cells)
    mse = Fake("pecl-mse", "MSE", 1_971_919, 19.4, 3, 1000, None, (), (group,), "pecl", pecl_options(term="none"))
    return (mse, *cells)


ABLATION = grid()


def make_run(folder: Path, methods: tuple[Fake, ...] = METHODS, seeds: int = 1, **changes: Any) -> Run:
    """Write a run of these methods; ``changes`` go to :func:`write`."""
    for method in methods:
        for seed in range(seeds if method.parameters else 1):
            write(folder, method, seed, **changes)
    return Run(folder)


def write(folder: Path, method: Fake, seed: int = 0, *, ocr: bool = True, **changes: Any) -> Path:
    """Write one result; ``changes`` replace fields of ``result.json`` (``data=…`` and ``config=…`` are merged)."""
    place = folder / method.name / f"seed{seed}"
    place.mkdir(parents=True, exist_ok=True)
    plates(method, seed, ocr).to_csv(place / "plates.csv", index=False)
    if method.parameters:
        history(method, seed).to_csv(place / "history.csv", index=False)
    info = describe(method, seed, ocr) | {"scores": scores(method, seed, ocr)}
    for key, value in changes.items():
        info[key] = {**info[key], **value} if key in ("data", "config") else value
    write_result(place, info)
    return place


def with_leaks(run: Run, seen: int = 4, gain: float = 1.0) -> Run:
    """The run under the paper's protocol: every plate has a number of its own, the first ``seen`` are known from
    training, and those of trained methods are ``gain`` dB better for it."""
    for result in run.results():
        file = result.folder / "plates.csv"
        table = pd.read_csv(file)
        known = np.arange(PLATES) < seen
        psnr = table["psnr"] + gain * known * bool(result.record.parameters)
        numbers = [f"皖A1234{i}" for i in range(PLATES)]
        table.assign(text=numbers, seen=known.astype(int), psnr=psnr).to_csv(file, index=False)
        data = {**result.record.as_dict()["data"], "protocol": "paper"}
        data["leaks"] = {**data["leaks"], "test_plates_seen": seen, "near_duplicates": 2}
        write_result(result.folder, {**result.record.as_dict(), "data": data})
    return run


def with_patches(run: Run, *names: str) -> Run:
    """The run with scores of patches beside those of whole plates: 0.25 dB less, and the first plate not read; every
    plate has a text of its own. Of these methods only, where some are named."""
    for result in run.results():
        file = result.folder / "plates.csv"
        table = pd.read_csv(file, keep_default_na=False)
        table["text"] = [f"皖A1234{i}" for i in range(PLATES)]
        if result.method in names or not names:
            right = table["plate_correct"].astype(str) == "True"
            table["psnr_patches"], table["psnr_y_patches"] = table["psnr"] - 0.25, table["psnr_y"] - 0.25
            table["confidence_patches"] = table["confidence"]
            table["plate_correct_patches"] = (right & (np.arange(PLATES) > 0)).astype(int)
        table.to_csv(file, index=False)
        write_result(result.folder, result.record.as_dict())
    return run


def with_end(run: Run, selected_as: str = "pixel phase", loss: float = 1.0) -> Run:
    """The run with ESRGAN's end scored, too: ``loss`` dB below what was selected."""
    for result in run.results():
        if result.method == "esrgan":
            frame = pd.read_csv(result.folder / "plates.csv")
            frame.assign(psnr=frame["psnr"] - loss).to_csv(result.folder / "plates_last.csv", index=False)
            write_result(result.folder, {**result.record.as_dict(), "selected_as": selected_as})
    return run


def with_test_sets(run: Run, *names: str) -> Run:
    """The run with scores of its weights on two sets of other plates, which are its own over again: HR plates ``far``,
    and LR pictures ``night``, which have no PSNR. Of these methods only, where some are named."""
    for name, task in (("far", "restore"), ("night", "read")):
        facts = {"name": name, "fingerprint": name * 9, "test": PLATES, "task": task}
        for result in run.results():
            if (names and result.method not in names) or (task == "read" and result.method == "hr"):
                continue
            place = Run(run.folder / TEST_DATA / f"{name}-01234567").place(result.method, result.seed)
            place.mkdir(parents=True)
            table = result.plates()
            if task == "read":
                table[["psnr", "psnr_y"]] = np.nan
            table.to_csv(place / "plates.csv", index=False)
            identity = stored_training_identity(result.record)
            write_result(place, {**result.record.as_dict(), "identity": identity, "test_data": facts})
    return run


def with_characters(run: Run) -> Run:
    """The run with confidences of characters: right readings are sure of all seven (0.9), and others read X (0.2)."""
    for result in run.results():
        file = result.folder / "plates.csv"
        table = pd.read_csv(file, keep_default_na=False)
        for suffix in ("", "_second"):
            right = table[f"plate_correct{suffix}"].astype(str) == "True"
            table[f"read{suffix}"] = np.where(right, table["text"], "X")
            table[f"characters{suffix}"] = np.where(right, " ".join(["0.9000"] * 7), "0.2000")
        table.to_csv(file, index=False)
        chosen = {name: {"threshold": 0.33, "plates": 8} for name in ("judge", "second_judge")}
        write_result(result.folder, {**result.record.as_dict(), "abstention": chosen})
    return run


def plates(method: Fake, seed: int, ocr: bool) -> pd.DataFrame:
    """The rows of ``plates.csv``; a second seed is 0.2 dB better throughout."""
    psnr = method.psnr + PATTERN + 0.2 * seed
    right = np.arange(PLATES) < method.read
    height = np.where(np.arange(PLATES) < 6, 64, 104)
    table = pd.DataFrame({
        "index": range(PLATES), "name": [f"p{i}.jpg" for i in range(PLATES)], "text": "皖A12345",
        "seen": 0, "height": height, "width": 168, "psnr": psnr, "psnr_y": psnr + 0.5, "psnr_y_studio": psnr + 1.82,
        "ssim": 1.0 if math.isinf(method.psnr) else 0.5 + PATTERN / 100,
        "noise": 1.0 + PATTERN / 10, "blur": method.blur + PATTERN / 100, "compression": 1 + method.blur + PATTERN / 50,
    })  # fmt: skip
    for suffix in ("", "_second"):
        judged = {
            "read": np.where(right, "皖A12345", ""), "confidence": np.where(right, 0.9, 0.1), "plate_correct": right,
            "character_accuracy": np.where(right, 1.0, 0.5), "tail_correct": right,
        }  # fmt: skip
        if not ocr:
            judged = {"read": "", **dict.fromkeys(list(judged)[1:], np.nan)}
        table = table.assign(**{name + suffix: values for name, values in judged.items()})
    return table


def history(method: Fake, seed: int) -> pd.DataFrame:
    """Curves that rise along the logarithm of the iteration and end (or peak) as the method does."""
    points = sorted({round(BUDGET ** (k / 8)) for k in range(1, 9)} | {111 * k for k in range(1, 10)} | {BUDGET})
    rows = [{"iteration": 0, "val_psnr": 5.0}]
    for point in points:
        rise = method.psnr - 1.4 * math.log10(BUDGET / point) ** 1.6 + 0.1 * seed
        past_best = max(0.0, math.log10(point / method.best)) if method.best else 0.0
        rows.append({"iteration": point, "val_psnr": rise - 1.5 * past_best})
    table = pd.DataFrame(rows).assign(seconds=0.0, learning_rate=1e-3, total=0.01)
    has_terms = method.options.get("term", "none") != "none"
    return table.assign(**pecl_losses(table["iteration"])) if has_terms else table


def pecl_losses(iteration: pd.Series) -> dict[str, pd.Series]:
    """What PECL writes: all weight has left the pixel loss by the end, and then nothing is learnt."""
    w_pixel = 0.5 * (1 - iteration / BUDGET)
    constant = {"pixel": 0.02, "contrastive": 0.0, "distance": 2.25}
    return {
        "w_pixel": w_pixel,
        "w_contrastive": 1 - w_pixel,
        "dead_gradient": (w_pixel == 0).astype(float),
        **{name: iteration * 0 + value for name, value in constant.items()},
    }


def scores(method: Fake, seed: int, ocr: bool) -> dict[str, Any]:
    """The summaries of the plates, of the last weights as of the best."""
    table = plates(method, seed, ocr)
    summary = plate_scores.summarise(table)
    return {"best": summary} if method.name == "hr" else {"best": summary, "last": summary}


def describe(method: Fake, seed: int, ocr: bool) -> dict[str, Any]:
    """The content of ``result.json`` but for its scores: all that the schema written now asks for."""
    info: dict[str, Any] = {
        "schema": SCHEMA, "status": "complete", "method": method.name, "title": method.title, "seed": seed,
        "groups": ["bound"] if method.name == "hr" else list(method.groups), "notes": list(method.notes),
        "scoring_identity": "5" * 64, "source": {"training": "7" * 64, "scoring": "8" * 64}, "clocks": {},
        "versions": current_versions(method.name) or {"scoring": 1},
        "config": {
            "preset": "quick",
            "data": {"folder": None, "protocol": "disjoint"},
            "train": {"iterations": BUDGET, "batch_size": 4, "learning_rate": 1e-3, "recipe": "common"},
        },
        "data": {"name": "synthetic", "fingerprint": "a1b2c3d4e5f60718", "train": 2000, "val": 32, "test": PLATES,
                 "protocol": "disjoint", "grown": 351, "skipped": 0,
                 "leaks": {"test_plates_seen": 0, "test_plates": PLATES, "near_duplicates": 0, "dropped": 0,
                           "method": "phash"}},
        "judge": {"name": "rapid", "version": "3.8.1", "model": "ch_PP-OCRv4_rec_mobile.onnx",
                  "sha256": "48fc40f24f6d2a20", "input": [168, 48]} if ocr else None,
        "second_judge": {"name": "crnn", "version": "1", "model": "crnn.safetensors",
                         "sha256": "90abcdef12345678", "input": [168, 48]} if ocr else None,
        "provenance": {"commit": "0123456789abcdef", "dirty": False, "date": "2026-01-01T00:00:00+00:00",
                       "command": "python -m benchmark run --methods all --preset quick --results out"
                       f" --iterations {BUDGET} --batch-size 4",
                       "versions": {"torch": "2.15.0"}, "hardware": {"device": "cpu"}},
    }  # fmt: skip
    if method.name != "hr":
        info |= {
            "family": method.family or method.name, "citation": "Somebody, 2020", "options": method.options,
            "cost": {"macs": 1000 * (method.parameters or 0), "milliseconds": 2.5, "device": "cpu"},
            "parameters": method.parameters,
            "paper_parameters": method.paper_parameters, "iterations": BUDGET if method.parameters else 0,
            "best_iteration": method.best, "identity": "0" * 64, "ingredients": {}, "facts": {},
        }  # fmt: skip
    return info
