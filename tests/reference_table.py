"""What pages show of the committed reference runs: from their results, never typed.

``python tests/reference_table.py --write`` puts it there anew, between ``<!-- from results/reference/NAME -->`` and
``<!-- end -->``.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from benchmark.results.find_runs import find_run
from benchmark.scoring.metrics import SECOND
from paper_figures import claims, table1
from paper_figures.common import paper, text
from paper_figures.common.confidence import confidently_wrong, wilson
from paper_figures.common.loading import load
from paper_figures.common.results import Results, Row

ROOT = Path(__file__).resolve().parents[1]
REFERENCES = ROOT / "results" / "reference"
RUNS = sorted(file.parent.parent.parent for file in REFERENCES.glob("*/hr/seed0/result.json"))
PAGES = (ROOT / "README.md",)
_SHOWN = re.compile(r"(?<=<!-- from results/reference/)([\w-]+)( -->\n)(.*?)(?=<!-- end -->)", re.DOTALL)
_HEADINGS = ("method", "parameters", "PSNR (dB)", "in the paper", "plates read (%)", "by the second engine (%)",
             "confidently wrong (%)", "seeds")  # fmt: skip


def shown(name: str) -> str:
    """Markdown: a row a method as in Table 1, then what it cost and what it says of the claims."""
    results = load(find_run(REFERENCES, name), allow_mixed=False)
    bound = [row for row in results.rows if row.is_bound]
    lines = [_HEADINGS, [":---"] + ["---:"] * (len(_HEADINGS) - 1)]
    lines += [_cells(results, row) for row in [*table1.rows_of(results), *bound]]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{table}\n\n{_conditions(results)} {_verdicts(results)}\n"


def _cells(results: Results, row: Row) -> list[str]:
    stated = paper.value(row.name, "psnr")
    return [
        row.title,
        f"{row.parameters:,}" if row.parameters else text.DASH,
        "exact" if row.is_bound else _interval(results, row, "psnr", 2),
        stated.text if stated else text.DASH,
        *(_interval(results, row, metric, 1) for metric in ("plate_correct", "plate_correct" + SECOND)),
        _wrong(results, row),
        str(len(row.seeds)) if row.trained else text.DASH,
    ]


def _interval(results: Results, row: Row, metric: str, digits: int) -> str:
    found = results.interval(row, metric, "median" if metric == "psnr" else "mean")
    scale = 1.0 if metric == "psnr" else 100.0
    return _bracketed(scale * found.value, scale * found.low, scale * found.high, digits)


def _bracketed(value: float, low: float, high: float, digits: int = 1) -> str:
    return f"{text.number(value, digits)} [{text.number(low, digits)}, {text.number(high, digits)}]"


def _wrong(results: Results, row: Row) -> str:
    plates = results.plates_of(row)
    value = confidently_wrong(plates["confidence"], plates["plate_correct"])
    low, high = wilson(value, plates["text"].nunique())
    return _bracketed(100 * value, 100 * low, 100 * high)


def _conditions(results: Results) -> str:
    trained = [record for record in results.records if record.parameters]
    hours = sum(record.clocks.get("total", 0.0) for record in results.records) / 3600
    return f"{text.plural(len(trained), 'training')}, {hours:.1f} hours of one thread."


def _verdicts(results: Results) -> str:
    verdicts = claims.draw(results).data["verdict"].value_counts()
    return (
        "Of the paper's thirty claims: " + ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items()) + "."
    )


def written(page: str) -> dict[str, str]:
    """What stands on a page, by run."""
    return {name: content for name, _, content in _SHOWN.findall(page)}


def main() -> None:
    for page in PAGES:
        before = page.read_text(encoding="utf-8")
        page.write_text(_SHOWN.sub(lambda found: found[1] + found[2] + shown(found[1]), before), encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit(__doc__)
    main()
