# SPDX-License-Identifier: GPL-2.0-only
"""Each load in guests of 64 MiB: the guest's own counters show what it is for."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.arch import arch_names
from harness.host.paths import find_checkout
from harness.plan.descriptions import load_loads
from harness.report.json import read_json
from tests.qemu.conftest import ROOT, Harness

LOADS = load_loads(find_checkout(ROOT))


@pytest.mark.parametrize("arch", arch_names())
def test_each_load_shows_its_purpose(harness: Harness, tmp_path: Path, arch: str) -> None:
    out = tmp_path / "run"
    done = harness(
        *("run", "--out", str(out), "--fresh", "--arch", arch, "--position", "4"),
        *("--config", "pressure", "--ram", "64M", "--test", "vmalloc-zero-leak"),
        *("--load", ",".join(LOADS)),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    record = read_json(out)
    assert [cell.cell.load for cell in record.cells] == list(LOADS)
    for cell in record.cells:
        said = (out / dict(cell.evidence)["loads"]).read_text().splitlines()
        shown = [line for line in said if line.endswith(": shown")]
        assert 0 < len(shown) == len(LOADS[cell.cell.load].shows), said
