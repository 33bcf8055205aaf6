# SPDX-License-Identifier: GPL-2.0-only
"""Loads in a guest: beside a test, broken, and where the guest goes down with them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.guest.guest import boot
from harness.guest.transport.agent import Agent, Request
from harness.guest.transport.reader import Wait
from harness.host.deadline import Deadline
from harness.model.errors import GuestError
from harness.model.results import Ended
from harness.model.values import Load
from harness.run.guest_test import run_test
from harness.run.load import LoadRun
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


def test_load_runs_beside_test_and_is_stopped(tmp_path: Path) -> None:
    load = replace(LOAD, setup=(("/bin/busybox", "true"),))
    with boot(fake_guest(tmp_path, on(LOADED)), tmp_path) as guest:
        with LoadRun(guest, load).kept_up() as running:
            outcome = run_test(guest, TEST, [running])
        assert guest.alive
    assert outcome.ended is Ended.DONE
    assert outcome.load_ended == ""
    said = [line.split("] ")[1] for line in (tmp_path / "kmsg.log").read_text().splitlines()]
    assert said[0] == "setup"
    assert said[-1].startswith("stop ")


def test_load_that_ends_early_is_reported(tmp_path: Path) -> None:
    table = LOADED.replace(
        '{ agent = "out {id} ready" }',
        """
    { agent = "out {id} ready" }, { agent = "end {id} signal:9" }""",
    ).replace("\n    {", " {")
    with (
        boot(fake_guest(tmp_path, on(table)), tmp_path) as guest,
        LoadRun(guest, LOAD).kept_up() as load,
    ):
        outcome = run_test(guest, TEST, [load])
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
def test_broken_load_is_guest_error(tmp_path: Path, table: str, why: str) -> None:
    load = replace(LOAD, setup=(("/bin/setup",),))
    if "exec" not in table:
        table += '\nexec = [{ agent = "end {id} exit:0" }]'
    with boot(fake_guest(tmp_path, on(table)), tmp_path) as guest:
        with pytest.raises(GuestError, match=why), LoadRun(guest, load).kept_up():
            raise AssertionError
        assert guest.alive


def test_guest_death_by_load_shows_in_test(tmp_path: Path) -> None:
    table = """
    start = [
        { console = "[    3.000000] Kernel panic - not syncing: Out of memory\\r\\n" },
        { exit = 0 },
    ]"""
    with boot(fake_guest(tmp_path, on(table)), tmp_path) as guest, LoadRun(guest, LOAD).kept_up():
        outcome = run_test(guest, TEST)
    assert outcome.ended is Ended.DIED
    assert outcome.reason == "the kernel panicked: Out of memory"
    assert "Kernel panic - not syncing: Out of memory" in outcome.log


def test_load_that_ends_before_stop_is_reported(tmp_path: Path) -> None:
    # The end first: with the answer to the write it is known.
    table = LOADED + 'write = [{ agent = "end {arg} exit:1" }, { agent = "ok {id}" }]'
    with boot(fake_guest(tmp_path, on(table)), tmp_path) as guest:
        with LoadRun(guest, LOAD).kept_up() as running:
            outcome = run_test(guest, TEST, [running])
            assert running._asked is not None
            guest.write(str(running._asked.id), "")
        guest.hello()
    assert outcome.load_ended == ""
    assert running.ended == "anon: exit 1"
    assert running.broke == ""


def test_load_stop_names_grace_time(tmp_path: Path) -> None:
    table = LOADED.replace("stop {arg}", "stop {args}")
    spec = fake_guest(tmp_path, on(table).replace("spin_us=10000", "spin_us=25000"))
    with boot(spec, tmp_path) as guest, LoadRun(guest, LOAD).kept_up() as running:
        assert running._asked is not None
        number = running._asked.id
    said = (tmp_path / "kmsg.log").read_text().splitlines()[-1]
    assert said.endswith(f"stop {number} 50000")


def never_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a load's time be over once it runs, however long its guest took to start it."""
    hear = Agent.hear

    def heard(agent: Agent, asked: Request, text: str, _: Deadline) -> Wait:
        return hear(agent, asked, text, Deadline(0.0))

    monkeypatch.setattr(Agent, "hear", heard)


def test_load_never_ready_is_guest_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    never_ready(monkeypatch)
    table = LOADED.replace('{ agent = "out {id} ready" }', "").replace("}, ]", "} ]")
    with boot(fake_guest(tmp_path, on(table)), tmp_path) as guest:
        why = "load anon: not ready within 20 s, in a guest that answers"
        with pytest.raises(GuestError, match=why), LoadRun(guest, LOAD).kept_up():
            raise AssertionError
        assert guest.alive
    assert "stop " in (tmp_path / "kmsg.log").read_text()


def test_guest_hang_under_load_shows_in_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    never_ready(monkeypatch)
    monkeypatch.setattr("harness.guest.phase_log.ANSWER_S", 0.1)
    table = 'hello = []\nstart = [{ agent = "ok {id} pid=1" }]'
    with boot(fake_guest(tmp_path, on(table)), tmp_path) as guest, LoadRun(guest, LOAD).kept_up():
        outcome = run_test(guest, TEST)
    assert outcome.ended is Ended.SILENT
    assert "load anon: not ready within 20 s" in outcome.reason
