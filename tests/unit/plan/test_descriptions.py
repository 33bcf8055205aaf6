# SPDX-License-Identifier: GPL-2.0-only
"""``test.toml`` and ``load.toml`` as people write them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.host.paths import Checkout
from harness.model.values import Load, SplatKind
from harness.plan.descriptions import load_loads, load_tests, select_tests
from tests.unit.checkout import LOAD_TOML, TEST_TOML, error_of, make_checkout


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return make_checkout(tmp_path / "checkout")


def test_test_toml_in_its_friendly_forms_is_read(checkout: Checkout) -> None:
    tests = load_tests(checkout)
    assert list(tests) == ["scope", "sweep"]
    sweep = tests["sweep"]
    assert sweep.folder == checkout.tests / "sweep"
    assert sweep.knobs == (("/proc/number", "5"), ("/proc/flag", "N"), ("/proc/text", "on"))
    assert sweep.tolerated_splats == (SplatKind.OOM_KILL,)
    assert sweep.timeout_s == 60
    assert sweep.proves[0].cases == ("nofail_*",)
    assert tests["scope"].timeout_s == 45


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('module = "sweep"', "", "key 'module' is missing"),
        ('module = "sweep"', 'module = "sweep.ko"', "module = 'sweep.ko': must be"),
        ('module = "sweep"', 'module = "../sweep"', "module = '../sweep': must be"),
        ('suite = "sweep-suite"', 'suite = " "', "suite = ' ': must be"),
        ("timeout_s = 60", "timeout_s = 0", "timeout_s = 0.0: must be above 0"),
        ("timeout_s = 60", "timeout_s = nan", "timeout_s"),
        ("timeout_s = 60", 'needs = ["CONFIG_KASAN"]', "needs: 'CONFIG_KASAN': must be"),
        ("timeout_s = 60", "timout_s = 60", "unknown key 'timout_s': did you mean 'timeout_s'?"),
        ("timeout_s = 60", 'name = "x"', "key 'name' is not allowed"),
        ('"/proc/number" = 5', '"/proc/number" = [5]', "knobs[0][1] = [5]: must be a valid string"),
        (
            '["oom-kill"]',
            '["oom"]',
            "tolerated_splats[0] = 'oom': allowed are: alloc-failure,",
        ),
        (
            '["oom-kill"]',
            '["oom-kill", "warn"]',
            "tolerated_splats[1] = 'warn': did you mean 'warning'? allowed are: alloc-failure,",
        ),
        ('"vmalloc-nofail"', '"vmalloc"', "proves[0]: unknown series 'vmalloc': did you mean"),
        ("patch = 2", "patch = 0", "proves[0].patch = 0: must be a patch's number"),
        ("patch = 2", "patches = 2", "unknown key 'proves[0].patches': did you mean 'patch'?"),
        ('"nofail_*"', "[]", "proves[0].cases is empty"),
    ],
)
def test_test_toml_with_a_fault_names_the_key(
    checkout: Checkout, old: str, new: str, said: str
) -> None:
    file = checkout.tests / "sweep/test.toml"
    assert old in TEST_TOML
    file.write_text(TEST_TOML.replace(old, new))
    assert error_of(load_tests, checkout).startswith(f"{file}: {said}")


def test_folder_with_code_and_no_description_is_refused(checkout: Checkout) -> None:
    folder = checkout.tests / "unnamed"
    folder.mkdir()
    load_tests(checkout)  # an empty folder is nobody's
    (folder / "Kbuild").touch()
    assert error_of(load_tests, checkout) == f"{folder}: has code but no test.toml"


def test_folder_without_code_is_passed_over(checkout: Checkout) -> None:
    for name in ("__pycache__", ".cache"):
        (checkout.tests / name).mkdir()
        (checkout.tests / name / "x.c").touch()
    assert list(load_tests(checkout)) == ["scope", "sweep"]


def test_load_toml_is_read(checkout: Checkout) -> None:
    assert load_loads(checkout) == {
        "anon": Load(
            name="anon",
            folder=checkout.loads / "anon",
            summary="fills memory",
            args=("90%",),
            setup=(("swapon", "/dev/zram0"),),
            tolerated_splats=(SplatKind.OOM_KILL, SplatKind.ALLOC_FAILURE),
        )
    }


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"90%"', "90", "args[0] = 90: must be a valid string"),
        ("[[", "[", "not TOML"),
        ('[["swapon", "/dev/zram0"]]', '["swapon"]', "setup[0] = 'swapon': must be a valid array"),
        ('args = ["90%"]', "ready_timeout_s = -1", "ready_timeout_s = -1.0: must be above 0"),
        ('args = ["90%"]', 'arg = ["90%"]', "unknown key 'arg': did you mean 'args'?"),
    ],
)
def test_load_toml_with_a_fault_names_the_key(
    checkout: Checkout, old: str, new: str, said: str
) -> None:
    file = checkout.loads / "anon/load.toml"
    assert old in LOAD_TOML
    file.write_text(LOAD_TOML.replace(old, new))
    assert error_of(load_loads, checkout).startswith(f"{file}: {said}")


def test_load_called_none_is_refused(checkout: Checkout) -> None:
    (checkout.loads / "none").mkdir()
    (checkout.loads / "none/load.toml").write_text('summary = "s"\n')
    assert "stands for no load" in error_of(load_loads, checkout)


def test_select_tests_by_pattern(checkout: Checkout) -> None:
    tests = load_tests(checkout)
    assert [test.name for test in select_tests(tests, ())] == ["scope", "sweep"]
    assert [test.name for test in select_tests(tests, ("sw*",))] == ["sweep"]
    assert [test.name for test in select_tests(tests, ("sweep", "s*"))] == ["scope", "sweep"]


def test_descriptions_of_the_checkout_are_sound() -> None:
    own = Checkout(Path(__file__).resolve().parents[3])
    for name, test in load_tests(own).items():
        assert test.name == name
    for load in load_loads(own).values():
        assert load.summary


def test_intensity_ranges_are_those_of_the_code() -> None:
    """The program refuses what is outside with exit code 2, when the kernel is built long since."""
    own = Checkout(Path(__file__).resolve().parents[3])
    shared = {file.stem: file.read_text() for file in (own.loads / "_lib").glob("*.c")}
    header = (own.loads / "_lib/load.h").read_text()
    checked = []
    for load in load_loads(own).values():
        code = "".join(file.read_text() for file in load.folder.glob("*.c"))
        code += "".join(text for stem, text in shared.items() if f"{stem}_main(" in code)
        most = re.search(r"\.most = (\w+)", code)
        if most is None:
            continue  # a module
        number = re.search(rf"#define {most[1]} (\d+)", code + header)
        least = re.search(r"\.least = (\d+)", code) or re.search(r"\.least = (\d+)", header)
        assert least
        told = int(least[1]), int(number[1] if number else most[1])
        assert (load.name, load.intensity_range) == (load.name, told)
        checked.append(load.name)
    assert len(checked) >= 11


def test_old_key_of_a_description_means_the_new_one(tmp_path: Path) -> None:
    there = make_checkout(tmp_path)
    file = there.tests / "sweep/test.toml"
    new = load_tests(there)
    file.write_text(TEST_TOML.replace("tolerated_splats", "weather"))
    assert load_tests(there) == new
    file.write_text(TEST_TOML + 'weather = ["warning"]\n')  # of what it proves
    assert load_tests(there)["sweep"].proves[0].tolerated_splats == (SplatKind.WARNING,)
    file.write_text('weather = ["warning"]\n' + TEST_TOML)
    said = error_of(load_tests, there)
    assert said == f"{file}: 'weather' is the old name of 'tolerated_splats': one of them is enough"
