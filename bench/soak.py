# SPDX-License-Identifier: GPL-2.0-only
"""``python -m bench.soak CACHE ARCH COUNT``: many clones in a row; prints what they left, as JSON.

A process of its own, whose temporary folder nobody else writes to: what is there afterwards and
was not before is theirs.
"""

from __future__ import annotations

import gc
import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.guests import OpenGuest, answer, clones_of
from bench.testbed import open_testbed
from harness.cache.store import Store
from harness.host.paths import Cache, find_checkout
from harness.run.workspace import Workspace

WARM_UPS = 20  # until every cache of the interpreter is full
# In the environment of everything that this process starts, whoever its parent is by now.
MARK = "KPH_BENCH_SOAK"


def main(argv: list[str]) -> int:
    """Run the clones and print the differences."""
    cache, arch, count = argv
    os.environ[MARK] = secrets.token_hex(16)
    workspace = Workspace(find_checkout(Path(__file__).parent), Cache(Path(cache)), lambda _: None)
    with open_testbed(workspace, 0, int(count)) as testbed:
        # A store of its own: others may be writing to the one in the cache.
        open_clone = clones_of(testbed, arch, Store(testbed.folder / "store"))
        _clones(open_clone, WARM_UPS)
        before = _look()
        begun = time.perf_counter()
        _clones(open_clone, testbed.clones)
        seconds = time.perf_counter() - begun
        after = _look()
    left = {name: after[name] - before[name] for name in after}
    print(json.dumps({**left, "each": seconds / testbed.clones}))
    return 0


def _clones(open_clone: OpenGuest, count: int) -> None:
    for _ in range(count):
        with tempfile.TemporaryDirectory() as folder, open_clone(Path(folder)) as guest:
            answer(guest)


def _look() -> dict[str, int]:
    """Count what a clone could leave behind."""
    gc.collect()
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        "processes": sum(1 for _ in _started()),
        "files": sum(1 for _ in Path(tempfile.gettempdir()).rglob("*")),
        "descriptors": sum(1 for _ in Path("/proc/self/fd").iterdir()),  # sockets are descriptors
        "threads": int(status["Threads"]),
        "memory_kib": int(status["RssAnon"].split()[0]),
    }


def _started() -> Iterator[int]:
    """Yield the processes that carry our mark, but for ourselves."""
    mark = f"{MARK}={os.environ[MARK]}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                yield int(entry.name)
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
