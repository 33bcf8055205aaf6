# SPDX-License-Identifier: GPL-2.0-only
"""Records that the kernel's log loses while a cell's test does not run."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cells import worth_keeping
from harness.model import Cell, GuestTest, Verdict
from harness.record import Ended, TestOutcome
from harness.session import boot
from harness.verdict import judge
from tests.integration.fakeqemu import fake_guest, on

WARNING = "WARNING: CPU: 0 PID: 7 at fs/demo.c:7 demo_put+0x31/0x40"
KTAP = ("    # Subtest: sweep", "    1..1", "    ok 1 - a", "ok 1 - sweep")


@pytest.mark.parametrize(
    ("printed", "verdict"),
    [(WARNING, Verdict.FAIL), ("harmless", Verdict.PASS), ("", Verdict.MISS)],
)
def test_what_is_lost_around_a_test_counts_as_in_it(
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
        with guest.chronicle.kept():
            with guest.chronicle.phase("before"):
                guest.hello()
            with guest.chronicle.phase("while it was looked at"):
                guest.exec(("/bin/true",))
        (episode,) = guest.chronicle.episodes()
    found = [printed] if printed else []
    mark = "[harness: 1 records lost between 9.000000 and 9.000002]"
    assert episode.log == ("one", mark, *found, "two")
    assert (episode.lost_records, episode.found_records) == (1 - len(found), len(found))
    outcome = TestOutcome(Ended.DONE, KTAP, episodes=(episode,))
    cell = Cell("x86_64", "debian:5.10", 0, (), 64, "sweep", "none")
    test = GuestTest("sweep", tmp_path, "", module="sweep_test", suite="sweep")
    result = judge(cell, test, "none", outcome, frozenset())
    assert (result.verdict, result.found_records) == (verdict, len(found))
    assert ("read from the console" in result.reason) is bool(found)
    assert worth_keeping(outcome) is bool(found)
