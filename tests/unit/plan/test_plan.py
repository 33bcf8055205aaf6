# SPDX-License-Identifier: GPL-2.0-only
"""Plans as people write them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.host.paths import Checkout
from harness.model.errors import UserError
from harness.model.values import Plan
from harness.plan.options import load_plan, plan_from
from harness.plan.plan import check_plan, parse_names, parse_positions, parse_ram, parse_rams
from harness.run.prepare import completed
from tests.unit.checkout import error_of, make_checkout

ARCHS = ("arm64", "x86_64")


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return make_checkout(tmp_path / "checkout")


def test_completed_ram_adds_what_the_config_topics_take(checkout: Checkout) -> None:
    (checkout.kconfigs / "kasan.config").write_text("# Takes 64 MiB of a guest's RAM.\n")
    (checkout.kconfigs / "lockdep.config").write_text("# Takes 16 MiB of a guest's RAM.\n")
    assert completed(Plan(), checkout).ram_mib == (128,)
    assert completed(Plan(config=("base",)), checkout).ram_mib == (128,)
    assert completed(Plan(config=("kasan", "lockdep")), checkout).ram_mib == (208,)
    # What is asked for stays, unless nothing can boot with it.
    asked = Plan(config=("kasan",), ram_mib=(96, 512))
    assert completed(asked, checkout).ram_mib == asked.ram_mib
    assert completed(Plan(ram_mib=(32,)), checkout).ram_mib == (32,)
    with pytest.raises(
        UserError, match=r"79M of RAM is too little.* take 64M.*kasan 64M"
    ) as caught:
        completed(Plan(config=("kasan",), ram_mib=(128, 79)), checkout)
    assert "192M" in caught.value.hint


@pytest.mark.parametrize("arch", ["x86_64", "arm64"])
def test_cpus_are_as_many_as_kernel_and_machine_take(checkout: Checkout, arch: str) -> None:
    (checkout.kconfigs / "base.config").write_text("CONFIG_NR_CPUS=6\n")
    assert completed(Plan(arch=(arch,), cpus=6), checkout).cpus == 6
    with pytest.raises(UserError, match=rf"7 CPUs.* {arch}.* 6 \(CONFIG_NR_CPUS of base.config"):
        completed(Plan(arch=(arch,), cpus=7), checkout)


def test_machine_may_take_fewer_cpus_than_the_kernel(checkout: Checkout) -> None:
    (checkout.kconfigs / "base.config").write_text("CONFIG_NR_CPUS=64\n")
    assert completed(Plan(arch=("x86_64",), cpus=64), checkout).cpus == 64
    with pytest.raises(UserError, match=r"arm64.* 8 \(QEMU's machine virt\)") as caught:
        completed(Plan(cpus=9), checkout)
    assert "--cpus 8" in caught.value.hint


def write(folder: Path, text: str) -> Path:
    file = folder / "plan.toml"
    file.write_text(text)
    return file


# ---------------------------------------------------------------- single values


@pytest.mark.parametrize(
    ("text", "mib"),
    [("96M", 96), ("96", 96), (96, 96), ("1G", 1024), ("96MiB", 96), ("2 GiB", 2048), ("64mb", 64)],
)
def test_parse_ram_in_every_form(text: object, mib: int) -> None:
    assert parse_ram(text) == mib


@pytest.mark.parametrize(
    "text", ["", "M", "96X", "-96", "96.5M", "9" * 30, True, None, "15M", 0, "2000G"]
)
def test_parse_ram_of_no_ram_is_refused(text: object) -> None:
    said = error_of(parse_ram, text)
    assert repr(text) in said
    assert "allowed are" in said


@pytest.mark.parametrize("value", ["64M,96M", ["64M", 96], ("64M", "96M", "64M"), " 64M , 96M "])
def test_parse_rams_in_every_form(value: object) -> None:
    assert parse_rams(value) == (64, 96)
    assert parse_rams(128) == (128,)


@pytest.mark.parametrize(
    ("value", "positions"),
    [
        ("4", (4,)),
        (4, (4,)),
        ("0-2,4", (0, 1, 2, 4)),
        ("4,0", (0, 4)),
        ("0 - 2", (0, 1, 2)),
        ([0, 4], (0, 4)),
        (["0-1", 4], (0, 1, 4)),
        ("1,1", (1,)),
        ("all", ()),
    ],
)
def test_parse_positions_in_every_form(value: object, positions: tuple[int, ...]) -> None:
    assert parse_positions(value) == positions


@pytest.mark.parametrize(
    "value", ["", "x", "-1", "4-0", "1-", "0-99999", "1,,2", [], [True], [1.5], "1000", None]
)
def test_parse_positions_of_no_position_is_refused(value: object) -> None:
    assert error_of(parse_positions, value)


def test_parse_names_in_every_form() -> None:
    assert parse_names("a, b,a") == ("a", "b")
    assert parse_names(["a", "b"]) == ("a", "b")
    for wrong in ("", "a,,b", [], [1], 5):
        assert error_of(parse_names, wrong)


@settings(deadline=None)
@given(st.one_of(st.text(), st.integers(), st.lists(st.text()), st.booleans(), st.floats()))
def test_parse_of_any_value_returns_or_is_refused_in_one_line(value: object) -> None:
    for parse in (parse_ram, parse_rams, parse_positions, parse_names):
        said = ""
        try:
            parse(value)
        except UserError as error:
            said = error.what
        assert len(said.splitlines()) <= 1


# ---------------------------------------------------------------- plans


def test_load_plan_in_all_its_forms(checkout: Checkout, tmp_path: Path) -> None:
    file = write(
        tmp_path,
        'series = "vmalloc-nofail"\nbase = "debian:6.1"\narch = "arm64"\npositions = "0-2,4"\n'
        'ram = ["64M", "96M"]\ncpus = 2\ntests = ["sw*"]\nload = ["none", "anon"]\n'
        'config = ["kasan"]\naccel = "auto"\njobs = 3\nmirror = "http://deb.example/debian"\n',
    )
    assert load_plan(file, checkout, archs=ARCHS) == Plan(
        series="vmalloc-nofail",
        base="debian:6.1",
        arch=("arm64",),
        positions=(0, 1, 2, 4),
        ram_mib=(64, 96),
        cpus=2,
        tests=("sw*",),
        loads=("none", "anon"),
        config=("kasan",),
        accel="auto",
        jobs=3,
        mirror="http://deb.example/debian",
    )


def test_load_plan_of_an_empty_file_is_the_default(checkout: Checkout, tmp_path: Path) -> None:
    assert load_plan(write(tmp_path, ""), checkout, archs=ARCHS) == Plan()
    assert check_plan(Plan(), checkout, archs=ARCHS) == Plan()


def test_load_plan_with_empty_lists_is_the_default(checkout: Checkout, tmp_path: Path) -> None:
    file = write(tmp_path, "tests = []\nconfig = []\npositions = []\n")
    assert load_plan(file, checkout, archs=ARCHS) == Plan()


def test_series_called_none_is_refused(checkout: Checkout, tmp_path: Path) -> None:
    file = write(tmp_path, 'series = "none"\nbase = "debian:6.12"\n')
    assert load_plan(file, checkout, archs=ARCHS).series == "none"
    folder = checkout.patches / "none"
    folder.mkdir()
    (folder / "series.toml").touch()
    with pytest.raises(UserError, match="'none' stands for no series"):
        load_plan(file, checkout, archs=ARCHS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            'series = "vmaloc-nofail"',
            "unknown series 'vmaloc-nofail': did you mean 'vmalloc-nofail'?",
        ),
        ('series = "./nowhere"', "series './nowhere': there is no such file or folder"),
        ('series = "gone.mbox"', "series 'gone.mbox': there is no such file or folder"),
        (
            'series = "git:/src/linux"',
            "series 'git:/src/linux': allowed is git:REPOSITORY#FIRST..LAST",
        ),
        ("series = 5", "series: 5 must be text that is not empty"),
        ('base = "5.10"', "base '5.10' is no source: allowed are debian:VERSION"),
        ('arch = "arm46"', "unknown architecture 'arm46': did you mean 'arm64'?"),
        ('arch = ["arm64", "sparc"]', "unknown architecture 'sparc': there are: arm64, x86_64"),
        ("arch = []", "arch: [] is empty: at least one name is needed"),
        ('positions = "4-0"', "positions: '4-0' is no position: allowed are 4, 0-4, 0,2,4 or all"),
        ('ram = "12M"', "ram: '12M' is 12 MiB: allowed are 16M to 1024G"),
        ('ram = "lots"', "ram: 'lots' is no amount of RAM"),
        ("cpus = 0", "cpus: 0 must be a whole number from 1"),
        ("cpus = true", "cpus: True must be a whole number from 1"),
        ("cpus = 1.5", "cpus: 1.5 must be a whole number from 1"),
        ("jobs = -1", "jobs: -1 must be a whole number from 0"),
        ('tests = "sweeep"', "no guest test matches 'sweeep': did you mean 'sweep'?"),
        ('loads = ["annon"]', "unknown load 'annon': did you mean 'anon'?"),
        ('config = "kazan"', "unknown config topic 'kazan': did you mean 'kasan'?"),
        ('accel = "kmv"', "accel: unknown accelerator 'kmv': did you mean 'kvm'?"),
        ('sereis = "x"', "sereis: unknown key 'sereis': did you mean 'series'?"),
        ("ram = 64\nram_mib = 96", "ram_mib: the same is given twice under two names"),
        ("ram = ", "not TOML: "),
        ("ram = 64\nram = 96", "not TOML: "),
    ],
)
def test_load_plan_with_a_fault_names_file_key_value_and_what_is_allowed(
    checkout: Checkout, tmp_path: Path, text: str, said: str
) -> None:
    file = write(tmp_path, text)
    assert error_of(load_plan, file, checkout, archs=ARCHS).startswith(f"{file}: {said}")


def test_load_plan_of_an_unreadable_file_names_it(checkout: Checkout, tmp_path: Path) -> None:
    gone = tmp_path / "gone.toml"
    assert (
        error_of(load_plan, gone, checkout) == f"{gone}: cannot be read: No such file or directory"
    )
    gone.write_bytes(b"\xff\xfe")
    assert "not TOML" in error_of(load_plan, gone, checkout)


def test_plan_from_options_lies_over_the_plan_and_names_them_in_errors() -> None:
    plan = plan_from(Plan(cpus=2), {"ram": ("--ram", "64M,96M"), "loads": ("--load", "none")})
    assert plan == Plan(cpus=2, ram_mib=(64, 96), loads=("none",))
    said = error_of(plan_from, Plan(), {"ram": ("--ram", "64X")})
    assert said.startswith("--ram: '64X' is no amount of RAM")
    assert error_of(plan_from, Plan(), {"cpus": ("--cpus", "two")}).startswith("--cpus: 'two'")


def test_check_plan_takes_a_path_or_a_range_for_a_series(
    checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    for series in (str(tmp_path / "mine"), "./mine", "mine", "git:/src/linux#v5.10..topic"):
        check_plan(Plan(series=series), checkout, archs=ARCHS)


def test_check_plan_without_any_load_takes_none(tmp_path: Path) -> None:
    bare = Checkout(tmp_path)
    (tmp_path / "patches/s").mkdir(parents=True)
    (tmp_path / "patches/s/series.toml").touch()
    check_plan(Plan(series="s", loads=("none",)), bare, archs=ARCHS)
    said = error_of(check_plan, Plan(series="s", loads=("tmpfs",)), bare, archs=ARCHS)
    assert said == "unknown load 'tmpfs': there are: none"
