# SPDX-License-Identifier: GPL-2.0-only
"""Real XFS while memory is short, at every position of the series."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.arch import arch_names
from harness.model.values import Verdict
from harness.report.json import read_json
from tests.qemu.conftest import Harness


@pytest.mark.slow("storms on XFS while memory is short, at each position", minutes=10)
@pytest.mark.parametrize("arch", arch_names())
def test_a_storm_comes_to_its_end_and_leaves_a_sound_file_system(
    harness: Harness, tmp_path: Path, arch: str
) -> None:
    done = harness(
        *("run", "--out", str(tmp_path), "--fresh", "--arch", arch, "--position", "0-4"),
        *("--config", "pressure", "--ram", "64M", "--test", "vmalloc-zero-leak"),
        *("--load", "anon+xfs-metadata"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    cells = read_json(tmp_path).cells
    assert [(cell.cell.position, cell.verdict) for cell in cells] == [
        (position, Verdict.PASS) for position in range(5)
    ]
    for cell in cells:
        said = (tmp_path / dict(cell.evidence)["loads"]).read_text()
        rounds = re.search(r"^xfs-metadata: complete: (\d+) rounds", said, re.M)
        assert rounds, said
        assert int(rounds[1]) > 0
        assert "xfs-metadata: its xfs is sound, says its own check\n" in said
        assert "NOT SHOWN" not in said
