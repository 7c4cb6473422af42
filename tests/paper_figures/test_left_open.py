"""What the paper leaves open: the table, and the options it names."""

from __future__ import annotations

import re
from pathlib import Path

from fake_plates import Lab

import methods
from benchmark import config
from paper_figures import left_open
from paper_figures.report import latex, markdown


def test_the_table_does_not_depend_on_results() -> None:
    drawing = left_open.draw(Lab().add("bicubic", trained=False).results())
    body = markdown.body(drawing)
    assert "| The paper does not state | Here | Changed by |" in body
    assert len(drawing.data) >= 25 and all(drawing.data[name].str.len().gt(1).all() for name in drawing.data)
    source = latex.document(drawing, "left_open", left_open.TITLE)
    assert source.count("{") == source.count("}") and "-{}-set data.protocol=paper" in source


def test_every_option_that_is_named_exists() -> None:
    named = " ".join(left_open.items()["option"])
    settings = re.findall(r"--set ([a-z_]+\.[a-z_]+)(?:=([a-z0-9_-]+))?", named)
    assert len(settings) > 8
    for path, value in settings:
        section, field = path.split(".")
        if section in methods.names():
            assert field in set(vars(methods.get(section).create().options)), path
            assert value == "" or methods.get(section).create({field: int(value) if value.isdigit() else value})
        else:
            assert field in type(getattr(config.Config(), section)).model_fields, path
            assert value == "" or config.load("quick", [f"{path}={value}"])
    for listed in re.findall(r"--methods ([a-z0-9-]+(?:, pecl[a-z0-9-]*)*)", named):
        assert set(listed.split(", ")) <= set(methods.names()), listed


def test_nothing_is_attributed_that_the_paper_does_not_say() -> None:
    root = Path(left_open.__file__).parents[1]
    files = [*root.glob("*.md"), *(f for room in ("benchmark", "methods", "paper_figures") for f in
             (root / room).rglob("*") if f.suffix in (".py", ".md", ".csv", ".toml", ".jinja"))]  # fmt: skip
    said = " ".join(" ".join(file.read_text(encoding="utf-8").split()) for file in files)
    for claim in ("as the paper did", "the paper's random split", "the paper selected its weights", "read off the plot",
                  "stated for the paper's own method", "Michelson"):  # fmt: skip
        assert claim not in said, claim
