# SPDX-License-Identifier: GPL-2.0-only
"""Ctrl-C in the middle of a run: nothing survives it, and the next run goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.qemu.conftest import ROOT


def descendants(pid: int) -> set[int]:
    """Return the process ids below *pid*, from /proc."""
    found: set[int] = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue  # it ended while we looked
        if int(fields[1]) == pid:
            child = int(stat.parent.name)
            found |= {child} | descendants(child)
    return found


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_no_process_and_keeps_its_verdicts(
    how: signal.Signals, tmp_path: Path
) -> None:
    argv = (sys.executable, "-m", "harness", "run", "--fresh", "--arch", "x86_64", "--out")
    with subprocess.Popen(
        (*argv, str(tmp_path)), cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr is not None
        lines = []
        for line in running.stderr:  # until the first verdict is in: guests are up then
            lines.append(line)
            if "PASS" in line or "FAIL" in line:
                break
        below = descendants(running.pid)
        running.send_signal(how)
        rest = running.stderr.read()
        assert running.wait() == 130, lines
    assert "harness: interrupted" in rest
    assert "Traceback" not in rest
    assert [pid for pid in below if _runs(pid)] == []
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["finished"] is False
    assert record["cells"]
    assert "MISS" not in {cell["verdict"] for cell in record["cells"]}
    assert record["error"].startswith("interrupted, ")
    assert record["error"] in rest
    assert record["error"] in (tmp_path / "report.html").read_text()


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
