"""Scoring the stored weights of a run on other plates, without training anew.

What comes of it lies in ``RUN/test-data/SET``, laid out as a run is: one result a method and seed, with the identity of
its training, and its own plates in ``test_data``. The run itself stays as it is.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import torch

from benchmark.config import Config, load, presets
from benchmark.data import low_resolution, pack
from benchmark.data.choosing import test_sources
from benchmark.data.folders import remarks
from benchmark.data.pictures import scan
from benchmark.data.plates import BadPack, Plates, open_pack
from benchmark.ocr.reading import OcrEngine
from benchmark.results import packs
from benchmark.results.identity import (
    current_versions,
    filled_config,
    filled_options,
    scoring_identity,
    scoring_settings,
    scoring_source,
    stored_scoring_identity,
    stored_training_identity,
    stored_versions,
)
from benchmark.results.provenance import provenance
from benchmark.results.record import SCHEMA, UPPER_BOUND
from benchmark.results.store import TEST_DATA, Result, Run, clear, write_result
from benchmark.results.trained import load_result
from benchmark.runner.context import ScoringContext, configure_torch, make_ocr_engines, resolve_device
from benchmark.runner.job import Scored, memory_for_scoring, save_samples, score, score_originals, summaries
from benchmark.scoring import plate_scores, upscaling
from benchmark.scoring.plausibility import flat_plates, not_read
from benchmark.scoring.version import SCORING_VERSION
from benchmark.util.errors import UserError, first_line
from benchmark.util.files import write_text
from benchmark.util.locks import hold, use
from benchmark.util.names import fit_name
from methods import Method

Task = Literal["restore", "read"]


@dataclass(frozen=True)
class TestSet:
    """Other plates, ready to be scored on.

    ``facts``: as they are stored. ``run``: where the scores go. ``scored``: upscales and scores with a method, or
    without one the HR plates themselves.
    """

    __test__ = False  # no test of pytest's

    facts: dict[str, Any]
    run: Run
    scored: Callable[[Method | None], Scored]
    texts: list[str]
    originals: Plates | None = None


def score_run(
    run: Run,
    folder: Path,
    task: Task,
    names: Sequence[str] | None,
    options: Sequence[str],
    limit: int | None,
    follow_links: bool,
    say: Callable[[str], None],
) -> tuple[Run, list[str]]:
    """Score the methods called ``names`` (None: all) with the weights that ``run`` holds. Returns where the scores are,
    and the trainings that failed, each with its reason.

    ``options`` are ``section.field=value``, over the configuration of the run. Raises UserError where there is nothing
    to score, or no plate to score on.
    """
    trained = _wanted(run, names)
    config = _config(trained[0], folder, follow_links, options)
    device = resolve_device(config.train.device)
    configure_torch(config)
    engines = make_ocr_engines(config)
    if task == "read" and engines[0] is None:
        raise UserError("--task read scores by reading alone: name an OCR engine with --ocr")
    prepare = _originals if task == "restore" else _readings
    test_set = prepare(run, config, device, engines, limit, say)
    for remark in not_read(test_set.texts, lambda: engines):
        say(remark)
    seen = _seen(run, trained, test_set, say)
    facts = [engine.describe() if engine else None for engine in engines]
    identity = scoring_identity(test_set.facts["fingerprint"], facts, scoring_settings(config))
    failed = []
    with hold(test_set.run.folder / ".lock", wait=lambda holder: say(f"waiting for {holder}")):
        for result in trained:
            label = f"{result.method} seed {result.seed}"
            if result.method == UPPER_BOUND and test_set.originals is None:
                continue
            if _up_to_date(test_set.run, result, identity):
                say(f"{label}: is there already")
                continue
            try:
                info = _score(result, test_set, config, device, facts, identity, seen)
            except Exception as error:  # a method must not take the others along
                failed.append(f"{label}: {first_line(error)}")
                say(f"{label}: FAILED: {first_line(error)}")
            else:
                say(f"{label}: {outcome(info['scores']['best'])}")
    return test_set.run, failed


def outcome(scores: dict[str, Any]) -> str:
    """The scores of a method in half a line."""
    psnr, read = scores["psnr"], scores["plate_correct"]
    parts = ["exact" if psnr["median"] is None else f"{psnr['median']:.2f} dB"] if psnr["n"] else []
    return ", ".join(parts + ([f"{read['mean']:.0%} of {read['n']} plates read"] if read["n"] else [])) or "not read"


def _wanted(run: Run, names: Sequence[str] | None) -> list[Result]:
    """The complete results of a run, or those of some methods and of the HR plates. Raises UserError for none."""
    complete = [result for result in run.results() if result.complete]
    stored = sorted({result.method for result in complete})
    if unknown := sorted(set(names or ()) - set(stored)):
        raise UserError(f"{run.folder} has no result of {', '.join(unknown)} (it has: {', '.join(stored) or 'none'})")
    wanted = [result for result in complete if not names or result.method in {*names, UPPER_BOUND}]
    old = [result for result in wanted if result.method != UPPER_BOUND and not stored_training_identity(result.record)]
    if old:
        raise UserError(
            f"{old[0].folder} does not say what it was computed with (an older version, or a plug-in that --plugin "
            "names): run it again, or leave it out with --methods"
        )
    if not any(result.method != UPPER_BOUND for result in wanted):
        raise UserError(f"{run.folder} has no trained method")
    return sorted(wanted, key=lambda result: result.method != UPPER_BOUND)


def _config(result: Result, folder: Path, follow_links: bool, options: Sequence[str]) -> Config:
    """The run's own way of training and scoring, for another folder."""
    stored = filled_config(result.record)
    kept = [
        f"{section}.{name}={value}"
        for section in ("train", "scoring")
        for name, value in stored[section].items()
        if value is not None and name not in ("device", "threads")
    ]
    preset = result.record.config.preset
    links = f"data.follow_links={follow_links}"
    config = load(preset if preset in presets() else "quick", [*kept, f"data.folder={folder}", links, *options])
    if config.scoring.inference == "both":
        return config.model_copy(update={"scoring": config.scoring.model_copy(update={"inference": "plate"})})
    return config


