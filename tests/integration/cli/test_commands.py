# SPDX-License-Identifier: GPL-2.0-only
"""The command line as a user meets it, without building or booting anything."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.arch import all_archs
from harness.host.paths import Checkout
from harness.plan.descriptions import load_loads, load_tests
from harness.report.json import write_json
from harness.run.load_counters import claims
from harness.source.series import load_series
from tests.unit.sample_run import find, make_run

ROOT = Path(__file__).resolve().parents[3]
Harness = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what a person edits, to write into."""
    root = tmp_path / "checkout"
    ignore = shutil.ignore_patterns("__pycache__")
    for folder in ("kconfigs", "patches", "guest-tests", "harness"):
        shutil.copytree(ROOT / folder, root / folder, ignore=ignore)
    return root


@pytest.fixture
def harness(checkout: Path, tmp_path: Path) -> Harness:
    """Run ``harness`` in the copy, with an empty cache."""

    def run(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            (sys.executable, "-m", "harness", "--cache", str(tmp_path / "cache"), *args),
            cwd=checkout,
            env={**os.environ, "PYTHONPATH": str(checkout), **env},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_list_without_kind_lists_all(harness: Harness) -> None:
    done = harness("list")
    assert done.returncode == 0, done.stderr
    for name in ("x86_64", "arm64", "vmalloc-nofail", "kvmalloc-flags", "anon", "kunit", "debian:"):
        assert name in done.stdout


def test_list_of_one_kind_leaves_out_the_others(harness: Harness) -> None:
    done = harness("list", "archs")
    assert "arm64" in done.stdout
    assert "vmalloc-nofail" not in done.stdout


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("run", "--series", "vmaloc-nofail"), ("vmaloc-nofail", "vmalloc-nofail")),
        (("run", "--arch", "riscv"), ("riscv", "arm64, x86_64")),
        (("run", "no-such-plan.toml"), ("no-such-plan.toml",)),
        (("run", "--base", "debian"), ("debian",)),
        (("run", "--base", "dir:/nonexistent"), ("/nonexistent",)),
        (("report", "no-such-run"), ("no-such-run", "none yet")),
        (("report", "--figures", "no-such-run"), ("no-such-run", "none yet")),
        (("report", "--test", "oom-*"), ("--test", "--figures")),
        (("boot", "--arch", "arm64,x86_64"), ("--arch",)),
        (("new", "test", "Bad Name"), ("Bad Name",)),
    ],
)
def test_usage_error_is_one_line_and_exit_2(
    harness: Harness, argv: tuple[str, ...], words: tuple[str, ...]
) -> None:
    done = harness(*argv)
    assert done.returncode == 2, done.stderr
    lines = done.stderr.strip().splitlines()
    assert 1 <= len(lines) <= 2, done.stderr
    assert all(line.startswith("harness: ") for line in lines)
    for word in words:
        assert word in done.stderr


