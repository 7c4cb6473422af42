"""Bundles from strangers: every one that is not as a bundle must be is refused with one line, and leaves nothing."""

from __future__ import annotations

import os
import random
import struct
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.results import bundle_reading
from benchmark.results.bundle import MANIFEST
from benchmark.results.bundle_reading import opened
from benchmark.results.bundle_writing import write_bundle
from benchmark.results.store import Run
from benchmark.util.errors import UserError
from hostile.bundles import Members, listed, members_of, pack, record
from hostile.limits import within
from hostile.mutations import mutate

REFERENCE = Path(__file__).parents[2] / "results" / "reference" / "quick-synthetic"
ROW = "bicubic/seed0"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles")
    for name in ("bicubic", "espcn"):
        for file in (REFERENCE / name / "seed0").iterdir():
            place = folder / "run" / name / "seed0" / file.name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(file.read_bytes())
    write_bundle(Run(folder / "run"), folder / "good.zip")
    return folder / "good.zip"


def refusal(file: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The one line with which a file is refused; nothing of it stays anywhere."""
    place = file.parent / f"temporary-{file.name}"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    before = sorted(file.parent.iterdir())
    with within(30), pytest.raises(UserError) as refused, opened(file):
        pass
    assert not list(place.iterdir()) and sorted(file.parent.iterdir()) == before
    assert "\n" not in str(refused.value) and str(file) in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"PK\x03\x04", b"PK\x05\x06" + b"\0" * 18, b"\x1f\x8b" + b"\0" * 40]
)
def test_what_is_no_bundle_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    (tmp_path / "x.zip").write_bytes(content)
    assert "cannot be used as a bundle" in refusal(tmp_path / "x.zip", monkeypatch)


def test_links_pipes_folders_and_absent_files_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, good: Path
) -> None:
    (tmp_path / "link.zip").symlink_to(good)
    os.mkfifo(tmp_path / "pipe.zip")
    (tmp_path / "folder.zip").mkdir()
    assert "it is a symbolic link" in refusal(tmp_path / "link.zip", monkeypatch)
    assert "it is not an ordinary file" in refusal(tmp_path / "pipe.zip", monkeypatch)
    assert "it is not an ordinary file" in refusal(tmp_path / "folder.zip", monkeypatch)
    assert "there is no such file" in refusal(tmp_path / "absent.zip", monkeypatch)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9, 0.999])
def test_a_bundle_that_is_cut_off_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, good: Path, share: float
) -> None:
    content = good.read_bytes()
    (tmp_path / "cut.zip").write_bytes(content[: int(share * len(content))])
    assert "is not a ZIP file, or is damaged" in refusal(tmp_path / "cut.zip", monkeypatch)


@pytest.mark.parametrize(
    "name",
    ["../evil", "/etc/evil", "bicubic/../../evil", "bicubic/seed0/../../../plates.csv", "..\\evil", "bicubic\\seed0",
     "bicubic/seed0/weights.safetensors", "bicubic/seed00/plates.csv", "-/seed0/plates.csv", "CON:/seed0/plates.csv",
     "bicubic/seed0/", "bicubic/seed0/samples/0001.png", "evil\n", "\x1b[31m", "x" * 5000],
)  # fmt: skip
def test_other_names_than_those_of_a_bundle_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, good: Path, name: str
) -> None:
    file = pack(tmp_path / "names.zip", listed({**members_of(good), name: b"evil"}))
    line = refusal(file, monkeypatch)
    assert "is none that a bundle has" in line and "\x1b" not in line and len(line) < 400


def test_links_inside_and_members_of_one_name_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, good: Path
) -> None:
    members = members_of(good)
    link = pack(tmp_path / "link.zip", members, links=(f"{ROW}/plates.csv",))
    assert "is not an ordinary file" in refusal(link, monkeypatch)
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(tmp_path / "twice.zip", "w") as made:
        for _ in range(2):
            made.writestr(MANIFEST, b"{}")
    assert "two members of one name" in refusal(tmp_path / "twice.zip", monkeypatch)


def test_bombs_are_refused_before_they_are_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, good: Path
) -> None:
    members = members_of(good)
    bomb = pack(tmp_path / "bomb.zip", {**members, f"{ROW}/history.csv": bytes(bundle_reading.LONGEST_MEMBER + 1)})
    assert bomb.stat().st_size < 1_000_000 and "is longer than" in refusal(bomb, monkeypatch)
    many = {f"m{i}/seed0/plates.csv": b"" for i in range(bundle_reading.MOST_MEMBERS + 1)}
    assert "members, more than" in refusal(pack(tmp_path / "many.zip", many), monkeypatch)
    monkeypatch.setattr(bundle_reading, "LONGEST_CONTENT", 10_000)
    assert "its content is longer than" in refusal(pack(tmp_path / "sum.zip", members), monkeypatch)
    monkeypatch.setattr(bundle_reading, "LONGEST_BUNDLE", 10_000)
    assert "it is larger than" in refusal(pack(tmp_path / "file.zip", members), monkeypatch)


def test_a_bomb_that_says_it_is_small_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, good: Path) -> None:
    file = pack(tmp_path / "small.zip", {**members_of(good), f"{ROW}/history.csv": bytes(3_000_000)})
    size = struct.pack("<I", 3_000_000)
    assert file.read_bytes().count(size) == 2
    file.write_bytes(file.read_bytes().replace(size, struct.pack("<I", 10)))
    assert "is not a ZIP file, or is damaged" in refusal(file, monkeypatch)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda m: {**m, f"{ROW}/plates.csv": m[f"{ROW}/plates.csv"] + b"1\n"}, "is not as its manifest.json says"),
        (lambda m: listed({**m, f"{ROW}/plates.csv": m[f"{ROW}/plates.csv"] + b"1\n"}), "is not as result.json says"),
        (lambda m: {k: v for k, v in m.items() if k != f"{ROW}/plates.csv"}, "is only in the file or only in its"),
        (lambda m: listed({k: v for k, v in m.items() if k != f"{ROW}/result.json"}), "tables without one"),
        (lambda m: {k: v for k, v in m.items() if k != MANIFEST}, "it has no manifest.json"),
        (lambda m: {**m, MANIFEST: b"{"}, "manifest.json: "),
        (lambda m: {**m, MANIFEST: b"\xff"}, "manifest.json: "),
        (lambda m: {**m, MANIFEST: b"[" * 100_000}, "manifest.json: "),
        (lambda m: {**m, MANIFEST: b"[]"}, "manifest.json: "),
        (lambda m: listed(m, run=["x"]), "manifest.json: run: "),
        (lambda m: listed(m, bundle=2), "a newer version of this benchmark wrote it (form 2)"),
        (lambda m: listed(m, bundle=0), "its form is 0, not 1"),
        (lambda m: listed(m, protocol_identity="0" * 64), "is of another protocol than its manifest.json says"),
        (lambda m: record(m, ROW, lambda info: info.update(schema=99)), "a newer version of this benchmark wrote it"),
        (lambda m: record(m, ROW, lambda info: info.update(schema=2)), "recorded too little"),
        (lambda m: record(m, ROW, lambda info: info.update(seed=3)), "which is not the folder it is in"),
        (lambda m: record(m, ROW, lambda info: info.pop("scores")), "does not fit its schema"),
        (lambda m: record(m, ROW, lambda info: info["data"].update(fingerprint="other")), "is of another protocol"),
        (lambda m: record(m, ROW, lambda info: info.update(status="failed", error={"type": "E", "message": "m"})),
         "is a failure"),
        (lambda m: record({**m, f"{ROW}/plates.csv": b"index,name,psnr\n0,x.jpg,20\n"}, ROW, lambda info: None),
         "has the column 'name', which a bundle leaves out"),
        (lambda m: listed({MANIFEST: m[MANIFEST]}), "it holds no result"),
    ],
)  # fmt: skip
def test_what_does_not_fit_its_manifest_or_schema_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, good: Path, change: Callable[[Members], Members], line: str
) -> None:
    assert line in refusal(pack(tmp_path / "changed.zip", change(members_of(good))), monkeypatch)


def test_spoilt_bytes_are_refused_or_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, good: Path
) -> None:
    source, refused = random.Random(0), 0
    content, members = good.read_bytes(), members_of(good)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for number in range(40):
        file = tmp_path / f"{number}.zip"
        file.write_bytes(mutate(content, source))
        try:
            with within(30), opened(file) as (run, _):
                files = (path for path in run.folder.rglob("*") if path.is_file())
                assert {str(p.relative_to(run.folder)): p.read_bytes() for p in files}.items() <= members.items()
        except UserError as error:
            assert "\n" not in str(error)
            refused += 1
        assert {path.suffix for path in tmp_path.iterdir()} == {".zip"}
    assert refused > 20


@pytest.mark.parametrize("name", ["...zip", ".zip", "...bundle.zip", "a b 车牌.zip", "-x.zip"])
def test_a_bundle_may_be_called_anything(tmp_path: Path, good: Path, name: str) -> None:
    (tmp_path / name).write_bytes(good.read_bytes())
    with opened(tmp_path / name) as (run, _):
        assert len(run.results()) == 2 and run.folder.parent.name == "bundle"
