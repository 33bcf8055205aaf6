# SPDX-License-Identifier: GPL-2.0-only
"""Dataclasses as JSON and from tables."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.model.errors import UserError
from harness.model.jsonio import from_json, from_table, suggest, to_json
from harness.model.results import (
    CaseResult,
    CellResult,
    Ended,
    KernelRecord,
    Observation,
    RunRecord,
    Splat,
    TestOutcome,
)
from harness.model.values import Cell, GuestTest, Patch, Plan, Proves, Series, SplatKind, Verdict

CELL = Cell("arm64", "debian:5.10", 2, ("kasan",), 96, "sweep", "anon")
RESULT = CellResult(
    cell=CELL,
    verdict=Verdict.FAIL,
    expected=Verdict.PASS,
    reason="über",
    cases=(CaseResult("a.b", Verdict.SKIP, Verdict.SKIP, "SKIP", ("# why", "")),),
    splats=(Splat(SplatKind.HUNG_TASK, "hung", "line\nline\x00\x1b", 3),),
    seconds=1.25,
    argv=("qemu", "-m", "96"),
    evidence=(("console", "cells/x/console.log"),),
    anomalies=("no answer",),
)
RECORD = RunRecord(
    id="run",
    started="2026-11-23T11:23:55+00:00",
    seconds=0.1,
    harness_version="0",
    plan=Plan(positions=(0, 4)),
    series_title="t",
    patch_titles=("one", "two"),
    tree_version="5.10.262",
    tree_origin="o",
    tree_digest="d",
    host="h",
    kernels=(KernelRecord("arm64", 0, "base", "5.10.262", ""),),
    cells=(RESULT,),
    finished=False,
    error="stopped",
)
TEST = GuestTest(
    name="sweep",
    folder=Path("/tests/sweep"),
    summary="s",
    module="m",
    suite="s",
    timeout_s=60.0,
    knobs=(("/proc/x", "1"),),
    tolerated_splats=(SplatKind.OOM_KILL,),
    proves=(Proves("vmalloc-nofail", 2, ("nofail_*",)),),
)

OBSERVATION = Observation(
    TestOutcome(
        Ended.DIED,
        ("a\nb", "\x1b"),
        errno=8,
        lost_records=2,
        found_records=3,
        load_ended="anon: signal:9",
    ),
    argv=("qemu",),
)
SERIES = Series("s", "t", Path("/p"), "5.10", (), (Patch(1, Path("/p/1"), "t", "00", ("mm/x.c",)),))
VALUES = [RECORD, RESULT, CELL, TEST, Plan(), OBSERVATION, Observation(None, ("x",)), SERIES]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_round_trip_is_exact(value: object) -> None:
    again = from_json(type(value), to_json(value))
    assert again == value
    assert repr(again) == repr(value)  # types too: tuples stay tuples, paths paths


@settings(deadline=None)
@given(st.text(), st.floats(allow_nan=False), st.lists(st.text(), max_size=5))
def test_round_trip_of_any_text(text: str, number: float, lines: list[str]) -> None:
    result = CellResult(
        CELL, Verdict.PASS, Verdict.PASS, text, seconds=number,
        cases=(CaseResult(text, Verdict.PASS, diagnostics=tuple(lines)),),
    )  # fmt: skip
    written = to_json(result)
    assert written.isascii()
    assert from_json(CellResult, written) == result


def test_round_trip_of_lone_surrogates() -> None:
    case = CaseResult(b"\xff\xfe console".decode("utf-8", "surrogateescape"), Verdict.PASS)
    assert from_json(CaseResult, to_json(case)) == case


def test_to_json_keys_are_fields_and_enums_are_words() -> None:
    plain = json.loads(to_json(RESULT))
    assert set(plain) == {field.name for field in fields(CellResult)}
    assert plain["verdict"] == "FAIL"
    assert plain["splats"][0]["kind"] == "hung-task"


def test_from_json_passes_over_unknown_keys() -> None:
    plain = json.loads(to_json(CELL))
    assert from_json(Cell, json.dumps({**plain, "clone": True})) == CELL


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "run.json: not JSON: "),
        ("{", "run.json: not JSON: "),
        ("[" * 100_000, "run.json: not JSON: "),
        ("[]", "run.json: not a Cell: "),
        ('{"arch": 1}', "run.json: not a Cell: arch = 1: must be a valid string"),
        ('{"arch": "x"}', "run.json: not a Cell: key 'base' is missing"),
    ],
)
def test_from_json_of_a_damaged_record_is_one_line(text: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        from_json(Cell, text, where="run.json")
    assert caught.value.what.startswith(said)
    assert "\n" not in caught.value.what


# ---------------------------------------------------------------- tables written by people

TABLE: dict[str, Any] = {
    "name": "sweep", "folder": "/tests/sweep", "summary": "s", "module": "m", "suite": "s",
    "timeout_s": 60, "knobs": [["/proc/x", "1"]], "tolerated_splats": ["oom-kill"],
    "proves": [{"series": "vmalloc-nofail", "patch": 2, "cases": ["nofail_*"]}],
}  # fmt: skip


def test_from_table_gives_the_dataclass() -> None:
    assert from_table(GuestTest, TABLE, where="test.toml") == TEST


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"modul": "m"}, "unknown key 'modul': did you mean 'module'?"),
        ({"zzz": 1}, "unknown key 'zzz': allowed are: artifacts, disk_mib, folder, knobs"),
        ({"module": 5}, "module = 5: must be a valid string"),
        ({"timeout_s": "60"}, "timeout_s = '60': must be a valid number"),
        (
            {"tolerated_splats": ["oom-kil"]},
            "tolerated_splats[0] = 'oom-kil': did you mean 'oom-kill'?",
        ),
        (
            {"tolerated_splats": ["x"]},
            "tolerated_splats[0] = 'x': allowed are: alloc-failure, bug,",
        ),
        ({"tolerated_splats": "oom-kill"}, "tolerated_splats = 'oom-kill': must be a valid array"),
        ({"proves": [{"series": "s"}]}, "key 'proves[0].patch' is missing"),
        (
            {"proves": [{"series": "s", "patch": "2"}]},
            "proves[0].patch = '2': must be a valid integer",
        ),
        (
            {"proves": [{"series": "s", "patch": 2, "case": ["x"]}]},
            "unknown key 'proves[0].case': did you mean 'cases'?",
        ),
    ],
)
def test_from_table_with_a_fault_is_one_line(change: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as caught:
        from_table(GuestTest, TABLE | change, where="test.toml")
    assert caught.value.what.startswith(f"test.toml: {said}")
    assert "\n" not in caught.value.what


def test_from_table_with_a_long_wrong_value_cuts_it() -> None:
    with pytest.raises(UserError) as caught:
        from_table(GuestTest, TABLE | {"module": ["x" * 1000]}, where="test.toml")
    assert len(caught.value.what) < 200


def test_suggest_close_word_else_all_else_none() -> None:
    assert suggest("arm46", ["x86_64", "arm64"]) == "did you mean 'arm64'?"
    assert suggest("riscv", ["x86_64", "arm64"]) == "there are: arm64, x86_64"
    assert suggest("a", []) == "there are none yet"
