# SPDX-License-Identifier: GPL-2.0-only
"""Combinations of loads: as people write them, and as programs in a guest are told."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from harness.model.errors import UserError
from harness.model.values import Cell, Load
from harness.plan.loads import (
    Pressure,
    check_load,
    check_pressures,
    loads_named,
    parse_loads,
    pressures,
)

ANON = Load("anon", Path("anon"), "fills memory", intensity="125%", intensity_range=(1, 1000))
TASKS = Load("tasks", Path("tasks"), "many tasks", intensity="300")
PLAIN = Load("plain", Path("plain"), "has one size")
LOADS = {load.name: load for load in (ANON, TASKS, PLAIN)}


@pytest.mark.parametrize(
    ("written", "spelled"),
    [
        ('"none"', ("none",)),
        ('"none,anon"', ("none", "anon")),
        ('["none", "anon"]', ("none", "anon")),
        ('["anon", "anon:seed=1", "anon:ramp=0"]', ("anon",)),
        ('" anon:95% + xfs-metadata "', ("anon:95%+xfs-metadata",)),
        ('"anon:after=2:ramp=05.0:90%:seed=7"', ("anon:90%:seed=7:ramp=5:after=2",)),
        ('[{name = "anon", intensity = "95%"}, {name = "xfs"}]', ("anon:95%+xfs",)),
        ('{name = "tasks", intensity = 200, seed = 3, after_s = 1.5}',
         ("tasks:200:seed=3:after=1.5",)),
        ('["none", [{name = "a"}, {name = "b", ramp_s = 2}], {name = "c"}]',
         ("none", "a+b:ramp=2", "c")),
    ],
)  # fmt: skip
def test_load_forms_of_a_plan_have_one_spelling(written: str, spelled: tuple[str, ...]) -> None:
    assert parse_loads(tomllib.loads(f"load = {written}")["load"]) == spelled
    assert parse_loads(list(spelled)) == spelled


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "allowed are"),
        ([], "allowed are"),
        (4, "allowed are"),
        ("anon+anon:90%", "'anon' is there twice"),
        ("anon+none", "'none' goes with nothing else"),
        ("anon:0%", "'0%'"),
        ("anon:95%:96%", "'96%'"),
        ("anon:sede=1", "'sede=1'"),
        ("anon:seed=-1", "seed=-1: must be a number"),
        (f"anon:seed={2**32}", "must be a number from 0"),
        ("anon:ramp=soon", "ramp=soon: must be seconds"),
        ("anon:after=99999", "after=99999: must be seconds"),
        ("../anon", "allowed are"),
        ([{"name": "anon", "intensty": "95%"}], "did you mean 'intensity'?"),
        ([{"intensity": "95%"}], "needs a name"),
        (["none", []], "allowed are"),
        (["none", ["anon"]], "allowed are"),
    ],
)
def test_load_with_a_fault_is_refused_in_one_line(value: object, said: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_loads(value)
    assert said in caught.value.what
    assert "\n" not in caught.value.what


@pytest.mark.parametrize(
    ("combination", "said"),
    [
        ("anno", "did you mean 'anon'?"),
        ("anon:200", "must be like its default, 125%"),
        ("tasks:50%", "must be like its default, 300"),
        ("plain:50%", "has none"),
        ("anon:999999%", "load 'anon:999999%': intensity 999999%: must be 1% to 1000%"),
        ("tasks+anon:1001%:seed=3", "intensity 1001%: must be 1% to 1000%"),
    ],
)
def test_combination_with_a_wrong_load_or_intensity_is_refused(combination: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        check_pressures(combination, LOADS)
    assert said in caught.value.what


def test_combination_of_known_loads_passes() -> None:
    combinations = ("none", "anon", "anon:80%+tasks:100+plain:seed=9", "anon:1%", "anon:1000%")
    for combination in (*combinations, "tasks:9999999"):
        check_pressures(combination, LOADS)
    assert loads_named(["none", "anon:1%+tasks", "anon"]) == ("anon", "tasks")
    assert pressures("none") == ()


def test_words_for_a_program_are_numbers_only() -> None:
    assert Pressure("anon").words(ANON) == ("intensity=125", "seed=1", "ramp_ms=0", "after_ms=0")
    (given,) = pressures("anon:95%:seed=4294967295:ramp=0.25:after=3")
    assert given.gradual
    assert given.words(ANON, seed_offset=2) == (
        "intensity=95", "seed=1", "ramp_ms=250", "after_ms=3000",
    )  # fmt: skip
    assert Pressure("plain").words(PLAIN)[0] == "seed=1"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "none"}, "stands for no load"),
        ({"ready_timeout_s": 0.0}, "ready_timeout_s = 0.0: must be above 0"),
        ({"intensity": "lots"}, "intensity = 'lots'"),
        ({"intensity": "1001%"}, "load.toml: intensity = 1001%: must be 1% to 1000%"),
        ({"intensity": ""}, "intensity_range: needs intensity"),
        ({"intensity_range": (9, 1)}, "intensity_range = [9, 1]: must be least and most"),
        ({"intensity_range": (0, 500)}, "intensity_range = [0, 500]: must be least and most"),
        ({"filesystem": "xfs"}, "'xfs': needs disk_mib"),
        ({"disk_times_ram": 2}, "disk_times_ram = 2: needs disk_mib"),
        ({"disk_mib": -1}, "must not be below 0"),
        ({"disk_mib": 8, "disk_times_ram": -1}, "must not be below 0"),
        ({"needs": ("CONFIG_ZRAM",)}, "without CONFIG_"),
    ],
)
def test_load_toml_with_a_wrong_value_is_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(UserError) as caught:
        check_load(replace(ANON, **change), "load.toml")  # type: ignore[arg-type]
    assert said in caught.value.what


def test_disk_for_a_guest_grows_with_ram_from_the_size_asked_for() -> None:
    load = replace(ANON, disk_mib=512, disk_times_ram=3)
    assert [load.disk_for(ram) for ram in (64, 170, 171, 1024)] == [512, 512, 513, 3072]
    assert replace(ANON, disk_mib=8).disk_for(4096) == 8
    assert ANON.disk_for(4096) == 0


def test_cell_id_with_a_combination_is_fit_for_a_file() -> None:
    cell = Cell("x86_64", "debian:5.10", 4, (), 64, "sweep", "anon:95%:ramp=2.5+xfs-metadata")
    assert cell.id == "x86_64/debian-5.10/p4/64M/sweep+anon.95pct.ramp-2.5+xfs-metadata"
