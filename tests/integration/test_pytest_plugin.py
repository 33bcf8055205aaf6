# SPDX-License-Identifier: GPL-2.0-only
"""What the pytest plugin collects; nothing is built or booted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.integration.toy import git, toy_repository

ROOT = Path(__file__).resolve().parents[2]
ARCHS = ("x86_64", "arm64")
PLAN = ("--arch", ",".join(ARCHS), "--position", "4", "--test", "vmalloc-scope")


def collected(*args: str | Path, plan: tuple[str, ...] = PLAN) -> list[str]:
    """Return the names of the items that pytest collects."""
    argv = ("pytest", "-p", "no:cacheprovider", f"--rootdir={ROOT}", "-c", ROOT / "pyproject.toml")
    done = subprocess.run(
        (sys.executable, "-m", *argv, "--collect-only", "-q", *plan, *args),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [line.rpartition("::")[2] for line in done.stdout.splitlines() if "::" in line]


def mine(folder: Path) -> Path:
    """Write tests in Python that ask for a guest and for a kernel."""
    file = folder / "test_mine.py"
    file.write_text("def test_mine(guest): ...\n\n\ndef test_kernel(kernel): ...\n")
    return file


def test_collected_items_are_cells_and_kernels(tmp_path: Path) -> None:
    assert collected("guest-tests", mine(tmp_path)) == [
        *("vmalloc-scope[x86_64-p4-128M]", "vmalloc-scope+anon[x86_64-p4-128M]"),
        *("vmalloc-scope[arm64-p4-128M]", "vmalloc-scope+anon[arm64-p4-128M]"),
        *("test_mine[x86_64-p4]", "test_kernel[x86_64-p4]"),
        *("test_mine[arm64-p4]", "test_kernel[arm64-p4]"),
    ]


def test_repeat_makes_an_item_per_run(tmp_path: Path) -> None:
    plan = ("--load", "none", "--repeat", "3")
    names = collected("guest-tests", mine(tmp_path), *plan)
    items = [(f"vmalloc-scope[{arch}-p4-128M", arch) for arch in ARCHS]
    items += [(f"test_{what}[{arch}-p4", arch) for what in ("mine", "kernel") for arch in ARCHS]
    assert sorted(names) == sorted(f"{name}-run{n}]" for name, _ in items for n in (1, 2, 3))
    second = collected("guest-tests", mine(tmp_path), *plan, "-k", "run2 and arm64")
    assert sorted(second) == sorted(f"{name}-run2]" for name, arch in items if arch == "arm64")


def test_python_test_is_for_what_was_asked_else_for_one_kernel(tmp_path: Path) -> None:
    file = mine(tmp_path)

    def kernels(*plan: str) -> list[str]:
        names = collected(file, plan=plan)
        return [name.partition("[")[2].rstrip("]") for name in names if "test_mine" in name]

    assert kernels() == ["x86_64-p4"]
    assert kernels("--arch", "arm64,x86_64") == ["arm64-p4", "x86_64-p4"]
    assert kernels("--position", "0,2") == ["x86_64-p0", "x86_64-p2"]
    assert kernels("--repeat", "2") == ["x86_64-p4-run1", "x86_64-p4-run2"]
    named = tmp_path / "plan.toml"
    named.write_text('arch = ["arm64"]\npositions = "1-2"\n')
    assert kernels("--plan", str(named)) == ["arm64-p1", "arm64-p2"]
    assert kernels("--plan", str(named), "--position", "0") == ["arm64-p0"]


def test_help_needs_no_package_that_make_run_does_not_bring() -> None:
    program = """
import sys
import pytest

class Absent:
    @staticmethod
    def find_spec(name, *_):
        if name == "hypothesis":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent)
sys.exit(pytest.main(["-p", "no:hypothesispytest", "--help"]))
"""
    argv = (sys.executable, "-c", program)
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "kernel patch harness:" in done.stdout
    assert "most recent call last" not in done.stdout + done.stderr


def test_session_names_series_base_commits_and_version(tmp_path: Path) -> None:
    repository = toy_repository(tmp_path / "linux")
    series = f"git:{repository}#base..two"
    base = git(repository, "rev-parse", "base").strip()
    last = git(repository, "rev-parse", "two").strip()
    argv = ("pytest", "-p", "no:cacheprovider", f"--rootdir={ROOT}", "-c", ROOT / "pyproject.toml")
    own = (*argv, "--collect-only", "--series", series, "--test", "vmalloc-scope", "guest-tests")
    for _ in ("its base is fetched", "its base is known"):
        done = subprocess.run(
            (sys.executable, "-m", *own),
            cwd=ROOT,
            env={**os.environ, "KERNEL_PATCH_HARNESS_CACHE": str(tmp_path / "cache")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        assert "p2" in done.stdout
        told = [line for line in done.stdout.splitlines() if f"series {series} (2 pa" in line]
    assert len(told) == 1
    assert f"..{last[:12]}) on Linux 5.10.99, git:{repository}#base (commit {base[:12]})" in told[0]
