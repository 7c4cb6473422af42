"""What is the user's own below a data folder: links, hidden folders, and what this program wrote."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import plate_name
from fake_results import METHODS
from fake_results import write as write_fake
from PIL import Image
from whole_results import whole

from benchmark.config import load
from benchmark.data import pack
from benchmark.data.folders import HIDDEN, LINK, MANIFEST, OURS, TWICE, left_out
from benchmark.data.picture_files import UPSCALED, upscaled_mark
from benchmark.data.pictures import scan
from benchmark.data.splits import Counts
from benchmark.data.synthetic.generator import synthesize
from benchmark.data.verify import verify, verify_names
from benchmark.results.identity import identity_fields
from benchmark.results.store import write_result
from benchmark.util.errors import UserError

COUNTS = Counts(16, 4, 4)


def paths(folder: Path, **options: bool) -> list[str]:
    return [source.path for source in scan(folder, **options)[0]]


@pytest.mark.parametrize("depth", ["", "a/", "a/b/c/"])
def test_what_the_program_wrote_is_left_out_wherever_it_lies(
    make_ccpd: Callable[..., Path], tmp_path: Path, depth: str
) -> None:
    folder = make_ccpd()
    own = paths(folder)
    below = folder / depth
    below.mkdir(parents=True, exist_ok=True)
    drawn = synthesize(below / "results" / "packs" / "synthetic-v1-30-seed0", 30, 0, workers=1)
    made = pack.prepare(drawn, below / "packs", counts=COUNTS, say=lambda line: None).folder
    result = below / "results" / "run" / "espcn" / "seed0"
    result.mkdir(parents=True)
    write_result(result, whole())
    shutil.copytree(folder / "ccpd_base", result / "samples")
    shutil.copytree(folder / "ccpd_base", below / "results" / "run" / "report")
    for page in ("report.md", "report.html"):
        (below / "results" / "run" / "report" / page).write_text("")
    sources, odd = scan(folder)
    assert [source.path for source in sources] == own
    expected = {drawn, made, result, below / "results" / "run" / "report"}
    assert dict(odd) == {path.relative_to(folder).as_posix(): OURS for path in expected}
    said: list[str] = []
    pack.prepare(folder, tmp_path / "packs", counts=COUNTS, say=said.append)
    pack.prepare(folder, tmp_path / "packs", counts=COUNTS, say=said.append)  # told of a pack that is there, too
    lines = [line for line in said if line.startswith(f"left out as {OURS}: ")]
    assert len(lines) == 2 and lines[0].endswith(" and 1 more")
    facts = verify(folder, COUNTS)
    assert facts["images"] == len(own) and set(facts["subsets"]) == {"ccpd_base"}
    assert len(facts["folders_left_out"]) == 4


def test_a_folder_of_the_program_that_is_named_is_read(tmp_path: Path) -> None:
    drawn = synthesize(tmp_path / "drawn", 12, 0, workers=1)
    assert len(paths(drawn)) == 12 and (drawn / MANIFEST).is_file()
    with pytest.raises(UserError, match="a folder that this program wrote"):
        scan(tmp_path)


def test_another_programs_result_file_hides_no_plates(make_ccpd: Callable[..., Path]) -> None:
    folder = make_ccpd()
    for content in ("{}", "[1]", '{"method": "yolo"}', "no json", "\xff"):
        (folder / "ccpd_base" / "result.json").write_text(content, encoding="latin-1")
        assert len(paths(folder)) == 24


def test_a_fake_result_is_told_from_its_content(make_ccpd: Callable[..., Path]) -> None:
    folder = make_ccpd()
    write_fake(folder / "run", METHODS[0])
    assert OURS in dict(scan(folder)[1]).values()


@pytest.mark.parametrize(
    "name", [".snapshot", ".Trash-1000", ".cache", "$RECYCLE.BIN", "lost+found", "@eaDir", "__MACOSX"]
)
@pytest.mark.parametrize("depth", ["", "deep/er/"])
def test_hidden_and_system_folders_are_left_out(make_ccpd: Callable[..., Path], name: str, depth: str) -> None:
    folder = make_ccpd()
    shutil.copytree(folder / "ccpd_base", folder / depth / name / "ccpd_base")
    sources, odd = scan(folder)
    assert len(sources) == 24 and odd == [(f"{depth}{name}", HIDDEN)]
    assert len(paths(folder / depth / name)) == 24  # who names it means it


def test_upscaled_pictures_are_no_photographs(make_ccpd: Callable[..., Path]) -> None:
    folder = make_ccpd()
    for kind, mark in (("ours", upscaled_mark()), ("theirs", None)):
        (folder / kind).mkdir()
        image = Image.new("RGB", (152, 88), (9, 99, 9))
        image.save(folder / kind / plate_name("皖A77777", (12, 12, 140, 76)).replace(".jpg", ".png"), pnginfo=mark)
    sources, odd = scan(folder)
    assert len(sources) == 25 and [reason for _, reason in odd] == [UPSCALED]


def test_linked_sub_sets_are_said_and_followed_on_demand(make_ccpd: Callable[..., Path], tmp_path: Path) -> None:
    folder, other = make_ccpd(), make_ccpd(10, "other", highest=120)
    (folder / "ccpd_blur").symlink_to(other / "ccpd_base")
    (folder / "again").symlink_to(other / "ccpd_base")
    (folder / "round").symlink_to(folder)
    file = plate_name("皖A77777", (12, 12, 140, 76))
    (folder / file).symlink_to(next((other / "ccpd_base").iterdir()))
    sources, odd = scan(folder)
    assert len(sources) == 24
    assert dict(odd) == {
        **dict.fromkeys(("again", "ccpd_blur", "round"), LINK),
        file: "a symbolic link out of the data folder: not followed",
    }
    assert "--follow-links" in (left_out(LINK) or "")
    sources, odd = scan(folder, follow_links=True)
    assert len(sources) == 35 and dict(odd) == {"ccpd_blur": TWICE, "round": TWICE}
    said: list[str] = []
    packed = {
        follow: pack.prepare(
            folder, tmp_path / "p", counts=Counts(50, 1, 1), protocol="paper", follow_links=follow, say=said.append
        )
        for follow in (False, True)
    }
    assert [len(plates) for plates in packed.values()] == [24, 35]
    assert any("ccpd_blur" in line and "--follow-links takes it in" in line for line in said)
    assert verify_names(folder, COUNTS)["images"] == 25
    assert verify_names(folder, COUNTS, follow_links=True)["images"] == 35


def test_following_links_is_no_part_of_a_results_identity() -> None:
    plain, followed = load("quick"), load("quick", ["data.follow_links=true"])
    assert followed.data.follow_links and identity_fields(plain) == identity_fields(followed)
    json.dumps(followed.model_dump(mode="json"))
