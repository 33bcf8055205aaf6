# SPDX-License-Identifier: GPL-2.0-only
"""The guest tests on other kernels: the series on 6.1, and 6.12 and 7.2 as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.arch import arch_names
from harness.model.values import Verdict
from harness.report.json import read_json
from tests.qemu.conftest import Harness


@pytest.mark.slow("the series on 6.1, at each position", minutes=40)
@pytest.mark.parametrize("arch", arch_names())
def test_on_6_1_each_patch_turns_its_tests(harness: Harness, tmp_path: Path, arch: str) -> None:
    done = harness("run", "--out", str(tmp_path), "--arch", arch, "--base", "debian:6.1")
    assert done.returncode == 0, done.stdout + done.stderr
    cells = read_json(tmp_path).cells
    assert {cell.cell.position for cell in cells} == set(range(5))
    failing = {cell.cell.test for cell in cells if cell.verdict is Verdict.FAIL}
    proving = {"vmalloc-scope", "vmalloc-nofail-sweep", "vmalloc-nofail-wait", "kvmalloc-flags"}
    assert proving <= failing


@pytest.mark.slow("6.12 and 7.2 as they are: they have the patches", minutes=45)
@pytest.mark.parametrize("arch", arch_names())
@pytest.mark.parametrize("base", ["debian:6.12", "debian:7.2"])
def test_a_kernel_that_has_the_patches_passes(
    harness: Harness, tmp_path: Path, arch: str, base: str
) -> None:
    plan = ("--series", "none", "--base", base, "--arch", arch)
    done = harness("run", "--out", str(tmp_path), *plan)
    assert done.returncode == 0, done.stdout + done.stderr
    verdicts = {(cell.cell.test, cell.verdict) for cell in read_json(tmp_path).cells}
    skipped = ("vmalloc-lockdep", Verdict.SKIP)  # without --config lockdep
    assert skipped in verdicts
    assert {verdict for _, verdict in verdicts - {skipped}} == {Verdict.PASS}
