"""Packs that are not as they should be: from strangers, damaged, cut short, made twice at once."""

from __future__ import annotations

import errno
import json
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmark.data import pack, pictures
from benchmark.data.pictures import Source
from benchmark.data.plates import SCHEMA, BadPack, Plates, fingerprint, open_pack
from benchmark.data.splits import Counts
from benchmark.data.verify import verify_pack
from benchmark.util.errors import UserError
from benchmark.util.locks import hold

COUNTS = Counts(16, 4, 4)


def prepare(folder: Path, cache: Path, **options: object) -> tuple[Plates, list[str]]:
    said: list[str] = []
    plates = pack.prepare(folder, cache, counts=COUNTS, say=said.append, **options)  # type: ignore[arg-type]
    return plates, said


# -- packs of others ---------------------------------------------------------------------------


@pytest.fixture
def place(make_ccpd: Callable[..., Path], tmp_path: Path) -> Path:
    """The folder of a pack."""
    return prepare(make_ccpd(), tmp_path / "packs")[0].folder


def forge(
    place: Path, change: Callable[[dict[str, Any]], object], schema: pa.Schema = SCHEMA, sign: bool = True
) -> None:
    """Change a pack so that counts and, if ``sign``, fingerprint fit the forged table."""
    info = json.loads((place / "pack.json").read_text())
    columns = pq.read_table(place / "plates.parquet").to_pydict()
    change(columns)
    table = pa.Table.from_pydict(columns, schema=schema)
    pq.write_table(table, place / "plates.parquet")
    frame = table.to_pandas()
    info |= {"plates": len(frame), "splits": {s: columns["split"].count(s) for s in sorted(set(columns["split"]))}}
    if sign:
        info["fingerprint"] = fingerprint(frame)
    (place / "pack.json").write_text(json.dumps(info))


def put(column: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda columns: columns[column].__setitem__(3, value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (put("offset", 10**9), "outside the pixel file"),
        (put("offset", -1), "outside the pixel file"),
        (put("offset", 2**63 - 1), "outside the pixel file"),
        (put("height", 63), "impossible height"),
        (put("height", 2**62), "impossible height"),
        (put("width", 68), "impossible width"),
        (put("width", -64), "impossible width"),
        (put("split", "hidden"), "splits that do not exist"),
        (put("vertices", [float("nan")] * 8), "vertices"),
        (put("name", "../../etc/passwd"), "outside the data folder"),
        (put("name", "/etc/passwd"), "outside the data folder"),
        (lambda columns: put("name", columns["name"][0])(columns), "twice"),
        (lambda columns: put("text", "x" * 10**6)(columns), "larger than its rows"),
        (put("sha256", "0" * 64), "pixels are not those"),
    ],
)
def test_a_forged_table_is_refused(place: Path, change: Callable[[dict[str, Any]], object], reason: str) -> None:
    forge(place, lambda columns: None)
    assert len(open_pack(place)) == 24  # what is forged alike but says nothing wrong is a pack
    forge(place, change)
    with pytest.raises(BadPack, match=reason):
        open_pack(place)


@pytest.mark.parametrize("column", ["text", "height", "vertices", "seen"])
def test_a_table_of_other_types_or_with_gaps_is_refused(place: Path, column: str) -> None:
    shutil.copytree(place, copy := place.with_name("copy"))
    forge(copy, put(column, None), sign=False)
    with pytest.raises(BadPack, match="gaps"):
        open_pack(copy)
    other = SCHEMA.set(SCHEMA.get_field_index(column), pa.field(column, pa.binary()))
    forge(place, lambda columns: columns.update({column: [b"0"] * 24}), other, sign=False)
    with pytest.raises(BadPack, match="other columns"):
        open_pack(place)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 1}, {"version": "2"}, {"fingerprint": 7}, {"fingerprint": "0" * 64}, {"plates": -1},
        {"plates": 10**12}, {"plates": True}, {"bytes": "x"}, {"bytes": 10**15},
        {"splits": {"train": "many"}}, {"splits": []},
        {"splits": {"train": 24}}, {"leaks": {}}, {"leaks": None}, {"grown": None}, {"skipped": 1.5},
    ],
)  # fmt: skip
def test_a_forged_description_is_refused_and_the_pack_made_anew(
    place: Path, tmp_path: Path, change: dict[str, object]
) -> None:
    before = open_pack(place).fingerprint
    info = json.loads((place / "pack.json").read_text())
    (place / "pack.json").write_text(json.dumps({**info, **change}))
    with pytest.raises(BadPack):
        open_pack(place)
    again, said = prepare(tmp_path / "ccpd", tmp_path / "packs")
    assert again.fingerprint == before and len(said) == 1 and "making it anew" in said[0]


