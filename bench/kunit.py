# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own kunit.py, with the smallest configuration that comes with it.

Its source is 6.1's: kunit.py of 5.10 knows nothing but user-mode Linux.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.guests import WHOLE
from bench.model import Contender, Once, Sample
from bench.testbed import Testbed
from harness.cache.store import hold
from harness.host import process, resources
from harness.model.errors import InfraError
from harness.model.values import SourceTree
from harness.source.fetch import fetch

BASE = "debian:6.1"
BOOT_AND_RUN = "boot and run"

_PROGRAM = "tools/testing/kunit/kunit.py"
_ELAPSED = re.compile(r"Elapsed time: (?P<seconds>[0-9.]+)s")
_RAN = re.compile(r"Testing complete\. .*Ran \d+ tests: passed: [1-9]")


def _run(testbed: Testbed, tree: SourceTree, out: Path, *words: str) -> process.Finished:
    argv = (sys.executable, str(tree.path / _PROGRAM), words[0], "--arch=x86_64",
            f"--build_dir={out}", *words[1:])  # fmt: skip
    # The tree is pristine and stays so, bytecode included.
    env = {"PYTHONPYCACHEPREFIX": str(testbed.keep / "pycache")}
    done = process.run(argv, cwd=tree.path, env=env)
    if not done.ok:
        raise InfraError(
            f"kunit.py {words[0]} ended with {done.status}",
            detail=(done.stdout + done.stderr).strip()[-2000:],
        )
    return done


@contextmanager
def _open(testbed: Testbed) -> Iterator[Once]:
    tree = fetch(BASE, testbed.workspace.cache, "", testbed.workspace.report)
    out = testbed.keep / f"kunit-{tree.digest[:12]}"
    with hold(testbed.workspace.cache.locks, out.name):
        out.mkdir(parents=True, exist_ok=True)
        # By itself it reconfigures and makes only what is missing.
        _run(testbed, tree, out, "build", "--kunitconfig=lib/kunit", f"--jobs={resources.cores()}")

    def once() -> Sample:
        begun = time.perf_counter()
        done = _run(testbed, tree, out, "exec")
        whole = time.perf_counter() - begun
        return {WHOLE: whole, BOOT_AND_RUN: elapsed(done.stdout)}

    yield once


def elapsed(text: str) -> float:
    """Return the seconds that kunit.py's output says booting and running took.

    Raises:
        InfraError: it says none, or no test passed: the run was not what was meant to be timed.
    """
    took = _ELAPSED.search(text)
    if not took or not _RAN.search(text):
        raise InfraError("kunit.py ran no test", detail=text.strip()[-2000:])
    return float(took["seconds"])


EXEC = Contender(
    "kunit.py",
    "tools/testing/kunit/kunit.py exec --arch=x86_64 (6.1, lib/kunit/.kunitconfig)",
    _open,
)
