# SPDX-License-Identifier: GPL-2.0-only
"""The pytest plugin as a user calls it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.host.paths import find_checkout
from harness.plan.descriptions import load_tests
from tests.qemu.conftest import ROOT


def run_pytest(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *args),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("arch", ["x86_64", "arm64"])
def test_guest_tests_are_items_that_pass_with_the_series_applied(arch: str) -> None:
    done = run_pytest(
        "guest-tests", "--arch", arch, "--position", "4", "--load", "none", "-k", "not kvmalloc"
    )
    assert done.returncode == 0, done.stdout
    assert "1 deselected" in done.stdout
    # All others but the one that skips itself on a kernel without lockdep.
    others = len(load_tests(find_checkout(ROOT))) - 2
    assert f" {others} passed, 1 skipped" in done.stdout


def test_a_test_that_fails_as_declared_is_an_xfail() -> None:
    done = run_pytest(
        *("guest-tests/tests/vmalloc-nofail-sweep", "--arch", "x86_64"),
        *("--position", "1,2", "--load", "none", "-rx"),
    )
    assert done.returncode == 0, done.stdout
    assert "1 passed, 1 xfailed" in done.stdout
    assert "fails before patch 2, as declared" in done.stdout


@pytest.mark.parametrize(
    ("asked", "ran"),
    [
        ((), ["x86_64-p4"]),
        (("--position=0,4", "--arch=arm64"), ["arm64-p0", "arm64-p4"]),
        (("--arch=arm64,x86_64",), ["arm64-p4", "x86_64-p4"]),
    ],
)
def test_a_python_test_drives_the_guests_that_were_asked_for(
    tmp_path: Path, asked: tuple[str, ...], ran: list[str]
) -> None:
    (tmp_path / "test_mine.py").write_text(
        "def test_release(guest, kernel):\n"
        "    with guest.ssh() as ssh:\n"
        "        assert ssh.run('uname -r').stdout.strip() == kernel.tree_version\n"
    )
    done = run_pytest(f"--rootdir={ROOT}", "-c", "pyproject.toml", "-v", str(tmp_path), *asked)
    assert done.returncode == 0, done.stdout
    assert sorted(re.findall(r"\[(\S+)\] PASSED", done.stdout)) == ran


def test_a_wrong_option_is_one_line() -> None:
    done = run_pytest("guest-tests", "--arch", "arm46")
    assert done.returncode == 4
    assert "arm46" in done.stderr
    assert "arm64" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_examples_of_the_page_pass(tmp_path: Path) -> None:
    (source,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/pytest.md").read_text(), re.S)
    (tmp_path / "test_example.py").write_text(source)
    count = len(re.findall(r"^def test_", source, re.M))
    done = run_pytest(f"--rootdir={ROOT}", "-c", "pyproject.toml", str(tmp_path))
    assert done.returncode == 0, done.stdout
    assert f"{count} passed" in done.stdout
    everywhere = ("--arch", "x86_64,arm64", "--position", "0,4", "--collect-only", "-q")
    done = run_pytest(f"--rootdir={ROOT}", "-c", "pyproject.toml", str(tmp_path), *everywhere)
    assert f"{1 + 4 * (count - 1)} tests collected" in done.stdout
    assert f"{1 + 4 * (count - 1)} tests:" in (ROOT / "docs/pytest.md").read_text()
