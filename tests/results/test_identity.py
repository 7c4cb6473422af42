"""What changes an identity, and what does not."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from whole_results import whole

import methods
from benchmark.config import Config, load
from benchmark.results import identity, source
from benchmark.results.record import Record
from benchmark.results.record_provenance import Source


def known(*assignments: str, seed: int = 0, method: str = "srcnn", fingerprint: str = "f", **external: str) -> str:
    config = load("quick", assignments)
    return identity.training_identity(methods.get(method), seed, config, fingerprint, external)


@pytest.fixture(autouse=True)
def _first_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever has risen since, here everything is of version 1."""
    for name in ("srcnn", "pecl", "pecl-euclidean-64"):
        monkeypatch.setitem(methods._registry, name, dataclasses.replace(methods.get(name), version=1))
    monkeypatch.setattr(identity, "TRAINING_VERSION", 1)
    monkeypatch.setattr(identity, "SCORING_VERSION", 1)


def record(schema: int, **changes: Any) -> Record:
    return Record.model_validate(whole(schema, **changes))


@pytest.mark.parametrize("free", ["train.threads=1", "train.seeds=3", "data.cache=elsewhere", "scoring.ocr=none"])
def test_what_changes_no_number_changes_no_identity(free: str) -> None:
    assert known() == known(free)


@pytest.mark.parametrize(
    "change",
    ["train.iterations=5", "train.batch_size=5", "train.recipe=native", "train.precision=tf32", "data.protocol=paper"],
)
def test_a_changed_field_changes_the_identity(change: str) -> None:
    assert known() != known(change)


def test_method_seed_data_and_external_weights_are_in_the_identity() -> None:
    others = [known(seed=1), known(method="espcn"), known(fingerprint="g"), known(embedder="0123")]
    assert len({known(), *others}) == 5


def test_judges_are_in_the_identity_of_the_scoring() -> None:
    judges = [{"name": "x"}, None]
    known = [identity.scoring_identity(*facts) for facts in (("f", judges), ("g", judges), ("f", judges[::-1]))]
    assert len(set(known)) == 3 and identity.scoring_identity("f", [{"name": "x"}, None]) == known[0]


def test_inference_is_in_the_identities_only_where_it_is_not_the_default() -> None:
    def scoring(*assignments: str) -> str:
        return identity.scoring_identity("f", [None], identity.scoring_settings(load("quick", assignments)))

    before = identity.scoring_identity("f", [None])
    assert scoring() == scoring("scoring.inference=plate") == scoring("scoring.samples=3") == before
    assert len({before, scoring("scoring.inference=patches"), scoring("scoring.inference=both")}) == 3
    # Patches choose other weights; both are scores of the same ones.
    assert known("scoring.inference=both") == known("scoring.inference=plate") == known()
    assert known("scoring.inference=patches") != known()
    assert identity.scoring_settings({"scoring": {"ocr": "rapid"}}) == identity.scoring_settings({}) == {}


def test_the_identity_of_the_default_is_that_of_results_stored_before_there_was_a_choice() -> None:
    parts = {"fingerprint": "f", "judges": [None, None], "version": identity.SCORING_VERSION}
    expected = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    assert identity.scoring_identity("f", [None, None], identity.scoring_settings(load("quick"))) == expected


# -- options ---------------------------------------------------------------------------------------


def test_options_of_another_family_are_not_in_the_identity() -> None:
    assert known("pecl.dimension=64") == known()
    assert known("pecl.dimension=64", method="pecl") != known(method="pecl")


def test_a_default_that_is_stated_is_still_the_default() -> None:
    assert known("pecl.dimension=128", method="pecl") == known(method="pecl")
    assert known("pecl.dimension=64", method="pecl") != known(method="pecl")


