"""What the report says of test plates that training has seen."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_results import METHODS, PATTERN, PLATES, Fake, make_run, with_leaks
from rich.console import Console

from benchmark.results.store import Run, write_result
from paper_figures import leaks, table1, table1_full
from paper_figures.common import conventions, statistics
from paper_figures.common.drawing import NothingToDraw
from paper_figures.common.loading import load
from paper_figures.report import builder, headline, markdown, terminal

FEW = tuple(fake for fake in METHODS if fake.name in ("hr", "bicubic", "srcnn", "pecl"))
SEEN, GAIN = 4, 1.0


def leaky(folder: Path, methods: tuple[Fake, ...] = FEW, seeds: int = 1) -> Run:
    return with_leaks(make_run(folder / "demo", methods, seeds), SEEN, GAIN)


# -- the gap ---------------------------------------------------------------------------------------


def frame(scores: list[float], flags: list[int], seed: int | None = None) -> pd.DataFrame:
    table = pd.DataFrame({"index": range(len(scores)), "text": [f"皖A{i:05}" for i in range(len(scores))],
                          "score": scores, "seen": flags})  # fmt: skip
    return table if seed is None else table.assign(seed=seed)


def test_a_gap_by_hand() -> None:
    found = statistics.gap(frame([5, 5, 3, 3, 3, 3], [1, 1, 0, 0, 0, 0]), "score", "seen")
    assert found.value == pytest.approx(22 / 6 - 3)
    assert (found.low, found.high) == pytest.approx((found.value, found.value))  # equal within both groups
    assert (found.plates, found.clusters, found.seeds) == (6, 6, 1)


def test_the_interval_is_that_of_drawing_both_groups_apart() -> None:
    random = np.random.default_rng(5)
    seen, unseen = random.normal(1.0, 1.0, 30), random.normal(0.0, 2.0, 50)
    found = statistics.gap(frame([*seen, *unseen], [1] * 30 + [0] * 50), "score", "seen")
    draws = []
    for _ in range(4000):
        a, b = random.choice(seen, 30), random.choice(unseen, 50)
        draws.append(np.concatenate([a, b]).mean() - b.mean())
    assert (found.low, found.high) == pytest.approx(np.percentile(draws, [2.5, 97.5]), abs=0.02)


def test_photographs_of_one_plate_and_seeds_are_not_independent() -> None:
    random = np.random.default_rng(6)
    one = frame(list(random.normal(0.0, 1.0, 40)), [1] * 20 + [0] * 20)
    twice = pd.concat([one, one.assign(index=one["index"] + 40)])
    width = [found.high - found.low for found in (statistics.gap(f, "score", "seen") for f in (one, twice))]
    assert width[1] == pytest.approx(width[0], rel=1e-6)
    seeds = pd.concat([one.assign(seed=0), one.assign(seed=1, score=one["score"] + one["seen"])])
    found = statistics.gap(seeds, "score", "seen")
    assert found.seeds == 2 and found.high - found.low > width[0]


@pytest.mark.parametrize(("flags", "value"), [([0, 0, 0], 0.0), ([1, 1, 1], math.nan), ([1, 0, 0], 1 / 3)])
def test_without_both_kinds_of_plates_there_is_no_interval(flags: list[int], value: float) -> None:
    found = statistics.gap(frame([2.0, 1.0, 1.0], flags), "score", "seen")
    assert found.value == pytest.approx(value, nan_ok=True) and not found.bounded


def test_values_that_are_not_finite_are_left_out() -> None:
    found = statistics.gap(frame([math.inf, 5, 5, 3, 3, math.nan], [1, 1, 1, 0, 0, 0]), "score", "seen")
    assert found.value == pytest.approx(1.0) and found.left_out == 2 and found.bounded


# -- the table -------------------------------------------------------------------------------------


def test_scores_with_and_without_the_plates_seen(tmp_path: Path) -> None:
    data = leaks.draw(load(leaky(tmp_path))).data.set_index(["metric", "method"])
    assert set(data.index.get_level_values("method")) == {"bicubic", "srcnn", "pecl"}
    centre = next(fake.psnr for fake in FEW if fake.name == "srcnn")
    line = data.loc[("psnr", "srcnn")]
    assert (line["all_plates"], line["seen_plates"], line["unseen_plates"]) == (PLATES, SEEN, PLATES - SEEN)
    assert line["all"] == pytest.approx(centre + GAIN * SEEN / PLATES)
    assert line["seen"] == pytest.approx(centre + GAIN + PATTERN[:SEEN].mean())
    assert line["unseen"] == pytest.approx(centre + PATTERN[SEEN:].mean())
    # The plates seen are the hard ones here: only beside bicubic it shows that there was something to gain.
    assert line["gap"] == pytest.approx(line["all"] - line["unseen"]) and line["gap_high"] < 0
    assert [line[f"beyond{end}"] for end in ("", "_low", "_high")] == pytest.approx([GAIN * SEEN / PLATES] * 3)
    assert math.isnan(data.loc[("psnr", "bicubic"), "beyond"])
    right = data.loc[("plate_correct", "pecl")]  # five plates are read, the four seen among them
    assert (right["all"], right["seen"], right["unseen"]) == pytest.approx((0.5, 1.0, 1 / 6))


def test_seeds_are_pooled(tmp_path: Path) -> None:
    data = leaks.draw(load(leaky(tmp_path, seeds=2))).data.set_index(["metric", "method"])
    assert data.loc[("psnr", "pecl"), "all_plates"] == PLATES
    assert data.loc[("psnr", "pecl"), "beyond"] == pytest.approx(GAIN * SEEN / PLATES)


def test_intervals_are_said_to_be_over_the_seeds_that_there_are(tmp_path: Path) -> None:
    assert "resamples of 2 seeds (outer level)" in leaks.draw(load(leaky(tmp_path, seeds=2))).words
    assert "one seed" in leaks.draw(load(leaky(tmp_path / "one"))).words
    everything = with_leaks(make_run(tmp_path / "all", FEW, 1), PLATES, GAIN)
    assert "95 % intervals" not in leaks.draw(load(everything)).words


def test_the_table_in_words(tmp_path: Path) -> None:
    run = leaky(tmp_path)
    made = builder.build(run, ["leaks"])
    assert not made.broken and not made.problems
    page = (run.folder / "report" / "leaks.md").read_text(encoding="utf-8")
    assert "all 10 plates (dB) | 4 seen (dB) | 6 unseen (dB) | all − unseen | beyond bicubic’s |" in page
    assert "| +0.40 \\[+0.40, +0.40\\] |" in page
    assert "4 of 10 test plates count as seen in training" in page
    assert "\\toprule" in (run.folder / "report" / "leaks.tex").read_text(encoding="utf-8")


def test_without_bicubic_and_without_an_ocr_engine(tmp_path: Path) -> None:
    few = tuple(fake for fake in FEW if fake.name != "bicubic")
    drawing = leaks.draw(load(with_leaks(make_run(tmp_path / "demo", few, ocr=False), SEEN)))
    assert set(drawing.data["metric"]) == {"psnr"} and drawing.data["beyond"].isna().all()
    assert "beyond" not in markdown.body(drawing).split("\n\n")[1]


def test_nothing_seen_is_said_and_is_no_gap_in_the_report(tmp_path: Path) -> None:
    run = make_run(tmp_path / "demo", FEW)
    drawing = leaks.draw(load(run))
    assert drawing.data.empty and "|" not in markdown.body(drawing)
    assert "No test plate counts as seen" in markdown.body(drawing)
    made = builder.build(run, ["leaks"])
    assert made.artefacts and not [gap for gap in made.missing if "Leaks" in gap.what]


def test_results_that_do_not_say_are_to_be_made_again(tmp_path: Path) -> None:
    run = make_run(tmp_path / "demo", FEW)
    for file in run.folder.glob("*/*/plates.csv"):
        pd.read_csv(file).drop(columns="seen").to_csv(file, index=False)
    with pytest.raises(NothingToDraw, match="before it was recorded"):
        leaks.draw(load(run))
    made = builder.build(run, ["leaks"])
    assert next(gap.command for gap in made.missing if "Leaks" in gap.what).startswith("python -m benchmark run")


# -- the count, everywhere else --------------------------------------------------------------------


def test_the_count_is_in_every_form_of_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "_modules", lambda: {module.NAME: module for module in (table1, table1_full, leaks)})
    run = leaky(tmp_path)
    sentence = "Leaks: 4 of 10 test plates show a plate number that training shows, too; "
    results = load(run)
    assert conventions.leaks(results).startswith(sentence + "2 pairs of near-duplicate pictures across splits")
    made = builder.build(run)
    assert sentence in (run.folder / "report" / "table1_full.md").read_text(encoding="utf-8")
    page = (run.folder / "report" / "report.md").read_text(encoding="utf-8")
    assert sentence in page
    assert made.html is not None
    html = made.html.read_text(encoding="utf-8")
    assert "<dt>Leaks</dt><dd>4 of 10 test plates" in html and 'href="#leaks"' in html and sentence in html
    console = Console(record=True, width=100)
    terminal.show(made, console)
    assert "4 of 10 test plates show a plate number" in console.export_text()


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        ({}, "no test plate shows a plate number that training shows, too; no near-duplicate pictures across splits."),
        ({"test_plates_seen": 1200, "test_plates": 3000}, "1,200 of 3,000 test plates show a plate number"),
        ({"near_duplicates": 1, "dropped": 1, "method": "phash"},
         "; 1 pair of near-duplicate pictures across splits (phash), because of which 1 picture was left out."),
        ({"near_duplicates": 3, "dropped": 2},
         "; 3 pairs of near-duplicate pictures across splits, because of which 2 pictures were left out."),
    ],
)  # fmt: skip
def test_how_the_count_is_told(tmp_path: Path, found: dict[str, object], sentence: str) -> None:
    results = load(make_run(tmp_path / "demo", FEW[:2], data={"leaks": found}))
    assert sentence in conventions.leaks(results)


def test_older_results_say_nothing_of_leaks(tmp_path: Path) -> None:
    results = load(make_run(tmp_path / "demo", FEW))
    assert "Leaks" not in [fact.name for fact in headline.facts(results, 0, 0)]  # none seen: nothing to warn of
    for result in Run(results.folder).results():
        info = result.record.as_dict()
        del info["data"]["leaks"]
        write_result(result.folder, info)
    results = load(Run(results.folder))
    assert conventions.leaks(results) == "" and all(conventions.conditions(results))
    assert "Leaks" not in [fact.name for fact in headline.facts(results, 0, 0)]
    assert len(table1.legend(results)) == 1
