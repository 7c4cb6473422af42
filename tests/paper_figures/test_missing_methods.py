"""Who is missing, and why: the table, and that it does not name who is there."""

from __future__ import annotations

from fake_plates import Lab

from paper_figures import missing_methods
from paper_figures.report import latex, markdown


def test_every_publication_has_a_reason_whatever_the_results_are() -> None:
    drawing = missing_methods.draw(Lab().add("bicubic", trained=False).results())
    body = markdown.body(drawing)
    assert "| Publication | Year | Why it is not here | What was found |" in body and "LCDNet" in body
    assert len(drawing.data) >= 8 and all(drawing.data[name].str.len().gt(1).all() for name in drawing.data)
    source = latex.document(drawing, missing_methods.NAME, missing_methods.TITLE)
    assert source.count("{") == source.count("}")
