# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import argparse
from dataclasses import fields, replace
from pathlib import Path

import pytest

from harness.host.paths import Checkout
from harness.model.errors import UserError
from harness.model.values import Plan
from harness.plan.options import OPTIONS, PlanOption, add_plan_options, plan_of
from harness.pytest_plugin import lab_of
from harness.run.prepare import completed

pytest_plugins = ("pytester",)


@pytest.fixture
def checkout(pytester: pytest.Pytester) -> Checkout:
    tmp_path = pytester.path
    for folder, file in (
        ("patches/vmalloc-nofail", "series.toml"),
        ("patches/mine", "series.toml"),
        ("guest-tests/tests/one", "test.toml"),
        ("guest-tests/tests/two", "test.toml"),
        ("guest-tests/loads/anon", "load.toml"),
    ):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / file).touch()
    (tmp_path / "guest-tests/loads/anon/load.toml").write_text('summary = "s"\nintensity = "90%"\n')
    (tmp_path / "kconfigs").mkdir()
    (tmp_path / "kconfigs" / "xfs.config").touch()
    return Checkout(tmp_path)


def parsed(checkout: Checkout, *argv: str, file: Path | None = None) -> Plan:
    parser = argparse.ArgumentParser()
    add_plan_options(parser)
    return plan_of(vars(parser.parse_args(argv)), checkout, file)


# By flag: text as a command line has it, the same in TOML, and what the plan's field becomes.
VALUES: dict[str, tuple[str, str, object]] = {
    "--series": ("mine", '"mine"', "mine"),
    "--base": ("dir:/src/linux", '"dir:/src/linux"', "dir:/src/linux"),
    "--arch": ("arm64", '["arm64"]', ("arm64",)),
    "--position": ("0-2", '["0-1", 2]', (0, 1, 2)),
    "--ram": ("96M,1G", '[96, "1G"]', (96, 1024)),
    "--cpus": ("2", "2", 2),
    "--test": ("one,tw*", '["one", "tw*"]', ("one", "tw*")),
    "--load": (
        "none,anon:95%",
        '["none", [{name = "anon", intensity = "95%"}]]',
        ("none", "anon:95%"),
    ),
    "--config": ("xfs", '"xfs"', ("xfs",)),
    "--accel": ("auto", '"auto"', "auto"),
    "--jobs": ("3", '"3"', 3),
    "--repeat": ("4", "4", 4),
    "--mirror": (
        "file:///a,file:///s file:///b",
        '["file:///a,file:///s", "file:///b"]',
        "file:///a,file:///s file:///b",
    ),
    "--append": ('a=1,2 b="x y"', """'a=1,2 b="x y"'""", ("a=1,2", 'b="x y"')),
    "--qemu-arg": (
        "-device virtio-rng-pci,id=r",
        '["-device virtio-rng-pci,id=r"]',
        ("-device virtio-rng-pci,id=r",),
    ),
}


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.dest)
def test_option_on_command_line_in_toml_and_in_pytest_gives_the_same_plan(
    checkout: Checkout, pytester: pytest.Pytester, option: PlanOption
) -> None:
    text, toml, value = VALUES[option.flag]
    expected = replace(Plan(), **{option.field: value})
    assert value != getattr(Plan(), option.field)
    assert parsed(checkout, f"{option.flag}={text}") == expected
    for key in {option.dest, option.field}:
        file = checkout.root / f"{key}.toml"
        file.write_text(f"{key} = {toml}\n")
        assert parsed(checkout, file=file) == expected

    config = pytester.parseconfig(f"{option.flag}={text}")
    assert lab_of(config).plan == completed(expected, checkout)


def test_options_and_plan_fields_are_the_same_set() -> None:
    assert [option.field for option in OPTIONS] == [field.name for field in fields(Plan)]
    keys = [key for option in OPTIONS for key in {option.dest, option.field}]
    assert len(set(keys)) == len(keys)


def test_list_option_given_again_takes_more(checkout: Checkout) -> None:
    words = (
        "--series",
        "mine",
        "--arch",
        "arm64",
        "--load",
        "none",
        "--arch",
        "x86_64",
        "--ram",
        "96M",
        "--ram",
        "1G",
    )
    plan = parsed(checkout, *words, "--cpus", "2", "--cpus", "3")
    assert plan.arch == ("arm64", "x86_64")
    assert plan.loads == ("none",)
    assert plan.ram_mib == (96, 1024)
    assert plan.cpus == 3  # there is one: the last word counts, as everywhere


def test_option_over_file_leaves_the_other_keys(checkout: Checkout, tmp_path: Path) -> None:
    file = tmp_path / "plan.toml"
    file.write_text('series = "mine"\nram = "64M"\ncpus = 4\n')
    plan = parsed(checkout, "--ram", "96M", file=file)
    assert (plan.series, plan.ram_mib, plan.cpus) == ("mine", (96,), 4)


def test_ram_not_given_follows_the_config(checkout: Checkout, tmp_path: Path) -> None:
    (checkout.kconfigs / "xfs.config").write_text("# Takes 32 MiB of a guest's RAM.\n")
    file = tmp_path / "plan.toml"
    file.write_text('series = "mine"\n')
    assert completed(parsed(checkout, file=file), checkout).ram_mib == (128,)
    options = ("--config", "xfs")
    assert completed(parsed(checkout, *options, file=file), checkout).ram_mib == (160,)
    options += ("--ram", "96M")
    assert completed(parsed(checkout, *options, file=file), checkout).ram_mib == (96,)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("--series", "mime"), ("mime", "mine")),
        (("--series", "mine", "--arch", "arm46"), ("arm46", "arm64")),
        (("--series", "mine", "--ram", "lots"), ("--ram", "lots", "96M")),
        (("--series", "mine", "--position", "x"), ("--position", "x", "0-4")),
        (("--series", "mine", "--test", "thre*"), ("thre*", "one")),
        (("--series", "mine", "--load", "annon"), ("annon", "anon")),
        (("--series", "mine", "--config", "xfx"), ("xfx", "xfs")),
        (("--series", "mine", "--accel", "hvf"), ("hvf", "tcg")),
        (("--series", "mine", "--base", "5.10"), ("5.10", "debian:")),
        (("--series", "mine", "--cpus", "0"), ("--cpus", "0")),
    ],
)
def test_wrong_value_is_refused_in_one_line_with_what_is_allowed(
    checkout: Checkout, argv: tuple[str, ...], words: tuple[str, ...]
) -> None:
    with pytest.raises(UserError) as caught:
        parsed(checkout, *argv)
    said = f"{caught.value.what} {caught.value.hint}"
    assert "\n" not in said
    for word in words:
        assert word in said