def test_flipped_bytes_never_do_harm(place: Path) -> None:
    random = np.random.default_rng(0)
    good = open_pack(place)
    expected = {plate.name: plate.hr.tobytes() for plate in good}
    for name in ("pack.json", "plates.parquet"):
        content = (place / name).read_bytes()
        for _ in range(120):
            damaged = bytearray(content)
            for position in random.integers(0, len(content), random.integers(1, 4)):
                damaged[position] ^= 1 << int(random.integers(8))
            if random.random() < 0.2:
                damaged = damaged[: random.integers(len(content))]
            (place / name).write_bytes(damaged)
            try:
                plates = open_pack(place)
            except BadPack as error:
                assert str(error).isprintable() and str(error)
            else:
                assert {plate.name: plate.hr.tobytes() for plate in plates} == expected
        (place / name).write_bytes(content)


def test_changed_pixels_are_found_on_request(place: Path, tmp_path: Path) -> None:
    plates = open_pack(place)
    assert not verify_pack(place)
    content = bytearray((place / "plates.u8").read_bytes())
    row = plates.table.iloc[2]
    content[int(row["offset"]) + 77] ^= 1
    (place / "plates.u8").write_bytes(content)
    problems = verify_pack(place)
    assert len(problems) == 1 and ("the pixels are not" in problems[0] or row["name"] in problems[0])


def test_links_in_a_pack_are_neither_read_nor_written_through(place: Path, tmp_path: Path) -> None:
    target = tmp_path / "diary.txt"
    target.write_text("mine")
    for name in ("plates.u8", "plates.parquet", "journal.jsonl", "skipped.csv"):
        (place / name).unlink(missing_ok=True)
        (place / name).symlink_to(target)
    with pytest.raises(BadPack, match="symbolic link"):
        open_pack(place)
    (place / "pack.json").unlink()
    plates, _ = prepare(tmp_path / "ccpd", tmp_path / "packs")
    assert len(plates) == 24 and target.read_text() == "mine"


# -- making a pack -----------------------------------------------------------------------------


