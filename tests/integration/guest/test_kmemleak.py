# SPDX-License-Identifier: GPL-2.0-only
"""Leaks that a test leaves, as a guest with kmemleak reports them when the test is over."""

from __future__ import annotations

from pathlib import Path

from harness.cache.store import Store
from harness.guest.capacity import Capacity
from harness.guest.guest import boot
from harness.guest.kmemleak import KMEMLEAK, MAX_LINES
from harness.guest.template import Templates
from harness.model.results import Ended, TestOutcome
from harness.model.values import Cell, GuestTest, SplatKind, Verdict
from harness.run.guest_test import run_test
from harness.verdict.judge import judge
from harness.verdict.log_facts import read_log
from tests.integration.fakeqemu import BOOTS, fake_guest

TEST = GuestTest(name="sweep", folder=Path("sweep"), summary="", module="sweep", suite="sweep")
CELL = Cell("x86_64", "debian:5.10", 4, ("kmemleak",), 160, "sweep", "none")
PASSES = """
insmod = [
    { agent = "kmsg 6,{seq},2000000;TAP version 14" },
    { agent = "kmsg 6,{seq},2000001;1..1" },
    { agent = "kmsg 6,{seq},2000002;    # Subtest: sweep" },
    { agent = "kmsg 6,{seq},2000003;    1..1" },
    { agent = "kmsg 6,{seq},2000004;    ok 1 - a" },
    { agent = "kmsg 6,{seq},2000005;ok 1 - sweep" },
    { agent = "end {id} exit:0 ms=3" },
]
"""
HAS_KMEMLEAK = f'"write {KMEMLEAK}" = [{{ agent = "ok {{id}}" }}]'
REPORT = """
exec = [
    { agent = "kmsg 6,{seq},9000000;kmemleak: 1 new suspected memory leaks" },
    { agent = "out {id} unreferenced%20object%200xffff888004a3bd40%20(size%2064):" },
    { agent = "out {id} %20%20comm%20%22insmod%22,%20pid%2071,%20jiffies%204294892512" },
    { agent = "out {id} %20%20backtrace:" },
    { agent = "out {id} %20%20%20%20[<00000000b2f1d6a2>]%20forgetful+0x2e/0x40%20[sweep]" },
    { agent = "end {id} exit:0" },
]
"""


def outcome_of(folder: Path, table: str) -> TestOutcome:
    with boot(fake_guest(folder, f"{BOOTS}\n[on]\n{PASSES}\n{table}"), folder) as guest:
        return run_test(guest, TEST)


def test_leak_is_splat_of_its_test(tmp_path: Path) -> None:
    outcome = outcome_of(tmp_path, HAS_KMEMLEAK + REPORT)
    assert outcome.ended is Ended.DONE
    (leak,) = read_log(outcome.log).splats
    assert leak.kind is SplatKind.LEAK
    assert leak.title == "kmemleak: unreferenced object of 64 bytes, from insmod"
    assert "forgetful+0x2e/0x40 [sweep]" in leak.text
    result = judge(CELL, TEST, "none", outcome, frozenset())
    assert (result.verdict, result.reason) == (Verdict.FAIL, leak.title)
    assert not result.as_expected


def test_test_without_leak_adds_nothing_to_log(tmp_path: Path) -> None:
    outcome = outcome_of(tmp_path, HAS_KMEMLEAK + '\nexec = [{ agent = "end {id} exit:0" }]')
    assert judge(CELL, TEST, "none", outcome, frozenset()).verdict is Verdict.PASS
    assert outcome.log[-1] == "ok 1 - sweep"


def test_a_kernel_without_kmemleak_is_asked_for_no_scan(tmp_path: Path) -> None:
    outcome = outcome_of(tmp_path, 'exec = [{ agent = "kmsg 6,{seq},3;run" }, { exit = 1 }]')
    assert (outcome.ended, outcome.log[-1]) == (Ended.DONE, "ok 1 - sweep")


def test_kmemleak_that_gave_up_is_noted_without_verdict(tmp_path: Path) -> None:
    gone = f'"write {KMEMLEAK}" = [{{ agent = "err {{id}} Operation%20not%20permitted" }}]'
    outcome = outcome_of(tmp_path, gone)
    assert outcome.log[-1].startswith("harness: leaks cannot be told: kmemleak has given up")
    assert judge(CELL, TEST, "none", outcome, frozenset()).verdict is Verdict.PASS


def test_failed_scan_is_noted_without_verdict(tmp_path: Path) -> None:
    table = (
        HAS_KMEMLEAK + '\nexec = [{ agent = "out {id} sh:%20no" }, { agent = "end {id} exit:2" }]'
    )
    outcome = outcome_of(tmp_path, table)
    assert outcome.log[-2:] == ("sh: no", "harness: leaks cannot be told: exit 2")
    assert judge(CELL, TEST, "none", outcome, frozenset()).verdict is Verdict.PASS


def test_guest_death_in_scan_counts_for_test(tmp_path: Path) -> None:
    dies = """
    exec = [
        { agent = "kmsg 0,{seq},9000000;BUG: kernel NULL pointer dereference" },
        { console = "[    9.000000] Kernel panic - not syncing: Fatal exception\\r\\n" },
        { exit = 0 },
    ]"""
    outcome = outcome_of(tmp_path, HAS_KMEMLEAK + dies)
    assert outcome.ended is Ended.DIED
    assert "BUG: kernel NULL pointer dereference" in outcome.log


def test_a_report_without_an_end_is_cut(tmp_path: Path) -> None:
    many = ", ".join('{ agent = "out {id} unreferenced" }' for _ in range(MAX_LINES + 7))
    table = f'{HAS_KMEMLEAK}\nexec = [{many}, {{ agent = "end {{id}} exit:0" }}]'
    assert outcome_of(tmp_path, table).log[-1] == "harness: 7 lines more"


def test_leaks_of_boot_are_forgotten_before_template(tmp_path: Path) -> None:
    scenario = f"""{BOOTS}
    [on]
    {HAS_KMEMLEAK}
    exec = [{{ agent = "kmsg 6,{{seq}},3;told to forget" }}, {{ agent = "end {{id}} exit:0" }}]
    """
    templates = Templates(Store(tmp_path / "store"), Capacity(1, 1))
    with templates.guest(fake_guest(tmp_path, scenario), tmp_path / "first") as guest:
        assert guest.origin == "clone"
    (kept,) = (tmp_path / "store").rglob("kmsg.log")
    assert "told to forget" in kept.read_text()
    assert "told to forget" not in (tmp_path / "first" / "kmsg.log").read_text()


def test_leaks_of_boot_are_forgotten_without_template(tmp_path: Path) -> None:
    scenario = f"""unsavable = true
    {BOOTS}
    [on]
    {HAS_KMEMLEAK}
    exec = [{{ agent = "kmsg 6,{{seq}},3;told to forget" }}, {{ agent = "end {{id}} exit:0" }}]
    """
    templates = Templates(Store(tmp_path / "store"), Capacity(1, 1))
    with templates.guest(fake_guest(tmp_path, scenario), tmp_path / "first") as guest:
        assert guest.origin == "cold"
    assert "told to forget" in (tmp_path / "first" / "kmsg.log").read_text()
