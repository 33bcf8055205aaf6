# SPDX-License-Identifier: GPL-2.0-only
"""The lab: work beside other work, and the one way out of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.build.kconfig import DEFAULT_TOPICS
from harness.cache.store import Store, hold
from harness.host import packages, process
from harness.host.paths import Cache, Checkout
from harness.model.errors import Interrupted, UserError
from harness.model.values import Plan
from harness.run.lab import Lab
from harness.run.prepare import ResolvedPlan
from harness.run.workspace import Workspace
from tests.integration.fakeqemu import BOOTS, fake_guest
from tests.integration.toy import SWITCHED, fragment, ignore, toy_arch, toy_tree, two_patches

ROOT = Path(__file__).resolve().parents[3]
# Builds in a thread of a lab, as modules are built beside cells, and says what became of it.
INTERRUPTED = """
import sys
from pathlib import Path
import pytest
from tests.integration.run.test_lab import toy_lab

try:
    with toy_lab(Path(sys.argv[1]), pytest.MonkeyPatch()) as lab:
        arch, = lab.ready.archs
        lab.submit(lab.kernel, arch, 0).result()
except KeyboardInterrupt:
    sys.exit(130)
"""


def toy_lab(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Return a lab for the toy kernel; nothing is asked of the host."""
    monkeypatch.setattr(packages, "require", lambda _: None)
    cache, arch = Cache(folder / "cache"), toy_arch()
    for topic in ("toy", *DEFAULT_TOPICS):
        fragment(folder / "kconfigs", topic, SWITCHED if topic == "base" else "")
    tree = toy_tree(cache, monkeypatch)
    plan = Plan(arch=("toy",), accel="tcg", jobs=2)
    ready = ResolvedPlan(plan, tree, two_patches(folder / "toy"), (arch,), (0, 1, 2), (), ())
    return Lab(ready, Workspace(Checkout(folder), cache, ignore))


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    return toy_lab(tmp_path, monkeypatch)


def runs(pid: str) -> bool:
    """Whether *pid* is a process that has not ended."""
    try:
        return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(seen: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not seen():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_sigint_while_a_thread_builds_ends_make_and_the_next_run_goes_on(
    tmp_path: Path, lab: Lab
) -> None:
    (arch,) = lab.ready.archs
    pids = tmp_path / "pids"
    compiler = tmp_path / "bin" / f"{arch.triplet}-gcc"
    compiler.parent.mkdir()
    compiler.write_text(
        '#!/bin/sh\ncase "$*" in *vmalloc.c*)\n'
        f"echo $PPID $$ >> {pids}; sleep 600 & echo $! >> {pids}; wait;; esac\n"
        f'exec /usr/bin/{arch.triplet}-gcc "$@"\n'
    )
    compiler.chmod(0o755)
    environ = {**os.environ, "PATH": f"{compiler.parent}:{os.environ['PATH']}"}
    argv = (sys.executable, "-c", INTERRUPTED, str(tmp_path))
    with subprocess.Popen(argv, cwd=ROOT, env=environ) as building:
        try:
            wait_for(lambda: pids.exists() and len(pids.read_text().split()) == 3)
            building.send_signal(signal.SIGINT)
            assert building.wait(30) == 130
        finally:
            building.kill()
    assert [pid for pid in pids.read_text().split() if runs(pid)] == []
    assert list(lab.workspace.cache.store.glob("kernel/*")) == []
    kernel = lab.kernel(arch, 0)
    assert not kernel.reused
    assert Store(lab.workspace.cache.store).damage("kernel", kernel.key) == ""


def test_exit_without_exception_waits_for_submitted_work(lab: Lab) -> None:
    done: list[int] = []
    with lab:
        for number in range(5):
            lab.submit(done.append, number)
    assert sorted(done) == [0, 1, 2, 3, 4]


def test_exit_by_exception_begins_nothing_more_and_leaves_no_thread(lab: Lab) -> None:
    go_on = threading.Event()
    running = [lab.submit(process.run, ("sleep", "600")) for _ in range(2)]
    waiting = lab.submit(go_on.set)
    wait_for(lambda: all(future.running() for future in running))
    with pytest.raises(KeyboardInterrupt), lab:
        raise KeyboardInterrupt
    assert [type(future.exception()) for future in running] == [Interrupted, Interrupted]
    assert waiting.cancelled()
    assert not go_on.is_set()
    assert not process.stopping()


def test_exit_by_exception_ends_guests_without_a_result(lab: Lab, tmp_path: Path) -> None:
    spec = fake_guest(tmp_path, BOOTS)
    up = threading.Event()

    def use_guest() -> None:
        with lab.templates.guest(replace(spec, content=""), tmp_path / "cell") as guest:
            up.set()
            wait_for(lambda: not guest.alive)

    running = lab.submit(use_guest)
    assert up.wait(60)
    with pytest.raises(UserError), lab:
        raise UserError("no such thing")
    assert isinstance(running.exception(), Interrupted)


def test_exit_by_exception_ends_the_wait_for_a_lock_of_another(lab: Lab, tmp_path: Path) -> None:
    waits = threading.Event()

    def build() -> None:
        with hold(tmp_path, "busy", waits.set):
            pytest.fail("the lock was not held")

    with hold(tmp_path, "busy"):
        waiting = lab.submit(build)
        assert waits.wait(60)
        with pytest.raises(UserError), lab:
            raise UserError("no such thing")
        assert isinstance(waiting.exception(), Interrupted)


def test_with_plan_shares_threads_and_guests(lab: Lab) -> None:
    other = lab.with_plan(replace(lab.ready, positions=(1,)))
    assert (lab.ready.positions, other.ready.positions) == ((0, 1, 2), (1,))
    assert other.templates is lab.templates
    with lab:
        assert other.submit(lambda: threading.current_thread().name).result().startswith("guest")


def test_second_interrupt_while_work_is_stopped_changes_nothing(lab: Lab) -> None:
    seen = list[bool]()

    def work() -> None:
        while not process.stopping():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)  # the main thread would take them here
        seen.append(process.stopping())

    def interrupted() -> None:
        with lab:
            lab.submit(work)
            raise Interrupted("the first one")

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match="the first one"):
        interrupted()
    assert seen == [True]
    assert signal.getsignal(signal.SIGINT) == before
