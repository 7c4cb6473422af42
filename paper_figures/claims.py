"""The paper's nine claims as data, and what the results at hand say of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from benchmark import config
from paper_figures.claim_tests import tests
from paper_figures.claim_tests.tests import ENOUGH_METHODS, ENOUGH_VALIDATIONS, MARGIN
from paper_figures.common import conventions, grid, statistics, text
from paper_figures.common.commands import patches
from paper_figures.common.drawing import Drawing
from paper_figures.common.evidence import (
    DESCRIBED,
    FAILS,
    FLOOR,
    HOLDS,
    OPEN,
    PRINTED,
    Finding,
    Reading,
    Undecidable,
)
from paper_figures.common.results import Results
from paper_figures.common.tables import Cell, Column, Table

NAME = "claims"
TITLE = "The paper's claims"
NEEDS = "table1"


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper's in short, where the paper says it, and how it is tested here."""

    sentence: str
    source: str
    rule: str
    figures: tuple[str, ...]
    """Names of the tables and figures of this report that show what the test uses."""
    test: Callable[[Results, Reading], Finding]
    of_pecl: bool = True
    """False: the claim is about all methods, so that there is nothing to test for another reading of PECL."""


CLAIMS = (
    Claim(
        "PECL is first in PSNR.", "Table 1",
        "Paired differences of the other methods of Table 1 to PECL, Wilcoxon's tests corrected by Holm over them: "
        "holds if all are worse, does not hold if one is better.",
        ("table1", "comparisons", "forest"), tests.first("psnr"),
    ),
    Claim(
        "PECL is first in PSNR_Y.", "Table 1", "As claim 1, for full-range luma.",
        ("table1",), tests.first("psnr_y"),
    ),
    Claim(
        "PECL's plates are read about as well as TBSRN's.", "Table 1",
        "Not worse by a margin: the interval of the paired difference in OCR confidence lies above "
        f"{text.number(-MARGIN)} for every judge (does not hold: below it). Holds only where TBSRN itself reads more "
        "plates than bicubic: else being near it says nothing.",
        ("table1", "comparisons", "calibration"), tests.within_reach,
    ),
    Claim(
        "PECL's loss gives a higher PSNR than MSE alone.", "Figs. 8 and 12",
        "Paired difference of PECL to its own network trained with MSE alone; Wilcoxon's test.",
        ("ablation", "ablation_psnr", "qualitative_ablation"), tests.above_mse,
    ),
    Claim(
        "The Manhattan distance gives a higher PSNR than the Euclidean.", "Figs. 8 and 9",
        "Paired by plate and pooled over the four dimensions; the trainings (dimension, seed) are the outer level of "
        "the resampling. Wilcoxon's test.",
        ("ablation", "ablation_psnr", "ablation_reading"), tests.manhattan,
    ),
    Claim(
        "PSNR rises with the dimension of the embedding.", "Figs. 8 and 9",
        "Slope of PSNR over log2 d, plate by plate, the pairs of distance and seed being the outer level of the "
        "resampling; Page's trend test of the trainings' means must agree.",
        ("ablation", "ablation_psnr", "ablation_reading"), tests.dimension,
    ),
    Claim(
        "The PSNR contrast to MSE settles above zero.", "Figs. 10 and 11",
        "Contrast (Eq. 20) of validation PSNR over the last quarter of training, which must hold at least "
        f"{ENOUGH_VALIDATIONS} validations: holds if it stays above zero in all eight cells, does not hold if it "
        "stays at or below zero in one.",
        ("contrast_manhattan", "contrast_euclidean"), tests.settled,
    ),
    Claim(
        "Methods that take longer to converge reach a higher PSNR.", "Fig. 6",
        f"Spearman's correlation over Table 1's trained methods ({ENOUGH_METHODS} or more) of the iterations to the "
        "best with the median PSNR, permutation test; not decided while more than half are best at the last iteration.",
        ("convergence", "table1"), tests.convergence, of_pecl=False,
    ),
    Claim(
        "PECL leaves less blur and compression than MSE alone.", "Fig. 13",
        "Paired differences of both scores to MSE alone, Wilcoxon's tests corrected by Holm over the two: holds if "
        "both are below zero, does not hold if one is above.",
        ("distortion_scores", "distortion_maps"), tests.cleaner,
    ),
)  # fmt: skip
"""In the order of the paper."""


@dataclass(frozen=True)
class Verdict:
    """What the results say of a claim, for PECL as the text describes it and as its equations are printed."""

    number: int
    claim: Claim
    finding: Finding
    printed: Finding | None

    @property
    def outcome(self) -> str:
        """``holds``, ``does not hold`` or ``not decidable here``: of the reading ``pecl``."""
        return self.finding.outcome


def evaluate(results: Results) -> list[Verdict]:
    """The verdicts on all claims, in order. Never raises for what results lack: such a claim is not decidable here."""
    return [
        Verdict(
            number, claim, _find(results, claim, DESCRIBED), _find(results, claim, PRINTED) if claim.of_pecl else None
        )
        for number, claim in enumerate(CLAIMS, 1)
    ]


def _find(results: Results, claim: Claim, reading: Reading) -> Finding:
    try:
        return claim.test(results, reading)
    except Undecidable as lacking:
        reason, command = lacking.args
        return Finding(OPEN, "", reason, command)


def draw(results: Results) -> Drawing:
    """The table of verdicts, and how they came about."""
    verdicts = evaluate(results)
    return Drawing(
        data=frame(verdicts),
        caption=caption(results),
        conditions=[conventions.data(results), conventions.budget(results), conventions.judge(results)],
        tables=tables(verdicts),
    )


