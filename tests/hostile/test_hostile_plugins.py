"""Plug-ins break only themselves. (They are programs that the user chose to run: nothing keeps one from doing harm.)"""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

import methods
from benchmark.cli import main
from hostile import plugins


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    methods.names()
    monkeypatch.setattr(methods, "_registry", dict(methods._registry))
    monkeypatch.setattr(methods, "_unavailable", {})


@pytest.mark.parametrize("name", plugins.BROKEN)
def test_a_broken_plugin_adds_nothing_and_takes_nothing(name: str, tmp_path: Path) -> None:
    file = tmp_path / f"{name}.py"
    file.write_text(plugins.BROKEN[name], encoding="utf-8", errors="surrogatepass")
    assert plugins.check(file) == "refused" and set(methods.unavailable()) == {name}


def test_mutated_plugins(tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    for i, content in enumerate(plugins.mutants(0, 60)):
        file = tmp_path / f"mutant{i}.py"
        file.write_bytes(content)
        registry = dict(methods._registry)
        seen[plugins.check(file)] += 1
        methods._registry.clear()
        methods._registry.update(registry)
        methods._unavailable.clear()
    assert seen["accepted"] > 2 and seen["refused"] > 20


def test_a_broken_file_named_like_a_method_leaves_the_method(tmp_path: Path) -> None:
    file = tmp_path / "swinir.py"
    file.write_text("1 / 0")
    assert plugins.check(file) == "refused" and str(file) in methods.unavailable()


def test_files_of_one_name_and_a_file_named_twice(tmp_path: Path) -> None:
    for folder, name in (("one", "mine"), ("other", "yours")):
        file = tmp_path / folder / "plugin.py"
        file.parent.mkdir()
        file.write_text(plugins.GOOD.replace('"mine"', f'"{name}"'))
        methods.load_plugin(file)
        methods.load_plugin(file)
    assert not methods.unavailable()
    files = {name: sys.modules[methods.get(name).method.__module__].__file__ for name in ("mine", "yours")}
    assert files == {"mine": str(tmp_path / "one/plugin.py"), "yours": str(tmp_path / "other/plugin.py")}


def test_what_is_no_python_file(tmp_path: Path) -> None:
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "words.txt").write_text("hello")
    for name in ("folder.py", "words.txt", "absent.py", "bad\udcff.py"):
        assert plugins.check(tmp_path / name) == "refused"


LOST = {
    "exits": "import sys\nsys.exit(0)",
    "cannot_be_built": plugins.GOOD.replace('"mine"', '"cannot_be_built"')
    + "\nMine.__init__ = lambda self, options=None: [][1]\n",
    "exits_in_training": plugins.GOOD.replace('"mine"', '"exits_in_training"')
    + "\nimport sys\nMine.train = lambda self, session: sys.exit(0)\n",
    "obeyed": plugins.GOOD.replace('"mine"', '"obeyed"')
    + "\ndef fail(self, lr): raise ValueError('\\x1b[31m\\u202e\\ud800')\nMine.upscale = fail\n",
}


def test_a_run_with_bad_plugins_has_the_results_of_the_others(
    tmp_path: Path, make_ccpd: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    options = []
    for name, source in LOST.items():
        (tmp_path / f"{name}.py").write_text(source)
        options += ["--plugin", str(tmp_path / f"{name}.py")]
    data = make_ccpd()

    def call(*arguments: object) -> int | str | None:
        monkeypatch.setattr(sys, "argv", ["benchmark", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main.main()
        return stop.value.code

    names = ",".join(["cannot_be_built", "exits_in_training", "obeyed", "bicubic", "exits"])
    counts = [f"--set=data.{split}_plates={n}" for split, n in (("train", 16), ("val", 4), ("test", 4))]
    code = call(
        "run", "--methods", names, *options, "--data", data, "--results", tmp_path / "r", "--ocr", "none", *counts
    )
    out, err = capfd.readouterr()
    assert code == 1, out + err
    run = tmp_path / "r" / "quick-ccpd"
    assert '"status": "complete"' in (run / "bicubic/seed0/result.json").read_text(encoding="utf-8")
    for name in ("cannot_be_built", "exits_in_training", "obeyed"):
        assert '"status": "failed"' in (run / name / "seed0/result.json").read_text(encoding="utf-8")
    assert "unavailable: exits: SystemExit" in err
    assert not {"\x1b", "\u202e"} & set(out + err)
    known = {name: methods.get(name) for name in ("bicubic", "cannot_be_built")}
    monkeypatch.setattr(methods, "_registry", known)  # to build all of them would take seconds
    monkeypatch.setattr(sys, "argv", ["benchmark", "methods"])
    with contextlib.suppress(SystemExit):
        main.main()
    out, err = capfd.readouterr()
    assert "bicubic" in out and "unavailable: cannot be built: list index out of range" in out and not err
