# SPDX-License-Identifier: GPL-2.0-only
"""harness watch with real guests: a saved file becomes a verdict."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.qemu.conftest import ROOT, Harness

PATIENCE_S = 600.0  # kernels may have to be built first; else it takes some ten seconds


@contextmanager
def watching(root: Path, *options: str) -> Iterator[Iterator[str]]:
    """Run ``harness watch`` and give the lines it prints; it is gone afterwards."""
    argv = (sys.executable, "-m", "harness", "--root", str(root), "watch", *options)
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        assert process.stdout is not None
        # Nobody waits for ever for a line that does not come.
        patience = threading.Timer(PATIENCE_S, process.kill)
        patience.start()
        try:
            yield iter(process.stdout.readline, "")
        finally:
            patience.cancel()
            process.terminate()


def until(lines: Iterator[str], text: str) -> list[str]:
    """Return the lines up to the one that holds *text*."""
    seen = []
    for line in lines:
        seen.append(line.rstrip())
        if text in line:
            return seen
    raise AssertionError("\n".join(seen))


def test_a_saved_test_becomes_a_verdict(tmp_path: Path, harness: Harness) -> None:
    for folder in ("guest-tests", "kconfigs", "patches"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    made = harness("--root", str(tmp_path), "new", "test", "sums")
    assert made.returncode == 0, made.stderr
    source = tmp_path / "guest-tests" / "tests" / "sums" / "main.c"
    plan = ("--arch", "x86_64", "--position", "4", "--test", "sums", "--load", "none")
    with watching(tmp_path, *plan, "--out", str(tmp_path / "out"), "--rounds", "2") as lines:
        until(lines, "waiting for an edit")
        text = source.read_text()
        first = text.index("KUNIT_EXPECT")
        source.write_text(text[:first] + 'KUNIT_FAIL(test, "edited");\n\t' + text[first:])
        assert until(lines, "saved:")[-1] == "saved: main.c"
        told = until(lines, "from save to verdict")
    assert any("sums (x86_64, position 4): PASS → FAIL" in line for line in told)
    assert (tmp_path / "out" / "report.html").is_file()
