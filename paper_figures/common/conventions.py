"""The sentences below a table: how the numbers came about, from what the results say of themselves."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from benchmark.results.record_parts import OcrEngineFacts
from benchmark.scoring.metrics import METRICS
from paper_figures.common import paper, text
from paper_figures.common.results import HR, Results, Row

SCORING = (
    "Scores are taken per plate on the output rounded to 8 bits, no border cropped. PSNR is over RGB. PSNR_Y is "
    "over full-range BT.601 luma, the convention of the authors' evaluation code and the one set beside the "
    "paper's column; the studio-range column (16–235) is the same quantity as BasicSR and MATLAB compute it, "
    "1.32 dB higher. SSIM: Gaussian window 11×11, σ 1.5."
)
DEGRADATION = (
    "LR plates are the HR plates reduced ×8 by antialiased bicubic interpolation (a = −0.5, as Pillow's), "
    "rounded to 8 bits."
)
GIVEN = "LR plates were taken as pictures of their own, an eighth as large as the HR ones: nothing was degraded."


def conditions(results: Results) -> list[str]:
    """How every number of a table came about: scoring, plates, budget, choice of weights, OCR engines."""
    sentences = [
        SCORING, lpips(results), degradation(results), inference(results), data(results), leaks(results),
        budget(results), seeds(results), selection(results), ocr(results),
    ]  # fmt: skip
    return [sentence for sentence in sentences if sentence]


def degradation(results: Results) -> str:
    """Where LR plates come from."""
    return GIVEN if results.data.lr == "given" else DEGRADATION


def lpips(results: Results) -> str:
    """What LPIPS is, where it was scored."""
    scored = any("lpips" in row.scores for row in results.rows)
    return "LPIPS: version 0.1 on AlexNet (Zhang et al. 2018); lower is better." if scored else ""


def inference(results: Results) -> str:
    """Whether plates were upscaled whole or in patches."""
    if results.config.scoring.inference != "patches":
        return "Plates are upscaled whole."
    return (
        "Plates are upscaled in patches, also where weights are chosen: windows of 8×8 LR pixels (64×64 HR) that "
        "overlap by half and are blended. The paper upscales overlapping patches; overlap and blending are ours."
    )


def data(results: Results) -> str:
    """Which plates were used, and what was done to them."""
    data = results.data
    splits = ((data.train, "training plate"), (data.val, "validation plate"), (data.test, "test plate"))
    counts = [text.plural(count, word) for count, word in splits if count]
    parts = [f"Data: {data.name or 'unnamed'} ({', '.join(counts)}; fingerprint {_short(data.fingerprint)})."]
    if data.grown:
        parts.append(f"{text.plural(data.grown, 'plate box')} under 64 px grown to 64 px.".replace("boxs", "boxes"))
    if data.skipped:
        parts.append(f"{text.plural(data.skipped, 'unusable file')} skipped.")
    if data.protocol == "paper":
        parts.append(
            "Split (protocol paper): at random, so a plate number may be in more than one part; the paper "
            "does not say how it split."
        )
    else:
        parts.append(f"Split ({data.protocol or 'unknown'} protocol): no plate number is in more than one part.")
    return " ".join(parts)


def leaks(results: Results) -> str:
    """How many test plates training has seen; empty where the results do not say."""
    leaks = results.data.leaks
    if not results.data.leaks_counted:
        return ""
    seen, pairs, dropped = leaks.test_plates_seen, leaks.near_duplicates, leaks.dropped
    of_them = (
        f"{seen:,} of {leaks.test_plates:,} test plates show a plate number"
        if seen
        else "no test plate shows a plate number"
    )
    near = f"{text.plural(pairs, 'pair')} of near-duplicate pictures" if pairs else "no near-duplicate pictures"
    left_out = f", because of which {text.plural(dropped, 'picture')} was left out" if dropped else ""
    left_out = left_out.replace("pictures was", "pictures were")
    how = f" ({leaks.method})" if leaks.method else ""
    return f"Leaks: {of_them} that training shows, too; {near} across splits{how}{left_out}."


def seeds(results: Results) -> str:
    """A warning where methods were trained with different seeds; empty where all have the same."""
    counts = {row.seeds for row in results.rows if row.trained}
    if len(counts) < 2:
        return ""
    return (
        "Not all methods were trained with the same seeds (see that column): between two of them, only paired "
        "differences compare, which are over the seeds that both have."
    )


def selection(results: Results) -> str:
    """Which of a training's weights are scored."""
    if results.data.protocol == "paper":
        chosen = (
            "Each method shows its weights with the best PSNR on the test plates, which is optimistic; on which plates "
            "the paper chose its weights is not stated."
        )
    else:
        chosen = "Each method shows its weights with the best PSNR on the validation plates, which are not test plates."
    ends = [row.title for row in results.main_rows if results.is_end(row.name)]
    if not ends:
        return chosen
    return f"{chosen} Under {', '.join(ends)} stand the last weights; those chosen this way have a row of their own."


