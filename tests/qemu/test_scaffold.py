# SPDX-License-Identifier: GPL-2.0-only
"""What ``harness new`` writes works as it is written."""

from __future__ import annotations

import shutil
from pathlib import Path

from harness.model.values import Verdict
from harness.report.json import read_json
from tests.qemu.conftest import ROOT, Harness


def test_a_new_test_and_a_new_load_run_in_a_guest(harness: Harness, tmp_path: Path) -> None:
    root = tmp_path / "checkout"
    for folder in ("kconfigs", "patches", "guest-tests"):
        shutil.copytree(ROOT / folder, root / folder)
    for kind, name in (("test", "my-test"), ("load", "my-load")):
        done = harness("--root", str(root), "new", kind, name)
        assert done.returncode == 0, done.stderr
    done = harness(
        *("--root", str(root), "run", "--out", str(tmp_path / "run"), "--arch", "x86_64"),
        *("--position", "4", "--test", "my-test", "--load", "none,my-load"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    record = read_json(tmp_path / "run")
    assert [cell.verdict for cell in record.cells] == [Verdict.PASS, Verdict.PASS]
    assert [case.name for cell in record.cells for case in cell.cases] == ["control_works"] * 2
    said = (tmp_path / "run" / dict(record.cells[1].evidence)["loads"]).read_text()
    assert ": shown\n" in said
    assert "NOT SHOWN" not in said