def interrupted(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a pack whose making was stopped after three of five chunks."""
    monkeypatch.setattr(pictures, "CHUNK", 5)
    chunks: list[int] = []
    write = pack.write_entry

    def dying(journal: Any, plates: Any) -> None:
        chunks.append(1)
        if len(chunks) > 3:
            raise KeyboardInterrupt
        write(journal, plates)

    with monkeypatch.context() as patch:
        patch.setattr(pack, "write_entry", dying)
        with pytest.raises(KeyboardInterrupt):
            prepare(folder, cache)
    return next(cache.glob("*/journal.jsonl")).parent


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line[:40],
        lambda line: b"[1, 2]\n",
        lambda line: b'{"rows": 3}\n',
        lambda line: b"[" * 100_000 + b"\n",
        lambda line: line.replace(b"140,", b"148,"),
        lambda line: line.replace(b"[0", b"[-8").replace(b"[12", b"[-12"),
        lambda line: line.replace(b"[12,", b"[12.5,"),
        lambda line: line.replace(b"140", b"99999999996"),
        lambda line: b"\xff\xfe\n",
        lambda line: json.dumps(["skip it"] * 24).encode() + b"\n",
        lambda line: json.dumps(["two\nlines"] * 5).encode() + b"\n",
        None,
    ],
)
def test_a_damaged_journal_costs_no_more_than_the_work_behind_it(
    make_ccpd: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    damage: Callable[[bytes], bytes] | None,
) -> None:
    folder = make_ccpd()
    whole, _ = prepare(folder, tmp_path / "whole")
    place = interrupted(folder, tmp_path / "packs", monkeypatch)
    lines = (place / "journal.jsonl").read_bytes().splitlines(keepends=True)
    assert len(lines) == 3
    if damage is None:  # the journal is whole and a pixel is not
        pixels = bytearray((place / "plates.u8").read_bytes())
        pixels[len(pixels) // 3] ^= 1
        (place / "plates.u8").write_bytes(pixels)
    else:
        (place / "journal.jsonl").write_bytes(lines[0] + damage(lines[1]) + lines[2])
    resumed, said = prepare(folder, tmp_path / "packs")
    assert resumed.fingerprint == whole.fingerprint and not verify_pack(resumed.folder)
    assert said == ["going on with a pack begun earlier: 5 of 24 pictures are done"]
    assert not (place / "journal.jsonl").exists()


@pytest.mark.parametrize("step", ["find_leaks", "_write_csv", "pq.write_table", "fingerprint", "write_text"])
def test_a_kill_between_the_last_files_is_made_good(
    make_ccpd: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    folder = make_ccpd()
    whole, _ = prepare(folder, tmp_path / "whole")

    def dying(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(f"benchmark.data.pack.{step}", dying)
        prepare(folder, tmp_path / "packs")
    plates, said = prepare(folder, tmp_path / "packs")
    assert plates.fingerprint == whole.fingerprint and said == [
        "going on with a pack begun earlier: 24 of 24 pictures are done"
    ]
    for name in ("plates.u8", "plates.parquet", "pack.json", "skipped.csv", "dropped.csv"):
        assert (plates.folder / name).read_bytes() == (whole.folder / name).read_bytes()


def test_the_number_of_workers_changes_nothing(
    make_ccpd: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "CHUNK", 2)
    made = [prepare(make_ccpd(name=f"c{n}"), tmp_path / f"p{n}", workers=n)[0] for n in (1, 5)]
    assert made[0].fingerprint == made[1].fingerprint


@pytest.mark.parametrize("emptied", [False, True])
def test_a_data_folder_that_goes_away_is_one_clear_line_and_nothing_is_lost(
    make_ccpd: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, emptied: bool
) -> None:
    folder, away = make_ccpd(), tmp_path / "away"
    monkeypatch.setattr(pictures, "CHUNK", 4)
    cut, count = pack.cut_pair, iter(range(1000))

    def going(root: Path, source: Source) -> Any:
        if next(count) == 9:
            folder.rename(away)
            if emptied:  # as a disk that is unmounted
                (folder / "ccpd_base").mkdir(parents=True)
        return cut(root, source)

    monkeypatch.setattr(pack, "cut_pair", going)
    with pytest.raises(UserError, match="went away while it was read"):
        prepare(folder, tmp_path / "packs", workers=1)
    shutil.rmtree(folder, ignore_errors=True)
    away.rename(folder)
    plates, said = prepare(folder, tmp_path / "packs")
    assert len(plates) == 24 and plates.info["skipped"] == 0 and "8 of 24" in said[0]


def test_a_split_of_which_nothing_can_be_read_is_one_clear_line(make_ccpd: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_ccpd()
    test = set(prepare(folder, tmp_path / "packs")[0].split("test").table["name"])
    for name in test:
        (folder / name).write_bytes(b"x")
    with pytest.raises(UserError, match=r"no plate of the split 'test' can be read.*skipped\.csv") as raised:
        prepare(folder, tmp_path / "packs")
    listed = Path(str(raised.value).rsplit(" in ", 1)[1]).read_text(encoding="utf-8")
    assert all(name in listed for name in test)


def test_a_full_disk_is_not_mistaken_for_bad_pictures(
    make_ccpd: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_ccpd()
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(pack, "write_entry", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left")))
        prepare(folder, tmp_path / "packs")
    assert len(prepare(folder, tmp_path / "packs")[0]) == 24


def test_a_second_process_waits_and_uses_what_the_first_made(make_ccpd: Callable[..., Path], tmp_path: Path) -> None:
    folder, cache = make_ccpd(), tmp_path / "packs"
    first, _ = prepare(folder, tmp_path / "elsewhere")
    said: list[str] = []
    result: list[Plates] = []
    waiting = threading.Event()

    def tell(line: str) -> None:
        said.append(line)
        waiting.set()

    def second() -> None:
        result.append(pack.prepare(folder, cache, counts=COUNTS, say=tell))

    with hold(cache / f".{first.folder.name}.lock"):
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(30)
        shutil.copytree(first.folder, cache / first.folder.name)
    thread.join(30)
    assert result[0].fingerprint == first.fingerprint
    assert len(said) == 1 and f"waiting for pid {os.getpid()}" in said[0] and first.folder.name in said[0]