def _cache(run: Run, config: Config) -> Path:
    return config.data.cache or run.results_folder / "packs"


def _place(run: Run, folder: Path, fingerprint: str, task: Task) -> Run:
    """Where the scores of a test set lie: by its name and what is in it."""
    name = folder.resolve().name.lstrip(".") or "plates"
    end = ("-read" if task == "read" else "") + f"-{fingerprint[:8]}"
    above = run.folder / TEST_DATA
    above.mkdir(exist_ok=True)
    return Run(above / fit_name(name, above, end))


def _originals(
    run: Run,
    config: Config,
    device: torch.device,
    engines: tuple[OcrEngine | None, OcrEngine | None],
    limit: int | None,
    say: Callable[[str], None],
) -> TestSet:
    """HR plates, which are degraded and upscaled again."""
    folder = cast(Path, config.data.folder)
    cache = _cache(run, config)
    cache.mkdir(parents=True, exist_ok=True)
    plates = pack.prepare_test(folder, cache, limit=limit, follow_links=config.data.follow_links, say=say)
    weakref.finalize(plates, use(plates.folder / "pack.json"))  # `data packs` is not to remove it meanwhile
    say(f"{folder.resolve().name}: {len(plates)} test plates; {plates.info['skipped']} skipped; device {device}")
    if remark := flat_plates(plates):
        say(remark)
    context = ScoringContext(config, device, plates, folder.resolve().name, *engines)

    def scored(method: Method | None) -> Scored:
        return score_originals(context) if method is None else score(context, method)

    facts = {
        "name": context.data_name, "fingerprint": plates.fingerprint, "test": len(plates), "task": "restore",
        "grown": plates.info["grown"], "skipped": plates.info["skipped"], "misfits": plates.info.get("misfits", 0),
        **({"lr": "given"} if plates.paired else {}),
    }  # fmt: skip
    place = _place(run, folder, plates.fingerprint, "restore")
    return TestSet(facts, place, scored, plates.table["text"].tolist(), plates)


