# SPDX-License-Identifier: GPL-2.0-only
"""A machine: its files, and how the end of its emulator is told from the guest's."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.guest.qemu.process import kill_all
from harness.guest.transport.console import FROM_CONSOLE
from harness.guest.transport.reader import Wait
from harness.host.deadline import Deadline
from tests.integration.fakeqemu import BOOTS, fake_machine

SOON = 20.0


def ended(actions: str) -> str:
    """Return a scenario that plays *actions* instead of a boot."""
    return f"boot = [{actions}]"


def test_machine_that_runs_has_no_failure_and_its_command_on_disk(tmp_path: Path) -> None:
    with fake_machine(tmp_path, BOOTS) as machine:
        machine.agent.wait_ready(Deadline(SOON))
        assert machine.failure() is None
        assert machine.private_kib() > 0
        assert machine.argv[0] in (tmp_path / "argv.txt").read_text()


@pytest.mark.parametrize(
    ("actions", "failure"),
    [
        ("{ exit = 0 }", None),  # the guest reset, or powered off
        ("{ stderr = 'no memory' }, { exit = 1 }", "QEMU ended with exit 1: no memory"),
        (
            "{ stderr = 'qemu: terminating on signal 15' }, { exit = 0 }",
            "QEMU ended with exit 0: qemu: terminating on signal 15",
        ),
    ],
)
def test_failure_is_none_only_where_guest_ended_itself(
    tmp_path: Path, actions: str, failure: str | None
) -> None:
    with fake_machine(tmp_path, ended(actions)) as machine:
        assert machine.wait_end(Deadline(SOON)) is Wait.MET
        found = machine.failure()
        assert (found and found.what) == failure
        assert machine.private_kib() == 0


def test_machine_killed_by_kill_all_was_stopped_from_outside(tmp_path: Path) -> None:
    with fake_machine(tmp_path, BOOTS) as machine:
        kill_all()
        assert machine.wait_end(Deadline(SOON)) is Wait.MET
        assert "stopped from outside" in str(machine.failure())


def test_stderr_ends_in_qemu_log(tmp_path: Path) -> None:
    with fake_machine(tmp_path, ended("{ stderr = 'odd' }, { exit = 0 }")) as machine:
        machine.wait_end(Deadline(SOON))
        assert machine.stderr.strip() == "odd"
    assert (tmp_path / "qemu.log").read_text().strip() == "odd"


OOPS = "[    2.000001] BUG: unable to handle page fault\\r\\n[    2.000002] Kernel panic: it\\r\\n"


@pytest.mark.parametrize("last", ["BUG: unable to handle page fault", "one before"])
def test_kmsg_log_ends_with_what_only_the_console_got(tmp_path: Path, last: str) -> None:
    usec = 2000001 if last.startswith("BUG") else 2000000
    actions = (
        f'{{ agent = "kmsg 6,1,1000000;early" }}, {{ agent = "kmsg 6,2,{usec};{last}" }}, '
        f'{{ console = "[    1.000000] early\\r\\n{OOPS}" }}, {{ exit = 0 }}'
    )
    with fake_machine(tmp_path, ended(actions)) as machine:
        assert machine.wait_end(Deadline(SOON)) is Wait.MET
    lines = (tmp_path / "kmsg.log").read_text().splitlines()
    oops = ["[    2.000001] BUG: unable to handle page fault", "[    2.000002] Kernel panic: it"]
    first = f"[    {usec / 1e6:.6f}] {last}"
    rest = oops[1:] if first in oops else oops
    assert lines == ["[    1.000000] early", first, FROM_CONSOLE, *rest]


def test_kmsg_log_of_a_guest_that_told_all_is_left_as_it_is(tmp_path: Path) -> None:
    actions = (
        '{ console = "[    1.000000] early\\r\\n" }, { agent = "kmsg 6,1,1000000;early" }, '
        "{ exit = 0 }"
    )
    with fake_machine(tmp_path, ended(actions)) as machine:
        machine.wait_end(Deadline(SOON))
    assert (tmp_path / "kmsg.log").read_text() == "[    1.000000] early\n"