def test_an_option_that_a_registration_fixes_is_not_what_was_asked_for() -> None:
    """As a stored configuration may have it; today such a request is refused."""
    entry = methods.get("pecl-euclidean-64")
    info = whole(3, method=entry.name, family="pecl", options=entry.effective_options({"embedder_init": "random"}))
    before = today(info)
    info["config"]["methods"]["pecl"]["dimension"] = 512
    assert identity.stored_training_identity(Record.model_validate(info)) == before


def today(info: dict[str, Any]) -> str:
    """The identity of the same training if it were configured now."""
    config, entry = Config.model_validate(info["config"]), methods.get(info["method"])
    return identity.training_identity(entry, info["seed"], config, info["data"]["fingerprint"], info["ingredients"])


# -- versions --------------------------------------------------------------------------------------


@pytest.mark.parametrize("raised", ["TRAINING_VERSION", "SCORING_VERSION", "method"])
def test_a_raised_version_changes_the_identity_it_belongs_to(raised: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def identities() -> tuple[str, str]:
        return known(), identity.scoring_identity("f", [None, None])

    before = identities()
    if raised == "method":
        entry = methods.get("srcnn")
        monkeypatch.setitem(methods._registry, "srcnn", dataclasses.replace(entry, version=entry.version + 1))
    else:
        monkeypatch.setattr(identity, raised, getattr(identity, raised) + 1)
    changed = [a != b for a, b in zip(before, identities())]
    assert changed == [raised != "SCORING_VERSION", raised == "SCORING_VERSION"]


def test_source_of_this_project_is_no_part_of_an_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    before = known(), identity.scoring_identity("f", [None, None])
    monkeypatch.setattr(identity, "project_hash", lambda *modules: "another")
    assert (known(), identity.scoring_identity("f", [None, None])) == before
    assert identity.current_source("srcnn") == Source(training="another", scoring="another")


@pytest.mark.parametrize("schema", [3, 4])
def test_a_stored_result_is_what_would_be_trained_now_until_a_version_rises(
    schema: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A result of schema 3, from before versions were declared, counts as version 1."""
    info, stored = whole(schema), record(schema)
    assert identity.stored_training_identity(stored) == today(info) and not identity.is_stale(stored)
    monkeypatch.setattr(identity, "SCORING_VERSION", 2)
    assert identity.stored_training_identity(stored) == today(info)  # scored anew, not trained
    monkeypatch.setattr(identity, "TRAINING_VERSION", 2)
    assert identity.stored_training_identity(stored) not in ("", today(info)) and identity.is_stale(stored)


@pytest.mark.parametrize("schema", [3, 4])
@pytest.mark.parametrize("method", ["srcnn", "hr"])
def test_stored_scores_are_what_would_be_scored_now_until_the_version_rises(
    schema: int, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = {"versions": {"scoring": 1}} if (schema, method) == (4, "hr") else {}
    info, stored = whole(schema, method=method, **versions), record(schema, method=method, **versions)

    def now() -> str:
        return identity.scoring_identity(info["data"]["fingerprint"], [info["judge"], info["second_judge"]])

    assert identity.stored_scoring_identity(stored) == now() and not identity.is_stale(stored)
    monkeypatch.setattr(identity, "SCORING_VERSION", 2)
    assert identity.stored_scoring_identity(stored) not in ("", now()) and identity.is_stale(stored)


@pytest.mark.parametrize("schema", [3, 4])
def test_a_field_or_option_that_has_been_added_since_has_its_default(schema: int) -> None:
    options = methods.get("pecl").effective_options({"embedder_init": "random"})
    info = whole(schema, method="pecl", family="pecl", options={k: v for k, v in options.items() if k != "margin"})
    before = identity.stored_training_identity(Record.model_validate(info))
    info["config"]["train"]["warmup"], info["options"]["margin"] = 0, options["margin"]
    assert identity.stored_training_identity(Record.model_validate(info)) == before == today(info)
    info["options"]["margin"] += 1.0
    assert identity.stored_training_identity(Record.model_validate(info)) != before


@pytest.mark.parametrize("schema", [1, 2])
def test_what_is_older_still_is_computed_anew(schema: int) -> None:
    stored = record(schema)
    assert identity.stored_training_identity(stored) == identity.stored_scoring_identity(stored) == ""
    assert identity.is_stale(stored)


def test_a_result_of_options_that_are_no_more_is_computed_anew() -> None:
    assert identity.stored_training_identity(record(4, options={"gone": 1})) != today(whole())


# -- plug-ins --------------------------------------------------------------------------------------

PLUGIN = """
from methods import Method, register
{imports}

@register
class Mine(Method):
    name, title, citation = "mine", "Mine", "nobody"

    def upscale(self, lr):
        return lr.repeat_interleave(8, -1).repeat_interleave(8, -2)
"""


class Plugin:
    """A plug-in in a folder on the path, loaded as a new process would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, content: str | bytes) -> None:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    def identity(self) -> str:
        forget(self.folder)
        methods.load_plugin(self.folder / "my_method.py")
        assert "mine" in methods.names(), methods.unavailable()
        return known(method="mine")


def forget(folder: Path) -> None:
    for cached in (source.project_hash, source.plugin_hash, source._file, source._read):
        cached.cache_clear()
    for name, module in list(sys.modules.items()):
        if str(folder) in f"{vars(module).get('__file__')} {vars(module).get('__path__')}":
            del sys.modules[name]
    for file in folder.rglob("*.pyc"):  # two edits within one second have the same time stamp
        file.unlink()
    importlib.invalidate_caches()
    methods._registry.pop("mine", None)
    methods._unavailable.clear()


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plugin]:
    methods.names()
    monkeypatch.syspath_prepend(str(tmp_path))
    yield Plugin(tmp_path)
    forget(tmp_path)


