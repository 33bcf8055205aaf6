# SPDX-License-Identifier: GPL-2.0-only
"""Several processes on one store."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from harness.cache.store import Store

PUT = """
import sys
from pathlib import Path
from harness.cache.store import Store

def fill(into):
    for number in range(50):
        (into / str(number)).write_text(sys.argv[2] * 1000)
    print("filled", flush=True)
    sys.stdin.readline()

Store(Path(sys.argv[1])).put("kind", "key", fill)
"""


def putting(store: Store, text: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        (sys.executable, "-c", PUT, str(store.root), text),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_put_of_one_key_by_two_processes_keeps_the_first(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with putting(store, "a") as one, putting(store, "b") as two:
        assert read_line(one) == read_line(two) == "filled\n"
        assert store.get("kind", "key") is None
        two.communicate("\n")
        folder = store.get("kind", "key", verify=True)
        assert folder is not None
        one.communicate("\n")
    assert (one.returncode, two.returncode) == (0, 0)
    assert store.get("kind", "key", verify=True) == folder
    assert {file.read_text() for file in folder.iterdir() if file.name.isdigit()} == {"b" * 1000}


def test_put_of_a_killed_process_leaves_no_entry(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with putting(store, "a") as one:
        assert read_line(one) == "filled\n"
        os.kill(one.pid, signal.SIGKILL)
    assert store.get("kind", "key") is None
    with putting(store, "b") as two:
        two.communicate("\n")
    assert store.get("kind", "key", verify=True) is not None