def test_a_bad_plan_names_file_and_key(harness: Harness, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text('sereis = "vmalloc-nofail"\n')
    done = harness("run", str(plan))
    assert done.returncode == 2
    assert "plan.toml" in done.stderr
    assert "'sereis'" in done.stderr
    assert "series" in done.stderr


def test_no_network_and_nothing_cached_ends_with_3(harness: Harness) -> None:
    done = harness("source", "debian:5.10", "--mirror", "http://127.0.0.1:9/debian")
    assert done.returncode == 3, done.stderr
    assert "harness: no network" in done.stderr
    assert "harness: next: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_tool_names_its_package(harness: Harness, tmp_path: Path) -> None:
    done = harness("doctor", PATH=str(tmp_path))
    assert done.returncode == 3
    assert "MISSING" in done.stdout
    assert "flex" in done.stdout.splitlines()[-1]
    assert "apt-get install" in done.stdout.splitlines()[-1]


def test_outside_of_a_checkout_the_package_s_own_is_used(tmp_path: Path) -> None:
    done = subprocess.run(
        (sys.executable, "-m", "harness", "list", "series"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "vmalloc-nofail" in done.stdout


def test_closed_pipe_gives_no_traceback(checkout: Path) -> None:
    shell = f"{sys.executable} -m harness list | true"
    done = subprocess.run(
        ("sh", "-c", shell), cwd=checkout, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr


def test_a_report_has_the_figures_of_the_run_that_is_named(
    harness: Harness, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    sample = make_run(folder, differences=False)
    tests = ("vmalloc-scope", "kvmalloc-flags")
    cells = [find(sample, test, "arm64", 0) for test in tests]
    measure = ("# a: measure: held 77 KiB",)
    measured = [
        replace(cell, cases=(replace(cell.cases[0], name="a", diagnostics=measure),))
        for cell in cells
    ]
    write_json(replace(sample, cells=tuple(measured)), folder)
    both = harness("report", "--figures", str(folder))
    assert (both.returncode, both.stdout.count(" 77")) == (0, 2), both.stderr
    one = harness("report", str(folder), "--figures", "--test", "none-such,vmalloc-*")
    assert f"{tests[0]} on arm64" in one.stdout
    assert one.stdout.count(" 77") == 1
    assert " 77" not in harness("report", str(folder)).stdout


def test_program_that_does_not_do_is_told_by_doctor_and_before_anything_is_fetched(
    harness: Harness, tmp_path: Path
) -> None:
    odd = tmp_path / "bin" / "setpriv"
    odd.parent.mkdir()
    odd.write_text("#!/bin/sh\necho unrecognized option >&2\nexit 1\n")
    odd.chmod(0o755)
    path = f"{odd.parent}:{os.environ['PATH']}"
    done = harness("run", PATH=path)
    assert done.returncode == 3
    assert done.stderr.startswith(f"harness: {odd} does not do: ")
    assert not (tmp_path / "cache").exists()
    done = harness("doctor", PATH=path)
    assert done.returncode == 3
    assert "UNFIT" in done.stdout
    assert f"{odd} does not do" in done.stdout


# ---------------------------------------------------------------- harness new


def test_new_test_is_listed(harness: Harness, checkout: Path) -> None:
    done = harness("new", "test", "my-test")
    assert done.returncode == 0, done.stderr
    assert "guest-tests/tests/my-test/main.c" in done.stdout
    test = load_tests(Checkout(checkout))["my-test"]
    assert test.module == "my_test"


def test_new_load_compiles_and_has_a_claim(
    harness: Harness, checkout: Path, tmp_path: Path
) -> None:
    assert harness("new", "load", "my-load").returncode == 0
    load = load_loads(Checkout(checkout))["my-load"]
    assert load.summary
    assert claims(load)
    source = checkout / "guest-tests/loads/my-load/my_load.c"
    library = Checkout(checkout).load_library
    flags = ("-Wall", "-Wextra", "-Werror", "-std=gnu11", "-I", library)
    sources = (source, *library.glob("*.c"))
    subprocess.run(("gcc", *flags, "-o", tmp_path / "my-load", *sources), check=True)


def test_a_new_series_is_listed_and_covers_its_base(harness: Harness, checkout: Path) -> None:
    assert harness("new", "series", "my-series").returncode == 0
    series = load_series(checkout / "patches/my-series", "5.10.262")
    assert series.patches == ()
    assert "my-series" in harness("list", "series").stdout


def test_a_new_arch_is_found_by_its_file_alone(harness: Harness) -> None:
    assert harness("new", "arch", "riscv64").returncode == 0
    done = harness("list", "archs")
    assert "riscv64" in done.stdout
    assert all(arch.name in done.stdout for arch in all_archs())


def test_a_new_topic_is_listed(harness: Harness) -> None:
    assert harness("new", "topic", "my-topic").returncode == 0
    assert "my-topic" in harness("list", "topics").stdout


def test_new_refuses_files_that_exist(harness: Harness, checkout: Path) -> None:
    before = (checkout / "kconfigs/kunit.config").read_text()
    done = harness("new", "topic", "kunit")
    assert done.returncode == 2
    assert "exists" in done.stderr
    assert (checkout / "kconfigs/kunit.config").read_text() == before


def test_build_settings_without_effect_are_named_before_anything_is_fetched(
    harness: Harness,
) -> None:
    done = harness("build", "--mirror", "file:///none", LLVM="1", CC="clang", MAKELEVEL="1")
    assert done.returncode == 3
    (note,) = (line for line in done.stderr.splitlines() if "without effect" in line)
    assert note.endswith("CC=clang, LLVM=1")
    assert done.stderr.startswith(note)


@pytest.mark.parametrize("command", ["run", "mutants", "coverage", "ram-threshold", "watch",
                                     "boot", "new test x", "report"])  # fmt: skip
def test_out_that_is_a_file_is_told_before_anything_is_done(
    harness: Harness, tmp_path: Path, command: str
) -> None:
    (tmp_path / "file").touch()
    done = harness(*command.split(), "--out", str(tmp_path / "file"))
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("harness: --out names ")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("command", ["cache verify", "cache", "list archs", "run"])
def test_cache_that_is_a_file_is_told(harness: Harness, tmp_path: Path, command: str) -> None:
    (tmp_path / "cache").touch()
    done = harness(*command.split())
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("harness: --cache names ")


@pytest.mark.parametrize("command", ["source", "build", "run"])
def test_cache_in_a_path_that_no_kernel_can_be_built_in_gets_nothing(
    harness: Harness, tmp_path: Path, command: str
) -> None:
    cache = tmp_path / "a b"
    done = harness("--cache", str(cache), command)
    assert done.returncode == 2, done.stderr
    assert "the cache's path holds ' '" in done.stderr
    assert not cache.exists()


def test_new_and_report_write_where_they_are_told(harness: Harness, tmp_path: Path) -> None:
    assert harness("new", "topic", "mine", "--out", str(tmp_path / "new")).returncode == 0
    assert (tmp_path / "new/kconfigs/mine.config").is_file()
    write_json(make_run(tmp_path / "run", differences=False), tmp_path / "run")
    before = sorted((tmp_path / "run").iterdir())
    done = harness("report", str(tmp_path / "run"), "--out", str(tmp_path / "copy"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "copy/report.html").is_file()
    assert sorted((tmp_path / "run").iterdir()) == before