def test_the_source_of_a_plugin_is_in_its_identity_as_parsed(plugin: Plugin) -> None:
    plugin.write("my_method.py", PLUGIN.format(imports=""))
    before = plugin.identity()
    plugin.write("my_method.py", '"""Doc."""\n# A comment\n' + PLUGIN.format(imports=""))
    assert plugin.identity() == before
    plugin.write("my_method.py", PLUGIN.format(imports="").replace("8, -1", "8, -1 "))
    assert plugin.identity() == before
    plugin.write("my_method.py", PLUGIN.format(imports="VALUE = 2"))
    assert plugin.identity() != before
    assert known(method="srcnn") == known()


HELPERS: dict[str, tuple[str, dict[str, str], str]] = {
    "a module beside it": ("import my_blocks", {}, "my_blocks.py"),
    "a name of a module": ("from my_blocks import body", {}, "my_blocks.py"),
    "a helper of a helper": ("import first", {"first.py": "def later():\n    import my_blocks\n"}, "my_blocks.py"),
    "a module of a package": ("from pack.inner import blocks", {"pack/inner/__init__.py": ""}, "pack/inner/blocks.py"),
    "a package's own file": ("import pack.blocks", {"pack/blocks.py": "x = 1"}, "pack/__init__.py"),
    "a relative import": ("import pack.blocks", {"pack/__init__.py": "", "pack/blocks.py": "from .deep import body"},
                          "pack/deep.py"),
    "a folder without a file of its own": ("import space.blocks", {}, "space/blocks.py"),
    "in a function": ("def later():\n    import my_blocks\n", {}, "my_blocks.py"),
    "in a function, of a package": ("def later():\n    from pack import blocks\n", {"pack/__init__.py": ""},
                                    "pack/blocks.py"),
    "by name": ("import importlib\nblocks = importlib.import_module('my_blocks')", {}, "my_blocks.py"),
    "by a path": ("import sys, pathlib\nsys.path.insert(0, str(pathlib.Path(__file__).parent / 'lib'))\nimport deep",
                  {}, "lib/deep.py"),
}  # fmt: skip


