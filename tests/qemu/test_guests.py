# SPDX-License-Identifier: GPL-2.0-only
"""What a real guest can be asked, and what it cannot do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.arch import all_archs
from harness.errors import GuestError
from harness.model import Arch, Cell, GuestSpec, GuestTest, Plan, Verdict
from harness.pipeline import Workspace, guest_spec, make_bench, make_kernel, prepare
from harness.record import Ended
from harness.session import BootFailure, Guest, boot
from harness.verdict import judge

PLAN = Plan(positions=(4,), tests=("vmalloc-zero-leak",))


@pytest.fixture(scope="module", params=all_archs(), ids=lambda arch: arch.name)
def spec(request: pytest.FixtureRequest, space: Workspace) -> GuestSpec:
    """A guest with the whole series applied."""
    arch: Arch = request.param
    ready = prepare(PLAN, space)
    bench = make_bench(ready, arch, make_kernel(ready, arch, 4, space), space)
    return guest_spec(PLAN, arch, bench, 128, "tcg")


@pytest.fixture
def guest(spec: GuestSpec, tmp_path: Path) -> Iterator[Guest]:
    with boot(spec, tmp_path) as booted:
        yield booted


def test_a_guest_says_what_it_is_and_has(guest: Guest) -> None:
    assert guest.ready.release.startswith("5.10.")
    assert guest.ready.cpus == 1
    assert 64 * 1024 < guest.ready.mem_total_kb < 128 * 1024
    assert 0 < guest.ready.mem_free_kb < guest.ready.mem_total_kb
    assert "MemFree:" in guest.read("/proc/meminfo")


def test_ssh_runs_commands_and_fetches_files(guest: Guest) -> None:
    with guest.ssh() as ssh:
        done = ssh.run("echo out; echo err >&2; exit 3")
        assert (done.stdout, done.stderr, done.exit) == ("out\n", "err\n", 3)
        assert ssh.fetch("/proc/version").startswith(b"Linux version 5.10.")
        with pytest.raises(GuestError):
            ssh.fetch("/no/such/file")


def test_the_guest_s_network_has_no_way_out(guest: Guest) -> None:
    with guest.ssh() as ssh:
        # The host itself, as QEMU's user network would show it, and the world beyond it.
        for address in ("10.0.2.2", "192.0.2.1"):
            done = ssh.run(f"busybox nc -w 2 {address} 22 </dev/null")
            assert done.exit != 0, address


def test_a_panic_ends_a_test_at_once_and_is_named(guest: Guest, tmp_path: Path) -> None:
    test = GuestTest("crash", tmp_path, "", "no_such", "no_such",
                     knobs=(("/proc/sysrq-trigger", "c"),))  # fmt: skip
    outcome = guest.run_test(test)
    assert outcome.ended is Ended.DIED
    assert "sysrq triggered crash" in outcome.reason
    assert not guest.alive


def test_a_module_that_is_not_there_is_refused_and_judged_an_error(
    guest: Guest, tmp_path: Path
) -> None:
    test = GuestTest("absent", tmp_path, "", "no_such_module", "no_such")
    outcome = guest.run_test(test)
    assert outcome.ended is Ended.REFUSED
    cell = Cell(guest.argv[0], "b", 0, (), 128, "absent", "none")
    assert judge(cell, test, "s", outcome, frozenset()).verdict is Verdict.ERROR
    assert guest.alive


def test_a_kernel_that_dies_before_it_is_ready_is_a_boot_failure(
    spec: GuestSpec, tmp_path: Path
) -> None:
    broken = replace(spec, cmdline=("rdinit=/no/such/init",))
    with pytest.raises(BootFailure) as caught, boot(broken, tmp_path):
        pass
    assert caught.value.kind == "panic"
    assert any("Kernel panic" in line for line in caught.value.console)


def test_a_guest_boots_in_48_mib(spec: GuestSpec, tmp_path: Path) -> None:
    with boot(replace(spec, ram_mib=48), tmp_path) as small:
        assert small.read("/proc/uptime")