def open_questions(verdicts: list[Verdict]) -> dict[str, list[str]]:
    """What is undecided and why, by the command that would decide it (empty where there is none)."""
    found: dict[str, dict[str, list[str]]] = {}
    for verdict in verdicts:
        for finding, whose in ((verdict.finding, ""), (verdict.printed, " as printed")):
            if finding is not None and finding.outcome == OPEN:
                numbers = found.setdefault(finding.command, {}).setdefault(finding.reason, [])
                numbers.append(f"{verdict.number}{whose}")
    return {
        command: [f"Claim{'s' * (len(numbers) > 1)} {', '.join(numbers)}: {why}" for why, numbers in whys.items()]
        for command, whys in found.items()
    }


# -- files -----------------------------------------------------------------------------------------


def tables(verdicts: list[Verdict]) -> list[Table]:
    """The verdicts, what would decide the open ones, and how each claim is tested."""
    rows = [_cells(verdict) for verdict in verdicts]
    headers = ("Claim", "Verdict", "Evidence", "As printed (Eq. 17–19)", "See")
    questions = open_questions(verdicts)
    parts = [
        Table("", [Column(name, list(cells), prose=True) for name, cells in zip(headers, zip(*rows), strict=True)])
    ]
    if questions:
        reasons = Column("Undecided", [Cell("; ".join(whys)) for whys in questions.values()], prose=True)
        commands = Column("Command", [Cell(command) for command in questions], code=True)
        parts.append(Table("What would decide the rest", [reasons, commands]))
    rules = Column("Rule", [Cell(verdict.claim.rule) for verdict in verdicts], prose=True)
    numbers = Column("Claim", [Cell(str(verdict.number)) for verdict in verdicts])
    return [*parts, Table("How each is tested", [numbers, rules])]


def _cells(verdict: Verdict) -> tuple[Cell, ...]:
    finding, printed = verdict.finding, verdict.printed
    return (
        Cell(f"{verdict.number}. {verdict.claim.sentence} ({verdict.claim.source})"),
        Cell(finding.outcome, rank=int(finding.outcome != OPEN)),
        Cell(finding.evidence + (f" Undecided: {finding.reason}." if finding.reason else "")),
        Cell(text.DASH if printed is None else ". ".join(part for part in (printed.outcome, printed.evidence) if part)),
        Cell(", ".join(verdict.claim.figures)),
    )


def frame(verdicts: list[Verdict]) -> pd.DataFrame:
    """One line a claim."""
    lines = []
    for verdict in verdicts:
        line = {"number": verdict.number, "claim": verdict.claim.sentence, "source": verdict.claim.source}
        for suffix, finding in (("", verdict.finding), ("_printed", verdict.printed or Finding(""))):
            line |= {
                "verdict" + suffix: finding.outcome, "evidence" + suffix: finding.evidence,
                "reason" + suffix: finding.reason, "command" + suffix: finding.command,
            }  # fmt: skip
        lines.append({**line, "figures": " ".join(verdict.claim.figures), "rule": verdict.claim.rule})
    return pd.DataFrame(lines)


# -- caption ---------------------------------------------------------------------------------------


def budget(results: Results) -> str:
    """How far the run's budget is from the paper's; empty where it is at least half of it, or nothing was trained."""
    ours, train = patches(results), config.load("paper").train
    paper = train.iterations * train.batch_size
    if not ours or 2 * ours >= paper:
        return ""
    return (
        f"Each method saw {ours:,} training patches, 1/{round(paper / ours):,} of the paper's {train.iterations:,} × "
        f"{train.batch_size}: every verdict is one at this budget, and what holds or does not hold here may come out "
        "otherwise at the paper's."
    )


def caption(results: Results) -> list[str]:
    """Which PECL is tested, what the verdicts mean, what was resampled, and the conditions."""
    described, printed = results.row(DESCRIBED.name), results.row(PRINTED.name)
    seeds, texts = results.seeds, "text" in results.plates
    sentences = [
        f"Tested is the reading {DESCRIBED.name} of PECL: what the paper's text describes, in the form that can work"
        + ("" if described else " (no result)")
        + f". Beside it {PRINTED.name}: Eq. 17–19 to the letter"
        + ("" if printed else " (no result)")
        + ".",
        f"“{HOLDS.capitalize()}” and “{FAILS}” need a 95 % interval on that side and a test with p < "
        f"{1 - statistics.LEVEL:.2g}; everything else, ties too, is “{OPEN}”. Differences are means of paired ones.",
        budget(results),
        f"Intervals: percentile bootstrap, {statistics.RESAMPLES:,} resamples of "
        + (f"{len(seeds)} seeds (outer level) and of " if len(seeds) > 1 else "")
        + ("plate texts." if texts else "plates."),
    ]
    if len(seeds) == 1:
        sentences.append(
            f"One seed (seed {seeds[0]}): intervals say nothing about training anew, so a difference of two methods "
            "counts only beyond what the validation PSNR of either moved over the second half of training (at least "
            f"{FLOOR:g} standard deviations over plates), and differences in other scores than PSNR are not decided. "
            "Where the ablation gives several trainings of a kind, these are resampled instead."
        )
    else:
        sentences.append(
            "A bootstrap of few seeds is too narrow, so a difference of two methods must also exceed half of Student's "
            "95 % interval of the seeds' means; for PSNR it is enough to exceed how far the seeds are apart and what "
            "the validation PSNR of either method moved over the second half of training."
        )
    found = grid.find(results, DESCRIBED.term)
    if found is not None and len({d for _, d in found.cells}) > 1:
        sentences.append(f"Claim 6: {grid.confound(found)}")
    return [*sentences, *conventions.marks(results)]
