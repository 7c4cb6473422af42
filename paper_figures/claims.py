"""The paper's thirty claims: what its own numbers say of each, and what our results say."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd

from paper_figures.claim_tests.claim import Claim, contradicted
from paper_figures.claim_tests.statements import CLAIMS
from paper_figures.claim_tests.training import EARLY_GROUP
from paper_figures.common import conventions, grid, paper, statistics, text
from paper_figures.common.commands import patches, preset, run_command
from paper_figures.common.drawing import Drawing
from paper_figures.common.evidence import (
    DESCRIBED,
    EARLY,
    FAILS,
    FLOOR,
    HOLDS,
    OPEN,
    PRINTED,
    Finding,
    Reading,
    Undecidable,
)
from paper_figures.common.observed import table as observed_table
from paper_figures.common.results import Results
from paper_figures.common.tables import Cell, Column, Table

NAME = "claims"
TITLE = "The paper's claims"
NEEDS = "table1"

SHARE = 0.3
"""A verdict needs this share of the paper's training patches: 300k of its 1,000k iterations. Its own text finds the two
methods that converge early best after about 155k and 281k iterations, all others later. An order measured before is
one of who learns faster at first, and the paper claims nothing about that."""


@dataclass(frozen=True)
class Verdict:
    """What the results say of a claim, for PECL as the text describes it and as its equations are printed."""

    claim: Claim
    finding: Finding
    printed: Finding | None

    @property
    def outcome(self) -> str:
        """``holds``, ``does not hold``, ``not decidable here`` or ``… at this budget``: of the reading ``pecl``."""
        return self.finding.outcome

    @property
    def decided(self) -> bool:
        return self.outcome in (HOLDS, FAILS)


def evaluate(results: Results) -> list[Verdict]:
    """The verdicts on all claims, in order. Never raises for what results lack: such a claim is not decidable here."""
    return [
        Verdict(claim, _find(results, claim, DESCRIBED), _find(results, claim, PRINTED) if claim.of_pecl else None)
        for claim in CLAIMS
    ]


def _find(results: Results, claim: Claim, reading: Reading) -> Finding:
    if claim.test is None:
        return Finding(OPEN, "", claim.needs)
    try:
        finding = claim.test(results, reading)
    except Undecidable as lacking:
        reason, command = lacking.args
        return Finding(OPEN, "", reason, command)
    seen = patches(results)
    if seen >= SHARE * paper.PATCHES:
        return finding
    reason = f"{seen:,} of the {SHARE * paper.PATCHES:,.0f} training patches that a verdict needs"
    return replace(
        finding, outcome=EARLY, reason=reason, command=run_command(results, ["all"], preset(results, "paper"))
    )


def draw(results: Results) -> Drawing:
    """The table of verdicts and how they were reached."""
    verdicts = evaluate(results)
    return Drawing(
        data=frame(verdicts),
        caption=caption(results),
        conditions=[conventions.data(results), conventions.budget(results), conventions.ocr(results)],
        tables=tables(verdicts),
        folded={number: folded(verdict) for number, verdict in enumerate(verdicts, 1)},
    )


def folded(verdict: Verdict) -> list[Table]:
    """What was observed, of PECL as the text describes it and as its equations are printed."""
    findings = {"": verdict.finding, "As printed (Eq. 17–19)": verdict.printed or Finding("")}
    return [observed_table(title, finding.observed) for title, finding in findings.items() if finding.observed]


def open_questions(verdicts: list[Verdict]) -> dict[str, list[str]]:
    """Undecided claims with their reasons, by the command that would decide them (empty if there is none)."""
    by_command: dict[str, dict[str, list[str]]] = {}
    for verdict in verdicts:
        for finding, whose in ((verdict.finding, ""), (verdict.printed, " as printed")):
            if finding is not None and finding.outcome in (OPEN, EARLY):
                numbers = by_command.setdefault(finding.command, {}).setdefault(finding.reason, [])
                numbers.append(f"{verdict.claim.number}{whose}")
    return {
        command: [f"Claim{'s' * (len(numbers) > 1)} {', '.join(numbers)}: {why}" for why, numbers in whys.items()]
        for command, whys in by_command.items()
    }


# -- files -----------------------------------------------------------------------------------------

_HEADERS = ("Claim", "The paper's own numbers", "Verdict", "Evidence", "As printed (Eq. 17–19)", "See")


PARTS = {
    "The first three places": range(1, 4), "Reading, and all scores": range(4, 7), "The other methods": range(7, 10),
    "Convergence and pictures": range(10, 13), "Ablation: distances": range(13, 18),
    "Ablation: dimensions and reading": range(18, 22), "Along training, and examples": range(22, 27),
    "Maps of distortions": range(27, 31),
}  # fmt: skip
"""Parts of the table, each short enough for a page, and the numbers of their claims."""


def tables(verdicts: list[Verdict]) -> list[Table]:
    """The verdicts, what would decide the open ones, and how the claims are tested."""
    questions = open_questions(verdicts)
    parts = []
    for title, numbers in PARTS.items():
        rows = [_cells(verdict) for verdict in verdicts if verdict.claim.number in numbers]
        columns = [Column(name, list(cells), prose=True) for name, cells in zip(_HEADERS, zip(*rows), strict=True)]
        parts.append(Table(title, columns))
    if questions:
        reasons = Column("Undecided", [Cell("; ".join(whys)) for whys in questions.values()], prose=True)
        commands = Column("Command", [Cell(command) for command in questions], code=True)
        parts.append(Table("What would decide the rest", [reasons, commands]))
    ruled = zip(("Claim", "Rule"), zip(*rules(), strict=True), strict=True)
    columns = [Column(name, [Cell(each) for each in cells], prose=True) for name, cells in ruled]
    return [*parts, Table("How each is tested", columns)]


def _cells(verdict: Verdict) -> tuple[Cell, ...]:
    claim, finding, printed = verdict.claim, verdict.finding, verdict.printed
    why = f" Undecided: {finding.reason}." if finding.reason and finding.outcome == OPEN else ""
    return (
        Cell(f"{claim.number}. {claim.sentence} ({claim.source})"),
        Cell(claim.printed or text.DASH, rank=int(contradicted(claim))),
        Cell(finding.outcome, rank=int(verdict.decided)),
        Cell(f"{finding.evidence}{why}".strip()),
        Cell(text.DASH if printed is None else ". ".join(filter(None, (printed.outcome, _decided(printed).evidence)))),
        Cell(", ".join(claim.figures)),
    )


def _decided(finding: Finding) -> Finding:
    """The finding; an open one without its evidence, which stays in the CSV file."""
    return finding if finding.outcome in (HOLDS, FAILS) else replace(finding, evidence="")


def rules() -> list[tuple[str, str]]:
    """How the claims are tested: each rule once, behind the numbers of its claims."""
    by_rule: dict[str, list[int]] = {}
    for claim in CLAIMS:
        if claim.rule:
            by_rule.setdefault(claim.rule, []).append(claim.number)
    return [(", ".join(map(str, numbers)), rule) for rule, numbers in by_rule.items()]


def frame(verdicts: list[Verdict]) -> pd.DataFrame:
    """One line a claim."""
    lines = []
    for verdict in verdicts:
        claim = verdict.claim
        line = {"number": claim.number, "claim": claim.sentence, "source": claim.source, "paper": claim.printed}
        for suffix, finding in (("", verdict.finding), ("_printed", verdict.printed or Finding(""))):
            line |= {
                "verdict" + suffix: finding.outcome, "evidence" + suffix: finding.evidence,
                "reason" + suffix: finding.reason, "command" + suffix: finding.command,
            }  # fmt: skip
        lines.append({**line, "figures": " ".join(verdict.claim.figures), "rule": verdict.claim.rule})
    return pd.DataFrame(lines)


# -- caption ---------------------------------------------------------------------------------------


def budget(results: Results) -> str:
    """The budget that a verdict needs, and this run's share of it."""
    seen = patches(results)
    early = " and ".join(value.text for name in EARLY_GROUP if (value := paper.value(name, "best_iteration")))
    sentence = (
        f"A verdict needs {100 * SHARE:.0f} % of the paper's {paper.ITERATIONS:,} × {paper.BATCH} training patches: "
        f"the paper's text finds the two methods that converge early best after {early} iterations of 1,000k, all "
        "others later, so an order seen before is one of who learns faster at first."
    )
    if not seen or seen >= SHARE * paper.PATCHES:
        return sentence
    return (
        f"{sentence} Here each method saw {seen:,}, 1/{round(paper.PATCHES / seen):,} of the paper's: the evidence is "
        "the order observed so far, and no claim is decided."
    )


def caption(results: Results) -> list[str]:
    """Which PECL is tested, what the verdicts mean, what was resampled, and the conditions."""
    described, printed = results.row(DESCRIBED.name), results.row(PRINTED.name)
    seeds, texts = results.seeds, "text" in results.plates
    sentences = [
        f"Tested is the reading {DESCRIBED.name} of PECL: the term that the paper's text describes, with a small fixed "
        "weight, which is ours"
        + ("" if described else " (no result)")
        + f". Beside it {PRINTED.name}: Eq. 17–19 to the letter"
        + ("" if printed else " (no result)")
        + ".",
        "The paper's own numbers come first: where its Table 1 contradicts its sentence, that is said in bold.",
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
    ablation = grid.find(results, DESCRIBED.term)
    if ablation is not None and len({d for _, d in ablation.cells}) > 1:
        sentences.append(f"Claims 15 to 26: {grid.confound(ablation)}")
    return [*sentences, *conventions.marks(results)]