def _readings(
    run: Run,
    config: Config,
    device: torch.device,
    engines: tuple[OcrEngine | None, OcrEngine | None],
    limit: int | None,
    say: Callable[[str], None],
) -> TestSet:
    """LR pictures, which are upscaled and read."""
    folder = cast(Path, config.data.folder)
    sources, odd = scan(folder, config.data.follow_links)
    for remark in remarks(odd):
        say(remark)
    tested = test_sources(sources, limit)
    plates, faults = low_resolution.load_plates(folder, tested)
    for name, reason in faults:
        say(f"skipped: {name}: {reason}")
    if not any(plate.text for plate in plates):
        raise UserError(f"{folder} has no LR plate with a text that could be compared with what is read")
    plates = sorted(plates, key=lambda plate: plate.name)
    say(f"{folder.resolve().name}: {len(plates)} LR plates to read, no originals; device {device}")
    fingerprint = low_resolution.fingerprint(plates)
    patches = config.scoring.inference == "patches"

    def scored(method: Method | None) -> Scored:
        assert method is not None  # without originals there is no upper bound
        start = time.perf_counter()
        images = upscaling.upscale_pictures(method.upscale, [plate.lr for plate in plates], device, patches)
        milliseconds = 1000.0 * (time.perf_counter() - start) / len(images)
        return Scored(images, plate_scores.read_plates(images, plates, *engines), milliseconds)

    skipped = len(faults) + sum(not reason.startswith("note: ") for _, reason in odd)
    facts = {"name": folder.resolve().name, "fingerprint": fingerprint, "test": len(plates), "task": "read",
             "skipped": skipped}  # fmt: skip
    return TestSet(facts, _place(run, folder, fingerprint, "read"), scored, [plate.text for plate in plates])


def _seen(run: Run, trained: Sequence[Result], test_set: TestSet, say: Callable[[str], None]) -> set[str] | None:
    """Texts of the test set that training has shown; None, and said, where the pack of its plates is gone."""
    stored = packs.find(run, trained[0].record, trained[0].record.data.fingerprint)
    try:
        table = open_pack(stored).split("train").table if stored else None
    except BadPack:
        table = None
    if table is None:
        say("whether training has shown any of these plates is not known: the pack of the run's plates is gone")
        return None
    seen = (set(table["text"]) - {""}) & set(test_set.texts)
    if seen:
        count = sum(text in seen for text in test_set.texts)
        say(f"{count} of {len(test_set.texts)} plates show a number that training has shown, too")
    return seen


def _up_to_date(scores: Run, result: Result, identity: str) -> bool:
    stored = scores.result(result.method, result.seed)
    return (
        stored is not None
        and stored.complete
        and stored.record.identity == stored_training_identity(result.record)
        and stored_scoring_identity(stored.record) == identity
        and not stored.changed("plates.csv")
    )


def _score(
    result: Result,
    test_set: TestSet,
    config: Config,
    device: torch.device,
    engines: list[dict[str, Any] | None],
    identity: str,
    seen: set[str] | None,
) -> dict[str, Any]:
    """Score one result and store that. Returns what was stored."""
    start = time.perf_counter()
    bound, place = result.method == UPPER_BOUND, test_set.run.place(result.method, result.seed)
    method = None if bound else load_result(result, device, published=True).accelerate(config.train.acceleration)
    with memory_for_scoring(device):
        scored = test_set.scored(method)
    frame = scored.frame
    if seen:
        frame["seen"] = frame["text"].isin(list(seen)).astype(int)
    clear(place)
    if method is not None and test_set.originals is not None:
        save_samples(place / "samples", scored.images, test_set.originals, config.scoring.samples)
    write_text(place / "plates.csv", frame.to_csv(index=False))
    seconds = time.perf_counter() - start
    scores = summaries(frame, frame)
    stored = filled_config(result.record)
    versions = stored_versions(result.record) or current_versions(result.method)
    assert versions is not None
    left_out = ("selected_as", "files", "abstention", "abstention_last")
    record = result.record
    chosen = record.abstention_last if record.selected_as else record.abstention  # of the weights that were scored
    info = {name: value for name, value in result.record.as_dict().items() if name not in left_out} | {
        "schema": SCHEMA,
        "config": {**stored, "scoring": config.scoring.model_dump(mode="json")},
        "options": filled_options(result.record),
        "identity": stored_training_identity(result.record),
        "scoring_identity": identity,
        "versions": {**versions.model_dump(exclude_none=True), "scoring": SCORING_VERSION},
        "source": result.record.trained_source | {"scoring": scoring_source()},
        "abstention": {engine: each.model_dump() for engine, each in chosen.items()},
        "test_data": test_set.facts | {"seen_unknown": seen is None},
        "judge": engines[0],
        "second_judge": engines[1],
        "scores": {name: scores[name] for name in scores if name.startswith("best")},
        "clocks": {"scoring": seconds, "total": seconds},
        "scoring_provenance": provenance(device),
    }
    write_result(place, info)
    return info
