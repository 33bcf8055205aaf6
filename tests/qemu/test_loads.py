# SPDX-License-Identifier: GPL-2.0-only
"""Each load in small guests: the guest's own counters show what it is for."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.arch import arch_names
from harness.host.paths import find_checkout
from harness.plan.descriptions import load_loads
from harness.report.json import read_json
from tests.qemu.conftest import ROOT, Harness

LOADS = load_loads(find_checkout(ROOT))
PRESSURE = frozenset({"MEMCG", "EXT4_FS", "XFS_FS", "VIRTIO_BLK"})  # what --config pressure brings
PLAIN = [name for name, load in LOADS.items() if not PRESSURE & set(load.needs)]
FURTHER = pytest.mark.slow("all loads, in guests of three sizes", minutes=15)


@pytest.mark.parametrize("arch", arch_names())
@pytest.mark.parametrize(
    ("loads", "sizes", "config"),
    [
        pytest.param(PLAIN, [64], (), id="plain"),
        pytest.param([*LOADS], [64, 96, 128], ("--config", "pressure"), id="all", marks=FURTHER),
    ],
)
def test_each_load_shows_its_purpose(
    harness: Harness,
    tmp_path: Path,
    arch: str,
    loads: list[str],
    sizes: list[int],
    config: tuple[str, ...],
) -> None:
    out = tmp_path / "run"
    done = harness(
        *("run", "--out", str(out), "--fresh", "--arch", arch, "--position", "4", *config),
        *("--ram", ",".join(f"{mib}M" for mib in sizes), "--test", "vmalloc-zero-leak"),
        *("--load", ",".join(loads)),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    record = read_json(out)
    assert [cell.cell.load for cell in record.cells] == loads * len(sizes)
    for cell in record.cells:
        said = (out / dict(cell.evidence)["loads"]).read_text().splitlines()
        shown = [line for line in said if line.endswith(": shown")]
        assert 0 < len(shown) == len(LOADS[cell.cell.load].shows), said