@pytest.mark.parametrize("name", HELPERS)
def test_a_changed_helper_of_a_plugin_changes_the_identity(
    name: str, plugin: Plugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    imports, others, helper = HELPERS[name]
    plugin.write("my_method.py", PLUGIN.format(imports=imports))
    for file, content in others.items():
        plugin.write(file, content)
    plugin.write(helper, "def body():\n    return 3\n")
    before = plugin.identity()
    plugin.write(helper, "def body():  # the same\n    return (3)\n")
    assert plugin.identity() == before
    plugin.write(helper, "def body():\n    return 5\n")
    assert plugin.identity() != before


def test_installed_packages_and_this_project_are_no_helpers(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin.write("my_method.py", PLUGIN.format(imports="import json, timm, installed, benchmark.config"))
    plugin.write("site-packages/installed.py", "x = 1")
    monkeypatch.syspath_prepend(str(plugin.folder / "site-packages"))
    before = plugin.identity()
    plugin.write("site-packages/installed.py", "x = 2")
    assert plugin.identity() == before


ENCODINGS: dict[str, bytes] = {
    "byte order mark": b"\xef\xbb\xbf" + PLUGIN.format(imports="# 车牌").encode(),
    "coding line": b"# -*- coding: gbk -*-\n" + PLUGIN.format(imports="NOTE = '车牌'").encode("gbk"),
    "latin-1": b"# coding: latin-1\n" + PLUGIN.format(imports="NOTE = 'é'").encode("latin-1"),
    "Windows line ends": PLUGIN.format(imports="NOTE = 1").replace("\n", "\r\n").encode(),
}


@pytest.mark.parametrize("name", ENCODINGS)
@pytest.mark.parametrize("place", ["my_method.py", "my_blocks.py"])
def test_source_is_read_as_python_reads_it(name: str, place: str, plugin: Plugin) -> None:
    plugin.write("my_method.py", PLUGIN.format(imports="import my_blocks"))
    content = ENCODINGS[name] if place == "my_method.py" else ENCODINGS[name].partition(b"@register")[0]
    plugin.write(place, content)
    assert len(plugin.identity()) == 64


@pytest.mark.parametrize("content", [b"\x00\x01", b"def (", b"\xff\xfe", b"x = " + b"(" * 999 + b")" * 999])
def test_a_helper_that_is_no_python_counts_by_its_bytes(content: bytes, plugin: Plugin) -> None:
    plugin.write("my_method.py", PLUGIN.format(imports="try:\n    import my_blocks\nexcept BaseException:\n    pass"))
    plugin.write("my_blocks.py", content)
    before = plugin.identity()
    plugin.write("my_blocks.py", content + b"\n\x00")
    assert plugin.identity() != before


def test_a_plugins_result_from_before_versions_is_computed_anew(plugin: Plugin) -> None:
    plugin.write("my_method.py", PLUGIN.format(imports=""))
    plugin.identity()
    stored = record(3, method="mine")
    assert identity.stored_training_identity(stored) == "" and identity.is_stale(stored)
    now = identity.current_versions("mine")
    assert now is not None
    stored = record(4, method="mine", versions=now.as_dict())
    assert not identity.is_stale(stored)


# -- provenance ------------------------------------------------------------------------------------


def test_training_and_scoring_have_sources_of_their_own() -> None:
    def modules(*start: str) -> set[str]:
        seen: set[str] = set()

        def belongs(name: str, path: Path) -> bool:
            seen.add(name)
            return source.of_project(name)

        source._digest(start, belongs)
        return {name for name in seen if source.of_project(name)}

    training, scoring = modules("methods.pecl", "benchmark.training.trainer"), modules("benchmark.scoring.plate_scores")
    assert {"methods.base", "benchmark.training.session", "benchmark.data.degradation"} <= training
    assert {"benchmark.scoring.metrics", "benchmark.scoring.no_reference", "benchmark.ocr.reading"} <= scoring
    assert not training & {"methods.swinir", "benchmark.scoring.metrics", "benchmark.runner.scheduler"}
    assert not scoring & {"methods.pecl", "benchmark.training.session", "benchmark.results.provenance"}
