"""Lists of plates (``plates.csv``) beside pictures of any country."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from plate_lists import draw_plate, latin_text, make_plates, write_list
from typer.testing import CliRunner

from benchmark.cli.main import app
from benchmark.data import pack
from benchmark.data.manifest import to_csv
from benchmark.data.pictures import scan
from benchmark.data.plates import Plates
from benchmark.data.splits import Counts, assign
from benchmark.data.texts import alphabets, normalise
from benchmark.util.errors import UserError

COUNTS = Counts(16, 4, 4)


def prepare(folder: Path, cache: Path, counts: Counts = COUNTS) -> tuple[Plates, list[str]]:
    said: list[str] = []
    return pack.prepare(folder, cache, counts=counts, say=said.append), said


def faults(folder: Path) -> list[str]:
    """What is wrong with a list, line by line, as ``data verify --json`` lists it."""
    result = CliRunner().invoke(app, ["data", "verify", str(folder), "--json"])
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["unparsable"]
    return [f"{row['file']}: {row['reason']}" for row in rows if not row["reason"].startswith("note: ")]


def test_a_list_gives_plates_as_ccpd_names_do(tmp_path: Path) -> None:
    folder = make_plates(tmp_path / "french")
    plates, said = prepare(folder, tmp_path / "packs")
    assert plates.info["splits"] == {"train": 16, "val": 4, "test": 4} and plates.info["skipped"] == 0
    assert {plate.text for plate in plates} == {latin_text(i).replace("-", "") for i in range(24)}
    for plate in plates:
        np.testing.assert_array_equal(plate.hr, np.asarray(Image.open(folder / plate.name))[16:80, 16:208])
        np.testing.assert_array_equal(plate.vertices, [(192, 64), (0, 64), (0, 0), (192, 0)])
    assert said == ["plates.csv: 24 plates in 24 pictures"]


def test_a_changed_text_or_box_makes_another_pack_and_the_same_list_finds_its_own(tmp_path: Path) -> None:
    folder = make_plates(tmp_path / "french")
    first, _ = prepare(folder, tmp_path / "packs")
    assert prepare(folder, tmp_path / "packs")[0].folder == first.folder
    listed = (folder / "plates.csv").read_text()
    (folder / "plates.csv").write_text(listed.replace(latin_text(3), "ZZ-999-ZZ"))
    assert prepare(folder, tmp_path / "packs")[0].fingerprint != first.fingerprint
    (folder / "plates.csv").write_text(listed.replace("16 16 208 80", "16 16 200 80"))
    assert prepare(folder, tmp_path / "packs")[0].fingerprint != first.fingerprint


def test_without_box_and_corners_the_picture_is_the_plate_and_corners_alone_give_the_box(tmp_path: Path) -> None:
    rows = []
    for i in range(12):
        draw_plate(latin_text(i), i, (196, 70)).save(tmp_path / f"{i}.png")
        rows.append({"file": f"{i}.png", "text": latin_text(i), "corners": "4,2 190,4 188.5,66 3,64" if i % 2 else ""})
    plates, _ = prepare(write_list(tmp_path, rows), tmp_path / "packs", Counts(4, 4, 4))
    for plate in plates:
        assert plate.hr.shape == (64, 192, 3)
    whole = next(plate for plate in plates if int(plate.name[:-4]) % 2 == 0)
    np.testing.assert_array_equal(whole.vertices, [(192, 64), (0, 64), (0, 0), (192, 0)])
    cornered = next(plate for plate in plates if int(plate.name[:-4]) % 2)
    along = cornered.vertices - cornered.vertices[2]
    np.testing.assert_array_equal(along, [(184.5, 64), (-1, 62), (0, 0), (186, 2)])


def test_verify_lists_every_line_that_cannot_be_used_and_loses_nothing(tmp_path: Path) -> None:
    folder = make_plates(tmp_path / "french")
    good = "pictures/car 000.png"
    bad = {
        "pictures/gone.png,AA-001-AA,,": "there is no such file",
        f"{good},AB-123-CD,16 16 208 80,": "the same plate as in line 2",
        f"{good},AB-123-CD,50 50 20 80,": "is empty",
        f"{good},AB-123-CD,1 2 3,": "box takes 4 numbers",
        f"{good},AB-123-CD,,1 1 50 50 50 1 1 50": "crossed, or not clockwise",
        f"{good},AB-123-CD,,1 1 50": "corners takes 8 numbers",
        f"{good},---,,": "neither letter nor digit",
        ",AB-123-CD,,": "names no file",
        "/etc/passwd,AB-123-CD,,": "not a path below the folder",
        "../elsewhere.png,AB-123-CD,,": "outside the data folder",
        f"{good},AB-123-CD,500 500 600 600,": "100% of the box outside the picture",
        "pictures,AB-123-CD,,": "not a regular file",
    }
    draw_plate("AB").save(tmp_path / "elsewhere.png")
    with open(folder / "plates.csv", "a", encoding="utf-8") as file:
        for line in bad:
            path, text, box, corners = line.split(",")
            file.write(f'{path},{text},"{box}","{corners}"\n')
    wrong = faults(folder)
    result = CliRunner().invoke(app, ["data", "verify", str(folder)])
    assert len(wrong) == len(bad) - 1  # a box outside is found when the picture is opened
    for number, reason in enumerate(bad.values(), 26):
        assert reason in result.stdout
        assert any(f"plates.csv:{number}:" in line and reason in line for line in result.stdout.splitlines())
    plates, said = prepare(folder, tmp_path / "packs", Counts(17, 4, 4))
    assert len(plates) == 24
    assert (
        "11 of 36 lines cannot be used (plates.csv:26: 'pictures/gone.png': there is no such file the first" in said[0]
    )


def test_a_line_that_is_no_row_is_named_and_costs_no_other(tmp_path: Path) -> None:
    folder = make_plates(tmp_path / "french")
    bad = {
        "pictures/car 000.png,AB,1,2 3": "more cells than columns ('2 3'): a comma in a cell needs quotes",
        f"pictures/car 000.png,{'A' * 70}": "is longer than 64 characters",
        '"pictures/car 000.png","AB\nCD"': "a cell goes on to line 5: is its quotation mark closed?",
        "pictures/car 000.png,AB,-90000 -90000 90200 90064": "100% of the box outside",
    }
    table = csv.DictReader((folder / "plates.csv").read_text().splitlines())
    rows = [",".join((row["file"], row["text"], row["box"])) for row in table]
    (folder / "plates.csv").write_text("\n".join(["file,text,box", *bad, "pictures/car 000.png", *rows]))
    said = CliRunner().invoke(app, ["data", "verify", str(folder)]).stdout
    for number, reason in zip((2, 3, 4, 6), bad.values(), strict=True):
        assert any(f"plates.csv:{number}: " in line and reason in line for line in said.splitlines()), said
    # The huge box, which only its picture contradicts, and the line without a text.
    assert len(scan(folder)[0]) == 24 + 2


def test_a_cell_that_is_never_closed_takes_no_text_from_other_lines(tmp_path: Path) -> None:
    folder = make_plates(tmp_path / "french")
    lines = [f"pictures/car {i:03}.png,{latin_text(i) if i != 9 else chr(34) + latin_text(i)}" for i in range(24)]
    (folder / "plates.csv").write_text("\n".join(["file,text", *lines]))
    sources, odd = scan(folder)
    assert len(sources) == 9 and ("plates.csv:11", "a cell goes on to line 25: is its quotation mark closed?") in odd


def test_signs_of_vowels_and_tones_belong_to_a_text() -> None:
    assert normalise("กี 1") != normalise("กิ 1") and alphabets(["กี1", "กิ1"]) == {"Thai": 2}
    assert normalise("皖A·12345\ufe0f") == "皖A12345" and normalise("e\u0301") == "É"


def test_a_picture_called_like_another_plate_keeps_its_own_name(tmp_path: Path) -> None:
    folder = make_plates(tmp_path, 12)
    draw_plate("AB-123-CD").save(folder / "pictures" / "car 000.png#2.png")
    (folder / "pictures" / "car 000.png#2.png").rename(folder / "pictures" / "car 000.png#2")
    with open(folder / "plates.csv", "a", encoding="utf-8") as file:
        file.write('pictures/car 000.png#2,AB-123-CD,,\npictures/car 000.png,,"0 0 100 70",\n')
    labels = [source.label for source in scan(folder)[0]]
    assert len(set(labels)) == len(labels) == 14


def test_a_list_with_other_separators_is_named(tmp_path: Path) -> None:
    folder = make_plates(tmp_path, 12)
    (folder / "plates.csv").write_text((folder / "plates.csv").read_text().replace(",", ";"))
    with pytest.raises(UserError, match="separated by commas, and the first line is 'file;text;box;corners'"):
        scan(folder)


def test_a_list_without_one_usable_line_is_refused_with_all_that_is_wrong(tmp_path: Path) -> None:
    folder = write_list(tmp_path, [{"file": f"{i}.png", "text": "AB-123-CD"} for i in range(3)])
    with pytest.raises(UserError, match=r"no line of .* can be used") as refused:
        scan(folder)
    assert [f"plates.csv:{i}" in str(refused.value) for i in (2, 3, 4)] == [True] * 3
    (folder / "plates.csv").write_text("file,text\n")
    with pytest.raises(UserError, match="it has none"):
        scan(folder)


def test_a_stray_table_leaves_a_ccpd_folder_as_it_is_and_is_said(
    make_ccpd: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_ccpd()
    before, silent = prepare(folder, tmp_path / "packs")
    (folder / "plates.csv").write_text("index,name,psnr\n0,a,1\n")
    after, said = prepare(folder, tmp_path / "packs")
    assert not silent and after.folder == before.folder and after.info["skipped"] == 0
    assert said == ["plates.csv: it has no columns file and text and lists no plates: pictures go by their CCPD names"]
    result = CliRunner().invoke(app, ["data", "verify", str(folder)])
    assert said[0] in result.stdout


@pytest.mark.parametrize("content", [b"\xff\xfe\x00f", b'file,text\n"' + b"x" * 200_000])
def test_a_file_that_is_no_table_is_one_line(tmp_path: Path, content: bytes) -> None:
    make_plates(tmp_path)
    (tmp_path / "plates.csv").write_bytes(content)
    with pytest.raises(UserError, match=r"plates\.csv"):
        scan(tmp_path)


def test_unknown_columns_plates_without_text_and_pictures_beside_are_said(tmp_path: Path) -> None:
    folder = make_plates(tmp_path / "french", corner=lambda i: "1,1")
    listed = (folder / "plates.csv").read_text().replace(latin_text(0), "").replace(latin_text(1), "")
    (folder / "plates.csv").write_text(listed)
    draw_plate("AB").save(folder / "other.png")
    plates, said = prepare(folder, tmp_path / "packs")
    assert sorted(said[1:]) == [
        "plates.csv: 1 pictures of the folder are not in it, other.png the first",
        "plates.csv: 2 plates without text: no reading of them is scored",
        "plates.csv: columns that say nothing here: 'corner'",
    ]
    assert sum(plate.text == "" for plate in plates) == 2 and plates.info["leaks"]["test_plates_seen"] == 0


def test_several_plates_of_a_picture_are_plates_of_their_own(tmp_path: Path) -> None:
    folder = make_plates(tmp_path, 12)
    with open(folder / "plates.csv", "a", encoding="utf-8") as file:
        file.write('pictures/car 000.png,,"0 0 100 70",\n')
    plates, _ = prepare(folder, tmp_path / "packs", Counts(5, 4, 4))
    names = {plate.name for plate in plates}
    assert {"pictures/car 000.png", "pictures/car 000.png#2"} <= names and len(names) == 13


def test_pictures_of_one_name_inside_and_outside_the_folder_are_two(tmp_path: Path) -> None:
    folder = make_plates(tmp_path / "list", 12)
    draw_plate("AB-123-CD").save(tmp_path / "pictures.png")
    draw_plate("EF-456-GH").save(folder / "pictures.png")
    with open(folder / "plates.csv", "a", encoding="utf-8") as file:
        file.write("pictures.png,AB-123-CD,,\n../pictures.png,EF-456-GH,,\n")
    sources, _ = scan(folder, follow_links=True)
    assert [source.label for source in sources[-2:]] == ["pictures.png", "pictures.png#2"]


# -- splits ----------------------------------------------------------------------------------------


def test_the_column_split_is_kept_and_a_text_in_two_of_them_stays_in_the_test_plates(tmp_path: Path) -> None:
    def split(i: int) -> str:
        return "training" if i < 14 else "validation" if i < 18 else "testing"

    folder = make_plates(tmp_path / "french", text=lambda i: latin_text(20 if i == 0 else i), split=split)
    plates, _ = prepare(folder, tmp_path / "packs", Counts(100, 100, 100))
    found = {plate.name: plates.table["split"][plate.index] for plate in plates}
    expected = {f"pictures/car {i:03}.png": split(i).removesuffix("ing").removesuffix("idation") for i in range(1, 24)}
    assert found == expected
    skipped = (plates.folder / "skipped.csv").read_text()
    assert 'plates.csv:2,"pictures/car 000.png: left out of the given split train: its text or' in skipped


def test_training_plates_validate_where_the_column_split_names_none(tmp_path: Path) -> None:
    folder = make_plates(tmp_path / "french", 40, split=lambda i: "train" if i < 30 else "test")
    plates, _ = prepare(folder, tmp_path / "packs", Counts(100, 100, 100))
    assert plates.info["splits"] == {"train": 27, "val": 3, "test": 10}


def test_a_line_without_split_beside_others_with_one_is_left_out_and_listed(tmp_path: Path) -> None:
    folder = make_plates(tmp_path, 40, split=lambda i: "" if i == 7 else "train" if i < 30 else "test")
    assert faults(folder) == ["plates.csv:9: pictures/car 007.png: it has no split, and others have one"]


@pytest.mark.parametrize("protocol", ["disjoint", "paper"])
def test_a_sequence_is_never_split_even_where_texts_join_several(protocol: str) -> None:
    names, texts = [f"{i}.png" for i in range(60)], [f"T{i // 2}" for i in range(60)]
    sequences = [f"s{i // 5}" for i in range(60)]
    for seed in range(5):
        chosen = assign(names, texts, protocol, Counts(30, 6, 12), seed, sequences)  # type: ignore[arg-type]
        of_sequence: dict[str, set[str]] = {}
        for i, split in chosen.items():
            of_sequence.setdefault(sequences[i], set()).add(split)
            if protocol == "disjoint":
                of_sequence.setdefault(texts[i], set()).add(split)
        assert all(len(splits) == 1 for splits in of_sequence.values())
        assert len(set(chosen.values())) == (2 if protocol == "paper" else 3)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    folder = make_plates(tmp_path / "a", split=lambda i: "test", sequence=lambda i: f"track {i // 3}")
    sources, _ = scan(folder)
    (folder / "plates.csv").write_text(to_csv(sources))
    assert scan(folder)[0] == sources


def test_alphabets_are_counted_and_a_mixture_is_said(tmp_path: Path) -> None:
    folder = make_plates(tmp_path, text=lambda i: f"АВ{i:03}ЖЦ" if i < 5 else latin_text(i))
    output = CliRunner().invoke(app, ["data", "verify", str(folder)]).stdout
    assert "alphabet             Latin: 19 plates (MIXED)" in output
    assert "alphabet             Cyrillic: 5 plates (MIXED)" in output
    assert "no alphabet in       hyperlpr: 5 plates are not read by it" in output


def test_a_link_or_folder_that_leads_out_is_taken_in_by_follow_links_alone(tmp_path: Path) -> None:
    folder = make_plates(tmp_path / "real")
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "pictures").symlink_to(folder / "pictures")
    shutil.copy(folder / "plates.csv", tmp_path / "list")
    with pytest.raises(UserError, match="outside the data folder: --follow-links takes it in"):
        scan(tmp_path / "list")
    assert len(scan(tmp_path / "list", follow_links=True)[0]) == 24


def test_a_given_split_without_validation_plates_is_kept_under_the_papers_protocol(tmp_path: Path) -> None:
    folder = make_plates(tmp_path / "french", 24, split=lambda i: ("train", "test", "val")[i % 3])
    plates = pack.prepare(folder, tmp_path / "packs", counts=COUNTS, protocol="paper", say=lambda text: None)
    assert plates.info["splits"] == {"train": 8, "test": 4}
    assert (plates.folder / "skipped.csv").read_text().count("there are enough others") == 12
