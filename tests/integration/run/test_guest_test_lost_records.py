# SPDX-License-Identifier: GPL-2.0-only
"""Records that the kernel's log loses, in a test and around it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.guest.guest import boot
from harness.guest.transport.console import Console
from harness.model.results import Ended, TestOutcome
from harness.model.values import Cell, GuestTest, Verdict
from harness.run.cell import worth_keeping
from harness.run.guest_test import run_test
from harness.verdict.judge import judge
from tests.integration.fakeqemu import PASSES, TEST, fake_guest, on

WARNING = "WARNING: CPU: 0 PID: 7 at fs/demo.c:7 demo_put+0x31/0x40"
KTAP = ("    # Subtest: sweep", "    1..1", "    ok 1 - a", "ok 1 - sweep")


def test_run_test_counts_lost_records(tmp_path: Path) -> None:
    table = """
    insmod = [
        { agent = "kmsg 6,{seq},1;one" }, { skip = 40 }, { agent = "kmsg 6,{seq},2;two" },
        { agent = "end {id} exit:0" },
    ]"""
    with boot(fake_guest(tmp_path, on(table)), tmp_path) as guest:
        outcome = run_test(guest, TEST)
    mark = "[harness: 40 records lost between 0.000001 and 0.000002]"
    assert outcome.log == ("one", mark, "two")
    assert (outcome.lost_records, outcome.found_records) == (40, 0)


@pytest.mark.parametrize("lost", [2, 3])
def test_run_test_fills_lost_records_from_console(tmp_path: Path, lost: int) -> None:
    # The console is late: it prints when the test is over, and the guest was asked for all else.
    said = ["[    2.000000] one", "[    2.000004] lost", "[    2.000004]   it", "again"]
    said += ["[    2.000005] lost, too", "[    2.000009] two", "[    2.000010] three"]
    printed = "\\r\\n".join(said) + "\\r\\n"
    table = f"""
    insmod = [
        {{ agent = "kmsg 6,{{seq}},2000000;one" }}, {{ skip = {lost} }},
        {{ agent = "kmsg 6,{{seq}},2000009;two" }}, {{ agent = "kmsg 6,{{seq}},2000010;three" }},
        {{ agent = "end {{id}} exit:0" }},
    ]
    "write /sys/kernel/debug/kmemleak" = [
        {{ agent = "err {{id}} No%20such%20file" }}, {{ nap = 0.3 }}, {{ console = "{printed}" }},
    ]"""
    with boot(fake_guest(tmp_path, on(table)), tmp_path) as guest:
        outcome = run_test(guest, TEST)
    mark = f"[harness: {lost} records lost between 2.000000 and 2.000009]"
    assert outcome.log == ("one", mark, "lost\n  it", "lost, too", "two", "three")
    assert (outcome.lost_records, outcome.found_records) == (lost - 2, 2)


def test_a_log_without_gaps_leaves_the_console_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Console, "records", None)
    with boot(fake_guest(tmp_path, on(PASSES)), tmp_path) as guest:
        outcome = run_test(guest, TEST)
    assert (outcome.ended, outcome.lost_records, outcome.found_records) == (Ended.DONE, 0, 0)


@pytest.mark.parametrize(
    ("printed", "verdict"),
    [(WARNING, Verdict.FAIL), ("harmless", Verdict.PASS), ("", Verdict.MISS)],
)
def test_records_lost_around_test_count_as_in_test(
    tmp_path: Path, printed: str, verdict: Verdict
) -> None:
    line = f"[    9.000001] {printed}\\r\\n" if printed else ""
    after = "[    9.000002] two\\r\\n"
    table = f"""
    exec = [
        {{ agent = "kmsg 6,{{seq}},9000000;one" }}, {{ skip = 1 }},
        {{ console = "{line}{after}" }}, {{ agent = "kmsg 6,{{seq}},9000002;two" }},
        {{ agent = "end {{id}} exit:0" }},
    ]"""
    with boot(fake_guest(tmp_path, on(table)), tmp_path) as guest:
        with guest.phase_log.kept():
            with guest.phase_log.phase("before"):
                guest.hello()
            with guest.phase_log.phase("while it was looked at"):
                guest.exec(("/bin/true",))
        (phase,) = guest.phase_log.phases()
    found = [printed] if printed else []
    mark = "[harness: 1 records lost between 9.000000 and 9.000002]"
    assert phase.log == ("one", mark, *found, "two")
    assert (phase.lost_records, phase.found_records) == (1 - len(found), len(found))
    outcome = TestOutcome(Ended.DONE, KTAP, phases=(phase,))
    cell = Cell("x86_64", "debian:5.10", 0, (), 64, "sweep", "none")
    test = GuestTest("sweep", tmp_path, "", module="sweep_test", suite="sweep")
    result = judge(cell, test, "none", outcome, frozenset())
    assert (result.verdict, result.found_records) == (verdict, len(found))
    assert ("read from the console" in result.reason) is bool(found)
    assert worth_keeping(outcome) is bool(found)
