# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from harness.host.paths import Checkout
from harness.model.errors import UserError
from harness.model.values import Plan
from harness.plan.options import OPTIONS, add_plan_options, plan_of
from harness.run.prepare import completed


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    for folder, file in (
        ("patches/mine", "series.toml"),
        ("guest-tests/tests/one", "test.toml"),
        ("guest-tests/tests/two", "test.toml"),
        ("guest-tests/loads/anon", "load.toml"),
    ):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / file).touch()
    (tmp_path / "guest-tests/loads/anon/load.toml").write_text('summary = "s"\n')
    (tmp_path / "kconfigs").mkdir()
    (tmp_path / "kconfigs" / "xfs.config").touch()
    return Checkout(tmp_path)


def parsed(checkout: Checkout, *argv: str, file: Path | None = None) -> Plan:
    parser = argparse.ArgumentParser()
    add_plan_options(parser)
    return plan_of(vars(parser.parse_args(argv)), checkout, file)


def test_every_option_lands_in_the_plan(checkout: Checkout) -> None:
    plan = parsed(
        checkout,
        *("--series", "mine", "--base", "dir:/src/linux", "--arch", "arm64", "--position", "0-2"),
        *("--ram", "96M,1G", "--cpus", "2", "--test", "one,tw*", "--load", "none,anon"),
        *("--config", "xfs", "--accel", "auto", "--jobs", "3", "--mirror", "file:///srv/debian"),
    )
    assert plan == Plan(
        series="mine",
        base="dir:/src/linux",
        arch=("arm64",),
        positions=(0, 1, 2),
        ram_mib=(96, 1024),
        cpus=2,
        tests=("one", "tw*"),
        loads=("none", "anon"),
        config=("xfs",),
        accel="auto",
        jobs=3,
        mirror="file:///srv/debian",
    )


def test_an_option_that_takes_a_list_may_be_given_again(checkout: Checkout) -> None:
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


def test_an_option_lies_over_the_file_and_spares_the_rest(
    checkout: Checkout, tmp_path: Path
) -> None:
    file = tmp_path / "plan.toml"
    file.write_text('series = "mine"\nram = "64M"\ncpus = 4\n')
    plan = parsed(checkout, "--ram", "96M", file=file)
    assert (plan.series, plan.ram_mib, plan.cpus) == ("mine", (96,), 4)


def test_ram_follows_the_config_unless_it_is_given(checkout: Checkout, tmp_path: Path) -> None:
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
def test_a_wrong_value_is_one_line_that_says_what_is_allowed(
    checkout: Checkout, argv: tuple[str, ...], words: tuple[str, ...]
) -> None:
    with pytest.raises(UserError) as caught:
        parsed(checkout, *argv)
    said = f"{caught.value.what} {caught.value.hint}"
    assert "\n" not in said
    for word in words:
        assert word in said


def test_flags_and_fields_are_each_used_once() -> None:
    assert len({o.flag for o in OPTIONS}) == len({o.field for o in OPTIONS}) == len(OPTIONS)
