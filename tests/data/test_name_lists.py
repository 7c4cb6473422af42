"""Lists of names as people hand them in: byte order marks, blanks, UTF-16, backslashes, stray text files."""

from __future__ import annotations

import codecs
import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import plate_name

from benchmark.data.splits import Counts
from benchmark.data.verify import verify_names
from benchmark.util.errors import UserError

COUNTS = Counts(16, 4, 4)
NAMES = [f"ccpd_{'base' if i % 2 else '车牌'}/{plate_name(f'皖A{i:05}', (12, 12, 140, 76), i)}" for i in range(24)]
ENCODINGS = {
    "utf-8": b"", "utf-8-sig": b"", "utf-16": b"", "utf-16-le": b"", "utf-16-be": b"",
    "utf-16-le with mark": codecs.BOM_UTF16_LE, "utf-16-be with mark": codecs.BOM_UTF16_BE,
}  # fmt: skip


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("end", ["\n", "\r\n", " \t\r\n", "\n\n"])
@pytest.mark.parametrize("form", ["{}", "  {}", "./{}", '"{}"', "back"])
def test_a_list_of_any_system_is_read(tmp_path: Path, encoding: str, end: str, form: str) -> None:
    lines = [name.replace("/", "\\") if form == "back" else form.format(name) for name in NAMES]
    content = ENCODINGS[encoding] + "".join(line + end for line in lines).encode(encoding.removesuffix(" with mark"))
    (tmp_path / "names.txt").write_bytes(content)
    facts = verify_names(tmp_path / "names.txt", COUNTS)
    assert facts["subsets"] == {"ccpd_base": 12, "ccpd_车牌": 12} and not facts["unparsable"]
    (tmp_path / "names.txt").unlink()
    (tmp_path / "names.txt.gz").write_bytes(gzip.compress(content))
    assert verify_names(tmp_path, COUNTS) == facts


@pytest.mark.parametrize("content", ["x", "", *NAMES[:1]])
@pytest.mark.parametrize("file", ["README.txt", "first.txt"])
def test_a_stray_text_file_does_not_change_what_a_folder_is(
    make_ccpd: Callable[..., Path], file: str, content: str
) -> None:
    folder = make_ccpd()
    (folder / file).write_text(content)
    assert verify_names(folder, COUNTS)["images"] == 24


def test_a_list_without_names_shows_its_first_line_and_why(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("\n hello \nworld\n")
    with pytest.raises(UserError, match=r"no CCPD name in .*x\.txt \(first line 'hello': not a CCPD name"):
        verify_names(tmp_path, COUNTS)
    (tmp_path / "x.txt").write_text("\n")
    with pytest.raises(UserError, match=r"x\.txt: there is no line in it"):
        verify_names(tmp_path, COUNTS)


def test_a_name_with_impossible_corners_is_listed(tmp_path: Path) -> None:
    fields = NAMES[0].split("-")
    fields[3] = "_".join(["20&20"] * 4)
    (tmp_path / "x.txt").write_text("\n".join([*NAMES, "-".join(fields)]))
    (row,) = verify_names(tmp_path, COUNTS)["unparsable"]
    assert row["reason"] == "annotation does not fit: corners coincide"
