# SPDX-License-Identifier: GPL-2.0-only
"""What the kernel of a guest did that somebody drove, and whose fault it is."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.guest.guest import Guest, boot
from harness.guest.phase_log import ANSWER_S
from harness.guest.transport.agent import GuestDied
from harness.model.errors import GuestError, UserError
from harness.model.values import SplatKind
from harness.run import driven as driving
from harness.run.driven import DEATH, Drive, Seen, driven, parse_tolerated, seen_on_console
from harness.run.symbolize import DebugSource
from tests.integration.fakeqemu import fake_guest, on
from tests.integration.toydebug import Built

WARNS = (
    'read = [{ agent = "kmsg 4,{seq},2000000;WARNING: CPU: 0 PID: 9 at mm/a.c:7 f+0x1/0x2" },'
    ' { agent = "end {id} exit:0" }]\n'
)
PANICS = (
    'read = [{ console = "[    3.000000] Kernel panic - not syncing: boom\\r\\n" }, { exit = 0 }]\n'
)
RESETS = "read = [{ exit = 0 }]\n"
BREAKS = 'read = [{ stderr = "no memory" }, { exit = 1 }]\n'
MUTE = "".join(f'"{verb}" = [{{ nap = 0.0 }}]\n' for verb in ("hello", "write /dev/kmsg", "read"))
LATE_WARNING = (
    'poweroff = [{ agent = "ok {id}" }, '
    '{ console = "[    9.000000] WARNING: CPU: 0 PID: 1 at kernel/reboot.c:1 off+0x1/0x2\\r\\n" },'
    " { exit = 0 }]\n"
)


@pytest.fixture
def debug(tmp_path: Path) -> DebugSource:
    return Built(tmp_path / "toy").source


def seen(
    folder: Path, debug: DebugSource, verbs: str, use: Callable[[Guest], object], *kinds: str
) -> Seen:
    spec = fake_guest(folder, on(verbs))
    with boot(spec, folder / "guest") as guest, Drive(guest, debug, kinds) as drive:
        return driven(drive, lambda: use(guest) and None)


def read(guest: Guest) -> str:
    return guest.read("/proc/x")


def test_a_splat_is_a_fault_unless_it_is_tolerated(tmp_path: Path, debug: DebugSource) -> None:
    found = seen(tmp_path, debug, WARNS, read)
    assert found.fault == "the kernel complained: WARNING in f (mm/a.c)"
    assert [(s.kind, s.when) for s in found.splats] == [(SplatKind.WARNING, "while it was driven")]
    assert seen(tmp_path, debug, WARNS, read, "warning") == Seen(console=found.console)
    assert seen(tmp_path, debug, WARNS, read, "leak", DEATH).fault == found.fault


def test_a_splat_at_power_off_is_a_fault(tmp_path: Path, debug: DebugSource) -> None:
    found = seen(tmp_path, debug, LATE_WARNING, lambda guest: guest.hello())
    assert found.fault == "the kernel complained: WARNING in off (kernel/reboot.c)"
    assert [splat.when for splat in found.splats] == ["while it powered off"]


@pytest.mark.parametrize(
    ("verbs", "said"),
    [
        (PANICS, "the kernel died: kernel panic: boom"),
        (RESETS, "the kernel died: the guest reset or powered off"),
    ],
)
def test_a_death_is_a_fault_however_the_caller_met_it(
    tmp_path: Path, debug: DebugSource, verbs: str, said: str
) -> None:
    assert seen(tmp_path, debug, verbs, read).fault == said

    def meets(guest: Guest) -> None:
        with pytest.raises(GuestDied, match=r"panicked: boom|reset or powered off"):
            guest.read("/proc/x")

    assert seen(tmp_path, debug, verbs, meets).fault == said
    assert seen(tmp_path, debug, verbs, meets, DEATH).fault == ""
    assert GuestDied.exit_code == 1


def test_a_guest_that_its_caller_powers_off_is_no_fault(tmp_path: Path, debug: DebugSource) -> None:
    off = 'poweroff = [{ agent = "ok {id}" }, { exit = 0 }]\n'
    assert seen(tmp_path, debug, off, lambda guest: guest.power_off()).fault == ""


def test_an_emulator_that_breaks_is_ours(tmp_path: Path, debug: DebugSource) -> None:
    with pytest.raises(GuestError, match="no memory") as caught:
        seen(tmp_path, debug, BREAKS, read)
    assert not isinstance(caught.value, GuestDied)
    assert caught.value.exit_code == 3
    with pytest.raises(GuestError, match="SIGKILL"):
        seen(tmp_path, debug, "", lambda guest: os.kill(guest.pid, signal.SIGKILL))


def test_a_request_that_is_refused_is_the_callers(tmp_path: Path, debug: DebugSource) -> None:
    refuses = 'read = [{ agent = "err {id} 2 no%20such%20file" }]\n'
    with pytest.raises(GuestError, match="cannot read /proc/x"):
        seen(tmp_path, debug, refuses, read)


def test_a_guest_that_answers_no_more_hangs(
    tmp_path: Path, debug: DebugSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ANSWER_S > 1
    for where in ("guest.guest.ANSWER_S", "guest.phase_log.ANSWER_S", "guest.phase_log.MARK_S"):
        monkeypatch.setattr(f"harness.{where}", 0.2)
    monkeypatch.setattr(driving, "LOOK_S", 0.2)
    found = seen(tmp_path, debug, MUTE, read)
    assert found.fault.startswith("the kernel hangs")
    assert "did not answer" in found.fault
    assert (tmp_path / "guest" / "stuck.txt").is_file()


# ---------------------------------------------------------------- a person's console


def test_only_the_kernel_s_own_lines_of_a_console_count(debug: DebugSource) -> None:
    typed = b'~ # echo "Kernel panic - not syncing: typed"\r\nWARNING: CPU: 0 PID: 1 at a.c:1 f\r\n'
    warned = b"~ # ls\x1b[0m[    5.000000] WARNING: CPU: 0 PID: 1 at mm/a.c:1 f+0x1/0x2\r\n"
    died = b"[    6.000000] Kernel panic - not syncing: real\r\n"
    assert seen_on_console(typed, debug, ()) == Seen()
    found = seen_on_console(typed + warned, debug, ())
    assert found.fault == "the kernel complained: WARNING in f (mm/a.c)"
    assert seen_on_console(typed + warned, debug, ("warning",)) == Seen()
    assert seen_on_console(died, debug, ("warning",)).fault == "the kernel died: kernel panic: real"
    assert seen_on_console(died, debug, (DEATH,)) == Seen()
    assert seen_on_console(b"\xff\x00[    1.0" * 1000, debug, ()) == Seen()


def test_kinds_are_taken_one_by_one_or_with_commas() -> None:
    assert parse_tolerated(["oops, leak", "death"], "--tolerate") == {"oops", "leak", "death"}
    assert parse_tolerated([], "--tolerate") == frozenset()
    with pytest.raises(UserError, match="--tolerate: unknown kind 'warn': did you mean 'warning'"):
        parse_tolerated(["oops", "warn"], "--tolerate")
    with pytest.raises(UserError, match="unknown kind ''"):
        parse_tolerated(["oops,"], "--tolerate")
