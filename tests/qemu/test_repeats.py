# SPDX-License-Identifier: GPL-2.0-only
"""Verdicts that hold: each test over and over, in a fresh guest each time."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.arch import arch_names
from harness.report.json import read_json
from tests.qemu.conftest import Harness

TIMES = 100


@pytest.mark.slow(f"each test {TIMES} times, on the base and with all patches", minutes=90)
@pytest.mark.parametrize("arch", arch_names())
def test_a_verdict_is_the_same_each_time(harness: Harness, tmp_path: Path, arch: str) -> None:
    plan = ("--position", "0,4", "--load", "none", "--repeat", str(TIMES))
    done = harness("run", "--out", str(tmp_path), "--fresh", "--arch", arch, *plan)
    assert done.returncode == 0, done.stdout + done.stderr
    record = read_json(tmp_path)
    assert [cell.cell.id for cell in record.cells if not cell.as_expected] == []
    assert {cell.cell.repeat for cell in record.cells} == set(range(TIMES))
