# SPDX-License-Identifier: GPL-2.0-only
"""``harness cache`` beside processes that use what is in it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.model.values import Kernel
from harness.source.fetch import fetch
from tests.integration.cli.commands import ROOT, Command, Lab, flip
from tests.integration.toy import HEADER, TOYKERNEL, ignore

# Gets a kernel and says so; at each line it is sent, tells whether the kernel is still whole.
READER = """
import sys
from pathlib import Path
from harness.cache.store import Store

store = Store(Path(sys.argv[1]))
folder = store.get("kernel", sys.argv[2])
for _ in sys.stdin:
    whole = store.get("kernel", sys.argv[2], verify=True) == folder
    headers = (folder / "kit/source" / sys.argv[3]).is_file()
    print(whole and headers, flush=True)
"""


class Reader:
    """Another process that uses a kernel."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def sees_it_whole(self) -> bool:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("look\n")
        self.process.stdin.flush()
        return self.process.stdout.readline() == "True\n"


@contextmanager
def reading(lab: Lab, kernel: Kernel) -> Iterator[Reader]:
    argv = (sys.executable, "-c", READER, str(lab.cache.store), kernel.key, HEADER)
    with subprocess.Popen(
        argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        reader = Reader(process)
        assert reader.sees_it_whole()
        yield reader


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_prune_keeps_entries_of_a_running_reader(
    lab: Lab, harness: Command, how: signal.Signals
) -> None:
    used = lab.kernels[2]
    with reading(lab, used) as reader:
        out = harness("prune", "--size", "0", code=1).stdout
        assert "in use" in out
        assert lab.entries("kernel") == {used.key}
        assert lab.entries("headers") == {(used.kit / "source").readlink().parent.name}
        assert reader.sees_it_whole()
        reader.process.send_signal(how)
    harness("prune", "--size", "0", code=1)
    assert lab.entries("kernel") == lab.entries("headers") == set()


def test_verify_reports_and_keeps_damage_in_use(lab: Lab, harness: Command) -> None:
    with reading(lab, lab.kernels[0]):
        flip(lab.kernels[0].image)
        assert "left: a running harness uses it" in harness("verify", code=1).stdout
        assert lab.kernels[0].path.exists()
    assert "removed" in harness("verify", code=1).stdout


# Fetches, builds and uses kernels over and over, each time as a process that has just begun.
RUN = """
import os, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.integration.toy import TOYKERNEL, ignore, toy_arch
from harness.build import kernel_devel
from harness.build.kernel import build_kernel
from harness.cache import lease
from harness.host.paths import Cache
from harness.source.series import load_series
from harness.source.fetch import fetch
from harness.host.files import sha256_of

os.environ["TOYKERNEL_PYTHON"] = sys.executable
folder = Path(sys.argv[1])
cache, arch = Cache(folder / "cache"), toy_arch()
series = load_series(folder / "toy", "5.10.99")
fragments = (folder / "kconfigs" / "base.config",)
for number in range(4):
    tree = fetch(f"dir:{TOYKERNEL}", cache, "", ignore)
    kernels = [build_kernel(tree, series, p, arch, fragments, cache, ignore) for p in (0, 1, 2)]
    for kernel in kernels:
        assert sha256_of(kernel.image) == kernel.image_sha256
        assert (kernel.kit / "source" / "Makefile").is_file()
    lease.end_all()
    kernel_devel.forget_headers()
"""


def test_prune_beside_runs_never_fails(lab: Lab, harness: Command, tmp_path: Path) -> None:
    argv = (sys.executable, "-c", RUN, str(tmp_path), str(ROOT))
    pruned = 0
    with subprocess.Popen(argv, cwd=ROOT, stderr=subprocess.PIPE, text=True) as run:
        while run.poll() is None:
            pruned += harness("prune", "--size", "0", code=1).stdout.count("removed kernel")
        assert run.stderr is not None
        assert run.returncode == 0, run.stderr.read()
    assert pruned > 0
    fetch(f"dir:{TOYKERNEL}", lab.cache, "", ignore)
    assert lab.kernel(0).image_sha256 == lab.kernels[0].image_sha256
