"""Several tables and their caption as one Markdown text or one LaTeX float."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.scoring.metrics import METRICS
from paper_figures.common import text
from paper_figures.common.results import Row
from paper_figures.common.tables import Table, to_latex, to_markdown


def to_page(parts: Sequence[Table], sentences: Sequence[str], picture: str = "") -> str:
    """Markdown: the picture (a file's name) if there is one, every part below its title, the caption as a list."""
    blocks = [f"![{text.markdown(parts[0].title if parts else picture)}]({picture})"] if picture else []
    blocks += [f"**{text.markdown(part.title)}**\n\n{to_markdown(part)}" for part in parts]
    blocks.append("\n".join(f"- {text.markdown(sentence)}" for sentence in sentences))
    return "\n\n".join(block.strip("\n") for block in blocks) + "\n"


def left_out(rows: Sequence[Row], metrics: Sequence[str]) -> list[str]:
    """What the mark * of :func:`paper_figures.table1.score_column` means here; nothing where it does not occur."""
    lacking = [
        f"{row.title}, {METRICS[metric].label}: {summary.lacking} of {summary.lacking + summary.n}"
        for row in rows for metric in metrics
        if (summary := row.scores.get(metric)) is not None and summary.lacking
    ]  # fmt: skip
    return [f"* plates without a number are left out: {'; '.join(lacking)}."] if lacking else []


def to_float(title: str, label: str, parts: Sequence[Table], sentences: Sequence[str]) -> str:
    """A booktabs ``table*`` for each part, so that each fits on a page; the sentences stand below the last."""
    lines = ["% needs \\usepackage{booktabs}, and \\usepackage[T1]{fontenc} with pdflatex"]
    for letter, part in zip("abcdefghij", parts, strict=False):
        lines += [
            r"\begin{table*}",
            r"\centering\scriptsize\setlength{\tabcolsep}{3pt}",
            rf"\caption{{{text.latex(title)}. {text.latex(part.title)}.}}",
            rf"\label{{tab:{label}-{letter}}}",
            to_latex(part).rstrip(),
        ]
        if part is parts[-1]:
            lines += [r"\par\smallskip\begin{minipage}{\linewidth}", text.latex(" ".join(sentences)), r"\end{minipage}"]
        lines.append(r"\end{table*}")
    return "\n".join(lines) + "\n"
