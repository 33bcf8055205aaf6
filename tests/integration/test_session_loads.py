# SPDX-License-Identifier: GPL-2.0-only
"""Loads in a guest: beside a test, broken, and where the guest goes down with them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import GuestError
from harness.model import Load
from harness.record import Ended
from harness.session import boot
from tests.integration.fakeqemu import PASSES, TEST, fake_guest, on

LOAD = Load(name="anon", folder=Path("anon"), summary="", args=("64M",), ready_timeout_s=20.0)
LOADED = (
    PASSES
    + """
start = [{ agent = "ok {id} pid=9" }, { agent = "out {id} filling" }, { agent = "out {id} ready" }]
stop = [
    { agent = "kmsg 6,{seq},1;stop {arg}" }, { agent = "ok {id}" }, { agent = "end {arg} exit:0" },
]
exec = [{ agent = "kmsg 6,{seq},1;setup" }, { agent = "end {id} exit:0" }]
"""
)


def test_a_load_runs_beside_the_test_and_is_stopped(tmp_path: Path) -> None:
    load = replace(LOAD, setup=(("/bin/busybox", "true"),))
    with boot(fake_guest(tmp_path, on(LOADED)), tmp_path) as guest:
        with guest.load(load):
            outcome = guest.run_test(TEST)
        assert guest.alive
    assert outcome.ended is Ended.DONE
    assert outcome.load_ended == ""
    said = [line.split("] ")[1] for line in (tmp_path / "kmsg.log").read_text().splitlines()]
    assert said[0] == "setup"
    assert said[-1].startswith("stop ")


def test_a_load_that_ends_by_itself_is_told(tmp_path: Path) -> None:
    table = LOADED.replace(
        '{ agent = "out {id} ready" }',
        """
    { agent = "out {id} ready" }, { agent = "end {id} signal:9" }""",
    ).replace("\n    {", " {")
    with boot(fake_guest(tmp_path, on(table)), tmp_path) as guest, guest.load(LOAD):
        outcome = guest.run_test(TEST)
    assert outcome.ended is Ended.DONE
    assert outcome.load_ended == "anon: signal 9"


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ('start = [{ agent = "err {id} No%20such%20file" }]', "No such file"),
        (
            'start = [{ agent = "ok {id}" }, { agent = "end {id} exit:1" }]',
            "ended before it was ready: exit 1",
        ),
        ('exec = [{ agent = "end {id} exit:2" }]', "'/bin/setup' ended with exit 2"),
    ],
)
def test_a_broken_load_is_our_error(tmp_path: Path, table: str, why: str) -> None:
    load = replace(LOAD, setup=(("/bin/setup",),))
    if "exec" not in table:
        table += '\nexec = [{ agent = "end {id} exit:0" }]'
    with boot(fake_guest(tmp_path, on(table)), tmp_path) as guest:
        with pytest.raises(GuestError, match=why), guest.load(load):
            raise AssertionError
        assert guest.alive


def test_a_guest_that_dies_of_its_load_shows_in_the_test(tmp_path: Path) -> None:
    table = """
    start = [
        { console = "[    3.000000] Kernel panic - not syncing: Out of memory\\r\\n" },
        { exit = 0 },
    ]"""
    with boot(fake_guest(tmp_path, on(table)), tmp_path) as guest, guest.load(LOAD):
        outcome = guest.run_test(TEST)
    assert outcome.ended is Ended.DIED
    assert outcome.reason == "the kernel panicked: Out of memory"
    assert "Kernel panic - not syncing: Out of memory" in outcome.log


def test_a_load_that_is_never_ready_is_our_error(tmp_path: Path) -> None:
    table = 'start = [{ agent = "ok {id} pid=1" }]'
    load = replace(LOAD, ready_timeout_s=0.1)
    with boot(fake_guest(tmp_path, on(table)), tmp_path) as guest:
        why = "load anon: not ready within 0 s, in a guest that answers"
        with pytest.raises(GuestError, match=why), guest.load(load):
            raise AssertionError


def test_a_guest_that_hangs_under_its_load_shows_in_the_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.session.ANSWER_S", 0.1)
    table = 'hello = []\nstart = [{ agent = "ok {id} pid=1" }]'
    load = replace(LOAD, ready_timeout_s=0.1)
    with boot(fake_guest(tmp_path, on(table)), tmp_path) as guest, guest.load(load):
        outcome = guest.run_test(TEST)
    assert outcome.ended is Ended.SILENT
    assert "load anon: not ready within 0 s" in outcome.reason
