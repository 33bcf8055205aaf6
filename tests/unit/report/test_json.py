# SPDX-License-Identifier: GPL-2.0-only
"""``run.json``: what is written comes back, and what cannot be read is one clear error."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.model.errors import UserError
from harness.report import read_json, write_json, write_reports
from tests.unit.sample_run import make_run


def test_record_comes_back_as_it_was(tmp_path: Path) -> None:
    record = make_run(tmp_path)  # with guests that printed broken UTF-8, NULs and direction marks

    path = write_json(record, tmp_path)

    assert path == tmp_path / "run.json"
    assert read_json(tmp_path) == record


def test_nothing_but_the_record_is_left_behind(tmp_path: Path) -> None:
    record = make_run(tmp_path / "run")
    before = set((tmp_path / "run").iterdir())

    write_json(record, tmp_path / "run")
    write_json(record, tmp_path / "run")

    assert set((tmp_path / "run").iterdir()) - before == {tmp_path / "run" / "run.json"}


def test_reports_are_made_again_from_the_folder_alone(tmp_path: Path) -> None:
    there = tmp_path / "there"
    write_json(make_run(there), there)
    first = [path.read_bytes() for path in write_reports(read_json(there), there)]
    moved = there.rename(tmp_path / "moved")  # every path in a record is relative to its folder
    for name in ("report.html", "junit.xml"):
        (moved / name).unlink()

    paths = write_reports(read_json(moved), moved)

    assert paths == tuple(moved / name for name in ("report.html", "junit.xml", "run.json"))
    assert [path.read_bytes() for path in paths] == first


@pytest.mark.parametrize("folder", ["nowhere", "."])
def test_folder_without_a_record_is_no_run(tmp_path: Path, folder: str) -> None:
    with pytest.raises(UserError, match=r"is no run: it has no run\.json") as caught:
        read_json(tmp_path / folder)
    assert caught.value.hint


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"id": "x"}', b"\xff\xfe"])
def test_damaged_record_names_its_file_and_what_to_do(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run.json").write_bytes(content)

    with pytest.raises(UserError, match=r"run\.json") as caught:
        read_json(tmp_path)

    assert "\n" not in caught.value.what
    assert "again" in caught.value.hint


def test_half_a_record_is_not_taken_for_one(tmp_path: Path) -> None:
    path = write_json(make_run(tmp_path), tmp_path)
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises(UserError):
        read_json(tmp_path)
