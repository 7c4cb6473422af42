"""The table of the README: from the committed reference run, never typed.

``python tests/reference_table.py --write`` puts it there anew.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
REFERENCES = ROOT / "results" / "reference"
REFERENCE = REFERENCES / "quick-synthetic"
BEGIN, END = "<!-- from results/reference/quick-synthetic -->\n", "<!-- end -->\n"


def table() -> str:
    """Markdown: PSNR, the paper's, SSIM, plates read by either judge, seeds; a row a method, as in Table 1."""
    rows = pd.read_csv(REFERENCE / "report" / "table1.csv")
    lines = [
        "| method | parameters | PSNR (dB) | in the paper | SSIM | plates read | by the second engine | seeds |",
        "|:---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows.itertuples():
        cells = [
            row.title,
            f"{row.parameters:,.0f}" if row.parameters > 0 else "–",
            f"{row.psnr_median:.2f} ± {row.psnr_sd:.2f}" if row.psnr_sd > 0 else "exact",
            f"{row.psnr_paper:.2f}" if row.psnr_paper > 0 else "–",
            f"{row.ssim_median:.3f}",
            f"{row.plate_correct_mean:.0%}",
            f"{row.plate_correct_second_mean:.0%}",
            f"{len(str(row.seeds).split())}" if row.parameters > 0 else "–",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def written(readme: str) -> str:
    """The table that is in the README."""
    return readme.partition(BEGIN)[2].partition(END)[0]


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit(__doc__)
    before, _, rest = (ROOT / "README.md").read_text(encoding="utf-8").partition(BEGIN)
    (ROOT / "README.md").write_text(before + BEGIN + table() + END + rest.partition(END)[2], encoding="utf-8")