def budget(results: Results) -> str:
    """What every trained method was given."""
    rows = [row for row in results.rows if row.trained]
    if not rows:
        return "Nothing here was trained."
    train = results.config.train
    parts = [f"{results.reference.iterations:,} iterations", f"batches of {train.batch_size}"]
    if train.recipe == "native":
        parts.append("each method's own published recipe")
    else:
        start = f" after a warm-up of {train.warmup} iterations" if train.warmup else ""
        parts.append(f"one recipe for all (Adam, learning rate {train.learning_rate}, cosine{start})")
    if train.warm_start == "reference":
        parts.append(
            "on top of that of the weights they started from, so not comparable with trainings from random ones"
        )
    preset = results.config.preset
    whose = "all but the rows marked ‡" if any(row.differs for row in rows) else "all"
    return f"Budget, equal for {whose}: {', '.join(parts)}" + (f" (preset {preset})." if preset else ".")


def ocr(results: Results) -> str:
    """Who read the plates, how well they read the original ones, and what the reading columns mean."""
    engine, second = results.reference.judge, results.reference.second_judge
    if engine is None or not results.has_readings:
        return f"{text.begun(not_read(results))}, so the reading columns are left out."
    sentences = [f"OCR engine: {_reader(engine)}{_bound(results, 'plate_correct')}."]
    if second and results.has_second_readings:
        sentences.append(f"Second OCR engine: {_reader(second)}{_bound(results, 'plate_correct_second')}.")
    size = "×".join(str(side) for side in engine.input if side) or "unknown"
    sentences.append(
        f"An engine is shown the plate rectified to {size} px. OCR confidence (the paper's OCR ρ) is the engine's own, "
        "0 where it reads nothing, and is not accuracy. Exact-match accuracy: all characters right; character "
        "accuracy: 1 − normalised edit distance; without province: all characters but the first right."
    )
    return " ".join(sentences)


def not_read(results: Results) -> str:
    """Why no score of reading is there, as part of a sentence: no engine read, or none has what is on the plates."""
    engines = [engine.name for engine in (results.reference.judge, results.reference.second_judge) if engine]
    if not engines:
        return "no plate was read (no OCR engine)"
    who = text.one_line(" or ".join(name or "unnamed" for name in engines))
    return f"no test plate was read: their texts are unknown, or of an alphabet that {who} does not have"


def _reader(engine: OcrEngineFacts) -> str:
    return f"{engine.name} ({engine.version}; model {engine.model}, SHA-256 {_short(engine.sha256)})"


def _bound(results: Results, metric: str) -> str:
    """What an OCR engine makes of the HR plates of this run, where they were read."""
    bound = results.row(HR)
    summary = bound.scores.get(metric) if bound else None
    return f", which reads {100 * summary.mean:.1f} % of the HR plates" if summary else ""


def pooling(results: Results) -> str:
    """What the medians, deviations and intervals are taken over."""
    seeds = results.seeds
    listed = ", ".join(str(seed) for seed in seeds)
    how = ", the plates of all seeds pooled" if len(seeds) > 1 else " only, which says nothing about other seeds"
    return f"± is the standard deviation over plates; {'seeds' if len(seeds) > 1 else 'seed'} {listed}{how}."


def marks(results: Results) -> list[str]:
    """What † and ‡ mean, where they occur."""
    sentences = []
    if any(row.stale for row in results.rows):
        sentences.append("† Made by another version of method, training or scoring; run again to bring it up to date.")
    odd = [f"{row.title} ({', '.join(row.differs)})" for row in results.rows if row.differs]
    if odd:
        sentences.append(f"‡ Made under other conditions than the rest, not comparable: {'; '.join(odd)}.")
    return sentences


def left_out(rows: Sequence[Row], metrics: Collection[str] = tuple(METRICS)) -> list[str]:
    """Meaning of the mark * of a score; empty if it does not occur."""
    lacking = [
        f"{row.title}, {METRICS[metric].label}: {summary.lacking} of {summary.lacking + summary.n}"
        for row in rows
        for metric, summary in row.scores.items()
        if metric in metrics and summary.lacking
    ]
    return [f"* plates without a number are left out: {'; '.join(lacking)}."] if lacking else []


def against_paper() -> str:
    """What Δ means."""
    return (
        f"Paper: {paper.CITATION}, trained on 100,000 real plates for 1,000k iterations. Δ is ours minus the "
        "paper's, and compares like with like only as far as data and budget agree. ≈: the paper says approximately; "
        f"{text.DASH}: it states no such number."
    )


def _short(digest: object) -> str:
    return str(digest)[:12] if digest else "unknown"
