# SPDX-License-Identifier: GPL-2.0-only
"""Reports of the OOM killer: golden logs of real guests, and anything at all.

A new golden case is a ``NAME.log`` in ``golden/oom``; ``UPDATE_GOLDEN=1 pytest`` writes the
``NAME.json`` beside it, which is then read by a person before it is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.verdict import oom
from harness.verdict.klog import log_lines
from harness.verdict.oom import (
    OomReport,
    Victim,
    kill_text,
    oom_report,
    oom_reports,
    request_text,
    victim_of,
)
from tests.unit.golden import FOLDER, golden_logs, matches_golden

ASKED = "kswapd0 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0"


def reports(log: Path) -> list[OomReport]:
    lines = log_lines(log.read_text(encoding="utf-8").split("\n"))
    return list(oom_reports(line.text for line in lines))


@pytest.mark.parametrize("log", golden_logs("oom"), ids=lambda log: log.stem)
def test_oom_reports_golden_logs(log: Path) -> None:
    seen = [
        {**asdict(one), "zones": list(map(asdict, one.zones)), "says": kill_text(one)}
        for one in reports(log)
    ]
    matches_golden(seen, log.with_suffix(".json"))


@pytest.mark.parametrize("arch", ["x86_64", "arm64"])
def test_oom_reports_of_each_kernel_have_all_fields(arch: str) -> None:
    for release in ("5.10", "6.1", "6.12", "7.2"):
        (one,) = reports(FOLDER / f"oom/seen-global-{release}-{arch}.log")
        assert victim_of(one, ("anon",)) is Victim.LOAD
        assert None not in (one.asker_pid, one.order, one.free_pages, one.victim_pid, one.rss_kib)
        assert one.constraint == "none"
        assert one.zones[0].min_kib > 0


@pytest.mark.parametrize("arch", ["x86_64", "arm64"])
def test_oom_reports_deadlock_on_memory_has_no_victim_left(arch: str) -> None:
    """The task that loads the test, as it was called then, and after it there is only PID 1."""
    first, last = reports(FOLDER / f"splat/seen-oom-{arch}.log")
    assert (first.victim, first.victim_pid, first.nobody_left) == ("init", 28, False)
    assert (last.asker, last.victim, last.nobody_left) == ("init", "", True)
    assert victim_of(last, ()) is Victim.NOBODY


def killed(name: str, pid: int = 61) -> OomReport:
    said = f"Out of memory: Killed process {pid} ({name}) total-vm:8kB, anon-rss:4kB, UID:0"
    report = oom_report(said)
    assert report is not None
    return report


@pytest.mark.parametrize(
    ("name", "whose"),
    [
        ("anon", Victim.LOAD),
        ("very-long-name-", Victim.LOAD),
        ("very-long-name", Victim.TEST),
        ("busybox", Victim.TEST),
        ("insmod", Victim.LOADER),
        ("rmmod", Victim.LOADER),
        ("dropbear", Victim.GUEST),
        ("sampler", Victim.GUEST),
        ("init", Victim.GUEST),
        ("", Victim.TEST),
    ],
)
def test_victim_of_names_whose_task_it_was(name: str, whose: Victim) -> None:
    assert victim_of(killed(name), ("anon", "very-long-name-of-a-load")) is whose


def test_victim_of_load_named_like_a_guest_task_is_the_guest() -> None:
    assert victim_of(killed("sampler"), ("sampler",)) is Victim.GUEST
    assert victim_of(killed("anything", pid=1), ("anything",)) is Victim.GUEST


def test_oom_reports_names_with_brackets_and_cut_names() -> None:
    assert killed("a) (b").victim == "a) (b"
    short = oom_report("Out of memory: Killed process 61 (ano")
    assert short is not None
    assert (short.victim, short.rss_kib) == ("ano", None)
    bare = oom_report("Memory cgroup out of memory: Killed process 61 (anon)")
    assert bare is not None
    assert (bare.victim, bare.constraint) == ("anon", "memcg")


def test_oom_reports_cut_and_consecutive_reports() -> None:
    zone = "DMA32 free:1344kB min:1340kB low:1680kB"
    lines = [zone, ASKED, zone, zone, "text", ASKED.replace("kswapd0", "dd")]
    first, last = oom_reports(lines)
    assert (first.asker, len(first.zones), first.victim_pid) == ("kswapd0", 1, None)
    assert (last.asker, last.zones) == ("dd", ())
    spared = "Out of memory: OOM victim 9 (anon) is already exiting. Skip killing the task"
    (one,) = oom_reports([ASKED, spared, zone])
    assert (one.victim_pid, one.zones) == (None, ())


def test_oom_reports_name_that_is_cut_takes_no_later_kill() -> None:
    cut, whole = (
        "Out of memory: Killed process 8 (a b",
        "Out of memory: Killed process 9 (c) total-vm:4kB",
    )
    for between in ([], ["foo: bar"], ["foo: bar"] * 9):
        found = list(oom_reports([cut, *between, whole]))
        assert [(one.victim, one.victim_pid) for one in found] == [("a b", 8), ("c", 9)]
    assert [one.victim for one in oom_reports([cut, "c) total-vm:4kB", whole])] == [
        r"a b\x0ac",
        "c",
    ]


def test_kill_text_and_request_text() -> None:
    (memcg,) = reports(FOLDER / "oom/seen-memcg-5.10-x86_64.log")
    assert request_text(memcg) == (
        "asked by dd, order 0, GFP_KERNEL, at the limit of a memory cgroup"
    )
    assert kill_text(memcg) == (
        "pid 38 had 5688 KiB of RAM; order 0, GFP_KERNEL, at the limit of a memory cgroup; "
        "/small uses 4096 of 4096 KiB"
    )
    (sysrq,) = reports(FOLDER / "oom/seen-sysrq-5.10-x86_64.log")
    assert request_text(sysrq) == "asked by a kworker, by sysrq, GFP_KERNEL, no constraint"
    assert request_text(OomReport()) == kill_text(OomReport()) == ""


def test_oom_reports_zones_are_bounded() -> None:
    zones = [f"Node {n} DMA free:1kB min:1kB low:1kB" for n in range(10_000)]
    (one,) = oom_reports([ASKED, *zones])
    assert len(one.zones) == oom.MAX_ZONES
    assert len(kill_text(one)) < 300


# ---------------------------------------------------------------- anything at all


def pieces() -> Iterator[str]:
    for log in golden_logs("oom"):
        yield from (line.text for line in log_lines(log.read_text(encoding="utf-8").split("\n")))


CUT = st.tuples(st.sampled_from(sorted(set(pieces()))), st.integers(0, 400)).map(
    lambda cut: cut[0][: cut[1]]
)
LINES = st.lists(st.one_of(st.sampled_from(sorted(set(pieces()))), CUT, st.text(max_size=80)))


@settings(deadline=None)
@given(LINES)
def test_oom_reports_of_any_text_are_bounded(lines: list[str]) -> None:
    found = list(oom_reports(lines))
    assert len(found) <= len(lines)
    for one in found:
        assert one.order is not None or one.victim_pid is not None or one.nobody_left
        assert len(kill_text(one)) < 2000
        assert victim_of(one, ("anon",)) in Victim
    assert oom_report("\n".join(line.replace("\n", " ") for line in lines)) == next(
        oom_reports(line.replace("\n", " ") for line in lines), None
    )


@pytest.mark.parametrize("start", ["", " ", ASKED, "Out of memory: Killed process 1 ("])
@pytest.mark.parametrize("letter", "( :,=|a0/")
def test_oom_reports_endless_lines_are_cheap(letter: str, start: str) -> None:
    """Were any pattern to go back and forth over one, this would not end in a day."""
    endless = [start + letter * 1_000_000, letter * 1_000_000 + start]
    *_, last = oom_reports([*endless, "Out of memory: Killed process 7 (anon) total-vm:1kB"])
    assert last.victim_pid == 7
