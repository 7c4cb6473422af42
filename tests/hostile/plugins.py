"""Plug-ins that are broken, or that reach for what is not theirs, and what must come of loading one."""

from __future__ import annotations

import random
from pathlib import Path

import methods
from benchmark.cli.options import select_methods
from benchmark.config import load
from hostile.mutations import mutate

CLASS = """
from dataclasses import dataclass
from methods import Method, register

class Mine(Method):
    name, title, citation = "mine", "Mine", "nobody"
    deterministic = True

    def upscale(self, lr):
        return lr.repeat_interleave(8, -1).repeat_interleave(8, -2).clamp(0, 1)
"""
GOOD = CLASS + "\nregister(Mine)\n"

NAMES = (
    "../x", "a/b", " ", "A", ".locks", "a\x1b[31mb", "a\nb", "mine\n", "m" * 65, "m" * 300, "swinir", "table1", "packs",
    "report", "hr", "all", "data", "train", "scoring", "-m", "_m", "ünsafe", "a b", "a,b", "nul\x00",
)  # fmt: skip
"""Names no method may have: no folder of their own, a folder that means something else, or somebody's."""

BROKEN = {
    "no_syntax": "def (",
    "nothing_in_it": "\x00\x01\x02",
    "deep": "x = " + "(" * 2000 + ")" * 2000,
    "raises": GOOD + "raise RuntimeError('first line\\nsecond line')",
    "raises_nothing_sayable": GOOD + "class E(Exception):\n    def __str__(self): return 1 / 0\nraise E",
    "own_base_exception": GOOD + "class E(BaseException): pass\nraise E('\\x1b[31m')",
    "exits": GOOD + "import sys\nsys.exit(0)",
    "exits_quietly": GOOD + "raise SystemExit",
    "recurses": GOOD + "def f(): f()\nf()",
    "imports_nothing": GOOD + "import a_module_that_does_not_exist",
    "no_method": "from methods import register\nclass A: name, title, citation = 'mine', 'Mine', 'x'\nregister(A)",
    "no_class": "from methods import register\nregister(7)",
    "no_title": GOOD.replace('"Mine"', "''"),
    "title_is_a_number": GOOD.replace('"Mine"', "5"),
    "paper_parameters_are_text": CLASS + "Mine.paper_parameters = '12M'\nregister(Mine)",
    "groups_are_a_word": CLASS + "register(Mine, groups='table1')",
    "group_of_numbers": CLASS + "register(Mine, groups=(1,))",
    "group_is_all": CLASS + "register(Mine, groups=('all',))",
    "group_is_a_method": CLASS + "register(Mine, groups=('swinir',))",
    "family_is_a_section": CLASS + "Mine.family = 'train'\nregister(Mine)",
    "family_of_another": CLASS + "Mine.family = 'pecl'\nregister(Mine)",
    "options_are_no_dataclass": CLASS + "class O: pass\nMine.Options = O\nregister(Mine)",
    "pins_what_is_not_there": CLASS + "register(Mine, colour='red')",
    "another_pecl": "import methods\nmethods.register(methods.get('pecl').method, name='pecl', dimension=64)",
    **{f"name_{i}": CLASS + f"register(Mine, name={name!r})" for i, name in enumerate(NAMES)},
}
"""Source by name; none of these adds a method."""


def mutants(seed: int, count: int) -> list[bytes]:
    """A good plug-in with bytes missing, flipped or added."""
    source = random.Random(seed)
    return [mutate(GOOD.encode(), source) for _ in range(count)]


def check(path: Path) -> str:
    """Load a plug-in: ``accepted`` or ``refused``, everything else as before. The caller puts the registry back."""
    before = {name: methods.get(name) for name in methods.names()}
    methods.load_plugin(path)
    after = {name: methods.get(name) for name in methods.names()}
    assert {name: after.get(name) for name in before} == before, "a method of the benchmark's is another now"
    assert all("\n" not in reason and len(reason) <= 300 for reason in methods.unavailable().values())
    assert load("quick", ["pecl.dimension=64"]).options("pecl")["dimension"] == 64
    entries, lost = select_methods("table1,swinir", None)
    assert [entry.name for entry in entries] == methods.names("table1")[: len(entries)] and not lost
    if len(after) > len(before):
        return "accepted"
    assert methods.unavailable()
    return "refused"
